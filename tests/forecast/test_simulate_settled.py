"""
Where chance has no say, a simulated run is the run that is played in plain words, to the last figure.
"""

from math import inf
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace
from plain import play
from workflows import settled

from solvent.forecast.simulate import Rules, simulate

COUNTS = ("tokens", "input_tokens", "output_tokens", "calls", "retries", "branches")
FIGURES = (*COUNTS, "usd", "seconds", "peak_usd", "peak_tokens")
OF_SCOPES = ("usd", "usd_peak", "tokens", "tokens_peak", "calls", "retries", "rounds", "rounds_most")
RUNS = 4  # Of two classes each has some.
RULES = {"all at once": None, "step by step": Rules(usd=inf)}


def of_class(workflow, index):
    """
    The workflow in which all inputs are of one class.
    """
    shares = tuple((name, float(number == index)) for number, (name, _) in enumerate(workflow.classes))
    return replace(workflow, classes=shares)


def same(found, expected):
    return pytest.approx(expected, rel=1e-9, abs=1e-9) == found


def assert_plays(workflow, rules):
    runs = simulate(workflow, runs=RUNS, seed=1, rules=rules)
    played = {index: play(of_class(workflow, index), Random(1)) for index in set(runs.class_index.tolist())}
    for number, index in enumerate(runs.class_index.tolist()):
        plain = played[index]
        for name in FIGURES:
            assert same(getattr(runs, name)[number], getattr(plain, name)), name
        for path, usd in runs.nodes.items():
            assert same(usd[number], plain.nodes.get(path, 0.0)), path
        for path, scope in runs.scopes.items():
            for name in OF_SCOPES:
                expected = getattr(plain.scopes[path], name) if path in plain.scopes else 0
                assert same(getattr(scope, name)[number], expected), (path, name)
    assert same(runs.largest_bound_usd, max(plain.largest_bound_usd for plain in played.values()))
    assert runs.largest_input_tokens == max(plain.largest_input_tokens for plain in played.values())
    assert not runs.blocked.any()


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(workflow=settled())
def test_a_settled_run_is_the_plain_one(workflow, rules):
    assert_plays(workflow, rules)


@pytest.mark.long
@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
@settings(max_examples=1_500, deadline=None, suppress_health_check=list(HealthCheck))
@given(workflow=settled(depth=4))
def test_any_settled_run_is_the_plain_one(workflow, rules):
    assert_plays(workflow, rules)
