"""
A forecast in words.
"""

from collections.abc import Sequence

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._forecast import Forecast, Node
from solvent.forecast._month import Month
from solvent.forecast.report._figures import about, share, usd

_NEAR = 1e-6
_NEARLY_ALL = 0.98


def sentence(forecast: Forecast) -> str:
    """
    ``Half of the runs cost under $0.12, 1 in 100 over $5.12; the worst the graph allows is $226.``
    """
    return f"{_usual(forecast)}; {_worst(forecast)}."


def _usual(forecast: Forecast) -> str:
    cost = forecast.cost_usd
    if not cost.sd:
        return f"Each run costs {about(cost.p50)}"
    if cost.p50 == cost.p99:
        if forecast.exceeds(np.array([cost.p50 * (1 - _NEAR)]))[0] >= _NEARLY_ALL:
            return f"Nearly all runs cost {about(cost.p50)}"
        nothing = 1 - float(forecast.exceeds(np.zeros(1))[0])
        return f"{share(nothing)} of the runs cost nothing, nearly all others {about(cost.p50)}"
    under = "nothing" if cost.p50 == 0 else f"under {about(cost.p50)}"
    return f"Half of the runs cost {under}, 1 in 100 over {about(cost.p99)}"


def _worst(forecast: Forecast) -> str:
    worst = forecast.cost_usd.worst
    if worst is None:
        return f"nothing bounds the worst: {listed(forecast.unbounded)}"
    return f"the worst the graph allows is {about(worst)}"


def listed(parts: Sequence[str], *, most: int = 3) -> str:
    """
    ``a, b and c``; of many the first, and how many more.
    """
    shown = list(parts[:most])
    if len(parts) > most:
        shown.append(f"{len(parts) - most} more")
    *begin, last = shown
    return f"{', '.join(begin)} and {last}" if begin else last


def month(found: Month) -> str:
    """
    The bill of a month with its interval.
    """
    runs = f"A month of {found.runs:,} {'run' if found.runs == 1 else 'runs'}"
    if found.low_usd == found.high_usd:
        return f"{runs} costs {usd(found.mean_usd)}."
    return (
        f"{runs} costs {usd(found.mean_usd)} on average, and in 95 of 100 cases between "
        f"{usd(found.low_usd)} and {usd(found.high_usd)}."
    )


def month_doubt(found: Month) -> str:
    """
    What makes its interval so wide; nothing where it is a point.
    """
    parts = doubts(found)
    widest = max(parts, key=lambda name: parts[name])
    return f"Most of its doubt is {widest}." if parts[widest] else ""


def doubts(found: Month) -> dict[str, float]:
    """
    What nobody knows of it, each with what that comes to in dollars, one standard deviation.
    """
    return {
        "how many runs there are": found.from_volume,
        "what a run costs on average": found.from_measuring,
        "how runs differ": found.from_runs,
    }


def engine(forecast: Forecast) -> str:
    """
    Which engine found the cost, and why that one.
    """
    return f"{'Exact' if forecast.engine == 'exact' else 'Simulated'}: {forecast.why.rstrip('.')}."


def sureness(forecast: Forecast) -> list[str]:
    """
    How sure the figures are, a sentence each.
    """
    runs = forecast.runs.usd
    p99, error = standard_error(runs, 0.99)
    told = [engine(forecast)]
    if error:  # Of runs drawn each by itself; these are drawn more evenly.
        of = "; the p99 above is exact" if forecast.engine == "exact" else ""
        told.append(
            f"{len(runs):,} runs were simulated: their p99 is {usd(p99)}, give or take at most {about(error)}{of}."
        )
    told.append(_measured(forecast))
    return [*told, *forecast.remarks]


def _measured(forecast: Forecast) -> str:
    volume = forecast.workflow.volume
    if volume is None or volume.measured_runs is None:
        return "The numbers of the workflow are declared, not measured: the figures are right as far as these are."
    return f"The numbers of the workflow were measured in {volume.measured_runs:,} runs."


def standard_error(values: Floats, chance: float) -> tuple[float, float]:
    """
    A quantile of a sample, and its standard error: half of what lies between the order statistics one deviation
    around it.
    """
    ordered = np.sort(values)
    last = len(ordered) - 1
    place, deviation = chance * len(ordered), (chance * (1 - chance) * len(ordered)) ** 0.5
    spots = (place, place - deviation, place + deviation)
    at, low, high = (float(ordered[min(max(round(spot), 0), last)]) for spot in spots)
    return at, (high - low) / 2


def largest(nodes: Sequence[Node], most: int) -> tuple[list[Node], int]:
    """
    Those that may cost anything, of many the ones with the largest shares, in the order of the workflow; and how many
    are left out.
    """
    costly = [node for node in nodes if node.worst_usd != 0]
    by_share = sorted(costly, key=lambda node: max(node.share, node.share_of_dearest), reverse=True)
    kept = {node.scope for node in by_share[:most]}
    return [node for node in costly if node.scope in kept], len(costly) - len(kept)
