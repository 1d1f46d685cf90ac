import math
from functools import partial

import pytest
import reference
import small
from enumerated import ONE

from solvent.forecast._counts import Count, Lognormal
from solvent.forecast._intervals import NO_SPENT
from solvent.forecast._model import Compaction
from solvent.forecast._series import in_turn
from solvent.forecast._talk import Talk
from solvent.forecast._weights import MEASURES
from solvent.forecast.bounds import _Walk, bounds

LOOSELY = Count(usual=Lognormal(p50=3, p95=6, most=12))

# What is dearest for one call is not what makes the most of all, or not known to be: a bound and no more.
LOOSE = ("growing, of two models, cached", "compaction", "compaction, cached by chance", "compaction that may not come")


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", small.ALL)
def test_no_outcome_is_outside(name, measure):
    found, within = small.outcomes(name, measure), bounds(small.ALL[name], measure)

    assert within.high is not None
    assert within.low <= min(found) / ONE * (1 + 1e-12)
    assert within.high >= max(found) / ONE * (1 - 1e-12)
    assert within.unbounded == ()


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", [name for name in small.ALL if name not in LOOSE])
def test_the_ends_can_be_reached(name, measure):
    found, within = small.outcomes(name, measure), bounds(small.ALL[name], measure)

    assert within.low == pytest.approx(min(found) / ONE, rel=1e-12)
    assert within.high == pytest.approx(max(found) / ONE, rel=1e-12)


def test_the_worst_of_research_is_that_of_its_graph():
    within = bounds(reference.research())

    assert within.high == pytest.approx(226.4066)
    assert within.nodes["step:agent_loop/step:agent"] == pytest.approx(
        # 40 calls of the longest prompt and output, and all outputs and results before each.
        3e-6 * (40 * 16_000 + (4_096 + 16_000) * 40 * 39 / 2) + 15e-6 * 40 * 4_096
    )


@pytest.mark.parametrize(
    ("block", "missing"),
    [
        (small.loop(small.call(), most=None), "loop has no max"),
        (small.loop(small.call(history=True), most=None, grows=True), "loop has no max"),
        (small.retry(small.call(), most=None), "retry has no max"),
        (small.loop(small.retry(small.call(history=True), most=None), grows=True), "retry has no max"),
        (small.spawn(small.call(), most=None), "agent has no max"),
    ],
)  # fmt: skip
def test_without_a_cap_there_is_no_worst_case_and_it_is_said_what_is_missing(block, missing):
    within = bounds(small.workflow(block))

    assert within.high is None
    assert within.unbounded == (missing,)
    assert within.nodes["step:call"] == math.inf
    assert 0 < within.low < math.inf


def test_a_history_without_end_makes_what_comes_after_it_as_dear():
    endless = small.retry(small.tool(result=(1,)), most=None)
    within = bounds(small.workflow(small.loop(endless, small.call(history=True), grows=True)))

    assert within.nodes["step:call"] == math.inf


def test_an_endless_count_is_missed_where_it_counts():
    endless = (Count(usual=Lognormal(p50=10, p95=20, most=None)),)
    call = small.Call(name="call", path="step:call", model=small.model(), prompt=small.count(1), output=endless)
    items = small.Map(name="map", path="step:map", over=endless, most=None, concurrency=None, do=(small.tool(),))

    assert bounds(small.workflow(call)).unbounded == ("output of call has no max",)
    assert bounds(small.workflow(call), "input_tokens").high == 1
    assert bounds(small.workflow(call), "calls").high == 1
    assert bounds(small.workflow(items)).unbounded == ("map has no max",)


def test_what_costs_nothing_may_go_on_for_ever():
    assert bounds(small.workflow(small.loop(small.tool(cost=0), most=None))).high == 0


def test_a_chance_of_nothing_is_a_cap():
    assert bounds(small.workflow(small.retry(small.call(), fail=(0.5, 0.0), most=None)), "calls").high == 2


def test_sums_of_a_long_history_end_its_growth():
    call = small.call(prompt=(1,), output=(10,), history=True)
    without = bounds(small.workflow(small.loop(call, again=(0.9,), most=40, grows=True)), "input_tokens")
    summed_up = small.loop(call, again=(0.9,), most=40, grows=True, compaction=Compaction(at=50, to=small.count(2)))
    within = bounds(small.workflow(summed_up), "input_tokens")

    assert without.high == 40 + 10 * 40 * 39 / 2
    assert within.high is not None
    # Rounds of at most 50 tokens, each with a sum of at most 61 before it.
    assert within.high < 40 * (50 + 61)


def _in_steps(of, talk, count):
    spent = NO_SPENT
    for _ in range(count):
        more, talk = of(talk)
        spent = spent.then(more)
    return spent, talk


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("compaction", [None, Compaction(at=90, to=small.count(2, 7)), Compaction(at=9, to=(LOOSELY,))])
@pytest.mark.parametrize("cached", [0.0, 0.6, 1.0])
def test_many_rounds_spend_what_one_after_the_other_spends(measure, compaction, cached):
    first = small.call("first", history=True, of=small.model(cached=cached, above=30))
    again = small.retry(small.call("again", output=(0, 3), history=True), small.tool(result=(1, 4)), most=2)
    loop = small.loop(first, again, small.branch((0.5, (small.tool("by chance", result=(2,)),))), grows=True)
    walk = _Walk(small.workflow(loop), measure, 0, {})
    for of in (partial(walk._round, loop), partial(walk._perhaps, loop)):
        for count in (0, 1, 2, 3, 7, 50, 171):
            expected, talk = _in_steps(of, Talk(compaction=compaction), count)
            spent, after = in_turn(of, Talk(compaction=compaction), count)

            assert after == talk
            assert spent.all.low == pytest.approx(expected.all.low, rel=1e-12)
            assert spent.all.high == pytest.approx(expected.all.high, rel=1e-12)
            assert spent.highs == pytest.approx(expected.highs, rel=1e-12)


def test_millions_of_rounds_are_not_walked():
    walked = []
    call = small.call(prompt=(1,), output=(10,), history=True, of=small.model(above=1_000))
    loop = small.loop(call, most=4_000_000, grows=True)
    walk = _Walk(small.workflow(loop), "input_tokens", 0, {})

    def counted(talk):
        walked.append(talk)
        return walk._perhaps(loop, talk)

    spent, _ = in_turn(counted, Talk(), 4_000_000)

    assert spent.all.high == 4e6 + 10 * 4e6 * (4e6 - 1) / 2
    assert len(walked) < 1_000
