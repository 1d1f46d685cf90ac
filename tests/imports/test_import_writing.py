"""
How calls of the past come into a ledger: like guarded ones, once, whole, and in their own time.
"""

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from clocks import ManualClock
from past import PRICES, facts, import_files, settled, state, written

from solvent._amounts import Usage
from solvent._booking import Replied
from solvent._estimate import Estimator
from solvent._guard import Guard
from solvent._limits import Scope
from solvent._operations import Note, Reserve, SetLimit, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.imports import FORMATS, BadCall, Intake, Refused, Writer
from solvent.report import summarize
from solvent.stores._batcher import Ledger
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore
from solvent.wire._call import Call, Item, Reading


def line(id: str = "1", **changes: Any) -> str:
    fields = {"id": id, "run": "r", "ended": "2026-11-03T10:00:00Z", "provider": "openai", "model": "gpt-4o-mini"}
    return json.dumps({**fields, "input_tokens": 100, "output_tokens": 10, **changes})


def exported_line(**told: Any) -> str:
    fields = {"schema_version": 1, "kind": "settle", "id": "01A", "scope": "run:r", "cost_nanodollars": "7"}
    fields |= {"at": "2026-11-03T10:00:00Z", "model_asked": "gpt-4o", "usage": {"input_tokens": "5"}}
    return json.dumps({**fields, **told})


def test_an_imported_call_is_booked_as_a_guarded_one_without_limits(tmp_path):
    guarded, imported = MemoryStore(), MemoryStore()
    guard = Guard(Ledger(guarded), prices=PRICES)
    call = Call(format="openai-chat", provider="openai", model="gpt-4o-mini", items=(Item(200),), output_tokens_max=10)
    admission = guard.admit(call, scope=Scope.parse("run:r/agent:a"), fingerprint=b"", began=0.0)
    usage = Usage(input_tokens=100, output_tokens=10, tool_calls=3)
    guard.settle(admission, Replied(status=200, reading=Reading(usage=usage, complete=True)))
    told = line(agent="a", tool_calls=3, format="openai-chat", status="200")
    import_files(imported, "jsonl", written(tmp_path / "c.jsonl", [told]))

    (one,), (other,) = settled(guarded).values(), settled(imported).values()
    now = {"fingerprint", "started", "ended", "bound_nanodollars", "bound_parts", "stream"}
    fields = [name for name in one.call.__struct_fields__ if name not in now]
    assert [getattr(one.call, name) for name in fields] == [getattr(other.call, name) for name in fields]
    assert one.scope == other.scope
    assert one.run_total_nanodollars == other.run_total_nanodollars == 21_000
    spent = [{posting.account: posting.spent for posting in entry.postings if posting.spent} for entry in (one, other)]
    assert spent[0] == spent[1]
    assert [(one.account, one.spent, one.reserved, one.overrun) for one in guarded.balances() if one.spent] == [
        (one.account, one.spent, one.reserved, one.overrun) for one in imported.balances() if one.spent
    ]


def test_a_run_is_opened_at_its_first_call_and_ends_with_its_last(tmp_path):
    lines = [
        line("1", ended="2026-11-03T11:00:00Z"),
        line("2", started="2026-11-03T09:00:00Z"),
        line("3", ended="2026-11-03T12:30:00Z", agent="a"),
    ]
    store, file = MemoryStore(), tmp_path / "c.jsonl"
    import_files(store, "jsonl", written(file, lines[1:2]))
    import_files(store, "jsonl", written(file, lines))
    report = summarize(store, "run:r")
    assert (report.openings, report.exit_reason, report.total.calls) == (1, "import", 3)
    assert (report.ended or 0) - (report.started or 0) == 3.5 * 3_600 * 10**9
    assert report.before.calls == 0
    assert [entry.kind for entry in store.entries(kinds=("open", "close"))] == ["open", "close", "close"]
    before = state(store)
    import_files(store, "jsonl", written(file, lines[:1]))
    assert state(store) == before


def test_a_log_that_is_newest_first_opens_its_run_at_the_earliest_call(tmp_path):
    hour = 3_600 * 10**9
    lines = [line(str(n), ended=f"2026-11-{n // 24 + 1:02}T{n % 24:02}:00:00Z") for n in reversed(range(300))]
    store = MemoryStore()
    import_files(store, "jsonl", written(tmp_path / "c.jsonl", lines))
    report = summarize(store, "run:r")
    assert (report.openings, report.total.calls) == (1, 300)
    assert (report.ended or 0) - (report.started or 0) == 299 * hour


def test_an_import_that_is_interrupted_opens_and_ends_its_runs(tmp_path):
    def interrupted():
        yield from FORMATS["jsonl"].calls([written(tmp_path / "c.jsonl", [line("1"), line("2")])], intake)
        raise KeyboardInterrupt

    store, intake = MemoryStore(), Intake(now_ns=0)
    writer = Writer(store, Estimator(PRICES), begins=PRICES.card.begins)
    with pytest.raises(KeyboardInterrupt):
        writer.book(interrupted(), intake)
    assert (writer.imported.calls, len(settled(store))) == (2, 2)
    assert [entry.kind for entry in store.entries(kinds=("open", "close"))] == ["open", "close"]


def test_a_run_whose_opening_a_killed_import_did_not_write_is_opened_by_the_next_one(tmp_path):
    store, file = MemoryStore(), written(tmp_path / "c.jsonl", [line("1"), line("2")])
    apply = store.apply

    def dies(operations):
        if isinstance(operations[0], Note):
            raise RuntimeError
        return apply(operations)

    store.apply = dies
    with pytest.raises(RuntimeError):
        import_files(store, "jsonl", file)
    store.apply = apply
    result, _ = import_files(store, "jsonl", file)
    assert (result.calls, result.known) == (0, 2)
    assert [entry.kind for entry in store.entries(kinds=("open", "close"))] == ["open", "close"]


def test_a_run_that_solvent_opened_is_not_ended_by_an_import(tmp_path):
    from run_journal import RunJournal

    store = MemoryStore()
    RunJournal(store, "run:r").open()
    import_files(store, "jsonl", written(tmp_path / "c.jsonl", [line()]))
    assert [entry.kind for entry in store.entries(kinds=("open", "close"))] == ["open"]


def test_a_run_whose_calls_are_all_known_gets_no_opening(tmp_path):
    store, file = MemoryStore(), written(tmp_path / "c.jsonl", [exported_line()])
    terms = Terms.of({Account("run:r", "usd"): None, Account("run:r", "calls"): None})
    store.apply([Reserve(id="01A", scope="run:r", terms=terms, amounts={"calls": 1, "parallel": 1, "retries": 0})])
    store.apply([Settle(id="01A", actual={"usd": 7}, call=CallRecord(cost_nanodollars=7))])
    before = state(store)
    result, _ = import_files(store, "jsonl", file)
    assert result.known == 1
    assert state(store) == before


def test_calls_are_counted_in_no_window_of_today(tmp_path):
    store = MemoryStore()
    import_files(store, "jsonl", written(tmp_path / "c.jsonl", [line()]), under="org:acme/team:x")
    assert {balance.account.window for balance in store.balances()} == {""}
    assert {balance.account.scope for balance in store.balances()} == {"org:acme/team:x/run:r"}


def test_a_call_is_counted_once_under_whatever_scope(tmp_path):
    store, file = MemoryStore(), written(tmp_path / "c.jsonl", [line("1"), line("2")])
    import_files(store, "jsonl", file, under="team:x")
    before = state(store)
    result, _ = import_files(store, "jsonl", file, under="team:y")
    assert (result.calls, result.known) == (0, 2)
    assert state(store) == before


def test_a_scope_that_cannot_stand_below_is_an_error(tmp_path):
    file = written(tmp_path / "c.jsonl", [line()])
    with pytest.raises(BadCall, match="run:r cannot stand below run"):
        import_files(MemoryStore(), "jsonl", file, under="run:other")


def test_models_without_a_price_are_recorded_and_counted(tmp_path):
    store = MemoryStore()
    lines = [line("1"), line("2", model="house-model"), line("3", model="house-model"), line("4", tier="dear")]
    result, _ = import_files(store, "jsonl", written(tmp_path / "c.jsonl", lines))
    assert (result.calls, result.unpriced) == (4, {"house-model": 2, "gpt-4o-mini": 1})
    assert [entry.call.cost_nanodollars for entry in settled(store).values()] == [21_000, None, None, None]
    assert summarize(store, "run:r").total.unpriced == 3


def test_calls_before_all_prices_that_are_known_are_told(tmp_path):
    lines = [line("1"), line("2", ended="2024-11-03T10:00:00Z"), line("3", ended="2024-11-03T10:00:00Z", cost_usd="1")]
    result, _ = import_files(MemoryStore(), "jsonl", written(tmp_path / "c.jsonl", lines))
    assert (result.calls, result.older) == (3, 1)


def test_a_limit_of_the_ledger_itself_on_a_run_keeps_its_calls_out_with_a_word_how_to_go_on(tmp_path):
    store, file = (
        MemoryStore(),
        written(tmp_path / "c.jsonl", [line("1", run="free"), line("2"), line("3", run="free")]),
    )
    store.apply([SetLimit(id="x", account=Account("run:r", "calls"), limit=0)])
    with pytest.raises(Refused) as error:
        import_files(store, "jsonl", file)
    assert str(error.value).startswith(
        f"{file}:2: the ledger limits calls of run:r by itself; this call is not recorded."
    )
    assert "solvent ledger set-limit run:r calls none" in str(error.value)
    assert [*settled(store)] == ["jsonl:free/1", "jsonl:free/3"]
    notes = [(entry.kind, entry.scope) for entry in store.entries(kinds=("open", "close"))]
    assert notes == [("open", "run:free"), ("close", "run:free")]

    store.apply([SetLimit(id="y", account=Account("run:r", "calls"), limit=None)])
    result, _ = import_files(store, "jsonl", file)
    assert (result.calls, result.known) == (1, 2)


def test_many_calls_and_runs_are_booked_each_once(tmp_path):
    store = MemoryStore()
    lines = [line(str(number), run=f"r{number % 7}") for number in range(300)]
    result, _ = import_files(store, "jsonl", written(tmp_path / "c.jsonl", lines + lines))
    assert (result.calls, result.known, len(result.runs)) == (300, 300, 7)
    assert len(settled(store)) == 300
    assert sum(balance.spent for balance in store.balances() if balance.account.meter == "calls") == 300
    assert store.verify() is None


def test_half_a_character_in_a_name_is_an_error_at_its_line(tmp_path):
    file = written(tmp_path / "c.jsonl", [line().replace("gpt-4o-mini", "\\ud800")])
    with pytest.raises(BadCall, match=r"c\.jsonl:1: "):
        import_files(MemoryStore(), "jsonl", file)


def test_an_import_that_was_killed_is_made_whole_by_the_next_one(tmp_path):
    clock = ManualClock()
    store, whole = MemoryStore(clock=clock), MemoryStore(clock=clock)
    file = written(tmp_path / "c.jsonl", [line("1"), line("2")])
    import_files(whole, "jsonl", file)
    apply, left = store.apply, [1]

    def dies(operations):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return apply(operations)

    store.apply = dies  # The first calls of a run are reserved before anything else is known of it.
    with pytest.raises(KeyboardInterrupt):
        import_files(store, "jsonl", file)
    store.apply = apply
    clock.advance(seconds=121)
    assert store.expire() == 2

    result, _ = import_files(store, "jsonl", file)
    assert [entry.kind for entry in store.entries()][-4:] == ["correct", "correct", "open", "close"]
    assert store.balances() == whole.balances()
    assert sum(sums.cost for sums in store.groups().values()) == 42_000
    assert (result.calls, result.corrected, result.cost_nanodollars, result.known) == (2, 2, 42_000, 0)
    before = state(store)
    result, _ = import_files(store, "jsonl", file)
    assert (result.calls, result.corrected, result.known) == (0, 0, 2)
    assert state(store) == before


@pytest.mark.parametrize("told", [{}, {"kind": "expire", "estimated": "expired", "usage": {}}])
def test_a_copy_of_a_call_is_made_whole_where_its_import_was_killed(told, tmp_path):
    clock = ManualClock()
    store, whole = MemoryStore(clock=clock), MemoryStore(clock=clock)
    file = written(tmp_path / "c.jsonl", [exported_line(**told)])
    import_files(whole, "jsonl", file)
    apply, left = store.apply, [1]

    def dies(operations):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        return apply(operations)

    store.apply = dies
    with pytest.raises(KeyboardInterrupt):
        import_files(store, "jsonl", file)
    store.apply = apply
    clock.advance(seconds=121)
    assert store.expire() == 1
    import_files(store, "jsonl", file)
    assert store.balances() == whole.balances()
    assert sum(sums.cost for sums in store.groups().values()) == 7
    before = state(store)
    import_files(store, "jsonl", file)
    assert state(store) == before


KILLED = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from past import import_files
from solvent.stores.sqlite import SQLiteStore
import_files(SQLiteStore(Path(sys.argv[1]), synchronous="OFF"), "jsonl", Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_process_that_is_killed_in_the_middle_loses_nothing_and_doubles_nothing(tmp_path):
    file = written(tmp_path / "c.jsonl", [line(str(number), run=f"r{number // 40}") for number in range(1_500)])
    words = [sys.executable, "-c", KILLED, str(tmp_path / "l.db"), str(file), os.path.dirname(__file__)]
    process = subprocess.Popen(words)
    while process.poll() is None and not (tmp_path / "l.db-wal").exists():
        pass
    while process.poll() is None and (tmp_path / "l.db-wal").stat().st_size < 150_000:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    store, whole = SQLiteStore(tmp_path / "l.db", synchronous="OFF"), MemoryStore()
    assert 0 < len(list(store.entries(kinds=("settle",)))) < 1_500
    store.expire()
    import_files(store, "jsonl", file)
    import_files(whole, "jsonl", file)
    assert store.verify() is None
    spent = [{balance.account: balance.spent for balance in one.balances() if balance.spent} for one in (store, whole)]
    assert spent[0] == spent[1]
    assert sum(sums.count for sums in store.groups().values()) == 1_500
    assert len(facts(whole)) == 1_500
    store.close()
