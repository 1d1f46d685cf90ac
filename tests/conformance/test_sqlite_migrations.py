"""
Ledger files of older versions: opened, brought up to date, and as good as before.
"""

from pathlib import Path

import apsw
import pytest
from clocks import ManualClock

from solvent._digest import digest_of
from solvent._operations import Charge, Refusal, Reserve, Reserved, Settle
from solvent._records import Account
from solvent.stores import _sqlite_migrations, open_store
from solvent.stores._sqlite_schema import VERSION

LEDGERS = Path(__file__).with_name("ledgers")
RUN = "org:acme/run:triage"
USD, DAY = Account(RUN, "usd"), Account("org:acme", "usd", "day@Europe/Berlin")


@pytest.fixture(params=sorted(LEDGERS.glob("*.sql")), ids=lambda file: file.stem)
def path(request, tmp_path):
    made = tmp_path / "ledger.db"
    connection = apsw.Connection(str(made))
    connection.execute(request.param.read_text())
    connection.close()
    return made


def test_there_is_a_file_of_every_older_version():
    assert {file.stem for file in LEDGERS.iterdir()} == {f"version-{number}" for number in range(1, VERSION)}


def test_balances_and_journal_are_what_they_were(path):
    store = open_store(f"sqlite:///{path}", clock=ManualClock("2026-03-01T12:01:00"))
    assert store.verify() is None
    found = {balance.account: balance for balance in store.balances()}
    assert (found[USD].spent, found[USD].reserved, found[USD].overrun) == (540, 40, 80)
    assert (found[DAY].spent, found[DAY].reserved) == (540, 40)
    entries = list(store.entries(scope=RUN))
    assert [entry.seq for entry in entries] == list(range(1, 16))
    assert [entry.kind for entry in entries if entry.id == "corrected"] == ["reserve", "expire", "correct"]
    settled = entries[2]
    assert (settled.call.usage, settled.call.stream) == ({"input_tokens": 3, "output_tokens": 4}, True)
    assert settled.run_total_nanodollars == 60
    assert next(posting for posting in settled.postings if posting.account == USD).limit == 1000


def test_what_was_open_is_closed_and_what_was_answered_is_answered_alike(path):
    store = open_store(f"sqlite:///{path}", clock=ManualClock("2026-03-01T12:01:00"))
    charges = [Charge(account=USD, amount=500, limit=1000)]
    (closed, again, refused) = store.apply(
        [
            Settle(id="open", actual={"usd": 25}),
            Settle(id="corrected", actual={"usd": 250}),
            Reserve.of(id="new", scope=RUN, charges=charges),
        ]
    )
    assert (closed.state, closed.run_total_nanodollars) == ("settled", 565)
    assert (again.state, again.overrun) == ("corrected", {"usd": 50})
    assert isinstance(refused, Refusal)
    charges = [Charge(account=USD, amount=435, limit=1000)]
    assert isinstance(store.apply([Reserve.of(id="new", scope=RUN, charges=charges)])[0], Reserved)
    assert store.verify() is None


def test_the_digest_of_an_old_file_is_what_its_journal_adds_up_to(path):
    store = open_store(f"sqlite:///{path}", clock=ManualClock("2026-03-01T12:01:00"))
    assert store.groups() == digest_of(store.entries())
    assert sum(sums.cost for sums in store.groups().values()) == 540


def test_an_old_file_that_is_cut_off_while_it_is_migrated_stays_as_it_was(path, monkeypatch):
    last = _sqlite_migrations._STEPS[VERSION - 1]

    def cut_off(connection):
        last(connection)
        raise KeyboardInterrupt

    monkeypatch.setitem(_sqlite_migrations._STEPS, VERSION - 1, cut_off)
    with pytest.raises(KeyboardInterrupt):
        open_store(f"sqlite:///{path}")
    monkeypatch.undo()
    assert open_store(f"sqlite:///{path}").verify() is None
