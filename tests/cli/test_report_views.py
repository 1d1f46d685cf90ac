"""
``solvent report`` asked for more than the last run: which part of a ledger, since when, in which view, and where to.
"""

import csv
import io
import json
import os
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import golden_ledger
import pytest
from golden_ledger import BANNER, BANNER_COST, TRIAGE, TRIAGE_COST, golden
from machine import SOLVENT
from run_journal import CENT, RunJournal
from typer.testing import CliRunner

from solvent.cli import _progress, app
from solvent.cli._report_choice import hours_since
from solvent.stores.sqlite import SQLiteStore


class Shell:
    """
    Types ``solvent report …`` about the golden ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = golden(folder / "golden.db")
        self.env = {"SOLVENT_LEDGER": self.made.url, "COLUMNS": "80"}

    def __call__(self, *words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["report", *words], env=self.env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    def said(self, *words: str) -> str:
        code, out, err = self(*words)
        assert (code, err) == (0, "")
        return out

    def json(self, *words: str) -> Any:
        return json.loads(self.said(*words, "--json"))

    def refusal(self, *words: str) -> tuple[int, str]:
        """
        The code, and what standard error says after the usage. Nothing was written to standard output.
        """
        code, out, err = self(*words)
        assert out == ""
        return code, re.sub(r"\AUsage: .*\nTry .*\n\n", "", err)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("words", "scope", "cost"),
    [
        (("--run", "triage"), TRIAGE, TRIAGE_COST),
        (("--scope", BANNER), BANNER, BANNER_COST),
        (("--scope", "org:acme"), "org:acme", golden_ledger.COST),
        (("--scope", "org:acme/team:ads"), "org:acme/team:ads", BANNER_COST),
        # What was open is charged in full by whoever looks.
        (("--all",), None, golden_ledger.COST + golden_ledger.OPEN_RESERVED),
        (("--last",), "user:ann/run:lonely", golden_ledger.OPEN_RESERVED),
        (("--since", "2026-03-01"), None, golden_ledger.COST + golden_ledger.OPEN_RESERVED),
        (("--since", "2026-03-02"), None, BANNER_COST + golden_ledger.OPEN_RESERVED),
        (("--since", "2026-03-02", "--run", "triage"), TRIAGE, 0),
        (("--since", "2026-03-01T09:00", "--scope", "org:acme"), "org:acme", golden_ledger.COST),
        (("--since", "2026-03-01T10:00", "--scope", "org:acme"), "org:acme", BANNER_COST),
        (("--since", "2026-03-01T10:00+01:00", "--scope", "org:acme"), "org:acme", golden_ledger.COST),
        (("--since", "1h"), None, golden_ledger.OPEN_RESERVED),
    ],
)
def test_a_report_is_of_what_was_asked_for(words: tuple[str, ...], scope: str | None, cost: int, shell: Shell) -> None:
    found = shell.json(*words)
    assert (found["scope"], found["total"]["cost_nanodollars"]) == (scope, str(cost))
    assert found["tree"]["total"]["cost_nanodollars"] == str(cost)
    steps = [json.loads(line) for line in shell.said(*words, "--trace", "--json").splitlines()]
    # The trace alone is of the last run where no other is named.
    assert sum(int(step["cost_nanodollars"] or 0) for step in steps) == cost


def test_by_alone_is_of_all_of_the_ledger_and_says_so(shell: Shell) -> None:
    found = shell.json("--by", "team, model")
    assert (found["scope"], found["by"]) == (None, ["team", "model"])
    head = shell.said("--by", "team").partition("\n\n")[0]
    assert "".join(head.split()).startswith(f"Solvent·allof{shell.made.url}3runs")
    assert shell.said("--by", "team", "--last").startswith("\nSolvent · user:ann/run:lonely · ")


def test_what_is_said_to_show_it_again_does(shell: Shell) -> None:
    for words in (
        ("--run", "triage", "--tree"),
        ("--scope", "org:acme", "--by", "day,team", "--since", "2026-03-02"),
        ("--all", "--since", "2026-03-01T09:00"),
    ):
        said = shell.said(*words)
        again = said.partition("see it again: solvent report ")[2].splitlines()[0]
        assert shell.said(*again.split()) == said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--last", "--all"), "--last, --run, --scope, --all and --list exclude each other: give one of them"),
        (("--tree", "--trace"), "--tree, --by, --trace and --list exclude each other: give one of them"),
        (("--json", "--csv", "x"), "--json, --csv and --html exclude each other: give one of them"),
        (("--list", "--since", "1d"), "--list has no --since, --csv or --html; --json it has"),
        (("--html", "-"), "--html - is no file, and a page is no text for a terminal: give it a name"),
        (("--html", "x", "--tree"), "--html, --tree, --by and --trace exclude each other: give one of them"),
        (
            ("--by", "modle"),
            "for --by: expected some of agent, day, estimated, hour, model, org, price, provider, run, scope, status, "
            "step, team, tier, user, got 'modle'; did you mean model?",
        ),
        (
            ("--by", ""),
            "for --by: expected some of agent, day, estimated, hour, model, org, price, provider, run, scope, status, "
            "step, team, tier, user, got ''",
        ),
        (("--by", "day,day"), "for --by: expected each name once, got 'day,day'"),
        (("--since", "30m"), "for --since: sums are kept by the hour, so at least 1h, got '30m'"),
        (
            ("--since", "2026-03-02T10:30"),
            "for --since: sums are kept by the hour; expected such as 2026-03-02T10:00, got '2026-03-02T10:30'",
        ),
        (
            ("--since", "yesterday"),
            "for --since: expected a time such as 7d, 24h, 2026-11-01 or 2026-11-01T15:00, in UTC, got 'yesterday'",
        ),
        (("--since", "9999-01-01"), "for --since: expected a time since 1970 that is not to come, got '9999-01-01'"),
        (("--since", "1969-12-31"), "for --since: expected a time since 1970 that is not to come, got '1969-12-31'"),
        (
            ("--since", "0001-01-01T00:00+14:00"),
            "for --since: expected a time since 1970 that is not to come, got '0001-01-01T00:00+14:00'",
        ),
        (("--scope", "acme"), "for --scope: a scope is written kind:name, such as run:42; got 'acme'"),
        (("--force",), "for --force: it goes with the FILE of --csv or --html"),
        (("--csv", "-", "--force"), "for --force: it goes with the FILE of --csv or --html"),
        (("--csv", "golden.db"), "for FILE: it belongs to the ledger itself"),
        (("--html", "."), "for FILE: . is no file"),
    ],
)
def test_wrong_usage_says_what_is_wrong(words: tuple[str, ...], message: str, shell: Shell) -> None:
    code, err = shell.refusal(*words)
    between = " " if message.startswith("for ") else ": "
    assert (code, err) == (2, f"Error: Invalid value{between}{message}\n")


def test_an_unknown_scope_names_close_ones(shell: Shell) -> None:
    assert shell.refusal("--scope", "org:acme/team:add") == (
        1,
        f"solvent: nothing of org:acme/team:add is in {shell.made.url}. Close: org:acme/team:ads, "
        "org:acme/team:search, org:acme/team:ads/run:banner.\n"
        "To go on: see all scopes with `solvent report --all --tree`.\n",
    )


def test_a_length_of_time_counts_from_the_start_of_its_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 3, 2, 10, 59, 59, tzinfo=UTC)
    monkeypatch.setattr("time.time_ns", lambda: int(now.timestamp()) * 10**9)
    for text, hours in (("1h", 1), ("24h", 24), ("2d", 48), ("1w", 168)):
        began = datetime.fromtimestamp(hours_since(text)[0] * 3_600, UTC)
        assert began == now.replace(minute=0, second=0) - timedelta(hours=hours)
    assert hours_since("999999d")[0] == 0


@pytest.mark.parametrize(
    ("words", "total"),
    [
        ((), "cost_nanodollars"),
        (("--by", "agent"), "cost_nanodollars"),
        (("--tree",), "own_nanodollars"),
        (("--trace",), "cost_nanodollars"),
    ],
)
def test_a_file_has_the_view_that_was_asked_for(words: tuple[str, ...], total: str, shell: Shell) -> None:
    words = ("--run", "triage", *words)
    assert shell.said(*words, "--csv", "out.csv").endswith(" rows in out.csv\n")
    content = (shell.folder / "out.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert sum(int(row[total] or 0) for row in rows) == TRIAGE_COST
    assert shell.said(*words, "--csv", "-") == content.replace("\r\n", "\n")  # As the runner hands it on.
    assert content.count("\r\n") == len(rows) + 1

    code, err = shell.refusal(*words, "--csv", "out.csv")
    assert (code, err) == (2, "Error: Invalid value for FILE: out.csv is there already; --force replaces it\n")
    assert shell(*words, "--csv", "out.csv", "--force")[0] == 0
    assert shell.refusal(*words, "--csv", "none/out.csv") == (
        1,
        "solvent: none/out.csv cannot be written: No such file or directory.\n",
    )


def test_the_page_of_a_report_is_a_file(shell: Shell) -> None:
    assert shell.said("--all", "--html", "page.html") == "the page is in page.html\n"
    assert (shell.folder / "page.html").read_text().startswith("<!doctype html>")
    assert shell.refusal("--html", "page.html")[0] == 2
    assert shell("--html", "page.html", "--force")[0] == 0
    assert shell.refusal("--html", "none/page.html") == (
        1,
        "solvent: none/page.html cannot be written: No such file or directory.\n",
    )


def test_a_run_without_calls_has_an_empty_view_of_each_kind(tmp_path: Path, shell: Shell) -> None:
    store = SQLiteStore(tmp_path / "golden.db", synchronous="OFF")
    RunJournal(store, "run:idle", limits={"usd": CENT}).open(format=None)
    store.close()
    for words in ((), ("--by", "model")):
        assert "no model call was seen" in shell.said("--run", "idle", *words) or words
    assert "no call was seen" in shell.said("--run", "idle", "--by", "model")
    assert "run:idle" in shell.said("--run", "idle", "--tree")
    assert "was opened with $0.01 of run:idle" in shell.said("--run", "idle", "--trace")
    assert shell.said("--run", "idle", "--csv", "-").count("\n") == 1


@pytest.mark.slow
def test_a_reader_who_leaves_a_trace_ends_it_without_a_word(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "ledger.db", synchronous="OFF")
    journal = RunJournal(store, limits={"usd": 10**6 * CENT})
    journal.open()
    for _ in range(1_500):
        journal.call(CENT)
    store.close()
    for words in (("--trace",), ("--trace", "--json"), ("--trace", "--csv", "-")):
        env = {**os.environ, "SOLVENT_LEDGER": f"sqlite:///{tmp_path}/ledger.db"}
        command = [*SOLVENT, "report", *words]
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode in (1, -signal.SIGPIPE)


def test_a_bar_is_shown_once_a_second_has_passed_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    now, shown = 0.0, Terminal()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setenv("TERM", "xterm")
    with _progress.Progress(_progress.READING) as progress:
        progress.reach(1_000, 10_000)
        assert shown.getvalue() == ""
        now = 1.5
        progress.reach(2_000, 10_000)
    assert "reading the journal" in shown.getvalue()
    silent = io.StringIO()
    monkeypatch.setattr("sys.stderr", silent)
    with _progress.Progress(_progress.READING) as progress:
        now = 9.0
        progress.reach(1, 2)
    assert silent.getvalue() == ""


def test_a_budgets_name_is_the_last_run_that_it_opened(shell: Shell) -> None:
    store = SQLiteStore(shell.made.path)
    for id, cost in (("01J9ZK00000000000000000001", 1), ("01J9ZK00000000000000000002", 2)):
        run = RunJournal(store, f"org:acme/run:nightly-{id}")
        run.open()
        run.call(cost * CENT)
        run.close()
    store.close()

    for name in ("nightly", "run:nightly", "org:acme/run:nightly"):
        assert shell.json("--run", name)["total"]["cost_nanodollars"] == str(2 * CENT)
    assert "no run 'night' is in" in shell.refusal("--run", "night")[1]


def test_imported_runs_are_listed_by_their_own_end(shell: Shell) -> None:
    listed = [line.split()[0] for line in shell.said("--list").splitlines()[1:]]
    assert listed == sorted(listed, reverse=True)
    assert listed[-1] == "2026-03-01"
