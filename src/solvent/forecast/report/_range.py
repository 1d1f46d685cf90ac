"""
How costs lie on a logarithmic axis: from where to where they reach, and how many lie in each of its columns.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from solvent.forecast._chances import Floats
from solvent.forecast._forecast import Forecast

RAREST = 1e-4  # Of runs: what lies at the ends of the axis, and the least that a drawing tells apart.
_PROBES = 1_801
_DECADES = 9  # Looked at to either side of the p50.


class Reach(Struct, frozen=True):
    """
    The amounts that an axis goes from and to; ``low`` is above nothing.
    """

    low: float
    high: float

    def at(self, amount: float) -> float:
        """
        Where an amount stands, from 0 to 1.
        """
        if amount <= self.low:
            return 0.0
        return min(1.0, math.log(amount / self.low) / math.log(self.high / self.low))

    def edges(self, columns: int) -> Floats:
        return np.geomspace(self.low, self.high, columns + 1)


def reach(forecast: Forecast, also: Sequence[float] = ()) -> Reach | None:
    """
    An axis for the costs of runs, but for the rarest; ``None`` where no run costs anything.

    Args:
        also: Amounts that it must hold too.
    """
    cost = forecast.cost_usd
    middle = cost.p50 or cost.p99 or cost.p999 or cost.mean
    if not middle:
        return None
    probes = np.geomspace(middle / 10**_DECADES, middle * 10**_DECADES, _PROBES)
    exceeds = forecast.exceeds(probes)
    above_nothing = float(forecast.exceeds(np.zeros(1))[0])
    low = probes[max(int(np.argmax(exceeds < above_nothing * (1 - 10 * RAREST))) - 1, 0)]
    is_rare = exceeds <= RAREST
    high = probes[int(np.argmax(is_rare)) if is_rare.any() else -1]
    held = [amount for amount in also if amount > 0]
    low, high = min([float(low), *held]), max([float(high), *held])
    if high < low * 4:  # All runs cost about the same.
        low, high = low / 2, high * 2
    return Reach(low / 1.15, high * 1.15)


def shares(forecast: Forecast, edges: Floats) -> Floats:
    """
    What share of the runs lies between each edge and the next one.
    """
    return np.maximum(-np.diff(forecast.exceeds(edges)), 0.0)


def for_nothing(forecast: Forecast) -> float:
    """
    The share of runs that cost nothing, which no logarithmic axis holds.
    """
    return 1 - float(forecast.exceeds(np.zeros(1))[0])


def round_amounts(reach: Reach, most: int) -> list[float]:
    """
    Round amounts on an axis, as many as may be: 1, 2 and 5 of each power of ten, else 1, else every second or third 1.
    """
    first, last = math.floor(math.log10(reach.low)), math.ceil(math.log10(reach.high))
    every = [((1, 2, 5), 1), ((1, 3), 1), *(((1,), step) for step in range(1, last - first + 2))]
    for digits, step in every:
        found = list(_within(reach, digits, range(first - first % step, last + 1, step)))
        if len(found) <= most:
            break
    return found


def _within(reach: Reach, digits: Sequence[int], powers: range) -> Iterator[float]:
    for power in powers:
        for digit in digits:
            amount = float(f"{digit}e{power}")
            if reach.low <= amount <= reach.high:
                yield amount


def round_usd(amount: float) -> str:
    """
    A round amount without zeros that say nothing: ``$0.02``, ``$1``, ``$500``, ``$20,000``.
    """
    if amount >= 1:
        return f"${amount:,.0f}"
    return f"${amount:.{-math.floor(math.log10(amount) + 1e-9)}f}"
