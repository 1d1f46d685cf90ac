"""
A distribution as the exact engine finds it: of each class on a grid of its own, and of all of them together.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from solvent.forecast._chances import Floats

_ROUNDING = 1e-12
_EDGE = 1e-6  # Of a step: so far before a point a jump to it begins.


class OnGrid(Struct, frozen=True, eq=False, kw_only=True):
    """
    One class: the chances of 0, one ``step``, two, and so on.

    Attributes:
        jumps: Nothing lies between the points; else each stands for what is around it.
    """

    share: float
    step: float
    chances: Floats
    jumps: bool

    @property
    def at(self) -> Floats:
        return self.step * np.arange(len(self.chances), dtype=np.float64)

    def knots(self) -> tuple[Floats, Floats]:
        """
        Points, and how much is reached there, linear in between.
        """
        reached = np.cumsum(self.chances)
        before = np.concatenate(([0.0], reached[:-1]))
        if not self.jumps:
            return np.append(-self.step / 2, self.at + self.step / 2), np.append(0.0, reached)
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
    """

    least: float
    most: float
    at: Floats
    chances: Floats
    points: Floats
    reached_there: Floats
    jumps: bool

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
        found = float(np.interp(share, self.reached_there, self.points))
        return min(max(found, self.least), self.most)


def together(classes: Sequence[OnGrid], *, least: float, most: float) -> Distribution:
    """
    All classes, each with its share.
    """
    at = np.concatenate([one.at for one in classes])
    chances = np.concatenate([one.share * one.chances for one in classes])
    order = np.argsort(at, kind="stable")
    at, chances = at[order], chances[order]
    if jumps := all(one.jumps for one in classes):
        points, reached = at, np.cumsum(chances)
    else:
        each = [one.knots() for one in classes]
        points = np.sort(np.concatenate([there for there, _ in each]), kind="stable")
        reached = sum(
            (one.share * np.interp(points, *known) for one, known in zip(classes, each, strict=True)),
            np.zeros(len(points)),
        )
    reached = np.minimum(np.maximum.accumulate(reached), 1.0)
    return Distribution(
        least=least, most=most, at=at, chances=chances, points=points, reached_there=reached, jumps=jumps
    )
