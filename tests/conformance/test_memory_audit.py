"""
What ``verify`` of a ledger in memory finds.
"""

import pytest

from solvent._operations import Charge, Reserve, SetLimit, Settle, TopUp
from solvent._records import Account
from solvent.stores.memory import MemoryStore
from solvent.testing import ManualClock

RUN = "run:1"
USD, DAY = Account(RUN, "usd"), Account(RUN, "usd", "day@UTC")


@pytest.fixture
def store():
    store = MemoryStore(clock=ManualClock(), entries_max=8)
    store.apply([SetLimit(id="less", account=USD, limit=90), TopUp(id="more", account=DAY, amount=20)])
    for id in "abcdef":
        charges = [Charge(account=account, amount=10, limit=100) for account in (USD, DAY)]
        store.apply([Reserve.of(id=id, scope=RUN, charges=charges)])
    store.apply([Settle(id=id, actual={"usd": 15}) for id in "abc"])
    assert next(store.entries()).kind == "opening_balance"
    assert store.verify() is None
    return store


def tally(store, account):
    return store._books.tally(account.place)


def spend(store):
    tally(store, USD).spent += 1
    tally(store, USD).used += 1


def spend_today(store):
    (bucket,) = tally(store, DAY).buckets.values()
    bucket[0] += 1
    bucket[1] += 1


def set_limit(store):
    tally(store, USD).set_limit("usd", 91)


def give_limit_back(store):
    tally(store, USD).set_limit("usd", None)


def top_up(store):
    tally(store, DAY).top_up(tally(store, DAY).last, 5)


def top_up_for_life(store):
    tally(store, USD).top_up(0, 5)


def lose_a_reservation(store):
    del store._open["f"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (spend, "run:1 usd: spent is 46, and the journal adds up to 45"),
        (spend_today, "run:1 usd per day@UTC, bucket 739676: spent is 46, and the journal adds up to 45"),
        (set_limit, "run:1 usd: the limit that was set is 91, and by the journal 90"),
        (give_limit_back, "run:1 usd: the limit that was set is None, and by the journal 90"),
        (top_up, "run:1 usd per day@UTC, bucket 739676: topped up is 25, and the journal adds up to 20"),
        (top_up_for_life, "run:1 usd: topped up is 5, and the journal adds up to 0"),
        (lose_a_reservation, "run:1 usd: reserved is 30, and open reservations hold 20"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_differs_from_the_journal_is_found(store, change, found):
    change(store)
    assert store.verify() == found
