"""
The ledger in one SQLite file, shared by any number of processes on one machine.

Every operation is one row of an ``INSERT INTO entry``; triggers write all that it changes (``_sqlite_schema``).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from solvent import _ledger
from solvent._clock import Clock, SystemClock
from solvent._digest import Groups, Hours
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
from solvent._records import Account, Balance, CallRecord, Entry, Kind, Terms
from solvent.errors import (
    IdConflict,
    OutcomeUnknown,
    ReservationClosed,
    ReservationNotFound,
    SolventError,
    StoreUnavailable,
)
from solvent.stores._books import Plan
from solvent.stores._closing import CLOSED_BY, Held, adjustment, booked_by, closing_call, closing_kind, refusal, tell
from solvent.stores._lanes import may_overrun, pack, pack_settled
from solvent.stores._owner import is_alive, this_process
from solvent.stores._protocol import Told
from solvent.stores._sqlite_digest import fold_when_due, groups
from solvent.stores._sqlite_file import SQLiteFile
from solvent.stores._sqlite_known import Reservation, find
from solvent.stores._sqlite_mirror import Mirror
from solvent.stores._sqlite_reading import balances, entries, held, last_opened, last_seen, limits, verify
from solvent.stores._sqlite_rows import (
    INSERT_CLOSING,
    INSERT_NOTE,
    INSERT_RESERVE,
    SELECT_ENTRY,
    Names,
    call_row,
    columns_of,
    json_text,
    read_entry,
    read_terms,
)
from solvent.stores._sqlite_schema import ONCE_KINDS
from solvent.stores._time import Anchor, anchored, read_anchor


class SQLiteStore:
    """
    A store in an SQLite file (WAL, ``synchronous=FULL``), made with its folder when it is not there.

    Raises:
        StoreUnavailable: The file cannot be made, opened or written.
        LedgerCorrupt: It is something else, damaged, or of a newer version; it is left untouched.
    """

    blocks = True

    def __init__(self, path: Path, *, clock: Clock | None = None, synchronous: str = "FULL") -> None:
        self._file = SQLiteFile(path, synchronous=synchronous)
        self.url = self._file.url
        self._clock = clock or SystemClock()
        self._lock = self._file.lock  # Which a fork waits for.
        self._mirror = Mirror(self._file)
        self._handlers: Mapping[type[Operation], Callable[[Any], Answer]] = {
            Reserve: self._reserve,
            Settle: self._close,
            Release: self._close,
            Extend: self._extend,
            Note: self._note,
            TopUp: self._adjust,
            SetLimit: self._adjust,
        }
        self._open: dict[str, Reservation] = {}  # Those that were made here.
        self._fold_at = 0  # The entry after which somebody looks whether the digest is to be brought up to date.
        try:
            with self._file.mapped():
                self._anchor = self._anchored()
        except OutcomeUnknown as error:  # Who opens it again finds it written, or writes it.
            raise StoreUnavailable(ledger=self.url, reason=error.reason) from error

    def apply(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        with self._lock, self._file.mapped(), self._transaction([operation.id for operation in operations]):
            answers = [self._apply_one(operation) for operation in operations]
            if self._file.connection.last_insert_rowid() >= self._fold_at:
                self._fold_at = fold_when_due(self._file.connection)
            return answers

    @contextmanager
    def _transaction(self, ids: Sequence[str] = ()) -> Iterator[None]:
        try:
            with self._file.transaction(ids):
                self._mirror.begin()
                yield
        except BaseException:
            self._mirror.forget()
            self._open.clear()
            raise

    def _apply_one(self, operation: Operation) -> Answer | SolventError:
        try:
            return self._handlers[type(operation)](operation)
        except SolventError as error:
            return error

    def _reserve(self, operation: Reserve) -> Reserved | Refusal:
        now_ns = self._now_ns()
        plan = self._plan(operation.terms, now_ns)
        want = pack(operation.amounts)
        if not plan.fits(want):
            repeated = self._repeated(operation, plan)
            if repeated is not None:
                return repeated
            return refusal(operation, plan, open_in=self._open_in, held_by=self._held_by)
        numbers = plan.numbers
        buckets = self._mirror.buckets(plan, numbers)
        made = Reservation(operation.scope, operation.terms, operation.amounts, numbers, buckets)
        head = (now_ns, "reserve", operation.id, made.scope, plan.key, made.buckets)
        deadline = self._deadline(operation.ttl_seconds)
        mine = (json_text(operation.amounts), this_process(self._clock), deadline)
        try:
            self._insert(INSERT_RESERVE, *head, *columns_of(want), *mine, *call_row(operation.call))
        except apsw.ConstraintError:  # The id is known: nothing else keeps an entry out that fits.
            repeated = self._repeated(operation, plan)
            if repeated is None:
                raise
            return repeated
        plan.post(numbers, want)
        self._open[operation.id] = made
        return Reserved(id=operation.id, state="open", balances=plan.standing())

    def _repeated(self, operation: Reserve, plan: Plan) -> Reserved | None:
        known = find(self._file, operation.id)
        if known is None:
            return None
        if not operation.is_same(known.scope, known.terms.accounts, known.amounts):
            raise IdConflict(id=operation.id)
        return Reserved(id=operation.id, state=known.state, balances=plan.standing())

    def _close(self, operation: Settle | Release) -> Closed:
        id, kind = operation.id, closing_kind(operation)
        known = self._open.get(id) or self._known(id)
        if known.state == "open":
            booked = pack_settled(known.held, operation.actual) if isinstance(operation, Settle) else 0
            overrun: Mapping[str, int] = {}
            if may_overrun(known.held, booked):
                overrun = _ledger.overruns(known.amounts, booked_by(operation, known.amounts))
            try:
                return self._close_as(
                    kind, id, known, -known.held, booked, pack(overrun), overrun, closing_call(operation)
                )
            except apsw.ConstraintError:  # Another process has closed it meanwhile: its sweeper, say.
                self._open.pop(id, None)
                known = self._known(id)
                if known.state == "open":
                    raise
        if known.state in (CLOSED_BY[kind], "corrected"):
            return self._answer(id, known)
        if known.state != "expired":
            raise ReservationClosed(id=id, state=known.state, wanted=CLOSED_BY[kind])
        booked_late = booked_by(operation, known.amounts)
        change = _ledger.correction(known.amounts, _ledger.expired(known.amounts, known.so_far), booked_late)
        overrun = _ledger.overruns(known.amounts, booked_late)
        spent, above = pack(change.spent), pack(change.overrun)
        return self._close_as("correct", id, known, 0, spent, above, overrun, closing_call(operation))

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
        now_ns = self._now_ns()
        plan = self._plan(known.terms, now_ns)
        run_total = plan.run_total(spent)
        changes = (*columns_of(reserved), *columns_of(spent), *columns_of(above))
        head = (now_ns, kind, id, known.scope, plan.key, known.buckets)
        told = json_text(overrun) if overrun else None
        before = plan.standing()
        self._insert(INSERT_CLOSING, *head, *changes, run_total, told, *call_row(call))
        plan.post(known.numbers, reserved + spent, spent, above)
        self._open.pop(id, None)
        return Closed(
            id=id,
            state=CLOSED_BY[kind],
            balances=plan.standing(),
            before=before,
            overrun=overrun,
            run_total_nanodollars=run_total,
        )

    def _answer(self, id: str, known: Reservation) -> Closed:
        """
        What was recorded when it was closed.
        """
        row = self._file.row("SELECT overruns, run_total_nanodollars FROM entry WHERE seq = ?", known.closing)
        assert row is not None
        return Closed(
            id=id,
            state=known.state,
            balances=self._plan(known.terms, self._now_ns()).standing(),
            overrun=msgspec.json.decode(row[0]) if row[0] else {},
            run_total_nanodollars=row[1],
        )

    def _extend(self, operation: Extend) -> Done:
        known = self._known(operation.id)
        if known.state != "open":
            raise ReservationClosed(id=operation.id, state=known.state, wanted="extended")
        so_far = json_text(_ledger.furthest(known.so_far, operation.so_far))
        self._file.connection.execute(
            "UPDATE reservation SET deadline = ?, so_far = ? WHERE id = ?",
            (self._deadline(operation.ttl_seconds), so_far, operation.id),
        )
        return Done(id=operation.id)

    def _note(self, operation: Note) -> Done:
        key = None if operation.terms is None else self._plan(operation.terms, self._now_ns()).key
        head = (self._now_ns(), operation.kind, operation.id, operation.scope, key, None)
        self._insert(INSERT_NOTE, *head, None, None, *call_row(operation.call))
        return Done(id=operation.id)

    def _adjust(self, operation: TopUp | SetLimit) -> Done:
        kind, terms, call = adjustment(operation)
        account, now_ns = operation.account, self._now_ns()
        amount = operation.amount if isinstance(operation, TopUp) else operation.limit
        known = self._file.row(
            "SELECT kind, contents, amount FROM entry JOIN terms ON terms.id = entry.terms "
            f"WHERE entry.id = ? AND {ONCE_KINDS} AND kind IN ('top_up', 'set_limit')",
            operation.id,
        )
        if known is not None:
            if (known[0], read_terms(known[1]), known[2]) != (kind, terms, amount):
                raise IdConflict(id=operation.id)
            return Done(id=operation.id)
        plan = self._plan(terms, now_ns)
        (tally,) = plan.tallies
        head = (now_ns, kind, operation.id, account.scope, plan.key, self._mirror.buckets(plan, plan.numbers))
        self._insert(INSERT_NOTE, *head, account.meter, amount, *call_row(call))
        if isinstance(operation, TopUp):
            tally.top_up(tally.last, pack({account.meter: operation.amount}))
        else:
            tally.set_limit(account.meter, operation.limit)
        return Done(id=operation.id)

    def expire(self, told: Callable[[Closed], object] | None = None) -> int:
        return tell(self._expire(), told)

    def _expire(self) -> list[Closed]:
        with self._lock, self._file.mapped():
            if not self._due():  # Looked at without the gate: nearly always there is nothing to do.
                return []
            with self._transaction():
                return [self._expire_one(id, self._known(id)) for id in self._due()]

    def _due(self) -> list[str]:
        now = self._clock.uptime_ns()
        rows = self._file.rows(
            "SELECT reservation.id, owner, reservation.deadline FROM reservation JOIN entry ON seq = reserving "
            "WHERE state = 'open'"
        )
        alive = {owner: is_alive(owner, clock=self._clock) for owner in {row[1] for row in rows}}
        return [id for id, owner, deadline in rows if deadline < now or not alive[owner]]

    def _expire_one(self, id: str, known: Reservation) -> Closed:
        booked = _ledger.expired(known.amounts, known.so_far)
        overrun = _ledger.overruns(known.amounts, booked)
        row = self._file.row(f"{SELECT_ENTRY} WHERE seq = ?", known.reserving)
        assert row is not None
        call = _ledger.expired_call(read_entry(row, Names(self._file.rows)).call, ended=self._now_ns())
        return self._close_as("expire", id, known, -known.held, pack(booked), pack(overrun), overrun, call)

    def balances(self, scope: str | None = None, *, below: bool = True) -> list[Balance]:
        with self._file.mapped():
            return balances(self._file, scope, below, now_ns=self._now_ns(), full_until_ns=self._anchor.full_until_ns)

    def entries(
        self, *, scope: str | None = None, after: int = 0, kinds: Collection[Kind] | None = None
    ) -> Iterator[Entry]:
        with self._file.mapped():
            yield from entries(self._file, scope, after, kinds)

    def groups(
        self, *, scope: str | None = None, hours: Hours | None = None, after: int = 0, told: Told | None = None
    ) -> Groups:
        with self._file.mapped():
            return groups(self._file, scope, hours, after, told)

    def limits(self, scope: str | None = None) -> Mapping[Account, int]:
        with self._lock, self._file.mapped():
            return limits(self._file, scope)

    def held(self, scope: str | None = None) -> list[Entry]:
        with self._lock, self._file.mapped():
            return held(self._file, scope)

    def last_seen(self, scope: str, *, before: int | None = None) -> int | None:
        with self._lock, self._file.mapped():
            return last_seen(self._file, scope, before)

    def last_opened(self, scope: str | None = None) -> Entry | None:
        with self._lock, self._file.mapped():
            return last_opened(self._file, scope)

    def verify(self) -> str | None:
        with self._file.mapped():
            return verify(self._file)

    def fingerprint_key(self) -> bytes:
        with self._lock, self._file.mapped():
            key: bytes = self._file.connection.execute("SELECT value FROM meta WHERE key = 'fingerprint_key'").get
            return key

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _insert(self, statement: str, *values: object) -> None:
        self._file.connection.execute(statement, values)

    def _plan(self, terms: Terms, now_ns: int) -> Plan:
        return self._mirror.plan(terms, now_ns=now_ns, full_until_ns=self._anchor.full_until_ns)

    def _known(self, id: str) -> Reservation:
        known = find(self._file, id)
        if known is None:
            raise ReservationNotFound(id=id)
        return known

    def _anchored(self) -> Anchor:
        """
        The time that this ledger goes by, which is written down once in each boot of the machine.
        """
        with self._file.transaction():
            row = self._file.row("SELECT value FROM meta WHERE key = 'anchor'")
            last = None if row is None else read_anchor(row[0])
            newest: Any = self._file.connection.execute("SELECT at FROM entry ORDER BY seq DESC LIMIT 1").get
            anchor = anchored(self._clock, last=last, newest_ns=newest or 0)
            if anchor != last:
                self._file.connection.execute("INSERT OR REPLACE INTO meta VALUES ('anchor', ?)", (json_text(anchor),))
            return anchor

    def _now_ns(self) -> int:
        return self._clock.uptime_ns() + self._anchor.offset_ns

    def _deadline(self, ttl_seconds: float) -> int:
        return self._clock.uptime_ns() + int(ttl_seconds * SECOND_NS)

    def _held_by(self, id: str) -> Held | None:
        known = find(self._file, id)
        if known is None or known.state != "open":
            return None
        return Held(dict(zip(known.terms.places, known.numbers, strict=True)), known.amounts)

    def _open_in(self, account: Account, counting: range) -> int:
        rows = self._file.rows(
            "SELECT count(*) FROM reservation JOIN entry ON seq = reserving, json_each(entry.buckets) AS touched "
            "JOIN bucket ON bucket.id = touched.value JOIN place ON place.id = bucket.place "
            f"WHERE state = 'open' AND (place.scope, place.window) = (?, ?) AND number BETWEEN ? AND ? "
            f"AND entry.reserved_{account.meter} > 0",
            *(*account.place, counting[0], counting[-1]),
        )
        return int(rows[0][0])
