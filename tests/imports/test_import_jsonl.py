"""
Calls in JSON lines: Solvent's own form for anything else, strictly read; and what Solvent itself exports.
"""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from clocks import ManualClock
from golden_ledger import golden as golden_ledger
from past import PRICES, import_files, settled, state, written
from run_journal import CENT, RunJournal

from solvent._amounts import Usage
from solvent.export import jsonl
from solvent.export._source import Source
from solvent.imports import BadCall
from solvent.imports.jsonl import Row
from solvent.stores._protocol import Store
from solvent.stores.memory import MemoryStore


def line(id: str = "1", **changes: Any) -> str:
    fields = {"id": id, "run": "r", "ended": "2026-11-03T10:00:00Z", "provider": "openai", "model": "gpt-4o-mini"}
    fields |= {"input_tokens": 100, "output_tokens": 10}
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not ...})


def imported(tmp_path: Path, *lines: str, **options: Any) -> MemoryStore:
    store = MemoryStore()
    import_files(store, "jsonl", written(tmp_path / "calls.jsonl", lines), **options)
    return store


def test_every_count_of_a_usage_is_a_field():
    assert set(Usage.__struct_fields__) <= set(Row.__struct_fields__)


def test_a_call_is_booked_as_it_is_told(tmp_path):
    counts = {"cache_read_tokens": 40, "reasoning_tokens": 4, "tool_calls": 2}
    names = {"org": "acme", "team": "search", "user": "ada", "agent": "a:b", "step": "s"}
    told = line(
        **names, **counts, started="2026-11-03T09:59:58.5Z", tier="default", stream=True, attempt=1, status="200"
    )
    (entry,) = settled(imported(tmp_path, told)).values()
    assert entry.id == "jsonl:r/1"
    assert entry.scope == "org:acme/team:search/user:ada/run:r/agent:a%3Ab/step:s"
    call = entry.call
    assert call.usage == {"input_tokens": 100, "output_tokens": 10, **counts}
    assert call.cost_nanodollars == 60 * 150 + 40 * 75 + 10 * 600
    assert call.price_source == PRICES.find("openai", "gpt-4o-mini").source
    assert (call.ended - call.started, call.tier, call.stream, call.attempt) == (1_500_000_000, "default", True, 1)
    spent = {posting.account.meter: posting.spent for posting in entry.postings}
    assert spent | {"usd": 18_000, "calls": 1, "retries": 1, "tool_calls": 2, "tokens": 110, "parallel": 0} == spent


@pytest.mark.parametrize(
    ("told", "nanodollars"), [("0.1", 10**8), ('"0.30000000000000004"', 300_000_001), ("1e-9", 1), ("0", 0)]
)
def test_a_cost_is_read_digit_by_digit_and_goes_before_prices(told, nanodollars, tmp_path):
    store = imported(tmp_path, line(cost_usd=0.7).replace("0.7", told))
    assert [entry.call.cost_nanodollars for entry in settled(store).values()] == [nanodollars]
    assert [entry.call.price_source for entry in settled(store).values()] == ["the log"]


def test_a_call_may_tell_its_cost_alone(tmp_path):
    told = line(model="web-search", provider=..., input_tokens=..., output_tokens=..., cost_usd="0.01")
    (entry,) = settled(imported(tmp_path, told)).values()
    assert (entry.call.cost_nanodollars, entry.call.usage, entry.call.status) == (10**7, None, "done")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (line(input_tokens=-1), "input_tokens must be within 0 and 9007199254740991, got -1"),
        (line(input_tokens=2**60), "input_tokens must be within 0 and 9007199254740991, got 1152921504606846976"),
        (line(input_tokens=1.5), "input_tokens: expected a whole number, got 1.5"),
        (line(input_tokens="7"), 'input_tokens: expected a whole number, got "7"'),
        (line(input_tokens=True), "input_tokens: expected a whole number, got true"),
        (line(cache_read_tokens=200), "cached tokens must not be above input_tokens, got 200 of 100"),
        (line().replace("100", "NaN"), "it is no JSON: "),
        (line(cached_tokens=5), "cached_tokens is no field of it; did you mean cache_read_tokens?"),
        (line(cost_usd=-1), "cost_usd: expected dollars within 0 and 9,007,199, got -1"),
        (line(cost_usd="Infinity"), "cost_usd: expected dollars within 0 and 9,007,199, got Infinity"),
        (line(cost_usd="much"), 'cost_usd: expected a number, got "much"'),
        (line(input_tokens=..., output_tokens=...), "it tells neither tokens nor cost_usd"),
        (line(run=...), "run is missing"),
        (line(run=""), "run must not be empty"),
        (line(id=7), "id: expected a text, got 7"),
        (line(agent="x" * 257), "a name in a scope has 1 to 256 bytes, got 257 in agent:"),
        (line(attempt=-1), "attempt: expected which try it was, from 0 up, got -1"),
        (line(ended="2026-13-03T10:00:00Z"), 'ended: expected a time such as 2026-03-02T10:15:00.125Z, got "2026-13'),
        (line(ended="0001-01-01T00:00:00Z"), "ended: expected a time such as"),
        ("[1, 2]", "expected an object, got"),
        ("not JSON", "it is no JSON: "),
    ],
)
def test_what_cannot_be_believed_is_an_error_with_line_field_and_value(bad, said, tmp_path):
    file = written(tmp_path / "calls.jsonl", [line("a"), bad, line("b")])
    store = MemoryStore()
    with pytest.raises(BadCall) as error:
        import_files(store, "jsonl", file)
    assert str(error.value).startswith(f"{file}:2: {said}")
    assert [*settled(store)] == ["jsonl:r/a"]

    _, intake = import_files(store, "jsonl", file, skip_bad=True)
    assert (intake.bad, [*settled(store)]) == (1, ["jsonl:r/a", "jsonl:r/b"])


def test_a_cost_above_what_any_ledger_holds_is_an_error(tmp_path):
    told = line(model="gpt-4o", output_tokens=2**52, input_tokens=0)
    with pytest.raises(BadCall, match="its tokens cost more than any ledger holds"):
        imported(tmp_path, told)


def test_equal_ids_of_two_runs_are_two_calls_and_of_one_run_one(tmp_path):
    store = imported(tmp_path, line("1"), line("1", run="other"), line("1"), line("é" * 300))
    assert [*settled(store)][:2] == ["jsonl:r/1", "jsonl:other/1"]
    assert len(settled(store)) == 3


def exported(store: Store, path: Path) -> Path:
    out = io.StringIO()
    jsonl.write(Source(store=store, prices=lambda: PRICES), out)
    path.write_text(out.getvalue())
    return path


def some_of_everything() -> MemoryStore:
    """
    A ledger with priced calls, one without a price, one that failed, was never sent, was refused; one that expired,
    and two of which the truth came late.
    """
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    run = RunJournal(store, "org:acme/run:triage/agent:a")
    run.open()
    usage = {"input_tokens": 812, "output_tokens": 40, "cache_read_tokens": 512}
    run.call(2 * CENT, usage=usage, status="200", attempt=1, price_source="prices", tier="default")
    run.call(None, usage=usage, status="200")
    run.call(0, status="529")
    run.release(run.reserve())
    run.refuse("budget_exceeded", "no", meter="usd")
    expired = [run.reserve() for _ in range(3)]
    clock.advance(seconds=121)
    assert store.expire() == 3
    run.settle(expired[1], 1 * CENT, usage=usage, status="200")
    run.release(expired[2])
    run.close()
    return store


def test_what_solvent_exports_is_the_same_in_another_ledger(tmp_path):
    first, second = some_of_everything(), MemoryStore()
    _, intake = import_files(second, "jsonl", exported(first, tmp_path / "e.jsonl"))
    assert sum(one.spent for one in second.balances() if one.account.meter == "usd") == sum(
        one.spent for one in first.balances() if one.account.meter == "usd"
    )
    assert intake.left_out == {"never sent": 2, "refused, so never made": 1}
    assert told_of(second) == told_of(first)


def test_what_puts_right_a_call_of_an_earlier_file_is_booked_together_with_it_or_left_out(tmp_path):
    file = exported(some_of_everything(), tmp_path / "e.jsonl")
    told = file.read_text().splitlines()
    (at,) = [number for number, text in enumerate(told) if json.loads(text)["kind"] == "correct" and "200" in text]
    earlier, later = written(tmp_path / "1.jsonl", told[:at]), written(tmp_path / "2.jsonl", told[at:])
    whole, both = MemoryStore(), MemoryStore()
    import_files(whole, "jsonl", file)
    import_files(both, "jsonl", earlier, later)
    assert told_of(both) == told_of(whole)

    result, intake = import_files(MemoryStore(), "jsonl", later)
    assert (result.calls, intake.left_out.total()) == (0, len(told) - at)
    assert "put right a call of an earlier export; import the two in one go" in intake.left_out


def told_of(store: Store) -> list[str]:
    """
    What the groups of a ledger's calls say, but for bounds, which are of whoever admitted them.
    """
    return sorted(
        str((facts.scope, facts.model_used, facts.price_source, facts.estimated, *sums_of(sums)))
        for facts, sums in store.groups().items()
        if facts.is_call and sums.count
    )


def sums_of(sums: Any) -> tuple[Any, ...]:
    tokens = {name: count for name, count in sums.tokens.items() if count}
    return sums.count, sums.cost, sums.unpriced, sums.retries, sorted(tokens.items())


@pytest.mark.slow
def test_every_call_of_the_golden_ledger_comes_through_an_export_and_an_import(tmp_path):
    golden = golden_ledger(tmp_path / "golden.db")
    first, second = golden.open(), MemoryStore()
    result, intake = import_files(second, "jsonl", exported(first, tmp_path / "e.jsonl"))
    first.close()
    assert result.calls == len(golden.calls)
    assert result.cost_nanodollars == golden.cost()
    assert intake.bad == 0
    for scope in {call.scope for call in golden.calls}:
        own = [sums for facts, sums in second.groups().items() if facts.scope == scope]
        wanted = [call for call in golden.calls if call.scope == scope]
        assert sum(sums.cost for sums in own) == sum(call.cost or 0 for call in wanted)
        assert sum(sums.count for sums in own) == len(wanted)
        assert sum(sums.unpriced for sums in own) == sum(call.cost is None for call in wanted)


def test_what_a_ledger_exported_changes_nothing_in_it(tmp_path):
    store = some_of_everything()
    file, before = exported(store, tmp_path / "e.jsonl"), state(store)
    result, _ = import_files(store, "jsonl", file)
    assert (result.calls, result.known) == (0, 5)
    assert state(store) == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("cost_nanodollars", "1.5", "cost_nanodollars: expected a whole number as text, got '1.5'"),
        ("cost_nanodollars", "-7", "cost_nanodollars: expected 0 to 9007199254740991, got -7"),
        ("cost_nanodollars", 7, "cost_nanodollars: expected a text, got 7"),
        ("usage", {"words": "7"}, "usage: words is no count of it"),
        ("usage", {"input_tokens": "-7"}, "input_tokens must be within 0 and"),
        ("scope", "triage", "scope: a scope is written kind:name"),
        ("kind", "open", "kind: expected settle, expire, correct, release or refuse, got 'open'"),
    ],
)
def test_a_line_of_an_export_that_cannot_be_believed_is_an_error(name, value, said, tmp_path):
    file = exported(some_of_everything(), tmp_path / "e.jsonl")
    first = {**json.loads(file.read_text().partition("\n")[0]), name: value}
    with pytest.raises(BadCall) as error:
        import_files(MemoryStore(), "jsonl", written(file, [json.dumps(first)]))
    assert str(error.value).startswith(f"{file}:1: {said}")
