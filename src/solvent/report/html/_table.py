"""
A table: its columns, what stands in them, and a bar beside an amount.
"""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from solvent.report.html._fit import percent
from solvent.report.html._markup import Html, element, scroll

# A path, a model, a number, what is kept on one line, a sentence, a bar, or just text.
Look = Literal["name", "model", "n", "t", "say", "bar", ""]


NONE = "·"  # Where there is nothing to say.


class Column(Struct, frozen=True):
    """
    Attributes:
        is_lesser: It is left out where the page is too narrow for all.
    """

    title: str
    look: Look = ""
    is_lesser: bool = False

    @property
    def classes(self) -> str | None:
        return " ".join(part for part in (self.look, "lesser" if self.is_lesser else "") if part) or None


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    foot: Sequence[str] = (),
    is_titled: bool = False,
) -> Html:
    """
    A table in a box that scrolls by itself; the first column names its rows.

    Args:
        is_titled: The heading above it says what it is, so that its caption is for those who do not see that.
    """
    heads = (element("th", column.title, scope="col", class_=column.classes) for column in columns)
    body = element("tbody", *(_row(columns, row) for row in rows))
    parts = [
        element("caption", caption, class_="unseen" if is_titled else None),
        element("thead", element("tr", *heads)),
        body,
    ]
    if foot:
        parts.append(element("tfoot", _row(columns, foot)))
    return scroll(element("table", *parts), caption)


def _row(columns: Sequence[Column], cells: Sequence[str]) -> Html:
    made = []
    for place, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        is_head = place == 0
        made.append(element("th" if is_head else "td", cell, class_=column.classes, scope="row" if is_head else None))
    return element("tr", *made)


def bar(part: int, whole: int, *, held: int = 0, is_limit: bool = False) -> Html:
    """
    A bar of what part of a whole it is, and what is held of it; of a limit in the color of how near it is.
    """
    look = ("full" if part >= whole else "most" if part * 10 >= whole * 8 else "spent") if is_limit else "spent"
    pieces = [element("i", class_=look, style=f"width:{percent(part, whole)}")] if part > 0 else []
    if held > 0:
        room = max(whole - part, 0)
        pieces.append(element("i", class_="held", style=f"width:{percent(min(held, room), whole)}"))
    return element("span", *pieces, class_="track")


def count(number: int) -> str:
    return f"{number:,}" if number else NONE


def mark(text: str, look: Literal["", "warn", "bad"] = "") -> Html:
    return element("span", text, class_=f"mark {look}".rstrip())
