"""
Calls as rows: all of them, exact, and safe to open.
"""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from export_shell import counts, exported, journal, rows
from golden_ledger import BANNER, CALLS, COST, OVERRUN, REFUSALS, RELEASED, TRIAGE, Golden
from run_journal import CENT

from solvent._operations import Release, Settle
from solvent._records import CallRecord
from solvent.export.csv import COLUMNS
from solvent.stores.sqlite import SQLiteStore

DOCS = Path(__file__).parent.parent.parent / "docs" / "reference" / "export.md"
FORMATS = ("csv", "jsonl")


@pytest.mark.parametrize("format", FORMATS)
def test_every_entry_about_a_call_of_the_golden_ledger_is_a_row_and_no_other(format: str, store: SQLiteStore) -> None:
    found = Counter(row["kind"] for row in rows(format, store))

    assert found == {"settle": CALLS - 2, "expire": 2, "correct": 1, "release": RELEASED, "refuse": REFUSALS}


@pytest.mark.parametrize("format", FORMATS)
def test_the_rows_of_the_golden_ledger_add_up_to_what_its_accounts_spent(
    format: str, ledger: Golden, store: SQLiteStore
) -> None:
    found = rows(format, store)

    assert sum(int(row["cost_nanodollars"] or 0) for row in found) == COST == ledger.cost()
    assert sum(int(row["overrun_nanodollars"]) for row in found) == OVERRUN
    for scope in ("org:acme", TRIAGE, BANNER):
        below = rows(format, store, scope=scope)
        assert sum(int(row["cost_nanodollars"] or 0) for row in below) == ledger.cost(scope)


def test_the_tokens_of_the_golden_ledger_are_those_of_its_calls(ledger: Golden, store: SQLiteStore) -> None:
    paid: Counter[str] = Counter()
    for call in ledger.calls:
        paid.update(call.tokens)
    in_lines: Counter[str] = Counter()
    for row in rows("jsonl", store):
        in_lines.update(counts(row))
    in_cells = Counter({name: sum(int(row[name] or 0) for row in rows("csv", store)) for name in paid})

    assert in_lines == in_cells == paid


def test_a_call_has_all_its_fields_exact(store: SQLiteStore) -> None:
    [row] = [row for row in rows("jsonl", store) if row["rungs"] == ["wait 1.5 s"]]

    assert row == {
        "schema_version": 1,
        "seq": row["seq"],
        "at": "2026-03-01T09:02:08.000000000Z",
        "kind": "settle",
        "id": row["id"],
        "scope": "org:acme/team:search/run:triage/agent:writer",
        "org": "acme",
        "team": "search",
        "user": None,
        "run": "triage",
        "agent": "writer",
        "step": None,
        "provider": "anthropic",
        "format": "anthropic-messages",
        "model_asked": "claude-haiku-4-5",
        "model_used": "claude-haiku-4-5-20251001",
        "tier": None,
        "stream": None,
        "usage": {
            "input_tokens": "3000",
            "output_tokens": "400",
            "cache_read_tokens": "500",
            "cache_write_5m_tokens": "1000",
        },
        "cost_nanodollars": "4800000",
        "cost_dollars": "0.004800000",
        "bound_nanodollars": "50000000",
        "bound_dollars": "0.050000000",
        "overrun_nanodollars": "0",
        "run_total_nanodollars": "6255000",
        "price_source": "the price list",
        "estimated": None,
        "rungs": ["wait 1.5 s"],
        "attempt": 0,
        "parent_id": None,
        "status": "200",
        "reason": None,
        "started": "2026-03-01T09:02:08.000000000Z",
        "ended": "2026-03-01T09:02:08.000000000Z",
    }


@pytest.mark.parametrize("format", FORMATS)
def test_a_correction_is_a_row_of_the_signed_difference(format: str, store: SQLiteStore) -> None:
    found = rows(format, store)
    [correct] = [row for row in found if row["kind"] == "correct"]
    [expire] = [row for row in found if row["kind"] == "expire" and row["id"] == correct["id"]]

    assert (expire["cost_nanodollars"], expire["cost_dollars"]) == ("5000000", "0.005000000")
    assert (correct["cost_nanodollars"], correct["cost_dollars"]) == ("-4655000", "-0.004655000")


def test_a_correction_takes_back_the_tokens_that_the_expiry_charged() -> None:
    run = journal()
    clock = run.store._clock  # type: ignore[attr-defined]  # The one that was handed to it.
    tokens = {"tokens": 1_500, "input_tokens": 1_000, "output_tokens": 500}
    id = run.reserve(tokens=tokens)
    clock.advance(seconds=121)
    run.store.expire()
    call = CallRecord(provider="openai", usage={"input_tokens": 1_200, "output_tokens": 30, "cache_read_tokens": 7})
    actual = {"usd": CENT, "calls": 1, "tokens": 1_230, "input_tokens": 1_200, "output_tokens": 30}
    run.write(Settle(id=id, actual=actual, call=call))

    expire, correct = rows("jsonl", run.store)

    assert counts(expire) == {"input_tokens": 1_000, "output_tokens": 500}
    assert counts(correct) == {"input_tokens": 200, "output_tokens": -470, "cache_read_tokens": 7}


def test_a_correction_to_the_tokens_that_were_charged_adds_none() -> None:
    run = journal()
    clock = run.store._clock  # type: ignore[attr-defined]  # The one that was handed to it.
    tokens = {"tokens": 1_500, "input_tokens": 1_000, "output_tokens": 500}
    id = run.reserve(tokens=tokens)
    clock.advance(seconds=121)
    run.store.expire()
    call = CallRecord(provider="openai", usage={"input_tokens": 900, "output_tokens": 500})
    actual = {"usd": CENT, "calls": 1, "tokens": 1_400, "input_tokens": 900, "output_tokens": 500}
    run.write(Settle(id=id, actual=actual, call=call))

    _, correct = rows("jsonl", run.store)

    assert counts(correct) == {"input_tokens": -100, "output_tokens": 0}


@pytest.mark.parametrize("format", FORMATS)
def test_unknown_is_empty_and_no_cost_is_zero(format: str, store: SQLiteStore) -> None:
    found = rows(format, store)
    [local] = [row for row in found if row["provider"] == "ollama" and row["kind"] == "settle"]
    [failed] = [row for row in found if row["status"] == "429"]

    assert not local["cost_nanodollars"]
    assert not local["cost_dollars"]
    assert (failed["cost_nanodollars"], failed["cost_dollars"]) == ("0", "0.000000000")


def test_names_are_those_of_the_path() -> None:
    run = journal("org:Acme%3A EU/user:Zoë/run:a%2Fb/agent:planner/step:s/agent:coder")
    run.call()

    [row] = rows("jsonl", run.store)

    assert row["scope"] == "org:Acme%3A EU/user:Zoë/run:a%2Fb/agent:planner/step:s/agent:coder"
    assert [row[kind] for kind in ("org", "team", "user", "run", "agent", "step")] == [
        "Acme: EU",
        None,
        "Zoë",
        "a/b",
        "planner/coder",
        "s",
    ]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "\0"])
def test_a_cell_that_a_spreadsheet_would_compute_is_text(begin: str) -> None:
    run = journal(f"run:{begin if begin.isprintable() else f'%{ord(begin):02X}'}x")
    text = f"{begin}HYPERLINK(1)"
    run.call(provider=text, format=text, model_used=text, model_asked=text, tier=text, price_source=text, rungs=(text,))
    run.write(Release(id=run.reserve(model_asked=text), reason=text, call=CallRecord(parent_id=text, status=text)))

    found = [*rows("csv", run.store), *rows("focus", run.store)]

    assert len(found) == 3
    assert found[0]["model_used"] == found[2]["x_ModelUsed"] == f"'{text}"
    assert [cell for row in found for cell in row.values() if cell.startswith(tuple("=+-@\t\r\n\0"))] == []


def test_a_negative_amount_stays_a_number(store: SQLiteStore) -> None:
    assert "-4655000" in {row["cost_nanodollars"] for row in rows("csv", store)}


def test_csv_is_read_back_as_it_was_whatever_is_in_it() -> None:
    run = journal('run:quote "a", then%0A a line')
    run.call(model_used='m,"1"\r\n;', rungs=("prefix", "wait 1.2 s"), stream=True)

    text, _ = exported("csv", run.store)
    [head, row] = csv.reader(text.splitlines(keepends=True), strict=True)
    found = dict(zip(head, row, strict=True))

    assert found["model_used"] == 'm,"1"\r\n;'
    assert found["run"] == 'quote "a", then\n a line'
    assert (found["rungs"], found["stream"]) == ("prefix; wait 1.2 s", "true")
    assert re.sub(r'"(?:[^"]|"")*"', "", text).count("\r\n") == re.sub(r'"(?:[^"]|"")*"', "", text).count("\n") == 2


def test_json_lines_are_lines_whatever_is_in_them() -> None:
    run = journal("run:a%0A b%E2%80%A8c")
    run.call(model_used="é\n\x00\U0001f600")

    text, _ = exported("jsonl", run.store)

    assert text.count("\n") == 1
    assert rows("jsonl", run.store)[0]["model_used"] == "é\n\x00\U0001f600"


@pytest.mark.parametrize("format", [*FORMATS, "focus"])
def test_calls_are_taken_by_when_they_ended_from_the_first_moment_up_to_the_last(format: str) -> None:
    run = journal()
    for ended in (99, 100, 150, 200):
        run.call(started=50, ended=ended)

    found = rows(format, run.store, since=100, until=200)

    assert sum(1 for _ in found) == 2


def test_the_columns_and_fields_have_their_lines_in_the_docs(store: SQLiteStore) -> None:
    text = DOCS.read_text()
    table = text.partition("## Rows")[2].partition("\n## ")[0]
    written = [name for cell in re.findall(r"^\| (.+?) \|", table, flags=re.M) for name in re.findall(r"`(\w+)`", cell)]
    fields = list(rows("jsonl", store)[0])

    assert [name for name in written if name in fields] == fields
    assert set(written) == {*fields, *COLUMNS}
