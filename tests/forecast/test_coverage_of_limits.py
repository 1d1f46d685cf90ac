"""
What one run spends at worst when something goes wrong, by the kinds of limits that are in force.
"""

from functools import cache

import pytest
from limited import RESEARCH, workflow_of

from solvent.forecast._contained import Worst
from solvent.forecast._dearest import dearest_call
from solvent.forecast._failures import failures
from solvent.forecast.bounds import bounds
from solvent.forecast.coverage import coverage
from solvent.forecast.limits import derive
from solvent.forecast.simulate import Rules, simulate
from solvent.forecast.spec import read_workflow

PATTERNS = (
    "runaway recursion",
    "silent fan-out",
    "retry storm",
    "token bloat",
    "stuck workflow",
    "cost-latency coupling",
)
LOOP = "{loop: turn, again: 50%, max: 4, do: [{call: ask, model: big, prompt: 1000, output: 1000, seconds: 2}]}"
CALL = "{call: ask, model: big, prompt: 1000, output: 1000}"
EACH = 1_000 * (3 + 15) / 1e6  # Dollars of one call of it.


@cache
def of_research():
    workflow = read_workflow(RESEARCH)
    return coverage(workflow, derive(workflow, simulate(workflow, runs=2**13)))


def found(tmp_path, text, *, runs=2_000):
    workflow = workflow_of(tmp_path, text)
    limits = derive(workflow, simulate(workflow, runs=runs))
    table = coverage(workflow, limits)
    return limits, {row.pattern: dict(zip(table.columns, row.worst, strict=True)) for row in table.rows}


@pytest.mark.slow
def test_research_has_every_pattern_and_none_that_nothing_contains():
    table = of_research()
    assert tuple(row.pattern for row in table.rows) == PATTERNS
    assert table.declared == pytest.approx(226.41, abs=0.01)
    assert table.open == ()
    contained = {row.pattern: row.contained_by for row in table.rows}
    worst = {row.pattern: dict(zip(table.columns, row.worst, strict=True)) for row in table.rows}
    for pattern, kind in (("runaway recursion", "step"), ("silent fan-out", "fan-out"), ("retry storm", "retry")):
        assert worst[pattern][kind] < 0.6 * worst[pattern]["none"]
    assert "output and token" in contained["token bloat"]
    assert "step" in contained["cost-latency coupling"]
    for kinds in contained.values():
        assert "none" not in kinds
        assert {"cost", "all"} <= set(kinds)


def test_more_limits_never_allow_more():
    for row in of_research().rows:
        none, *single, all_of = row.worst
        for usd in single:
            assert none is None or (usd is not None and usd <= none)
            assert usd is None or all_of <= usd


def test_a_loop_that_runs_away_is_ended_by_calls_and_by_time(tmp_path):
    limits, worst = found(tmp_path, f"graph: [{LOOP}]")
    assert worst["runaway recursion"]["none"] == pytest.approx(1_000 * EACH)
    assert limits.find("orchestration", "calls").amount == 4
    assert worst["runaway recursion"]["step"] == pytest.approx(4 * EACH)
    assert limits.find("orchestration", "seconds").amount == 8
    assert worst["runaway recursion"]["time"] == pytest.approx(4 * EACH)
    assert worst["stuck workflow"]["none"] is None
    assert worst["stuck workflow"]["step"] == pytest.approx(4 * EACH)
    assert worst["runaway recursion"]["cost"] == limits.usd


def test_a_fan_out_is_ended_by_its_branches(tmp_path):
    items = "{one_of: {2: 50%, 5: 50%}}"
    text = f"graph: [{{map: each, over: {items}, concurrency: none, do: [{CALL}]}}]"
    _, worst = found(tmp_path, text)
    assert worst["silent fan-out"]["none"] == pytest.approx(10_000 * EACH)
    assert worst["silent fan-out"]["fan-out"] == pytest.approx(5 * EACH)
    assert worst["silent fan-out"]["retry"] == worst["silent fan-out"]["none"]


def test_a_retry_storm_is_ended_by_retries(tmp_path):
    text = f"graph: [{{retry: outer, fail: 20%, max: 3, do: [{{retry: inner, fail: 20%, max: 3, do: [{CALL}]}}]}}]"
    limits, worst = found(tmp_path, text)
    retries = limits.find("orchestration", "retries").amount
    assert worst["retry storm"]["none"] == pytest.approx(100 * EACH)  # Ten times ten attempts.
    assert worst["retry storm"]["retry"] == pytest.approx((1 + retries) * EACH)


def test_token_bloat_fills_the_window_and_is_ended_by_caps_and_by_tokens(tmp_path):
    model = "small: {input: 1.00, output: 2.00, window: 100k}"
    path = tmp_path / "own.yaml"
    path.write_text(f"workflow: bot\nmodels: {{{model}}}\ngraph: [{CALL.replace('big', 'small')}]\n")
    workflow = read_workflow(path)
    table = coverage(workflow, derive(workflow, simulate(workflow, runs=500)))
    (row,) = [row for row in table.rows if row.pattern == "token bloat"]
    worst = dict(zip(table.columns, row.worst, strict=True))
    assert worst["none"] == pytest.approx(0.1 + 0.2)
    # What the guard sets aside for the prompt, and the output's cap; or all tokens that a run may use, as the dearest.
    assert worst["output and token"] == pytest.approx(min(4_500 * 1e-6 + 1_000 * 2e-6, 5_500 * 2e-6))


def test_calls_made_ten_times_at_once_are_ended_by_their_number(tmp_path):
    _, worst = found(tmp_path, f"graph: [{LOOP}]")
    assert worst["cost-latency coupling"]["none"] == pytest.approx(40 * EACH)
    assert worst["cost-latency coupling"]["step"] == pytest.approx(4 * EACH)


def test_what_no_limit_contains_is_named(tmp_path):
    call = "{call: ask, model: big, prompt: 100, output: {p50: 90, p95: 200, max: none}}"
    text = f"graph: [{call}, {{loop: look, again: 50%, max: 4, do: [{{tool: search, cost: 0.01}}]}}]"
    workflow = workflow_of(tmp_path, text)
    limits = derive(workflow, simulate(workflow, runs=500))
    table = coverage(workflow, limits)
    assert table.declared is None
    # No limit of dollars can be had, and a loop of tools makes no call that could be counted.
    assert set(table.open) == {"runaway recursion", "stuck workflow", "cost-latency coupling"}


def test_what_a_workflow_has_nothing_of_cannot_go_wrong_in_it(tmp_path):
    _, worst = found(tmp_path, "graph: [{call: ask, model: big, prompt: 100, output: 100}]")
    assert tuple(worst) == ("token bloat", "cost-latency coupling")


def test_the_dearest_call_reads_all_that_its_loop_wrote(tmp_path):
    turn = "{call: ask, model: big, prompt: 1000, output: 200}, {tool: look, result: 500}"
    workflow = workflow_of(tmp_path, f"graph: [{{loop: turn, history: grows, again: 50%, max: 4, do: [{turn}]}}]")
    # 1,000 and four rounds of 700, and its own 200 tokens are read again in four.
    assert dearest_call(workflow) == pytest.approx((1_000 + 4 * 700 + 4 * 200) * 3e-6 + 200 * 15e-6)


@pytest.mark.slow
def test_no_simulated_run_of_a_failure_spends_more_than_its_worst(tmp_path):
    again = f"{{retry: again, fail: 30%, max: 2, do: [{LOOP}]}}"
    text = f"graph: [{LOOP}, {{map: each, over: 3, concurrency: 2, do: [{again}]}}]"
    workflow = workflow_of(tmp_path, text)
    for failure in failures(workflow):
        if bounds(failure.workflow, "usd").high is not None and failure.times == 1:
            runs = simulate(failure.workflow, runs=8)
            assert runs.usd.max() <= Worst().under(failure, ()) * (1 + 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("meter", ["usd", "tokens", "calls", "retries", "branches"])
def test_no_run_that_is_held_to_a_limit_spends_more_than_its_worst(tmp_path, meter):
    call = "{call: ask, model: big, prompt: {p50: 500, p95: 900, max: 2k}, output: {p50: 90, p95: 300, max: 1k}}"
    tries = f"{{retry: tries, fail: 20%, max: 3, do: [{call}]}}"
    turn = f"{{loop: turn, history: grows, again: 60%, max: 6, do: [{tries}, {{tool: look, result: 300}}]}}"
    each = f"{{map: each, over: {{mean: 3, p95: 6, max: 9}}, concurrency: 2, do: [{tries}]}}"
    workflow = workflow_of(tmp_path, f"graph: [{turn}, {each}]")
    limits = derive(workflow, simulate(workflow, runs=2_000))
    (held,) = [one for one in limits.all if (one.layer, one.meter) == ("orchestration", meter)]
    rules = Rules(**{meter: held.amount / 1e9 if meter == "usd" else held.amount})
    for failure in failures(workflow):
        if failure.times == 1 and bounds(failure.workflow, "usd").high is not None:
            runs = simulate(failure.workflow, runs=8, rules=rules)
            assert runs.usd.max() <= Worst().under(failure, [held]) * (1 + 1e-9)
