"""
What a workflow's file means, form by form.
"""

from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest
from specs import CALL, spec

from solvent._amounts import Usage
from solvent.errors import SettingsError
from solvent.forecast._counts import Count, Fixed, Lognormal, NegativeBinomial, OneOf, Rare
from solvent.forecast._model import (
    Call,
    Compaction,
    Degrade,
    Model,
    Option,
    Paced,
    Quantiles,
    Rate,
    Retry,
    Tool,
    Volume,
    Wishes,
    every,
)
from solvent.forecast.spec import read_workflow
from solvent.prices import Prices, UserPrice

RESEARCH = Path(__file__).parent.parent.parent / "examples" / "forecast" / "research.yaml"
CLASSES = "size: {small: 60%, large: 40%}"


@pytest.fixture
def read(tmp_path):
    def read(text, *changes, prices=None):
        path = tmp_path / "flow.yaml"
        path.write_text(text)
        return read_workflow(path, changes=changes, prices=prices)

    return read


@pytest.fixture
def prompt(read):
    """
    What a text says as the prompt of a call.
    """

    def prompt(text, **more):
        return read(spec(f"[{{call: c, model: m, prompt: {text}, output: 5}}]", **more)).graph[0].prompt

    return prompt


def fixed(*values):
    return tuple([Count(usual=Fixed(value)) for value in values])


def lognormal(p50, p95, most):
    return Count(usual=Lognormal(p50=p50, p95=p95, most=most))


def by_path(workflow):
    return {block.path: block for block in every(workflow.graph)}


# Counts.


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", Count(usual=Fixed(0))),
        ("2k", Count(usual=Fixed(2_000))),
        ("1.5M", Count(usual=Fixed(1_500_000))),
        ("{p50: 10, p95: 20, max: 30}", lognormal(10, 20, 30)),
        ("{p50: 10, p95: 20, max: none}", lognormal(10, 20, None)),
        ("{p50: 10, p95: 10, max: 10}", lognormal(10, 10, 10)),
        ("{mean: 8, max: 60}", Count(usual=NegativeBinomial(mean=8, size=inf, least=0, most=60))),
        ("{mean: 2.5, min: 1, max: none}", Count(usual=NegativeBinomial(mean=2.5, size=inf, least=1, most=None))),
        ("{one_of: {3: 25%, 1: 50%, 1k: 25%}}", Count(usual=OneOf((1, 3, 1_000), (0.5, 0.25, 0.25)))),
        (
            "{p50: 10, p95: 20, max: 30, rare: {share: 0.5%, from: 200, to: 1k}}",
            Count(usual=Lognormal(p50=10, p95=20, most=30), rare=Rare(share=0.005, least=200, most=1_000)),
        ),
        (
            "{one_of: {3: 100%}, rare: {share: 1%, from: 4, to: 4}}",
            Count(usual=OneOf((3,), (1.0,)), rare=Rare(share=0.01, least=4, most=4)),
        ),
    ],
)
def test_a_count_without_classes_is_one(prompt, text, count):
    assert prompt(text) == (count,)


def test_a_mean_and_a_p95_are_the_negative_binomial_number_through_both(prompt):
    (found,) = prompt("{mean: 8, p95: 20, min: 1, max: 60}")
    usual = found.usual
    chances = [(usual.size / (usual.size + 7)) ** usual.size]
    for number in range(19):
        chances.append(chances[-1] * 7 / (7 + usual.size) * (usual.size + number) / (number + 1))
    assert sum(chances) == pytest.approx(0.95, abs=1e-9)
    assert (usual.mean, usual.least, usual.most) == (8, 1, 60)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("7", fixed(7, 7)),
        ("[7, 9]", fixed(7, 9)),
        ("{large: 9, small: 7}", fixed(7, 9)),
        ("{p50: [10, 12], p95: 20, max: {small: 30, large: none}}", (lognormal(10, 20, 30), lognormal(12, 20, None))),
        ("{small: 7, large: {p50: 10, p95: 20, max: 30}}", (*fixed(7), lognormal(10, 20, 30))),
        (
            "{mean: [2, 3], max: 9}",
            tuple([Count(usual=NegativeBinomial(mean=mean, size=inf, most=9)) for mean in (2, 3)]),
        ),
        ("{one_of: {1: 100%}}", (Count(usual=OneOf((1,), (1.0,))),) * 2),
    ],
)
def test_a_count_with_classes_has_one_for_each_in_their_order(prompt, text, counts):
    assert prompt(text, envelope=CLASSES) == counts


def test_classes_stand_anywhere_in_the_envelope(read):
    workflow = read(spec(f"[{{map: f, over: n, do: [{CALL}]}}]", envelope=f"n: {{small: 1, large: 9}}, {CLASSES}"))
    assert workflow.classes == (("small", 0.6), ("large", 0.4))
    assert workflow.inputs == {"n": fixed(1, 9)}
    assert workflow.shares == (0.6, 0.4)


# Blocks.


def test_a_block_is_named_by_its_scope(read):
    graph = f"""
      - branch: b
        50%:
          - {{retry: r, fail: 5%, max: 2, do: [{CALL}]}}
          - par: p
            parts:
              - [{{tool: a/b}}]
              - [{{spawn: s, children: 2, max: 3, do: [{CALL}, {{branch: b, 9%: [{{tool: t}}]}}]}}]
      - {{map: f, over: 3, do: [{{loop: l, again: 50%, max: 3, do: [{CALL}]}}]}}
    """
    assert [*by_path(read(spec(graph)))] == [
        "branch:b",
        "step:r",
        "step:r/step:c",
        "par:p",
        "step:a%2Fb",
        "agent:s",
        "agent:s/step:c",
        "agent:s/branch:b",
        "agent:s/step:t",
        "step:f",
        "step:f/step:l",
        "step:f/step:l/step:c",
    ]


def test_a_branch_has_shares_by_their_percents_or_by_class(read):
    short = f"[{{branch: b, 85%: [{CALL}], 10.5 %: [{{tool: t}}]}}]"
    assert [option.chance for option in read(spec(short, envelope=CLASSES)).graph[0].options] == [
        (0.85, 0.85),
        (0.105, 0.105),
    ]
    long = f"""
      - branch: b
        either:
          - {{share: [10%, 20%], do: [{CALL}]}}
          - {{share: {{small: 0%, large: 80%}}, do: [{{tool: t}}]}}
          - {{share: 0%, do: [{{tool: u}}]}}
    """
    branch = read(spec(long, envelope=CLASSES)).graph[0]
    assert [option.chance for option in branch.options] == [(0.1, 0.2), (0.0, 0.8), (0.0, 0.0)]
    assert branch.options[1] == Option(chance=(0.0, 0.8), do=(Tool(name="t", path="step:t"),))


@pytest.mark.parametrize(
    ("text", "chances"),
    [
        ("5%", ((0.05,), (0.05,))),
        ("[32%, 98%, 99.5%]", ((0.32, 0.98, 0.995),) * 2),
        ("{small: 5%, large: [5%, 50%]}", ((0.05,), (0.05, 0.5))),
    ],
)
def test_a_chance_is_one_or_by_attempt_or_by_class(read, text, chances):
    graph = f"[{{retry: r, fail: {text}, max: 3, do: [{CALL}]}}, {{loop: l, again: {text}, max: none, do: [{CALL}]}}]"
    retry, loop = read(spec(graph, envelope=CLASSES)).graph
    assert (retry.fail, retry.most) == (chances, 3)
    assert (loop.again, loop.most) == (chances, None)


def test_calls_of_a_growing_loop_read_its_history_and_those_below_another_block_do_not(read):
    graph = """
      - loop: outer
        again: 50%
        max: 9
        history: grows
        compact: {at: 150k, to: {p50: 500, p95: 900, max: 2k}}
        do:
          - {call: direct, model: m, prompt: 1, output: 1}
          - {call: apart, model: m, prompt: 1, output: 1, history: none}
          - {branch: b, 50%: [{retry: r, fail: 5%, max: 2, do: [{call: deep, model: m, prompt: 1, output: 1},
                                                               {tool: t, result: 7}]}]}
          - {map: f, over: 2, do: [{call: below, model: m, prompt: 1, output: 1}]}
          - {loop: inner, again: 5%, max: 2, do: [{call: again, model: m, prompt: 1, output: 1}]}
          - {par: p, parts: [[{call: left, model: m, prompt: 1, output: 1}], [{tool: right}]]}
          - {spawn: s, children: 0, max: 1, do: [{call: child, model: m, prompt: 1, output: 1}]}
      - {call: after, model: m, prompt: 1, output: 1}
    """
    workflow = read(spec(graph))
    blocks = [*every(workflow.graph)]
    assert {block.name for block in blocks if isinstance(block, Call) and block.history} == {"direct", "deep"}
    assert next(block for block in blocks if block.name == "t").result == fixed(7)
    assert workflow.graph[0].grows
    assert workflow.graph[0].compaction == Compaction(at=150_000, to=(lognormal(500, 900, 2_000),))


def test_a_map_goes_over_an_input_or_a_count_and_agents_have_children(read):
    graph = f"""
      - {{map: all, over: n, do: [{CALL}]}}
      - {{map: some, over: {{p50: 3, p95: 9, max: none}}, max: 20, concurrency: 4, do: [{CALL}]}}
      - {{map: none, over: 5, max: none, concurrency: none, do: [{CALL}]}}
      - {{spawn: s, children: {{mean: 1.2, max: 5}}, max: 3, concurrency: 2, do: [{CALL}]}}
      - {{spawn: u, children: {{mean: 0.5, max: none}}, max: none, do: [{CALL}]}}
    """
    all_, some, none, spawn, unbounded = read(spec(graph, envelope="n: 8")).graph
    assert (all_.over, all_.most, all_.concurrency) == ("n", None, None)
    assert (some.over, some.most, some.concurrency) == ((lognormal(3, 9, None),), 20, 4)
    assert (none.over, none.most, none.concurrency) == (fixed(5), None, None)
    assert (spawn.children[0].most, spawn.most, spawn.concurrency) == (5, 3, 2)
    assert (unbounded.most, unbounded.concurrency) == (None, None)


def test_parts_stand_side_by_side(read):
    par = read(spec(f"[{{par: p, parts: [[{CALL}, {{tool: t, cost: 0.001}}], [{{tool: u}}]]}}]")).graph[0]
    assert [[block.name for block in part] for part in par.parts] == [["c", "t"], ["u"]]
    assert par.parts[0][1].cost_nanodollars == 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", Quantiles(p50=0, p95=0, most=0)),
        ("0.5", Quantiles(p50=0.5, p95=0.5, most=0.5)),
        ("2m", Quantiles(p50=120, p95=120, most=120)),
        ("{p50: 0.3, p95: 1.5}", Quantiles(p50=0.3, p95=1.5)),
        ("{p50: 0.3, p95: 1.5, max: none}", Quantiles(p50=0.3, p95=1.5)),
        ("{p50: 0.3, p95: 1.5, max: 30s}", Quantiles(p50=0.3, p95=1.5, most=30)),
        ("{first_token: 0.9, per_output_token: 0.015}", Paced(first_token=0.9, per_output_token=0.015)),
    ],
)
def test_a_time_is_one_or_two_quantiles_or_of_a_call_its_pace(read, text, seconds):
    call = f"{{call: c, model: m, prompt: 10, output: 5, seconds: {text}}}"
    assert read(spec(f"[{call}]")).graph[0].seconds == seconds
    if isinstance(seconds, Quantiles):
        assert read(spec(f"[{{tool: t, seconds: {text}}}]")).graph[0].seconds == seconds


# Models.


def test_a_model_has_the_figures_that_the_file_gives(read):
    models = """m: {input: 3.00, output: 15, cache_read: 0.30, cache_write: 3.75, cached: 90%, window: 200k},
        plain: {input: $1, output: 2, cached: true}, unused: {input: 1, output: 1}"""
    graph = f"[{CALL}, {{call: d, model: plain, prompt: 1, output: 1}}]"
    assert read(spec(graph, models=models)).models == {
        "m": Model(
            name="m",
            rates=(Rate(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000),),
            cached=0.9,
            window=200_000,
            source="flow.yaml:2",
        ),
        "plain": Model(
            name="plain",
            rates=(Rate(input=1_000_000, output=2_000_000, cache_read=1_000_000, cache_write=1_000_000),),
            cached=1.0,
            source="flow.yaml:3",
        ),
    }


def test_a_model_of_the_price_table_costs_what_the_guard_books(read):
    models = "m: claude-sonnet-4-5, n: {is: anthropic/claude-sonnet-4-5, cached: true, window: 100k}"
    graph = (
        f"[{CALL}, {{call: d, model: n, prompt: 1, output: 1}}, {{call: e, model: gpt-5-mini, prompt: 1, output: 1}}]"
    )
    found = read(spec(graph, models=models)).models
    assert [(model.billed_as, model.window, model.cached) for model in found.values()] == [
        ("anthropic/claude-sonnet-4-5", 200_000, 0.0),
        ("anthropic/claude-sonnet-4-5", 100_000, 1.0),
        ("openai/gpt-5-mini", 272_000, 0.0),
    ]
    price = Prices.load().find("anthropic", "claude-sonnet-4-5")
    assert found["m"].source == price.source
    for read_tokens in (200_000, 200_001):
        rate = [rate for rate in found["m"].rates if read_tokens > rate.above][-1]
        usage = Usage(
            input_tokens=read_tokens, cache_read_tokens=100_000, cache_write_5m_tokens=50_000, output_tokens=7_000
        )
        plain = read_tokens - 150_000
        picodollars = plain * rate.input + 100_000 * rate.cache_read + 50_000 * rate.cache_write + 7_000 * rate.output
        cost = price.cost(usage, tier=None, region=None, at=datetime(2026, 11, 22, tzinfo=UTC))
        assert picodollars == cost * 1_000


def test_a_price_that_a_user_gives_is_taken(read):
    prices = Prices.load({"house-model": UserPrice.per_million_tokens(input="2", output="4", source="--price")})
    graph = "[{call: c, model: house-model, prompt: 10, output: 5}]"
    (model,) = read(spec(graph), prices=prices).models.values()
    assert (model.rates[0].input, model.rates[0].output, model.source) == (2_000_000, 4_000_000, "--price")
    with pytest.raises(SettingsError):
        read(spec(graph))


def test_a_model_that_writes_nothing_needs_no_price_of_its_output(read):
    graph = "[{call: c, model: text-embedding-3-small, prompt: 10, output: 0}]"
    (model,) = read(spec(graph)).models.values()
    assert (model.rates[0].input, model.rates[0].output) == (20_000, 0)


# The rest of a file.


def test_volume_and_limits_are_read(read):
    more = """
        volume: {runs_per_month: 40k, uncertainty: 10%, measured_runs: 300}
        limits:
          may_block: 0.5%
          usd: 5.00
          legitimate: [large]
          input_bound: 1.5
          at: {90%: degrade n to gpt-5-mini, 100%: stop, 80%: degrade m to n}
    """
    models = "m: {input: 1, output: 2}, n: {input: 0.1, output: 0.2}"
    graph = f"[{CALL}, {{call: d, model: n, prompt: 1, output: 1}}]"
    workflow = read(spec(graph, models=models, envelope=CLASSES, more=more))
    assert workflow.name == "w"
    assert workflow.source.endswith("flow.yaml")
    assert workflow.volume == Volume(runs_per_month=40_000, uncertainty=0.1, measured_runs=300)
    assert workflow.wishes == Wishes(
        may_block=0.005,
        legitimate=("large",),
        degrade=(Degrade(at=0.8, model="m", to="n"), Degrade(at=0.9, model="n", to="gpt-5-mini")),
        usd_nanodollars=5_000_000_000,
        input_bound=1.5,
    )
    assert [*workflow.models] == ["m", "n", "gpt-5-mini"]


def test_what_is_not_said_is_as_the_records_say(read):
    workflow = read(spec())
    assert (workflow.classes, dict(workflow.inputs), workflow.volume) == ((), {}, None)
    assert workflow.wishes == Wishes()
    (call,) = workflow.graph
    assert (call.history, call.seconds) == (False, None)


def test_an_alias_stands_for_what_is_written_at_its_anchor(read):
    text = f"""
      - retry: one
        fail: 5%
        max: 3
        do: &do
          - {CALL}
          - {{tool: t, cost: &cost 0.001}}
      - {{retry: two, fail: 9%, max: 2, do: *do}}
      - {{tool: u, cost: *cost}}
    """
    one, two, tool = read(spec(text)).graph
    assert [block.path for block in two.do] == ["step:two/step:c", "step:two/step:t"]
    assert [block.prompt for block in (one.do[0], two.do[0])] == [fixed(10)] * 2
    assert tool.cost_nanodollars == one.do[1].cost_nanodollars == 1_000_000
    changed = read(spec(text), "two.c.prompt=99").graph
    assert [retry.do[0].prompt for retry in changed[:2]] == [fixed(10), fixed(99)]


# Changes.


@pytest.mark.parametrize(
    ("change", "path", "what", "value"),
    [
        ("agent_loop.max=25", "step:agent_loop", "most", 25),
        ("agent_loop.max=none", "step:agent_loop", "most", None),
        ("review_fanout.max=20", "step:review_fanout", "most", 20),
        ("review_fanout.do.review_retry.fail=[3%, 50%]", "step:review_fanout/step:review_retry", "fail",
         ((0.03, 0.5),) * 3),
        ("synthesize.output={p50: 10, p95: 20, max: 30}", "step:synthesize", "output", (lognormal(10, 20, 30),) * 3),
        ("search_again.rewrite.prompt=100", "step:search_again/step:rewrite", "prompt", fixed(100, 100, 100)),
        ("needs_retrieval.second_pass.search_again.max=9", "step:search_again", "most", 9),
        ("graph.0.prompt=100", "step:classify", "prompt", fixed(100, 100, 100)),
        ("agent.output.p50.2=300", "step:agent_loop/step:agent", "output",
         (lognormal(90, 350, 4096), lognormal(150, 600, 4096), lognormal(300, 1100, 4096))),
        ("agent_loop.agent.output.p95=900", "step:agent_loop/step:agent", "output",
         (lognormal(90, 900, 4096), lognormal(150, 900, 4096), lognormal(260, 900, 4096))),
        ("agent_loop.again.hard=90%", "step:agent_loop", "again", ((0.7,), (0.86,), (0.9,))),
    ],
)  # fmt: skip
def test_a_change_is_read_as_if_the_file_said_so(change, path, what, value):
    workflow = read_workflow(RESEARCH, changes=[change])
    assert getattr(by_path(workflow)[path], what) == value


def test_changes_reach_all_that_stands_beside_the_blocks():
    workflow = read_workflow(
        RESEARCH,
        changes=[
            "models.big.cached=true",
            "models.small=gpt-5-nano",
            "models.small.window=100k",
            "envelope.documents.max=50",
            "needs_revision.15%=20%",
            "limits.may_block=2%",
            "limits.at.80%=degrade big to small",
            "volume.runs_per_month=10k",
            "workflow=other",
        ],
    )
    assert workflow.models["big"].cached == 1
    assert (workflow.models["small"].billed_as, workflow.models["small"].window) == ("openai/gpt-5-nano", 100_000)
    assert workflow.inputs["documents"][0].usual.most == 50
    assert by_path(workflow)["step:review_fanout/branch:needs_revision"].options[0].chance == (0.2, 0.2, 0.2)
    assert workflow.wishes == Wishes(may_block=0.02, degrade=(Degrade(at=0.8, model="big", to="small"),))
    assert (workflow.volume.runs_per_month, workflow.volume.uncertainty) == (10_000, 0.1)
    assert workflow.name == "other"


def test_a_setting_of_the_file_that_is_not_there_is_added(read):
    assert read(spec(), "limits.usd=2", "volume.runs_per_month=7").wishes.usd_nanodollars == 2_000_000_000


# The example.


def test_the_research_workflow_is_read_whole():
    workflow = read_workflow(RESEARCH)
    assert workflow.name == "research-assistant"
    assert workflow.volume == Volume(runs_per_month=40_000, uncertainty=0.1)
    assert workflow.classes == (("easy", 0.6), ("medium", 0.3), ("hard", 0.1))
    rare = Rare(share=0.005, least=200, most=1_000)
    documents = workflow.inputs["documents"]
    assert {(one.usual.mean, one.usual.least, one.usual.most, one.rare) for one in documents} == {(8, 1, 60, rare)}
    assert {name: model.rates for name, model in workflow.models.items()} == {
        "small": (Rate(input=250_000, output=1_250_000, cache_read=250_000, cache_write=250_000),),
        "mid": (Rate(input=1_000_000, output=5_000_000, cache_read=1_000_000, cache_write=1_000_000),),
        "big": (Rate(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000),),
    }
    assert {model.cached for model in workflow.models.values()} == {0}
    blocks = by_path(workflow)
    calls = {path: block for path, block in blocks.items() if isinstance(block, Call)}
    assert {path: (call.model.name, call.prompt, call.output) for path, call in calls.items()} == {
        "step:classify": ("small", (lognormal(400, 900, 4000),) * 3, (lognormal(12, 30, 64),) * 3),
        "step:search/step:rewrite": ("small", (lognormal(350, 700, 4000),) * 3, (lognormal(40, 90, 256),) * 3),
        "step:search_again/step:rewrite": ("small", (lognormal(350, 700, 4000),) * 3, (lognormal(40, 90, 256),) * 3),
        "step:agent_loop/step:agent": (
            "big",
            (lognormal(3500, 5200, 16000),) * 3,
            (lognormal(90, 350, 4096), lognormal(150, 600, 4096), lognormal(260, 1100, 4096)),
        ),
        "step:review_fanout/step:review_retry/step:review": (
            "mid",
            (lognormal(1800, 6000, 24000),) * 3,
            (lognormal(180, 420, 1024),) * 3,
        ),
        "step:review_fanout/step:revise_loop/step:revise": (
            "mid",
            (lognormal(2200, 6500, 24000),) * 3,
            (lognormal(200, 450, 1024),) * 3,
        ),
        "step:synthesize": ("big", (lognormal(4000, 9000, 40000),) * 3, (lognormal(600, 1400, 4096),) * 3),
        "step:validate_retry/step:validate": (
            "small",
            (lognormal(1500, 2600, 8000),) * 3,
            (lognormal(60, 160, 512),) * 3,
        ),
    }
    assert [path for path, call in calls.items() if call.history] == ["step:agent_loop/step:agent"]
    assert calls["step:agent_loop/step:agent"].seconds == Paced(first_token=0.9, per_output_token=0.015)
    assert {path: (one.cost_nanodollars, one.seconds) for path, one in blocks.items() if isinstance(one, Tool)} == {
        "step:search/step:vector_search": (1_000_000, Quantiles(p50=0.3, p95=1.5)),
        "step:search_again/step:vector_search": (1_000_000, Quantiles(p50=0.3, p95=1.5)),
        "step:agent_loop/step:agent_tool_retry/step:agent_tool": (500_000, None),
        "step:agent_loop/step:tool_result": (0, None),
    }
    assert blocks["step:agent_loop/step:tool_result"].result == (
        lognormal(350, 2500, 16000),
        lognormal(600, 4500, 16000),
        lognormal(900, 8000, 16000),
    )
    assert {path: (one.fail[0], one.most) for path, one in blocks.items() if isinstance(one, Retry)} == {
        "step:search": ((0.05,), 3),
        "step:search_again": ((0.05,), 3),
        "step:agent_loop/step:agent_tool_retry": ((0.08,), 4),
        "step:review_fanout/step:review_retry": ((0.03,), 3),
        "step:validate_retry": ((0.12,), 3),
    }
    loop, revise = blocks["step:agent_loop"], blocks["step:review_fanout/step:revise_loop"]
    assert (loop.grows, loop.again, loop.most) == (True, ((0.7,), (0.86,), (0.94,)), 40)
    assert (revise.grows, revise.again, revise.most) == (False, ((0.35,),) * 3, 3)
    fan_out = blocks["step:review_fanout"]
    assert (fan_out.over, fan_out.most, fan_out.concurrency) == ("documents", None, 8)
    shares = {
        "branch:needs_retrieval": 0.85,
        "branch:second_pass": 0.25,
        "step:review_fanout/branch:needs_revision": 0.15,
    }
    assert {path: blocks[path].options[0].chance for path in shares} == {
        path: (share,) * 3 for path, share in shares.items()
    }
    assert workflow.wishes == Wishes(may_block=0.01, degrade=(Degrade(at=0.8, model="big", to="mid"),))
    assert len(blocks) == 23
