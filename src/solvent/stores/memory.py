"""
The ledger in this process's memory: for tests, for observing, and for programs whose budget ends with them.
"""

import os
import secrets
import sys
import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import FrameType
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
from solvent._records import Balance, CallRecord, Entry, Kind
from solvent.errors import IdConflict, ReservationClosed, ReservationNotFound, SolventError
from solvent.stores._books import Books, balances_of
from solvent.stores._closing import CLOSED_BY, adjustment, booked_by, closing_call, closing_kind, refusal, tell
from solvent.stores._known import NO_OVERRUN, About, Known, Reservation
from solvent.stores._lanes import may_overrun, pack, pack_settled
from solvent.stores._lines import Journal, Line
from solvent.stores._protocol import under
from solvent.stores._time import anchored
from solvent.stores._without_digest import WithoutDigest

ENTRIES_MAX = 65_536  # Older ones become part of the opening balance.
_RESERVE: tuple[Kind, ...] = ("reserve",)
CLOSED_MAX = 65_536  # Closed reservations whose answers are still known.

# An entry that is being made: its line, what it is about, of a closing what is above the reservation; and the entry in
# the middle of which it is made, by a finalizer or a signal handler.
_Change = tuple[Line, About, Mapping[str, int], "_Change | None"]


class MemoryStore(WithoutDigest):
    """
    A store that lives and ends with its process; the rule itself, under one lock.

    Its memory is bounded, but for one sum a place: the journal keeps the last entries and the sum of those before.

    An operation first looks, and then makes its entry: by one assignment, so that an interrupt from the keyboard comes
    before it or after it. Where one comes after it, whoever asks next finishes what the entry says.
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
        self._known = Known(closed_max=closed_max)
        self._open, self._closed = self._known.open, self._known.closed
        self._journal = Journal(self._books, lines_max=entries_max, runs_max=closed_max)
        self._pending: _Change | None = None
        self._key = secrets.token_bytes(32)
        _stores.add(self)

    def apply(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        with self._lock:
            if self._pending is not None:
                self._recover()
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
            return refusal(operation, plan, open_in=self._known.open_in, held_by=self._known.held_by)
        deadline_ns = uptime_ns + int(operation.ttl_seconds * SECOND_NS)
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
        self._write(line, Reservation(operation, plan, want, deadline_ns))
        return Reserved(id=id, state="open", balances=plan.standing())

    def _repeated(self, operation: Reserve, known: Reservation) -> Reserved:
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
        held, overrun, above = known.held, NO_OVERRUN, 0
        kind: Kind
        if isinstance(operation, Settle):
            kind, booked, call = "settle", pack_settled(held, operation.actual), operation.call
        else:
            kind, booked, call = "release", 0, closing_call(operation)
        if may_overrun(held, booked):
            amounts = known.request.amounts
            overrun = _ledger.overruns(amounts, booked_by(operation, amounts))
            above = pack(overrun)
        return self._close_as(kind, id, known, -held, booked, above, overrun, call)

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
        overrun = _ledger.overruns(held, booked)
        spent, above = pack(change.spent), pack(change.overrun)
        return self._close_as("correct", operation.id, known, 0, spent, above, overrun, closing_call(operation))

    def _close_as(
        self,
        kind: Kind,
        id: str,
        known: Reservation,
        reserved: int,
        spent: int,
        above: int,
        overrun: Mapping[str, int],
        call: CallRecord,
    ) -> Closed:
        plan, now_ns = known.plan, self._now_ns()
        if plan.is_windowed:
            plan.move(now_ns)
        before = plan.standing()
        line = Line(
            at=now_ns,
            kind=kind,
            id=id,
            scope=known.request.scope,
            terms=known.request.terms,
            numbers=known.numbers,
            reserved=reserved,
            spent=spent,
            overrun=above,
            run_total=plan.run_total(spent),
            call=call,
        )
        self._write(line, known, overrun)
        return self._answer(id, known, before)

    def _answer(self, id: str, known: Reservation, before: Sequence[Balance] = ()) -> Closed:
        return Closed(
            id=id,
            state=known.state,
            balances=known.plan.standing(),
            before=before,
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
        deadline_ns = self._clock.uptime_ns() + int(operation.ttl_seconds * SECOND_NS)
        so_far = _ledger.furthest(known.so_far, operation.so_far)
        known.deadline_ns, known.so_far = deadline_ns, so_far
        return Done(id=operation.id)

    def _note(self, operation: Note) -> Done:
        if (operation.kind, operation.id) not in self._known.notes:
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
            self._write(line, operation)
        return Done(id=operation.id)

    def _adjust(self, operation: TopUp | SetLimit) -> Done:
        known = self._known.adjusted.get(operation.id)
        if known is not None:
            if replace(operation, reason="") != replace(known, reason=""):
                raise IdConflict(id=operation.id)
            return Done(id=operation.id)
        kind, terms, call = adjustment(operation)
        now_ns = self._now_ns()
        account = operation.account
        tally = self._books.tally(account.place)
        tally.move(now_ns)
        line = Line(
            at=now_ns,
            kind=kind,
            id=operation.id,
            scope=account.scope,
            terms=terms,
            numbers=(tally.last,),
            topped_up=pack({account.meter: operation.amount}) if isinstance(operation, TopUp) else 0,
            call=call,
        )
        self._write(line, operation)
        return Done(id=operation.id)

    def expire(self, told: Callable[[Closed], object] | None = None) -> int:
        return tell(self._expire(), told)

    def _expire(self) -> list[Closed]:
        closed = []
        with self._lock:
            self._recover()
            now = self._clock.uptime_ns()
            due = [(id, known) for id, known in list(self._open.items()) if known.deadline_ns < now]
            for id, known in due:
                held = known.request.amounts
                booked = _ledger.expired(held, known.so_far)
                overrun = _ledger.overruns(held, booked)
                call = _ledger.expired_call(known.request.call, ended=self._now_ns())
                held_now, spent, above = -known.held, pack(booked), pack(overrun)
                closed.append(self._close_as("expire", id, known, held_now, spent, above, overrun, call))
        return closed

    def balances(self, scope: str | None = None, *, below: bool = True) -> list[Balance]:
        with self._lock:
            self._recover()
            now_ns = self._now_ns()
            tallies = [tally for tally in self._books.tallies.values() if under(tally.place[0], scope)]
            if not below:
                tallies = [tally for tally in tallies if tally.place[0] == scope]
            for tally in tallies:
                tally.move(now_ns)
            return balances_of(tallies)

    def entries(
        self, *, scope: str | None = None, after: int = 0, kinds: Collection[Kind] | None = None
    ) -> Iterator[Entry]:
        with self._lock:
            self._recover()
            entries = self._journal.entries(scope, after, kinds)
        yield from entries

    def held(self, scope: str | None = None) -> list[Entry]:
        return [entry for entry in self.entries(scope=scope, kinds=_RESERVE) if entry.id in self._open]

    def last_opened(self, scope: str | None = None) -> Entry | None:
        with self._lock:
            self._recover()
            return self._journal.last_opened(scope)

    def verify(self) -> str | None:
        with self._lock:
            self._recover()
            return self._journal.difference([(known.buckets(), known.held) for known in self._open.values()])

    def fingerprint_key(self) -> bytes:
        return self._key

    def close(self) -> None:
        pass

    def _now_ns(self) -> int:
        return self._clock.uptime_ns() + self._offset_ns

    def _write(self, line: Line, about: About, overrun: Mapping[str, int] = NO_OVERRUN) -> None:
        """
        Make an entry, and change what it says.
        """
        journal, before = self._journal, self._pending
        self._pending = change = line, about, overrun, before  # Now it is made.
        journal.lines.append(line)
        if isinstance(about, Reservation):
            about.plan.post(line.numbers, line.reserved + line.spent, line.spent, line.overrun)
        elif isinstance(about, TopUp):
            self._books.tally(about.account.place).top_up(line.numbers[0], line.topped_up)
        elif isinstance(about, SetLimit):
            self._books.tally(about.account.place).set_limit(about.account.meter, about.limit)
        elif about.kind == "open":
            journal.open_run(line)
        self._known.learn(line, about, overrun)
        if len(journal.lines) > journal.lines_max:
            journal.fold()
        if self._pending is change:
            self._pending = before

    def _recover(self) -> None:
        """
        Finish the entries that were cut off.
        """
        change = last = self._pending
        if change is None or self._is_writing():
            return
        cut_off: list[_Change] = []
        while change is not None:
            cut_off.append(change)
            change = change[-1]
        for line, about, overrun, _ in reversed(cut_off):
            self._journal.append_once(line)
            self._known.learn(line, about, overrun)
        self._journal.fold()
        self._journal.restore({place for line, *_ in cut_off if line.terms for place in line.terms.places})
        if self._pending is last:
            self._pending = None

    def _is_writing(self) -> bool:
        """
        Whether this thread is in the middle of an entry already, which it will finish by itself.
        """
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if frame.f_code is MemoryStore._write.__code__ and frame.f_locals["self"] is self:
                return True
            frame = frame.f_back
        return False


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
