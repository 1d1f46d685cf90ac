"""
What one run of a workflow does, with everything that is drawn: the tree of its calls and tools, in order.

The order is that in which the run goes when nothing is done side by side. A plan can be priced (``plain.py``) and
played for real (``enforced.py``).
"""

import math
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import TypeAlias

from solvent.forecast._chances import chances
from solvent.forecast._counts import Z95, Count
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Compaction,
    Loop,
    Map,
    Paced,
    Par,
    Quantiles,
    Retry,
    Seconds,
    Spawn,
    Tool,
    Workflow,
    chance,
    items_of,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCall:
    """
    One request: it reads ``prompt`` and ``history``.

    Attributes:
        again: Tokens of both that a call of the same growing loop sent before; 0 outside of such loops.
        output_most: As declared; ``None`` where nothing caps it.
        finds_cache: Whether what is sent again is found in the cache, if the model has one.
        sums_up: It is a compaction: the history is asked to be summed up, and ``output`` takes its place.
    """

    block: Call
    prompt: int
    history: int = 0
    again: int = 0
    output: int
    output_most: int | None
    finds_cache: bool = False
    sums_up: bool = False
    seconds: float = 0.0

    @property
    def reads(self) -> int:
        return self.prompt + self.history


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTool:
    block: Tool
    result: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Did:
    """
    What a block with blocks in it did.

    Attributes:
        parts: The option of a branch, or nothing; the attempts of a retry, rounds of a loop, items of a map, parts of
            a par; of a spawn the agent's own work, and then each of its children, as one ``Did`` of the same block.
    """

    block: Branch | Loop | Map | Par | Retry | Spawn
    parts: tuple[tuple["Step", ...], ...]


Step: TypeAlias = PlannedCall | PlannedTool | Did


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    class_index: int
    inputs: dict[str, int]
    steps: tuple[Step, ...]


def plan(workflow: Workflow, random: Random) -> Plan:
    """
    Draw what one run does.
    """
    (class_index,) = random.choices(range(len(workflow.shares)), workflow.shares)
    inputs = {name: drawn(count[class_index], random) for name, count in workflow.inputs.items()}
    steps = _Draw(workflow, random, class_index, inputs).all_of(workflow.graph, None)
    return Plan(class_index=class_index, inputs=inputs, steps=steps)


def drawn(count: Count, random: Random) -> int:
    """
    A number as it is declared.
    """
    least, reached = _reached(count)
    return least + min(bisect(reached, random.random()), len(reached) - 1)


@lru_cache(maxsize=1_024)
def _reached(count: Count) -> tuple[int, list[float]]:
    """
    The least that it can be, and the chances that it is at most so much, from there on.
    """
    table = chances(count)
    return table.least, list(accumulate(table.of.tolist()))


class _Conversation:
    """
    What a growing loop has in common: prompts that stay, the history, and how much of it was sent before.
    """

    def __init__(self, compaction: Compaction | None) -> None:
        self.compaction = compaction
        self.prompts: dict[str, int] = {}  # By path, of the calls that were made.
        self.history = 0
        self.sent = 0  # Of the history.


class _Draw:
    def __init__(self, workflow: Workflow, random: Random, class_index: int, inputs: dict[str, int]) -> None:
        self.workflow, self.random, self.class_index, self.inputs = workflow, random, class_index, inputs

    def number(self, by_class: tuple[Count, ...]) -> int:
        return drawn(by_class[self.class_index], self.random)

    def happens(self, share: float) -> bool:
        return self.random.random() < share

    def all_of(self, blocks: tuple[Block, ...], talk: _Conversation | None) -> tuple[Step, ...]:
        """
        Args:
            talk: Of the growing loop that they are part of, if they are.
        """
        return tuple([step for block in blocks for step in self.steps(block, talk)])

    def steps(self, block: Block, talk: _Conversation | None) -> Iterator[Step]:
        match block:
            case Call(history=True):
                assert talk is not None
                yield from self.growing_call(block, talk)
            case Call():
                yield self.call(block, prompt=self.number(block.prompt), output=block.output)
            case Tool():
                yield self.tool(block, talk)
            case Branch():
                yield Did(block=block, parts=self.branch(block, talk))
            case Retry():
                yield Did(block=block, parts=self.retry(block, talk))
            case Loop():
                yield Did(block=block, parts=self.loop(block))
            case Map():
                items = (
                    self.inputs[block.over]
                    if isinstance(block.over, str)
                    else self.number(items_of(self.workflow, block))
                )
                items = items if block.most is None else min(items, block.most)
                yield Did(block=block, parts=tuple([self.all_of(block.do, None) for _ in range(items)]))
            case Par():
                yield Did(block=block, parts=tuple([self.all_of(part, None) for part in block.parts]))
            case Spawn():
                yield self.agent(block, level=1)

    def call(self, block: Call, *, prompt: int, output: tuple[Count, ...]) -> PlannedCall:
        written = self.number(output)
        return PlannedCall(
            block=block,
            prompt=prompt,
            output=written,
            output_most=output[self.class_index].most,
            seconds=self.seconds(block.seconds, written),
        )

    def growing_call(self, block: Call, talk: _Conversation) -> Iterator[PlannedCall]:
        """
        A call that sends the history of its loop, and before it, where that is too long, the one that sums it up.
        """
        known = talk.prompts.get(block.path)
        prompt = self.number(block.prompt) if known is None else known
        compaction = talk.compaction
        if compaction and talk.history and prompt + talk.history > compaction.at:
            summary = self.growing(block, talk, prompt, output=compaction.to, sums_up=True)
            talk.history, talk.sent = summary.output, 0
            yield summary
        reply = self.growing(block, talk, prompt, output=block.output)
        talk.history += reply.output
        yield reply

    def growing(
        self, block: Call, talk: _Conversation, prompt: int, *, output: tuple[Count, ...], sums_up: bool = False
    ) -> PlannedCall:
        made = replace(
            self.call(block, prompt=prompt, output=output),
            history=talk.history,
            again=(prompt if block.path in talk.prompts else 0) + talk.sent,
            finds_cache=self.happens(block.model.cached),
            sums_up=sums_up,
        )
        talk.prompts[block.path] = prompt
        talk.sent = talk.history
        return made

    def tool(self, block: Tool, talk: _Conversation | None) -> PlannedTool:
        result = 0 if block.result is None else self.number(block.result)
        if talk is not None:
            talk.history += result
        return PlannedTool(block=block, result=result, seconds=self.seconds(block.seconds, 0))

    def branch(self, block: Branch, talk: _Conversation | None) -> tuple[tuple[Step, ...], ...]:
        at = self.random.random()
        for option in block.options:
            at -= option.chance[self.class_index]
            if at < 0:
                return (self.all_of(option.do, talk),)
        return ()

    def retry(self, block: Retry, talk: _Conversation | None) -> tuple[tuple[Step, ...], ...]:
        attempts = [self.all_of(block.do, talk)]
        while self.happens(chance(block.fail[self.class_index], len(attempts) - 1)) and len(attempts) != block.most:
            attempts.append(self.all_of(block.do, talk))
        return tuple(attempts)

    def loop(self, block: Loop) -> tuple[tuple[Step, ...], ...]:
        talk = _Conversation(block.compaction) if block.grows else None
        rounds = [self.all_of(block.do, talk)]
        while self.happens(chance(block.again[self.class_index], len(rounds) - 1)) and len(rounds) != block.most:
            rounds.append(self.all_of(block.do, talk))
        return tuple(rounds)

    def agent(self, block: Spawn, level: int) -> Did:
        parts = [self.all_of(block.do, None)]
        if level != block.most:
            parts += [(self.agent(block, level + 1),) for _ in range(self.number(block.children))]
        return Did(block=block, parts=tuple(parts))

    def seconds(self, seconds: Seconds | None, output: int) -> float:
        match seconds:
            case None:
                return 0.0
            case Paced():
                return seconds.first_token + seconds.per_output_token * output
            case Quantiles():
                sigma = math.log(seconds.p95 / seconds.p50) / Z95 if seconds.p95 != seconds.p50 else 0.0
                found = seconds.p50 * math.exp(sigma * self.random.gauss(0, 1))
                return found if seconds.most is None else min(found, seconds.most)
