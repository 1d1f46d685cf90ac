"""
The ledger in this process's memory: for tests, for observing, and for programs whose budget ends with them.
"""

import secrets
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

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
from solvent.stores._protocol import under


class _Reservation(Struct):
    request: Reserve
    postings: tuple[Posting, ...]  # Those of the entry that touched it last.
    deadline_ns: int
    state: State = "open"
    so_far: Mapping[str, int] = field(default_factory=dict)
    run_total: int | None = None


class MemoryStore:
    """
    A store that lives and ends with its process; the rule itself, under one lock.
    """

    url = "memory://"
    blocks = False

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._sums: dict[Account, dict[int, list[int]]] = defaultdict(dict)  # Bucket → reserved, spent, overrun.
        self._reservations: dict[str, _Reservation] = {}
        self._entries: list[Entry] = []
        self._key = secrets.token_bytes(32)

    def apply(self, operations: Sequence[Operation]) -> list[Answer | SolventError]:
        with self._lock:
            return [self._apply_one(operation) for operation in operations]

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
                    postings = tuple(
                        Posting(charge.account, self._buckets(charge.account)[1], limit=charge.limit)
                        for charge in operation.charges
                    )
                    self._write(operation.kind, operation.id, operation.scope, postings, operation.call)
                    return Done(id=operation.id)
        except SolventError as error:
            return error

    def _reserve(self, operation: Reserve) -> Reserved | Refusal:
        known = self._reservations.get(operation.id)
        if known is not None and known.request.fingerprint != operation.fingerprint:
            raise IdConflict(id=operation.id)
        before = tuple(self._balance(charge.account, charge.limit) for charge in operation.charges)
        if known is not None:
            return Reserved(id=operation.id, state=known.state, balances=before)
        failing = _ledger.first_failing(operation.charges, before)
        if failing is not None:
            charge = operation.charges[failing]
            return Refusal(
                charge=charge, balance=before[failing], balances=before, open_count=self._open_in(charge.account)
            )
        postings = tuple(
            Posting(charge.account, self._buckets(charge.account)[1], charge.amount, limit=charge.limit)
            for charge in operation.charges
        )
        self._reservations[operation.id] = _Reservation(operation, postings, self._deadline(operation.ttl_seconds))
        self._write("reserve", operation.id, operation.scope, postings, operation.call)
        after = tuple(self._balance(charge.account, charge.limit) for charge in operation.charges)
        return Reserved(id=operation.id, state="open", balances=after)

    def _close(self, operation: Settle | Release) -> Closed:
        kind = closing_kind(operation)
        known = self._known(operation.id)
        if known.state in (CLOSED_BY[kind], "corrected"):
            return self._closed(operation.id, known)
        if known.state not in ("open", "expired"):
            raise ReservationClosed(id=operation.id, state=known.state, wanted=CLOSED_BY[kind])
        booked = booked_by(operation)
        if known.state == "open":
            postings, _ = _ledger.closing(known.postings, booked=booked)
        else:
            kind, postings = "correct", _ledger.correction(known.postings, booked=booked)
        return self._write_closing(kind, operation.id, known, postings, closing_call(operation))

    def _write_closing(
        self, kind: Kind, id: str, known: _Reservation, postings: tuple[Posting, ...], call: CallRecord
    ) -> Closed:
        known.postings, known.state = postings, CLOSED_BY[kind]
        known.run_total = self._write(kind, id, known.request.scope, postings, call)
        return self._closed(id, known)

    def _closed(self, id: str, known: _Reservation) -> Closed:
        return Closed(
            id=id,
            state=known.state,
            balances=tuple(self._balance(posting.account, posting.limit) for posting in known.postings),
            overrun={p.account.meter: p.overrun for p in known.postings if p.overrun > 0},
            run_total_nanodollars=known.run_total,
        )

    def _extend(self, operation: Extend) -> Done:
        known = self._known(operation.id)
        if known.state != "open":
            raise ReservationClosed(id=operation.id, state=known.state, wanted="extended")
        known.deadline_ns, known.so_far = self._deadline(operation.ttl_seconds), operation.so_far
        return Done(id=operation.id)

    def expire(self) -> int:
        with self._lock:
            now, expired = self._clock.uptime_ns(), 0
            for id, known in self._reservations.items():
                if known.state == "open" and known.deadline_ns < now:
                    self._expire_one(id, known)
                    expired += 1
            return expired

    def _expire_one(self, id: str, known: _Reservation) -> None:
        def booked(account: Account, reserved: int) -> int:
            return _ledger.expired_amount(account, reserved=reserved, so_far=known.so_far)

        postings, _ = _ledger.closing(known.postings, booked=booked)
        call = _ledger.expired_call(known.request.call, ended=self._clock.now_ns())
        self._write_closing("expire", id, known, postings, call)

    def balances(self, scope: str | None = None) -> list[Balance]:
        with self._lock:
            accounts = sorted(account for account in self._sums if under(account.scope, scope))
            return [self._balance(account, None) for account in accounts]

    def entries(self, *, scope: str | None = None, after: int = 0) -> Iterator[Entry]:
        with self._lock:
            entries = self._entries[after:]
        yield from (entry for entry in entries if under(entry.scope, scope))

    def last_opened(self, scope: str | None = None) -> Entry | None:
        with self._lock:
            opened = (entry for entry in reversed(self._entries) if entry.kind == "open")
            return next((entry for entry in opened if scope in (None, entry.scope)), None)

    def verify(self) -> str | None:
        with self._lock:
            kept = {
                (account, bucket): (sums[0], sums[1], sums[2])
                for account, by_bucket in self._sums.items()
                for bucket, sums in by_bucket.items()
            }
            return first_difference(rebuild(posting for entry in self._entries for posting in entry.postings), kept)

    def fingerprint_key(self) -> bytes:
        return self._key

    def close(self) -> None:
        pass

    def _known(self, id: str) -> _Reservation:
        known = self._reservations.get(id)
        if known is None:
            raise ReservationNotFound(id=id)
        return known

    def _write(self, kind: Kind, id: str, scope: str, postings: tuple[Posting, ...], call: CallRecord) -> int | None:
        run_total = None
        for posting in postings:
            sums = self._sums[posting.account].setdefault(posting.bucket, [0, 0, 0])
            sums[0] += posting.reserved
            sums[1] += posting.spent
            sums[2] += posting.overrun
            if kind in CLOSED_BY and _ledger.carries_run_total(posting.account):
                run_total = sums[1]
        self._entries.append(
            Entry(
                seq=len(self._entries) + 1,
                at=self._clock.now_ns(),
                kind=kind,
                id=id,
                scope=scope,
                postings=postings,
                run_total_nanodollars=run_total,
                call=call,
            )
        )
        return run_total

    def _balance(self, account: Account, limit: int | None) -> Balance:
        first, last = self._buckets(account)
        by_bucket = self._sums.get(account, {})
        reserved = spent = overrun = 0
        for bucket in range(first, last + 1):
            if sums := by_bucket.get(bucket):
                reserved, spent, overrun = reserved + sums[0], spent + sums[1], overrun + sums[2]
        return Balance(account=account, limit=limit, spent=spent, reserved=reserved, overrun=overrun)

    def _buckets(self, account: Account) -> tuple[int, int]:
        if not account.window:
            return 0, 0
        now, uptime_seconds = utc(self._clock.now_ns()), self._clock.uptime_ns() // 1_000_000_000
        return buckets(account.window, now=now, uptime_seconds=uptime_seconds)

    def _deadline(self, ttl_seconds: float) -> int:
        return self._clock.uptime_ns() + int(ttl_seconds * 1e9)

    def _open_in(self, account: Account) -> int:
        return sum(
            known.state == "open" and any(charge.account == account for charge in known.request.charges)
            for known in self._reservations.values()
        )
