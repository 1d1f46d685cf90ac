"""
Counts that nobody knows before a run: tokens, rounds, items; as people declare them, p50 and p95 and a most.
"""

import math
from statistics import NormalDist
from typing import TypeAlias

from msgspec import Struct

Z95 = NormalDist().inv_cdf(0.95)
_DISPERSIONS = 200  # Steps of a search, each of which halves what is left.


class Fixed(Struct, frozen=True):
    """
    Always the same.
    """

    value: int


class OneOf(Struct, frozen=True):
    """
    One of a few values, ascending, each with its chance; the chances add up to 1.
    """

    values: tuple[int, ...]
    chances: tuple[float, ...]


class Lognormal(Struct, frozen=True, kw_only=True):
    """
    A lognormal through both quantiles, rounded up to whole ones, at least 1 and at most ``most``.

    Attributes:
        most: ``None`` where nothing caps it.
    """

    p50: float
    p95: float
    most: int | None

    @property
    def mu(self) -> float:
        return math.log(self.p50)

    @property
    def sigma(self) -> float:
        return (math.log(self.p95) - math.log(self.p50)) / Z95


class NegativeBinomial(Struct, frozen=True, kw_only=True):
    """
    ``least`` and a negative binomial number above it, with this mean in all; what lies above ``most`` is ``most``.

    Attributes:
        size: How often it must fail to end; the variance of what is above ``least`` is ``m + m²/size``. Infinite for
            a Poisson number.
        most: ``None`` where nothing caps it.
    """

    mean: float
    size: float
    least: int = 0
    most: int | None = None


class Rare(Struct, frozen=True, kw_only=True):
    """
    In so many cases another count takes its place, anything from ``least`` to ``most`` alike.
    """

    share: float
    least: int
    most: int


class Count(Struct, frozen=True, kw_only=True):
    """
    A count as it is declared.
    """

    usual: Fixed | OneOf | Lognormal | NegativeBinomial
    rare: Rare | None = None

    @property
    def least(self) -> int:
        """
        The least that it can be.
        """
        usual = self.usual
        match usual:
            case Fixed():
                least = usual.value
            case OneOf():
                least = usual.values[0]
            case Lognormal():
                least = 1
            case NegativeBinomial():
                least = usual.least
        return least if self.rare is None else min(least, self.rare.least)

    @property
    def most(self) -> int | None:
        """
        The most that it can be; ``None`` where nothing caps it.
        """
        usual = self.usual
        match usual:
            case Fixed():
                most: int | None = usual.value
            case OneOf():
                most = usual.values[-1]
            case Lognormal() | NegativeBinomial():
                most = usual.most
        return most if self.rare is None or most is None else max(most, self.rare.most)


ByClass: TypeAlias = tuple[Count, ...]  # One for each class of inputs, in their order; one in all where there are none.


def negative_binomial(*, mean: float, p95: int | None, least: int, most: int | None) -> NegativeBinomial:
    """
    The number with this mean of which 95 % are at most ``p95``; a Poisson number without it.

    Raises:
        ValueError: There is none with this mean.
    """
    above = mean - least
    if above < 0:
        raise ValueError(f"mean must be at least min, {least}, got {mean:g}")
    if p95 is None or above == 0:
        return NegativeBinomial(mean=mean, size=math.inf, least=least, most=most)
    at = p95 - least
    if _reached(above, math.inf, at) < 0.95:
        raise ValueError(f"p95 must be further above the mean, {mean:g}: a count scatters at least so much, got {p95}")
    # From the least scatter on, for a wide one has most of its mass at the beginning and reaches any p95 again.
    low, high = above / 1e6, above * 1e6
    size = high
    while size > low and _reached(above, size, at) >= 0.95:
        high, size = size, size / 2
    if size <= low:
        raise ValueError(f"p95 must be nearer to the mean, {mean:g}, got {p95}")
    low = size
    for _ in range(_DISPERSIONS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _reached(above, middle, at) < 0.95 else (low, middle)
    return NegativeBinomial(mean=mean, size=high, least=least, most=most)


def _reached(mean: float, size: float, at: int) -> float:
    """
    The chance that a negative binomial number is at most ``at``.
    """
    if math.isinf(size):
        terms = [-mean]
        for number in range(1, at + 1):
            terms.append(terms[-1] + math.log(mean) - math.log(number))
    else:
        log_fail = math.log(mean / (mean + size))
        terms = [size * math.log(size / (mean + size))]
        for number in range(1, at + 1):
            terms.append(terms[-1] + log_fail + math.log((size + number - 1) / number))
    return math.fsum(map(math.exp, terms))
