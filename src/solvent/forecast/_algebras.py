"""
Sums of which only some numbers are kept: their first two moments, and the ends of their range.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from msgspec import Struct

from solvent.forecast._chances import Chances, Floats
from solvent.forecast._compose import Prices

_PARTS = 10**12  # Of a dollar or a token: prices are whole numbers of them.


class Jet(Struct, frozen=True, eq=False):
    """
    Beginning of a transform: how likely it is, its means by who pays, and the mean of its square, times that chance.
    """

    mass: float
    means: Floats
    square: float


class Jets:
    """
    Moments, exactly.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._index = {path: at for at, path in enumerate(paths)}
        self.one = Jet(1.0, np.zeros(len(paths)), 0.0)

    def leaf(self, table: Chances, prices: Prices) -> Jet:
        first, second = _moments(table)
        means = np.zeros(len(self._index))
        for path, price in prices:
            means[self._index[path]] += price * first
        return Jet(1.0, means, math.fsum(price for _, price in prices) ** 2 * second)

    def times(self, first: Jet, second: Jet) -> Jet:
        both = 2 * float(first.means.sum()) * float(second.means.sum())
        return Jet(
            first.mass * second.mass,
            first.means * second.mass + second.means * first.mass,
            first.square * second.mass + both + second.square * first.mass,
        )

    def mix(self, parts: Sequence[tuple[float, Jet]]) -> Jet:
        return Jet(
            math.fsum(share * jet.mass for share, jet in parts),
            np.sum([share * jet.means for share, jet in parts], axis=0),
            math.fsum(share * jet.square for share, jet in parts),
        )

    def compound(self, table: Chances, one: Jet) -> Jet:
        first, second = _moments(table)
        pairs = (second - first) * float(one.means.sum()) ** 2
        return Jet(1.0, first * one.means, first * one.square + pairs)


@lru_cache(maxsize=1_024)
def _moments(table: Chances) -> tuple[float, float]:
    return table.mean, float(table.of @ table.values**2)


class Extent(Struct, frozen=True):
    """
    The least and the most of a sum, and what divides all that it can be, in parts of one.
    """

    least: float
    most: float
    divisor: int


class Extents:
    """
    Ranges, as far as the tables of the counts go.
    """

    one = Extent(0.0, 0.0, 0)

    def leaf(self, table: Chances, prices: Prices) -> Extent:
        price = math.fsum(price for _, price in prices)
        least, most, divisor = _support(table)
        return Extent(price * least, price * most, round(price * _PARTS) * divisor)

    def times(self, first: Extent, second: Extent) -> Extent:
        divisor = math.gcd(first.divisor, second.divisor)
        return Extent(first.least + second.least, first.most + second.most, divisor)

    def mix(self, parts: Sequence[tuple[float, Extent]]) -> Extent:
        extents = [extent for share, extent in parts if share > 0]
        divisor = math.gcd(*[extent.divisor for extent in extents])
        return Extent(min(extent.least for extent in extents), max(extent.most for extent in extents), divisor)

    def compound(self, table: Chances, one: Extent) -> Extent:
        least, most, _ = _support(table)
        return Extent(least * one.least, most * one.most if most else 0.0, one.divisor)


def step_of(extent: Extent) -> float:
    """
    What divides all that it can be; 0 where it is always 0.
    """
    return extent.divisor / _PARTS


@lru_cache(maxsize=1_024)
def _support(table: Chances) -> tuple[int, int, int]:
    possible = np.flatnonzero(table.of) + table.least
    return int(possible[0]), int(possible[-1]), int(np.gcd.reduce(possible))
