"""
The least and the most that a run can spend at all, by interval arithmetic, whatever the chances are.
"""

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TypeAlias

from msgspec import Struct

from solvent.forecast._compose import with_nothing
from solvent.forecast._counts import ByClass
from solvent.forecast._intervals import NO_SPENT, Interval, Spent, one_of, powers
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Loop,
    Map,
    Par,
    Retry,
    Spawn,
    Tool,
    Workflow,
    items_of,
)
from solvent.forecast._series import in_turn
from solvent.forecast._talk import Reading, Talk, cost
from solvent.forecast._weights import Measure, tool_weight

__all__ = ["Bounds", "bounds"]

_Knows: TypeAlias = Talk | None  # Outside of growing loops nothing is known.


class Bounds(Struct, frozen=True, kw_only=True):
    """
    Attributes:
        high: ``None`` where there is no most.
        unbounded: What caps are missing, as sentences; none where there is a most.
        nodes: The most that the call or tool of each path can spend; infinite where nothing caps it.
    """

    low: float
    high: float | None
    unbounded: tuple[str, ...]
    nodes: Mapping[str, float]


def bounds(workflow: Workflow, measure: Measure = "usd") -> Bounds:
    """
    Those of a run, whatever its class.
    """
    missing: dict[str, None] = {}
    walks = [_Walk(workflow, measure, index, missing) for index, share in enumerate(workflow.shares) if share > 0]
    spent = one_of([walk.all(workflow.graph, None)[0] for walk in walks])
    high = spent.all.high
    if high < math.inf:
        return Bounds(low=spent.all.low, high=high, unbounded=(), nodes=spent.highs)
    return Bounds(low=spent.all.low, high=None, unbounded=tuple(missing), nodes=spent.highs)


class _Walk:
    """
    Over a workflow in the order of its runs, with what the growing loop around knows.
    """

    def __init__(self, workflow: Workflow, measure: Measure, index: int, missing: dict[str, None]) -> None:
        self._workflow, self._index = workflow, index
        self._measure: Measure = measure
        self._missing = missing

    def all(self, blocks: Sequence[Block], talk: _Knows) -> tuple[Spent, _Knows]:
        spent = NO_SPENT
        for block in blocks:
            more, talk = self._block(block, talk)
            spent = spent.then(more)
        return spent, talk

    def alone(self, blocks: Sequence[Block]) -> Spent:
        return self.all(blocks, None)[0]

    def _block(self, block: Block, talk: _Knows) -> tuple[Spent, _Knows]:
        match block:
            case Call(history=True) if talk is not None:
                return self._sending(block, talk)
            case Call():
                reading = Reading(self._prompt(block))
                return self._cost(block, reading, self._output(block)), talk
            case Tool():
                if talk is not None and block.result is not None:
                    talk = talk.added(self._count(block.result, f"result of {block.name}", self._reads))
                price = tool_weight(block, self._measure)
                return Spent(Interval(price, price), {block.path: price}), talk
            case Branch():
                return self._branch(block, talk)
            case Retry():
                return self._rounds(block, block.fail[self._index], talk)
            case Loop():
                within = Talk(compaction=block.compaction) if block.grows else None
                return self._rounds(block, block.again[self._index], within)[0], talk
            case Map():
                return self._map(block), talk
            case Par():
                parts = [self.alone(part) for part in block.parts]
                return reduce(Spent.then, parts, NO_SPENT), talk
            case Spawn():
                return self._spawn(block), talk

    @property
    def _reads(self) -> bool:
        return self._measure not in ("calls", "output_tokens")

    def _count(self, counts: ByClass, name: str, matters: bool) -> Interval:
        count = counts[self._index]
        if count.most is None and matters:
            self._missing[f"{name} has no max"] = None
        return Interval(count.least, math.inf if count.most is None else count.most)

    def _prompt(self, call: Call) -> Interval:
        return self._count(call.prompt, f"prompt of {call.name}", self._reads)

    def _output(self, call: Call) -> Interval:
        matters = self._measure not in ("calls", "input_tokens") or (call.history and self._reads)
        return self._count(call.output, f"output of {call.name}", matters)

    def _cost(self, call: Call, reading: Reading, output: Interval) -> Spent:
        found = cost(call, self._measure, reading, output)
        return Spent(found, {call.path: found.high})

    def _sending(self, call: Call, talk: Talk) -> tuple[Spent, Talk]:
        """
        A call that sends the history, and before it the one that sums it up, where it must or may.
        """
        prompt = self._prompt(call)
        compaction = talk.compaction
        if compaction is None or prompt.high + talk.history.high <= compaction.at or not talk.history.high:
            return self._reply(call, talk, prompt)
        summary = self._count(compaction.to, f"the summary of {call.name}", self._reads)
        reads = prompt + talk.history
        reading = Reading(Interval(max(reads.low, compaction.at + 1), reads.high), talk.written(call.path, prompt))
        summed_up = self._cost(call, reading, summary)
        after, shorter = self._reply(call, talk.summed_up(call.path, summary), prompt)
        after = summed_up.then(after)
        if reads.low > compaction.at and talk.history.low:
            return after, shorter
        else_spent, longer = self._reply(call, talk.up_to(max(compaction.at - prompt.low, 0.0)), prompt)
        return one_of([after, else_spent]), shorter.or_else(longer)

    def _reply(self, call: Call, talk: Talk, prompt: Interval) -> tuple[Spent, Talk]:
        output = self._output(call)
        reading = Reading(prompt + talk.history, talk.written(call.path, prompt))
        return self._cost(call, reading, output), talk.called(call.path).added(output)

    def _branch(self, block: Branch, talk: _Knows) -> tuple[Spent, _Knows]:
        options = [(option.chance[self._index], option.do) for option in block.options]
        ends = with_nothing([(share, self.all(do, talk)) for share, do in options if share > 0], (NO_SPENT, talk))
        known = [end for _, (_, end) in ends if end is not None]
        return one_of([spent for _, (spent, _) in ends]), reduce(Talk.or_else, known) if known else None

    def _rounds(self, block: Loop | Retry, again: tuple[float, ...], talk: _Knows) -> tuple[Spent, _Knows]:
        sure, most = _rounds(again, block.most)
        if talk is None:
            return self._so_often(block.name, Interval(sure, most), self.alone(block.do)), None
        if most == math.inf:
            return self._endless(block, talk, sure)
        spent, talk = in_turn(lambda before: self._round(block, before), talk, int(sure))
        more, talk = in_turn(lambda before: self._perhaps(block, before), talk, int(most) - int(sure))
        return spent.then(more), talk

    def _round(self, block: Loop | Retry, talk: Talk) -> tuple[Spent, Talk]:
        spent, after = self.all(block.do, talk)
        assert after is not None
        return spent, after

    def _perhaps(self, block: Loop | Retry, talk: Talk) -> tuple[Spent, Talk]:
        spent, after = self._round(block, talk)
        return one_of([spent, NO_SPENT]), talk.or_else(after)

    def _endless(self, block: Loop | Retry, talk: Talk, sure: float) -> tuple[Spent, Talk]:
        """
        Without a cap what is added has no end, and so has what is spent, if anything is.
        """
        spent, after = self._round(block, talk)
        if after.history.high > talk.history.high:
            after = after.endless()
        return self._so_often(block.name, Interval(sure, math.inf), spent), after

    def _so_often(self, name: str, count: Interval, one: Spent) -> Spent:
        spent = one.times(count)
        if spent.all.high == math.inf and count.high == math.inf:
            self._missing[f"{name} has no max"] = None
        return spent

    def _map(self, block: Map) -> Spent:
        one = self.alone(block.do)
        items = items_of(self._workflow, block)[self._index]
        most = min([float(cap) for cap in (items.most, block.most) if cap is not None], default=math.inf)
        return self._so_often(block.name, Interval(min(items.least, most), most), one)

    def _spawn(self, block: Spawn) -> Spent:
        own = self.alone(block.do)
        children = self._count(block.children, f"children of {block.name}", own.all.high > 0 and block.most != 1)
        levels = math.inf if block.most is None else block.most
        agents = Interval(powers(children.low, levels), powers(children.high, levels))
        return self._so_often(block.name, agents, own) if block.most is None else own.times(agents)


def _rounds(again: tuple[float, ...], most: int | None) -> tuple[float, float]:
    """
    How many rounds there are at least, and at most.
    """
    cap = math.inf if most is None else most
    sure = next((number for number, share in enumerate(again, start=1) if share < 1), cap)
    end = next((number for number, share in enumerate(again, start=1) if share == 0), cap)
    return min(sure, cap), min(end, cap)
