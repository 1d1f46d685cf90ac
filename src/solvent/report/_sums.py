"""
Sums under way, while a report is added up.
"""

from collections import Counter

from solvent._clock import Clock
from solvent._ledger import carries_run_total, is_run
from solvent._records import Entry
from solvent.report._records import Share, Use
from solvent.stores._owner import is_there


class Sum:
    """
    A ``Use`` under way. Calls can be taken out again, for a correction replaces what an expiry booked.
    """

    def __init__(self) -> None:
        self.calls = self.cost = self.unpriced = 0
        self.tokens: Counter[str] = Counter()

    def add(self, entry: Entry, sign: int) -> None:
        cost = cost_of(entry)
        self.calls += sign
        self.cost += sign * (cost or 0)
        self.unpriced += sign * (cost is None)
        for name, count in (_bounded_tokens(entry) if entry.call.usage is None else entry.call.usage).items():
            self.tokens[name] += sign * count

    def join(self, other: "Sum") -> None:
        self.calls += other.calls
        self.cost += other.cost
        self.unpriced += other.unpriced
        self.tokens.update(other.tokens)

    def use(self) -> Use:
        tokens = {name: count for name, count in sorted(self.tokens.items()) if count}
        return Use(calls=self.calls, cost_nanodollars=self.cost, unpriced=self.unpriced, tokens=tokens)


class Shares:
    """
    A ``Share`` under way.
    """

    def __init__(self) -> None:
        self.count = self.nanodollars = 0

    def add(self, sign: int, nanodollars: int) -> None:
        self.count += sign
        self.nanodollars += sign * nanodollars

    def share(self) -> Share:
        return Share(count=self.count, nanodollars=self.nanodollars)


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


def cost_of(entry: Entry) -> int | None:
    """
    What a closing booked: by the run's own account where it has one, so that the report and the balance cannot differ.
    """
    booked = next((posting.spent for posting in entry.postings if carries_run_total(posting.account)), None)
    unpriced = entry.call.cost_nanodollars is None and not booked
    return None if unpriced else entry.call.cost_nanodollars if booked is None else booked


def _bounded_tokens(entry: Entry) -> dict[str, int]:
    """
    The tokens that were booked where nobody told what was used: their bounds.
    """
    return {
        f"{kind}_tokens": posting.spent
        for kind in ("input", "output")
        for posting in entry.postings
        if posting.account.meter == f"{kind}_tokens" and is_run(posting.account.place) and posting.spent
    }
