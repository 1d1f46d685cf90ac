"""
What ``solvent import`` says of past runs that it records, and of files that it cannot.
"""

import contextlib
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import typer.main
from clocks import ManualClock
from recorded import recorded
from typer.testing import CliRunner

from solvent._ladder import Charges
from solvent._limits import Scope
from solvent._operations import Reserve
from solvent.cli import app
from solvent.cli._progress import Progress
from solvent.imports import FORMATS
from solvent.imports.jsonl import Row
from solvent.stores.sqlite import SQLiteStore

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "import.md"


def run(*words: object, ledger: Path | None = None) -> tuple[int, str, str]:
    environment = {"SOLVENT_LEDGER": f"sqlite:///{ledger}" if ledger else "", "COLUMNS": "200"}
    result = CliRunner().invoke(app, ["import", *map(str, words)], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def call(id: str = "1", **changes: Any) -> str:
    fields = {"id": id, "run": "triage", "ended": "2026-11-03T10:00:00Z", "provider": "openai", "model": "gpt-4o-mini"}
    return json.dumps({**fields, "input_tokens": 1_000_000, "output_tokens": 0, **changes})


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("calls.jsonl").write_text(f"{call()}\n{call('2')}\n")
    return Path("calls.jsonl")


def test_a_pipe_is_refused_for_it_can_be_read_once_only(calls, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code, out, said = run("jsonl", calls, tmp_path / "pipe", ledger=tmp_path / "l.db")
    assert (code, out) == (1, "")
    assert f"{tmp_path / 'pipe'} is no file but a pipe or a device.\nTo go on: write it into a file" in said


@pytest.mark.slow
def test_an_import_says_what_it_recorded_and_how_to_look_at_it(calls, tmp_path):
    ledger = tmp_path / "l.db"
    assert run("jsonl", calls, ledger=ledger) == (
        0,
        "2 calls of 1 run imported: $0.30\nTo look at it: solvent report --run run:triage\n",
        "",
    )
    assert run("jsonl", calls, ledger=ledger) == (0, "0 calls of 0 runs imported: $0.00\nthere already: 2\n", "")
    shown = CliRunner().invoke(app, ["report", "--run", "run:triage"], env={"SOLVENT_LEDGER": f"sqlite:///{ledger}"})
    assert "$0.30" in shown.stdout


def test_a_ledger_that_report_would_not_find_is_named(calls, tmp_path):
    code, out, _ = run("jsonl", calls, "--ledger", tmp_path / "other.db", ledger=tmp_path / "l.db")
    assert (code, out.splitlines()[-1]) == (
        0,
        f"To look at it: solvent report --run run:triage --ledger {tmp_path / 'other.db'}",
    )
    assert not (tmp_path / "l.db").exists()


def test_an_interrupt_keeps_what_was_read_and_says_how_to_go_on(calls, tmp_path, monkeypatch):
    ledger, handler = tmp_path / "l.db", signal.getsignal(signal.SIGINT)
    Path("later.jsonl").write_text(f"{call('3')}\n")
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "advance", lambda *_: signal.raise_signal(signal.SIGINT))  # Once a file was read.
        assert run("jsonl", calls, "later.jsonl", ledger=ledger) == (
            130,
            "",
            "solvent: interrupted.\nTo go on: import the same files again.\n"
            "2 calls before it stay recorded, and are not counted again.\n",
        )
    assert signal.getsignal(signal.SIGINT) == handler
    with contextlib.closing(SQLiteStore(ledger)) as store:
        assert [entry.kind for entry in store.entries(kinds=("open", "close"))] == ["open", "close"]
    assert "1 call of 1 run imported: $0.15\nthere already: 2\n" in run("jsonl", calls, "later.jsonl", ledger=ledger)[1]


def test_calls_that_had_expired_are_told_as_corrected(calls, tmp_path):
    ledger, clock = tmp_path / "l.db", ManualClock()
    with contextlib.closing(SQLiteStore(ledger, clock=clock)) as store:
        terms = Charges.on(Scope.parse("run:triage"), (), ()).terms
        amounts = {"calls": 1, "parallel": 1, "retries": 0}
        store.apply([Reserve(id="jsonl:triage/1", scope="run:triage", terms=terms, amounts=amounts)])
        clock.advance(seconds=121)
        assert store.expire() == 1
    assert run("jsonl", calls, ledger=ledger)[1].splitlines()[:-1] == [
        "2 calls of 1 run imported: $0.30",
        "of them expired before, and corrected now: 1",
    ]


def test_json_has_exact_amounts(calls, tmp_path):
    calls.write_text(f"{call()}\n{call('2', model='house')}\n{call('3', input_tokens=-1)}\n")
    code, out, _ = run("jsonl", calls, "--json", "--skip-bad", ledger=tmp_path / "l.db")
    assert code == 0
    assert json.loads(out) == {
        "schema_version": 1,
        "format": "jsonl",
        "dry_run": False,
        "files": 1,
        "calls": 2,
        "corrected": 0,
        "already_there": 0,
        "runs": 1,
        "cost_nanodollars": "150000000",
        "unpriced": {"house": 1},
        "before_known_prices": 0,
        "under_way": 0,
        "no_calls": {},
        "passed_over": 1,
        "first_passed_over": "calls.jsonl:3: input_tokens must be within 0 and 9007199254740991, got -1",
    }


def test_a_dry_run_records_nothing(calls, tmp_path):
    ledger = tmp_path / "l.db"
    calls.write_text(f"{call()}\n{call()}\n")
    assert run("jsonl", calls, "--dry-run", ledger=ledger) == (
        0,
        "1 call of 1 run found, and nothing recorded: $0.15\nthere already: 1\n",
        "",
    )
    assert not ledger.exists()


def test_all_that_is_to_be_told_has_its_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = {"ended": "2024-11-03T10:00:00Z"}
    lines = [call(), call("2", model="house"), call("3", **old), call("4", run="b"), call("5", input_tokens=1.5)]
    Path("calls.jsonl").write_text("\n".join(lines))
    assert run("jsonl", "calls.jsonl", "--skip-bad", "--scope", "team:x", ledger=tmp_path / "l.db") == (
        0,
        "4 calls of 2 runs imported: $0.45\n"
        "of them without a price: house (1); which stays so; a price is given with the first import: --price\n"
        "of them before all prices that are known: 1, at the earliest ones\n"
        "passed over: 1; the first is calls.jsonl:5: input_tokens: expected a whole number, got 1.5\n"
        "To look at it: solvent report --list\n",
        "",
    )


def test_a_price_may_be_given(calls, tmp_path):
    calls.write_text(call(model="house") + "\n")
    _, out, _ = run("jsonl", calls, "--price", "house=3/15", ledger=tmp_path / "l.db")
    assert out.startswith("1 call of 1 run imported: $3.00\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "solvent: calls.jsonl is empty\n"),
        ("\n \n", "solvent: calls.jsonl is empty\n"),
        (
            call() + "\n" + call("2", input_tokens=1.5) + "\n" + call("3"),
            "solvent: calls.jsonl:2: input_tokens: expected a whole number, got 1.5\n"
            "To go on: mend it, or pass over such calls with --skip-bad.\n"
            "1 call before it stay recorded, and are not counted again.\n",
        ),
        (
            '{"type": "session_meta", "payload": {}}\n',
            "solvent: calls.jsonl is no file of calls in JSON lines: it looks like a session of Codex.\n"
            "To go on: solvent import codex calls.jsonl\n",
        ),
        (
            '[{"request_id": "a", "spend": 1}]',
            "solvent: calls.jsonl is no file of calls in JSON lines: it looks like a spend log of LiteLLM.\n"
            "To go on: solvent import litellm calls.jsonl\n",
        ),
    ],
)
def test_what_cannot_be_imported_is_said_with_how_to_go_on(text, said, calls, tmp_path):
    calls.write_text(text)
    assert run("jsonl", calls, ledger=tmp_path / "l.db") == (1, "", said)


@pytest.mark.parametrize("format", sorted(set(FORMATS) - {"jsonl"}))
def test_a_file_of_nothing_known_is_refused(format, calls, tmp_path):
    calls.write_bytes(b"\x89PNG\r\n\x1a\n" * 9)
    code, out, err = run(format, calls, ledger=tmp_path / "l.db")
    assert (code, out) == (1, "")
    assert err == f"solvent: calls.jsonl is no {FORMATS[format].title}: nothing at its beginning is like one\n"


def test_missing_files_and_empty_folders_are_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    ledger = tmp_path / "l.db"
    assert run("jsonl", "nowhere.jsonl", ledger=ledger) == (1, "", "solvent: there is no file nowhere.jsonl\n")
    assert run("codex", "empty", ledger=ledger) == (1, "", "solvent: there is no session of Codex in empty\n")
    assert not ledger.exists()


def test_wrong_usage_ends_with_code_2(calls, tmp_path):
    for words, said in (
        (("claude", calls), "expected claude-code, codex, jsonl, litellm, got 'claude'; did you mean claude-code?"),
        (("jsonl", calls, "--scope", "acme"), "a scope is written kind:name"),
        (("jsonl",), "Missing argument 'FILE...'"),
    ):
        code, out, err = run(*words, ledger=tmp_path / "l.db")
        assert (code, out) == (2, "")
        assert said in err
    assert not (tmp_path / "l.db").exists()


def test_a_ledger_that_ends_with_its_process_is_none_to_import_into(calls):
    code, out, err = run("jsonl", calls, "--ledger", "memory://")
    assert (code, out) == (4, "")
    assert "memory:// is a ledger that ends with its process" in err


@pytest.mark.slow
def test_the_recorded_sessions_are_imported_by_their_folder_also_just_copied(tmp_path):
    folder = tmp_path / "sessions"
    for file in (recorded("claude-code-sessions") / "sessions").rglob("*.jsonl"):
        copy = folder / file.relative_to(recorded("claude-code-sessions") / "sessions")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())  # Written now, which says nothing of when its calls were made.
    ledger = tmp_path / "l.db"
    code, out, err = run("claude-code", folder, ledger=ledger)
    assert (code, out.splitlines()[0], err) == (0, "551 calls of 6 runs imported: $30.9534", "")


def test_no_bar_is_drawn_where_nobody_looks(capsys):
    with Progress("reading", 100, is_bytes=True) as progress:
        progress._shown_from = 0
        progress.advance(50)
    assert capsys.readouterr().err == ""


def test_a_bar_is_drawn_at_a_terminal_once_it_took_a_second(monkeypatch):
    from io import StringIO

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress("reading", 100, is_bytes=True) as progress:
        progress.advance(10)
        assert terminal.getvalue() == ""
        progress._shown_from = 0
        progress.advance(40)
        assert progress._bar is not None
        assert progress._bar.tasks[0].percentage == 50
    assert "reading" in terminal.getvalue()


def test_the_page_tells_every_option_format_and_field():
    command = typer.main.get_command(app).commands["import"]  # type: ignore[attr-defined]
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    cells = re.findall(r"^\| ((?:[^|\\]|\\.)+) \|", PAGE.read_text(), flags=re.M)
    named = [name.split()[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert {name for name in named if name.startswith("--")} == options
    assert set(FORMATS) <= set(named)
    assert set(Row.__struct_fields__) <= set(named)


@pytest.mark.slow
def test_the_examples_of_the_page_print_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text()
    (rows,) = re.findall(r"^```json\n(.*?)^```", text, flags=re.M | re.S)
    Path("calls.jsonl").write_text(rows)
    nightly = {"run": "nightly", "input_tokens": 10_000}
    Path("broken.jsonl").write_text(f"{call('7', **nightly)}\n{call('8', input_tokens=12.5)}\n{call('9', **nightly)}\n")
    shown = re.findall(r"^\$ solvent import (.+)\n((?:(?!\$ |```).*\n)*)", text, flags=re.M)
    assert len(shown) == text.count("$ solvent import") == 4
    for words, output in shown:
        code, out, err = run(*words.split(), ledger=tmp_path / "l.db")
        assert f"{out}{err}" == output
        assert code == int(err != "")
