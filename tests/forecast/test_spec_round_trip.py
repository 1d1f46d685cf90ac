"""
Any workflow that is written down as the page says is read back as the same one.
"""

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solvent.forecast import _model as model
from solvent.forecast._counts import Count, Fixed, Lognormal, OneOf, Rare
from solvent.forecast.spec import read_workflow

CLASSES = (("small", 0.6), ("large", 0.4))
RATE = model.Rate(input=1_000_000, output=2_000_000, cache_read=100_000, cache_write=1_250_000)
MODEL = model.Model(name="m", rates=(RATE,), cached=0.9, window=200_000, source="flow.yaml:4")
SHARES = st.sampled_from([0.0, 0.005, 0.25, 0.5])
CAPS = st.sampled_from([None, 1, 50])


LOGNORMAL = Lognormal(p50=90.0, p95=350.0, most=4_000)
COUNTS = st.sampled_from(
    [
        Count(usual=Fixed(0)),
        Count(usual=Fixed(7)),
        Count(usual=LOGNORMAL),
        Count(usual=LOGNORMAL, rare=Rare(share=0.005, least=5_000, most=6_000)),
        Count(usual=Lognormal(p50=3.0, p95=9.0, most=None)),
        Count(usual=OneOf((0, 3), (0.25, 0.75))),
        Count(usual=OneOf((2,), (1.0,)), rare=Rare(share=0.5, least=3, most=3)),
    ]
)
BY_CLASS = st.tuples(COUNTS, COUNTS)
REPEATS = st.tuples(*[st.lists(SHARES, min_size=1, max_size=3).map(tuple)] * 2)
SECONDS = st.sampled_from([None, model.Quantiles(p50=0.5, p95=2.0), model.Quantiles(p50=0.5, p95=2.0, most=9.0)])


def below(path, kind, name):
    return f"{path}/{kind}:{name}" if path else f"{kind}:{name}"


@st.composite
def blocks(draw, names, path="", *, depth=2, grows=False):
    return tuple([draw(block(names, path, depth=depth, grows=grows)) for _ in range(draw(st.integers(1, 2)))])


@st.composite
def block(draw, names, path, *, depth, grows):
    kinds = ["call", "tool", *(["branch", "loop", "map", "par", "retry", "spawn"] if depth else [])]
    kind, name = draw(st.sampled_from(kinds)), f"b{next(names)}"

    def inside(scope, **more):
        return draw(blocks(names, below(path, scope, name) if scope else path, depth=depth - 1, **more))

    step = below(path, "step", name)
    match kind:
        case "call":
            pace = st.just(model.Paced(first_token=0.5, per_output_token=0.25))
            return model.Call(
                name=name,
                path=step,
                model=MODEL,
                prompt=draw(BY_CLASS),
                output=draw(BY_CLASS),
                history=grows and draw(st.booleans()),
                seconds=draw(SECONDS | pace),
            )
        case "tool":
            cost, result = draw(st.integers(0, 10**10)), draw(BY_CLASS) if grows and draw(st.booleans()) else None
            return model.Tool(name=name, path=step, cost_nanodollars=cost, result=result, seconds=draw(SECONDS))
        case "branch":
            options = [
                model.Option(chance=draw(st.tuples(SHARES, SHARES)), do=inside("", grows=grows)) for _ in range(2)
            ]
            return model.Branch(name=name, path=below(path, "branch", name), options=tuple(options))
        case "par":
            return model.Par(name=name, path=below(path, "par", name), parts=(inside(""), inside("")))
        case "retry":
            return model.Retry(
                name=name, path=step, fail=draw(REPEATS), most=draw(CAPS), do=inside("step", grows=grows)
            )
        case "loop":
            grows = draw(st.booleans())
            do = inside("step", grows=grows)
            if grows:
                name_of_call = f"b{next(names)}"
                call = model.Call(
                    name=name_of_call,
                    path=f"{step}/step:{name_of_call}",
                    model=MODEL,
                    prompt=draw(BY_CLASS),
                    output=draw(BY_CLASS),
                    history=True,
                )
                do = (call, *do)
            compaction = model.Compaction(at=10_000, to=draw(BY_CLASS)) if grows and draw(st.booleans()) else None
            return model.Loop(
                name=name, path=step, again=draw(REPEATS), most=draw(CAPS), grows=grows, compaction=compaction, do=do
            )
        case "map":
            over = draw(BY_CLASS | st.just("items"))
            cap = draw(CAPS)
            return model.Map(name=name, path=step, over=over, most=cap, concurrency=draw(CAPS), do=inside("step"))
        case "spawn":
            return model.Spawn(
                name=name,
                path=below(path, "agent", name),
                children=draw(BY_CLASS),
                most=draw(st.integers(1, 3)),
                concurrency=draw(CAPS),
                do=inside("agent"),
            )


def percent(share):
    return f"{share * 100:.9g}%"


def cap(most):
    return "none" if most is None else str(most)


def written_count(by_class):
    return {name: _written_count(count) for (name, _), count in zip(CLASSES, by_class, strict=True)}


def _written_count(count):
    match count.usual:
        case Fixed(value):
            return str(value)
        case OneOf(values, chances):
            form = {"one_of": {str(value): percent(chance) for value, chance in zip(values, chances, strict=True)}}
        case Lognormal() as usual:
            form = {"p50": str(int(usual.p50)), "p95": str(int(usual.p95)), "max": cap(usual.most)}
    if count.rare is not None:
        rare = count.rare
        form["rare"] = {"share": percent(rare.share), "from": str(rare.least), "to": str(rare.most)}
    return form


def written_chances(by_class):
    return {name: [percent(share) for share in shares] for (name, _), shares in zip(CLASSES, by_class, strict=True)}


def written_seconds(seconds):
    if seconds is None:
        return {}
    names = {"p50": "p50", "p95": "p95", "most": "max"}
    said = {names.get(name, name): getattr(seconds, name) for name in seconds.__struct_fields__}
    return {"seconds": {name: str(value) for name, value in said.items() if value is not None}}


def written(block, *, grows=False):
    match block:
        case model.Call():
            apart = {"history": "none"} if grows and not block.history else {}
            prompt, output = written_count(block.prompt), written_count(block.output)
            settings = {"model": "m", "prompt": prompt, "output": output, **apart, **written_seconds(block.seconds)}
            return {"call": block.name, **settings}
        case model.Tool():
            result = {} if block.result is None else {"result": written_count(block.result)}
            cost = f"{block.cost_nanodollars // 10**9}.{block.cost_nanodollars % 10**9:09d}"
            return {"tool": block.name, "cost": cost, **result, **written_seconds(block.seconds)}
        case model.Branch():
            options = [
                {"share": [percent(share) for share in option.chance], "do": do(option.do, grows=grows)}
                for option in block.options
            ]
            return {"branch": block.name, "either": options}
        case model.Par():
            return {"par": block.name, "parts": [do(part) for part in block.parts]}
        case model.Retry():
            fail = written_chances(block.fail)
            return {"retry": block.name, "fail": fail, "max": cap(block.most), "do": do(block.do, grows=grows)}
        case model.Loop():
            history = {"history": "grows"} if block.grows else {}
            if block.compaction is not None:
                history["compact"] = {"at": str(block.compaction.at), "to": written_count(block.compaction.to)}
            again = written_chances(block.again)
            inside = do(block.do, grows=block.grows)
            return {"loop": block.name, "again": again, "max": cap(block.most), **history, "do": inside}
        case model.Map():
            over = block.over if isinstance(block.over, str) else written_count(block.over)
            caps = {"max": cap(block.most), "concurrency": cap(block.concurrency)}
            return {"map": block.name, "over": over, **caps, "do": do(block.do)}
        case model.Spawn():
            caps = {"max": cap(block.most), "concurrency": cap(block.concurrency)}
            return {"spawn": block.name, "children": written_count(block.children), **caps, "do": do(block.do)}


def do(blocks, *, grows=False):
    return [written(block, grows=grows) for block in blocks]


@st.composite
def graphs(draw):
    return draw(blocks(iter(range(1_000))))


@pytest.mark.slow
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), items=BY_CLASS)
def test_what_is_written_is_what_is_read(tmp_path_factory, graph, items):
    used = any(isinstance(block, model.Map) and block.over == "items" for block in model.every(graph))
    envelope = {"size": {name: percent(share) for name, share in CLASSES}}
    if used:
        envelope["items"] = written_count(items)
    text = f"""\
workflow: w
envelope: {yaml.safe_dump(envelope, default_flow_style=True, sort_keys=False, width=10**9).strip()}
models:
  m: {{input: 1, output: 2, cache_read: 0.1, cache_write: 1.25, cached: 90%, window: 200k}}
{yaml.safe_dump({"graph": do(graph)}, sort_keys=False)}"""
    path = tmp_path_factory.getbasetemp() / "flow.yaml"
    path.write_text(text)

    workflow = read_workflow(path)

    assert workflow.graph == graph
    assert workflow.classes == CLASSES
    assert workflow.inputs == ({"items": items} if used else {})
