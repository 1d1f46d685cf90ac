"""
Processes that are killed and stopped at any step, on one SQLite ledger: nothing is spent twice, lost, or over a limit.
"""

import os
import random

import apsw
import pytest
from torture_books import Books
from torture_rig import Rig, rig
from torture_terms import STEPS, reserve

from solvent._operations import Closed, Settle
from solvent.stores.sqlite import SQLiteStore

EVENTS = ("correct", "expire", "extends", "overrun", "refused", "release", "repeats", "returns")
MARKS = (*(f"{fate} {step}" for step in STEPS for fate in ("dies", "halts")), *EVENTS)
BUDGETS_MIN, LOOKS_MIN = 10, 100


def chosen_seed() -> int:
    """
    A new one each time, shown where the test fails; ``TORTURE_SEED`` repeats its choices, though not its timing.
    """
    seed = int(os.environ.get("TORTURE_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"TORTURE_SEED={seed}")
    return seed


def missing(tortured: Rig, kills: int) -> list[str]:
    """
    What has not happened often enough yet: a test that never came to it shows nothing.
    """
    books, often = tortured.books, kills // 30
    counts = {mark: books.marks[mark] for mark in MARKS} | {"outlived": tortured.outlived, "stops": tortured.stops}
    wanted = {**dict.fromkeys(counts, often), "kills": kills, "budgets": BUDGETS_MIN, "looks": LOOKS_MIN}
    counts |= {"kills": tortured.kills, "budgets": books.budgets(), "looks": books.marks["looks"]}
    return [f"{mark}: {counts[mark]} of {wanted[mark]}" for mark in wanted if counts[mark] < wanted[mark]]


def settle_all(store: SQLiteStore, books: Books) -> None:
    """
    What every worker knew in the end is told once more; most of it is known.
    """
    operations = [Settle(id=id, actual={"usd": billed}) for id, billed in books.billed.items()]
    for at in range(0, len(operations), 256):
        answers = store.apply(operations[at : at + 256])
        assert all(isinstance(answer, Closed) for answer in answers)


def assert_nothing_is_lost(tmp_path, *, kills: int, seconds_max: float) -> None:
    with rig(tmp_path, seed=chosen_seed()) as tortured:
        books = tortured.books
        done = tortured.run(until=lambda: bool(books.wrong) or not missing(tortured, kills), seconds_max=seconds_max)
        print(f"{tortured.kills} kills, {tortured.stops} stops, {tortured.outlived} outlived; {dict(books.marks)}")
        assert books.wrong == []
        assert done, f"not reached: {missing(tortured, kills)}"
        tortured.end()

        store = tortured.store
        store.expire()
        books.check_end(reconciled=False)
        assert (books.wrong, store.verify()) == ([], None)
        assert books.spent_share() > 0.9, "the budgets were never short"
        settle_all(store, books)
        books.check_end(reconciled=True)
        assert (books.wrong, store.verify()) == ([], None)
        print(f"{len(books.billed)} bills, {books.budgets()} budgets, used {books.spent_share():.2%}")


@pytest.mark.slow
def test_nothing_is_lost_or_over_however_processes_die(tmp_path):
    assert_nothing_is_lost(tmp_path, kills=30, seconds_max=90)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_hundreds_of_kills_lose_nothing(tmp_path):
    assert_nothing_is_lost(tmp_path, kills=240, seconds_max=500)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("twin", "invariant"),
    [
        ("charged in part", "I6"),
        ("checked, then added", "I1"),
        ("released on expiry", "I5"),
        ("settled twice", "I7"),
        ("torn", "I2"),
    ],
)
def test_a_broken_store_is_found_out(tmp_path, twin, invariant):
    with rig(tmp_path, seed=chosen_seed(), twin=twin) as tortured:
        wrong = tortured.books.wrong
        found = tortured.run(until=lambda: any(line.startswith(f"{invariant}: ") for line in wrong), seconds_max=60)
        assert found, f"{tortured.kills} kills showed only {wrong}"


def test_a_bill_that_no_reservation_covers_is_found_out(tmp_path):
    with rig(tmp_path, seed=0) as tortured:
        tortured.store.apply([reserve("a", 0, "w0", 500, 60)])
        (tmp_path / "w0.diary").write_text("asks a 0 500\nbilled a 500\nasks b 0 500\nbilled b 1\n")
        tortured.books.look()
        assert tortured.books.wrong == ["I4: b: billed 1, and the journal does not know it"]


@pytest.mark.parametrize(
    ("statement", "invariants"),
    [
        ("UPDATE bucket SET spent_usd = 1 WHERE id = 1", {"I3", "I8"}),
        ("UPDATE reservation SET state = 'settled'", {"I2"}),
        ("UPDATE bucket SET reserved_calls = 65", {"I1", "I2", "I3"}),
    ],
)
def test_a_balance_that_is_not_its_journals_is_found_out(tmp_path, statement, invariants):
    with rig(tmp_path, seed=0) as tortured:
        tortured.store.apply([reserve("a", 0, "w0", 500, 60)])
        tortured.books.look()
        assert tortured.books.wrong == []
        stranger = apsw.Connection(str(tortured.ledger))
        stranger.execute(statement)
        stranger.close()
        tortured.books.look()
        assert {line.partition(":")[0] for line in tortured.books.wrong} == invariants
