"""
A forecast: what one run of a workflow may cost, use and take, and which engine says so.

The exact engine finds the distributions of dollars, tokens and calls where the workflow lets it; the simulation finds
the rest: seconds, and what depends on several of these at once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct

from solvent.forecast._chances import Floats
from solvent.forecast._history import NotExact
from solvent.forecast._model import Call, Tool, Workflow, every, plain_path
from solvent.forecast._month import Month, month_of
from solvent.forecast._remarks import remarks
from solvent.forecast._weights import Measure
from solvent.forecast.bounds import bounds
from solvent.forecast.exact import Distribution, exact, why_not
from solvent.forecast.moments import moments
from solvent.forecast.simulate import Runs, simulate

Engine: TypeAlias = Literal["exact", "simulation"]
ENGINES: tuple[Engine, ...] = ("exact", "simulation")
RUNS = 2**16
QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
FIGURES = ("mean", "sd", *QUANTILES, "worst")
_CALLS_MAX = 5e8
_RUNS_MIN = 100
DEAREST = 0.01  # The share of runs whose cost is told apart, block by block.
_EXACT: Mapping[str, Measure] = {"cost_usd": "usd", "tokens": "tokens", "calls": "calls"}


class Spread(Struct, frozen=True, kw_only=True):
    """
    How far a figure of one run spreads.

    Attributes:
        worst: The most that the workflow allows; ``None`` where it allows anything.
        engine: Which one found it; the worst is always found by intervals.
    """

    mean: float
    sd: float
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    worst: float | None
    engine: Engine


class Node(Struct, frozen=True, kw_only=True):
    """
    A call or a tool of the workflow.

    Attributes:
        path: Its scope below the run, without kinds: ``agent_loop/agent``.
        scope: With them: ``step:agent_loop/step:agent``.
        calls: Mean number a run, of a tool only where it costs; ``None`` where no closed form tells.
        mean_usd: Mean cost a run.
        share: Of the mean cost of a run.
        share_of_dearest: Of the mean cost of the dearest runs, one in a hundred.
    """

    path: str
    scope: str
    model: str | None
    calls: float | None
    mean_usd: float
    share: float
    share_of_dearest: float
    worst_usd: float | None


class Forecast(Struct, frozen=True, kw_only=True, eq=False):
    """
    What a workflow may cost.

    Attributes:
        cost_usd, tokens, calls, seconds: Of one run.
        nodes: In the order of the workflow.
        engine: That of the cost.
        why: The reason for it, in a sentence.
        unbounded: What makes its worst case anything, a sentence each.
        remarks: What a person should know of the workflow before they trust the figures.
        cost: The whole distribution of the cost, where the exact engine found it.
        runs: Those that were simulated.
    """

    workflow: Workflow
    cost_usd: Spread
    tokens: Spread
    calls: Spread
    seconds: Spread
    nodes: tuple[Node, ...]
    engine: Engine
    why: str
    unbounded: tuple[str, ...]
    remarks: tuple[str, ...]
    month: Month | None
    cost: Distribution | None
    runs: Runs

    def exceeds(self, usd: Floats) -> Floats:
        """
        The chance that a run costs more than each of these.
        """
        if self.cost is not None:
            return np.array([1 - self.cost.reached(float(at)) for at in usd])
        ordered = np.sort(self.runs.usd)
        return 1 - np.searchsorted(ordered, usd, side="right") / len(ordered)


def forecast(
    workflow: Workflow,
    *,
    runs: int = RUNS,
    seed: int = 0,
    engine: Engine | None = None,
    told: Callable[[int], None] | None = None,
) -> Forecast:
    """
    What one run of a workflow may cost, use and take.

    Args:
        runs: How many runs are simulated, for what no formula tells.
        seed: The same seed finds the same figures.
        engine: For dollars, tokens and calls; chosen by what the workflow lets, unless given.
        told: Called with how many runs were simulated since.

    Raises:
        ValueError: The exact engine was asked for, and the workflow does not let it; says why.
    """
    reasons = {name: why_not(workflow, measure) for name, measure in _EXACT.items()}
    if engine == "exact" and reasons["cost_usd"] is not None:
        raise ValueError(f"the exact engine cannot: {reasons['cost_usd']}")
    simulated = simulated_runs(workflow, runs, seed=seed, told=told)
    is_exact = {name: reason is None and engine != "simulation" for name, reason in reasons.items()}
    found = {name: exact(workflow, _EXACT[name]) for name in _EXACT if is_exact[name]}
    spreads = {
        "cost_usd": _spread(workflow, "usd", found.get("cost_usd"), simulated.usd),
        "tokens": _spread(workflow, "tokens", found.get("tokens"), simulated.tokens.astype(np.float64)),
        "calls": _spread(workflow, "calls", found.get("calls"), simulated.calls.astype(np.float64)),
    }
    cost = spreads["cost_usd"]
    return Forecast(
        workflow=workflow,
        **spreads,
        seconds=_of_runs(simulated.seconds, None),
        nodes=_nodes(workflow, simulated),
        engine=cost.engine,
        why=_why(engine, reasons["cost_usd"], len(simulated.usd)),
        unbounded=bounds(workflow, "usd").unbounded,
        remarks=(*_fewer(runs, len(simulated.usd)), *remarks(workflow)),
        month=None if workflow.volume is None else month_of(workflow.volume, mean=cost.mean, sd=cost.sd),
        cost=found.get("cost_usd"),
        runs=simulated,
    )


def simulated_runs(workflow: Workflow, runs: int, *, seed: int = 0, told: Callable[[int], None] | None = None) -> Runs:
    """
    So many runs without rules; fewer where they would make more calls than a machine makes in a minute or two.
    """
    calls = sum(_means(workflow, "calls").values()) or float(simulate(workflow, runs=_RUNS_MIN).calls.mean())
    most = round(_CALLS_MAX / max(1.0, calls))
    return simulate(workflow, runs=min(runs, max(_RUNS_MIN, most)), seed=seed, told=told)


def _fewer(asked: int, simulated: int) -> tuple[str, ...]:
    if simulated == asked:
        return ()
    return (f"{simulated:,} runs are simulated and not {asked:,}, for each makes very many calls",)


def _why(asked: Engine | None, reason: str | None, runs: int) -> str:
    if asked == "simulation":
        return f"{runs:,} runs were simulated, as was asked"
    if reason is None:
        return "the whole distribution is computed; seconds and joint limits come from a simulation"
    return f"{runs:,} runs were simulated, for the exact engine cannot: {reason}"


def _spread(workflow: Workflow, measure: Measure, found: Distribution | None, simulated: Floats) -> Spread:
    worst = bounds(workflow, measure).high
    if found is None:
        return _of_runs(simulated, worst)
    of_runs = _of_runs(simulated, worst)  # For what the grids of the exact engine are too coarse to tell.
    quantiles = {
        name: found.quantile(share) if found.quantile_is_sure(share) else getattr(of_runs, name)
        for name, share in QUANTILES.items()
    }
    exactly = moments(workflow, measure)
    return Spread(mean=exactly.mean, sd=exactly.variance**0.5, **quantiles, worst=worst, engine="exact")


def _of_runs(values: Floats, worst: float | None) -> Spread:
    ordered = np.sort(values)
    last = len(ordered) - 1
    quantiles = {name: float(ordered[min(last, int(share * len(ordered)))]) for name, share in QUANTILES.items()}
    mean, sd = float(ordered.mean()), float(ordered.std())
    return Spread(mean=mean, sd=sd, **quantiles, worst=worst, engine="simulation")


def _nodes(workflow: Workflow, simulated: Runs) -> tuple[Node, ...]:
    leaves = [block for block in every(workflow.graph) if isinstance(block, Call | Tool)]
    mean_of = _means(workflow, "usd") or {path: float(usd.mean()) for path, usd in simulated.nodes.items()}
    calls_of = _means(workflow, "calls")
    worst_of = bounds(workflow, "usd").nodes
    dearest = _dearest(simulated.usd)
    total, of_dearest = sum(mean_of.values()), float(simulated.usd[dearest].mean())
    return tuple(
        [
            Node(
                path=plain_path(block),
                scope=block.path,
                model=block.model.name if isinstance(block, Call) else None,
                calls=calls_of.get(block.path),
                mean_usd=mean_of.get(block.path, 0.0),
                share=mean_of.get(block.path, 0.0) / total if total else 0.0,
                share_of_dearest=float(simulated.nodes[block.path][dearest].mean()) / of_dearest if of_dearest else 0.0,
                worst_usd=_finite(worst_of.get(block.path, 0.0)),
            )
            for block in leaves
        ]
    )


def _finite(amount: float) -> float | None:
    return None if math.isinf(amount) else amount


def _means(workflow: Workflow, measure: Measure) -> Mapping[str, float]:
    """
    By the path of the call or tool; none where there is no closed form.
    """
    try:
        return moments(workflow, measure).nodes
    except NotExact:
        return {}


def _dearest(usd: Floats) -> Sequence[int]:
    count = max(1, round(len(usd) * DEAREST))
    return np.argpartition(usd, len(usd) - count)[-count:].tolist()  # type: ignore[no-any-return]  # The stubs say Any.
