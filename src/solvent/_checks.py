"""
What is checked before a call and has no account: how deep it is nested, whether its time is over, whether it loops.
"""

import threading
import time
from collections.abc import Iterator

from msgspec import Struct

from solvent._clock import Clock
from solvent._limits import SECOND_NS, Limit, OnExceed, Scope
from solvent._loops import Loops
from solvent._records import CallRecord
from solvent.errors import BudgetExceeded, DeadlinePassed, LoopDetected
from solvent.policy import LoopRule, Rules

TOLD_MAX = 16  # Calls of a loop that its error tells of.
SEEN_MAX = 65_536  # Scopes whose first call is remembered; beyond that the oldest begins anew.
_NESTING = ("agent", "step")


class Deadline(Struct, frozen=True, kw_only=True):
    """
    When a call that is under way has to end.

    Attributes:
        at: In seconds of ``time.monotonic``.
        error: What its caller is then told.
    """

    at: float
    error: DeadlinePassed

    @property
    def seconds_left(self) -> float:
        return max(self.at - time.monotonic(), 0.0)


class Checked(Struct, frozen=True, kw_only=True):
    """
    A call that may be made as far as these checks go.

    Attributes:
        deadline: The first one on its path.
        passed: What it passed that only tells.
    """

    deadline: Deadline | None = None
    passed: tuple[tuple[OnExceed, BudgetExceeded], ...] = ()

    @property
    def seconds_left(self) -> float | None:
        """
        0 where the time is over, ``None`` where none is limited.
        """
        if any(isinstance(error, DeadlinePassed) and on_exceed == "block" for on_exceed, error in self.passed):
            return 0.0
        return None if self.deadline is None else self.deadline.seconds_left


class Checks:
    """
    Checks calls, and remembers for that what was asked of late, and when scopes that nobody opened were first seen.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """
        Leave the calls of before to others: in a forked child they are the parent's. The time of scopes goes on there.
        """
        self._loops: Loops | None = None
        self._lock = threading.Lock()

    def opened(self, scope: Scope) -> None:
        """
        From now on the time of a scope is that of its openings; once it has none, it begins with the next call.
        """
        self._seen.pop(str(scope), None)

    def before(self, scope: Scope, rules: Rules, record: CallRecord) -> Checked:
        """
        Check a call.

        Raises:
            BudgetExceeded: It is nested too deep.
            DeadlinePassed: The time of a scope on its path is over.
            LoopDetected: It is the same as calls before it.
        """
        found = self.on_path(scope, rules)
        passed = [*found.passed, *self._loop(scope, rules.policy.loops, record)]
        for on_exceed, error in passed:
            if on_exceed == "block":
                raise error
        return Checked(deadline=found.deadline, passed=tuple(passed))

    def on_path(self, scope: Scope, rules: Rules, *, begins: bool = True) -> Checked:
        """
        What its place alone makes of a call: how deep it is, and whether its time is over. Raises nothing.

        Args:
            begins: The time of a scope that nobody opened begins with this call, if it is the first one.
        """
        passed: list[tuple[OnExceed, BudgetExceeded]] = []
        deadline = None
        for place, limit in rules.checked:
            error = _too_deep(scope, place, limit)
            if limit.meter == "seconds":
                began_ns = rules.began_ns.get((place, limit))
                if began_ns is None:
                    now_ns = self._clock.uptime_ns()
                    began_ns = self._first_seen(place) if begins else self._seen.get(place, now_ns)
                left = began_ns + limit.amount * SECOND_NS - self._clock.uptime_ns()
                if left <= 0:
                    error = DeadlinePassed(scope=place, seconds=limit.amount, source=limit.source)
                elif limit.on_exceed == "block":
                    deadline = _first(deadline, _deadline(place, limit, left / SECOND_NS))
            if error is not None:
                passed.append((limit.on_exceed, error))
        return Checked(deadline=deadline, passed=tuple(passed))

    def _first_seen(self, scope: str) -> int:
        """
        When the first call of a scope came that nobody opened.
        """
        seen = self._seen.get(scope)
        if seen is None:
            with self._lock:
                seen = self._seen.setdefault(scope, self._clock.uptime_ns())
                if len(self._seen) > SEEN_MAX:
                    self._seen.pop(next(iter(self._seen)))
        return seen

    def _loop(
        self, scope: Scope, rule: LoopRule | None, record: CallRecord
    ) -> Iterator[tuple[OnExceed, BudgetExceeded]]:
        fingerprint = record.fingerprint
        if rule is None or fingerprint is None or record.attempt:
            return
        now_ns, name, loops = self._clock.uptime_ns(), str(scope), self._loops_by(rule)
        found = loops.closed_by(fingerprint, scope=name, now_ns=now_ns)
        if found is None or rule.on_exceed != "block":
            loops.add(fingerprint, scope=name, now_ns=now_ns)
        if found is not None:
            error = LoopDetected(
                scope=name,
                limit=rule.same_call,
                spent=len(found.calls),
                cycle=found.cycle,
                within_seconds=rule.within_seconds,
                fingerprint=fingerprint,
                fingerprints=tuple([print_of_it for _, print_of_it in found.calls[-found.cycle :]]),
                seconds_ago=tuple([(now_ns - at_ns) / SECOND_NS for at_ns, _ in found.calls[-TOLD_MAX:]]),
                source=rule.source,
            )
            yield rule.on_exceed, error

    def _loops_by(self, rule: LoopRule) -> Loops:
        """
        The requests of before, as far as a rule looks at them: with other numbers they are counted anew.
        """
        with self._lock:
            if self._loops is None or not self._loops.goes_by(rule.same_call, rule.within_seconds):
                self._loops = Loops(same_call=rule.same_call, within_seconds=rule.within_seconds)
            return self._loops


def _too_deep(scope: Scope, place: str, limit: Limit) -> BudgetExceeded | None:
    """
    Agents and steps below the scope that a limit is for.
    """
    if limit.meter != "depth":
        return None
    below = scope.parts[place.count("/") + 1 :]
    depth = sum(kind in _NESTING for kind, _ in below)
    if depth <= limit.amount:
        return None
    return BudgetExceeded(
        scope=place, meter="depth", limit=limit.amount, spent=0, reserved=0, requested=depth, source=limit.source
    )


def _deadline(place: str, limit: Limit, seconds_left: float) -> Deadline:
    error = DeadlinePassed(scope=place, seconds=limit.amount, source=limit.source, ended=True)
    return Deadline(at=time.monotonic() + seconds_left, error=error)


def _first(one: Deadline | None, other: Deadline) -> Deadline:
    return other if one is None or other.at < one.at else one
