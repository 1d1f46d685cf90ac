import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main
from machine import SOLVENT
from run_journal import CENT, RunJournal
from typer.testing import CliRunner

from solvent._clock import SystemClock
from solvent._operations import Note
from solvent.cli import app
from solvent.stores._owner import this_process
from solvent.stores.sqlite import SQLiteStore

START_NS = 1_772_446_500_000_000_000


class Shell:
    """
    Types commands about one ledger.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def __call__(self, *words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, words, env={"SOLVENT_LEDGER": self.url, "COLUMNS": "80"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    def json(self, *words: str) -> Any:
        code, out, _ = self(*words, "--json")
        assert code == 0
        return json.loads(out)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """
    A ledger with two runs: ``triage`` (two calls) and then ``nightly`` (one).
    """
    store = SQLiteStore(tmp_path / "ledger.db", synchronous="OFF")
    for name, calls in (("triage", 2), ("nightly", 1)):
        journal = RunJournal(store, f"run:{name}")
        journal.open()
        for _ in range(calls):
            journal.call(2 * CENT)
        journal.close()
    store.close()
    return Shell(tmp_path / "ledger.db")


@pytest.fixture
def nothing(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "none.db")


@pytest.mark.parametrize("words", [(), ("--last",)])
def test_report_shows_the_last_run(shell: Shell, words: tuple[str, ...]) -> None:
    code, out, err = shell("report", *words)

    assert (code, err) == (0, "")
    assert out.startswith("\nSolvent · run nightly · exited with 0 · ")
    assert "$0.02 of $1.00\n" in out


@pytest.mark.parametrize("name", ["triage", "run:triage"])
def test_report_finds_a_run_by_its_name_or_scope(shell: Shell, name: str) -> None:
    found = shell.json("report", "--run", name)

    assert (found["schema_version"], found["scope"], found["total"]["calls"]) == (1, "run:triage", 2)
    assert found["total"]["cost_nanodollars"] == str(4 * CENT)


def test_report_finds_a_run_by_the_end_of_its_scope(shell: Shell) -> None:
    store = SQLiteStore(shell.path)
    for team in ("a", "b"):
        RunJournal(store, f"team:{team}/run:shared").open()
    RunJournal(store, "team:a/run:own").open()
    store.close()

    assert shell.json("report", "--run", "own")["scope"] == "team:a/run:own"
    assert shell.json("report", "--run", "team:b/run:shared")["scope"] == "team:b/run:shared"
    code, _, err = shell("report", "--run", "shared")
    assert code == 1
    assert "Close: team:a/run:shared, team:b/run:shared." in err


def test_report_of_an_unknown_run_names_close_ones(shell: Shell) -> None:
    assert shell("report", "--run", "traige") == (
        1,
        "",
        f"solvent: no run 'traige' is in {shell.url}. Close: run:triage.\n"
        "To go on: see the last ones with `solvent report --list`.\n",
    )


def test_report_without_a_run_says_how_to_start_one(nothing: Shell) -> None:
    hint = "To go on: start one with `solvent run --usd 2 -- COMMAND`, or name another ledger with --ledger.\n"

    missing = f"solvent: there is no ledger at {nothing.url} yet, so no run either.\n{hint}"
    assert nothing("report") == (1, "", missing)
    assert not nothing.path.exists()

    SQLiteStore(nothing.path).close()
    assert nothing("report") == (1, "", f"solvent: no run was opened in {nothing.url} yet.\n{hint}")


@pytest.mark.parametrize("words", [("--last", "--run", "triage"), ("--last", "--list"), ("--run", "a", "--list")])
def test_report_takes_either_last_or_a_run_or_all(shell: Shell, words: tuple[str, ...]) -> None:
    code, _, err = shell("report", *words)

    assert code == 2
    assert "--last, --run, --scope, --all and --list exclude each other: give one of them" in err


def test_the_last_runs_are_listed_the_newest_first(shell: Shell) -> None:
    store = SQLiteStore(shell.path, synchronous="OFF")
    RunJournal(store, "run:triage/step:inner").open()
    running = RunJournal(store, "run:a-rather-long-name-01J9ZK", limits={})
    running.limits = {"calls": 5}
    running.open(started=START_NS, status=this_process(SystemClock()))
    running.call(None)
    killed = RunJournal(store, "team:a/run:killed")
    killed.open(started=START_NS, status=this_process(_LastBoot()))
    killed.call(225_000)
    killed.close("signal", 143)
    killed.open(started=START_NS, status=this_process(_LastBoot()))
    store.close()

    listed = shell("report", "--list")[1]

    assert re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "2026-03-02 10:15", listed) == (
        "last seen, UTC    ended        spent  limit  calls  run\n"
        "2026-03-02 10:15  killed     $0.0002  $1.00      1  team:a/run:killed\n"
        "2026-03-02 10:15  running   unpriced             1  a-rather-long-name-01J9ZK\n"
        "2026-03-02 10:15  exited 0   $0.02    $1.00      1  nightly\n"
        "2026-03-02 10:15  exited 0   $0.04    $1.00      2  triage\n"
    )
    found = shell.json("report", "--list")
    assert (found["schema_version"], found["runs_in_all"]) == (1, 4)
    assert [run["state"] for run in found["runs"]] == ["killed", "running", "ended", "ended"]


def test_of_many_runs_the_last_are_listed(shell: Shell) -> None:
    store = SQLiteStore(shell.path, synchronous="OFF")
    for number in range(30):
        RunJournal(store, f"run:{number}").open()
    again = RunJournal(store, "run:3")
    again.write(Note(kind="open", id="again", scope=again.scope))
    store.close()

    lines = shell("report", "--list")[1].splitlines()

    assert (len(lines), lines[-1]) == (22, "and 12 before these")
    assert [line.split()[-1] for line in lines[1:4]] == ["3", "29", "28"]


def test_a_list_of_no_runs_says_how_to_start_one(nothing: Shell) -> None:
    SQLiteStore(nothing.path).close()

    assert nothing("report", "--list") == nothing("report")
    assert nothing("report", "--list")[0] == 1


def test_report_charges_and_shows_what_a_killed_run_left_open(shell: Shell) -> None:
    store = SQLiteStore(shell.path, clock=_LastBoot())
    journal = RunJournal(store, "run:killed")
    journal.open()
    journal.reserve(3 * CENT)
    store.close()

    code, out, _ = shell("report")

    assert code == 0
    assert out.startswith("\nSolvent · run killed · running, or killed · ")
    assert "1 expired, charged in full: $0.03" in out
    assert shell("ledger", "verify")[0] == 0


def test_a_ledger_named_by_option_is_named_in_the_hint(shell: Shell, nothing: Shell) -> None:
    _, out, _ = nothing("report", "--ledger", shell.url)

    assert f"\n  see it again: solvent report --run nightly --ledger {shell.url}\n" in out


@pytest.mark.parametrize("words", [("report",), ("ledger", "verify"), ("ledger", "show")])
def test_a_file_that_is_no_ledger_ends_with_4(nothing: Shell, words: tuple[str, ...]) -> None:
    nothing.path.write_bytes(b"not a database, and long enough to be read as one" * 100)

    code, out, err = nothing(*words)

    assert (code, out) == (4, "")
    assert err.startswith(f"solvent: {nothing.path} cannot be used as a ledger: ")


@pytest.mark.parametrize("words", [("report",), ("ledger", "verify"), ("ledger", "show")])
def test_a_ledger_url_that_names_no_store_ends_with_4(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell(*words, "--ledger", "mysql://x") == (
        4,
        "",
        "solvent: ledger: expected a file that ends in .db, or a URL such as sqlite:////absolute/path.db, got 'mysql://x'\n",
    )


def test_verify_says_what_was_compared(shell: Shell) -> None:
    assert shell("ledger", "verify") == (
        0,
        "ok: 10 entries, 4 accounts; every account is the sum of its entries.\n",
        "",
    )
    assert shell.json("ledger", "verify") == {
        "schema_version": 1,
        "ok": True,
        "entries": 10,
        "accounts": 4,
        "difference": None,
    }


def test_verify_names_the_first_difference(shell: Shell) -> None:
    _tamper(shell.path, "UPDATE bucket SET spent_usd = spent_usd - 1 WHERE spent_usd = 40000000")
    difference = "run:triage usd: spent is 39,999,999, and the journal adds up to 40,000,000"

    assert shell("ledger", "verify") == (
        4,
        "",
        f"solvent: the journal and the accounts differ: {difference}.\n"
        "To go on: keep a copy of the ledger, and name a new one with --ledger or SOLVENT_LEDGER.\n",
    )
    code, out, _ = shell("ledger", "verify", "--json")
    assert (code, json.loads(out)["difference"]) == (4, difference)


@pytest.mark.parametrize("command", ["verify", "show"])
def test_a_missing_ledger_is_not_made_by_looking(nothing: Shell, command: str) -> None:
    assert nothing("ledger", command) == (
        4,
        "",
        f"solvent: there is no ledger at {nothing.url}.\n"
        "To go on: name another with --ledger or SOLVENT_LEDGER; `solvent run` makes one.\n",
    )
    assert not nothing.path.exists()


def test_show_lists_the_accounts(shell: Shell) -> None:
    assert shell("ledger", "show")[1] == (
        "scope        meter  window  spent  reserved  overrun\n"
        "run:nightly  usd    life    $0.02     $0.00    $0.00\n"
        "run:nightly  calls  life        1         0        0\n"
        "run:triage   usd    life    $0.04     $0.00    $0.00\n"
        "run:triage   calls  life        2         0        0\n"
    )
    assert shell("ledger", "show", "--scope", "run:none")[1] == "no account under run:none\n"
    accounts = shell.json("ledger", "show", "--scope", "run:triage")["accounts"]
    assert [(account["meter"], account["spent"]) for account in accounts] == [("usd", "40000000"), ("calls", "2")]


class _LastBoot:
    """
    The clock of a process that died with the machine's last start.
    """

    def now_ns(self) -> int:
        return 1_772_446_500_000_000_000

    def uptime_ns(self) -> int:
        return 10**15

    def boot_id(self) -> str:
        return "the-last-boot"


def _tamper(path: Path, sql: str) -> None:
    import apsw

    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()


def test_every_option_of_report_has_its_line() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "report.md").read_text()
    command = typer.main.get_command(app).commands["report"]  # type: ignore[attr-defined]  # It is a group.

    written = set(re.findall(r"^\| `(--[a-z]+)", page, flags=re.M))

    assert written == {name for each in command.params for name in each.opts if name.startswith("--")} - {"--help"}


def test_the_list_says_of_blocks_that_they_ended_and_by_which_error(shell: Shell) -> None:
    store = SQLiteStore(shell.path, synchronous="OFF")
    for name, reason in (("quiet", "exited"), ("loud", "ValueError")):
        journal = RunJournal(store, f"run:{name}")
        journal.open(format=None)
        journal.close(reason, int(reason != "exited"))
    store.close()

    lines = shell("report", "--list")[1].splitlines()
    assert [line.split()[2] for line in lines] == ["UTC", "ValueError", "ended", "exited", "exited"]
    assert "Solvent · run loud · ended by ValueError · " in shell("report", "--run", "loud")[1]
    assert shell.json("report", "--run", "quiet")["exit_reason"] == "exited"


@pytest.mark.slow
def test_a_reader_who_leaves_is_no_error_to_tell_of(shell: Shell) -> None:
    for words in (("report",), ("report", "--json"), ("ledger", "export"), ("--help",)):
        reading, writing = os.pipe()
        os.close(reading)
        env = {**os.environ, "SOLVENT_LEDGER": shell.url, "PYTHONUNBUFFERED": ""}  # All is written at the end.
        done = subprocess.run([*SOLVENT, *words], env=env, stdout=writing, stderr=subprocess.PIPE, check=False)
        os.close(writing)
        assert (done.returncode, done.stderr) == (1, b""), words
