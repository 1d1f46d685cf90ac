"""
Amounts of which only the least and the most are known, in all and by who spends them.
"""

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct


class Interval(Struct, frozen=True):
    low: float
    high: float

    def __add__(self, other: "Interval") -> "Interval":
        return Interval(self.low + other.low, self.high + other.high)

    def times(self, other: "Interval") -> "Interval":
        """
        So many of it; nothing of what may be without end is nothing.
        """
        return Interval(product(self.low, other.low), product(self.high, other.high))

    def until(self, other: "Interval") -> "Interval":
        """
        By how much each of its ends is moved.
        """
        return Interval(_difference(self.low, other.low), _difference(self.high, other.high))

    def moved(self, by: "Interval", times: int) -> "Interval":
        return Interval(self.low + times * by.low, self.high + times * by.high)

    def or_else(self, other: "Interval") -> "Interval":
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def at_most(self, other: "Interval") -> "Interval":
        return Interval(min(self.low, other.low), min(self.high, other.high))


NOTHING = Interval(0.0, 0.0)


class Spent(Struct, frozen=True):
    """
    Attributes:
        highs: The most that each path can spend, whatever the others do.
    """

    all: Interval
    highs: Mapping[str, float]

    def then(self, other: "Spent") -> "Spent":
        highs = dict(self.highs)
        for path, high in other.highs.items():
            highs[path] = highs.get(path, 0.0) + high
        return Spent(self.all + other.all, highs)

    def times(self, count: Interval) -> "Spent":
        return Spent(self.all.times(count), {path: product(high, count.high) for path, high in self.highs.items()})


NO_SPENT = Spent(NOTHING, {})


def _difference(first: float, second: float) -> float:
    return 0.0 if first == second else second - first  # Both may be infinite.


def product(first: float, second: float) -> float:
    return first * second if first and second else 0.0


def one_of(parts: Sequence[Spent]) -> Spent:
    highs: dict[str, float] = {}
    for part in parts:
        for path, high in part.highs.items():
            highs[path] = max(highs.get(path, 0.0), high)
    return Spent(Interval(min(part.all.low for part in parts), max(part.all.high for part in parts)), highs)


def powers(base: float, count: float) -> float:
    """
    ``1 + base + base² + …``, so many terms.
    """
    if count == math.inf:
        return 1 / (1 - base) if base < 1 else math.inf
    total = 0.0
    for _ in range(int(count)):
        total = product(total, base) + 1
        if total == math.inf:
            break
    return total
