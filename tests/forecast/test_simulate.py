"""
Simulated runs: as many of each kind as chance has them, block by block; limits that act; and the same again.
"""

from pathlib import Path
from random import Random

import numpy as np
import pytest
from msgspec.structs import replace
from plain import play, side_by_side
from specs import spec

from solvent.forecast._model import Degrade
from solvent.forecast._simulate._side_by_side import side_by_side as all_side_by_side
from solvent.forecast._simulate._sobol import DIMENSIONS, Sobol
from solvent.forecast._simulate._spent import Groups
from solvent.forecast.bounds import bounds
from solvent.forecast.simulate import Rules, simulate
from solvent.forecast.spec import read_workflow

RESEARCH = Path(__file__).parents[2] / "examples" / "forecast" / "research.yaml"
MODELS = (
    "m: {input: 1.00, output: 2.00},c: {input: 3.00, output: 15.00, cache_read: 0.30, cache_write: 3.75, cached: 70%}"
)
CLASSES = "kind: {easy: 60%, hard: 40%}"
CALL = "call: c, model: m, prompt: {p50: 300, p95: 900, max: 4000}, output: {p50: 40, p95: 200, max: 500}"
AGENT = "call: c, model: c, prompt: {p50: 300, p95: 900, max: 4000}, output: {p50: [40, 90], p95: [200, 400], max: 500}"
SEEN = "tool: t, cost: 0.0001, result: {p50: 100, p95: 700, max: 3000}, seconds: {p50: 1, p95: 4, max: 9}"
GRAPHS = {
    "call": f"[{{{CALL}, seconds: {{first_token: 0.5, per_output_token: 0.01}}}}]",
    "branch": f"[{{branch: b, either: [{{share: {{easy: 20%, hard: 50%}}, do: [{{{CALL}}}]}}, "
    f"{{share: 30%, do: [{{tool: t, cost: 0.001}}]}}]}}]",
    "retry": f"[{{retry: r, fail: [30%, 60%, 80%], max: 5, do: [{{{CALL}}}]}}]",
    "retry without a cap": f"[{{retry: r, fail: {{easy: 20%, hard: 50%}}, max: none, do: [{{{CALL}}}]}}]",
    "loop": f"[{{loop: l, again: [90%, 50%, 70%], max: 6, do: [{{{CALL}}}]}}]",
    "growing loop": f"[{{loop: l, history: grows, again: {{easy: 60%, hard: 85%}}, max: 12, "
    f"do: [{{{AGENT}}}, {{{SEEN}}}]}}]",
    "compaction": f"[{{loop: l, history: grows, again: 85%, max: 12, compact: {{at: 1500, to: 100}}, "
    f"do: [{{{AGENT}}}, {{{SEEN}}}]}}]",
    "history in a retry": f"[{{loop: l, history: grows, again: 80%, max: 9, do: [{{retry: r, fail: 25%, max: 3, "
    f"do: [{{{AGENT}}}]}}, {{branch: b, 40%: [{{{SEEN}}}]}}]}}]",
    "map": f"[{{map: p, over: documents, concurrency: 2, do: [{{{CALL}}}, {{tool: t, seconds: {{p50: 1, p95: 5}}}}]}}]",
    "map of its own": f"[{{map: p, over: {{p50: 3, p95: 9, max: 20}}, concurrency: none, do: [{{loop: l, again: 40%, "
    f"max: none, do: [{{{CALL}}}]}}]}}]",
    "par": f"[{{par: p, parts: [[{{{CALL}}}], [{{{SEEN}}}]]}}]".replace(
        ", result: {p50: 100, p95: 700, max: 3000}", ""
    ),
    "spawn": f"[{{spawn: s, children: {{mean: 0.8, max: 5}}, max: 4, concurrency: 2, do: [{{{CALL}}}]}}]",
}
FIGURES = ("usd", "tokens", "input_tokens", "calls", "retries", "branches", "seconds", "peak_usd", "peak_tokens")
RULES = {"all at once": None, "step by step": Rules(usd=1e9)}


@pytest.fixture
def read(tmp_path):
    def read(graph, **more):
        file = tmp_path / "w.yaml"
        file.write_text(spec(graph, **{"models": MODELS, **more}))
        return read_workflow(file)

    return read


@pytest.fixture(scope="module")
def research():
    return read_workflow(RESEARCH)


def envelope(graph):
    documents = "documents: {mean: 3, p95: 8, min: 1, max: 20, rare: {share: 5%, from: 30, to: 40}}"
    classes = CLASSES if "easy" in graph or "[40, 90]" in graph else ""
    return ", ".join(part for part in (classes, documents if "documents" in graph else "") if part)


def assert_agree(runs, plain, *, errors=4.5):
    """
    All means and mean squares are those of plain runs, as far as so many of them tell.
    """
    for name in FIGURES:
        expected = np.array([getattr(run, name) for run in plain], dtype=np.float64)
        for power in (1, 2):
            found = getattr(runs, name).astype(np.float64) ** power
            error = np.hypot(expected.std() / len(expected) ** 0.5, found.std() / len(found) ** 0.5)
            assert abs(found.mean() - (expected**power).mean()) <= errors * max(
                error, (expected**power).std() / len(expected) ** 0.5, 1e-12
            ), (name, power, found.mean(), (expected**power).mean())
    for path, usd in runs.nodes.items():
        expected = np.array([run.nodes.get(path, 0.0) for run in plain])
        assert abs(usd.mean() - expected.mean()) <= errors * 2**0.5 * max(expected.std() / len(plain) ** 0.5, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
def test_runs_are_those_that_are_played_in_plain_words(read, name):
    workflow, random = read(GRAPHS[name], envelope=envelope(GRAPHS[name])), Random(11)
    plain = [play(workflow, random) for _ in range(1_000)]
    for rules in RULES.values():
        assert_agree(simulate(workflow, runs=2**12, seed=3, rules=rules), plain)


@pytest.mark.long
@pytest.mark.parametrize("name", GRAPHS)
def test_many_runs_are_those_that_are_played_in_plain_words(read, name):
    workflow, random = read(GRAPHS[name], envelope=envelope(GRAPHS[name])), Random(12)
    plain = [play(workflow, random) for _ in range(30_000)]
    for rules in RULES.values():
        assert_agree(simulate(workflow, runs=2**17, seed=4, rules=rules), plain)


@pytest.mark.parametrize("rules", [None, Rules(usd=0.5)])
def test_the_same_seed_has_the_same_runs(research, rules):
    first, again, other = (simulate(research, runs=300, seed=seed, rules=rules) for seed in (7, 7, 8))
    for name in FIGURES:
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert all(usd.tobytes() == again.nodes[path].tobytes() for path, usd in first.nodes.items())
    assert first.usd.tobytes() != other.usd.tobytes()


def test_what_nodes_cost_adds_up_to_the_run(research):
    runs = simulate(research, runs=500)
    np.testing.assert_allclose(sum(runs.nodes.values()), runs.usd, rtol=1e-12)
    assert (runs.peak_usd >= runs.usd).all()
    assert (runs.input_tokens + runs.output_tokens == runs.tokens).all()


@pytest.mark.parametrize("name", GRAPHS)
def test_no_run_passes_what_the_graph_allows(read, name):
    workflow = read(GRAPHS[name], envelope=envelope(GRAPHS[name]))
    runs = simulate(workflow, runs=2**11)
    for measure in ("usd", "tokens", "calls"):
        within = bounds(workflow, measure)
        assert getattr(runs, measure).min() >= within.low * (1 - 1e-9)
        if within.high is not None:
            assert getattr(runs, measure).max() <= within.high * (1 + 1e-9)


@pytest.mark.slow
def test_no_run_spends_more_than_its_limit(research):
    runs = simulate(research, runs=2**11, rules=Rules(usd=0.4, tokens=300_000, calls=40, branches=30))
    assert runs.usd.max() <= 0.4
    assert runs.tokens.max() <= 300_000
    assert runs.calls.max() <= 40
    assert runs.branches.max() <= 30
    assert 0.05 < runs.blocked.mean() < 0.5


@pytest.mark.slow
def test_without_reservations_a_run_passes_its_limit_by_one_call_at_most(research):
    runs = simulate(research, runs=2**11, rules=Rules(usd=0.4, reserve=False))
    assert 0.4 < runs.usd.max() <= 0.4 + runs.largest_bound_usd
    assert (runs.blocked == (runs.usd >= 0.4)).mean() > 0.99


@pytest.mark.slow
def test_a_limit_of_a_step_holds_there_alone(research):
    path = "step:agent_loop"
    runs = simulate(research, runs=2**11, rules=Rules(steps={path: {"calls": 10, "usd": 0.3}}))
    assert runs.scopes[path].calls.max() == 10
    assert runs.scopes[path].usd.max() <= 0.3
    assert runs.calls.max() > 10


@pytest.mark.slow
def test_no_call_begins_after_the_deadline(research):
    free, held = (simulate(research, runs=2**11, rules=rules) for rules in (Rules(usd=1e9), Rules(seconds=20)))
    assert held.blocked.mean() == pytest.approx((free.seconds >= 20).mean(), abs=0.03)
    assert held.seconds.mean() < free.seconds.mean()


@pytest.mark.slow
def test_a_cheaper_model_near_the_limit_ends_fewer_runs(research):
    stop, degrade = (
        simulate(research, runs=2**12, seed=2, rules=Rules(usd=0.5, degrade=steps))
        for steps in ((), (Degrade(at=0.5, model="big", to="mid"),))
    )
    assert not stop.degraded.any()
    assert degrade.degraded.mean() > 0.05
    assert degrade.blocked.mean() < stop.blocked.mean()
    assert degrade.usd.max() <= 0.5


@pytest.mark.parametrize("name", ["documents", "rounds"])
def test_a_limit_ends_exactly_the_runs_that_peak_above_it(read, name):
    call = "{call: c, model: m, prompt: 300, output: {one_of: {20: 100%}}}"
    graphs = {
        "documents": f"[{{map: p, over: {{mean: 8, max: 40}}, concurrency: none, do: [{call}]}}]",
        "rounds": f"[{{loop: l, history: grows, again: 80%, max: 30, do: [{call}]}}]",
    }
    workflow = read(graphs[name])
    runs = simulate(workflow, runs=1_000, seed=5)
    limit = float(np.quantile(runs.peak_usd, 0.9))
    held = simulate(workflow, runs=1_000, seed=5, rules=Rules(usd=limit + 1e-12))
    np.testing.assert_array_equal(held.blocked, runs.peak_usd > limit + 1e-12)
    assert 0 < held.blocked.sum() < 101


@pytest.mark.slow
def test_limits_end_as_many_runs_as_peak_above_them(research):
    runs = simulate(research, runs=2**13, seed=6)
    limit = float(np.quantile(runs.peak_usd, 0.9))
    held = simulate(research, runs=2**13, seed=7, rules=Rules(usd=limit))
    assert held.blocked.mean() == pytest.approx(0.1, abs=4.5 * (0.09 / 2**13) ** 0.5)


def test_what_never_ends_is_told(read):
    call = "{call: c, model: m, prompt: 1, output: 1}"
    blocks = {
        f"[{{loop: l, again: 50%, max: none, do: [{call}]}}]": {"again": ((1.0,),)},
        f"[{{retry: l, fail: 50%, max: none, do: [{call}]}}]": {"fail": ((0.1, 1.0),)},
        f"[{{spawn: l, children: 1, max: 3, do: [{call}]}}]": {"most": None},
    }
    for graph, changed in blocks.items():
        workflow = read(graph)
        endless = replace(workflow, graph=(replace(workflow.graph[0], **changed),))
        with pytest.raises(ValueError, match=r"(step|agent):l (may never end|never ends): .* no max"):
            simulate(endless, runs=1)


@pytest.mark.parametrize("workers", [1, 2, 3, 8, None])
def test_items_go_to_the_worker_that_is_free_first(workers):
    random = np.random.default_rng(4)
    counts = np.array([0, 1, 7, 2, 30, 0, 5, 12] * 40)
    seconds = random.random(counts.sum())
    ends = np.cumsum(counts)
    expected = [side_by_side(seconds[end - n : end].tolist(), workers) for n, end in zip(counts, ends, strict=True)]
    np.testing.assert_allclose(all_side_by_side(Groups(counts), seconds, workers), expected, rtol=1e-12)


def test_even_points_lie_evenly_in_every_dimension_and_pair():
    points = Sobol(DIMENSIONS, np.random.SeedSequence(1)).points(0, 1_024)
    for row in points:
        assert len(set(np.floor(row * 1_024))) == 1_024
    first_two = np.floor(points[0] * 32) * 32 + np.floor(points[1] * 32)
    assert len(set(first_two)) == 1_024


def test_points_do_not_hang_on_how_they_are_asked_for():
    sobol = Sobol(5, np.random.SeedSequence(9))
    whole = sobol.points(0, 8_192)
    np.testing.assert_array_equal(sobol.points(4_096, 4_096), whole[:, 4_096:])
    np.testing.assert_array_equal(sobol.points(5_000, 77), whole[:, 5_000:5_077])


def test_even_draws_find_a_mean_sooner_than_plain_ones(read):
    call = "{call: c, model: m, prompt: 300, output: 20}"
    workflow = read(f"[{{loop: l, history: grows, again: 80%, max: 30, do: [{call}]}}]")
    means = [simulate(workflow, runs=2**10, seed=seed).usd.mean() for seed in range(20)]
    plain = simulate(workflow, runs=2**12, seed=99).usd.std() / 2**5
    assert np.std(means) < 0.2 * plain


@pytest.mark.parametrize("tokens", [3, 9, 10, 11, 22])
def test_a_count_that_is_always_the_same_in_one_class_is_so_there(tokens, tmp_path):
    # exp(log(x)) is a little above x for these.
    text = f"{{p50: {tokens}, p95: [{tokens}, {2 * tokens}], max: none}}"
    file = tmp_path / "w.yaml"
    file.write_text(spec(f"[{{call: c, model: m, prompt: {text}, output: {text}}}]", envelope="kind: {a: 50%, b: 50%}"))
    runs = simulate(read_workflow(file), runs=200)
    assert set(runs.tokens[runs.class_index == 0].tolist()) == {2 * tokens}
