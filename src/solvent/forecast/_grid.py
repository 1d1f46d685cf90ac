"""
Generating functions of distributions on a grid, at so many points that the distribution follows from them.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import fsum
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from solvent.forecast._algebras import Jet, Jets
from solvent.forecast._chances import Chances, Floats
from solvent.forecast._compose import Prices

Side: TypeAlias = Literal["down", "mean", "up"]
Transform: TypeAlias = NDArray[np.complex128]

_NEAR = 1e-9  # Of a cell: what is so near to a point of the grid lies on it.
_REMEMBERED = 2**23  # Cells of transforms of leaves, 64 MB.
_DAMPING = 16.0  # What is left of what is above, 1e-7, is about as much as the rounding, which it makes larger.
_AT_ONCE = 2_048  # Points of a transform that a polynomial is found at; its powers are to fit into the cache.


class Grid:
    """
    The amounts ``0, step, 2 step, …``, so many as ``cells``, a power of two. What is above begins again at 0.

    Attributes:
        side: Where an amount between two points is put: on both so that the mean stays, or always down, or always up.
        damped: What is above is left out, but for next to nothing. The functions are found on a smaller circle: there
            what lies one length of the grid further counts ``exp(_DAMPING)`` times less.
    """

    def __init__(self, *, step: float, cells: int, side: Side, damped: bool = False) -> None:
        self.step, self.cells, self.side, self.damped = step, cells, side, damped
        self._weights = np.exp(-_DAMPING / cells * np.arange(cells)) if damped else np.ones(cells)
        self.one: Transform = np.ones(cells // 2 + 1, dtype=np.complex128)
        self._leaves: dict[tuple[Chances, float], Transform] = {}

    def leaf(self, table: Chances, prices: Prices) -> Transform:
        price = fsum(price for _, price in prices)
        if price == 0:
            return self.one
        found = self._leaves.get((table, price))
        if found is None:
            found = np.fft.rfft(self._masses(table, price / self.step), self.cells)
            if len(self._leaves) * self.cells > _REMEMBERED:
                self._leaves.clear()
            self._leaves[table, price] = found
        return found

    def _masses(self, table: Chances, cells_each: float) -> Floats:
        if self.damped:
            masses = _on_grid(table, cells_each, self.side, self.cells)
            masses *= self._weights[: len(masses)]
            return masses
        masses = _on_grid(table, cells_each, self.side)
        if len(masses) > self.cells:
            masses = np.append(masses, np.zeros(-len(masses) % self.cells)).reshape(-1, self.cells).sum(axis=0)
        return masses

    def times(self, first: Transform, second: Transform) -> Transform:
        if first is self.one:
            return second
        return first if second is self.one else first * second

    def mix(self, parts: Sequence[tuple[float, Transform]]) -> Transform:
        if len(parts) == 1 and parts[0][0] == 1:
            return parts[0][1]
        mixed = np.zeros_like(self.one)
        for share, part in parts:
            mixed += part if share == 1 else share * part
        return mixed

    def compound(self, table: Chances, one: Transform) -> Transform:
        if len(table.of) == 1 and table.least == 1:
            return one
        found = np.empty_like(one)
        for begin in range(0, len(one), _AT_ONCE):
            part = slice(begin, begin + _AT_ONCE)
            found[part] = _power(one[part], table.least) * _polynomial(table.of, one[part])
        return found

    def chances(self, transform: Transform) -> Floats:
        """
        The distribution itself.
        """
        return np.maximum(np.fft.irfft(transform, self.cells), 0.0) / self._weights


class RoundedMeans(Jets):
    """
    What the means are of what a grid makes of each count, wherever its end is.
    """

    def __init__(self, grid: Grid) -> None:
        super().__init__([""])
        self._grid = grid

    def leaf(self, table: Chances, prices: Prices) -> Jet:
        grid, price = self._grid, fsum(price for _, price in prices)
        if price == 0:
            return self.one
        masses = _on_grid(table, price / grid.step, grid.side)
        mean = float(masses @ np.arange(len(masses))) * grid.step
        return Jet(1.0, np.array([mean]), 0.0)


def _on_grid(table: Chances, cells_each: float, side: Side, cells: int | None = None) -> Floats:
    """
    The masses of a count of which each one is so many cells wide; in the first cells, where their number is given.
    """
    needed = int((table.least + len(table.of) - 1) * cells_each) + 3
    if len(table.of) <= needed:
        return _one_by_one(table, cells_each, side, needed if cells is None else min(needed, cells))
    needed = needed if cells is None else min(needed, cells)
    below, below_sum = _sums(table)
    points = np.arange(-1, needed, dtype=np.float64)
    if side == "mean":
        # What lies below each point, by how far: a hat over each point is the second difference of it.
        last = np.clip(np.floor(points / cells_each + _NEAR) - table.least + 1, 0, len(table.of)).astype(np.int64)
        hats: Floats = np.maximum(np.diff(points * below[last] - cells_each * below_sum[last], n=2), 0.0)
        return hats
    shift = -_NEAR if side == "down" else _NEAR
    last = np.ceil((points + 1 + shift) / cells_each) if side == "down" else np.floor((points + shift) / cells_each) + 1
    reached = below[np.clip(last - table.least, 0, len(table.of)).astype(np.int64)]
    return np.diff(reached)


def _one_by_one(table: Chances, cells_each: float, side: Side, needed: int) -> Floats:
    places = table.values * cells_each
    inside = int(np.searchsorted(places, needed))  # Of the others nothing is put there.
    places, of = places[:inside], table.of[:inside]
    if side == "up":
        return _laid(np.ceil(places - _NEAR).astype(np.int64), of, needed)
    cells = np.floor(places + _NEAR).astype(np.int64)
    if side == "down":
        return _laid(cells, of, needed)
    above = places - cells
    above[above < _NEAR] = 0.0
    return _laid(cells, of * (1 - above), needed) + _laid(cells + 1, of * above, needed)


def _laid(cells: NDArray[np.int64], chances: Floats, needed: int) -> Floats:
    return np.bincount(cells, chances, needed)[:needed].astype(np.float64, copy=False)


@lru_cache(maxsize=256)
def _sums(table: Chances) -> tuple[Floats, Floats]:
    """
    The chance of less than each value, and the mean of what is less.
    """
    return np.append(0.0, np.cumsum(table.of)), np.append(0.0, np.cumsum(table.of * table.values))


def _power(base: Transform, exponent: int) -> Transform:
    power = np.ones_like(base)
    while exponent:
        if exponent & 1:
            power *= base
        base, exponent = base * base, exponent >> 1
    return power


def _polynomial(coefficients: Floats, at: Transform) -> Transform:
    """
    By its parts of about as many terms as there are parts, all of which one product of matrices finds.
    """
    terms = max(1, int(len(coefficients) ** 0.5))
    powers = np.empty((terms, len(at)), dtype=np.complex128)
    powers[0] = 1
    for number in range(1, terms):
        np.multiply(powers[number - 1], at, out=powers[number])
    padded = np.append(coefficients, np.zeros(-len(coefficients) % terms)).reshape(-1, terms)
    parts: Transform = (padded @ powers.view(np.float64)).view(np.complex128)
    found: Transform = parts[-1].copy()
    step = powers[-1] * at
    for part in parts[-2::-1]:
        found *= step
        found += part
    return found
