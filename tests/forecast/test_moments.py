import math

import pytest
import reference
import small
from enumerated import mean_of, sd_of

from solvent.forecast._chances import chances
from solvent.forecast._weights import MEASURES
from solvent.forecast.moments import moments


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", small.SMALL)
def test_mean_and_deviation_are_those_of_all_outcomes(name, measure):
    found = small.outcomes(name, measure)

    known = moments(small.SMALL[name], measure)

    assert known.mean == pytest.approx(mean_of(found), rel=1e-12)
    assert known.sd == pytest.approx(sd_of(found), rel=1e-7, abs=1e-7 * known.mean)
    assert math.fsum(known.nodes.values()) == pytest.approx(known.mean, rel=1e-12)


@pytest.mark.parametrize("mean", [0.5, 1.0, 1.2])
@pytest.mark.parametrize("levels", [1, 3, 12])
def test_a_recursion_costs_its_own_work_times_the_agents_of_all_levels(mean, levels):
    workflow = reference.recursion(mean, levels)
    own = moments(reference.recursion(mean, 1)).mean

    assert moments(workflow).mean == pytest.approx(own * sum(mean**level for level in range(levels)), rel=1e-12)
    assert moments(workflow, "calls").mean == pytest.approx(sum(mean**level for level in range(levels)), rel=1e-12)


def test_a_recursion_without_a_cap_ends_where_each_has_less_than_one_child():
    assert moments(reference.recursion(0.8, None), "calls").mean == pytest.approx(1 / (1 - 0.8), rel=1e-12)


def test_a_call_pays_for_the_history_that_it_reads():
    growing = small.workflow(
        small.loop(small.call(prompt=(2,), output=(0,), history=True), small.tool(cost=0, result=(10,)),
                   again=(1.0,), most=3, grows=True)
    )  # fmt: skip

    nodes = moments(growing, "input_tokens").nodes

    assert nodes == {"step:call": 3 * 2 + 10 + 20, "step:tool": 0}


def test_the_mean_of_a_node_is_what_it_costs_so_often_as_it_comes():
    workflow = reference.nested_retries()
    (judge,) = [path for path in moments(workflow).nodes if path.endswith("judge")]
    prompt, output = (
        chances(reference.tokens(900, 2_000, 9_000)[0]).mean,
        chances(reference.tokens(20, 60, 256)[0]).mean,
    )
    attempts = 1 + 0.2 + 0.2 * 0.5

    assert moments(workflow, "calls").nodes[judge] == pytest.approx(0.6 * attempts)
    assert moments(workflow).nodes[judge] == pytest.approx(0.6 * attempts * (prompt * 0.25e-6 + output * 1.25e-6))


def test_classes_scatter_by_what_is_between_them_too():
    first, second = small.count(10), small.count(30)
    call = small.Call(
        name="call", path="step:call", model=small.model(), prompt=(*first, *second), output=small.count(0) * 2
    )
    known = moments(small.workflow(call, classes=small.TWO_CLASSES), "tokens")

    assert known.mean == pytest.approx(15)
    assert known.variance == pytest.approx(0.75 * 0.25 * 20**2)


def test_what_is_remembered_of_one_workflow_is_not_said_of_another():
    for number in range(1, 50):
        workflow = small.workflow(small.tool(cost=number))

        assert [moments(workflow).mean for _ in range(2)] == [number / 1e9] * 2
        assert moments(workflow, "tokens").mean == 0
