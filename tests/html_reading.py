"""
Reads a page as a program does: its elements, its text, and the amounts that are told to the nanodollar.
"""

from collections.abc import Iterator
from html.parser import HTMLParser

from msgspec import Struct, field

_VOID = ("br", "meta", "wbr")
_UNREAD = ("style", "title")


class Element(Struct, kw_only=True):
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    def all(self, tag: str, class_: str = "") -> list["Element"]:
        return [each for each in self.below() if each.tag == tag and set(class_.split()) <= each.classes]

    def below(self) -> Iterator["Element"]:
        for child in self.children:
            if isinstance(child, Element):
                yield child
                yield from child.below()

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    @property
    def text(self) -> str:
        parts = (
            child if isinstance(child, str) else "" if child.tag in _UNREAD else child.text for child in self.children
        )
        return "".join(parts)

    @property
    def amount(self) -> int:
        """
        The only amount of money in it, in nanodollars.
        """
        [data] = self.all("data")
        return int(data.attributes["value"])


def read(page: str) -> Element:
    """
    The page as a tree; every element that is opened is closed, in its place.
    """
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.top], [each.tag for each in reader.open]
    return reader.top


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.top = Element(tag="", attributes={})
        self.open = [self.top]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag=tag, attributes={name: value or "" for name, value in attrs})
        self.open[-1].children.append(made)
        if tag not in _VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def lines(element: Element) -> list[str]:
    """
    What a person reads of it, a line for each row or paragraph; of labels that are drawn for three widths the widest.
    """
    found: list[str] = []
    _read_lines(element, found)
    return [line for line in found if line]


def _read_lines(element: Element, found: list[str]) -> None:
    if element.tag in _UNREAD or {"narrow", "middle"} & element.classes:
        return
    if element.tag == "tr":
        cells = [" ".join(cell.text.split()) for cell in element.children if isinstance(cell, Element)]
        found.append(" | ".join(cells))
        return
    if element.tag in ("caption", "code", "dd", "dt", "figcaption", "h1", "h2", "li", "p", "summary", "text"):
        found.append(" ".join(element.text.split()))
        return
    for child in element.children:
        if isinstance(child, Element):
            _read_lines(child, found)


def check_structure(top: Element) -> None:
    """
    That a page can be read by its headings, sections and tables.
    """
    assert top.all("html")[0].attributes["lang"] == "en"
    assert len(top.all("h1")) == len(top.all("main")) == 1
    ids = [each.attributes["id"] for each in top.below() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    for section in top.all("section"):
        assert section.attributes["aria-labelledby"] in ids
    for table in top.all("table"):
        assert table.all("caption")[0].text
        assert all(head.attributes["scope"] == "col" for head in table.all("thead")[0].all("th"))
