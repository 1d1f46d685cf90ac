"""
The types of the ledger's public things. Checked by ``mypy --strict`` and never run.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import assert_type

import solvent
from solvent._clock import Clock, SystemClock
from solvent._limits import Limit, Scope
from solvent._operations import (
    Answer,
    Charge,
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
from solvent._records import Account, Balance, CallRecord, Entry, Posting, Terms
from solvent.errors import IdConflict, LedgerCorrupt, OutcomeUnknown, ReservationClosed, SolventError, StoreUnavailable
from solvent.events import Event
from solvent.stores import default_url, open_store
from solvent.stores._batcher import Ledger
from solvent.stores._protocol import Store
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

clock: Clock = SystemClock()
store: Store = MemoryStore(clock=clock)
store = SQLiteStore(Path("ledger.db"), clock=clock, synchronous="NORMAL")
store = assert_type(open_store("memory://", clock=clock), Store)
assert_type(default_url(), str)

account = Account("run:triage", "usd", Limit(meter="usd", amount=5, window="day").window_key)
reserve = Reserve.of(id="a", scope=str(Scope.parse("run:triage")), charges=[Charge(account=account, amount=1, limit=5)])
reserve = Reserve(id="a", scope="run:triage", terms=Terms.of({account: None}), amounts={"usd": 1}, ttl_seconds=120)
extend = Extend(id="a", ttl_seconds=120, so_far={"usd": 1})
settle = Settle(id="a", actual={"usd": 1}, call=CallRecord(provider="openai"))
release = Release(id="a", reason="not sent")
note = Note(kind="open", id="b", scope="run:triage")
top_up = TopUp(id="c", account=account, amount=1)
set_limit = SetLimit(id="d", account=account, limit=None)
operations: list[Operation] = [reserve, extend, settle, release, note, top_up, set_limit]

assert_type(store.url, str)
assert_type(store.blocks, bool)
assert_type(store.apply(operations), list[Answer | SolventError])
assert_type(store.expire(), int)
assert_type(store.balances("run:triage"), list[Balance])
assert_type(store.entries(scope="run:triage", after=1), Iterator[Entry])
assert_type(store.last_opened(), Entry | None)
assert_type(store.verify(), str | None)
assert_type(store.fingerprint_key(), bytes)

ledger = Ledger(store)
assert_type(ledger.do(reserve), Reserved | Refusal)
assert_type(ledger.do(settle), Closed)
assert_type(ledger.do(release), Closed)
assert_type(ledger.do(extend), Done)
assert_type(ledger.do(note), Done)
assert_type(ledger.do(top_up), Done)
assert_type(ledger.do(set_limit), Done)


async def asynchronous() -> None:
    assert_type(await ledger.ado(reserve), Reserved | Refusal)
    assert_type(await ledger.ado(settle), Closed)
    assert_type(await ledger.ado(release), Closed)
    assert_type(await ledger.ado(extend), Done)
    assert_type(await ledger.ado(note), Done)
    assert_type(await ledger.ado(top_up), Done)
    assert_type(await ledger.ado(set_limit), Done)


def admitted_or_refused(answer: Reserved | Refusal) -> Balance:
    """
    Telling the two apart leaves nothing else.
    """
    if isinstance(answer, Reserved):
        assert_type(answer.balances, Sequence[Balance])
        return answer.balances[0]
    assert_type(answer.charge, Charge)
    assert_type(answer.open_count, int)
    assert_type(answer.would_fit_alone, bool)
    return answer.balance


def amounts(balance: Balance, closed: Closed, entry: Entry) -> None:
    assert_type(balance.limit, int | None)
    assert_type(balance.spent, int)
    assert_type(balance.reserved, int)
    assert_type(balance.overrun, int)
    assert_type(balance.remaining, int | None)
    assert_type(closed.overrun, Mapping[str, int])
    assert_type(closed.run_total_nanodollars, int | None)
    assert_type(entry.postings, tuple[Posting, ...])
    assert_type(entry.call, CallRecord)


def errors() -> Sequence[SolventError]:
    """
    Each has its fields by name.
    """
    assert_type(IdConflict(id="a").id, str)
    assert_type(ReservationClosed(id="a", state="settled", wanted="released").state, str)
    assert_type(OutcomeUnknown(ledger="memory://", id="a", reason="it is full").id, str)
    assert_type(StoreUnavailable(ledger="memory://", reason="it is full").reason, str)
    return [LedgerCorrupt(ledger="ledger.db", found="it is none")]


def hear(event: Event) -> None: ...


with solvent.listen(hear) as listening:
    assert_type(listening, solvent.Listening)
    assert_type(listening.flush(), bool)
    assert_type(listening.dropped, int)
    listening.stop(timeout_seconds=1)
