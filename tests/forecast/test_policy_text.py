"""
Derived limits as a policy: it is read as it was meant, contradicts nothing, and leaves no failure pattern open that the
workflow says enough about.
"""

import re
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limited import RESEARCH, one_call, runs_of, workflow_of
from msgspec.structs import replace
from random_workflows import workflows

from solvent._limits import Limit, Scope, matches
from solvent.forecast._limited import run_pattern
from solvent.forecast._model import Degrade, Model, Rate, Volume, Wishes
from solvent.forecast._policy_text import policy_text
from solvent.forecast.limits import derive
from solvent.forecast.simulate import simulate
from solvent.forecast.spec import read_workflow
from solvent.policy import Policy
from solvent.policy._cheapest import cheapest
from solvent.policy._contradictions import contradictions
from solvent.policy._coverage import holes
from solvent.policy._read import read_policy

WHOLE = """
volume: {runs_per_month: 4000, uncertainty: 10%}
graph:
  - retry: plan
    fail: 10%
    max: 3
    do: [{call: a, model: big, prompt: {p50: 900, p95: 2k, max: 9k}, output: {p50: 90, p95: 300, max: 2k}, seconds: 2}]
  - map: each
    over: {mean: 4, p95: 9, min: 1, max: 30}
    concurrency: 4
    do: [{call: look, model: mid, prompt: 500, output: {p50: 90, p95: 300, max: 2k}, seconds: {p50: 1, p95: 4}}]
limits: {may_block: 1%, at: {80%: degrade big to mid, 100%: stop}}
"""


def written(workflow, tmp_path, *, runs=2_000):
    """
    The policy as its reader finds it, its text, and the limits that it is of.
    """
    limits = derive(workflow, simulate(workflow, runs=runs))
    text = policy_text(workflow, limits)
    path = tmp_path / "solvent.yaml"
    path.write_text(text)
    return read_policy(path), text, limits


def bare(limit):
    return Limit(meter=limit.meter, amount=limit.amount, window=limit.window)


def findings(policy):
    return [one for one in contradictions(policy, find_cheapest=_cheapest) if not one.is_note]


def _cheapest(policy):
    return _cheapest_of(tuple(policy.prices.items()))


@cache
def _cheapest_of(prices):
    return cheapest(Policy(prices=dict(prices)))


def test_a_policy_says_each_limit_as_it_was_derived(tmp_path):
    policy, _, limits = written(workflow_of(tmp_path, WHOLE), tmp_path)
    found = {(pattern, bare(limit)) for pattern, limit in [*policy.budgets, *(("call", one) for one in policy.call)]}
    assert {one.placed for one in limits.all} <= found
    assert {pattern for pattern, _ in found} - {one.pattern for one in limits.all} == {"run:*"}


def test_nothing_is_open_and_nothing_contradicts_where_a_workflow_says_all(tmp_path):
    policy, _, _ = written(workflow_of(tmp_path, WHOLE), tmp_path)
    assert findings(policy) == []
    assert holes(policy) == []
    assert {one.kind for one in contradictions(policy)} == {"needs_scope"}


def test_only_what_a_workflow_does_not_say_is_open(tmp_path):
    policy, _, _ = written(read_workflow(RESEARCH), tmp_path)
    assert (findings(policy), holes(policy)) == ([], [])
    untimed = tmp_path / "untimed.yaml"
    untimed.write_text(re.sub(r"\n *seconds: (&slow.*|\*slow)", "", RESEARCH.read_text()))
    policy, _, _ = written(read_workflow(untimed), tmp_path)
    assert findings(policy) == []
    assert {hole.pattern for hole in holes(policy)} == {"stuck workflow"}


def test_each_line_says_what_it_is_derived_from(tmp_path):
    _, text, _ = written(workflow_of(tmp_path, WHOLE), tmp_path)
    begins = ("#", "  - ", "  big:", "  mid:", "budgets:")
    assert [line for line in text.splitlines() if line and "# " not in line and not line.startswith(begins)] == []
    assert max(map(len, text.splitlines())) <= 130


def test_limits_hold_the_scopes_that_a_program_of_these_names_opens(tmp_path):
    policy, _, _ = written(workflow_of(tmp_path, WHOLE), tmp_path)
    patterns = {pattern for pattern, _ in policy.budgets}
    scope = Scope.parse("team:bot/run:bot-01J9ZKABCDEF/step:each/step:look")
    held = {pattern for part in scope.path() for pattern in patterns if matches(pattern, part)}
    assert held == {"team:bot", "run:*", "run:bot-*", "step:each"}
    assert held - matched("run:nightly-01J9/step:bot-01J9/step:each", patterns) == {"team:bot", "run:bot-*"}


def matched(scope, patterns):
    return {pattern for part in Scope.parse(scope).path() for pattern in patterns if matches(pattern, part)}


@pytest.mark.parametrize("name", ["a b", "no", "1e3", "tür/früh:x", '"quoted" #1', "it's", "100%", "a*b", "-", "~"])
def test_any_name_is_written_so_that_it_is_read_again(tmp_path, name):
    workflow = replace(one_call(), name=name, source="bot.yaml\nbudgets: {}")
    limits = derive(workflow, runs_of(500))
    path = tmp_path / "solvent.yaml"
    path.write_text(policy_text(workflow, limits))
    policy = read_policy(path)
    assert matched(f"{Scope((('run', name + '-01J9'),))}", {pattern for pattern, _ in policy.budgets}) == {
        "run:*",
        run_pattern(workflow),
    }


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_of_all_kinds_are_read_again(tmp_path, name):
    workflow = replace(one_call(), name=name)
    path = tmp_path / "solvent.yaml"
    path.write_text(policy_text(workflow, derive(workflow, runs_of(300))), encoding="utf-8", newline="")
    patterns = {pattern for pattern, _ in read_policy(path).budgets}
    assert matches(run_pattern(workflow), Scope((("run", f"{name}-01J9"),)))
    assert run_pattern(workflow) in patterns


def test_prices_of_the_workflow_are_those_of_the_policy(tmp_path):
    policy, _, _ = written(workflow_of(tmp_path, WHOLE), tmp_path)
    big = policy.prices["big"]
    assert (big.input, big.output, big.cache_read, big.cache_write) == (3_000_000, 15_000_000, 3_000_000, 3_000_000)

    rates = [
        Rate(above=above, input=above + 1, output=7, cache_read=9 - above, cache_write=above + 1) for above in (0, 5)
    ]
    workflow = replace(one_call(), models={"odd": Model(name="odd", rates=tuple(rates))})
    path = tmp_path / "solvent.yaml"
    path.write_text(policy_text(workflow, derive(workflow, runs_of(300))))
    odd = read_policy(path).prices["odd"]
    assert (odd.input, odd.output, odd.cache_read, odd.cache_write) == (6, 7, 9, 6)


def test_models_of_the_price_table_are_named_as_requests_name_them(tmp_path):
    graph = "graph: [{call: ask, model: gpt-5, prompt: 900, output: 900}]\n"
    workflow = workflow_of(tmp_path, f"{graph}limits: {{at: {{75.5%: degrade gpt-5 to gpt-5-mini}}}}\n")
    policy, _, _ = written(workflow, tmp_path)
    (step,) = policy.fallback
    assert (step.model, step.to, step.at) == ("gpt-5", "gpt-5-mini", Decimal("0.755"))
    assert policy.prices == {}


def test_a_step_that_can_never_be_taken_is_told_and_not_written(tmp_path):
    graph = "graph: [{call: ask, model: gpt-5, prompt: 9, output: 9}]\n"
    workflow = workflow_of(tmp_path, f"{graph}limits: {{at: {{80%: degrade gpt-5 to claude-haiku-4-5}}}}\n")
    policy, text, _ = written(workflow, tmp_path)
    assert policy.fallback == ()
    assert "# No step from gpt-5 to claude-haiku-4-5: expected a model of the provider that serves gpt-5." in text


def test_a_share_is_written_with_all_its_digits():
    for at, share in ((0.8, "80%"), (1.0, "100%"), (0.00001, "0.001%"), (0.125, "12.5%")):
        mid = Model(name="mid", rates=(Rate(input=1, output=1, cache_read=1, cache_write=1),))
        workflow = one_call(wishes=Wishes(degrade=(Degrade(at=at, model="big", to="mid"),)))
        workflow = replace(workflow, models={**workflow.models, "mid": mid})
        assert f"{{at: {share}, from: big, to: mid}}" in policy_text(workflow, derive(workflow, runs_of(300)))


@pytest.mark.slow
@given(workflows())
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_workflow_has_a_policy_that_contradicts_itself(tmp_path, workflow):
    policy, _, _ = written(workflow, tmp_path, runs=300)
    assert [(one.kind, one.what) for one in findings(policy)] == []


@pytest.mark.parametrize(
    "graph",
    [
        "[{tool: look, cost: 0.01, seconds: 2}]",
        "[{tool: look}]",
        "[{call: ask, model: free, prompt: 0, output: 0}]",
        "[{tool: look, cost: 0.000000001}, {loop: again, again: 50%, max: 3, do: [{call: ask, model: free, "
        "prompt: 0, output: 5}]}]",
        "[{loop: turn, again: 50%, max: 3, do: [{tool: look, cost: 0.000000001}]}, {call: ask, model: big, "
        "prompt: 10, output: 10}]",
    ],
)
def test_what_costs_or_reads_nothing_has_a_policy_under_which_calls_can_be_made(tmp_path, graph):
    path = tmp_path / "free.yaml"
    path.write_text(
        "workflow: free\nvolume: {runs_per_month: 10}\n"
        f"models: {{free: {{input: 0, output: 0}}, big: {{input: 3.00, output: 15.00}}}}\ngraph: {graph}\n"
    )
    policy, text, _ = written(read_workflow(path), tmp_path)
    assert findings(policy) == []
    assert "longest prompt" not in text or "prompt: 10" in graph


def test_what_all_limits_end_is_not_said_to_be_achieved_by_too_few_runs(tmp_path):
    _, text, _ = written(workflow_of(tmp_path, WHOLE), tmp_path, runs=150)
    head = " ".join(line.removeprefix("# ") for line in text.partition("\n\n")[0].splitlines())
    assert "they may end" not in head
    assert (
        "Whether they end at most 1 % of legitimate runs (may_block) is not known: 150 legitimate runs are too few for "
        "1 %, which takes 198 or more: the limits are the most that any of them came to. They end 0 % of 150 simulated "
        "ones, and maybe more of further ones."
    ) in head


def test_a_comment_names_a_scope_as_a_program_does():
    named = replace(one_call(volume=Volume(runs_per_month=9)), name="tür")
    text = policy_text(named, derive(named, runs_of(300)))
    assert 'of its runs by budget("tür", scope="team:t' in text
    assert "\\u" not in text


def test_small_outputs_are_not_below_what_outputs_are_cut_to(tmp_path):
    policy, _, _ = written(one_call(wishes=Wishes(may_block=0.05)), tmp_path)
    assert findings(policy) == []
    assert policy.shrink_tokens_min == 100
    assert "shrink:" not in written(read_workflow(RESEARCH), tmp_path)[1]


def test_what_is_not_limited_stands_at_the_top(tmp_path):
    text = "graph: [{call: ask, model: big, prompt: 100, output: {p50: 90, p95: 200, max: none}}]\n"
    policy, text, limits = written(workflow_of(tmp_path, text), tmp_path)
    assert findings(policy) == []
    assert "# No limit of dollars or tokens: the output of step:ask has no max.\n" in text
    assert "# In the program: step:ask could do with" in text
    assert limits.usd is None
