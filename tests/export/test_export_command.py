"""
``solvent export``: to where it was meant, of what was meant, and without a word where nobody reads on.
"""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from golden_ledger import golden
from run_journal import CENT, RunJournal
from typer.testing import CliRunner

from solvent._records import Entry
from solvent.cli import app
from solvent.stores.sqlite import SQLiteStore

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference" / "export.md"
FORMATS = ("csv", "focus", "jsonl")


class Shell:
    """
    Types ``solvent export …`` about the golden ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.ledger = golden(folder / "ledger.db")

    def __call__(self, *words: str) -> tuple[int, str, str]:
        environment = {"SOLVENT_LEDGER": self.ledger.url, "COLUMNS": "200"}
        result = CliRunner().invoke(app, ["export", *words], env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout_bytes.decode(), result.stderr

    def refusal(self, *words: str) -> tuple[int, str]:
        code, out, err = self(*words)
        assert out == ""
        return code, re.sub(r"\AUsage: .*\nTry .*\n\n", "", err)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_has_what_standard_output_has_and_is_for_its_owner(format: str, shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "calls"

    code, said, _ = shell(format, str(path))
    _, printed, _ = shell(format)

    assert (code, f" entries in {path}\n" in said) == (0, True)
    assert path.read_bytes() == printed.encode()
    assert path.stat().st_mode & 0o777 == 0o600


def test_json_says_what_was_written(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "calls"

    code, said, err = shell("focus", str(path), "--json")

    rows = len(path.read_text().splitlines()) - 1
    assert (code, err) == (0, "")
    assert json.loads(said) == {
        "schema_version": 1,
        "file": str(path),
        "entries": 18,  # One of them is the call that nobody closed, which whoever looks charges.
        "rows": rows,
        "unpriced": 1,
    }


def test_what_was_left_out_is_said_apart_from_the_rows(shell: Shell, tmp_path: Path) -> None:
    said = "solvent: left out: 1 call of unknown cost\n"

    assert shell("focus")[2] == said
    assert shell("focus", str(tmp_path / "calls"))[2] == said
    assert shell("csv")[2] == ""


def test_a_file_is_replaced_only_when_that_is_said_and_is_never_the_ledger(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "calls"
    path.write_text("mine")

    there = f"Error: Invalid value for FILE: {path} is there already; --force replaces it\n"
    assert shell.refusal("csv", str(path)) == (2, there)
    own = "Error: Invalid value for FILE: it belongs to the ledger itself\n"
    assert shell.refusal("csv", "--force", str(shell.ledger.path)) == (2, own)
    assert path.read_text() == "mine"
    assert shell("csv", str(path), "--force")[0] == 0
    assert path.read_text().startswith("seq,")


def test_an_export_that_fails_leaves_the_file_as_it_was(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exports" / "calls"
    path.parent.mkdir()
    path.write_text("the last one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    said = f"solvent: {path} cannot be written: No space left on device.\n"
    assert shell.refusal("csv", "--force", str(path)) == (1, said)
    assert [(found.name, found.read_text()) for found in path.parent.iterdir()] == [("calls", "the last one")]


def test_days_and_times_are_utc_and_the_last_one_is_not_included(shell: Shell) -> None:
    def days(*words: str) -> set[str]:
        lines = [json.loads(line) for line in shell("jsonl", *words)[1].splitlines()]
        return {(line["ended"] or line["at"])[:10] for line in lines}

    written = ("--until", "2026-03-09")  # Not what nobody closed, which is charged when somebody looks.
    assert days(*written) == {"2026-03-01", "2026-03-02", "2026-03-08"}
    assert days("--since", "2026-03-02", *written) == {"2026-03-02", "2026-03-08"}
    assert days("--until", "2026-03-02") == {"2026-03-01"}
    assert days("--since", "2026-03-02", "--until", "2026-03-08") == {"2026-03-02"}
    assert days("--since", "2026-03-02T01:00+02:00", "--until", "2026-03-02T02:00+02:00") == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fokus"], "FORMAT: expected one of csv, focus, jsonl, otel, prometheus, got 'fokus'; did you mean focus?"),
        (["csv", "--since", "March"], "--since: expected a day such as 2026-03-01, or a time in UTC such as"),
        (["csv", "--until", "2026-13-01"], "--until: expected a day such as 2026-03-01"),
        (["csv", "--since", "2026-03-02", "--until", "2026-03-02"], "--until: it is not after --since"),
        (["csv", "--scope", "acme"], "--scope: a scope is written kind:name"),
    ],
)
def test_wrong_usage_is_told_and_writes_nothing(words: list[str], said: str, shell: Shell, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())

    code, err = shell.refusal(*words, str(tmp_path / "calls"))

    assert (code, said in err) == (2, True)
    assert set(tmp_path.iterdir()) == before


def test_a_ledger_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", "csv", "--ledger", str(tmp_path / "none.db")])

    assert result.exit_code == 4
    assert not list(tmp_path.iterdir())


def test_the_price_of_a_policy_tells_parts_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path, synchronous="OFF")
    usage = {"input_tokens": 10, "output_tokens": 1}
    RunJournal(store).call(32_000, model_asked="mine", model_used=None, usage=usage)
    store.close()
    (tmp_path / "solvent.yaml").write_text("prices: {mine: {input: 3.00, output: 2.00}}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(tmp_path / "solvent.yaml"))

    result = CliRunner().invoke(app, ["export", "focus", "--ledger", str(path)])

    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["BilledCost", "0.00003", "0.000002"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_person_who_waits_is_told_how_far_it_is(
    format: str, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[Entry] = []

    def watch(entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            watched.append(entry)
            yield entry

    monkeypatch.setattr(sys.modules["solvent.cli.export"], "with_progress", watch)
    shell(format, str(tmp_path / "calls"), "--since", "2026-03-08")

    assert len(watched) > 17  # All that are read, whether they are written or not.


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_a_reader_who_leaves_ends_the_export_quietly(format: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path, synchronous="OFF")
    run = RunJournal(store, limits={"usd": 1_000 * CENT})
    for _ in range(300):  # More than a pipe holds.
        run.call()
    store.close()
    command = [sys.executable, "-m", "solvent", "export", format, "--ledger", str(path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
        assert export.stdout is not None
        assert export.stderr is not None
        assert export.stdout.readline()
        export.stdout.close()
        said = export.stderr.read()

    assert (export.returncode, said) == (1, b"")


@pytest.mark.slow
def test_standard_output_is_utf_8_whatever_the_terminals_text_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    store = SQLiteStore(path, synchronous="OFF")
    RunJournal(store, "run:Zoë").call()
    store.close()
    command = [sys.executable, "-m", "solvent", "export", "jsonl", "--ledger", str(path)]

    ran = subprocess.run(command, capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True)

    assert '"run":"Zoë"' in ran.stdout.decode()


def test_every_option_has_its_line_in_the_docs() -> None:
    command = typer.main.get_command(app).commands["export"]  # type: ignore[attr-defined]  # It is a group.
    meant = {name for parameter in command.params for name in parameter.opts if name.startswith("--")} - {"--help"}
    text = DOCS.read_text().partition("| argument or option |")[2].partition("\n\n")[0]
    written = {name.split()[0] for name in re.findall(r"^\| `([^`]+)`", text, flags=re.M)}

    assert written == meant | {"FORMAT", "FILE"}


def test_the_docs_show_what_the_command_prints(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [session] = re.findall(r"^```\n(\$.*?)^```", DOCS.read_text(), flags=re.M | re.S)
    lines = re.findall(r"^\$ solvent export (.+)$", session, flags=re.M)

    printed = "".join(f"$ solvent export {words}\n{''.join(shell(*shlex.split(words))[1:])}" for words in lines)

    assert printed == session
