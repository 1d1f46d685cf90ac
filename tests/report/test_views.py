"""
The golden ledger in every view: its amounts are those that are written down, whole, and add up at every place.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import golden_ledger
import pytest
from clocks import ManualClock
from golden_ledger import BANNER, LONELY, RESEARCHER, TRIAGE, WRITER, Golden
from hypothesis import given, settings
from hypothesis import strategies as st
from run_journal import CENT, START, RunJournal
from test_report_json import SCHEMA, problems

from solvent.report import Report, render, summarize, to_json
from solvent.report._csv import Table, by_table, models_table, trace_table, tree_table, write_csv
from solvent.report._draw_by import draw_by
from solvent.report._draw_tree import draw_tree
from solvent.report._json import HOURS_END, by_json, step_json
from solvent.report._records import Node, Use
from solvent.report._trace import trace
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

NAMES = ("model", "provider", "agent", "step", "run", "user", "team", "org", "day", "hour", "tier", "price", "scope")
COSTS = {
    None: golden_ledger.COST,
    "org:acme": golden_ledger.COST,
    TRIAGE: golden_ledger.TRIAGE_COST,
    BANNER: golden_ledger.BANNER_COST,
    LONELY: golden_ledger.LONELY_COST,
    RESEARCHER: golden_ledger.RESEARCHER_COST,
    WRITER: golden_ledger.WRITER_COST,
}


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def added(uses: Iterator[Use]) -> tuple[int, int, int, Mapping[str, int]]:
    calls = cost = unpriced = 0
    tokens = Counter[str]()
    for use in uses:
        calls, cost, unpriced = calls + use.calls, cost + use.cost_nanodollars, unpriced + use.unpriced
        tokens.update(use.tokens)
    return calls, cost, unpriced, tokens


def told(use: Use) -> tuple[int, int, int, Mapping[str, int]]:
    return added(iter([use]))


def rows_of(table: Table) -> list[dict[str, str]]:
    out = io.StringIO(newline="")
    count = write_csv(table, out)
    out.seek(0)
    rows = list(csv.DictReader(out))
    assert count == len(rows)
    return rows


def test_the_tree_of_the_golden_ledger_is_what_is_written_down(made: Golden, whole: Report) -> None:
    assert whole.tree is not None
    by_scope = {node.scope: node for node in nodes(whole.tree)}
    assert {scope: by_scope[scope].total.cost_nanodollars for scope in COSTS} == COSTS
    for scope, node in by_scope.items():
        assert node.total.calls == len(list(made.below(scope)))
        assert added(iter([node.own, *(child.total for child in node.children)])) == told(node.total)
    assert (whole.tree.refused, whole.tree.released) == (golden_ledger.REFUSALS, golden_ledger.RELEASED)
    assert whole.tree.reserved_nanodollars == by_scope[LONELY].reserved_nanodollars == golden_ledger.OPEN_RESERVED
    assert whole.tree.overruns.nanodollars == golden_ledger.OVERRUN


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_the_golden_ledger_add_up_by_every_name(name: str, made: Golden, whole: Report) -> None:
    rows = whole.by(name)
    assert added(row.use for row in rows) == told(whole.total)
    assert sum(row.use.cost_nanodollars for row in rows) == golden_ledger.COST
    assert sum(row.refused for row in rows) == golden_ledger.REFUSALS
    assert sum(row.released for row in rows) == golden_ledger.RELEASED
    wanted = {"day": lambda call: call.day, "scope": lambda call: call.scope}.get(name)
    if wanted is not None:
        costs = Counter[str | None]()
        for call in made.calls:
            costs[wanted(call)] += call.cost or 0
        assert {row.key[0]: row.use.cost_nanodollars for row in rows if row.use.calls} == costs


def test_the_rows_of_several_names_add_up_to_those_of_one(whole: Report) -> None:
    costs = Counter[str | None]()
    for row in whole.by("team", "model", "agent", "day"):
        costs[row.key[0]] += row.use.cost_nanodollars
    assert costs == {row.key[0]: row.use.cost_nanodollars for row in whole.by("team")}


def test_every_amount_of_the_golden_ledger_is_rebuilt_from_its_trace(store: SQLiteStore, made: Golden) -> None:
    lines = [json.loads(json.dumps(step_json(step))) for step in trace(store, None)]
    assert [problem for line in lines for problem in problems(line, SCHEMA["$defs"]["step"])] == []
    for scope, cost in COSTS.items():
        below = [line for line in lines if scope is None or f"{line['scope']}/".startswith(f"{scope}/")]
        assert sum(int(line["cost_nanodollars"] or 0) for line in below) == cost
        told = summarize(store, scope, clock=made.clock)
        tokens = Counter[str]()
        for line in below:
            tokens.update(line["usage"])
        assert {name: count for name, count in tokens.items() if count} == told.total.tokens
        assert sum(int(line["overrun_nanodollars"]) for line in below) == told.overruns.nanodollars
        assert sum(int(line["reserved_nanodollars"]) for line in below) == told.open.nanodollars
        kinds = Counter(line["kind"] for line in below)
        # A correction stands beside the expiry of the same call.
        assert kinds["settle"] + kinds["expire"] == told.total.calls
        assert (kinds["refuse"], kinds["release"]) == (told.refusals, told.released)


def test_a_correction_takes_back_the_tokens_that_an_expiry_was_booked_with() -> None:
    clock = ManualClock(START)
    journal = RunJournal(MemoryStore(clock=clock))
    id = journal.reserve(3 * CENT, tokens={"input_tokens": 2_000, "output_tokens": 300})
    clock.advance(seconds=121)
    journal.store.expire()
    journal.settle(id, 2 * CENT, usage={"input_tokens": 20, "cache_read_tokens": 5})

    expired, corrected = trace(journal.store, None)

    assert expired.usage == {"input_tokens": 2_000, "output_tokens": 300}
    assert corrected.usage == {"input_tokens": 20 - 2_000, "output_tokens": -300, "cache_read_tokens": 5}
    assert summarize(journal.store, None).total.tokens == {"input_tokens": 20, "cache_read_tokens": 5}


def test_a_trace_tells_what_each_run_had_spent_by_every_step_of_it(store: SQLiteStore) -> None:
    totals = Counter[str]()
    for step in trace(store, None):
        assert step.run in (TRIAGE, BANNER, LONELY)
        totals[step.run] += step.cost_nanodollars or 0
        if step.kind != "open":
            assert step.run_total_nanodollars == totals[step.run]


def test_an_overage_is_rebuilt_from_the_trace_alone() -> None:
    """
    What was spent above the limit that came with the calls is what was topped up, and the overruns above that.
    """
    clock = ManualClock(START)
    journal = RunJournal(MemoryStore(clock=clock), limits={"usd": 10 * CENT})
    journal.open()
    journal.call(3 * CENT)
    journal.call(9 * CENT, bound=5 * CENT, attempt=1, parent_id="01J9ZA")
    journal.refuse("budget_exceeded", "run:triage has -$0.02 left.", meter="usd")

    lines: list[Any] = [step_json(step) for step in trace(journal.store, "run:triage")]
    limit = int(next(one["amount"] for line in lines if line["kind"] == "open" for one in line["limits"]))
    spent = sum(int(line["cost_nanodollars"] or 0) for line in lines)
    over = [line for line in lines if int(line["run_total_nanodollars"] or 0) > limit]

    assert (limit, spent) == (10 * CENT, 12 * CENT)
    assert [(line["kind"], line["attempt"], line["parent_id"]) for line in over] == [
        ("settle", 1, "01J9ZA"),
        ("refuse", None, None),
    ]
    assert int(over[0]["overrun_nanodollars"]) == 4 * CENT
    assert int(over[0]["run_total_nanodollars"]) - int(over[0]["overrun_nanodollars"]) <= limit
    assert over[1]["limits"] == [{"scope": "run:triage", "meter": "usd", "window": "", "amount": str(10 * CENT)}]


def test_json_of_the_golden_ledger_is_what_the_schema_says_and_whole(whole: Report) -> None:
    written: Any = to_json(whole)
    assert problems(written, SCHEMA) == []
    assert written["tree"]["total"]["cost_nanodollars"] == str(golden_ledger.COST)
    assert written["ladder"][2] == {
        "name": "degrade",
        "calls": 1,
        "cost_nanodollars": "900000",
        "saved_nanodollars": "14100000",
        "waited_milliseconds": 0,
    }
    assert (written["scope"], written["runs"], written["retries"], written["since"]) == (None, 3, 1, None)
    for names in (("model",), ("day", "team", "agent")):
        rows: Any = by_json(whole, names)
        assert problems(rows, SCHEMA["$defs"]["by"]) == []
        assert sum(int(row["cost_nanodollars"]) for row in rows["rows"]) == golden_ledger.COST
        assert rows["by"] == list(names) == list(rows["rows"][0]["key"])


def test_csv_of_the_golden_ledger_is_exact(whole: Report, store: SQLiteStore) -> None:
    for rows in (rows_of(models_table(whole)), rows_of(by_table(whole, ("day", "agent")))):
        assert sum(int(row["cost_nanodollars"]) for row in rows) == golden_ledger.COST
        assert sum(int(row["calls"]) for row in rows) == golden_ledger.CALLS
    tree = {row["scope"]: row for row in rows_of(tree_table(whole))}
    assert {scope: int(tree[scope or ""]["cost_nanodollars"]) for scope in COSTS} == COSTS
    assert sum(int(row["own_nanodollars"]) for row in tree.values()) == golden_ledger.COST
    assert (tree[TRIAGE]["limit_dollars"], tree["org:acme"]["limit_window"]) == ("1.500000000", "month@UTC")
    calls = rows_of(trace_table(trace(store, None)))
    assert sum(int(row["cost_nanodollars"] or 0) for row in calls) == golden_ledger.COST
    corrected = next(row for row in calls if row["kind"] == "correct")
    assert (corrected["cost_nanodollars"], corrected["cost_dollars"]) == ("-4655000", "-0.004655000")


def test_no_cell_is_a_formula() -> None:
    journal = RunJournal(MemoryStore(clock=ManualClock(START)), "run:a/step:=1+1", limits={"usd": 10 * CENT})
    journal.call(model_used="=cmd()", status="@x", provider="+1")
    report = summarize(journal.store, None)
    steps = trace(journal.store, None)
    for table in (models_table(report), by_table(report, ("step", "model")), tree_table(report), trace_table(steps)):
        for row in rows_of(table):
            assert not [cell for cell in row.values() if cell.startswith(("=", "+", "@"))]
    assert rows_of(by_table(report, ("step", "model")))[0]["model"] == "'=cmd()"


def test_hours_leave_out_what_ended_before(store: SQLiteStore, made: Golden) -> None:
    hour = 493_344  # 2026-04-13T00:00Z, after all of it.
    after = summarize(store, None, hours=(hour, HOURS_END), clock=made.clock)
    assert (after.total, to_json(after)["since"]) == (Use(), "2026-04-13T00:00:00.000000000Z")
    assert [step.kind for step in trace(store, None, hours=(hour, HOURS_END))] == ["reserve"]
    second = 492_312  # 2026-03-01T00:00Z
    for hours in ((second, second + 24), (second + 24, second + 48), (second + 48, HOURS_END)):
        of_day = summarize(store, None, hours=hours, clock=made.clock)
        steps = trace(store, None, hours=hours)
        assert sum(step.cost_nanodollars or 0 for step in steps) == of_day.total.cost_nanodollars


_PATHS = st.lists(st.sampled_from(["agent:a", "agent:b", "step:x", "step:y"]), max_size=6).map(
    lambda path: "/".join(["run:r", *sorted(path)])
)
_CALLS = st.lists(
    st.tuples(_PATHS, st.integers(0, 10**12), st.sampled_from(["settle", "expire", "refuse", "release", "open"])),
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(calls=_CALLS, width=st.integers(60, 120))
def test_children_and_own_are_the_total_at_every_node(calls: list[tuple[str, int, str]], width: int) -> None:
    clock = ManualClock(START)
    store = MemoryStore(clock=clock)
    costs = Counter[str]()
    for number, (scope, amount, kind) in enumerate(calls):
        journal = RunJournal(store, scope, limits={"usd": None, "calls": None})  # type: ignore[dict-item]  # Unlimited.
        if kind == "refuse":
            journal.refuse("budget_exceeded", "too little left")
            continue
        id = journal.reserve(amount, id=f"{number}")
        if kind == "expire":
            clock.advance(seconds=121)
            store.expire()
        elif kind == "release":
            journal.release(id)
        elif kind == "settle":
            journal.settle(id, amount, bound=amount)
    store.expire()
    for entry in store.entries():
        if entry.kind in ("settle", "expire"):
            costs[entry.scope] += entry.call.cost_nanodollars or 0

    report = summarize(store, None)
    tree = report.tree
    assert tree is not None
    for node in nodes(tree):
        assert added(iter([node.own, *(child.total for child in node.children)])) == told(node.total)
        below = [
            cost for scope, cost in costs.items() if node.scope is None or f"{scope}/".startswith(f"{node.scope}/")
        ]
        assert node.total.cost_nanodollars == sum(below)
        assert node.refused >= sum(child.refused for child in node.children)
    assert sum(step.cost_nanodollars or 0 for step in trace(store, None)) == tree.total.cost_nanodollars
    assert sum(step.reserved_nanodollars for step in trace(store, None)) == tree.reserved_nanodollars
    for picture in (draw_tree, draw_by(("scope", "model"))):
        drawn = render(report, width=width, color=False, picture=picture)
        # Only the command that shows it again stands whole.
        assert max(len(line) for line in drawn.splitlines() if "see it again" not in line) <= width
