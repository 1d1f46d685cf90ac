"""
Blocks in short, and workflows so small that all they can spend can be enumerated.
"""

from functools import cache

from enumerated import spends

from solvent.forecast._counts import Count, Fixed, OneOf, Rare
from solvent.forecast._model import (
    Branch,
    Call,
    Compaction,
    Loop,
    Map,
    Model,
    Option,
    Par,
    Rate,
    Retry,
    Spawn,
    Tool,
    Workflow,
)


def model(name="m", *, cached=0.0, above=None, **prices):
    """
    Prices in thousands of picodollars, so that all of a small workflow lies on few points.
    """
    found = {"input": 2, "output": 5, "cache_read": 1, "cache_write": 3, **prices}
    rates = (Rate(**{kind: price * 1_000 for kind, price in found.items()}),)
    if above:
        rates += (Rate(above=above, **{kind: price * 2_000 for kind, price in found.items()}),)
    return Model(name=name, rates=rates, cached=cached)


def count(*values, rare=None):
    """
    One of a few values, alike, or each as ``(value, chance)``.
    """
    if len(values) == 1 and not isinstance(values[0], tuple):
        return (Count(usual=Fixed(values[0]), rare=rare),)
    pairs = [value if isinstance(value, tuple) else (value, 1 / len(values)) for value in values]
    return (Count(usual=OneOf(tuple([value for value, _ in pairs]), tuple([share for _, share in pairs])), rare=rare),)


def call(name="call", *, prompt=(1, 2), output=(1, 3), of=None, history=False):
    return Call(
        name=name,
        path=f"step:{name}",
        model=of or model(),
        prompt=count(*prompt),
        output=count(*output),
        history=history,
    )


def tool(name="tool", *, cost=3, result=None):
    return Tool(name=name, path=f"step:{name}", cost_nanodollars=cost, result=result and count(*result))


def branch(*options):
    return Branch(
        name="branch", path="branch:branch", options=tuple([Option(chance=(share,), do=do) for share, do in options])
    )


def retry(*do, fail=(0.3,), most=3):
    return Retry(name="retry", path="step:retry", fail=(fail,), most=most, do=do)


def loop(*do, again=(0.6,), most=3, grows=False, compaction=None):
    return Loop(name="loop", path="step:loop", again=(again,), most=most, grows=grows, compaction=compaction, do=do)


def fan_out(*do, over=(0, 1, 3), most=None):
    items = over if isinstance(over, str) else count(*over)
    return Map(name="map", path="step:map", over=items, most=most, concurrency=None, do=do)


def spawn(*do, children=(0, 1, 2), most=3):
    return Spawn(name="agent", path="agent:agent", children=count(*children), most=most, do=do)


def par(*parts):
    return Par(name="par", path="par:par", parts=parts)


def workflow(*graph, **fields):
    return Workflow(name="small", graph=graph, models={}, **fields)


def by_class(block, easy, hard):
    """
    The same call with another count of output tokens for each class.
    """
    return Call(
        name=block.name,
        path=block.path,
        model=block.model,
        history=block.history,
        prompt=block.prompt * 2,
        output=(*count(*easy), *count(*hard)),
    )


TWO_CLASSES = (("easy", 0.75), ("hard", 0.25))

SMALL = {
    "one call": workflow(call()),
    "nothing": workflow(branch((0.2, (tool(cost=0),)))),
    "rates by size": workflow(call(prompt=(1, 4, 9), of=model(above=4))),
    "branch": workflow(call(), branch((0.2, (call("a"), tool())), (0.3, (call("b", prompt=(7,)),)))),
    "retry that sticks": workflow(retry(call(), fail=(0.1, 0.8, 0.9), most=4)),
    "retry in retry": workflow(retry(retry(call(), fail=(0.5,), most=2), tool(cost=7), fail=(0.2, 0.6), most=2)),
    "loop": workflow(loop(call(), branch((0.5, (call("b", prompt=(5,)),))), again=(0.9, 0.2), most=3)),
    "growing": workflow(loop(call(history=True), tool(result=(0, 2, 5)), grows=True, most=4)),
    "growing, cached": workflow(
        loop(call(history=True, of=model(cached=1.0)), tool(result=(0, 2, 5)), grows=True, most=4)
    ),
    "growing, cached by chance": workflow(
        loop(call(history=True, of=model(cached=0.7)), tool(result=(0, 5)), grows=True, most=4)
    ),
    "growing, of two models": workflow(
        loop(
            call("a", history=True),
            tool(result=(1, 4)),
            call("b", history=True, prompt=(3,), of=model(input=7)),
            grows=True,
            most=3,
        )
    ),
    "growing, of two models, cached": workflow(
        loop(
            call("a", history=True, prompt=(2,), of=model(cached=1.0)),
            tool(result=(1, 4)),
            branch((0.5, (call("b", history=True, prompt=(3, 8), of=model(cached=1.0, cache_write=9)),))),
            grows=True,
            most=3,
        )
    ),
    "growing, with a retry": workflow(
        loop(retry(call(prompt=(2,), history=True), tool(result=(1, 4)), fail=(0.2,), most=2), tool(), grows=True)
    ),
    "growing, with a branch, cached by chance": workflow(
        loop(
            branch((0.6, (call(history=True, of=model(cached=0.5)),)), (0.2, (tool(result=(3,)), call("c")))),
            call("last"),
            grows=True,
            most=3,
        )
    ),
    "growing in growing": workflow(
        loop(
            call("a", history=True, prompt=(2,)),
            loop(call("b", history=True, output=(2,)), grows=True, most=2),
            grows=True,
            most=2,
        )
    ),
    "map": workflow(fan_out(call(), retry(tool(), fail=(0.5,), most=2))),
    "map of an input": workflow(
        branch((0.9, (fan_out(call(), over="items", most=4),))),
        inputs={"items": count(1, 2, rare=Rare(share=0.1, least=4, most=6))},
    ),
    "maps of one input": workflow(
        fan_out(call(prompt=(2,)), over="items"),
        par((fan_out(tool(cost=5), over="items"),), (tool("between"), fan_out(call("b", output=(7,)), over="items"))),
        inputs={"items": count(0, 1, 3), "others": count(2)},
    ),
    "par": workflow(par((call("a"), tool()), (loop(call("b"), most=2),))),
    "spawn": workflow(spawn(call(prompt=(1,)), tool())),
    "classes": workflow(
        by_class(call(prompt=(2,)), (1,), (40, 90)),
        fan_out(call("b"), over=(0, 2)).__class__(
            name="map",
            path="step:map",
            over=(*count(1), *count(1, 2)),
            most=None,
            concurrency=None,
            do=(by_class(call("c"), (1, 2), (7,)),),
        ),
        classes=TWO_CLASSES,
    ),
}

TOO_HARD = {
    "map in a loop of an input": (
        workflow(loop(fan_out(call(), over="items"), most=2), inputs={"items": count(1, 2)}),
        "items is used in something that comes again, each time with the same number",
    ),
    "two maps of an input, one of them by chance": (
        workflow(
            fan_out(call("a"), over="items"),
            branch((0.5, (fan_out(call("b"), over="items"),))),
            inputs={"items": count(1, 2)},
        ),
        "items is used 2 times, by chance or with another max, but is the same number",
    ),
    "two maps of an input": (
        workflow(
            fan_out(call("a"), over="items"), fan_out(call("b"), over="items", most=1), inputs={"items": count(1, 2)}
        ),
        "items is used 2 times, by chance or with another max, but is the same number",
    ),
    "compaction": (
        workflow(
            loop(
                call(history=True, of=model(cached=1.0)),
                tool(result=(0, 5)),
                grows=True,
                most=4,
                compaction=Compaction(at=9, to=count(1, 2)),
            )
        ),
        "loop may sum up its history",
    ),
    "compaction that may not come": (
        workflow(
            loop(
                call(prompt=(2,), output=(1, 4), history=True),
                again=(1.0,),
                most=3,
                grows=True,
                compaction=Compaction(at=6, to=count(3)),
            )
        ),
        "loop may sum up its history",
    ),
    "compaction, cached by chance": (
        workflow(
            loop(
                retry(call(history=True, of=model(cached=0.5)), most=2, fail=(0.5,)),
                tool(result=(0, 5)),
                grows=True,
                most=2,
                compaction=Compaction(at=5, to=count(1, 2)),
            )
        ),
        "loop may sum up its history",
    ),
    "rates by size of a history": (
        workflow(loop(call(history=True, of=model(above=9)), grows=True, most=4)),
        "call in loop may pay another rate once its history is above 9 tokens",
    ),
    "two calls that find the cache by chance": (
        workflow(
            loop(
                call("a", history=True, of=model(cached=0.5)),
                call("b", history=True, of=model(cached=0.5)),
                grows=True,
                most=2,
            )
        ),
        "loop has more than one call a round, and finds its cache by chance",
    ),
}

ALL = {**SMALL, **{name: found for name, (found, _) in TOO_HARD.items()}}


@cache
def outcomes(name, measure="usd"):
    return spends(ALL[name], measure)
