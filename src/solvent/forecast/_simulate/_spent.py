"""
What was spent at places side by side, and how it adds up: one thing after the other, and item by item.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from solvent.forecast._chances import Floats
from solvent.forecast._simulate._draws import Ints, Lanes, Value

PIECE = 2**17  # So many places are looked at at once, to keep their numbers in the processor's cache.


class Entry(NamedTuple):
    """
    What was spent in a scope each time that it was entered.

    Attributes:
        lane: Of which place that was, in their order.
    """

    path: str
    lane: Ints
    usd: Value
    usd_peak: Value
    tokens: Value
    tokens_peak: Value
    calls: Value
    retries: Value


class Spent:
    """
    Running totals of places; each one is a number for all of them, or an array of its own that nobody else changes.

    Attributes:
        usd_peak: The most that had been spent before a call, with what was set aside for it.
        tokens_peak: So for tokens.
        input: Tokens read.
        scopes: What was spent in the scopes in it.
    """

    __slots__ = (
        "branches", "calls", "input", "retries", "scopes", "seconds", "tokens", "tokens_peak", "usd", "usd_peak",
    )  # fmt: skip
    usd: Value
    usd_peak: Value
    tokens: Value
    tokens_peak: Value
    input: Value
    calls: Value
    retries: Value
    branches: Value
    seconds: Value
    scopes: list[Entry]

    def __init__(self) -> None:
        self.usd = self.usd_peak = self.tokens = self.tokens_peak = self.input = 0.0
        self.calls = self.retries = self.branches = self.seconds = 0.0
        self.scopes = []

    def then(self, more: "Spent", *, seconds: bool = True) -> None:
        """
        Add what came next, at every place. ``more`` is used up.
        """
        self.usd_peak = _highest(self.usd_peak, _ahead(self.usd, more.usd_peak))
        self.tokens_peak = _highest(self.tokens_peak, _ahead(self.tokens, more.tokens_peak))
        self.usd = plus(self.usd, more.usd)
        self.tokens = plus(self.tokens, more.tokens)
        self.input = plus(self.input, more.input)
        self.calls = plus(self.calls, more.calls)
        self.retries = plus(self.retries, more.retries)
        self.branches = plus(self.branches, more.branches)
        if seconds:
            self.seconds = plus(self.seconds, more.seconds)
        self.scopes += more.scopes

    def then_at(self, at: Ints, more: "Spent", count: int) -> None:
        """
        Add what came next at some of ``count`` places.
        """
        self.usd, self.usd_peak = _after(at, count, self.usd, self.usd_peak, more.usd, more.usd_peak)
        self.tokens, self.tokens_peak = _after(at, count, self.tokens, self.tokens_peak, more.tokens, more.tokens_peak)
        self.input = _plus_at(at, count, self.input, more.input)
        self.calls = _plus_at(at, count, self.calls, more.calls)
        self.retries = _plus_at(at, count, self.retries, more.retries)
        self.branches = _plus_at(at, count, self.branches, more.branches)
        self.seconds = _plus_at(at, count, self.seconds, more.seconds)
        self.scopes += [entry._replace(lane=at[entry.lane]) for entry in more.scopes]

    def enter(self, path: str, count: int) -> None:
        """
        Keep what was spent until now, at each of ``count`` places, as what a scope spent.
        """
        spent = (self.usd, self.usd_peak, self.tokens, self.tokens_peak, self.calls, self.retries)
        self.scopes.append(Entry(path, np.arange(count), *map(_copy, spent)))


class Groups:
    """
    Places that belong together, in their order: the items of a map, the rounds of a loop.

    Attributes:
        filled: Groups that are not empty; ``None`` for all of them.
        starts: Of those groups.
        single: None has more than one place.
    """

    def __init__(self, counts: Ints) -> None:
        ends = np.cumsum(counts)
        self.counts, self.total = counts, int(ends[-1]) if len(ends) else 0
        self.filled = None if counts.all() else np.flatnonzero(counts)
        self.starts = ends - counts if self.filled is None else (ends - counts)[self.filled]
        self.single = len(self.starts) == self.total

    def sum(self, values: Value) -> Value:
        if isinstance(values, float):
            return np.multiply(self.counts, values, dtype=np.float64) if values else 0.0
        if self.single:
            return self._spread(values)
        return self._spread(np.add.reduceat(values, self.starts)) if self.total else 0.0

    def most(self, values: Value) -> Value:
        if isinstance(values, float):
            return np.where(self.counts > 0, values, 0.0) if values else 0.0
        return self._spread(np.maximum.reduceat(values, self.starts)) if self.total else 0.0

    def peak(self, totals: Value, peaks: Value) -> Value:
        """
        The highest peak of a group, each one on top of the totals before it.
        """
        if isinstance(totals, float) and isinstance(peaks, float):
            if not peaks and not totals:
                return 0.0
            return np.where(self.counts > 0, totals * np.maximum(self.counts - 1, 0) + peaks, 0.0)
        if self.single:
            return self._spread(_each(peaks, self.total))
        before = self._before(totals)
        begun = before[self.starts]
        before += peaks
        found = np.maximum.reduceat(before, self.starts)
        found -= begun
        return self._spread(found)

    def before_in(self, values: Value) -> Floats:
        """
        What was added up before each place, from the first of its group on.
        """
        found = self._before(values)
        found -= self.repeat(found[self.starts])
        return found

    def _before(self, values: Value) -> Floats:
        """
        What was added up before each place, from the first of all places on.
        """
        found = np.empty(self.total)
        found[:1] = 0
        np.cumsum(_each(values, self.total)[:-1], out=found[1:])
        return found

    def repeat(self, values: Value) -> Value:
        """
        The value of its group for each place; ``values`` has one for each group that is not empty.
        """
        if isinstance(values, float):
            return values
        return np.repeat(values, self.counts if self.filled is None else self.counts[self.filled])

    def lanes(self) -> Ints:
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def _spread(self, found: Floats) -> Floats:
        if self.filled is None:
            return found
        spread = np.zeros(len(self.counts))
        spread[self.filled] = found
        return spread

    def fold(self, spent: Spent) -> Spent:
        """
        What was spent in each group, one place after the other; the seconds are left out.
        """
        found = Spent()
        found.usd, found.usd_peak = self.sum(spent.usd), self.peak(spent.usd, spent.usd_peak)
        found.tokens, found.tokens_peak = self.sum(spent.tokens), self.peak(spent.tokens, spent.tokens_peak)
        found.input, found.calls = self.sum(spent.input), self.sum(spent.calls)
        found.retries, found.branches = self.sum(spent.retries), self.sum(spent.branches)
        if spent.scopes:
            lanes = self.lanes()
            found.scopes = [entry._replace(lane=lanes[entry.lane]) for entry in in_order(spent.scopes)]
        return found


def in_pieces(lanes: Lanes, counts: Ints, spend: Callable[[Lanes, Ints], Spent]) -> Spent:
    """
    What is spent at places, each of which stands for so many more; for some of them after the other where these are
    too many at once.
    """
    reached = np.cumsum(counts)
    if len(counts) < 2 or reached[-1] <= PIECE:
        return spend(lanes, counts)
    edges = np.searchsorted(reached, np.arange(PIECE, reached[-1], PIECE), side="right")
    bounds = np.unique(np.concatenate(([0], edges, [len(counts)]))).tolist()
    spent = Spent()
    for first, end in pairwise(bounds):
        at = np.arange(first, end)
        spent.then_at(at, spend(lanes.at(at), counts[at]), len(counts))
    return spent


def in_order(entries: list[Entry]) -> list[Entry]:
    """
    Entries with one for each scope, by place.
    """
    by_path: dict[str, list[Entry]] = {}
    for entry in entries:
        by_path.setdefault(entry.path, []).append(entry)
    return [_merged(path, some) if len(some) > 1 else some[0] for path, some in by_path.items()]


def _merged(path: str, entries: list[Entry]) -> Entry:
    lanes = [entry.lane for entry in entries]
    lane = np.concatenate(lanes)
    order = np.argsort(lane, kind="stable")
    columns = [
        np.concatenate([np.broadcast_to(value, len(part)) for value, part in zip(column, lanes, strict=True)])[order]
        for column in zip(*[entry[2:] for entry in entries], strict=True)
    ]
    return Entry(path, lane[order], *columns)


def plus(value: Value, more: Value) -> Value:
    """
    The sum, in the place of one that is an array.
    """
    if isinstance(value, np.ndarray):
        if isinstance(more, np.ndarray) or more:
            value += more
        return value
    if isinstance(more, np.ndarray):
        return more + value if value else more
    return value + more


def _ahead(total: Value, peak: Value) -> Value:
    """
    A peak on top of a total; in the place of the peak.
    """
    return plus(peak, total) if isinstance(peak, np.ndarray) else total + peak


def _highest(value: Value, other: Value) -> Value:
    if isinstance(value, np.ndarray):
        return np.maximum(value, other, out=value)
    if isinstance(other, np.ndarray):
        return np.maximum(value, other, out=other) if value else other
    return max(value, other)


def _after(at: Ints, count: int, total: Value, peak: Value, more: Value, more_peak: Value) -> tuple[Value, Value]:
    if _is_zero(more_peak):
        return total, peak
    totals, peaks = _each(total, count), _each(peak, count)
    before = totals[at]
    peaks[at] = np.maximum(peaks[at], before + more_peak)
    totals[at] = before + more
    return totals, peaks


def _plus_at(at: Ints, count: int, value: Value, more: Value) -> Value:
    if _is_zero(more):
        return value
    values = _each(value, count)
    values[at] += more
    return values


def _is_zero(value: Value) -> bool:
    return isinstance(value, float) and value == 0


def _each(value: Value, count: int) -> Floats:
    return value if isinstance(value, np.ndarray) else np.full(count, value)


def _copy(value: Value) -> Value:
    return value.copy() if isinstance(value, np.ndarray) else value
