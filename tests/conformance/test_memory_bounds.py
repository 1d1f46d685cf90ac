"""
A ledger in memory takes no more of it after a million calls than after some thousands.
"""

import pytest
from clocks import ManualClock

from solvent._operations import Charge, Note, Release, Reserve, Reserved, SetLimit, Settle, TopUp
from solvent._records import Account
from solvent.errors import ReservationNotFound
from solvent.stores._audit import rebuild
from solvent.stores.memory import MemoryStore

RUN = "team:a/run:1"
USD, MINUTE = Account(RUN, "usd"), Account("team:a", "calls", "minute")
KEPT = 64


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(clock):
    return MemoryStore(clock=clock, entries_max=KEPT, closed_max=KEPT)


def call(store, id, *, actual=7, close=True):
    charges = [Charge(account=USD, amount=10, limit=10**9), Charge(account=MINUTE, amount=1, limit=100)]
    (answer,) = store.apply([Reserve.of(id=id, scope=RUN, charges=charges)])
    assert isinstance(answer, Reserved)
    if close:
        (answer,) = store.apply([Settle(id=id, actual={"usd": actual})])
    return answer


def test_old_entries_become_an_opening_balance_that_says_the_same(store, clock):
    store.apply([SetLimit(id="limit", account=USD, limit=10**8), TopUp(id="more", account=USD, amount=5)])
    for number in range(500):
        call(store, f"{number}")
        clock.advance(seconds=1)
    opening, *rest = store.entries()
    assert (opening.kind, opening.seq, len(rest)) == ("opening_balance", 1_002 - KEPT, KEPT)
    assert [entry.seq for entry in rest] == list(range(opening.seq + 1, 1_003))
    sums = rebuild(posting for entry in (opening, *rest) for posting in entry.postings)
    assert sums[USD, 0] == (0, 3_500, 0, 5)
    assert next(posting.limit for posting in opening.postings if posting.account == USD) == 10**8
    assert store.verify() is None
    assert [entry.seq for entry in store.entries(after=1_000)] == [1_001, 1_002]
    assert next(store.entries(scope="team:b")).postings == ()


@pytest.mark.slow
def test_what_is_kept_of_closed_calls_is_bounded(store, clock):
    for number in range(20_000):
        call(store, f"{number}")
        clock.advance(seconds=1)
    assert len(store._closed) == len(store._journal.lines) == KEPT
    assert len(store._books.tally(MINUTE.place).buckets) < 10_000
    assert len(store._journal._opening._sums) < 10_000
    assert store.verify() is None
    (late,) = store.apply([Release(id="1", reason="late")])
    assert isinstance(late, ReservationNotFound)


@pytest.mark.slow
def test_an_open_reservation_is_never_forgotten(store, clock):
    call(store, "open", close=False)
    for number in range(9_000):
        call(store, f"{number}")
        clock.advance(seconds=1)
    (closed,) = store.apply([Settle(id="open", actual={"usd": 3})])
    assert (closed.state, closed.run_total_nanodollars) == ("settled", 63_003)
    assert store.verify() is None


def test_the_last_opening_of_a_run_is_known_after_its_entry_is_gone(store):
    store.apply([Note(kind="open", id="o", scope=RUN)])
    for number in range(100):
        call(store, f"{number}")
    assert store.last_opened().scope == store.last_opened(RUN).scope == RUN
