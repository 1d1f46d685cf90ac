"""
The ledger in this process's memory: for tests, for observing, and for programs whose budget ends with them.
"""

import os
import secrets
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec.structs import replace

from solvent import _ledger
from solvent._clock import Clock, SystemClock
from solvent._limits import SECOND_NS
from solvent._operations import (
    Answer,
    Closed,
    Done,
    Extend,
    Note,
    Operation,
    Refusal,
    Release,
    Reserve,
    Reserved,
    SetLimit,
    Settle,
    TopUp,
)
from solvent._records import Account, Balance, CallRecord, Entry, Kind, State
from solvent.errors import IdConflict, ReservationClosed, ReservationNotFound, SolventError
from solvent.stores._audit import first_difference, rebuild
from solvent.stores._books import Books, Plan, balances_of, kept, may_overrun, pack, pack_settled
from solvent.stores._closing import CLOSED_BY, adjustment, booked_by, closing_call, closing_kind, refusal
from solvent.stores._lines import Line, Opening
from solvent.stores._protocol import under
from solvent.stores._time import anchored

ENTRIES_MAX = 65_536  # Older ones become part of the opening balance.
CLOSED_MAX = 65_536  # Closed reservations whose answers are still known.
_FOLDED_BETWEEN = 4_096
_MINUTES_KEPT_SECONDS = 3_600


class _Reservation:
    __slots__ = ("deadline_ns", "held", "numbers", "overrun", "plan", "request", "run_total", "so_far", "state")

    def __init__(self, request: Reserve, plan: Plan, held: int, deadline_ns: int) -> None:
        self.request = request
        self.plan = plan
        self.numbers = plan.numbers
        self.held = held
        self.deadline_ns = deadline_ns
        self.state: State = "open"
        self.so_far: Mapping[str, int] = {}
        self.overrun: Mapping[str, int] = {}
        self.run_total: int | None = None


class MemoryStore:
    """
    A store that lives and ends with its process; the rule itself, under one lock.

    Its memory is bounded, but for one sum a place: the journal keeps the last entries and the sum of those before.
    """

    url = "memory://"
    blocks = False

    def __init__(
        self, *, clock: Clock | None = None, entries_max: int = ENTRIES_MAX, closed_max: int = CLOSED_MAX
    ) -> None:
        self._clock = clock or SystemClock()
        self._offset_ns = anchored(self._clock).offset_ns
        self._lock = threading.RLock()
        self._books = Books()
        self._handlers: Mapping[type[Operation], Callable[[Any], Answer]] = {
            Reserve: self._reserve,
            Settle: self._close,
            Release: self._close,
            Extend: self._extend,
            Note: self._note,
            TopUp: self._adjust,
            SetLimit: self._adjust,
        }
        self._open: dict[str, _Reservation] = {}
        self._closed: OrderedDict[str, _Reservation] = OrderedDict()
        self._notes: OrderedDict[tuple[str, str], None] = OrderedDict()  # By kind and id.
        self._adjusted: dict[str, TopUp | SetLimit] = {}  # All that there were: people make them.
        self._opened: OrderedDict[str, tuple[int, Line]] = OrderedDict()
        self._lines: deque[Line] = deque()
        self._opening = Opening()
        self._entries_max, self._closed_max = entries_max, closed_max
        self._key = secrets.token_bytes(32)
        _stores.add(self)

    def apply(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        with self._lock:
            return [self._apply_one(operation) for operation in operations]

    def _apply_one(self, operation: Operation) -> Answer | SolventError:
        try:
            return self._handlers[type(operation)](operation)
        except SolventError as error:
            return error

    def _reserve(self, operation: Reserve) -> Reserved | Refusal:
        id = operation.id
        known = self._open.get(id) or self._closed.get(id)
        if known is not None:
            return self._repeated(operation, known)
        uptime_ns = self._clock.uptime_ns()
        plan = self._books.plan(operation.terms)
        if plan.is_windowed:
            plan.move(uptime_ns + self._offset_ns)
        want = pack(operation.amounts)
        if not plan.fits(want):
            return refusal(operation, plan.all_balances(), open_in=self._open_in, held_by=self._held_by)
        plan.post(plan.numbers, want)
        deadline_ns = uptime_ns + int(operation.ttl_seconds * SECOND_NS)
        self._open[id] = _Reservation(operation, plan, want, deadline_ns)
        line = Line(
            at=uptime_ns + self._offset_ns,
            kind="reserve",
            id=id,
            scope=operation.scope,
            terms=operation.terms,
            numbers=plan.numbers,
            reserved=want,
            call=operation.call,
        )
        self._write(line)
        return Reserved(id=id, state="open", balances=plan.standing())

    def _repeated(self, operation: Reserve, known: _Reservation) -> Reserved:
        request = known.request
        if not operation.is_same(request.scope, request.terms.accounts, request.amounts):
            raise IdConflict(id=operation.id)
        plan = self._books.plan(operation.terms)
        plan.move(self._now_ns())
        return Reserved(id=operation.id, state=known.state, balances=plan.standing())

    def _close(self, operation: Settle | Release) -> Closed:
        id = operation.id
        known = self._open.get(id)
        if known is None:
            return self._close_again(operation)
        kind, held, call = closing_kind(operation), known.held, closing_call(operation)
        booked = pack_settled(held, operation.actual) if isinstance(operation, Settle) else 0
        if may_overrun(held, booked):
            amounts = known.request.amounts
            known.overrun = _ledger.overruns(amounts, booked_by(operation, amounts))
        return self._close_as(kind, id, known, -held, booked, pack(known.overrun), call)

    def _close_again(self, operation: Settle | Release) -> Closed:
        """
        A reservation that is closed already gives its recorded answer, or after an expiry takes its one correction.
        """
        known = self._closed.get(operation.id)
        if known is None:
            raise ReservationNotFound(id=operation.id)
        wanted = CLOSED_BY[closing_kind(operation)]
        if known.state in (wanted, "corrected"):
            known.plan.move(self._now_ns())
            return self._answer(operation.id, known)
        if known.state != "expired":
            raise ReservationClosed(id=operation.id, state=known.state, wanted=wanted)
        held = known.request.amounts
        booked = booked_by(operation, held)
        change = _ledger.correction(held, _ledger.expired(held, known.so_far), booked)
        known.overrun = _ledger.overruns(held, booked)
        spent, overrun = pack(change.spent), pack(change.overrun)
        return self._close_as("correct", operation.id, known, 0, spent, overrun, closing_call(operation))

    def _close_as(
        self, kind: Kind, id: str, known: _Reservation, reserved: int, spent: int, overrun: int, call: CallRecord
    ) -> Closed:
        plan, now_ns = known.plan, self._now_ns()
        if plan.is_windowed:
            plan.move(now_ns)
        plan.post(known.numbers, reserved + spent, spent, overrun)
        known.state, known.run_total = CLOSED_BY[kind], plan.run_total()
        self._open.pop(id, None)
        self._closed[id] = known
        if len(self._closed) > self._closed_max:
            self._closed.popitem(last=False)
        line = Line(
            at=now_ns,
            kind=kind,
            id=id,
            scope=known.request.scope,
            terms=known.request.terms,
            numbers=known.numbers,
            reserved=reserved,
            spent=spent,
            overrun=overrun,
            run_total=known.run_total,
            call=call,
        )
        self._write(line)
        return self._answer(id, known)

    def _answer(self, id: str, known: _Reservation) -> Closed:
        return Closed(
            id=id,
            state=known.state,
            balances=known.plan.standing(),
            overrun=known.overrun,
            run_total_nanodollars=known.run_total,
        )

    def _extend(self, operation: Extend) -> Done:
        known = self._open.get(operation.id)
        if known is None:
            closed = self._closed.get(operation.id)
            if closed is None:
                raise ReservationNotFound(id=operation.id)
            raise ReservationClosed(id=operation.id, state=closed.state, wanted="extended")
        known.deadline_ns = self._clock.uptime_ns() + int(operation.ttl_seconds * SECOND_NS)
        known.so_far = operation.so_far
        return Done(id=operation.id)

    def _note(self, operation: Note) -> Done:
        if (operation.kind, operation.id) not in self._notes:
            numbers = (0,) * len(operation.terms.places) if operation.terms else ()
            line = Line(
                at=self._now_ns(),
                kind=operation.kind,
                id=operation.id,
                scope=operation.scope,
                terms=operation.terms,
                numbers=numbers,
                call=operation.call,
            )
            self._notes[operation.kind, operation.id] = None
            if len(self._notes) > self._closed_max:
                self._notes.popitem(last=False)
            self._write(line)
        return Done(id=operation.id)

    def _adjust(self, operation: TopUp | SetLimit) -> Done:
        known = self._adjusted.get(operation.id)
        if known is not None:
            if replace(operation, reason="") != replace(known, reason=""):
                raise IdConflict(id=operation.id)
            return Done(id=operation.id)
        kind, terms, call = adjustment(operation)
        now_ns = self._now_ns()
        account = operation.account
        tally = self._books.tally(account.place)
        tally.move(now_ns)
        topped_up = 0
        if isinstance(operation, TopUp):
            topped_up = pack({account.meter: operation.amount})
            tally.top_up(tally.last, topped_up)
        else:
            tally.set_limit(account.meter, operation.limit)
        self._adjusted[operation.id] = operation
        line = Line(
            at=now_ns,
            kind=kind,
            id=operation.id,
            scope=account.scope,
            terms=terms,
            numbers=(tally.last,),
            topped_up=topped_up,
            call=call,
        )
        self._write(line)
        return Done(id=operation.id)

    def expire(self) -> int:
        with self._lock:
            now = self._clock.uptime_ns()
            due = [(id, known) for id, known in self._open.items() if known.deadline_ns < now]
            for id, known in due:
                held = known.request.amounts
                booked = _ledger.expired(held, known.so_far)
                known.overrun = _ledger.overruns(held, booked)
                call = _ledger.expired_call(known.request.call, ended=self._now_ns())
                self._close_as("expire", id, known, -known.held, pack(booked), pack(known.overrun), call)
            return len(due)

    def balances(self, scope: str | None = None) -> list[Balance]:
        with self._lock:
            now_ns = self._now_ns()
            tallies = [tally for tally in self._books.tallies.values() if under(tally.place[0], scope)]
            for tally in tallies:
                tally.move(now_ns)
            return balances_of(tallies)

    def entries(self, *, scope: str | None = None, after: int = 0) -> Iterator[Entry]:
        with self._lock:
            opening, first = list(self._opening.entries(scope)), self._opening.count + 1
            lines = list(islice(self._lines, max(after - self._opening.count, 0), None))
        yield from (entry for entry in opening if entry.seq > after)
        for seq, line in enumerate(lines, max(first, after + 1)):
            if under(line.scope, scope):
                yield line.entry(seq)

    def last_opened(self, scope: str | None = None) -> Entry | None:
        with self._lock:
            found = self._opened.get(scope) if scope is not None else next(reversed(self._opened.values()), None)
            return None if found is None else found[1].entry(found[0])

    def verify(self) -> str | None:
        with self._lock:
            forgotten = {tally.place: tally.forgotten for tally in self._books.tallies.values()}
            entries = [line.entry(seq) for seq, line in enumerate(self._lines, 1)]
            found = [posting for entry in (*self._opening.entries(None), *entries) for posting in entry.postings]
            journal = rebuild(posting for posting in found if posting.bucket >= forgotten.get(posting.account.place, 0))
            return first_difference(journal, kept(self._books.tallies.values()))

    def fingerprint_key(self) -> bytes:
        return self._key

    def close(self) -> None:
        pass

    def _now_ns(self) -> int:
        return self._clock.uptime_ns() + self._offset_ns

    def _write(self, line: Line) -> None:
        self._lines.append(line)
        if line.kind == "open":
            self._opened.pop(line.scope, None)
            self._opened[line.scope] = self._opening.count + len(self._lines), line
            if len(self._opened) > self._closed_max:
                self._opened.popitem(last=False)
        if len(self._lines) > self._entries_max:
            self._opening.add(self._lines.popleft())
            if not self._opening.count % _FOLDED_BETWEEN:
                self._forget_minutes()

    def _forget_minutes(self) -> None:
        """
        Drop seconds that are long over; one that is still in the journal stays.
        """
        oldest = self._lines[0].at // SECOND_NS - _MINUTES_KEPT_SECONDS
        minutes = [tally for tally in self._books.tallies.values() if tally.window == "minute"]
        for tally in minutes:
            tally.forget(oldest)
        self._opening.forget({tally.place: tally.forgotten for tally in minutes})

    def _held_by(self, id: str) -> Reserve | None:
        known = self._open.get(id)
        return None if known is None else known.request

    def _open_in(self, account: Account) -> int:
        return sum(
            account.place in known.request.terms.places and bool(known.request.amounts.get(account.meter))
            for known in self._open.values()
        )


_stores: "weakref.WeakSet[MemoryStore]" = weakref.WeakSet()
_forking: "list[MemoryStore]" = []


def _before_fork() -> None:
    # A lock that another thread holds would stay held in the child, over books that are half changed.
    for store in list(_stores):
        store._lock.acquire()
        _forking.append(store)


def _after_fork() -> None:
    while _forking:
        _forking.pop()._lock.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
