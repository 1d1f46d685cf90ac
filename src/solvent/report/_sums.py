"""
Sums under way, while a report is added up.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from msgspec.structs import replace

from solvent._clock import Clock
from solvent._digest import Facts, Sums
from solvent.report._records import Node, Row, Share, Use
from solvent.stores._owner import is_there


class Total:
    """
    What groups of calls add up to.
    """

    def __init__(self) -> None:
        self.calls = self.cost = self.unpriced = self.refused = self.released = 0
        self.estimated, self.overruns = Shares(), Shares()
        self.tokens: Counter[str] = Counter()

    def add(self, facts: Facts, sums: Sums) -> None:
        if facts.kind == "refuse":
            self.refused += sums.count
        elif facts.kind == "release":
            self.released += sums.count
        else:
            self.calls += sums.count
            self.cost += sums.cost
            self.unpriced += sums.unpriced
            self.tokens.update(sums.tokens)
            self.overruns.add(sums.overruns, sums.overrun)
            if facts.estimated is not None:
                self.estimated.add(sums.count, sums.cost)

    def join(self, other: "Total") -> None:
        self.calls += other.calls
        self.cost += other.cost
        self.unpriced += other.unpriced
        self.refused += other.refused
        self.released += other.released
        self.tokens.update(other.tokens)
        self.estimated.add(other.estimated.count, other.estimated.nanodollars)
        self.overruns.add(other.overruns.count, other.overruns.nanodollars)

    @property
    def is_nothing(self) -> bool:
        return not (self.calls or self.cost or self.refused or self.released)

    def use(self) -> Use:
        tokens = {name: count for name, count in sorted(self.tokens.items()) if count}
        return Use(calls=self.calls, cost_nanodollars=self.cost, unpriced=self.unpriced, tokens=tokens)

    def row(self, key: tuple[str | None, ...]) -> Row:
        return Row(
            key=key,
            use=self.use(),
            refused=self.refused,
            released=self.released,
            estimated=self.estimated.share(),
            overruns=self.overruns.share(),
        )

    def node(self, scope: str | None, *, own: Use) -> Node:
        return Node(
            scope=scope,
            own=own,
            total=self.use(),
            refused=self.refused,
            released=self.released,
            estimated=self.estimated.share(),
            overruns=self.overruns.share(),
        )


class Shares:
    """
    A ``Share`` under way.
    """

    def __init__(self) -> None:
        self.count = self.nanodollars = 0

    def add(self, count: int, nanodollars: int) -> None:
        self.count += count
        self.nanodollars += nanodollars

    def share(self) -> Share:
        return Share(count=self.count, nanodollars=self.nanodollars)


def answered(groups: Mapping[Facts, Sums]) -> dict[Facts, Sums]:
    """
    The same groups, with those that nobody answered told as of the model that mostly answers for the asked name, so
    that one model has one name.
    """
    counts: defaultdict[tuple[str | None, str | None], Counter[str]] = defaultdict(Counter)
    for facts, sums in groups.items():
        if facts.is_call and facts.model_used is not None:
            counts[facts.provider, facts.model_asked][facts.model_used] += sums.count
    mostly = {name: max(used, key=lambda each, used=used: (used[each], each)) for name, used in counts.items()}  # type: ignore[misc]
    found: dict[Facts, Sums] = {}
    for facts, sums in groups.items():
        if facts.model_used is None:
            facts = replace(facts, model_used=mostly.get((facts.provider, facts.model_asked), facts.model_asked))
        if facts in found:
            sums = _joined(found[facts], sums)
        found[facts] = sums
    return found


def _joined(one: Sums, other: Sums) -> Sums:
    joined = replace(one, tokens=dict(one.tokens))
    joined.join(other)
    return joined


class OpenTime:
    """
    How long a run was open, one opening after the other.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._nanoseconds = 0
        self._opened: int | None = None
        self.state: str | None = None

    def open(self, began: int, *, owner: str | None, seen: int) -> None:
        """
        It is opened; the opening before, if nobody closed it, ended with its last sign of life.
        """
        self.close(seen)
        self._opened = began
        there = is_there(owner, clock=self._clock) if owner else None
        self.state = None if there is None else "running" if there else "killed"

    def close(self, at: int) -> None:
        if self._opened is not None:
            self._nanoseconds += max(at - self._opened, 0)
            self._opened = None
        self.state = "ended"

    def until(self, seen: int) -> int:
        if self._opened is None:
            return self._nanoseconds
        last = self._clock.now_ns() if self.state == "running" else seen
        return self._nanoseconds + max(last - self._opened, 0)
