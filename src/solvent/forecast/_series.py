"""
Rounds one after the other, of which each costs as much more than the one before: found by the first and the last.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from solvent.forecast._intervals import NO_SPENT, Interval, Spent
from solvent.forecast._talk import Talk

Round: TypeAlias = Callable[[Talk], tuple[Spent, Talk]]

_ALIKE = 1e-9


def in_turn(of: Round, talk: Talk, count: int) -> tuple[Spent, Talk]:
    """
    What so many rounds spend, and what is known after them.

    What a call costs is linear in its history, but for a few sizes at which it pays another rate or is summed up.
    """
    spent, reach = NO_SPENT, count
    while count:
        reach = min(reach, count)
        found = _linear(of, talk, reach) if reach > 2 else None
        if found is None and reach > 2:
            reach //= 2
            continue
        done = 1 if found is None else reach
        more, talk = found or of(talk)
        spent, count, reach = spent.then(more), count - done, max(2 * reach, 3)
    return spent, talk


def _linear(of: Round, talk: Talk, count: int) -> tuple[Spent, Talk] | None:
    """
    The same of rounds that go on as the first two begin, as is seen by those in the middle and at the end.
    """
    first, after = of(talk)
    second, _ = of(after)
    tokens = talk.until(after)
    for number in (1, count // 2, count - 1):
        before = talk.moved(tokens, number)
        last, end = of(before)
        if end != after.moved(tokens, number) or not _on_a_line(first, second, last, number):
            return None
    return first.then(last).times(Interval(count / 2, count / 2)), end


def _on_a_line(first: Spent, second: Spent, other: Spent, number: int) -> bool:
    if not first.highs.keys() == second.highs.keys() == other.highs.keys():
        return False
    expected = first.all.moved(first.all.until(second.all), number)
    pairs = [(expected.low, other.all.low), (expected.high, other.all.high)]
    for path, high in first.highs.items():
        more = Interval(high, high).until(Interval(second.highs[path], second.highs[path])).high
        pairs.append((high + number * more, other.highs[path]))
    return all(math.isclose(one, found, rel_tol=_ALIKE) for one, found in pairs)
