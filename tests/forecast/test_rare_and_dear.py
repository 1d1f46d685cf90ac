"""
Quantiles where few runs cost far more than the others: what most cost is next to nothing beside the dearest.
"""

import numpy as np
import pytest
import small
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from solvent.forecast._chances import Chances
from solvent.forecast._grid import Grid
from solvent.forecast.bounds import bounds
from solvent.forecast.exact import SHARES, exact
from solvent.forecast.simulate import simulate
from solvent.forecast.spec import read_workflow

MODELS = """
models:
  small: {input: 0.25, output: 1.25}
  big: {input: 3, output: 15}
"""
ROUTER = f"""
workflow: router
{MODELS}
graph:
  - call: classify
    model: small
    prompt: {{p50: 400, p95: 900, max: 4000}}
    output: {{p50: 12, p95: 30, max: 64}}
  - branch: hard
    10%:
      - loop: agent
        history: grows
        again: 94%
        max: 100
        do:
          - call: a
            model: big
            prompt: {{p50: 3500, p95: 5200, max: 16000}}
            output: {{p50: 260, p95: 1100, max: 4096}}
          - {{tool: t, result: {{p50: 900, p95: 8000, max: 16000}}}}
"""
HEAVY = f"""
workflow: heavy
{MODELS}
graph:
  - {{call: a, model: big, prompt: {{p50: 100, p95: 200, max: 1000}}, output: {{p50: 30, p95: 50, max: 100}}}}
  - branch: br
    0.2%:
      - map: bulk
        over: {{one_of: {{1000: 50%, 2000: 50%}}}}
        do:
          - call: b
            model: big
            prompt: {{p50: 3000, p95: 5000, max: 10000}}
            output: {{p50: 300, p95: 500, max: 1000}}
"""


@pytest.fixture
def workflow_of(tmp_path):
    def read(text):
        path = tmp_path / "workflow.yaml"
        path.write_text(text)
        return read_workflow(path)

    return read


@pytest.mark.slow
@pytest.mark.parametrize(("text", "cheap"), [(ROUTER, 0.89), (HEAVY, 0.997)])
def test_what_most_runs_cost_is_that_of_the_cheap_part_alone(workflow_of, text, cheap):
    workflow = workflow_of(text)
    alone = exact(replace(workflow, graph=workflow.graph[:1]), cells=2**17)
    share = 1 - workflow.graph[1].options[0].chance[0]

    distribution = exact(workflow)

    for quantile in np.linspace(0.01, cheap, 25):
        assert distribution.quantile(quantile) == pytest.approx(alone.quantile(quantile / share), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("text", "shares"), [(ROUTER, (0.5, 0.95, 0.99)), (HEAVY, (0.5, 0.9, 0.95, 0.99))])
def test_quantiles_are_those_of_many_runs(workflow_of, text, shares):
    workflow = workflow_of(text)
    usd = simulate(workflow, runs=2**17).usd

    distribution = exact(workflow)

    for share in shares:
        low, high = np.quantile(usd, [share - 0.004 * (1 - share) ** 0.5, share + 0.004 * (1 - share) ** 0.5])
        assert low * (1 - 1e-3) <= distribution.quantile(share) <= high * (1 + 1e-3)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    dear=st.integers(20, 2_000_000),
    share=st.floats(0.0005, 0.4),
    chances=st.lists(st.floats(0.1, 1), min_size=3, max_size=3),
)
def test_however_dear_and_rare_some_runs_are_the_others_cost_what_they_cost(dear, share, chances):
    total = sum(chances)
    outcomes = [(value, chance / total) for value, chance in zip((5, 7, 12), chances, strict=True)]
    cheap = small.call(prompt=outcomes, output=(0,))
    costly = small.call("dear", prompt=(dear, 2 * dear + 1, 3 * dear + 5), output=(1,))
    workflow = small.workflow(cheap, small.branch((share, (costly,))))
    distribution = exact(workflow, cells=2**10)
    reached = 0.0
    for value, chance in outcomes:
        middle = (reached + chance / 2) * (1 - share)
        reached += chance
        found = exact(workflow, cells=2**10, shares=(middle,))
        assert found.quantile(middle) == pytest.approx(value * 2e-9, rel=0.02)
    assert all(distribution.quantile_is_sure(quantile) for quantile in SHARES)


@pytest.mark.slow
def test_where_the_dear_runs_begin_exactly_at_a_quantile_it_is_the_last_of_the_cheap_ones(workflow_of):
    workflow = workflow_of(ROUTER)
    cheap = bounds(replace(workflow, graph=workflow.graph[:1])).high

    assert 0.8 * cheap <= exact(workflow).quantile(0.9) <= cheap


def test_of_what_is_above_a_damped_grid_hardly_anything_is_found_on_it():
    grid = Grid(step=1.0, cells=64, side="mean", damped=True)
    inside, outside = Chances(3, np.full(40, 1 / 40)), Chances(100, np.full(900, 1 / 900))
    low = grid.leaf(inside, (("step:call", 1.0),))
    twice = grid.mix([(0.25, grid.times(low, low)), (0.75, grid.leaf(outside, (("step:call", 1.0),)))])

    expected = 0.25 * np.convolve(np.append(np.zeros(3), inside.of), np.append(np.zeros(3), inside.of))[:64]

    assert grid.chances(twice) == pytest.approx(expected, abs=1e-8)


def test_what_no_grid_is_fine_enough_for_is_not_sure():
    steps = [small.call(f"call{at}", prompt=(1, 10**at), output=(0,)) for at in (1, 6)]
    workflow = small.workflow(small.branch((0.001, (steps[1],))), steps[0])

    assert exact(workflow, shares=()).quantile_is_sure(0.5) is False
    assert exact(workflow).quantile_is_sure(0.5)


def test_runs_that_cost_nothing_cost_exactly_that(tmp_path):
    file = tmp_path / "docs.yaml"
    call = "{call: read, model: small, prompt: {p50: 3k, p95: 7k, max: 20k}, output: {p50: 200, p95: 500, max: 900}}"
    file.write_text(
        f"workflow: docs\n{MODELS}\n"
        f"graph: [{{map: each, over: {{one_of: {{0: 30%, 1: 40%, 50: 30%}}}}, do: [{call}]}}]\n"
    )
    found = exact(read_workflow(file))
    assert found.reached(0.0) == pytest.approx(0.3, abs=1e-6)
    assert found.quantile(0.29) == 0
    cheapest = 0.25e-6 + 1.25e-6  # A token read and one written.
    assert found.reached(cheapest) == pytest.approx(0.3, abs=1e-4)
    assert found.quantile(0.5) > 100 * cheapest
