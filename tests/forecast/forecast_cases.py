"""
Forecasts and studies made by hand, with figures that no engine has to agree with.
"""

from statistics import NormalDist

import numpy as np

from solvent.forecast._caps import Cap
from solvent.forecast._counts import Count, Fixed, Lognormal
from solvent.forecast._derived import DerivedLimit
from solvent.forecast._forecast import Forecast, Node, Spread
from solvent.forecast._model import (
    Branch,
    Call,
    Degrade,
    Loop,
    Map,
    Model,
    Option,
    Par,
    Rate,
    Retry,
    Spawn,
    Tool,
    Volume,
    Wishes,
    Workflow,
)
from solvent.forecast._month import month_of
from solvent.forecast._study import Outcome, Study
from solvent.forecast._tornado import Bar
from solvent.forecast.coverage import Coverage, Row
from solvent.forecast.limits import Limits
from solvent.forecast.simulate import Runs

COUNT = 4_096
SCRIPT = "<script>alert(1)</script>"

_RATE = Rate(input=3_000_000, output=15_000_000, cache_read=300_000, cache_write=3_750_000)
BIG, SMALL = Model(name="big", rates=(_RATE,)), Model(name="small", rates=(_RATE,))
_PROMPT = (Count(usual=Lognormal(p50=400, p95=900, most=4_000)),)


def call(path, model=BIG, *, most=1_024, **more):
    output = (Count(usual=Lognormal(p50=90, p95=350, most=most)),)
    return Call(name=path.rpartition(":")[2], path=path, model=model, prompt=_PROMPT, output=output, **more)


def tool(path, **more):
    return Tool(name=path.rpartition(":")[2], path=path, **more)


GRAPH = (
    call("step:classify", SMALL),
    Branch(
        name="needs_search",
        path="branch:needs_search",
        options=(Option(chance=(0.85, 0.85), do=(tool("step:search", cost_nanodollars=1_000_000),)),),
    ),
    Loop(
        name="agent_loop",
        path="step:agent_loop",
        again=((0.7,), (0.94,)),
        most=40,
        grows=True,
        do=(
            call("step:agent_loop/step:agent", history=True),
            tool("step:agent_loop/step:tool_result", result=_PROMPT),
        ),
    ),
    Map(
        name="review_fanout",
        path="step:review_fanout",
        over="documents",
        most=None,
        concurrency=8,
        do=(
            Retry(
                name="review_retry",
                path="step:review_fanout/step:review_retry",
                fail=((0.32, 0.98),),
                most=3,
                do=(call("step:review_fanout/step:review_retry/step:review"),),
            ),
        ),
    ),
)
WORKFLOW = Workflow(
    name="research-assistant",
    graph=GRAPH,
    models={"big": BIG, "small": SMALL},
    classes=(("easy", 0.9), ("hard", 0.1)),
    inputs={"documents": (Count(usual=Fixed(60)),)},
    volume=Volume(runs_per_month=40_000, uncertainty=0.1),
    wishes=Wishes(degrade=(Degrade(at=0.8, model="big", to="small"),)),
)
# Every kind of block, and nothing that caps it.
UNCAPPED = (
    Par(
        name="both",
        path="par:both",
        parts=((call("step:left", most=None),), (call("step:right"),)),
    ),
    Branch(
        name="either",
        path="branch:either",
        options=(
            Option(chance=(0.6,), do=(tool("step:cheap"),)),
            Option(chance=(0.4,), do=(call("step:dear"),)),
        ),
    ),
    Retry(name="again", path="step:again", fail=((0.2,),), most=None, do=(call("step:again/step:once"),)),
    Spawn(
        name="helper",
        path="agent:helper",
        children=(Count(usual=Lognormal(p50=1, p95=3, most=None)),),
        most=None,
        do=(call("agent:helper/step:think"),),
    ),
    Map(
        name="fan",
        path="step:fan",
        over=(Count(usual=Lognormal(p50=5, p95=50, most=None)),),
        most=None,
        concurrency=None,
        do=(call("step:fan/step:each"),),
    ),
)
_KNOWN = {0.0001: 0.02, 0.05: 0.035, 0.25: 0.068, 0.5: 0.1201, 0.9: 0.6288, 0.95: 1.4131, 0.99: 5.1156, 0.999: 8.0084}


def costs(known=_KNOWN, count=COUNT):
    """
    Costs with these quantiles, and between them as evenly as normal numbers lie.
    """
    normal = NormalDist()
    at = [normal.inv_cdf((number + 0.5) / count) for number in range(count)]
    return np.exp(np.interp(at, [normal.inv_cdf(share) for share in known], np.log(list(known.values()))))


def runs_of(usd):
    none = np.zeros(len(usd))
    counts = none.astype(np.int64)
    names = set(Runs.__struct_fields__) - {"usd", "nodes", "scopes", "largest_bound_usd", "largest_input_tokens"}
    arrays = {name: none if name in ("seconds", "peak_usd", "peak_tokens") else counts for name in names}
    return Runs(usd=usd, nodes={}, scopes={}, largest_bound_usd=0.0, largest_input_tokens=0, **arrays)


def spread(mean, sd, p50, p90, p95, p99, p999, worst, engine="exact"):
    return Spread(mean=mean, sd=sd, p50=p50, p90=p90, p95=p95, p99=p99, p999=p999, worst=worst, engine=engine)


def node(scope, model, calls, mean_usd, share, share_of_dearest, worst_usd):
    path = "/".join(part.partition(":")[2] for part in scope.split("/"))
    return Node(
        path=path,
        scope=scope,
        model=model,
        calls=calls,
        mean_usd=mean_usd,
        share=share,
        share_of_dearest=share_of_dearest,
        worst_usd=worst_usd,
    )


NODES = (
    node("step:classify", "small", 1.0, 0.00012, 0.0003, 0.00002, 0.0011),
    node("step:search", None, 0.0, 0.00085, 0.0024, 0.0002, 0.001),
    node("step:agent_loop/step:agent", "big", 5.9, 0.2911, 0.8205, 0.9893, 198.2),
    node("step:agent_loop/step:tool_result", None, 0.0, 0.0, 0.0, 0.0, 0.0),
    node("step:review_fanout/step:review_retry/step:review", "big", 13.1, 0.0627, 0.1768, 0.0105, 27.1),
)


def made_forecast(**changed):
    cost = spread(0.3548, 0.832, 0.1201, 0.6288, 1.4131, 5.1156, 8.0084, 226.3)
    found = {
        "workflow": WORKFLOW,
        "cost_usd": cost,
        "tokens": spread(83_214.2, 181_000.0, 27_100, 152_000, 371_000, 1_412_000, 2_212_000, 61_200_000),
        "calls": spread(24.1, 23.2, 19, 41, 53, 88, 913, 9_100),
        "seconds": spread(41.2, 60.0, 21.0, 88.0, 151.0, 402.0, 812.0, None, "simulation"),
        "nodes": NODES,
        "engine": "exact",
        "why": "the whole distribution is computed; seconds and joint limits come from a simulation",
        "unbounded": (),
        "remarks": ("nobody said how long search takes: its time is not in the seconds",),
        "month": month_of(WORKFLOW.volume, mean=cost.mean, sd=cost.sd),
        "cost": None,
        "runs": runs_of(costs()),
    }
    return Forecast(**(found | changed))


def flat(amount, worst=None):
    """
    What always costs the same.
    """
    return spread(amount, 0.0, amount, amount, amount, amount, amount, worst, "simulation")


RUN = "run:research-assistant-*"
LIMITS = Limits(
    all=(
        DerivedLimit(
            layer="invocation",
            pattern="call",
            meter="output_tokens",
            amount=4_096,
            sure_amount=4_096,
            can_block=False,
            derived_from="largest output cap of the graph",
        ),
        DerivedLimit(
            layer="agent loop",
            pattern="step:agent_loop",
            path="step:agent_loop",
            meter="calls",
            amount=44,
            sure_amount=46,
            blocks=0.0021,
            derived_from="calls of the runs",
        ),
        DerivedLimit(
            layer="orchestration",
            pattern=RUN,
            meter="usd",
            amount=6_620_000_000,
            sure_amount=6_800_000_000,
            blocks=0.0044,
            derived_from="what was spent before a call, and its bound",
        ),
        DerivedLimit(
            layer="platform",
            pattern="team:research-assistant",
            meter="usd",
            amount=17_300_000_000_000,
            sure_amount=17_300_000_000_000,
            window="month",
            derived_from="40,000 runs of $0.3548 on average, give or take 10 %",
        ),
    ),
    may_block=0.01,
    blocks=0.0093,
    blocks_interval=(0.0066, 0.0127),
    runs=COUNT,
    caps=(
        Cap(
            path="step:review_fanout/step:review_retry",
            kind="attempts",
            declared=3,
            enough=2,
            why="one more attempt would succeed in 1.3 of 100 cases",
        ),
    ),
    too_few=None,
    remarks=("step:search has no seconds, so time is not limited",),
)
COVERAGE = Coverage(
    columns=("none", "step", "fan-out", "retry", "output and token", "time", "cost", "all"),
    rows=(
        Row(
            pattern="runaway recursion",
            what="each loop goes on for 1,000 rounds",
            worst=(7_102.0, 36.0, 7_102.0, 7_102.0, 36.2, None, 6.55, 6.55),
            contained_by=("step", "cost", "all"),
        ),
        Row(
            pattern="token bloat",
            what="each reply is as long as the window lets it be",
            worst=(None, None, None, None, 360.0, None, None, 360.0),
            contained_by=(),
        ),
    ),
    declared=226.3,
)
OPEN = Coverage(
    columns=COVERAGE.columns,
    rows=tuple(
        [
            Row(pattern=pattern, what="something goes on and on", worst=(None,) * 8, contained_by=())
            for pattern in (
                "runaway recursion",
                "silent fan-out",
                "retry storm",
                "token bloat",
                "stuck workflow",
                "cost-latency coupling",
            )
        ]
    ),
    declared=None,
)
BARS = (
    Bar(what="stopping of agent_loop", low=0.31, high=-0.23),
    Bar(what="price of big", low=-0.198, high=0.199),
    Bar(what="documents", low=-0.0004, high=0.0004),
)


def made_study(**changed):
    usd = costs()
    found = {
        "forecast": made_forecast(),
        "limits": LIMITS,
        "limit_usd": 6.62,
        "coverage": COVERAGE,
        "outcomes": (
            Outcome(rule="no limit", usd=usd, blocked=0.0, degraded=0.0),
            Outcome(rule="stop", usd=np.minimum(usd, 6.62), blocked=0.0098, degraded=0.0),
            Outcome(rule="degrade", usd=np.minimum(usd, 5.3 + (usd - 5.3) / 5), blocked=0.0004, degraded=0.015),
        ),
        "tornado": BARS,
    }
    return Study(**(found | changed))


def _hostile():
    name = f"{SCRIPT}‮ {'a' * 80}"
    graph = (call(f"step:{'deep' * 20}/step:{SCRIPT}", Model(name=name, rates=(_RATE,))),)
    return made_forecast(
        workflow=Workflow(name=name, graph=graph, models={}),
        nodes=(node(graph[0].path, name, 1.0, 0.3548, 1.0, 1.0, 226.3),),
        month=None,
        remarks=(f"{SCRIPT}\x1b[31m\u202e",),
        why=f"{SCRIPT} & more",
    )


def _uncapped():
    scopes = ("step:left", "step:right", "step:dear", "step:again/step:once", "agent:helper/step:think")
    return made_forecast(
        workflow=Workflow(name="uncapped", graph=UNCAPPED, models={"big": BIG}),
        cost_usd=spread(0.3548, 0.832, 0.1201, 0.6288, 1.4131, 5.1156, 8.0084, None, "simulation"),
        tokens=spread(83_214.2, 181_000.0, 27_100, 152_000, 371_000, 1_412_000, 2_212_000, None, "simulation"),
        calls=spread(24.1, 23.2, 19, 41, 53, 88, 913, None, "simulation"),
        seconds=flat(0.0),
        nodes=tuple([node(scope, "big", 1.0, 0.07, 0.2, 0.2, None) for scope in scopes]),
        engine="simulation",
        why="4,096 runs were simulated, for the exact engine cannot: left has no max",
        unbounded=("left has no max", "again has no max", "helper has no max of levels", "fan has no max"),
        remarks=(),
        month=None,
    )


def _for_nothing():
    none = flat(0.0, 0.0)
    nodes = (node("step:search", None, 0.0, 0.0, 0.0, 0.0, 0.0),)
    workflow = Workflow(name="free", graph=(tool("step:search"),), models={})
    usd = np.zeros(COUNT)
    return made_forecast(
        workflow=workflow, cost_usd=none, tokens=none, calls=none, nodes=nodes, month=None, runs=runs_of(usd)
    )


def _half_for_nothing():
    usd = np.where(np.arange(COUNT) < COUNT * 0.6, 0.0, 0.02)
    cost = spread(0.008, 0.0098, 0.0, 0.02, 0.02, 0.02, 0.02, 0.02)
    return made_forecast(cost_usd=cost, runs=runs_of(usd))


def _always_alike():
    usd = np.full(COUNT, 0.021)
    return made_forecast(cost_usd=flat(0.021, 0.021), runs=runs_of(usd), nodes=NODES[:1])


def _dear():
    return made_forecast(
        cost_usd=spread(354_800.0, 832_000.0, 120_100.0, 628_800.0, 1_413_100.0, 5_115_600.0, 8_008_400.0, 2.26e9),
        runs=runs_of(costs() * 1e6),
    )


def _study_of(forecast, **changed):
    outcomes = (Outcome(rule="no limit", usd=forecast.runs.usd, blocked=0.0, degraded=0.0),)
    limits = Limits(
        all=(),
        may_block=0.01,
        blocks=0.0,
        blocks_interval=(0.0, 0.0009),
        runs=COUNT,
        caps=(),
        too_few="99 runs are needed for 1 %, and there are 50",
        remarks=("usd is not limited: left has no max",),
    )
    found = {"limits": limits, "limit_usd": None, "outcomes": outcomes, "tornado": ()}
    return made_study(forecast=forecast, **(found | changed))


CASES = {
    "usual": made_study,
    "hostile": lambda: _study_of(_hostile(), tornado=(Bar(what=SCRIPT * 3, low=-0.5, high=0.4),)),
    "uncapped": lambda: _study_of(_uncapped(), coverage=OPEN),
    "for_nothing": lambda: _study_of(_for_nothing()),
    "half_for_nothing": lambda: _study_of(_half_for_nothing()),
    "always_alike": lambda: _study_of(_always_alike()),
    "dear": lambda: _study_of(_dear(), limit_usd=6_620_000.0),
}
