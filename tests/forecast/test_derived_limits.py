"""
Limits that follow from runs: which there are, that they hold together, and what is said of those that there are not.
"""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limited import RESEARCH, one_call, runs_of, scope_of, workflow_of
from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX
from solvent.forecast._caps import caps_of
from solvent.forecast._derived import DerivedLimit, lowered, rounded_up
from solvent.forecast._limited import depth, figures, parallel, pattern_of
from solvent.forecast._model import Degrade, Model, Rate, Volume, Wishes, every
from solvent.forecast._month import month_of
from solvent.forecast.bounds import bounds
from solvent.forecast.limits import NoLimits, derive
from solvent.forecast.report._limit_words import together
from solvent.forecast.simulate import simulate
from solvent.forecast.spec import read_workflow

CALL = "{call: ask, model: big, prompt: 100, output: 100}"


@cache
def research():
    return read_workflow(RESEARCH)


@cache
def limits_of_research():
    return derive(research(), simulate(research(), runs=2**14, seed=1))


def passing(workflow, limits, runs):
    """
    The share of runs that any of the limits ends.
    """
    amounts = {(one.layer, one.path, one.meter): one.amount for one in limits.all}
    ended = [of.of > amounts[of.layer, of.path, of.meter] for of in figures(workflow, runs)]
    return float(np.any(ended, axis=0).mean())


def lognormal(count, *, seed=0):
    return np.exp(np.random.default_rng(seed).standard_normal(count))


def test_every_layer_has_its_limits():
    found = {(one.layer, one.pattern, one.meter) for one in limits_of_research().all}
    run, loop, fan = "run:research-assistant-*", "step:agent_loop", "step:review_fanout"
    assert {(pattern, meter) for layer, pattern, meter in found if layer == "orchestration"} == {
        (run, meter) for meter in ("usd", "tokens", "calls", "retries", "branches", "depth", "parallel", "seconds")
    }
    assert {("agent loop", loop, meter) for meter in ("usd", "tokens", "calls")} <= found
    assert {("agent loop", fan, meter) for meter in ("usd", "tokens", "calls", "branches")} <= found
    assert {(meter) for layer, _, meter in found if layer == "invocation"} == {"usd", "input_tokens", "output_tokens"}
    assert ("platform", "team:research-assistant", "usd") in found


def test_limits_end_no_more_fresh_runs_than_may_be_ended():
    workflow = research()
    share = passing(workflow, limits_of_research(), simulate(workflow, runs=2**14, seed=2))
    may_block = workflow.wishes.may_block
    assert 0.6 * may_block <= share <= may_block + 3 * math.sqrt(may_block / 2**13)
    low, high = limits_of_research().blocks_interval
    assert low <= limits_of_research().blocks <= high


def test_each_limit_tells_what_it_ends_by_itself():
    workflow = research()
    runs = simulate(workflow, runs=2**14, seed=1)
    for of in figures(workflow, runs):
        limit = limits_of_research().find(of.layer, of.meter, of.path)
        assert limit.blocks == (of.of > limit.amount).mean()
        assert limit.sure_amount >= limit.amount


def test_a_limit_that_no_run_can_pass_is_told():
    free = read_workflow(RESEARCH, changes=("agent_tool.cost=0",))  # Else each of its attempts is a call.
    loop = derive(free, simulate(free, runs=2**12, seed=1)).find("agent loop", "calls", "step:agent_loop")
    assert (loop.amount, loop.can_block) == (40, False)  # Its max.
    assert limits_of_research().find("orchestration", "usd").can_block


def test_runs_that_are_all_alike_are_limited_to_what_they_use():
    workflow = one_call(wishes=Wishes(may_block=0.05))
    limits = derive(workflow, simulate(workflow, runs=500))
    amounts = {one.meter: one.amount for one in limits.all if one.layer == "orchestration"}
    # 100 tokens of input that may be 450, and 100 of output.
    assert amounts == {"usd": 2_850_000, "tokens": 550, "calls": 1, "branches": 0, "depth": 1, "parallel": 1}
    assert limits.blocks == 0
    assert limits.too_few is None


def test_a_given_limit_of_dollars_stays_as_it_is_and_takes_its_part():
    usd, calls = lognormal(20_000), lognormal(20_000, seed=1)
    runs = runs_of(20_000, peak_usd=usd, calls=np.ceil(100 * calls).astype(np.int64))
    amount = int(1e9 * np.quantile(usd, 0.994))
    limits = derive(one_call(wishes=Wishes(usd_nanodollars=amount)), runs)

    given_limit = limits.find("orchestration", "usd")
    assert (given_limit.amount, given_limit.derived_from) == (amount, "given")
    assert given_limit.blocks == pytest.approx(0.006, abs=1e-4)
    assert 0.0085 <= limits.blocks <= 0.0115
    assert limits.find("orchestration", "calls").blocks < 0.006


def test_a_given_limit_that_ends_too_much_is_told():
    runs = runs_of(20_000, peak_usd=lognormal(20_000))
    limits = derive(one_call(wishes=Wishes(usd_nanodollars=3_000_000_000)), runs)
    assert "the given limit of dollars ends 13.5 % of legitimate runs by itself" in limits.remarks
    assert limits.usd == 3
    assert limits.too_few is None


def test_only_legitimate_runs_count():
    calls = np.where(np.arange(4_000) % 4 == 0, 900, 7)
    runs = runs_of(4_000, calls=calls, class_index=np.where(calls == 900, 1, 0))
    workflow = one_call(classes=(("easy", 0.75), ("stuck", 0.25)), wishes=Wishes(legitimate=("easy",)))
    limits = derive(workflow, runs)
    assert limits.find("orchestration", "calls").amount == 7
    assert limits.runs == 3_000
    none = one_call(classes=(("easy", 0.75), ("hard", 0.25)), wishes=Wishes(legitimate=("hard",)))
    with pytest.raises(NoLimits, match=r"none of 10 runs is legitimate, for 25 % are: hard\. To go on: --runs 792$"):
        derive(none, runs_of(10))
    with pytest.raises(NoLimits, match=r"for 0 % are: hard\. To go on: name another class"):
        derive(replace(none, classes=(("easy", 1.0), ("hard", 0.0))), runs_of(10))


def test_an_output_without_a_max_has_no_limit_of_money_and_is_named(tmp_path):
    text = "graph: [{call: ask, model: big, prompt: 100, output: {p50: 90, p95: 200, max: none}}]\n"
    workflow = workflow_of(tmp_path, text)
    limits = derive(workflow, simulate(workflow, runs=500))
    assert {one.meter for one in limits.all}.isdisjoint(("usd", "tokens", "output_tokens"))
    assert "no limit of dollars or tokens: the output of step:ask has no max" in limits.remarks


@pytest.mark.parametrize("share", [0.4, 0.003])
def test_a_given_limit_of_dollars_ends_each_run_with_a_call_without_a_bound(tmp_path, share):
    text = f"""graph:
      - branch: seldom
        {100 * share:g}%: [{{call: open, model: big, prompt: 100, output: {{p50: 90, p95: 200, max: none}}}}]
      - map: docs
        over: {{mean: 3, max: 10}}
        do: [{{call: read, model: big, prompt: 90, output: {{p50: 50, p95: 100, max: 1000}}}}]
    """
    workflow = replace(workflow_of(tmp_path, text), wishes=Wishes(usd_nanodollars=10**9))
    runs = simulate(workflow, runs=2**12)
    limits = derive(workflow, runs)
    open_path = "step:open"
    given_limit = limits.find("orchestration", "usd")
    assert (given_limit.amount, given_limit.derived_from) == (10**9, "given")
    assert given_limit.blocks == (runs.nodes[open_path] > 0).mean() == pytest.approx(share, abs=0.01)
    assert given_limit.blocks <= limits.blocks <= share + 0.01
    assert (
        f"the given limit of dollars ends {100 * given_limit.blocks:.3g} % of legitimate runs by itself: no limit has "
        f"room for a call without a bound; give the output of {open_path} a `max:`" in limits.remarks
    )
    assert f"no limit of tokens: the output of {open_path} has no max" in limits.remarks
    blocked = simulate(workflow, runs=2**10, seed=1, rules=limits.rules()).blocked.mean()
    assert blocked == pytest.approx(limits.blocks, abs=0.05)


@pytest.mark.parametrize("amount", [2_000, 40_000_000])
def test_limits_of_a_scope_are_within_the_given_one_and_end_no_further_runs(tmp_path, amount):
    text = f"graph: [{{map: docs, over: {{mean: 3, min: 1, max: 10}}, do: [{CALL}]}}]"
    workflow = replace(workflow_of(tmp_path, text), wishes=Wishes(usd_nanodollars=amount))
    limits = derive(workflow, simulate(workflow, runs=2**12))
    of_scope = limits.find("agent loop", "usd", "step:docs")
    assert of_scope.amount <= amount
    assert (of_scope.derived_from == "no more usd than run:* has") == (amount == 2_000)
    assert limits.blocks == pytest.approx(limits.find("orchestration", "usd").blocks, abs=0.01)


def test_a_given_limit_that_ends_all_runs_leaves_the_others_those_of_all_runs():
    runs = runs_of(4_000, calls=np.arange(4_000) % 100)
    limits = derive(one_call(wishes=Wishes(usd_nanodollars=10_000)), runs)
    assert (limits.find("orchestration", "usd").amount, limits.blocks) == (10_000, 1)
    assert limits.find("orchestration", "calls").amount == 99
    assert "the given limit of dollars ends 100 % of legitimate runs by itself" in limits.remarks


def test_the_runs_that_a_given_limit_leaves_may_be_too_few():
    usd = np.where(np.arange(4_000) < 50, 1.0, 9.0)
    limits = derive(one_call(wishes=Wishes(usd_nanodollars=3 * 10**9)), runs_of(4_000, peak_usd=usd))
    assert limits.too_few.startswith("50 legitimate runs are too few for 1 %")


def test_what_no_run_uses_has_no_limit_and_is_told():
    none = np.zeros(500, np.int64)
    runs = runs_of(500, peak_usd=none, peak_tokens=none, largest_bound_usd=0.0, largest_input_tokens=0)
    limits = derive(one_call(volume=Volume(runs_per_month=10)), replace(runs, usd=none))
    assert {(one.meter, one.amount) for one in limits.all} == {
        ("calls", 1),
        ("branches", 0),
        ("depth", 1),
        ("parallel", 1),
    }
    assert "no limit of dollars or tokens for a run: so small a one would forbid every call" in limits.remarks


def test_a_call_may_cost_what_the_dearest_tool_does(tmp_path):
    workflow = workflow_of(tmp_path, f"graph: [{CALL}, {{tool: search, cost: 0.25}}]")
    assert derive(workflow, simulate(workflow, runs=500)).find("invocation", "usd").amount == 250_000_000


def test_the_worst_case_is_asked_for_once(monkeypatch, tmp_path):
    workflow, asked = workflow_of(tmp_path, f"graph: [{{map: docs, over: {{mean: 3, max: 9}}, do: [{CALL}]}}]"), []

    def counted(*of):
        asked.append(of)
        return bounds(*of)

    monkeypatch.setattr("solvent.forecast.limits.bounds", counted)
    derive(workflow, simulate(workflow, runs=500))
    assert len(asked) == 1


def test_a_time_is_limited_where_each_call_says_how_long_it_takes(tmp_path):
    workflow = workflow_of(tmp_path, f"graph: [{CALL}, {{call: more, model: mid, prompt: 5, output: 5, seconds: 1.5}}]")
    limits = derive(workflow, simulate(workflow, runs=500))
    assert limits.find("orchestration", "seconds") is None
    assert "no limit of seconds: step:ask says none" in limits.remarks

    workflow = workflow_of(tmp_path, "graph: [{call: more, model: mid, prompt: 5, output: 5, seconds: 1.5}]")
    assert derive(workflow, simulate(workflow, runs=500)).find("orchestration", "seconds").amount == 2


@pytest.mark.parametrize(
    ("pattern", "meter", "amount", "left"),
    [
        ("step:again", "usd", 11, 10),
        ("step:again", "usd", 9, 9),
        ("call", "usd", 12, 10),
        ("step:again", "calls", 8, 7),
        ("step:again", "retries", 8, 7),  # Each is a call.
        ("call", "input_tokens", 200, 100),
        ("team:bot", "usd", 99, 99),
    ],
)
def test_no_limit_is_above_one_that_always_refuses_before(pattern, meter, amount, left):
    def limit(layer, pattern, meter, amount):
        return DerivedLimit(
            layer=layer, pattern=pattern, meter=meter, amount=amount, sure_amount=amount, derived_from="a test"
        )

    of_run = [limit("orchestration", "run:bot-*", *one) for one in (("usd", 10), ("calls", 7), ("tokens", 100))]
    *_, found = lowered([*of_run, limit("agent loop", pattern, meter, amount)])
    assert (found.amount, found.sure_amount) == (left, left)


def test_too_few_runs_are_told():
    limits = derive(one_call(), runs_of(150, calls=np.arange(150)))
    assert limits.find("orchestration", "calls").amount == 149
    assert limits.too_few.startswith("150 legitimate runs are too few for 1 %, which takes 198 or more")
    assert together(limits) == (
        "Together they end 0 % of the 150 legitimate runs that they are from, and maybe more of further ones; whether "
        "at most 1 %, as was asked for, nobody knows."
    )


def test_a_month_is_limited_above_its_mean_with_room_for_a_run():
    volume = Volume(runs_per_month=10_000, uncertainty=0.1)
    usd = lognormal(20_000)
    limits = derive(one_call(volume=volume), runs_of(20_000, usd=usd, peak_usd=2 * usd))
    bill = month_of(volume, mean=float(usd.mean()), sd=float(usd.std()))
    month = limits.find("platform", "usd")
    assert (month.pattern, month.window) == ("team:bot", "month")
    # 2.33 deviations, of which doubt of the volume is nearly all: a quarter more than on average.
    assert 1.22 * bill.mean_usd <= month.amount / 1e9 <= 1.30 * bill.mean_usd
    assert derive(one_call(), runs_of(500)).find("platform", "usd") is None


def test_a_month_that_no_limit_can_hold_is_told():
    volume = Volume(runs_per_month=10**9)
    limits = derive(one_call(volume=volume), runs_of(500))
    assert limits.find("platform", "usd") is None
    assert "no limit of a month: it costs nothing, or more than a limit can be, or nobody knows what" in limits.remarks


def test_failed_attempts_that_seldom_help_are_capped_in_the_program(tmp_path):
    # Source: AutoCodeRover's JSON step, whose attempts fail so often (notes of this project, section 5).
    text = f"graph: [{{retry: json, fail: [32%, 98%, 99%, 99.5%], max: 5, do: [{CALL}]}}]"
    (cap,) = [cap for cap in caps_of(workflow_of(tmp_path, text)) if cap.kind == "attempts"]
    assert (cap.path, cap.declared, cap.enough) == ("step:json", 5, 2)
    text = f"graph: [{{retry: json, fail: 32%, max: 5, do: [{CALL}]}}]"
    assert [cap for cap in caps_of(workflow_of(tmp_path, text)) if cap.kind == "attempts"] == []


def test_an_output_is_capped_where_few_replies_are_cut(tmp_path):
    text = "graph: [{call: ask, model: big, prompt: 1, output: {one_of: {10: 99%, 500: 1%}}}]"
    (cap,) = caps_of(workflow_of(tmp_path, text))
    assert (cap.kind, cap.declared, cap.enough) == ("output_tokens", 500, 10)


def test_a_pattern_names_one_place_wherever_its_run_stands(tmp_path):
    inner = f"{{loop: turn, again: 10%, max: 2, do: [{CALL}]}}"
    text = f"graph: [{{loop: a, again: 10%, max: 2, do: [{inner}]}}, {{loop: b, again: 10%, max: 2, do: [{inner}]}}]"
    workflow = workflow_of(tmp_path, text)
    patterns = {block.path: pattern_of(workflow, block) for block in every(workflow.graph)}
    assert patterns["step:a"] == "step:a"
    assert patterns["step:b/step:turn"] == "step:b/step:turn"


@pytest.mark.parametrize(
    ("block", "deep", "wide"),
    [
        (CALL, 1, 1),
        (f"{{loop: a, again: 1%, max: 3, do: [{CALL}]}}", 2, 1),
        (f"{{map: a, over: 9, concurrency: 4, do: [{CALL}]}}", 2, 4),
        (f"{{map: a, over: 3, concurrency: 4, do: [{CALL}]}}", 2, 3),
        (f"{{map: a, over: 9, max: 5, concurrency: none, do: [{CALL}]}}", 2, 5),
        (f"{{par: a, parts: [[{CALL}], [{{call: b, model: mid, prompt: 1, output: 1}}]]}}", 1, 2),
        (f"{{spawn: a, children: 2, max: 3, concurrency: none, do: [{CALL}]}}", 4, 4),
    ],
)
def test_depth_and_parallel_calls_are_those_of_the_graph(tmp_path, block, deep, wide):
    workflow = workflow_of(tmp_path, f"graph: [{block}]")
    assert (depth(workflow), parallel(workflow)) == (deep, wide)


def test_what_no_run_repeats_has_no_limit_of_retries():
    limits = derive(one_call(), runs_of(500))
    assert limits.find("orchestration", "retries") is None
    assert limits.find("orchestration", "branches").amount == 0
    found = derive(one_call(), runs_of(500, retries=np.full(500, 3))).find("orchestration", "retries")
    assert found.amount == 1  # Each is a call, and a run has one in this record.
    limits = derive(one_call(), runs_of(500, retries=np.where(np.arange(500), 0, 1)))
    assert limits.find("orchestration", "retries").amount == 0
    assert not [one for one in limits.remarks if "retries" in one]


def test_scopes_that_call_no_model_have_no_limits(tmp_path):
    text = f"graph: [{CALL}, {{loop: idle, again: 10%, max: 2, do: [{{tool: look, cost: 0.001}}]}}]"
    workflow = workflow_of(tmp_path, text)
    runs = runs_of(500, scopes={"step:idle": scope_of(500, calls=np.zeros(500, np.int64))})
    assert not [one for one in derive(workflow, runs).all if one.layer == "agent loop"]


def test_each_call_is_rounded_up_to_a_nanodollar_as_it_is_booked():
    rate = Rate(input=500, output=500, cache_read=500, cache_write=500)  # Half a nanodollar a token.
    workflow = one_call(models={"odd": Model(name="odd", rates=(rate,))})
    runs = runs_of(500, peak_usd=np.full(500, 50.5e-9), calls=np.full(500, 30))
    assert derive(workflow, runs).find("orchestration", "usd").amount == 51 + 30
    assert derive(one_call(), runs).find("orchestration", "usd").amount == 51


@given(st.floats(0, AMOUNT_MAX))
def test_rounding_never_takes_anything_away(amount):
    rounded = rounded_up(amount)
    assert amount <= rounded <= max(amount * 1.01, amount + 1)
    assert len(str(rounded).rstrip("0")) <= 3 or rounded < 1_000


@pytest.mark.long
@pytest.mark.parametrize("runs", [1_000, 5_000])
def test_limits_of_research_keep_their_promise_on_fresh_runs(runs):
    # The goal of the notes: P(any) of the joint limits within 0.6 and 1 times may_block.
    workflow = research()
    fresh = simulate(workflow, runs=2**16, seed=10_000)
    shares = [passing(workflow, derive(workflow, simulate(workflow, runs=runs, seed=at)), fresh) for at in range(60)]
    may_block = workflow.wishes.may_block
    assert 0.6 * may_block <= np.mean(shares) <= may_block + 2 * np.std(shares) / math.sqrt(len(shares))


@pytest.mark.slow
def test_runs_that_are_held_to_the_limits_are_ended_as_often_as_was_said():
    # Call by call, where each waits for its bound to fit; and not from the peaks of runs that nothing held.
    workflow, limits = research(), limits_of_research()
    blocked = float(simulate(workflow, runs=2**12, seed=4, rules=limits.rules()).blocked.mean())
    assert abs(blocked - limits.blocks) <= 4 * math.sqrt(limits.blocks / 2**12)


def test_a_step_down_that_ends_more_runs_than_may_be_is_told():
    step = Degrade(at=0.5, model="big", to="mid")
    workflow = read_workflow(RESEARCH.parents[2] / "tests/forecast/small_research.yaml")
    early = replace(workflow, wishes=replace(workflow.wishes, degrade=(step,)))
    late = replace(workflow, wishes=replace(workflow.wishes, degrade=(replace(step, at=0.9),)))
    said = [one.remarks for one in (derive(of, simulate(of, runs=2**14)) for of in (workflow, late, early))]
    assert said[:2] == [said[0], said[0]]
    assert len(said[2]) == len(said[0]) + 1
    assert said[2][-1].startswith("with the models of `at:`, 1")
    assert said[2][-1].endswith("let it begin later, or raise `may_block:`")
