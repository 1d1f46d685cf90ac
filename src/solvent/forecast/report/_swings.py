"""
What the cost hangs on, drawn: what a number's being a fifth lower and a fifth higher does to the dear runs.
"""

from collections.abc import Sequence

from solvent.forecast._tornado import Bar
from solvent.forecast.report._figures import change
from solvent.forecast.report._plot import place
from solvent.report.html._fit import at_each_size, cut
from solvent.report.html._markup import Html, element, join

_ROW = 42
_BAR = 14
_LEAST = 0.005  # Of the p99: what would be shown as 0 % is not.


def swings(bars: Sequence[Bar]) -> Html:
    """
    A row for each number, its bars to both sides of what the cost is now.
    """
    bars = [bar for bar in bars if bar.width >= _LEAST]
    if not bars:
        return element("p", "No single number of the workflow moves the p99 of its cost by a percent.")
    widest = max(bar.width for bar in bars)
    rows = [_row(bar, widest, number * _ROW) for number, bar in enumerate(bars)]
    height = len(bars) * _ROW + 4
    middle = element("line", x1="50%", x2="50%", y1="0", y2=height, class_="ground")
    label = "; ".join(f"{bar.what}: {change(bar.low)} when lower, {change(bar.high)} when higher" for bar in bars)
    plot = element("svg", middle, *rows, width="100%", height=height, class_="plot")
    chart = element("div", plot, class_="chart", role="img", aria_label=f"Change of the p99: {label}.")
    return element("div", element("p", _said(bars[0])), element("figure", chart, _legend()))


def _row(bar: Bar, widest: float, y: int) -> Html:
    """
    Its name, and below it two bars, of which one may lie over the beginning of the other.
    """
    drawn = []
    for part, class_ in sorted(((bar.low, "lower"), (bar.high, "higher")), key=lambda one: -abs(one[0])):
        reach = abs(part) / widest * 0.34
        left = 0.5 - reach if part < 0 else 0.5
        drawn.append(element("rect", x=place(left), width=place(reach), y=y + 20, height=_BAR, class_=class_))
    ends = [part for part in (min(bar.low, bar.high, 0.0), max(bar.low, bar.high, 0.0)) if round(part * 100)]
    for part in ends:
        anchor, shift = ("end", -6) if part < 0 else ("start", 6)
        x = place(0.5 + part / widest * 0.34)
        drawn.append(element("text", change(part), x=x, y=y + 32, dx=shift, text_anchor=anchor))
    name = at_each_size(
        lambda width: element("text", cut(bar.what, width), x="50%", y=y + 14, text_anchor="middle", class_="halo")
    )
    return join(*drawn, name)


def _said(bar: Bar) -> str:
    return (
        f"Each number of the workflow a fifth lower and a fifth higher, and what that does to the p99. "
        f"Most hangs on {bar.what}: {change(bar.low)} when it is lower, {change(bar.high)} when it is higher."
    )


def _legend() -> Html:
    items = [
        element("li", element("svg", element("path", d="M0 0H18V12H0Z", class_=class_), width=18, height=12), words)
        for class_, words in (("lower", "20 % lower"), ("higher", "20 % higher"))
    ]
    return element("ul", *items, class_="legend", aria_hidden="true")
