"""
What a token of a growing history costs, by what comes after it: it is read again by each later call of its loop.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from msgspec import Struct

from solvent.forecast._chances import Chances, NotExact, chances
from solvent.forecast._model import Block, Branch, Call, Loop, Retry, Tool, chance, parts_of
from solvent.forecast._weights import Measure, Weight, weights

__all__ = ["Growth", "NotExact", "Price", "State", "in_band", "is_part", "members", "tally"]

Price: TypeAlias = tuple[str, float]  # The path that pays, and what it pays for each one.

ROUNDS_MAX = 20_000
_LEFT = 1e-16  # Where nothing caps rounds or attempts, those are left out that are less likely.


class State(Struct, frozen=True, kw_only=True):
    """
    What is known of a growing loop from some moment on.

    Attributes:
        later: How many calls each of its blocks still makes.
        missed: How many of them, but for the next, will miss the cache; counted where it finds them by chance.
        next: Which block calls next; -1 for none.
    """

    later: tuple[int, ...]
    missed: int = 0
    next: int = -1


class Growth(Struct, frozen=True, kw_only=True):
    """
    The calls of a growing loop, with the prices that they pay.

    Attributes:
        found: The chance of each call's model that what is sent again is in the cache; ``None`` where it has none.
    """

    calls: tuple[Call, ...]
    rates: tuple[Weight, ...]
    found: tuple[float | None, ...]

    @property
    def start(self) -> State:
        return State(later=(0,) * len(self.calls))

    def before(self, state: State, index: int) -> Iterator[tuple[float, State]]:
        """
        With one more call, before all of these; by what becomes of the one that was the next.
        """
        later = (*state.later[:index], state.later[index] + 1, *state.later[index + 1 :])
        found = self.found[index]
        if found is None or found == 1 or state.next < 0:
            yield 1.0, State(later=later, missed=state.missed, next=index)
            return
        yield found, State(later=later, missed=state.missed, next=index)
        yield 1 - found, State(later=later, missed=state.missed + 1, next=index)

    def of_history(self, state: State) -> tuple[Price, ...]:
        """
        What one token costs that is added to the history now.
        """
        return tuple([(call.path, self._again(state, at, at == state.next)) for at, call in enumerate(self.calls)])

    def of_prompt(self, state: State, at: int) -> Price:
        """
        What one token of a call's prompt costs in all.
        """
        return self.calls[at].path, self._again(state, at, state.later[at] > 0)

    def _again(self, state: State, at: int, is_first: bool) -> float:
        rate, later = self.rates[at], state.later[at]
        if self.found[at] is None:
            return later * rate.input
        written = state.missed + is_first
        return written * rate.cache_write + (later - written) * rate.cache_read

    @classmethod
    def of(cls, loop: Loop, measure: Measure, class_index: int) -> "Growth":
        """
        Raises:
            NotExact: What its calls pay depends on more than the calls after each.
        """
        calls = tuple([part for part in members(loop.do) if isinstance(part, Call) and part.history])
        rounds = len(tally(loop.name, loop.again[class_index], loop.most).of)
        most = rounds * _added_most(loop.do, class_index)
        for call in calls:
            prompt = chances(call.prompt[class_index])
            if loop.compaction and prompt.least + len(prompt.of) - 1 + most > loop.compaction.at:
                raise NotExact(f"{loop.name} may sum up its history")
        rates = tuple([_rate_of(call, loop, measure, class_index, most) for call in calls])
        found = tuple([_found(call, rate) for call, rate in zip(calls, rates, strict=True)])
        if len(calls) > 1 and any(share not in (None, 1.0) for share in found):
            raise NotExact(f"{loop.name} has more than one call a round, and finds its cache by chance")
        return cls(calls=calls, rates=rates, found=found)


def _found(call: Call, rate: Weight) -> float | None:
    alike = rate.input == rate.cache_read == rate.cache_write
    return None if alike or call.model.cached == 0 else call.model.cached


def _rate_of(call: Call, loop: Loop, measure: Measure, class_index: int, history: float) -> Weight:
    prompt = chances(call.prompt[class_index])
    fitting = weights(call.model, measure)
    least, most = prompt.least, prompt.least + len(prompt.of) - 1 + history
    last = [weight for weight in fitting if weight.above == 0 or weight.above < most][-1]
    if last.above and last.above >= least:
        raise NotExact(
            f"{call.name} in {loop.name} may pay another rate once its history is above {last.above:,} tokens"
        )
    return last


def members(blocks: Sequence[Block]) -> Iterator[Call | Tool]:
    """
    The calls and tools that belong to the same growing loop as these blocks, in order.
    """
    for block in blocks:
        match block:
            case Call() | Tool():
                yield block
            case Branch() | Retry():
                for part in parts_of(block):
                    yield from members(part)
            case _:
                pass


def is_part(member: Call | Tool) -> bool:
    """
    Whether it reads the history or adds to it.
    """
    return member.history if isinstance(member, Call) else member.result is not None


def _added_most(blocks: Sequence[Block], class_index: int) -> int:
    """
    The most tokens that one round adds.
    """
    most = 0
    for block in blocks:
        match block:
            case Call(history=True):
                most += _most(chances(block.output[class_index]))
            case Tool() if block.result is not None:
                most += _most(chances(block.result[class_index]))
            case Retry():
                attempts = len(tally(block.name, block.fail[class_index], block.most).of)
                most += attempts * _added_most(block.do, class_index)
            case Branch():
                most += max([_added_most(option.do, class_index) for option in block.options], default=0)
            case _:
                pass
    return most


def _most(table: Chances) -> int:
    return table.least + len(table.of) - 1


@lru_cache(maxsize=1_024)
def tally(name: str, again: tuple[float, ...], most: int | None) -> Chances:
    """
    How many rounds or attempts there are, when each is followed by another with such a chance.

    Raises:
        NotExact: There is no end to them, or not soon enough.
    """
    ended: list[float] = []
    left = 1.0
    while left > _LEFT:
        number = len(ended) + 1
        share = 0.0 if number == most else chance(again, number - 1)
        ended.append(left * (1 - share))
        left *= share
        if number == ROUNDS_MAX and left > 0:
            raise NotExact(f"{name} may go on for more than {ROUNDS_MAX:,} rounds")
    ended[-1] += left
    return Chances(1, np.array(ended))


@lru_cache(maxsize=1_024)
def in_band(prompt: Chances, rates: tuple[Weight, ...]) -> tuple[tuple[float, Weight, Chances], ...]:
    """
    The prompts that pay each rate: how likely they are, and which they are.
    """
    if len(rates) == 1:
        return ((1.0, rates[0], prompt),)
    found = []
    for at, rate in enumerate(rates):
        first = max(rate.above + 1 - prompt.least, 0) if at else 0
        end = max(rates[at + 1].above + 1 - prompt.least, 0) if at + 1 < len(rates) else len(prompt.of)
        part = prompt.of[first:end]
        if (share := float(part.sum())) > 0:
            found.append((share, rate, Chances(prompt.least + first, part / share)))
    return tuple(found)
