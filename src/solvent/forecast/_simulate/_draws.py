"""
Numbers drawn for many places at once: tokens, rounds, items, seconds.
"""

import numpy as np
from numpy.typing import NDArray

from solvent.forecast._chances import Chances, Floats, chances
from solvent.forecast._counts import Z95, ByClass, Count, Fixed, Lognormal
from solvent.forecast._model import Paced, Percents, Quantiles, Seconds

Ints = NDArray[np.intp]

_NEAR = 1e-12
Value = float | Floats  # One for all places, or one each.

_TABLE_MAX = 2**16  # The most that a lognormal count may be for it to be drawn by a table.


class Lanes:
    """
    Places where a block comes, in the order in which a run comes to them.

    Attributes:
        run: Whose place each is.
        classes: Of the inputs of those runs; ``None`` where there is but one class.
        whole: All runs, once each, in their order.
        once: No run is there twice.
    """

    __slots__ = ("classes", "once", "run", "whole")

    def __init__(self, run: Ints, classes: Ints | None, *, whole: bool = False, once: bool = False) -> None:
        self.run, self.classes, self.whole, self.once = run, classes, whole, once

    def __len__(self) -> int:
        return len(self.run)

    def at(self, places: Ints) -> "Lanes":
        return Lanes(self.run[places], None if self.classes is None else self.classes[places], once=self.once)

    def repeat(self, counts: Ints) -> "Lanes":
        return Lanes(np.repeat(self.run, counts), None if self.classes is None else np.repeat(self.classes, counts))


class Chunk:
    """
    What chance has for some runs.

    Attributes:
        random: Plain draws.
        points: Even ones, a row for each count that a run draws once.
        inputs: By name, those of the workflow.
    """

    def __init__(self, random: np.random.Generator, points: Floats) -> None:
        self.random, self.points = random, points
        self.inputs: dict[str, Floats] = {}

    def uniform(self, lanes: Lanes, row: int | None) -> Floats:
        """
        Numbers between 0 and 1, even ones for a count that has a row.
        """
        if row is None or not lanes.once:
            return self.random.random(len(lanes))
        found: Floats = self.points[row] if lanes.whole else self.points[row, lanes.run]
        return found


def by_lane(values: Value, lanes: Lanes) -> Value:
    """
    What differs by class, for each place.
    """
    return values if isinstance(values, float) else values[lanes.classes]


def alike(values: list[float]) -> Value:
    """
    One number where all classes have the same.
    """
    return values[0] if len(set(values)) == 1 else np.array(values, dtype=np.float64)


class Number:
    """
    A count, as it is declared by class.
    """

    def __init__(self, counts: ByClass) -> None:
        self._counts = counts if len(set(counts)) > 1 else counts[:1]
        self._tables = [_Table(count) for count in self._counts]
        most = [np.inf if count.most is None else float(count.most) for count in self._counts]
        self._most = alike(most)
        self._normal = _normal(self._counts)
        fixed = [_fixed(count) for count in self._counts]
        self._fixed = alike([one for one in fixed if one is not None]) if None not in fixed else None

    def most(self, lanes: Lanes) -> Value:
        return by_lane(self._most, lanes)

    def draw(self, chunk: Chunk, lanes: Lanes, row: int | None = None) -> Value:
        if self._fixed is not None:
            return by_lane(self._fixed, lanes)
        if self._normal is not None and row is None:
            return _lognormal(chunk.random.standard_normal(len(lanes)), lanes, *self._normal)
        uniform = None if row is None else chunk.uniform(lanes, row)
        if len(self._tables) == 1:
            return self._tables[0].draw(chunk.random, len(lanes), uniform)
        found = np.empty(len(lanes))
        for number, table in enumerate(self._tables):
            at = np.flatnonzero(lanes.classes == number)
            found[at] = table.draw(chunk.random, len(at), None if uniform is None else uniform[at])
        return found


def _fixed(count: Count) -> float | None:
    """
    What it always is; ``None`` where chance has a say.
    """
    usual = count.usual
    if count.rare is not None:
        return None
    if isinstance(usual, Lognormal) and usual.sigma == 0:
        return float(chances(count).least)
    return float(usual.value) if isinstance(usual, Fixed) else None


def _normal(counts: ByClass) -> tuple[Value, Value, Value] | None:
    """
    Middle, spread and most of counts that are all lognormal.
    """
    usual = [count.usual for count in counts if isinstance(count.usual, Lognormal) and count.rare is None]
    if len(usual) < len(counts):
        return None
    most = [np.inf if count.most is None else float(count.most) for count in usual]
    # The exponential of a logarithm may be a little above the number, which is then rounded up.
    middle = [count.mu if count.sigma else count.mu - _NEAR for count in usual]
    return alike(middle), alike([count.sigma for count in usual]), alike(most)


def _lognormal(normal: Floats, lanes: Lanes, mu: Value, sigma: Value, most: Value) -> Floats:
    normal *= by_lane(sigma, lanes)
    normal += by_lane(mu, lanes)
    np.exp(normal, out=normal)
    np.ceil(normal, out=normal)
    return np.minimum(normal, by_lane(most, lanes), out=normal)


class _Table:
    """
    One count, drawn by how much of it is reached.
    """

    def __init__(self, count: Count) -> None:
        self._count = count
        self._reached: Floats | None = None

    def draw(self, random: np.random.Generator, number: int, uniform: Floats | None) -> Floats:
        usual, rare = self._count.usual, self._count.rare
        if not isinstance(usual, Lognormal) or (uniform is not None and (usual.most or np.inf) <= _TABLE_MAX):
            return self._by_table(random.random(number) if uniform is None else uniform)
        found = _lognormal(
            random.standard_normal(number), _ANY, usual.mu, usual.sigma, np.inf if usual.most is None else usual.most
        )
        if rare is not None:
            at = np.flatnonzero(random.random(number) < rare.share)
            found[at] = random.integers(rare.least, rare.most + 1, len(at))
        return found

    def _by_table(self, uniform: Floats) -> Floats:
        if self._reached is None:
            table: Chances = chances(self._count)
            self._reached = np.cumsum(table.of)[:-1]
        found = np.searchsorted(self._reached, uniform, side="right").astype(np.float64)
        found += self._count.least
        return found


_ANY = Lanes(np.zeros(0, np.intp), None)


class Rounds:
    """
    How often something is done that is done again by chance.
    """

    def __init__(self, again: tuple[Percents, ...], most: int | None) -> None:
        again = again if len(set(again)) > 1 else again[:1]
        self._ends = [_ends(chances) for chances in again]
        self._most = np.inf if most is None else float(most)

    def draw(self, chunk: Chunk, lanes: Lanes, row: int | None) -> Floats:
        uniform = chunk.uniform(lanes, row)
        if len(self._ends) == 1:
            found = _rounds(uniform, *self._ends[0])
        else:
            found = np.empty(len(lanes))
            for number, ends in enumerate(self._ends):
                at = np.flatnonzero(lanes.classes == number)
                found[at] = _rounds(uniform[at], *ends)
        return np.minimum(found, self._most, out=found)


def _ends(chances: Percents) -> tuple[Floats, float]:
    """
    The chances that it has ended after each of the first rounds, whose chances differ; and that of all further ones.
    """
    return 1 - np.cumprod(chances[:-1], dtype=np.float64), chances[-1]


def _rounds(uniform: Floats, ended: Floats, last: float) -> Floats:
    if not len(ended):
        return 1 + _more(1 - uniform, last)
    found: Floats = np.searchsorted(ended, uniform, side="right").astype(np.float64) + 1.0
    further = np.flatnonzero(uniform >= ended[-1])
    if len(further):
        found[further] += _more((1 - uniform[further]) / (1 - ended[-1]), last)
    return found


def _more(left: Floats, again: float) -> Floats:
    """
    How many more rounds there are, of which each has the same chance, by numbers above 0 and at most 1.
    """
    if again in (0.0, 1.0):
        return np.full(len(left), 0.0 if again == 0 else np.inf)
    np.log(left, out=left)
    left /= np.log(again)
    return np.floor(left, out=left)


def seconds(declared: Seconds | None, chunk: Chunk, number: int, output: Value) -> Value:
    """
    How long something takes.
    """
    match declared:
        case None:
            return 0.0
        case Paced():
            return declared.first_token + declared.per_output_token * output
        case Quantiles():
            if declared.p50 == declared.p95:
                return declared.p50 if declared.most is None else min(declared.p50, declared.most)
            found = chunk.random.standard_normal(number)
            found *= (np.log(declared.p95) - np.log(declared.p50)) / Z95
            np.exp(found, out=found)
            found *= declared.p50
            return found if declared.most is None else np.minimum(found, declared.most, out=found)
