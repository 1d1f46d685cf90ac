"""
What a digest tells apart, and what it adds up.
"""

import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clocks import ManualClock
from run_journal import CENT, START, RunJournal

from solvent._digest import HOUR_NS, Facts, Sums, digest_of
from solvent.errors import LedgerCorrupt, StoreUnavailable
from solvent.report import summarize
from solvent.stores import _sqlite_digest, _sqlite_reading
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def journal(clock: ManualClock) -> RunJournal:
    return RunJournal(MemoryStore(clock=clock))


def only(journal: RunJournal) -> tuple[Facts, Sums]:
    [(facts, sums)] = journal.store.groups().items()
    return facts, sums


def test_calls_that_differ_in_amounts_alone_are_one_group(journal: RunJournal) -> None:
    journal.call(2 * CENT, usage={"input_tokens": 10, "cache_read_tokens": 4}, rungs=("prefix", "wait 1.5 s"))
    journal.call(1, usage={"input_tokens": 5}, rungs=("prefix", "wait 2 min 3 s"), attempt=1, status="200")

    facts, sums = only(journal)
    assert (facts.rungs, facts.status, facts.is_call) == (("prefix", "wait"), None, True)
    assert (sums.count, sums.cost, sums.bound, sums.bounded, sums.retries) == (2, 2 * CENT + 1, 6 * CENT, 2, 1)
    assert sums.tokens == {"input_tokens": 15, "cache_read_tokens": 4}
    assert sums.waited_milliseconds == 124_500


@pytest.mark.parametrize(
    "other",
    [
        {"model_used": "gpt-5"},
        {"tier": "flex"},
        {"estimated": "cut"},
        {"status": "503"},
        {"rungs": ("warn usd",)},
        {"price_source": "the reply"},
        {"ended": 7 * HOUR_NS},
    ],
    ids=lambda other: next(iter(other)),
)
def test_calls_that_a_report_tells_apart_are_groups_of_their_own(journal: RunJournal, other: dict[str, object]) -> None:
    journal.call(status="200")
    journal.call(**{"status": "200", **other})

    assert len(journal.store.groups()) == 2


def test_a_late_truth_is_moved_from_what_expired_to_what_it_was(tmp_path: Path, clock: ManualClock) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store)
    id = journal.reserve(3 * CENT)
    clock.advance(seconds=121)
    store.expire()
    store.groups()
    journal.settle(id, 1, usage={"input_tokens": 7})

    groups = store.groups()

    assert groups == digest_of(store.entries())
    by_kind = {facts.kind: sums for facts, sums in groups.items()}
    assert (by_kind["expire"].count, by_kind["expire"].cost) == (0, 0)
    assert (by_kind["settle"].count, by_kind["settle"].cost, by_kind["settle"].corrected) == (1, 1, 1)


def test_a_ledger_of_many_calls_is_read_once(tmp_path: Path, clock: ManualClock) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 2**52})
    for _ in range(1_100):
        journal.call(1)

    [(digested,)] = store._file.rows("SELECT value FROM meta WHERE key = 'digested'")
    assert digested >= 1_024
    assert sum(sums.count for sums in store.groups().values()) == 1_100
    assert store.verify() is None


def test_calls_go_on_while_the_digest_is_read(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 2**52})
    for _ in range(600):
        journal.call(1)
    waited: list[bool] = []

    def call_meanwhile(text: str) -> Sums:
        other = threading.Thread(target=journal.call, daemon=True)
        other.start()
        other.join(5)
        waited.append(other.is_alive())
        return read(text)

    read = _sqlite_digest._sums
    monkeypatch.setattr(_sqlite_digest, "_sums", call_meanwhile)
    store.groups()

    assert waited == [False]


def test_a_record_that_cannot_be_read_keeps_no_call_from_being_booked(tmp_path: Path, clock: ManualClock) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 2**52})
    journal.call(1, rungs=["wait for the bus"])
    for _ in range(600):
        journal.call(1)

    [usd] = [balance for balance in store.balances() if balance.account.meter == "usd"]
    assert usd.spent == 601


@pytest.mark.parametrize("after", [0, 1], ids=["kept", "read one by one"])
def test_a_record_that_cannot_be_read_is_told_with_what_finds_it(
    tmp_path: Path, clock: ManualClock, after: int
) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    RunJournal(store).call(1, rungs=["wait for the bus"])

    with pytest.raises(LedgerCorrupt, match=r"a record cannot be read \(entry 2: ") as corrupt:
        store.groups(after=after)

    assert "To go on: run `solvent ledger verify`" in corrupt.value.message()
    assert (store.verify() or "").startswith("a record cannot be read (entry 2: ")


def test_an_expiry_is_found_without_the_calls_before_and_after(tmp_path: Path, clock: ManualClock) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 2**52})
    id = journal.reserve(3 * CENT)
    for _ in range(500):
        journal.call(1)
    clock.advance(seconds=121)
    store.expire()
    journal.settle(id, 1)
    for _ in range(500):
        journal.call(1)
    steps: list[None] = []
    store._file.connection.set_progress_handler(lambda: steps.append(None) is not None, 100)

    [expiry] = store._file.rows(_sqlite_digest._EXPIRY, journal.scope, id)

    assert expiry[1:3] == ("expire", id)
    assert len(steps) < 20


def test_calls_go_on_while_the_balances_of_many_runs_are_read(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    team, run = RunJournal(store, "team:t", limits={"usd": 2**52}), RunJournal(store, "team:t/run:r")
    team.call(1)
    run.call(1)
    waited: list[bool] = []

    def call_meanwhile(*args: Any) -> None:
        other = threading.Thread(target=team.call, daemon=True)
        other.start()
        other.join(5)
        waited.append(other.is_alive())
        load(*args)

    load = _sqlite_reading.load
    monkeypatch.setattr(_sqlite_reading, "load", call_meanwhile)

    found = [
        {balance.account.scope for balance in balances} for balances in (store.balances(), store.balances("team:t"))
    ]

    assert found == [{"team:t", "team:t/run:r"}] * 2
    assert waited == [False] * 2
    store.close()
    with pytest.raises(StoreUnavailable, match="it was closed"):
        store.balances()


def test_a_digest_that_is_wrong_is_found(tmp_path: Path, clock: ManualClock) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 2**52})
    for _ in range(600):
        journal.call(1)
    store._file.rows("UPDATE digest SET sums = replace(sums, '[', '[1')")

    assert store.verify() == "the digest of run:triage is not what the journal adds up to"


def test_a_writer_gains_on_a_journal_without_a_digest_and_a_reader_catches_up(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solvent.stores._sqlite_digest.FOLDED_AT_ONCE", 10)
    monkeypatch.setattr("solvent.stores._sqlite_digest._BEHIND", 30)
    monkeypatch.setattr("solvent.stores._sqlite_digest._STEP", 8)
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 2**52})
    for _ in range(100):
        journal.call(1)
    store._file.rows("DELETE FROM digest")
    store._file.rows("UPDATE meta SET value = 0 WHERE key = 'digested'")

    def digested() -> int:
        return int(store._file.rows("SELECT value FROM meta WHERE key = 'digested'")[0][0])

    for _ in range(20):
        journal.call(1)
    gained = digested()
    told: list[tuple[int, int]] = []
    groups = store.groups(told=lambda done, last: told.append((done, last)))

    assert 40 <= gained <= 100
    assert told[-1] == (digested(), 240) == (240, 240)
    assert {later - sooner for (sooner, _), (later, _) in pairwise(told)} <= set(range(1, 9))
    assert groups == digest_of(store.entries())
    assert store.verify() is None


def test_what_was_said_last_stays_whatever_is_joined_to_it() -> None:
    found = Sums(count=1, last=2, said="late", tokens={})

    found.join(Sums(count=1, last=1, said="early", tokens={}))

    assert (found.count, found.last, found.said) == (2, 2, "late")


def test_the_hours_that_are_asked_for_end_before_the_second_one(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("solvent.stores._sqlite_digest.FOLDED_AT_ONCE", 2)
    store = SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    journal = RunJournal(store)
    hour = clock.now_ns() // HOUR_NS
    for cost in (1, 2, 4, 8):
        journal.call(cost, ended=clock.now_ns())
        clock.advance(seconds=3_600)

    groups = store.groups(hours=(hour + 1, hour + 3))

    assert sorted((facts.hour - hour, sums.cost) for facts, sums in groups.items()) == [(1, 2), (2, 4)]


def test_calls_whose_entries_are_no_longer_kept_are_in_the_sums(clock: ManualClock) -> None:
    store = MemoryStore(clock=clock, entries_max=10)
    journal = RunJournal(store, limits={"usd": 2**52, "calls": None})
    for _ in range(20):
        journal.call(3)

    groups = store.groups()

    assert len(list(store.entries())) == 11
    assert sum(sums.cost for sums in groups.values()) == 60
    assert sum(sums.count for sums in groups.values()) == 20
    assert summarize(store, journal.scope).total.cost_nanodollars == 60
