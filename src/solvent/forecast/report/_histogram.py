"""
How many runs cost how much, drawn for the page.
"""

import numpy as np

from solvent.forecast._forecast import DEAREST, Forecast
from solvent.forecast.report._figures import chance, share, usd
from solvent.forecast.report._plot import HEIGHT, Across, Look, Mark, Plot, marks_in_order, percents_across, place
from solvent.forecast.report._range import for_nothing, reach, shares
from solvent.report.html._markup import Html, element

_COLUMNS = 60
NEAR = 0.8  # Of a limit: where a warning is due, and where cheaper models begin unless the workflow says otherwise.


def histogram(forecast: Forecast, limit_usd: float | None, near: float = NEAR) -> Html:
    """
    The drawing, or a sentence where no run costs anything.

    Args:
        limit_usd: Drawn with the line at ``near`` of it.
    """
    limits = [] if limit_usd is None else [limit_usd * near, limit_usd]
    axis = reach(forecast, limits)
    if axis is None:
        return element("p", "No run costs anything.")
    edges = axis.edges(_COLUMNS)
    parts = shares(forecast, edges)
    lines = percents_across(float(parts.max()))
    top = lines[-1]
    plot = Plot(
        reach=axis,
        marks=_marks(forecast, limit_usd, near),
        across=tuple([Across(chance(line), line / top) for line in lines]),
        title="share of the runs",
    )
    columns = []
    for low, high, part in zip(edges, edges[1:], parts, strict=False):
        if part > 0:
            height = max(float(part) / top * HEIGHT, 0.75)
            title = element("title", f"{usd(float(low))} to {usd(float(high))}: {chance(float(part))} of the runs")
            left, right = axis.at(float(low)), axis.at(float(high))
            columns.append(
                element(
                    "rect",
                    title,
                    x=place(left),
                    width=place(right - left),
                    y=f"{plot.ground - height:.2f}",
                    height=f"{height:.2f}",
                    class_="column",
                )
            )
    figure = element("figure", plot.drawn(*columns, label=_label(forecast, limit_usd)))
    return element("div", element("p", _said(forecast)), figure)


def _marks(forecast: Forecast, limit_usd: float | None, near: float) -> tuple[Mark, ...]:
    cost = forecast.cost_usd
    named = {"p50": cost.p50, "p95": cost.p95, "p99": cost.p99, "p99.9": cost.p999}
    found = [Mark(f"{name} {usd(amount)}", amount) for name, amount in named.items() if amount > 0]
    if limit_usd is not None:
        looks: tuple[tuple[str, float, Look], ...] = (
            (f"{share(near)} {usd(limit_usd * near)}", limit_usd * near, "near"),
            (f"limit {usd(limit_usd)}", limit_usd, "over"),
        )
        found += [Mark(*one) for one in looks]
    return marks_in_order(found)


def _label(forecast: Forecast, limit_usd: float | None) -> str:
    cost = forecast.cost_usd
    limit = "" if limit_usd is None else f"; the limit is {usd(limit_usd)}"
    return (
        f"Histogram of what a run costs, on a logarithmic axis: p50 {usd(cost.p50)}, p95 {usd(cost.p95)}, "
        f"p99 {usd(cost.p99)}, p99.9 {usd(cost.p999)}{limit}."
    )


def _said(forecast: Forecast) -> str:
    cost = forecast.cost_usd
    told = f"The mean is {usd(cost.mean)}"
    if cost.p50 and cost.mean > cost.p50 * 1.2:
        told += f", {cost.mean / cost.p50:.1f} times what the run in the middle costs"
    told += f"; the dearest run in 100 makes up {share(_of_bill(forecast))} of the bill."
    if none := for_nothing(forecast):
        told += f" {share(none)} of the runs cost nothing and are not drawn."
    return (
        f"{told} The axis is logarithmic: each step to the right is so many times the cost, not so many dollars more."
    )


def _of_bill(forecast: Forecast) -> float:
    """
    What the dearest runs make up of all that the simulated ones cost.
    """
    ordered = np.sort(forecast.runs.usd)
    dearest = ordered[-max(1, round(len(ordered) * DEAREST)) :]
    return float(dearest.sum() / ordered.sum()) if ordered[-1] else 0.0
