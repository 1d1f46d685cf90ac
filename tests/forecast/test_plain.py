"""
The plain reference, by sums that fit on a napkin: all counts are fixed, so that every run is the same.
"""

from random import Random

import pytest
from plain import play

from solvent.forecast._counts import Count, Fixed
from solvent.forecast._model import (
    Block,
    Branch,
    Call,
    Compaction,
    Loop,
    Map,
    Model,
    Option,
    Paced,
    Par,
    Quantiles,
    Rate,
    Retry,
    Spawn,
    Tool,
    Wishes,
    Workflow,
)

RATE = Rate(input=2_000_000, output=10_000_000, cache_read=200_000, cache_write=2_500_000)  # USD 2, 10, .20 and 2.50.
MODEL = Model(name="m", rates=(RATE,))
CACHED = Model(name="c", rates=(RATE,), cached=1.0)
MICRO = 1e-6


def exactly(value):
    return (Count(usual=Fixed(value)),)


def call(path="step:ask", *, model=MODEL, prompt=100, output=10, history=False, seconds=None):
    name = path.rpartition(":")[2]
    return Call(
        name=name,
        path=path,
        model=model,
        prompt=exactly(prompt),
        output=exactly(output),
        history=history,
        seconds=seconds,
    )


def run(*graph: Block, input_bound=4.0, **more):
    workflow = Workflow(
        name="w", graph=graph, models={"m": MODEL, "c": CACHED}, wishes=Wishes(input_bound=input_bound), **more
    )
    return play(workflow, Random(1))


def loop(model=MODEL, *, rounds=3, compaction=None):
    return Loop(
        name="work",
        path="step:work",
        again=((1.0,),),
        most=rounds,
        grows=True,
        compaction=compaction,
        do=(
            call("step:work/step:ask", model=model, history=True),
            Tool(name="look", path="step:work/step:look", result=exactly(40), cost_nanodollars=1_000),
        ),
    )


def test_a_call_costs_its_tokens_and_sets_aside_its_bound():
    found = run(call())
    assert found.usd == pytest.approx((100 * 2 + 10 * 10) * MICRO)
    assert found.peak_usd == pytest.approx((400 * 2.5 + 10 * 10) * MICRO)  # The provider may write it into its cache.
    assert (found.tokens, found.peak_tokens, found.calls) == (110, 410, 1)


def test_each_round_of_a_growing_loop_reads_what_was_said_before():
    found = run(loop())
    assert (found.input_tokens, found.output_tokens) == (100 + 150 + 200, 30)
    assert found.usd == pytest.approx((450 * 2 + 30 * 10) * MICRO + 3 * MICRO)
    assert found.peak_tokens == 110 + 160 + (150 + 4 * 50) + 10  # The last prompt was billed but for its end.
    assert found.scopes["step:work"].rounds == 3


def test_what_was_sent_before_is_read_from_the_cache():
    found = run(loop(CACHED))
    assert found.nodes["step:work/step:ask"] == pytest.approx(
        (100 * 2.5 + (100 * 0.2 + 50 * 2.5) + (150 * 0.2 + 50 * 2.5) + 30 * 10) * MICRO
    )


def test_a_summary_takes_the_place_of_the_history():
    found = run(loop(rounds=3, compaction=Compaction(at=160, to=exactly(5))))
    # 100; 150; 200 would be above 160, so that is read to be summed up in 5; 105.
    # The tool of each round costs, and so is a call.
    assert (found.input_tokens, found.output_tokens, found.calls) == (100 + 150 + 200 + 105, 10 + 10 + 5 + 10, 4 + 3)


def test_a_retry_ends_with_its_last_attempt_and_each_has_cost_as_much():
    found = run(Retry(name="r", path="step:r", fail=((0.0, 1.0),), most=3, do=(call("step:r/step:ask"),)))
    assert (found.calls, found.retries) == (1, 0)
    found = run(Retry(name="r", path="step:r", fail=((1.0, 1.0),), most=3, do=(call("step:r/step:ask"),)))
    assert (found.calls, found.retries, found.tokens) == (3, 2, 330)


def test_items_are_done_side_by_side_as_far_as_there_are_workers():
    paced = Paced(first_token=1, per_output_token=0.1)
    item = call("step:each/step:ask", seconds=paced)
    found = run(
        Map(name="each", path="step:each", over="items", most=4, concurrency=3, do=(item,)),
        inputs={"items": exactly(9)},
    )
    assert (found.branches, found.calls, found.seconds) == (4, 4, 4.0)


def test_a_par_takes_as_long_as_its_longest_part_and_asks_in_order():
    slow = Tool(name="slow", path="step:slow", seconds=Quantiles(p50=3, p95=3))
    found = run(Par(name="p", path="par:p", parts=((slow,), (call(seconds=Paced(first_token=1, per_output_token=0)),))))
    assert (found.branches, found.seconds) == (2, 3.0)


def test_agents_have_children_until_the_last_level():
    found = run(Spawn(name="a", path="agent:a", children=exactly(2), most=3, do=(call("agent:a/step:ask"),)))
    assert (found.calls, found.branches, found.scopes["agent:a"].rounds) == (7, 6, 7)


def test_a_branch_does_one_of_its_options_or_nothing():
    never = Branch(name="b", path="branch:b", options=(Option(chance=(0.0,), do=(call(),)),))
    second = Branch(
        name="b", path="branch:b", options=(Option(chance=(0.0,), do=()), Option(chance=(1.0,), do=(call(),)))
    )
    assert (run(never).calls, run(second).calls) == (0, 1)


def test_the_whole_call_pays_the_rate_for_its_size():
    dear = Rate(above=100, input=4_000_000, output=20_000_000, cache_read=0, cache_write=0)
    sized = Model(name="m", rates=(RATE, dear))
    assert run(call(model=sized)).usd == pytest.approx(300 * MICRO)
    assert run(call(model=sized, prompt=101)).usd == pytest.approx((404 + 200) * MICRO)
