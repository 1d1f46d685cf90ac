"""
Markup, made so that text from outside cannot become any: whatever is not ``Html`` already is escaped on its way in.
"""

from collections.abc import Iterable, Sequence
from html import escape

from solvent._amounts import exact_dollars, show_dollars
from solvent._printable import printable

_VOID = frozenset({"br", "meta", "wbr"})


class Html(str):
    """
    Markup that is ready.
    """

    __slots__ = ()


NOTHING = Html("")


def element(tag: str, /, *parts: str, **attributes: str | int | None) -> Html:
    """
    An element; a line break in an attribute's value, as in a title that is shown on its own, stays one.

    Args:
        **attributes: ``class_`` is ``class``, ``data_calls`` is ``data-calls``; one that is ``None`` is left out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{told}>" if tag in _VOID else f"<{tag}{told}>{join(*parts)}</{tag}>")


def join(*parts: str) -> Html:
    return Html("".join(part if isinstance(part, Html) else escape(printable(part)) for part in parts))


def lines(parts: Iterable[str]) -> Html:
    """
    Text in several lines, as titles are shown.
    """
    return Html("\n".join(join(part) for part in parts))


def _attribute(value: str) -> str:
    return "&#10;".join(escape(printable(line)) for line in value.split("\n"))


def money(nanodollars: int | None, *, unknown: str = "unpriced", digits: int = 0) -> Html:
    """
    An amount for people, to the nanodollar for whoever points at it or reads the page with a program.

    Args:
        digits: By how many the amounts below and above it go further behind the point.
    """
    if nanodollars is None:
        return element("span", unknown, class_="none")
    exact = f"{'-' if nanodollars < 0 else ''}${exact_dollars(abs(nanodollars))}"
    style = f"padding-right:{digits}ch" if digits else None
    return element("data", show_dollars(nanodollars), value=nanodollars, title=exact, style=style)


def column_of_money(amounts: Sequence[int | None], *, unknown: str = "unpriced") -> list[Html]:
    """
    Amounts whose points stand below one another where the column is aligned at its right edge.
    """
    behind = [0 if amount is None else len(show_dollars(amount).partition(".")[2]) for amount in amounts]
    most = max(behind, default=0)
    return [
        money(amount, unknown=unknown, digits=most - digits) for amount, digits in zip(amounts, behind, strict=True)
    ]


def name(text: str, **attributes: str | int | None) -> Html:
    """
    A name from outside, kept apart from its surroundings: it may be written from right to left. It is broken into
    lines after the steps of a path rather than anywhere.
    """
    steps = text.split("/")
    parts = [part for step in steps[:-1] for part in (f"{step}/", element("wbr"))]
    return element("bdi", *parts, steps[-1], **attributes)


def section(title: str, *parts: str, id: str) -> Html:
    heading = element("h2", title, id=id)
    return element("section", heading, *parts, aria_labelledby=id)


def scroll(table: str, label: str) -> Html:
    """
    A box of its own for what may be wider than the page.
    """
    return element("div", table, class_="scroll", role="region", aria_label=label, tabindex=0)
