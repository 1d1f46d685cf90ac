"""
What becomes of a plan under limits, one thing after the other: by which limit it is refused, what it spends until then.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec
from plain import bound_tokens, bound_usd, input_bound, usd
from plans import Did, Plan, PlannedCall, PlannedTool, Step

from solvent.forecast._model import Degrade, Map, Model, Retry, Workflow

CALL = "call"
DUST = 1e-12  # What sums of floats may differ by.
_WITH_SHARES = ("usd", "tokens", "input_tokens", "output_tokens")  # Of which a share may bring another model.


@dataclass(frozen=True, kw_only=True)
class Cap:
    """
    A limit of a run, whose ``scope`` is empty; of each single call (``call``); or of the scopes that end so.
    """

    scope: str = ""
    meter: str
    amount: float


@dataclass(kw_only=True)
class Fate:
    """
    How a plan ends, done one thing after the other.

    Attributes:
        refused_by: The scopes and meters whose limits the first call that does not fit would pass; none where all fits.
        usd: What was spent until then.
        degraded: How many calls were made with another model.
    """

    refused_by: frozenset[tuple[str, str]] = frozenset()
    usd: float = 0.0
    degraded: int = 0


Amounts: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Demand:
    """
    Something that asks for room.
    """

    path: str
    asked: Amounts
    used: Amounts


class Books:
    """
    The accounts of one run.
    """

    def __init__(self, caps: Sequence[Cap]) -> None:
        self.caps = caps
        self.spent: dict[tuple[Cap, str], float] = {}

    def on(self, path: str) -> list[tuple[Cap, str]]:
        return [(cap, place) for cap in self.caps for place in _places(cap, path)]

    def passed(self, demand: Demand) -> frozenset[tuple[str, str]]:
        found = set()
        for cap, place in self.on(demand.path):
            asked = demand.asked.get(cap.meter, 0.0)
            if asked > 0 and self.spent.get((cap, place), 0.0) + asked > cap.amount + DUST:
                found.add((place, cap.meter))
        return frozenset(found)

    def book(self, demand: Demand) -> None:
        for cap, place in self.on(demand.path):
            if place == CALL:
                continue  # Each call begins anew.
            self.spent[cap, place] = self.spent.get((cap, place), 0.0) + demand.used.get(cap.meter, 0.0)

    def is_reached(self, share: float, path: str) -> bool:
        """
        Whether so much of any limit of money or tokens is spent.
        """
        found = [key for key in self.on(path) if key[0].meter in _WITH_SHARES and key[1] != CALL]
        return any(self.spent.get(key, 0.0) >= share * key[0].amount for key in found)


def fate(workflow: Workflow, plan: Plan, caps: Sequence[Cap], degrade: Sequence[Degrade] = ()) -> Fate:
    """
    What becomes of a run under limits.
    """
    books, found = Books(caps), Fate()
    steps = {step.model: step for step in degrade}
    billed: set[tuple[str, str]] = set()  # Paths of calls, and the models that made them.
    for one, repeats in _asking(plan.steps):
        step, demand = one, _demand(workflow, one, repeats)
        while isinstance(step, PlannedCall) and step.block.model.name in steps:
            down = steps[step.block.model.name]
            if not books.is_reached(down.at, step.block.path) and not books.passed(demand):
                break
            step = _made_with(step, workflow.models[down.to], billed)
            demand = _demand(workflow, step, repeats)
        found.refused_by = books.passed(demand)
        if found.refused_by:
            break
        books.book(demand)
        if isinstance(step, PlannedCall):
            billed.add((step.block.path, step.block.model.name))
        found.usd += demand.used.get("usd", 0.0)
        found.degraded += step is not one
    return found


def _made_with(step: PlannedCall, model: Model, billed: Collection[tuple[str, str]]) -> PlannedCall:
    """
    A call made with another model. What one model was sent before says nothing of the bill of another.
    """
    again = step.again if (step.block.path, model.name) in billed else 0
    return replace(step, block=msgspec.structs.replace(step.block, model=model), again=again)


def _places(cap: Cap, path: str) -> Iterator[str]:
    """
    The scopes on a path that a limit is for.
    """
    if cap.scope in ("", CALL):
        yield cap.scope
        return
    segments = path.split("/")
    for length in range(1, len(segments) + 1):
        place = "/".join(segments[:length])
        if f"/{place}".endswith(f"/{cap.scope}"):
            yield place


def _asking(steps: Sequence[Step], *, repeats: bool = False) -> Iterator[tuple[Step, bool]]:
    """
    What asks for room, in its order, and whether a retry repeats it.
    """
    for step in steps:
        if not isinstance(step, Did) or isinstance(step.block, Map):
            yield step, repeats
        if isinstance(step, Did):
            for number, part in enumerate(step.parts):
                yield from _asking(part, repeats=repeats or (isinstance(step.block, Retry) and number > 0))


def _demand(workflow: Workflow, step: Step, repeats: bool) -> Demand:
    if isinstance(step, Did):
        branches = {"branches": float(len(step.parts))}
        return Demand(path=step.block.path, asked=branches, used=branches)
    once = {"calls": 1.0, "retries": float(repeats)}
    if isinstance(step, PlannedTool):
        amounts = {**once, "usd": usd(step)} if step.block.cost_nanodollars else {}
        return Demand(path=step.block.path, asked=amounts, used=amounts)
    factor = workflow.wishes.input_bound
    return Demand(
        path=step.block.path,
        asked={
            **once,
            "usd": bound_usd(step, factor),
            "tokens": bound_tokens(step, factor),
            "input_tokens": input_bound(step, factor),
            "output_tokens": float(step.output_most or 0),
        },
        used={
            **once,
            "usd": usd(step),
            "tokens": float(step.reads + step.output),
            "input_tokens": float(step.reads),
            "output_tokens": float(step.output),
        },
    )
