"""
A distribution as the exact engine finds it: on several grids, the finer ones for what is nearer to 0.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from solvent.forecast._chances import Floats

_ROUNDING = 1e-12
_UNSURE = 1e-7  # So much may be reached more, or less, than is found.
FINE = 16  # What a grid tells well is a sixteenth of all of it, or more.
_EDGE = 1e-6  # Of a step: so far before a point a jump to it begins.


class OnGrid(Struct, frozen=True, eq=False, kw_only=True):
    """
    The chances of 0, one ``step``, two, and so on.

    Attributes:
        jumps: Nothing lies between the points; else each but 0 stands for what is around it.
    """

    step: float
    chances: Floats
    jumps: bool

    @property
    def at(self) -> Floats:
        return self.step * np.arange(len(self.chances), dtype=np.float64)

    @property
    def end(self) -> float:
        return self.step * (len(self.chances) - 1)

    def knots(self) -> tuple[Floats, Floats]:
        """
        Points, and how much is reached there, linear in between.
        """
        reached = np.cumsum(self.chances)
        before = np.concatenate(([0.0], reached[:-1]))
        if not self.jumps:  # But for those that cost nothing, who cost that exactly.
            around = np.append([-_EDGE * self.step, 0.0], self.at + self.step / 2)
            return around, np.append([0.0, reached[0]], reached)
        points = np.repeat(self.at, 2) - np.tile([2 * _EDGE * self.step, _EDGE * self.step], len(reached))
        return points, np.column_stack((before, reached)).ravel()


class Distribution(Struct, frozen=True, eq=False, kw_only=True):
    """
    What a run may spend.

    Attributes:
        least, most: Nothing is below or above; where nothing caps it, next to nothing.
        at: Ascending; a point stands for what is around it.
        chances: Of each of them; they add up to 1.
        points: Where ``reached_there`` is known; it is linear in between.
        grids: From the widest to the finest, each as far as its end.
    """

    least: float
    most: float
    at: Floats
    chances: Floats
    points: Floats
    reached_there: Floats
    grids: tuple[OnGrid, ...]

    @property
    def jumps(self) -> bool:
        return self.grids[0].jumps

    @property
    def mean(self) -> float:
        return float(self.chances @ self.at)

    @property
    def sd(self) -> float:
        return math.sqrt(float(self.chances @ (self.at - self.mean) ** 2))

    def reached(self, amount: float) -> float:
        """
        The chance of at most so much.
        """
        if amount >= self.most:
            return 1.0
        if self.jumps:
            at = int(np.searchsorted(self.points, amount * (1 + _ROUNDING), side="right"))
            return float(self.reached_there[at - 1]) if at else 0.0
        return float(np.interp(amount, self.points, self.reached_there)) if amount >= self.least else 0.0

    def quantile(self, share: float) -> float:
        """
        The least amount that so large a share of all runs does not pass.
        """
        if self.jumps:
            at = int(np.searchsorted(self.reached_there, share * (1 - _ROUNDING)))
            return float(self.points[min(at, len(self.points) - 1)])
        # Where nothing lies between cheap runs and dear ones, the last of the cheap ones, whatever the rounding says.
        found = float(np.interp(share - _UNSURE if share < 1 else 1.0, self.reached_there, self.points))
        grid = self.grid_at(found)
        if grid.jumps:
            found = grid.step * round(found / grid.step)
        return min(max(found, self.least), self.most)

    def quantile_is_sure(self, share: float) -> bool:
        """
        Whether the grid is fine there: a step of it is next to nothing beside the quantile.
        """
        amount = self.quantile(share)
        grid = self.grid_at(amount)
        return grid.jumps or amount * FINE >= grid.end

    def grid_at(self, amount: float) -> OnGrid:
        """
        The finest grid that reaches so far.
        """
        return next((grid for grid in reversed(self.grids) if amount <= grid.end), self.grids[0])


def together(grids: Sequence[OnGrid], *, least: float, most: float) -> Distribution:
    """
    Each amount by the finest grid that reaches so far, from the widest grid to the finest.
    """
    widest = grids[0]
    if widest.jumps:
        points, reached = widest.at, np.cumsum(widest.chances)
    else:
        parts: list[tuple[Floats, Floats]] = []
        begin = -math.inf
        for grid in reversed(grids):
            there, known = grid.knots()
            part = (there > begin) & (there <= grid.end) if grid is not widest else there > begin
            parts.append((there[part], known[part]))
            begin = grid.end
        points, reached = np.concatenate([there for there, _ in parts]), np.concatenate([known for _, known in parts])
    reached = np.minimum(np.maximum.accumulate(reached), 1.0)
    return Distribution(
        least=least,
        most=most,
        at=widest.at,
        chances=widest.chances,
        points=points,
        reached_there=reached,
        grids=tuple(grids),
    )
