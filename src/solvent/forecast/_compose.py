"""
The sum of a run, put together from its parts: once for all kinds of sums, so that they agree.

What is put together are transforms of distributions: a product stands for one thing and then another, a mean of some
for one of them by chance. So it is for generating functions on a grid, for moments and for the ends of a range, and
each of these says how by an ``Algebra``.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np

from solvent.forecast._chances import Chances, chances
from solvent.forecast._counts import ByClass
from solvent.forecast._history import Growth, NotExact, Price, State, in_band, is_part, members, tally
from solvent.forecast._model import Block, Branch, Call, Loop, Map, Par, Retry, Spawn, Tool, Workflow, items_of
from solvent.forecast._weights import Measure, Weight, tool_weight, weights

T = TypeVar("T")
Prices: TypeAlias = Sequence[Price]

ONCE = Chances(1, np.ones(1))
_STATES_MAX = 400  # Of a growing loop, at one time; they are all remembered.
_WAYS_MAX = 5_000  # And over all of its rounds.
_LEVELS_MAX = 4_096
_LEFT = 1e-16  # Where nothing caps levels, those are left out on which fewer agents are expected.
_ROUNDING = 1e-12


class Algebra(Protocol[T]):
    """
    How sums are put together.
    """

    one: T  # Nothing is spent.

    def leaf(self, table: Chances, prices: Prices) -> T:
        """
        A count of which each one costs so much, by the path that pays.
        """

    def times(self, first: T, second: T) -> T:
        """
        One, and the other whatever that was.
        """

    def mix(self, parts: Sequence[tuple[float, T]]) -> T:
        """
        One of them, each with its chance, or with what stands for it until all of them are there.
        """

    def compound(self, table: Chances, one: T) -> T:
        """
        So many of them, each for itself.
        """


class Composer(Generic[T]):
    """
    Puts together what runs of one class of inputs spend.
    """

    def __init__(self, algebra: Algebra[T], workflow: Workflow, measure: Measure, class_index: int) -> None:
        self.algebra = algebra
        self.measure: Measure = measure
        self.class_index = class_index
        self._workflow = workflow

    def run(self) -> T:
        return self.all(self._workflow.graph)

    def table(self, counts: ByClass) -> Chances:
        return chances(counts[self.class_index])

    def product(self, factors: Iterable[T]) -> T:
        product = self.algebra.one
        for factor in factors:
            product = self.algebra.times(product, factor)
        return product

    def all(self, blocks: Sequence[Block]) -> T:
        return self.product(self.block(block) for block in blocks)

    def block(self, block: Block) -> T:
        match block:
            case Call():
                return self._call(block)
            case Tool():
                return self.algebra.leaf(ONCE, ((block.path, tool_weight(block, self.measure)),))
            case Branch():
                options = [(option.chance[self.class_index], option.do) for option in block.options]
                return self.algebra.mix(
                    with_nothing([(share, self.all(do)) for share, do in options], self.algebra.one)
                )
            case Retry():
                return self.algebra.compound(self.attempts(block), self.all(block.do))
            case Loop() if block.grows:
                return self._growing(block)
            case Loop():
                return self.algebra.compound(self.rounds(block), self.all(block.do))
            case Map():
                table = self.table(items_of(self._workflow, block)).up_to(block.most)
                return self.algebra.compound(table, self.all(block.do))
            case Par():
                return self.product(self.all(part) for part in block.parts)
            case Spawn():
                return self._spawn(block)

    def attempts(self, block: Retry) -> Chances:
        return tally(block.name, block.fail[self.class_index], block.most)

    def rounds(self, block: Loop) -> Chances:
        return tally(block.name, block.again[self.class_index], block.most)

    def _call(self, call: Call) -> T:
        rates = weights(call.model, self.measure)
        output = self.table(call.output)
        bands = in_band(self.table(call.prompt), rates)
        return self.algebra.mix([(share, self._priced(call, rate, prompt, output)) for share, rate, prompt in bands])

    def _priced(self, call: Call, rate: Weight, prompt: Chances, output: Chances) -> T:
        counts = ((ONCE, rate.call), (prompt, rate.input), (output, rate.output))
        return self.product(self.algebra.leaf(table, ((call.path, price),)) for table, price in counts)

    def _spawn(self, block: Spawn) -> T:
        own, children = self.all(block.do), self.table(block.children)
        agent = own
        for _ in range(_levels(block, children.mean) - 1):
            agent = self.algebra.times(own, self.algebra.compound(children, agent))
        return agent

    def _growing(self, loop: Loop) -> T:
        """
        Backwards, from the last call on: what a token of the history costs depends only on the calls after it. So the
        rounds of a short loop are the last rounds of a long one, and each number of rounds takes one round more.
        """
        growth = Growth.of(loop, self.measure, self.class_index)
        walk = _Backwards(self, loop, growth)
        states = {growth.start: self.algebra.one}
        rounds = self.rounds(loop).of
        ended: list[tuple[float, T]] = []
        ways = 0
        for share in rounds:
            states = walk.all(loop.do, states)
            ways += len(states)
            if ways > _WAYS_MAX:
                raise NotExact(f"{loop.name} may go on in more than {_WAYS_MAX:,} ways")
            if share > 0:
                ended += [(share, walk.with_prompts(state, spent)) for state, spent in states.items()]
                ended = [(1.0, self.algebra.mix(ended))]
        return ended[0][1]


class _Backwards(Generic[T]):
    """
    Blocks of a growing loop before what is known of it: from each state, what is spent on the way to its end.

    The chances of the states are in what is spent.
    """

    def __init__(self, composer: Composer[T], loop: Loop, growth: Growth) -> None:
        self._composer, self._algebra, self._loop = composer, composer.algebra, loop
        self._growth = growth
        self._of: dict[int, T] = {}

    def all(self, blocks: Sequence[Block], states: dict[State, T]) -> dict[State, T]:
        for block in reversed(blocks):
            states = self._block(block, states)
        return states

    def _block(self, block: Block, states: dict[State, T]) -> dict[State, T]:
        match block:
            case Call(history=True):
                return self._call(block, states)
            case Tool() if block.result is not None:
                return self._tool(block, states)
            case Branch() if any(is_part(member) for member in members((block,))):
                options = [(option.chance[self._composer.class_index], option.do) for option in block.options]
                return self._mix(with_nothing([(share, self.all(do, states)) for share, do in options], states))
            case Retry() if any(is_part(member) for member in members(block.do)):
                return self._retry(block, states)
            case _:
                if id(block) not in self._of:
                    self._of[id(block)] = self._composer.block(block)
                return {state: self._algebra.times(spent, self._of[id(block)]) for state, spent in states.items()}

    def _call(self, call: Call, states: dict[State, T]) -> dict[State, T]:
        index = [other.path for other in self._growth.calls].index(call.path)
        output = self._composer.table(call.output)
        rate = self._growth.rates[index]
        once = self._algebra.leaf(ONCE, ((call.path, rate.call),))
        reached: list[tuple[float, dict[State, T]]] = []
        for state, spent in states.items():
            written = self._algebra.leaf(output, (*self._growth.of_history(state), (call.path, rate.output)))
            spent = self._composer.product([spent, once, written])
            reached += [(share, {before: spent}) for share, before in self._growth.before(state, index)]
        return self._mix(reached)

    def _tool(self, tool: Tool, states: dict[State, T]) -> dict[State, T]:
        assert tool.result is not None
        used, result = self._composer.block(tool), self._composer.table(tool.result)
        return {
            state: self._composer.product([spent, used, self._algebra.leaf(result, self._growth.of_history(state))])
            for state, spent in states.items()
        }

    def _retry(self, block: Retry, states: dict[State, T]) -> dict[State, T]:
        reached: list[tuple[float, dict[State, T]]] = []
        for share in self._composer.attempts(block).of:
            states = self.all(block.do, states)
            reached.append((share, states))
        return self._mix(reached)

    def _mix(self, parts: Sequence[tuple[float, dict[State, T]]]) -> dict[State, T]:
        by_state: dict[State, list[tuple[float, T]]] = {}
        for share, states in parts:
            for state, spent in states.items():
                by_state.setdefault(state, []).append((share, spent))
        if len(by_state) > _STATES_MAX:
            raise NotExact(f"{self._loop.name} may go on in more than {_STATES_MAX:,} ways")
        return {state: self._algebra.mix(found) for state, found in by_state.items()}

    def with_prompts(self, state: State, spent: T) -> T:
        prompts = [
            self._algebra.leaf(self._composer.table(call.prompt), (self._growth.of_prompt(state, at),))
            for at, call in enumerate(self._growth.calls)
        ]
        return self._composer.product([spent, *prompts])


def with_nothing(options: list[tuple[float, T]], nothing: T) -> list[tuple[float, T]]:
    """
    The options that may be taken, and none of them, as far as their chances leave some.
    """
    left = 1 - math.fsum(share for share, _ in options)
    taken = [(share, do) for share, do in options if share > 0]
    return [*taken, (left, nothing)] if left > _ROUNDING else taken


def _levels(block: Spawn, mean: float) -> int:
    if block.most is not None:
        return block.most
    if mean >= 1:
        raise NotExact(f"{block.name} has no max, and {mean:g} children on average: it may never end")
    levels = 2 + math.ceil(math.log(_LEFT) / math.log(mean)) if mean > 0 else 1
    if levels > _LEVELS_MAX:
        raise NotExact(f"{block.name} has no max, and may go on for more than {_LEVELS_MAX:,} levels")
    return levels
