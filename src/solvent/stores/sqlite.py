"""
The ledger in one SQLite file, shared by any number of processes on one machine.

Every operation is one row of an ``INSERT INTO entry``; triggers in ``sqlite.sql`` write all that it changes.
"""

import functools
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec

from solvent import _ledger
from solvent._clock import Clock, SystemClock, utc
from solvent._ledger import (
    Account,
    Answer,
    Balance,
    CallRecord,
    Closed,
    Done,
    Entry,
    Extend,
    Kind,
    Note,
    Operation,
    Posting,
    Refusal,
    Release,
    Reserve,
    Reserved,
    Settle,
    State,
)
from solvent._limits import buckets
from solvent.errors import IdConflict, ReservationClosed, ReservationNotFound, SolventError
from solvent.stores._audit import first_difference, rebuild
from solvent.stores._closing import CLOSED_BY, booked_by, closing_call, closing_kind
from solvent.stores._journal import SELECT, call_row, json_text, read_entry, read_postings
from solvent.stores._owner import is_alive, this_process
from solvent.stores._sqlite_batch import Batch, Row
from solvent.stores._sqlite_file import SQLiteFile

_BELOW = "(scope = ?1 OR (scope > ?1 || '/' AND scope < ?1 || '0'))"  # '0' is the character after '/'.


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
        self._lock = threading.Lock()
        self._ids: dict[Account, int] = {}
        self._names: dict[int, Account] = {}
        self._batch = Batch(self._file)

    def apply(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        with self._lock, self._file.mapped():
            try:
                with self._transaction([operation.id for operation in operations]):
                    return [self._apply_one(operation) for operation in operations]
            except BaseException:
                self._ids.clear()  # They may be numbers of accounts that were rolled back.
                self._names.clear()
                raise

    @contextmanager
    def _transaction(self, ids: Sequence[str] = ()) -> Iterator[None]:
        with self._file.transaction():
            self._batch.begin(ids)
            yield
            self._batch.flush()

    def _apply_one(self, operation: Operation) -> Answer | SolventError:
        try:
            match operation:
                case Reserve():
                    return self._reserve(operation)
                case Settle() | Release():
                    return self._close(operation)
                case Extend():
                    return self._extend(operation)
                case Note():
                    return self._note(operation)
        except SolventError as error:
            return error

    def _reserve(self, operation: Reserve) -> Reserved | Refusal:
        known = self._batch.reservation(operation.id)
        if known is not None and known.contents != operation.fingerprint:
            raise IdConflict(id=operation.id)
        rows: list[Row] = []
        before: list[Balance] = []
        for charge in operation.charges:
            id, (first, bucket) = self._id(charge.account), self._buckets(charge.account)
            rows.append((id, bucket, charge.amount, 0, 0, charge.limit, first))
            before.append(self._batch.sums(id, first, bucket).balance(charge.account, charge.limit))
        if known is not None:
            return Reserved(id=operation.id, state=known.state, balances=tuple(before))
        failing = _ledger.first_failing(operation.charges, before)
        if failing is not None:
            return Refusal(
                charge=operation.charges[failing],
                balance=before[failing],
                balances=tuple(before),
                open_count=self._open_in(rows[failing][0]),
            )
        deadline = self._clock.uptime_ns() + int(operation.ttl_seconds * 1e9)
        terms = operation.fingerprint, this_process(self._clock), deadline
        self._insert("reserve", operation.id, operation.scope, rows, operation.call, terms=terms)
        after = [
            self._batch.sums(row[0], row[6], row[1]).balance(charge.account, charge.limit)
            for row, charge in zip(rows, operation.charges, strict=True)
        ]
        return Reserved(id=operation.id, state="open", balances=tuple(after))

    def _close(self, operation: Settle | Release) -> Closed:
        kind = closing_kind(operation)
        known = self._batch.reservation(operation.id)
        if known is None:
            raise ReservationNotFound(id=operation.id)
        state, last = known.state, read_postings(known.postings, account_of=self._name)
        if state in (CLOSED_BY[kind], "corrected"):
            return self._closed(operation.id, state, last, known.run_total_nanodollars)
        if state not in ("open", "expired"):
            raise ReservationClosed(id=operation.id, state=state, wanted=CLOSED_BY[kind])
        booked = booked_by(operation)
        if state == "open":
            postings, _ = _ledger.closing(last, booked=booked)
        else:
            kind, postings = "correct", _ledger.correction(last, booked=booked)
        return self._write_closing(kind, operation.id, known.scope, postings, closing_call(operation))

    def _write_closing(
        self, kind: Kind, id: str, scope: str, postings: tuple[Posting, ...], call: CallRecord
    ) -> Closed:
        rows: list[Row] = [
            (self._id(p.account), p.bucket, p.reserved, p.spent, p.overrun, p.limit, p.bucket) for p in postings
        ]
        run_total = None
        for posting, row in zip(postings, rows, strict=True):
            sums = self._batch.sums(row[0], *self._buckets(posting.account))
            if _ledger.carries_run_total(posting.account):
                run_total = sums.spent + posting.spent
        self._insert(kind, id, scope, rows, call, run_total=run_total)
        return self._closed(id, CLOSED_BY[kind], postings, run_total)

    def _closed(self, id: str, state: State, postings: tuple[Posting, ...], run_total: int | None) -> Closed:
        balances = []
        for posting in postings:
            sums = self._batch.sums(self._id(posting.account), *self._buckets(posting.account))
            balances.append(sums.balance(posting.account, posting.limit))
        return Closed(
            id=id,
            state=state,
            balances=tuple(balances),
            overrun={p.account.meter: p.overrun for p in postings if p.overrun > 0},
            run_total_nanodollars=run_total,
        )

    def _extend(self, operation: Extend) -> Done:
        known = self._batch.reservation(operation.id)
        if known is None:
            raise ReservationNotFound(id=operation.id)
        if known.state != "open":
            raise ReservationClosed(id=operation.id, state=known.state, wanted="extended")
        deadline = self._clock.uptime_ns() + int(operation.ttl_seconds * 1e9)
        self._file.connection.execute(
            "UPDATE reservation SET deadline = ?, so_far = ? WHERE id = ?",
            (deadline, json_text(operation.so_far), operation.id),
        )
        return Done(id=operation.id)

    def _note(self, operation: Note) -> Done:
        rows: list[Row] = []
        for charge in operation.charges:
            first, bucket = self._buckets(charge.account)
            rows.append((self._id(charge.account), bucket, 0, 0, 0, charge.limit, first))
        self._insert(operation.kind, operation.id, operation.scope, rows, operation.call)
        return Done(id=operation.id)

    def expire(self) -> int:
        with self._lock, self._file.mapped():
            if not self._due():  # Looked at without the gate: nearly always there is nothing to do.
                return 0
            with self._transaction():
                due = self._due()
                for id, reserving, so_far in due:
                    self._expire_one(id, reserving, msgspec.json.decode(so_far))
                return len(due)

    def _due(self) -> list[tuple[str, int, str]]:
        now = self._clock.uptime_ns()
        rows = self._file.rows("SELECT id, reserving, so_far, owner, deadline FROM reservation WHERE state = 'open'")
        alive = {owner: is_alive(owner, clock=self._clock) for owner in {row[3] for row in rows}}
        return [
            (id, reserving, so_far)
            for id, reserving, so_far, owner, deadline in rows
            if deadline < now or not alive[owner]
        ]

    def _expire_one(self, id: str, reserving: int, so_far: dict[str, int]) -> None:
        row = self._file.row(f"{SELECT} WHERE seq = ?", reserving)
        assert row is not None
        entry = read_entry(row, account_of=self._name)

        def booked(account: Account, reserved: int) -> int:
            return _ledger.expired_amount(account, reserved=reserved, so_far=so_far)

        postings, _ = _ledger.closing(entry.postings, booked=booked)
        call = _ledger.expired_call(entry.call, ended=self._clock.now_ns())
        self._write_closing("expire", id, entry.scope, postings, call)

    def balances(self, scope: str | None = None) -> list[Balance]:
        where, bindings = (f"WHERE {_BELOW}", (scope,)) if scope is not None else ("", ())
        with self._lock, self._file.mapped():
            found = []
            select = f"SELECT id, scope, meter, window, override FROM account {where} ORDER BY scope, id"
            for id, *name, override in self._file.rows(select, *bindings):
                account = Account(*name)
                sums = Batch(self._file).sums(id, *self._buckets(account))
                found.append(sums.balance(account, override))
            return found

    def entries(self, *, scope: str | None = None, after: int = 0) -> Iterator[Entry]:
        where, bindings = (f"{_BELOW} AND ", (scope, after)) if scope is not None else ("", (None, after))
        with self._file.mapped():
            # A connection of its own: the journal may be long, and the writer goes on meanwhile.
            reader = self._file.connect()
            names = functools.cache(functools.partial(_account, reader))
            for row in reader.execute(f"{SELECT} WHERE {where}seq > ?2 ORDER BY seq", bindings):
                yield read_entry(row, account_of=names)
            reader.close()

    def last_opened(self, scope: str | None = None) -> Entry | None:
        with self._lock, self._file.mapped():
            select = f"{SELECT} WHERE kind = 'open' AND coalesce(scope = ?, true) ORDER BY seq DESC LIMIT 1"
            row = self._file.row(select, scope)
            return None if row is None else read_entry(row, account_of=self._name)

    def verify(self) -> str | None:
        with self._file.mapped():
            reader = self._file.connect()
            reader.execute("BEGIN")  # One state of the file, however long it takes; nobody has to wait for it.
            damage = reader.execute("PRAGMA quick_check(1)").get
            if damage != "ok":
                return f"the file is damaged: {damage}"
            missing = reader.execute("SELECT coalesce(max(seq), 0) - count(*) FROM entry").get
            if missing:
                return f"{missing:,} entries of the journal are missing"
            names = functools.cache(functools.partial(_account, reader))
            rows: Any = reader.execute("SELECT postings FROM entry ORDER BY seq")
            rebuilt = rebuild(posting for (text,) in rows for posting in read_postings(text, account_of=names))
            balances: Any = reader.execute(
                "SELECT scope, meter, window, number, reserved, spent, overrun FROM bucket "
                "JOIN account ON account.id = bucket.account"
            )
            kept = {(Account(*row[:3]), row[3]): row[4:] for row in balances}
            reader.close()
            return first_difference(rebuilt, kept)

    def fingerprint_key(self) -> bytes:
        with self._lock, self._file.mapped():
            key: bytes = self._file.connection.execute("SELECT value FROM meta WHERE key = 'fingerprint_key'").get
            return key

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _insert(
        self,
        kind: str,
        id: str,
        scope: str,
        rows: Sequence[Row],
        call: CallRecord,
        *,
        run_total: int | None = None,
        terms: tuple[str | None, str | None, int | None] = (None, None, None),
    ) -> None:
        values = [self._clock.now_ns(), kind, id, scope, json_text(rows), run_total, *call_row(call), *terms]
        self._batch.add(id, values, rows)

    def _buckets(self, account: Account) -> tuple[int, int]:
        if not account.window:
            return 0, 0
        now, uptime_seconds = utc(self._clock.now_ns()), self._clock.uptime_ns() // 1_000_000_000
        return buckets(account.window, now=now, uptime_seconds=uptime_seconds)

    def _id(self, account: Account) -> int:
        id = self._ids.get(account)
        if id is None:
            key = (account.scope, account.meter, account.window)
            execute = self._file.connection.execute
            execute("INSERT OR IGNORE INTO account (scope, meter, window) VALUES (?, ?, ?)", key)
            id = execute("SELECT id FROM account WHERE (scope, meter, window) = (?, ?, ?)", key).get
            assert isinstance(id, int)
            self._ids[account] = id
            self._names[id] = account
        return id

    def _name(self, id: int) -> Account:
        account = self._names.get(id)
        if account is None:
            account = self._names[id] = _account(self._file.connection, id)
        return account

    def _open_in(self, account: int) -> int:
        self._batch.flush()
        rows = self._file.rows(
            "SELECT count(*) FROM reservation JOIN entry ON entry.seq = reserving, json_each(postings) AS posting "
            "WHERE state = 'open' AND posting.value ->> 0 = ?",
            account,
        )
        return int(rows[0][0])


def _account(connection: apsw.Connection, id: int) -> Account:
    row: Any = connection.execute("SELECT scope, meter, window FROM account WHERE id = ?", (id,)).fetchone()
    return Account(*row)
