"""
Counts as tables: each value that one can take, and its chance.
"""

import math
from functools import lru_cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from solvent.forecast._counts import Count, Fixed, Lognormal, NegativeBinomial, OneOf

Floats = NDArray[np.float64]

TAIL = 1e-15  # Where nothing caps a count, so much of it is left out above, and laid on the last value.
_CELLS_MAX = 2**22


class Chances(Struct, frozen=True, eq=False):
    """
    The chance of ``least``, of ``least + 1``, and so on; they add up to 1.
    """

    least: int
    of: Floats

    @property
    def values(self) -> Floats:
        return np.arange(self.least, self.least + len(self.of), dtype=np.float64)

    @property
    def mean(self) -> float:
        return float(self.of @ self.values)

    @property
    def variance(self) -> float:
        return float(self.of @ (self.values - self.mean) ** 2)

    def up_to(self, most: int | None) -> "Chances":
        """
        The same, with all that is above ``most`` laid on it.
        """
        if most is None or most >= self.least + len(self.of) - 1:
            return self
        if most <= self.least:
            return Chances(most, np.ones(1))
        kept = self.of[: most - self.least + 1].copy()
        kept[-1] += self.of[len(kept) :].sum()
        return Chances(self.least, kept)


class NotExact(ValueError):
    """
    The formulas do not reach so far; says why in a sentence.
    """


@lru_cache(maxsize=1_024)
def chances(count: Count) -> Chances:
    """
    The table of a count.

    Raises:
        NotExact: It goes on for too long to be listed.
    """
    usual = count.usual
    match usual:
        case Fixed():
            found = Chances(usual.value, np.ones(1))
        case OneOf():
            table = _empty(usual.values[0], usual.values[-1])
            table[np.array(usual.values) - usual.values[0]] = usual.chances
            found = Chances(usual.values[0], table / table.sum())
        case Lognormal():
            found = _lognormal(usual)
        case NegativeBinomial():
            found = _negative_binomial(usual)
    if count.rare is None:
        return found
    rare = count.rare
    least = min(found.least, rare.least)
    table = _empty(least, max(found.least + len(found.of) - 1, rare.most))
    table[found.least - least :][: len(found.of)] += (1 - rare.share) * found.of
    table[rare.least - least : rare.most + 1 - least] += rare.share / (rare.most + 1 - rare.least)
    return Chances(least, table)


def _empty(least: int, most: int) -> Floats:
    if most - least >= _CELLS_MAX:
        raise NotExact(f"a count from {least:,} to {most:,} is too wide to be listed")
    return np.zeros(most - least + 1)


def _lognormal(usual: Lognormal) -> Chances:
    if usual.sigma == 0:
        at = math.ceil(usual.p50 - 1e-9)
        return Chances(at if usual.most is None else min(at, usual.most), np.ones(1))
    most = usual.most
    if most is None:
        # TAIL is at 7.9 standard deviations; what is above the table's room is not listed, however far it goes.
        most = math.ceil(math.exp(min(usual.mu + 8 * usual.sigma, math.log(2 * _CELLS_MAX))))
    if most > _CELLS_MAX:
        ends = "has no max" if usual.most is None else f"has a max of {most:,}"
        quantiles = f"a p50 of {usual.p50:,.10g} and a p95 of {usual.p95:,.10g}"
        raise NotExact(f"a count through {quantiles} {ends}: it is too wide to be listed")
    above = np.log(np.arange(1, most, dtype=np.float64))
    above -= usual.mu
    above /= usual.sigma * math.sqrt(2)
    # Of the smaller tail each, so that no digits are lost in either.
    left = np.fromiter((math.erfc(-at) if at < 0 else math.erfc(at) for at in above), np.float64, len(above)) / 2
    reached = np.where(above < 0, left, 1 - left)
    table = np.diff(np.concatenate(([0.0], reached, [1.0])))
    upper = above[:-1] >= 0
    table[1:-1][upper] = (left[:-1] - left[1:])[upper]
    if len(above) and above[-1] >= 0:
        table[-1] = left[-1]
    return Chances(1, table)


def _negative_binomial(usual: NegativeBinomial) -> Chances:
    mean = usual.mean - usual.least
    if mean == 0:
        return Chances(usual.least, np.ones(1))
    if mean > _CELLS_MAX:
        raise NotExact(f"a count with a mean of {usual.mean:,.10g} is too large to be listed")
    terms, number, reached = [], 0, 0.0
    last = math.inf if usual.most is None else usual.most - usual.least
    log = -mean if math.isinf(usual.size) else usual.size * math.log(usual.size / (mean + usual.size))
    while number < last and (reached < 1 - TAIL or number <= mean):
        terms.append(math.exp(log))
        reached += terms[-1]
        number += 1
        if math.isinf(usual.size):
            log += math.log(mean / number)
        else:
            log += math.log(mean / (mean + usual.size) * (usual.size + number - 1) / number)
        if usual.most is None and number > _CELLS_MAX:
            raise NotExact(f"a count with a mean of {usual.mean:g} has no max, and scatters too widely to be listed")
        if usual.most is None and number > mean and terms[-1] < TAIL * 1e-3:
            break
    terms.append(max(0.0, 1 - math.fsum(terms)))
    return Chances(usual.least, np.array(terms))
