"""
What an SQLite ledger adds: a file that others can open, break, or take away.
"""

import fcntl
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import apsw
import pytest
from clocks import ManualClock

from solvent._operations import Charge, Reserve, Reserved
from solvent._records import Account
from solvent.errors import LedgerCorrupt, SettingsError, StoreUnavailable
from solvent.stores import open_store, spelled_out

RUN_USD = Account("run:1", "usd")


def reserve(id="a", amount=60):
    return Reserve.of(id=id, scope="run:1", charges=(Charge(account=RUN_USD, amount=amount, limit=100),))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.db"


def test_the_file_and_its_folder_are_private(path):
    open_store(f"sqlite:///{path}").apply([reserve()])
    assert path.parent.stat().st_mode & 0o777 == 0o700
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file.name


def test_two_stores_on_one_file_share_the_limit(path):
    first, second = (open_store(f"sqlite:///{path}") for _ in range(2))
    assert isinstance(first.apply([reserve("a")])[0], Reserved)
    assert not isinstance(second.apply([reserve("b")])[0], Reserved)
    assert second.verify() is None


def test_a_foreign_database_is_refused_and_left_alone(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerCorrupt, match="a database of another program"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_what_is_no_database_is_refused_and_left_alone(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(LedgerCorrupt, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database " * 100


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(path):
    store = open_store(f"sqlite:///{path}")
    store.close()
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(LedgerCorrupt, match="of version 99"):
        open_store(f"sqlite:///{path}")


def test_a_damaged_balance_is_found(path):
    store = open_store(f"sqlite:///{path}")
    store.apply([reserve()])
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE bucket SET reserved_usd = 61")
    connection.close()
    assert store.verify() == "run:1 usd: reserved is 61, and the journal adds up to 60"


def test_the_journal_cannot_be_rewritten(path):
    open_store(f"sqlite:///{path}").apply([reserve()])
    connection = apsw.Connection(str(path))
    for statement in ("UPDATE entry SET at = 0", "DELETE FROM entry"):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_client_that_skips_the_check_is_refused_by_the_file_itself(path):
    open_store(f"sqlite:///{path}").apply([reserve()])
    connection = apsw.Connection(str(path))
    columns = "(at, kind, id, scope, terms, buckets, reserved_usd, amounts, owner, deadline)"
    values = "(0, 'reserve', 'b', 'run:1', 1, '[1]', 41, '{}', 'y', 0)"
    with pytest.raises(apsw.ConstraintError, match="a limit would be passed"):
        connection.execute(f"INSERT INTO entry {columns} VALUES {values}")
    assert connection.execute("SELECT count(*) FROM entry").get == 1
    connection.close()


def test_a_locked_file_is_told_and_changes_nothing(path, monkeypatch):
    monkeypatch.setattr("solvent.stores._sqlite_file.BUSY_MILLISECONDS", 50)
    store = open_store(f"sqlite:///{path}")
    stranger = apsw.Connection(str(path))
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another program has it locked"):
        store.apply([reserve()])
    stranger.execute("ROLLBACK")
    assert isinstance(store.apply([reserve()])[0], Reserved)


def test_a_gate_that_a_stopped_process_holds_is_told_and_changes_nothing(path, monkeypatch):
    monkeypatch.setattr("solvent.stores._sqlite_file.BUSY_MILLISECONDS", 50)
    store = open_store(f"sqlite:///{path}")
    with open(f"{path}-gate") as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="another program has it locked"):
                store.apply([reserve()])
    assert isinstance(store.apply([reserve()])[0], Reserved)  # Who gave up holds nothing.
    assert isinstance(open_store(f"sqlite:///{path}").apply([reserve()])[0], Reserved)


def test_a_gate_that_is_held_for_a_moment_is_waited_for(path):
    store = open_store(f"sqlite:///{path}")
    stranger = open(f"{path}-gate")  # noqa: SIM115  # Closed by the thread.
    fcntl.flock(stranger, fcntl.LOCK_EX)
    release = threading.Timer(0.05, stranger.close)
    release.start()
    assert isinstance(store.apply([reserve()])[0], Reserved)
    release.join()


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("sqlite:///ledger.db", "ledger.db"):
        assert open_store(url).url == f"sqlite:///{tmp_path}/ledger.db"


def test_the_home_folder_is_found_where_no_shell_spelled_it_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for url in ("~/ledger.db", "sqlite:///~/ledger.db"):
        assert spelled_out(url) == open_store(url).url == f"sqlite:///{tmp_path}/ledger.db"
    assert spelled_out("sqlite:///a~/ledger.db?synchronous=normal") == "sqlite:///a~/ledger.db?synchronous=normal"
    assert spelled_out("memory://") == "memory://"


def test_a_path_that_cannot_be_made_is_told():
    with pytest.raises(StoreUnavailable, match="did not answer"):
        open_store("sqlite:////proc/solvent/ledger.db")


@pytest.mark.parametrize("url", ["sqlite://ledger.db", "sqlite:///", "postgres://x", "ledger", ""])
def test_a_url_that_names_no_store_is_refused(url):
    with pytest.raises(SettingsError, match="expected"):
        open_store(url)


@pytest.mark.slow
def test_what_a_dead_process_reserved_is_charged_at_once(path):
    program = f"""
import fcntl
import os
from solvent.stores import open_store, spelled_out
from solvent._operations import *
from solvent._records import *
store = open_store("sqlite:///{path}")
charge = Charge(account=Account("run:1", "usd"), amount=60, limit=100)
store.apply([Reserve.of(id="a", scope="run:1", charges=[charge])])
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    store = open_store(f"sqlite:///{path}")
    assert store.expire() == 1
    (balance,) = store.balances()
    assert (balance.spent, balance.reserved) == (60, 0)
    assert store.verify() is None


def test_after_a_reboot_what_was_open_is_charged(path):
    clock = ManualClock()
    store = open_store(f"sqlite:///{path}", clock=clock)
    store.apply([reserve()])
    clock.reboot()
    assert store.expire() == 1


@pytest.mark.slow
def test_a_file_that_may_not_be_written_is_told():
    # The superuser may write anything, so the program gives its rights up once everything is imported.
    program = """
import os, sys
import solvent.stores.sqlite
from solvent.errors import StoreUnavailable
from solvent.stores import open_store, spelled_out
if os.geteuid() == 0:
    os.setuid(65534)
try:
    open_store(sys.argv[1])
except StoreUnavailable as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ledger.db")
        open_store(f"sqlite:///{file}").close()
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", program, f"sqlite:///{file}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        Path(folder).chmod(0o755)
    assert "did not answer: Permission denied" in done.stdout, done.stderr
