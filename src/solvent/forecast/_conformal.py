"""
Limits from runs by their order alone: however they are distributed, the next run passes one with a known chance.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from solvent.forecast._chances import Floats

CONFIDENCE = 0.95
_EXACT = 1e-12  # What a product of shares and counts may be off by without being another number.
_HALVINGS = 100
_TERMS = 100_000
_TINY = 1e-300  # In the place of 0, by which nothing can be divided.


def rank(may_pass: float, runs: int) -> int:
    """
    Which of the runs, in ascending order from 1 on, is passed by the next one with at most this chance; above ``runs``
    where there are too few.

    Source:
        Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World" (2005), 2.2: of n + 1 exchangeable values
        each is as likely as any other to be the last one, read 2026-11-22.
    """
    return math.ceil((1 - may_pass) * (runs + 1) - _EXACT * runs)


def sure_rank(may_pass: float, runs: int, *, confidence: float = CONFIDENCE) -> int:
    """
    Which of the runs is surely passed by at most this share of all further ones: in so many cases of a hundred the
    runs at hand are such that it is. Above ``runs`` where there are too few.

    Source:
        S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics 12
        (1941): what lies below the r-th of n values has a share that is distributed as Beta(r, n + 1 - r), read
        2026-11-22.
    """
    low, high = 0, runs + 1  # The share below the one of rank 0 is never enough.
    while high - low > 1:
        middle = (low + high) // 2
        if 1 - beta_reached(middle, runs + 1 - middle, 1 - may_pass) >= confidence - _EXACT:
            high = middle
        else:
            low = middle
    return high


def runs_needed(may_pass: float, *, confidence: float | None = None) -> int:
    """
    How many runs it takes until the dearest of them is such a limit.

    Args:
        confidence: As ``sure_rank`` has it; without it as ``rank`` has.
    """
    if confidence is None:
        return math.ceil(1 / may_pass - 1 - _EXACT / may_pass)
    return math.ceil(math.log(1 - confidence) / math.log1p(-may_pass) - _EXACT)


def share_interval(passed: int, runs: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """
    Where the share of all runs lies of which so many were seen among these.

    Source:
        C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
        binomial", Biometrika 26 (1934), read 2026-11-22.
    """
    rest = (1 - confidence) / 2
    low = 0.0 if passed == 0 else beta_quantile(passed, runs - passed + 1, rest)
    high = 1.0 if passed == runs else beta_quantile(passed + 1, runs - passed, 1 - rest)
    return low, high


class Level(Struct, frozen=True, kw_only=True, eq=False):
    """
    Limits of several figures of a run, found so that their chance to be passed holds for all of them together.

    Attributes:
        limits: One for each figure.
        is_found: Whether there were enough runs; else the limits are the largest figures that were seen.
    """

    limits: tuple[float, ...]
    is_found: bool


def joint_limits(
    figures: Sequence[Floats],
    may_pass: float,
    *,
    passed_anyway: NDArray[np.bool_] | None = None,
    rank_of: Callable[[float, int], int] = rank,
) -> Level:
    """
    Limits that the next run keeps to in all figures but for this chance.

    Half of the runs say how far up a figure stands among its kind, by its rank; the other half, how high the highest
    rank of a run is. So the share holds whatever the figures have to do with each other, and however many there are. No
    more of all these runs pass them either.

    Args:
        figures: Of the same runs.
        passed_anyway: Runs that something else ends, which counts.
        rank_of: ``rank`` or ``sure_rank``.
    """
    runs = len(figures[0])
    if runs < 2:
        return Level(limits=tuple([float(figure.max()) for figure in figures]), is_found=False)
    # By chance, for runs may come in an order, such as that of numbers that are spread evenly.
    order = np.random.Generator(np.random.SFC64(0)).permutation(runs)
    of_ranks, of_level = order[: runs // 2], order[runs // 2 :]
    ranked = [np.sort(figure[of_ranks]) for figure in figures]
    height = np.max([_height(of, figure) for of, figure in zip(ranked, figures, strict=True)], axis=0)
    if passed_anyway is not None:
        height[passed_anyway] = np.inf
    reached = max(_smallest(heights, rank_of(may_pass, len(heights))) for heights in (height[of_level], height))
    if math.isinf(reached):
        return Level(limits=tuple([float(figure.max()) for figure in figures]), is_found=False)
    return Level(limits=tuple([_at_height(of, reached) for of in ranked]), is_found=True)


def _smallest(heights: Floats, number: int) -> float:
    """
    The smallest but so many; infinite where there are not so many.
    """
    return math.inf if number > len(heights) else float(np.sort(heights)[number - 1])


def _height(ranked: Floats, figure: Floats) -> Floats:
    """
    The place of the smallest ranked figure that is no smaller; above them all, how many times the largest it is.
    """
    place = np.searchsorted(ranked, figure).astype(np.float64)
    above = figure > ranked[-1]
    with np.errstate(divide="ignore"):
        place[above] = len(ranked) - 2 + figure[above] / ranked[-1]
    return place


def _at_height(ranked: Floats, height: float) -> float:
    last = len(ranked) - 1
    return float(ranked[int(height)]) if height <= last else float(ranked[-1]) * (height - last + 1)


def beta_quantile(a: float, b: float, share: float) -> float:
    """
    Below which so much of Beta(a, b) lies.
    """
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_reached(a, b, middle) < share else (low, middle)
    return high


def beta_reached(a: float, b: float, at: float) -> float:
    """
    How much of Beta(a, b) lies below: the regularized incomplete beta function.

    Source:
        NIST Digital Library of Mathematical Functions, 8.17.22 (a continued fraction that goes fast below the mean)
        and 8.17.4 (above it, from the other side), read 2026-11-22.
    """
    if at <= 0 or at >= 1:
        return float(at >= 1)
    if at > (a + 1) / (a + b + 2):
        return 1 - beta_reached(b, a, 1 - at)
    log = a * math.log(at) + b * math.log1p(-at) - math.log(a)
    return math.exp(log + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)) * _fraction(a, b, at)


def _fraction(a: float, b: float, at: float) -> float:
    """
    The continued fraction, by the ratios of what its neighboring approximations have above and below the line.
    """
    above, below, found = 1.0, 0.0, 1.0
    for term in range(1, _TERMS):
        half = term // 2
        of = half * (b - half) if term % 2 == 0 else -(a + half) * (a + b + half)
        of *= at / ((a + term - 1) * (a + term))
        below = 1 / (1 + of * below or _TINY)
        above = 1 + of / above or _TINY
        found *= above * below
        if abs(above * below - 1) < 1e-15:
            break
    return 1 / found
