"""
``solvent ledger export``: the journal as JSON lines, whole, exact, and to where it was meant.
"""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ledger_shell import Shell, first_cells, section_of_docs, small_ledger
from run_journal import CENT, RunJournal

from solvent._operations import Reserve, Settle
from solvent._records import NO_CALL, Account, CallRecord, Entry, Terms
from solvent.cli import _files
from solvent.stores.sqlite import SQLiteStore

FIELDS = [
    *("schema_version", "seq", "at", "kind", "id", "scope", "charges", "run_total_nanodollars", "provider", "format"),
    *("model_asked", "model_used", "tier", "stream", "usage", "bound_nanodollars", "bound_parts", "cost_nanodollars"),
    *("price_source", "estimated", "decision", "reason", "rungs", "parent_id", "attempt", "fingerprint", "started"),
    *("ended", "status"),
]
CHARGE_FIELDS = ["scope", "meter", "window", "bucket", "limit", "reserved", "spent", "overrun", "topped_up"]


@pytest.fixture
def ledger(tmp_path: Path) -> Shell:
    return small_ledger(tmp_path)


def test_export_writes_every_entry_with_all_fields_in_one_order(ledger: Shell) -> None:
    lines = [json.loads(line) for line in ledger.said("export").splitlines()]

    assert [line["seq"] for line in lines] == list(range(1, 9))
    assert [line["kind"] for line in lines] == ["open", *["reserve", "settle"] * 2, "close", "reserve", "settle"]
    assert {tuple(line) for line in lines} == {tuple(FIELDS)}
    assert {tuple(charge) for line in lines for charge in line["charges"]} == {tuple(CHARGE_FIELDS)}


def test_export_writes_amounts_as_text_and_times_in_utc(ledger: Shell) -> None:
    store = ledger.store()
    call = CallRecord(
        usage={"input_tokens": 2**53 - 1},
        bound_nanodollars=CENT,
        bound_parts=({"part": "input", "tokens": 7, "why": None},),
        cost_nanodollars=2**53 - 1,
        stream=True,
        attempt=1,
        rungs=("prefix",),
        started=1_772_446_500_000_000_001,
    )
    store.apply([Reserve(id="x", scope="run:x", terms=Terms.of({Account("run:x", "usd"): CENT}), amounts={"usd": 1})])
    store.apply([Settle(id="x", actual={"usd": 2**53 - 1}, call=call)])
    store.close()

    [_, line] = [json.loads(line) for line in ledger.said("export", "--scope", "run:x").splitlines()]

    assert line["charges"] == [
        {
            "scope": "run:x",
            "meter": "usd",
            "window": "",
            "bucket": 0,
            "limit": "10000000",
            "reserved": "-1",
            "spent": "9007199254740991",
            "overrun": "9007199254740990",
            "topped_up": "0",
        }
    ]
    assert line["usage"] == {"input_tokens": "9007199254740991"}
    assert line["bound_parts"] == [{"part": "input", "tokens": "7", "why": None}]
    assert (line["bound_nanodollars"], line["cost_nanodollars"]) == ("10000000", "9007199254740991")
    assert line["run_total_nanodollars"] == "9007199254740991"
    assert (line["stream"], line["attempt"], line["rungs"]) == (True, 1, ["prefix"])
    assert (line["started"], line["ended"]) == ("2026-03-02T10:15:00.000000001Z", None)


def test_the_sums_of_an_export_are_what_show_says(ledger: Shell) -> None:
    spent: dict[tuple[str, str, str], int] = {}
    for line in ledger.said("export").splitlines():
        for charge in json.loads(line)["charges"]:
            account = charge["scope"], charge["meter"], charge["window"]
            spent[account] = spent.get(account, 0) + int(charge["spent"])

    shown = ledger.json("show")["accounts"]
    assert spent == {(one["scope"], one["meter"], one["window"]): int(one["spent"]) for one in shown}


def test_export_goes_on_after_an_entry(ledger: Shell, tmp_path: Path) -> None:
    whole = ledger.said("export").splitlines()

    assert ledger.said("export", "--after", "6").splitlines() == whole[6:]
    assert ledger.said("export", "--after", "8") == ""
    assert ledger.json("export", str(tmp_path / "rest"), "--after", "6")["last_seq"] == 8
    for none in ("-1", "x", "1.5", str(2**63)):
        code, said = ledger.refusal("export", "--after", none)
        assert (code, f"expected the number of an entry, from 0 up, got '{none}'" in said) == (2, True)


def test_export_to_a_file_is_for_its_owner_and_says_how_to_go_on(ledger: Shell, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    assert ledger.said("export", str(path)) == f"8 entries in {path}; what comes later: --after 8\n"

    assert path.read_text() == ledger.said("export")
    assert path.stat().st_mode & 0o777 == 0o600


def test_export_replaces_a_file_only_when_it_is_told_to(ledger: Shell, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("mine")

    assert ledger.refusal("export", str(path)) == (
        2,
        f"Error: Invalid value for FILE: {path} is there already; --force replaces it\n",
    )
    assert path.read_text() == "mine"
    assert ledger.json("export", str(path), "--force") == {
        "schema_version": 1,
        "file": str(path),
        "entries": 8,
        "last_seq": 8,
    }
    assert path.read_text() == ledger.said("export")


def test_export_never_replaces_the_ledger_or_what_is_no_file(ledger: Shell, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ledger.path)
    before = ledger.path.read_bytes()
    own = "Error: Invalid value for FILE: it belongs to the ledger itself\n"

    for name in (ledger.path.name, "link", f"{ledger.path.name}-wal", f"{ledger.path.name}-gate"):
        assert ledger.refusal("export", "--force", str(tmp_path / name)) == (2, own)
    os.mkfifo(tmp_path / "pipe")  # As good as any device, and no harm is done if it is replaced after all.
    for name in ("pipe", "."):
        assert ledger.refusal("export", "--force", str(tmp_path / name)) == (
            2,
            f"Error: Invalid value for FILE: {tmp_path / name} is no file\n",
        )
    assert ledger.path.read_bytes() == before


def test_an_export_that_fails_leaves_the_file_as_it_was(
    ledger: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exports" / "journal.jsonl"
    assert ledger.refusal("export", str(path)) == (
        1,
        f"solvent: {path} cannot be written: No such file or directory.\n",
    )
    path.parent.mkdir()
    path.write_text("the last one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert ledger.refusal("export", "--force", str(path)) == (
        1,
        f"solvent: {path} cannot be written: No space left on device.\n",
    )
    assert [(found.name, found.read_text()) for found in path.parent.iterdir()] == [(path.name, "the last one")]


def test_export_holds_one_entry_in_memory_at_a_time(ledger: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    entries = SQLiteStore.entries

    def counted(store: SQLiteStore, **which: Any) -> Any:
        for entry in entries(store, **which):
            out.append(len(written))
            yield entry

    out: list[int] = []
    monkeypatch.setattr(SQLiteStore, "entries", counted)
    monkeypatch.setattr("solvent.cli._ledger_export._line", lambda entry: written.append(entry.seq) or "")

    ledger.said("export")

    assert out == list(range(8))  # Each entry was written before the next one was read.


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "said"), [(_Terminal, "\r1,000 entries\r2,000 entries\r\x1b[K"), (io.StringIO, "")])
def test_progress_is_said_to_people_only(stream: type[io.StringIO], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "_QUIET_SECONDS", -1)
    monkeypatch.setattr(sys, "stderr", stream())
    entry = Entry(seq=1, at=0, kind="open", id="", scope="", postings=(), run_total_nanodollars=None, call=NO_CALL)

    assert sum(1 for _ in _files.with_progress(iter([entry] * 2_500))) == 2_500

    assert sys.stderr.getvalue() == said  # type: ignore[attr-defined]  # It is the one above.


@pytest.mark.slow
@pytest.mark.parametrize("calls", [0, 200])  # Less and more than a pipe holds.
def test_a_reader_who_leaves_ends_the_export_quietly(ledger: Shell, calls: int) -> None:
    store = ledger.store()
    run = RunJournal(store, "run:long", limits={"usd": 1_000 * CENT})
    for _ in range(calls):
        run.call()
    store.close()
    command = [sys.executable, "-m", "solvent", "ledger", "export", "--ledger", ledger.url]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as export:
        assert export.stdout is not None
        assert export.stderr is not None
        if calls:
            assert json.loads(export.stdout.readline())["seq"] == 1
        export.stdout.close()
        said = export.stderr.read()

    assert (export.returncode, said) == (1, "")


def test_the_fields_of_an_export_have_their_lines_in_the_docs() -> None:
    written = first_cells(section_of_docs("The exported journal"))
    assert written == [*FIELDS[:7], *(f"charges[].{name}" for name in CHARGE_FIELDS), *FIELDS[7:]]
