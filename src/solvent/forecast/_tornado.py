"""
What the cost hangs on: each number of a workflow a fifth lower and a fifth higher, and what that does to the p99.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from solvent.forecast._counts import ByClass, Count, Fixed, Lognormal, NegativeBinomial, OneOf
from solvent.forecast._history import NotExact
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Loop,
    Map,
    Model,
    Retry,
    Spawn,
    Tool,
    Workflow,
    every,
    plain_path,
    rebuilt,
)
from solvent.forecast.exact import exact
from solvent.forecast.moments import moments
from solvent.forecast.simulate import simulate

TIMES = (0.8, 1.2)
SHARE = 0.99
BARS = 9
_OFTEN = 0.99  # What fails so often and has no cap is not made to fail always.
_RUNS = 2**14
_RUNS_TO_CHOOSE = 2**11
_CELLS = 2**11  # Right to a tenth of a percent, and what is shown are whole percents.

Change: TypeAlias = Callable[[Workflow, float], Workflow]


class Bar(Struct, frozen=True, kw_only=True):
    """
    A number of the workflow.

    Attributes:
        what: In words: ``output of agent_loop/agent``.
        low, high: What its being a fifth lower and a fifth higher does to the p99 of a run's cost, as a share of it.
    """

    what: str
    low: float
    high: float

    @property
    def width(self) -> float:
        return max(abs(self.low), abs(self.high))


def tornado(
    workflow: Workflow, *, bars: int = BARS, seed: int = 0, told: Callable[[], None] = lambda: None
) -> tuple[Bar, ...]:
    """
    The numbers that the p99 hangs on most, the first one most.

    Which are looked at is found by the mean and the deviation of the cost, which take a moment; then the p99 of these
    by the exact engine, or by a simulation with the same draws.

    Args:
        told: Called after each of these, ``2 * bars + 1`` times at most.
    """
    knobs = dict(_knobs(workflow))
    tail = _tail(workflow, seed)
    reach = {what: abs(_tail(change(workflow, max(TIMES)), seed) - tail) for what, change in knobs.items()}
    widest = sorted(knobs, key=lambda what: reach[what], reverse=True)[:bars]
    usual = _p99(workflow, seed)
    told()
    if not usual:
        return ()
    found = []
    for what in widest:
        swing = []
        for times in TIMES:
            swing.append(_p99(knobs[what](workflow, times), seed) / usual - 1)
            told()
        found.append(Bar(what=what, low=swing[0], high=swing[1]))
    return tuple(sorted(found, key=lambda bar: bar.width, reverse=True))


def _tail(workflow: Workflow, seed: int) -> float:
    """
    A figure that moves as the p99 does, and takes a moment.
    """
    try:
        found = moments(workflow, "usd")
    except NotExact:
        usd = simulate(workflow, runs=_RUNS_TO_CHOOSE, seed=seed).usd
        return float(usd.mean() + 3 * usd.std())
    return found.mean + 3 * found.sd


def _p99(workflow: Workflow, seed: int) -> float:
    try:
        return exact(workflow, "usd", cells=_CELLS, shares=(SHARE,)).quantile(SHARE)
    except NotExact:
        return float(np.quantile(simulate(workflow, runs=_RUNS, seed=seed).usd, SHARE))


def _knobs(workflow: Workflow) -> Iterator[tuple[str, Change]]:
    """
    Every number that can be turned, with what turns it.
    """
    for model in workflow.models.values():
        if any(isinstance(block, Call) and block.model.name == model.name for block in every(workflow.graph)):
            yield f"price of {model.name}", _priced(model.name)
    for name in workflow.inputs:
        yield name, _of_input(name)
    for block in every(workflow.graph):
        path = plain_path(block)
        for what, turned in _of_block(block):
            yield f"{what} of {path}", _at(block.path, turned)


def _priced(name: str) -> Change:
    def changed(workflow: Workflow, times: float) -> Workflow:
        def of(block: Block) -> Block:
            is_it = isinstance(block, Call) and block.model.name == name
            return replace(block, model=_dearer(block.model, times)) if is_it else block  # type: ignore[union-attr]  # It is a call.

        return replace(workflow, graph=rebuilt(workflow.graph, of))

    return changed


def _dearer(model: Model, times: float) -> Model:
    names = ("input", "output", "cache_read", "cache_write")
    rates = [replace(rate, **{name: round(getattr(rate, name) * times) for name in names}) for rate in model.rates]
    return replace(model, rates=tuple(rates))


def _of_input(name: str) -> Change:
    def changed(workflow: Workflow, times: float) -> Workflow:
        return replace(workflow, inputs={**workflow.inputs, name: _more(workflow.inputs[name], times)})

    return changed


def _at(path: str, turned: Callable[[Block, float], Block]) -> Change:
    def changed(workflow: Workflow, times: float) -> Workflow:
        def of(block: Block) -> Block:
            return turned(block, times) if block.path == path else block

        return replace(workflow, graph=rebuilt(workflow.graph, of))

    return changed


def _of_block(block: Block) -> Iterator[tuple[str, Callable[[Block, float], Block]]]:
    match block:
        case Call():
            yield "prompt", lambda one, times: replace(one, prompt=_more(block.prompt, times))
            yield "output", lambda one, times: replace(one, output=_more(block.output, times))
        case Tool(result=tuple() as result):
            yield "result", lambda one, times: replace(one, result=_more(result, times))
        case Retry():  # What nothing else ends is to end still.
            yield "failures", lambda one, times: replace(one, fail=_oftener(block.fail, times, capped=block.most))
        case Loop():  # That it ends is a fifth more likely, so that a loop which rarely ends stays one.
            yield "stop rate", lambda one, times: replace(one, again=_stopping(block.again, times))
        case Map(over=tuple() as items):
            yield "items", lambda one, times: replace(one, over=_more(items, times))
        case Spawn(most=int()):
            yield "children", lambda one, times: replace(one, children=_more(block.children, times))
        case Branch(options=(option,)):
            chance = tuple([min(1.0, share) for share in option.chance])
            yield (
                "share",
                lambda one, times: replace(
                    one, options=(replace(option, chance=tuple([min(1.0, share * times) for share in chance])),)
                ),
            )
        case _:
            return


def _oftener(
    chances: tuple[tuple[float, ...], ...], times: float, *, capped: int | None
) -> tuple[tuple[float, ...], ...]:
    most = _OFTEN if capped is None else 1.0
    return tuple([tuple([min(max(most, chance), chance * times) for chance in of_class]) for of_class in chances])


def _stopping(chances: tuple[tuple[float, ...], ...], times: float) -> tuple[tuple[float, ...], ...]:
    return tuple([tuple([max(0.0, 1 - (1 - chance) * times) for chance in of_class]) for of_class in chances])


def _more(counts: ByClass, times: float) -> ByClass:
    return tuple([_scaled(count, times) for count in counts])


def _scaled(count: Count, times: float) -> Count:
    usual = count.usual
    match usual:
        case Fixed():
            return replace(count, usual=Fixed(round(usual.value * times)))
        case OneOf():
            found: dict[int, float] = {}
            for value, chance in zip(usual.values, usual.chances, strict=True):
                found[round(value * times)] = found.get(round(value * times), 0.0) + chance
            return replace(count, usual=OneOf(tuple(sorted(found)), tuple([found[value] for value in sorted(found)])))
        case Lognormal():
            return replace(count, usual=replace(usual, p50=usual.p50 * times, p95=usual.p95 * times))
        case NegativeBinomial():
            return replace(count, usual=replace(usual, mean=usual.least + (usual.mean - usual.least) * times))
