"""
What a run spends at worst under some of its limits.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from solvent.forecast._counts import ByClass
from solvent.forecast._dearest import dearest_call, dearest_token
from solvent.forecast._derived import DerivedLimit
from solvent.forecast._failures import Failure, always
from solvent.forecast._limited import NANODOLLARS, is_in, most_items, most_of
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Loop,
    Map,
    Model,
    Paced,
    Par,
    Quantiles,
    Retry,
    Seconds,
    Spawn,
    Tool,
    Workflow,
    every,
    items_of,
    parts_of,
    rebuilt,
)
from solvent.forecast.bounds import bounds


class Worst:
    """
    What runs of a workflow spend at worst; what was found once is not asked for again.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[Block, ...], int], float | None] = {}

    def under(self, failure: Failure, limits: Sequence[DerivedLimit]) -> float | None:
        """
        Dollars that one run spends at most when that goes wrong; ``None`` where nothing ends it.

        A limit of calls, branches or time ends what goes round; so many calls, retries or tokens times the dearest one
        are another bound; the limit of dollars is one by itself.
        """
        ended, times = _ended(failure, limits), failure.times
        amounts: dict[str, int] = {one.meter: one.amount for one in limits if one.layer == "orchestration"}
        found = [self._total(ended, times)]
        if "usd" in amounts:
            found.append(amounts["usd"] / NANODOLLARS)
        if not amounts.keys().isdisjoint(("calls", "retries", "tokens")):
            found += self._by_the_dearest(ended, times, amounts)
        return min([one for one in found if one is not None], default=None)

    def _by_the_dearest(self, ended: Workflow, times: int, amounts: Mapping[str, int]) -> Iterator[float]:
        tools, dearest = self._total(ended, 0), dearest_call(ended)
        if tools is None:
            return
        if "tokens" in amounts:
            yield tools + amounts["tokens"] * dearest_token(ended)
        if "calls" in amounts and dearest is not None:
            yield tools + amounts["calls"] * dearest
        if "retries" in amounts and dearest is not None and (once := self._total(_once(ended), times)) is not None:
            yield once + tools + amounts["retries"] * dearest

    def _total(self, workflow: Workflow, times: int) -> float | None:
        """
        Dollars at worst, where each call is made so often.
        """
        key = workflow.graph, times
        if key not in self._known:
            self._known[key] = bounds(_repriced(workflow, times), "usd").high
        return self._known[key]


def _repriced(workflow: Workflow, times: int) -> Workflow:
    def change(block: Block) -> Block:
        return replace(block, model=_at_times(block.model, times)) if isinstance(block, Call) else block

    return workflow if times == 1 else replace(workflow, graph=rebuilt(workflow.graph, change))


def _ended(failure: Failure, limits: Sequence[DerivedLimit]) -> Workflow:
    """
    The workflow with all that goes round ended where the limits end it.
    """
    workflow = failure.workflow

    def change(block: Block) -> Block:
        match block:
            case Call():
                return _cut(workflow, block, limits)
            case Loop() | Retry() | Map():
                most = [block.most, *_most_rounds(failure, block, limits)]
                return replace(block, most=min([one for one in most if one is not None], default=None))
            case Spawn():
                deep = [one.amount for one in limits if one.meter == "depth"]
                return replace(block, most=min([*deep, *([] if block.most is None else [block.most])], default=None))
            case Branch() | Par() | Tool():
                return block

    return replace(workflow, graph=rebuilt(workflow.graph, change))


def _once(workflow: Workflow) -> Workflow:
    """
    With each attempt that makes a call made once.
    """

    def change(block: Block) -> Block:
        return replace(block, most=1) if isinstance(block, Retry) and _has_calls(block) else block

    return replace(workflow, graph=rebuilt(workflow.graph, change))


def _has_calls(block: Block) -> bool:
    return any(isinstance(one, Call) or (isinstance(one, Tool) and one.is_call) for one in every((block,)))


def _most_rounds(failure: Failure, block: Loop | Map | Retry, limits: Sequence[DerivedLimit]) -> Iterator[int]:
    """
    How often a block can come, by each limit of its scope and of those around it.
    """
    workflow = failure.workflow
    calls = failure.times * _least_calls(workflow, block.do)
    seconds = _usual_seconds(block.do)
    for limit in limits:
        if limit.layer not in ("agent loop", "orchestration") or not is_in(block.path, limit.path):
            continue
        if limit.meter == "calls" and calls:
            yield max(1, math.ceil(limit.amount / calls))
        elif limit.meter == "branches" and isinstance(block, Map):
            yield limit.amount
        elif limit.meter == "seconds" and seconds:
            items = most_items(workflow, block) if isinstance(block, Map) else 1
            beside = (block.concurrency or items) if isinstance(block, Map) else 1
            if beside is not None:
                yield beside * math.ceil(limit.amount / seconds)


def _least_calls(workflow: Workflow, blocks: Iterable[Block]) -> int:
    return sum(_least_of(workflow, block) for block in blocks)


def _least_of(workflow: Workflow, block: Block) -> int:
    parts = [_least_calls(workflow, part) for part in parts_of(block)]
    match block:
        case Call():
            return 1
        case Tool():
            return int(block.is_call)
        case Branch():
            is_sure = all(sum(chances) >= 1 for chances in zip(*(one.chance for one in block.options), strict=True))
            return min(parts) if is_sure else 0
        case Map():
            least = min(one.least for one in items_of(workflow, block))
            return parts[0] * (least if block.most is None else min(least, block.most))
        case Loop() | Par() | Retry() | Spawn():
            return sum(parts)


def _usual_seconds(blocks: Iterable[Block]) -> float:
    """
    What a round takes at the usual speed; of what happens by chance nothing.
    """
    return sum(_seconds_of(block) for block in blocks)


def _seconds_of(block: Block) -> float:
    match block:
        case Call():
            return _of(block.seconds, min(one.least for one in block.output))
        case Tool():
            return _of(block.seconds, 0)
        case Branch() | Map():
            return 0.0
        case Par():
            return max(_usual_seconds(part) for part in block.parts)
        case Loop() | Retry() | Spawn():
            return _usual_seconds(block.do)


def _of(seconds: Seconds | None, output: int) -> float:
    match seconds:
        case None:
            return 0.0
        case Paced():
            return seconds.first_token + seconds.per_output_token * output
        case Quantiles():
            return seconds.p50


def _at_times(model: Model, times: int) -> Model:
    rates = [
        replace(
            rate,
            input=rate.input * times,
            output=rate.output * times,
            cache_read=rate.cache_read * times,
            cache_write=rate.cache_write * times,
        )
        for rate in model.rates
    ]
    return replace(model, rates=tuple(rates))


def _cut(workflow: Workflow, call: Call, limits: Sequence[DerivedLimit]) -> Call:
    amounts = {one.meter: one.amount for one in limits if one.layer == "invocation"}
    prompt = _up_to(workflow, call.prompt, amounts.get("input_tokens"))
    return replace(call, prompt=prompt, output=_up_to(workflow, call.output, amounts.get("output_tokens")))


def _up_to(workflow: Workflow, count: ByClass, most: int | None) -> ByClass:
    """
    The count with another worst case; nothing else of it is asked for here.
    """
    if most is None:
        return count
    declared = most_of(count)
    return always(workflow, most if declared is None else min(declared, most))
