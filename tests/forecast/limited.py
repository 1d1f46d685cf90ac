"""
Workflows and records of runs that tests of limits are made of.
"""

from pathlib import Path

import numpy as np

from solvent.forecast._counts import Count, Fixed, Lognormal
from solvent.forecast._model import Call, Model, Rate, Workflow
from solvent.forecast.simulate import Runs, ScopeRuns
from solvent.forecast.spec import read_workflow

RESEARCH = Path(__file__).parent.parent.parent / "examples" / "forecast" / "research.yaml"
RATE = Rate(input=3_000_000, output=15_000_000, cache_read=3_000_000, cache_write=3_000_000)


def workflow_of(tmp_path, text, *, name="bot"):
    """
    A workflow as its file says it, with a model of its own.
    """
    head = f"workflow: {name}\nmodels: {{big: {{input: 3.00, output: 15.00}}, mid: {{input: 1.00, output: 5.00}}}}\n"
    path = tmp_path / "bot.yaml"
    path.write_text(head + text)
    return read_workflow(path)


def one_call(**fields):
    """
    A workflow of one call, which no run is different in.
    """
    model = Model(name="big", rates=(RATE,))
    count = (Count(usual=Fixed(100)),) * max(1, len(fields.get("classes", ())))
    call = Call(name="ask", path="step:ask", model=model, prompt=count, output=count)
    return Workflow(**{"name": "bot", "graph": (call,), "models": {"big": model}, **fields})


def runs_of(count, **figures):
    """
    Records of runs: what is not given, each has 1 of, and none of what is rare.
    """
    ones, none = np.ones(count, np.int64), np.zeros(count, np.int64)
    names = {"usd", "tokens", "input_tokens", "output_tokens", "calls", "seconds", "peak_usd", "peak_tokens"}
    columns = dict.fromkeys(names, ones) | dict.fromkeys(("retries", "branches", "class_index"), none)
    return Runs(
        **{
            **columns,
            "blocked": np.zeros(count, np.bool_),
            "degraded": np.zeros(count, np.bool_),
            "nodes": {},
            "scopes": {},
            "largest_bound_usd": 1.0,
            "largest_input_tokens": 1,
            **figures,
        }
    )


def scope_of(count, **figures):
    ones = np.ones(count, np.int64)
    names = ("usd", "usd_peak", "tokens", "tokens_peak", "calls", "retries", "rounds", "rounds_most")
    return ScopeRuns(**{**dict.fromkeys(names, ones), **figures})


def some_tokens(p50, p95, most):
    return (Count(usual=Lognormal(p50=p50, p95=p95, most=most)),)
