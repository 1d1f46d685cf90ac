"""
What was spent in a scope until now, and what its limits let through.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Ints, Value

Flags = NDArray[np.bool_]


class Account:
    """
    One scope, or all of the run, at each place.
    """

    def __init__(self, count: int, limits: Mapping[str, float], *, reserve: bool) -> None:
        self._limits, self._reserve = limits, reserve
        self.usd, self.usd_peak, self.tokens, self.tokens_peak = (np.zeros(count) for _ in range(4))
        self.calls, self.retries, self.branches = (np.zeros(count) for _ in range(3))

    def is_reached(self, share: float, at: Ints) -> Flags:
        """
        Whether so much of a limit of dollars or tokens is spent.
        """
        reached = np.zeros(len(at), np.bool_)
        for meter, spent in (("usd", self.usd), ("tokens", self.tokens)):
            if meter in self._limits:
                reached |= spent[at] >= share * self._limits[meter]
        return reached

    def usd_fits(self, at: Ints, bound: Value) -> Flags:
        return self._fits("usd", self.usd, at, bound)

    def rest_fits(self, at: Ints, bound_tokens: Value, calls: int, retries: int) -> Flags:
        """
        Whether the limits of all other meters let a call through.
        """
        fits = self._fits("tokens", self.tokens, at, bound_tokens)
        for meter, spent, more in (("calls", self.calls, calls), ("retries", self.retries, retries)):
            if more and meter in self._limits:
                fits = fits & (spent[at] + more <= self._limits[meter])
        return fits

    def _fits(self, meter: str, spent: Floats, at: Ints, bound: Value) -> Flags:
        limit = self._limits.get(meter)
        if limit is None:
            return np.ones(len(at), np.bool_)
        return spent[at] + bound <= limit if self._reserve else spent[at] < limit

    def branches_fit(self, at: Ints, more: Ints) -> Flags:
        return self.branches[at] + more <= self._limits.get("branches", np.inf)

    def spend(self, at: Ints, usd: Value, bound_usd: Value, tokens: Value, bound_tokens: Value) -> None:
        self.usd[at], self.usd_peak[at] = _on_top(self.usd[at], self.usd_peak[at], usd, bound_usd)
        self.tokens[at], self.tokens_peak[at] = _on_top(self.tokens[at], self.tokens_peak[at], tokens, bound_tokens)


def _on_top(total: Floats, peak: Floats, more: Value, bound: Value) -> tuple[Floats, Floats]:
    return total + more, np.maximum(peak, total + bound)
