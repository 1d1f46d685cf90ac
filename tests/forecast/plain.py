"""
One run of a workflow in plain words: what it costs and counts. The fast engines must agree with it.

    random = Random(7)
    run = play(workflow, random)
    run = priced(workflow, plan(workflow, random))  # the same, with the plan in between
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from plans import Did, Plan, PlannedCall, PlannedTool, Step, plan

from solvent.forecast._model import Branch, Loop, Map, Model, Par, Rate, Retry, Spawn, Workflow

__all__ = ["PlainRun", "Plan", "Totals", "plan", "play", "priced"]

PICODOLLARS = 10**12  # In one dollar.


@dataclass(kw_only=True, slots=True)
class Totals:
    """
    Of the run, or of one scope in it: all that was done there, however often it was entered.

    Attributes:
        usd_peak, tokens_peak: The most that had been spent there with the bound of the call that came next.
        rounds: Rounds of a loop, attempts of a retry, items of a map, agents of a spawn, over all entries.
        rounds_most: In one entry; of a spawn the most children of one agent.
    """

    usd: float = 0.0
    tokens: int = 0
    usd_peak: float = 0.0
    tokens_peak: float = 0.0
    calls: int = 0
    retries: int = 0
    rounds: int = 0
    rounds_most: int = 0


@dataclass(kw_only=True, slots=True)
class PlainRun:
    """
    Attributes:
        largest_bound_usd: The most that is set aside for one call.
        nodes: Dollars by the path of the call or tool.
        scopes: By path, of every block that has blocks in it and a scope.
    """

    class_index: int
    usd: float = 0.0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    retries: int = 0
    branches: int = 0
    seconds: float = 0.0
    peak_usd: float = 0.0
    peak_tokens: float = 0.0
    largest_bound_usd: float = 0.0
    largest_input_tokens: int = 0
    nodes: dict[str, float] = field(default_factory=dict)
    scopes: dict[str, Totals] = field(default_factory=dict)


def play(workflow: Workflow, random: Random) -> PlainRun:
    """
    One run.
    """
    return priced(workflow, plan(workflow, random))


def priced(workflow: Workflow, plan: Plan) -> PlainRun:
    """
    Add up what a run did, one thing after the other.
    """
    run = PlainRun(class_index=plan.class_index)
    whole = Totals()
    for step, repeats in in_order(plan.steps):
        cost, bound = usd(step), bound_usd(step, workflow.wishes.input_bound)
        is_call = isinstance(step, PlannedCall) or step.block.cost_nanodollars > 0
        run.calls += is_call
        run.retries += is_call and repeats
        if isinstance(step, PlannedCall):
            run.input_tokens += step.reads
            run.output_tokens += step.output
            run.largest_input_tokens = max(run.largest_input_tokens, step.reads)
            run.largest_bound_usd = max(run.largest_bound_usd, bound)
        run.nodes[step.block.path] = run.nodes.get(step.block.path, 0.0) + cost
        for totals in [whole, *[run.scopes.setdefault(path, Totals()) for path in scopes_around(step.block.path)]]:
            totals.usd_peak = max(totals.usd_peak, totals.usd + bound)
            totals.usd += cost
            if isinstance(step, PlannedCall):
                tokens_bound = bound_tokens(step, workflow.wishes.input_bound)
                totals.tokens_peak = max(totals.tokens_peak, totals.tokens + tokens_bound)
                totals.tokens += step.reads + step.output
            totals.calls += is_call
            totals.retries += is_call and repeats
    run.usd, run.tokens, run.peak_usd, run.peak_tokens = whole.usd, whole.tokens, whole.usd_peak, whole.tokens_peak
    run.seconds = math.fsum([_seconds(step) for step in plan.steps])
    _count_rounds(run, plan.steps)
    return run


def in_order(steps: tuple[Step, ...], *, repeats: bool = False) -> Iterator[tuple[PlannedCall | PlannedTool, bool]]:
    """
    The calls and tools of a plan, and whether each is in an attempt after the first of some retry around it.
    """
    for step in steps:
        if not isinstance(step, Did):
            yield step, repeats
            continue
        for number, part in enumerate(step.parts):
            yield from in_order(part, repeats=repeats or (isinstance(step.block, Retry) and number > 0))


def scopes_around(path: str) -> list[str]:
    """
    The scopes of the blocks around the one with this path, from the outside in.
    """
    segments = path.split("/")
    return ["/".join(segments[:length]) for length in range(1, len(segments))]


def usd(step: PlannedCall | PlannedTool) -> float:
    """
    What it costs.
    """
    if isinstance(step, PlannedTool):
        return step.block.cost_nanodollars / 1e9
    model = step.block.model
    rate = rate_of(model, step.reads)
    if not step.block.history or model.cached == 0:
        read = step.reads * rate.input
    elif step.finds_cache:
        read = step.again * rate.cache_read + (step.reads - step.again) * rate.cache_write
    else:
        read = step.reads * rate.cache_write
    return (read + step.output * rate.output) / PICODOLLARS


def bound_usd(step: PlannedCall | PlannedTool, factor: float) -> float:
    """
    What is set aside for it before it is made.

    Args:
        factor: Tokens that are set aside for one of input that was not billed before.
    """
    if isinstance(step, PlannedTool):
        return usd(step)
    if step.output_most is None:
        return math.inf
    read = input_bound(step, factor)
    rate = rate_of(step.block.model, read)
    return (read * max(rate.input, rate.cache_write) + step.output_most * rate.output) / PICODOLLARS


def bound_tokens(call: PlannedCall, factor: float) -> float:
    """
    The tokens that are set aside for it.
    """
    return math.inf if call.output_most is None else input_bound(call, factor) + call.output_most


def input_bound(call: PlannedCall, factor: float) -> float:
    """
    What was billed before is known; of the rest only a bound is.
    """
    return call.again + factor * (call.reads - call.again)


def rate_of(model: Model, reads: float) -> Rate:
    return [rate for rate in model.rates if reads > rate.above or rate.above == 0][-1]


def _seconds(step: Step) -> float:
    if not isinstance(step, Did):
        return step.seconds
    parts = [math.fsum([_seconds(inner) for inner in part]) for part in step.parts]
    match step.block:
        case Branch() | Loop() | Retry():
            return math.fsum(parts)
        case Map():
            return side_by_side(parts, step.block.concurrency)
        case Par():
            return max(parts, default=0.0)
        case Spawn():
            return parts[0] + side_by_side(parts[1:], step.block.concurrency)


def side_by_side(seconds: list[float], workers: int | None) -> float:
    """
    When the last of these is done, each of which is begun, in their order, as soon as a worker is free.
    """
    if workers is None:
        return max(seconds, default=0.0)
    free = [0.0] * workers
    for one in seconds:
        heappush(free, heappop(free) + one)
    return max(free)


def _count_rounds(run: PlainRun, steps: tuple[Step, ...]) -> None:
    for step in steps:
        if not isinstance(step, Did):
            continue
        block = step.block
        children = len(step.parts) - 1 if isinstance(block, Spawn) else len(step.parts)
        if isinstance(block, Map | Par | Spawn):
            run.branches += children
        if not isinstance(block, Branch | Par):
            totals = run.scopes.setdefault(block.path, Totals())
            totals.rounds += 1 if isinstance(block, Spawn) else children
            totals.rounds_most = max(totals.rounds_most, children)
        for part in step.parts:
            _count_rounds(run, part)
