"""
Workflows that the engines are measured on.
"""

from pathlib import Path

from solvent.forecast._counts import Count, Fixed, Lognormal, negative_binomial
from solvent.forecast._model import Branch, Call, Loop, Model, Option, Rate, Retry, Spawn, Tool, Workflow
from solvent.forecast.spec import read_workflow

EXAMPLES = Path(__file__).parents[2] / "examples" / "forecast"


def _model(name, *, input, output, cached=0.0):
    """
    Prices in cents for a million tokens.
    """
    price, out = input * 10_000, output * 10_000
    rate = Rate(input=price, output=out, cache_read=price // 10, cache_write=price * 5 // 4)
    return Model(name=name, rates=(rate,), cached=cached)


SMALL, BIG = _model("small", input=25, output=125), _model("big", input=300, output=1_500)


def tokens(p50, p95, most):
    return (Count(usual=Lognormal(p50=p50, p95=p95, most=most)),)


def _call(name, *, around="", prompt, output, model=SMALL, history=False):
    return Call(
        name=name,
        path=f"{around}step:{name}",
        model=model,
        prompt=tokens(*prompt),
        output=tokens(*output),
        history=history,
    )


def research():
    return read_workflow(EXAMPLES / "research.yaml")


def agent_loop(cached=0.0):
    """
    One agent of up to 50 rounds.
    """
    around = "step:agent_loop/"
    model = _model("big", input=300, output=1_500, cached=cached)
    agent = _call(
        "agent", around=around, prompt=(3_500, 5_200, 16_000), output=(150, 600, 4_096), model=model, history=True
    )
    result = Tool(name="tool", path=f"{around}step:tool", cost_nanodollars=500_000, result=tokens(600, 4_500, 16_000))
    loop = Loop(name="agent_loop", path="step:agent_loop", again=((0.9,),), most=50, grows=True, do=(agent, result))
    return Workflow(name="agent", graph=(loop,), models={"big": model})


def recursion(mean=1.2, levels=6):
    """
    Agents with a Poisson number of children each.
    """
    work = _call("work", around="agent:agent/", prompt=(2_000, 6_000, 20_000), output=(300, 900, 4_000), model=BIG)
    children = (Count(usual=negative_binomial(mean=mean, p95=None, least=0, most=None)),)
    agent = Spawn(name="agent", path="agent:agent", children=children, most=levels, do=(work,))
    return Workflow(name="recursion", graph=(agent,), models={"big": BIG})


def nested_retries():
    """
    A plan, whose steps are tried again one by one and all together.
    """
    around = "step:plan/step:write/"
    write = Retry(
        name="write", path="step:plan/step:write", fail=((0.3, 0.9, 0.95),), most=4,
        do=(_call("draft", around=around, prompt=(1_500, 4_000, 12_000), output=(400, 1_200, 4_096), model=BIG),),
    )  # fmt: skip
    judge = _call("judge", around="step:plan/", prompt=(900, 2_000, 9_000), output=(20, 60, 256))
    check = Branch(name="check", path="step:plan/branch:check", options=(Option(chance=(0.6,), do=(judge,)),))
    plan = Retry(name="plan", path="step:plan", fail=((0.2, 0.5),), most=3, do=(write, check))
    once = (Count(usual=Fixed(1_000)),)
    first = Call(name="first", path="step:first", model=SMALL, prompt=once, output=once)
    return Workflow(name="nested", graph=(first, plan), models={"small": SMALL, "big": BIG})


WORKFLOWS = {
    "research": research,
    "agent loop": agent_loop,
    "agent loop, cached": lambda: agent_loop(1.0),
    "agent loop, cached by chance": lambda: agent_loop(0.9),
    "recursion": recursion,
    "nested retries": nested_retries,
}
