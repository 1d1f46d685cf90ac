"""
Limits that a forecast derives, enforced for real: runs drawn from the workflow go through Solvent and an SDK to a
provider that follows the plan, under the policy that was written for them.
"""

import math
import re
from pathlib import Path
from statistics import fmean, stdev

import pytest
from enforcing import World, derived, played, rules_of, without_limits
from msgspec.structs import replace

from solvent.forecast._counts import Count, negative_binomial
from solvent.forecast._limited import NANODOLLARS
from solvent.forecast._model import Call, Degrade, Tool, every
from solvent.forecast.simulate import simulate
from solvent.forecast.spec import read_workflow

SPEC = Path(__file__).with_name("small_research.yaml")
DUST = 1e-3  # Nanodollars that sums of floats may differ by.
RARELY = 0.0005  # How rarely a count may be as far from what was forecast, on either side.


def is_likely(count: int, of: int, share: float) -> bool:
    """
    Whether so many of these are not too few and not too many for a chance of ``share`` each.
    """
    terms = [math.exp(log_chance(k, of, share)) for k in range(of + 1)]
    return math.fsum(terms[: count + 1]) > RARELY and math.fsum(terms[count:]) > RARELY


def log_chance(count: int, of: int, share: float) -> float:
    """
    Of exactly so many of these.
    """
    if share in (0.0, 1.0):
        return 0.0 if count == share * of else -math.inf
    ways = math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
    return ways + count * math.log(share) + (of - count) * math.log1p(-share)


def check_promise(world: World) -> None:
    """
    The limits end as many runs as they were said to.
    """
    limits = world.limits
    assert 0.9 * limits.may_block <= limits.blocks <= limits.may_block
    assert is_likely(len(world.blocked), len(world.runs), limits.blocks), (len(world.blocked), limits.blocks)


def check_plans(world: World, *, one_in: int = 100, others_in: int = 5) -> None:
    """
    Each run ends where its plan says, but for one in so many. Among limits that are nearly equal, such as that of a
    run and that of its loop, another one may come first: the bound of a text is no fixed multiple of its tokens.
    """
    assert len(world.surprises) <= 1 + len(world.runs) // one_in
    others = [run for run in world.blocked if run.said.refused_by and run.ended_by not in run.said.refused_by]
    assert len(others) <= 1 + len(world.blocked) // others_in


def check_spending(world: World) -> None:
    """
    By the provider's own count no run passed a limit of its own, and those that came to their end cost what was
    planned.
    """
    limits = {one.meter: one.amount for one in world.limits.all if one.layer == "orchestration"}
    for run in world.runs:
        assert run.usd * NANODOLLARS <= limits["usd"] + DUST
        assert run.tokens <= limits["tokens"]
        assert run.calls <= limits["calls"]
        if run.refused is None and not run.degraded:
            assert run.usd == pytest.approx(run.planned.usd, rel=1e-9)
            assert (run.tokens, run.calls) == (run.planned.tokens, run.planned.calls)


def check_mean(world: World) -> None:
    """
    The forecast under these limits has the mean and the share of ended runs that were found.
    """
    held = simulate(world.workflow, runs=2**14, seed=2, rules=rules_of(world))
    spent = [run.usd for run in world.runs]
    assert abs(fmean(spent) - float(held.usd.mean())) < 3 * stdev(spent) / math.sqrt(len(spent))
    assert is_likely(len(world.blocked), len(spent), float(held.blocked.mean()))
    assert is_likely(sum(run.degraded > 0 for run in world.runs), len(spent), float(held.degraded.mean()))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    workflow = read_workflow(SPEC)
    return played(workflow, derived(workflow), tmp_path_factory.mktemp("enforced"), count=160, seed=6)


@pytest.mark.slow
def test_derived_limits_end_as_many_runs_as_they_were_said_to(world):
    check_promise(world)


@pytest.mark.slow
def test_each_run_ends_by_the_limit_that_its_plan_says(world):
    check_plans(world)


@pytest.mark.slow
def test_no_run_spends_more_than_its_limits_by_the_providers_own_count(world):
    check_spending(world)


@pytest.mark.slow
def test_the_mean_that_was_forecast_is_what_runs_spend(world):
    check_mean(world)


@pytest.mark.slow
def test_a_step_down_is_taken_as_often_as_was_forecast(tmp_path):
    workflow = read_workflow(SPEC)
    step = Degrade(at=0.5, model="big", to="mid")
    workflow = replace(workflow, wishes=replace(workflow.wishes, degrade=(step,)))
    world = played(workflow, derived(workflow), tmp_path, count=80, seed=7)
    check_spending(world)
    # The other model is sent the whole history for the first time, whose text is bound by less for each token than that
    # of short messages, after which `input_bound` is set here.
    check_plans(world, one_in=20, others_in=3)
    check_mean(world)
    assert sum(run.degraded != run.said.degraded for run in world.runs) <= len(world.runs) // 10
    assert any(run.degraded and run.refused is None for run in world.runs)


@pytest.mark.slow
def test_limits_end_branches_in_threads_as_they_end_them_one_by_one(tmp_path):
    workflow = read_workflow(SPEC)
    documents = Count(usual=negative_binomial(mean=10, p95=20, least=1, most=30))
    workflow = replace(workflow, inputs={"documents": (documents,) * len(workflow.classes)})
    world = played(workflow, derived(workflow), tmp_path, count=40, seed=8, side_by_side=True)
    check_spending(world)
    check_plans(world)
    assert is_likely(len(world.blocked), len(world.runs), world.limits.blocks)


EVERY_KIND = """
workflow: every-kind
models: {m: {input: 1.00, output: 5.00, cache_read: 0.10, cached: 60%}}
graph:
  - par: both
    parts:
      - [{call: left, model: m, prompt: {p50: 60, p95: 90, max: 200}, output: {p50: 10, p95: 20, max: 50}}]
      - [{tool: lookup, cost: 0.0001}]
  - branch: sometimes
    60%: [{call: extra, model: m, prompt: 50, output: 10}]
  - loop: work
    history: grows
    again: 80%
    max: 8
    compact: {at: 400, to: {p50: 30, p95: 60, max: 100}}
    do:
      - retry: careful
        fail: 30%
        max: 3
        do: [{call: think, model: m, prompt: 80, output: {p50: 40, p95: 70, max: 90}}]
      - {tool: look, result: {p50: 60, p95: 150, max: 200}}
  - spawn: worker
    children: {one_of: {0: 50%, 2: 50%}}
    max: 3
    do: [{call: dig, model: m, prompt: 40, output: 10}]
limits: {may_block: 1%, input_bound: 6}
"""


@pytest.mark.slow
def test_every_kind_of_block_is_charged_to_the_scope_that_the_forecast_names(tmp_path):
    file = tmp_path / "every.yaml"
    file.write_text(EVERY_KIND)
    workflow = read_workflow(file)
    charged: set[str] = set()
    world = played(workflow, without_limits(workflow), tmp_path, count=25, seed=3, side_by_side=True, charged=charged)
    assert not world.blocked
    check_spending(world)
    named = {block.path for block in every(workflow.graph) if isinstance(block, Call | Tool)} - {"step:work/step:look"}
    assert {re.sub(r"^(agent:worker/)+", "agent:worker/", path) for path in charged} == named


@pytest.mark.long
@pytest.mark.timeout(900)
def test_limits_that_may_end_one_run_in_a_hundred_end_one_in_a_hundred(tmp_path):
    workflow = read_workflow(SPEC)
    workflow = replace(workflow, wishes=replace(workflow.wishes, may_block=0.01))
    world = played(workflow, derived(workflow), tmp_path, count=1_500, seed=9)
    for check in (check_promise, check_plans, check_spending, check_mean):
        check(world)
