"""
Where the money goes: each call and tool with its share of the mean beside its share of the dearest runs.
"""

from collections.abc import Sequence

from solvent.forecast._forecast import Forecast, Node
from solvent.forecast.report._figures import share
from solvent.forecast.report._marked import estimate, number
from solvent.forecast.report._words import largest
from solvent.report.html._markup import NOTHING, Html, element, scroll
from solvent.report.html._markup import name as named

_MOST = 40


def shares(forecast: Forecast) -> Html:
    """
    A table, in the order of the workflow, and a sentence on what stands out.
    """
    nodes, left_out = largest(forecast.nodes, _MOST)
    rows = [_row(node) for node in nodes]
    heads = [element("th", title, scope="col", class_=class_) for title, class_ in _COLUMNS]
    caption = "Share of the mean cost beside share of the dearest 1 % of the runs"
    table = element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
        class_="pairs",
    )
    more = element("p", f"{left_out:,} more that cost less are not listed.") if left_out else NOTHING
    return element("div", element("p", _said(nodes)), scroll(table, caption), _legend(), more)


def _legend() -> Html:
    keys = (("of-mean", "of the mean cost"), ("of-dearest", "of the dearest 1 % of the runs"))
    items = [element("li", element("span", class_=f"key {class_}"), words) for class_, words in keys]
    return element("ul", *items, class_="legend")


_COLUMNS = (("step", None), ("share", "bars"), ("mean", "n"), ("worst", "n"), ("calls", "n"))


def _row(node: Node) -> Html:
    where = [named(node.path)]
    if node.model:
        where.append(element("span", node.model, class_="quiet under"))
    bars = element("span", _bar(node.share, "of-mean"), _bar(node.share_of_dearest, "of-dearest"), class_="pair")
    return element(
        "tr",
        element("th", *where, scope="row"),
        element("td", bars, class_="bars"),
        element("td", estimate(node.mean_usd), class_="n"),
        element("td", estimate(node.worst_usd), class_="n"),
        element("td", number(node.calls) if node.calls else "", class_="n"),
    )


def _bar(part: float, class_: str) -> Html:
    width = f"width:{min(max(part, 0.0), 1.0) * 100:.4f}%"
    track = element("span", element("i", style=width), class_=f"track {class_}")
    return element("span", track, element("data", share(part), value=repr(part)), class_="one")


def _said(nodes: Sequence[Node]) -> str:
    if not any(node.mean_usd for node in nodes):
        return "No step costs anything."
    of_mean = max(nodes, key=lambda node: node.share)
    of_dearest = max(nodes, key=lambda node: node.share_of_dearest)
    told = f"{of_mean.path} makes up {share(of_mean.share)} of the mean cost"
    if of_mean is of_dearest:
        return f"{told} and {share(of_mean.share_of_dearest)} of what the dearest 1 % of the runs cost."
    return (
        f"{told}; the dearest 1 % of the runs are made dear by {of_dearest.path}, {share(of_dearest.share_of_dearest)}."
    )
