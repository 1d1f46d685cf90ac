"""
Limits by order alone: ranks, how many runs they need, and that the promise holds for the next run, whatever the
distribution is.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent.forecast._conformal import (
    beta_quantile,
    beta_reached,
    joint_limits,
    rank,
    runs_needed,
    share_interval,
    sure_rank,
)

MAY_PASS = 0.01


def binomial_reached(a, b, at):
    """
    The incomplete beta function of whole numbers, in fractions.
    """
    count, chance = a + b - 1, Fraction(at)
    return sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(a, count + 1))


def drawn(random, runs):
    """
    Six figures of runs that hang together: tails of several weights, and whole numbers with ties.
    """
    common = random.standard_normal(runs)
    figures = [np.exp(common + scatter * random.standard_normal(runs)) for scatter in (0.1, 0.5, 1.0, 1.0, 2.0)]
    return [*figures, np.floor(np.exp(common))]


def passing(figures, limits):
    return float(np.mean(np.any([figure > limit for figure, limit in zip(figures, limits, strict=True)], axis=0)))


@pytest.mark.parametrize(("may_pass", "plain", "sure"), [(0.05, 19, 59), (0.01, 99, 299), (0.001, 999, 2995)])
def test_the_dearest_run_is_a_limit_from_so_many_runs_on(may_pass, plain, sure):
    assert runs_needed(may_pass) == plain
    assert (rank(may_pass, plain), rank(may_pass, plain - 1)) == (plain, plain)
    assert runs_needed(may_pass, confidence=0.95) == sure
    assert (sure_rank(may_pass, sure), sure_rank(may_pass, sure - 1)) == (sure, sure)


@given(st.floats(0.001, 0.5), st.integers(1, 5_000))
def test_a_sure_limit_is_no_lower(may_pass, runs):
    assert rank(may_pass, runs) <= sure_rank(may_pass, runs) <= runs + 1


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.001, 0.999))
@settings(max_examples=60)
def test_the_incomplete_beta_function_is_that_of_fractions(a, b, at):
    assert beta_reached(a, b, at) == pytest.approx(float(binomial_reached(a, b, at)), abs=1e-13)


def test_the_incomplete_beta_function_holds_for_large_numbers():
    # A normal distribution: half of it lies below its middle, and 97.5 % below 1.96 deviations above.
    runs = 1_000_000
    assert beta_reached(runs, runs, 0.5) == pytest.approx(0.5, abs=1e-9)
    assert beta_reached(runs, runs, 0.5 + 1.959964 / math.sqrt(8 * runs)) == pytest.approx(0.975, abs=1e-6)
    assert beta_reached(2, 3, 0.0) == 0
    assert beta_reached(2, 3, 1.0) == 1


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_a_quantile_is_where_the_function_reaches_it(a, b, share):
    assert beta_reached(a, b, beta_quantile(a, b, share)) == pytest.approx(share, abs=1e-9)


def test_the_interval_of_a_share_is_the_one_of_the_tables():
    # Source: Clopper and Pearson (1934), as tables of binomial intervals print it for 10 of 100 and 0 of 10.
    assert share_interval(10, 100) == pytest.approx((0.0490, 0.1762), abs=1e-4)
    assert share_interval(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert share_interval(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)


def test_joint_limits_hold_for_all_figures_together():
    random = np.random.default_rng(5)
    level = joint_limits(drawn(random, 20_000), MAY_PASS)

    assert level.is_found
    assert 0.7 * MAY_PASS <= passing(drawn(random, 100_000), level.limits) <= 1.3 * MAY_PASS


def test_sure_joint_limits_are_no_lower():
    figures = drawn(np.random.default_rng(5), 5_000)
    plain, sure = joint_limits(figures, MAY_PASS), joint_limits(figures, MAY_PASS, rank_of=sure_rank)
    assert all(one >= other for one, other in zip(sure.limits, plain.limits, strict=True))
    assert sure.limits[0] > plain.limits[0]


@given(st.lists(st.lists(st.integers(0, 9), min_size=40, max_size=40), min_size=1, max_size=4), st.floats(0.05, 0.5))
def test_the_unit_of_a_figure_changes_nothing(figures, may_pass):
    of = [np.array(figure, np.float64) for figure in figures]
    level = joint_limits(of, may_pass)
    scaled = joint_limits([10.0**at * figure for at, figure in enumerate(of)], may_pass)
    assert scaled.is_found == level.is_found
    assert scaled.limits == pytest.approx([10.0**at * limit for at, limit in enumerate(level.limits)])


def test_too_few_runs_have_their_largest_figures_for_limits():
    of = [np.arange(20.0), np.arange(20.0)[::-1] + 5]
    level = joint_limits(of, MAY_PASS)
    assert (level.limits, level.is_found) == ((19.0, 24.0), False)
    assert joint_limits([np.ones(1)], MAY_PASS).limits == (1.0,)


def test_a_limit_above_all_ranked_figures_is_as_far_above_each():
    # So few runs that the level lies above the ranks: by how many times the largest one, in the figure that needs most.
    random = np.random.default_rng(1)
    figures = [np.ones(200), 5 * np.ones(200)]
    order = np.random.Generator(np.random.SFC64(0)).permutation(200)
    figures[1][order[100:110]] = 15 + random.random(10)
    level = joint_limits(figures, 0.01)
    assert level.is_found
    assert level.limits == pytest.approx((figures[1].max() / 5, figures[1].max()))


def test_what_ends_runs_anyway_leaves_less_for_the_limits():
    random = np.random.default_rng(3)
    figures = drawn(random, 20_000)
    ended = figures[0] > np.quantile(figures[0], 0.994)
    level = joint_limits(figures[1:], MAY_PASS, passed_anyway=ended)
    together = ended | np.any([figure > limit for figure, limit in zip(figures[1:], level.limits, strict=True)], axis=0)
    assert 0.85 * MAY_PASS <= together.mean() <= 1.15 * MAY_PASS
    assert not joint_limits(figures, MAY_PASS, passed_anyway=figures[0] > np.median(figures[0])).is_found


@pytest.mark.long
@pytest.mark.parametrize("runs", [200, 1_000, 5_000])
def test_the_promise_holds_on_average_over_repetitions(runs):
    # Finite-sample validity: over all draws of the runs and of the next one, at most may_pass; and the sure limits are
    # above it in at most 5 of 100 repetitions.
    random = np.random.default_rng(runs)
    may_pass = max(MAY_PASS, 10 / runs)
    fresh = drawn(random, 200_000)
    plain, sure = [], []
    for _ in range(400):
        figures = drawn(random, runs)
        plain.append(passing(fresh, joint_limits(figures, may_pass).limits))
        sure.append(passing(fresh, joint_limits(figures, may_pass, rank_of=sure_rank).limits))

    assert np.mean(plain) <= may_pass + 2 * np.std(plain) / math.sqrt(len(plain))
    assert np.mean(plain) >= 0.6 * may_pass
    assert np.mean(np.array(sure) > may_pass) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / len(sure))
    if runs >= 1_000:
        assert np.mean(np.array(plain) > may_pass) > 0.2  # So the sure ones are not had for nothing.
