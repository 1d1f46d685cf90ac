"""
How likely a dear run is: the share of runs that cost more than an amount, without a limit and with one.
"""

from collections.abc import Sequence

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._forecast import Forecast
from solvent.forecast._study import Outcome
from solvent.forecast.report._figures import chance, usd
from solvent.forecast.report._plot import UNITS, Across, Mark, Plot, marks_in_order
from solvent.forecast.report._range import RAREST, reach
from solvent.report.html._markup import Html, element, join

_POINTS = 240
_DECADES = 4  # From all runs down to the rarest.
_LOOKS = {"no limit": "free", "stop": "stopped", "degrade": "degraded"}
_NAMES = {"no limit": "no limit", "stop": "stopped at the limit", "degrade": "a cheaper model before it"}


def exceedance(forecast: Forecast, outcomes: Sequence[Outcome], limit_usd: float | None) -> Html:
    """
    The drawing with a sentence; nothing to draw where no run costs anything.
    """
    axis = reach(forecast, [] if limit_usd is None else [limit_usd])
    if axis is None:
        return element("p", "No run costs anything.")
    mark = [] if limit_usd is None else [Mark(f"limit {usd(limit_usd)}", limit_usd, "over")]
    plot = Plot(
        reach=axis,
        marks=marks_in_order([*mark, *_p99(forecast)]),
        across=tuple(
            [
                Across("every run" if not power else f"1 in {10**power:,}", 1 - power / _DECADES)
                for power in range(_DECADES + 1)
            ]
        ),
        title="share of the runs that cost more than the amount below",
    )
    amounts = np.geomspace(axis.low, axis.high, _POINTS)
    curves = {"no limit": forecast.exceeds(amounts)}
    curves |= {one.rule: _exceeds(one.usd, amounts) for one in outcomes if one.rule != "no limit"}
    lines = [
        element("path", d=_path(curve), class_=f"curve {_LOOKS.get(rule, 'free')}") for rule, curve in curves.items()
    ]
    drawing = plot.drawn(plot.inside(*lines), label=_label(outcomes, limit_usd))
    return element("div", element("p", _said(forecast, outcomes)), element("figure", drawing, _legend(list(curves))))


def _p99(forecast: Forecast) -> list[Mark]:
    amount = forecast.cost_usd.p99
    return [Mark(f"p99 {usd(amount)}", amount)] if amount else []


def _exceeds(values: Floats, amounts: Floats) -> Floats:
    ordered = np.sort(values)
    # Just above each amount: runs that end at a limit do not cost more than it.
    found: Floats = 1 - np.searchsorted(ordered, amounts * (1 + 1e-9), side="right") / len(ordered)
    return found


def _path(curve: Floats) -> str:
    """
    From left to right, down to where it leaves the drawing.
    """
    parts: list[str] = []
    for number, part in enumerate(curve):
        down = min(-np.log10(max(float(part), RAREST)) / _DECADES, 1.0)
        x, y = round(number * UNITS / (_POINTS - 1)), round(down * UNITS)
        parts.append(f"{'L' if parts else 'M'}{x} {y}")
        if part <= RAREST:
            break
    return "".join(parts)


def _label(outcomes: Sequence[Outcome], limit_usd: float | None) -> str:
    limit = "" if limit_usd is None else f", and the limit of {usd(limit_usd)}"
    rules = ", ".join(_NAMES.get(one.rule, one.rule) for one in outcomes)
    return f"The share of runs that cost more than each amount, both axes logarithmic: {rules}{limit}."


def _said(forecast: Forecast, outcomes: Sequence[Outcome]) -> Html:
    told = [f"Without a limit 1 run in 100 costs over {usd(forecast.cost_usd.p99)}."]
    for one in outcomes:
        if one.rule == "stop":
            told.append(
                f" Stopped at the limit, {_ended(one)}, and no run costs more than {usd(float(one.usd.max()))}."
            )
        elif one.rule == "degrade":
            told.append(
                f" With a cheaper model before the limit, {_ended(one)}; {chance(one.degraded)} go on with that model."
            )
    return join(*told)


def _ended(outcome: Outcome) -> str:
    return f"{chance(outcome.blocked)} of the runs are ended" if outcome.blocked else "none is ended"


def _legend(rules: Sequence[str]) -> Html:
    items = []
    for rule in rules:
        line = element("path", d="M0 6H30", class_=f"curve {_LOOKS.get(rule, 'free')}")
        items.append(element("li", element("svg", line, width=30, height=12), _NAMES.get(rule, rule)))
    return element("ul", *items, class_="legend", aria_hidden="true")
