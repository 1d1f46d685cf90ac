"""
Everything that the report of a forecast shows: besides the forecast its limits, what they contain, what a run costs
under them, and what the cost hangs on.
"""

from collections.abc import Callable

from msgspec import Struct

from solvent.forecast._chances import Floats
from solvent.forecast._forecast import RUNS, Engine, Forecast, forecast
from solvent.forecast._model import Workflow
from solvent.forecast._tornado import BARS, Bar, tornado
from solvent.forecast.coverage import Coverage, coverage
from solvent.forecast.limits import Limits, NoLimits, derive
from solvent.forecast.simulate import Rules, Runs, simulate

TORNADO = 2**16  # As many runs as its figures take as long as.
WITH_RULES = 2**14  # Runs that are simulated call by call, which takes longer; fewer where they make many calls.
_CALLS_MAX = 2e6
_RUNS_MIN = 100


class Outcome(Struct, frozen=True, kw_only=True, eq=False):
    """
    What runs cost under a rule: without a limit, stopped at it, or with a cheaper model before it.

    Attributes:
        usd: Of each run.
        blocked, degraded: The share of runs that were ended, and that went on with another model.
    """

    rule: str
    usd: Floats
    blocked: float
    degraded: float


class Study(Struct, frozen=True, kw_only=True, eq=False):
    """
    A report.

    Attributes:
        limit_usd: Dollars that one run may cost by its limits; ``None`` where none can be found.
        outcomes: Without a limit, with it, and where the workflow names models to degrade to, with these before it.
        tornado: The numbers of the workflow that its cost hangs on, the first one most.
    """

    forecast: Forecast
    limits: Limits
    limit_usd: float | None
    coverage: Coverage
    outcomes: tuple[Outcome, ...]
    tornado: tuple[Bar, ...]


def study(
    workflow: Workflow,
    *,
    runs: int = RUNS,
    seed: int = 0,
    engine: Engine | None = None,
    told: Callable[[int], None] | None = None,
) -> Study:
    """
    A workflow's forecast, and all that its report shows.

    Args:
        runs, seed, engine, told: As ``forecast`` takes them.

    Raises:
        ValueError: As ``forecast``.
    """
    found = forecast(workflow, runs=runs, seed=seed, engine=engine, told=told)
    limits = _limits(workflow, found.runs)
    limit = limits.usd
    return Study(
        forecast=found,
        limits=limits,
        limit_usd=limit,
        coverage=coverage(workflow, limits),
        outcomes=_outcomes(workflow, limit, found.calls.mean, seed, told),
        tornado=tornado(workflow, seed=seed, told=lambda: told(TORNADO // (2 * BARS + 1)) if told else None),
    )


def _limits(workflow: Workflow, runs: Runs) -> Limits:
    try:
        return derive(workflow, runs)
    except NoLimits as error:  # All else is there to be seen.
        may_block = workflow.wishes.may_block
        return Limits(
            all=(),
            may_block=may_block,
            blocks=0.0,
            blocks_interval=(0.0, 1.0),
            runs=0,
            caps=(),
            too_few=str(error),
            remarks=(),
        )


def _outcomes(
    workflow: Workflow, limit: float | None, calls: float, seed: int, told: Callable[[int], None] | None
) -> tuple[Outcome, ...]:
    rules: dict[str, Rules] = {"no limit": Rules()}
    if limit is not None:
        rules["stop"] = Rules(usd=limit)
        if workflow.wishes.degrade:
            rules["degrade"] = Rules(usd=limit, degrade=workflow.wishes.degrade)
    runs = min(WITH_RULES, max(_RUNS_MIN, round(_CALLS_MAX / max(1.0, calls))))
    outcomes = []
    for name, rule in rules.items():
        ran = simulate(workflow, runs=runs, seed=seed, rules=rule, told=told)
        blocked, degraded = float(ran.blocked.mean()), float(ran.degraded.mean())
        outcomes.append(Outcome(rule=name, usd=ran.usd, blocked=blocked, degraded=degraded))
    return tuple(outcomes)
