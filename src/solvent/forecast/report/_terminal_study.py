"""
A whole report as a picture for a terminal.
"""

from collections.abc import Sequence

import numpy as np

from solvent.forecast._study import Outcome, Study
from solvent.forecast._tornado import Bar
from solvent.forecast.coverage import Coverage
from solvent.forecast.report import _figures as figures
from solvent.forecast.report._terminal import draw_forecast, framed, wrapped
from solvent.forecast.report._terminal_limits import draw_limits
from solvent.report._columns import Column, table
from solvent.report._pen import Pen


def draw_study(study: Study, pen: Pen, width: int) -> list[str]:
    """
    The lines of the picture, each within so many columns: the forecast, what it hangs on, the limits, and what they do.
    """
    inner = width - 2
    return [
        *draw_forecast(study.forecast, pen, width),
        *framed([_swings(study.tornado, pen, inner), _outcomes(study.outcomes, pen, inner)]),
        *draw_limits(study.limits, pen, width),
        *framed(_coverage(study.coverage, pen, inner)),
    ]


def _swings(bars: Sequence[Bar], pen: Pen, width: int) -> list[str]:
    if not bars:
        return []
    columns = [
        Column(title="what the p99 hangs on", cells=[pen.plain(bar.what) for bar in bars], is_name=True, room=30),
        Column(title="20 % lower", cells=[figures.change(bar.low) for bar in bars]),
        Column(title="20 % higher", cells=[figures.change(bar.high) for bar in bars]),
    ]
    return table(columns, pen, width)


def _outcomes(outcomes: Sequence[Outcome], pen: Pen, width: int) -> list[str]:
    if len(outcomes) < 2:  # Without a limit there is nothing to compare with.
        return []
    columns = [
        Column(title="under the limit", cells=[outcome.rule for outcome in outcomes], is_right=False),
        Column(title="mean", cells=[figures.usd(float(outcome.usd.mean())) for outcome in outcomes]),
        Column(title="p99", cells=[figures.usd(float(np.quantile(outcome.usd, 0.99))) for outcome in outcomes]),
        Column(title="dearest", cells=[figures.usd(float(outcome.usd.max())) for outcome in outcomes]),
        Column(title="blocked", cells=[figures.chance(outcome.blocked) for outcome in outcomes]),
        Column(title="degraded", cells=[figures.chance(outcome.degraded) for outcome in outcomes], least=1),
    ]
    return table(columns, pen, width)


def _coverage(found: Coverage, pen: Pen, width: int) -> list[list[str]]:
    kept = [name for name in found.columns if name not in ("none", "all")]
    columns = [
        Column(title="worst of a run, if", cells=[row.pattern for row in found.rows], is_name=True, room=22),
        *(
            Column(
                title=name,
                cells=[figures.usd(row.worst[found.columns.index(name)]) for row in found.rows],
                least=1 + kept.index(name) if name in kept else 0,
            )
            for name in found.columns
        ),
    ]
    said = (
        f"No limit contains: {', '.join(found.open)}."
        if found.open
        else "Each failure is kept to what the workflow may cost as it is declared by some limit."
    )
    lines = wrapped(said, pen, width)
    return [table(columns, pen, width), [pen.paint("red", line) for line in lines] if found.open else lines]
