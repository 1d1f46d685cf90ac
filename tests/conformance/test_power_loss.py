"""
Power that goes at any moment: an SQLite ledger comes back with whole transactions, in order, and nothing else; with
``synchronous=FULL`` with every one that was answered.

What these tests do not show: that a disk keeps what it said was durable, and that the file's own name is.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from clocks import ManualClock
from forgetful_disk import ForgetfulDisk, forgetful

from solvent._operations import Charge, Note, Release, Reserve, Reserved, Settle, TopUp
from solvent._records import Account, Entry
from solvent.errors import SolventError
from solvent.stores.sqlite import SQLiteStore

pytestmark = pytest.mark.slow

TEAM, DAY, MINUTE = (
    Account("team:a", "usd"),
    Account("team:a", "usd", "day@UTC"),
    Account("team:a/run:1", "usd", "minute"),
)
CALLS = Account("team:a/run:1", "calls")


@dataclass(frozen=True, kw_only=True)
class History:
    """
    What a ledger was asked, and the journal after it.

    Attributes:
        answered: After so many writes to the disk, so many entries were answered.
    """

    answered: list[tuple[int, int]]
    journal: list[Entry]

    def known_at(self, event: int) -> int:
        return max((entries for at, entries in self.answered if at <= event), default=0)


def reserve(id, amount):
    charges = [Charge(account=account, amount=amount, limit=20_000) for account in (TEAM, DAY, MINUTE)]
    charges.append(Charge(account=CALLS, amount=1))
    return Reserve.of(id=id, scope="team:a/run:1", charges=charges)


def ask(store, clock, random, number):
    """
    One durable step: from one operation to a dozen, of every kind.
    """
    ids = [f"{number}-{part}" for part in range(random.choice((1, 1, 1, 4)))]
    store.apply([reserve(id, random.randint(1, 400)) for id in ids])
    yield
    clock.advance(seconds=random.choice((0.1, 5, 40, 20_000)))
    store.apply([operation for id in ids for operation in ending(id, random)])
    yield
    store.expire()
    yield


def ending(id, random):
    """
    What becomes of a reservation, beside which something else may happen; nothing, so that it expires.
    """
    settle = Settle(id=id, actual={"usd": random.randint(0, 500)})
    top_up = TopUp(id=id, account=TEAM, amount=random.randint(0, 5_000))
    note = Note(kind="refuse", id=id, scope="team:a/run:1")
    return random.choice([(settle,), (Release(id=id, reason="not_sent"),), (top_up,), (settle, note), ()])


def lived(path: Path, random: Random, *, synchronous: str, rounds: int = 30) -> tuple[History, ForgetfulDisk]:
    SQLiteStore(path, clock=ManualClock(), synchronous=synchronous).close()
    disk, clock, answered = ForgetfulDisk(path.parent), ManualClock(), []
    with forgetful(disk):
        store = SQLiteStore(path, clock=clock, synchronous=synchronous)
        for number in range(rounds):
            for _ in ask(store, clock, random, number):
                answered.append((len(disk.events), sum(1 for _ in store.entries())))
        journal, cut_before = list(store.entries()), len(disk.events)
        store.close()
    del disk.events[cut_before:]  # A ledger that is closed writes its log back and removes it.
    return History(answered=answered, journal=journal), disk


def found_after_power_loss(path: Path, history: History) -> int:
    """
    How many entries are left; they are the first ones of the journal, up to the end of a transaction.
    """
    store = SQLiteStore(path, clock=ManualClock())
    assert store.verify() is None
    left = list(store.entries())
    assert left == history.journal[: len(left)]
    assert len(left) in {0, *(entries for _, entries in history.answered)}
    (answer,) = store.apply([reserve("afterwards", 0)])
    assert isinstance(answer, Reserved)
    assert store.verify() is None
    store.close()
    return len(left)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_when_the_power_goes_whole_transactions_are_left_and_with_full_all_that_were_answered(
    tmp_path, synchronous, seed
):
    random = Random(seed)
    history, disk = lived(tmp_path / "lived" / "ledger.db", random, synchronous=synchronous)
    lost = 0
    for number in range(15):
        at = random.randint(0, len(disk.events))
        disk.cut(at, tmp_path / str(number), random)
        left = found_after_power_loss(tmp_path / str(number) / "ledger.db", history)
        lost += max(history.known_at(at) - left, 0)
    assert (lost > 0) == (synchronous == "NORMAL")


def test_a_ledger_that_is_never_made_durable_does_not_survive_this_disk(tmp_path):
    """
    The twin that these tests must tell from the real thing.
    """
    random = Random(0)
    history, disk = lived(tmp_path / "lived" / "ledger.db", random, synchronous="OFF")
    broken = 0
    for number in range(15):
        disk.cut(random.randint(0, len(disk.events)), tmp_path / str(number), random)
        try:
            found_after_power_loss(tmp_path / str(number) / "ledger.db", history)
        except (AssertionError, SolventError):
            broken += 1
    assert broken > 0


@pytest.mark.parametrize("tail", ["cut", "zeros", "noise"])
def test_a_log_that_breaks_off_anywhere_leaves_the_transactions_before(tmp_path, tail):
    random = Random(tail)
    path = tmp_path / "lived" / "ledger.db"
    store, clock, answered = SQLiteStore(path, clock=ManualClock()), ManualClock(), []
    for number in range(8):
        for _ in ask(store, clock, random, number):
            answered.append((0, sum(1 for _ in store.entries())))
    history = History(answered=answered, journal=list(store.entries()))
    database, log = path.read_bytes(), path.with_name("ledger.db-wal").read_bytes()
    counts = []
    for at in [0, 1, 31, 32, *sorted(random.randrange(32, len(log)) for _ in range(20)), len(log)]:
        rest = {"cut": b"", "zeros": bytes(len(log) - at), "noise": random.randbytes(len(log) - at)}[tail]
        folder = tmp_path / f"at-{at}"
        folder.mkdir()
        (folder / "ledger.db").write_bytes(database)
        (folder / "ledger.db-wal").write_bytes(log[:at] + rest)
        counts.append(found_after_power_loss(folder / "ledger.db", history))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == len(history.journal)
    store.close()
