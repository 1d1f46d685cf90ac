"""
A limit as it is derived, and those that follow from the graph and from the volume alone.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX
from solvent._limits import Limit, Meter
from solvent.forecast._limited import (
    NANODOLLARS,
    Layer,
    depth,
    most_of,
    nanodollars,
    parallel,
    run_pattern,
    scope_name,
    unbounded,
)
from solvent.forecast._model import Call, Tool, Workflow, every
from solvent.forecast._month import month_of
from solvent.forecast.simulate import Runs
from solvent.policy._outranked import Placed, outranking

ROUNDED: tuple[Meter, ...] = ("usd", "tokens", "input_tokens", "seconds")
GIVEN = "given"
_DIGITS = 3  # Of such an amount, for people to read.


class DerivedLimit(Struct, frozen=True, kw_only=True):
    """
    A limit for a policy.

    Attributes:
        pattern: The scopes that it is for, as a policy names them; ``call`` for each single call.
        path: The block whose scope it is of; empty for any other.
        amount: Nanodollars for ``usd``, a count for the rest.
        sure_amount: The one with which the share of runs that are ended is no larger than asked for in 95 of 100
            cases, and not on average alone; the same where it does not hang on the runs that were seen.
        blocks: The share of legitimate runs that it would end by itself.
        can_block: Whether any run can pass it.
        derived_from: In words.
    """

    layer: Layer
    pattern: str
    path: str = ""
    meter: Meter
    amount: int
    sure_amount: int
    window: str = ""
    blocks: float = 0.0
    can_block: bool = True
    derived_from: str

    @property
    def placed(self) -> Placed:
        return self.pattern, Limit(meter=self.meter, amount=self.amount, window=self.window)

    @property
    def sure(self) -> Limit:
        return Limit(meter=self.meter, amount=self.sure_amount, window=self.window)


def rounded_up(amount: float, *, digits: int = _DIGITS) -> int:
    """
    A whole number with so many digits that say something, and never less.
    """
    whole = math.ceil(amount)
    size: int = 10 ** max(0, len(str(whole)) - digits)
    return -(-whole // size) * size


def others(workflow: Workflow, runs: Runs) -> list[DerivedLimit]:
    """
    Limits that ended none of the runs: those of a single call, at the largest of them all, and those that follow from
    the graph, which lets no run pass them.
    """
    run = run_pattern(workflow)
    found: list[tuple[Layer, str, Meter, int | None, str]] = [
        ("orchestration", run, "depth", depth(workflow), "longest path of the graph"),
        ("orchestration", run, "parallel", parallel(workflow), "most calls at once in the graph"),
        ("invocation", "call", "output_tokens", _largest_output(workflow), "largest output cap of the graph"),
    ]
    # The guard sets so much aside for a prompt of which nothing was billed before.
    read = math.ceil(runs.largest_input_tokens * workflow.wishes.input_bound)
    found.append(("invocation", "call", "input_tokens", rounded_up(read), "bound of the longest prompt of all runs"))
    if not unbounded(workflow):
        dearest = max(nanodollars(workflow, np.array([runs.largest_bound_usd]), 1)[0], _dearest_tool(workflow))
        found.append(("invocation", "call", "usd", rounded_up(dearest), "bound of the dearest call of all runs"))
    of_graph = ("depth", "parallel", "output_tokens")
    return [
        DerivedLimit(
            layer=layer,
            pattern=pattern,
            meter=meter,
            amount=amount,
            sure_amount=amount,
            can_block=meter not in of_graph,
            derived_from=what,
        )
        for layer, pattern, meter, amount, what in found
        if amount is not None and amount <= AMOUNT_MAX
    ]


def _dearest_tool(workflow: Workflow) -> int:
    """
    Nanodollars. What a tool costs is booked as a call, and held against the limits of one.
    """
    return max([one.cost_nanodollars for one in every(workflow.graph) if isinstance(one, Tool)], default=0)


def _largest_output(workflow: Workflow) -> int | None:
    found = [most_of(block.output) for block in every(workflow.graph) if isinstance(block, Call)]
    return None if None in found else max([one for one in found if one is not None], default=None)


def month(workflow: Workflow, runs: Runs, limits: Sequence[DerivedLimit]) -> list[DerivedLimit]:
    """
    What all runs of a month may cost: more than that only as seldom as a run may be ended, and room for one more run.

    It is written for a team of the workflow's name: a policy has no account for the runs of one workflow, and in that
    of an organization all its other workflows would spend as well.
    """
    run = next((one for one in limits if (one.layer, one.meter) == ("orchestration", "usd")), None)
    if workflow.volume is None or run is None:
        return []
    bill = month_of(workflow.volume, mean=float(runs.usd.mean()), sd=float(runs.usd.std()))
    most = 0.0
    if bill.mean_usd:
        parts = bill.from_runs, bill.from_volume, bill.from_measuring
        deviation = math.sqrt(math.log1p(math.hypot(*parts) ** 2 / bill.mean_usd**2))
        most = bill.mean_usd * math.exp(
            NormalDist().inv_cdf(1 - workflow.wishes.may_block) * deviation - deviation**2 / 2
        )
    amount = rounded_up(most * NANODOLLARS + run.amount)
    if amount > AMOUNT_MAX:
        return []
    return [
        DerivedLimit(
            layer="platform",
            pattern=scope_name("team", workflow.name),
            meter="usd",
            amount=amount,
            sure_amount=amount,
            window="month",
            derived_from=f"{bill.runs:,} runs of ${bill.mean_usd / bill.runs:.4f} on average, give or take "
            f"{100 * workflow.volume.uncertainty:g} %",
        )
    ]


def lowered(limits: Sequence[DerivedLimit]) -> list[DerivedLimit]:
    """
    The same limits, none of them above one that always refuses before it: that would be said for nothing.
    """
    found = list(limits)
    for _ in found:
        all_of = [placed for limit in found for placed in _with_all_runs(limit)]
        smaller = [outranking(limit.placed, all_of) for limit in found]
        if not any(smaller):
            break
        found = [
            limit if other is None else _lowered_to(limit, *other) for limit, other in zip(found, smaller, strict=True)
        ]
    return found


def _lowered_to(limit: DerivedLimit, pattern: str, other: Limit) -> DerivedLimit:
    why = f"no more {other.meter} than {pattern} has"
    return replace(limit, amount=other.amount, sure_amount=other.amount, derived_from=why)


def _with_all_runs(limit: DerivedLimit) -> Iterator[Placed]:
    """
    Those of this workflow's runs hold every other run as well, so that nothing goes past them.
    """
    yield limit.placed
    if limit.layer == "orchestration":
        yield "run:*", limit.placed[1]
