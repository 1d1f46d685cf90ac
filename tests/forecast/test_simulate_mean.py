"""
Means of simulated runs are the exact ones: whatever is drawn evenly is drawn without a leaning.
"""

from pathlib import Path

import numpy as np
import pytest

from solvent.forecast.moments import moments
from solvent.forecast.simulate import Rules, simulate
from solvent.forecast.spec import read_workflow

RESEARCH = Path(__file__).parents[2] / "examples" / "forecast" / "research.yaml"
MEASURES = ("usd", "tokens", "calls")


def errors_of(workflow, *, seeds, runs, rules=None):
    """
    How many of its own standard errors the mean over all seeds is from the exact one, by measure.
    """
    found = [simulate(workflow, runs=runs, seed=seed, rules=rules) for seed in range(seeds)]
    errors = {}
    for measure in MEASURES:
        means = np.array([getattr(one, measure).mean() for one in found])
        errors[measure] = (means.mean() - moments(workflow, measure).mean) / (means.std(ddof=1) / seeds**0.5)
    return errors


@pytest.mark.slow
def test_the_mean_of_a_few_seeds_is_the_exact_one():
    errors = errors_of(read_workflow(RESEARCH), seeds=24, runs=2**10)
    assert max(map(abs, errors.values())) < 4, errors


@pytest.mark.long
@pytest.mark.parametrize(("rules", "runs"), [(None, 100_000), (Rules(usd=1e9), 2**12)], ids=["flat", "stepwise"])
def test_the_mean_of_a_hundred_seeds_is_the_exact_one(rules, runs):
    errors = errors_of(read_workflow(RESEARCH), seeds=100, runs=runs, rules=rules)
    assert max(map(abs, errors.values())) < 4, errors
