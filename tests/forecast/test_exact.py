from itertools import accumulate

import pytest
import reference
import small
from enumerated import ONE, mean_of, sd_of, spends
from hypothesis import given, settings
from random_workflows import workflows

from solvent.forecast._counts import Count, Fixed, Lognormal, NegativeBinomial, OneOf, Rare
from solvent.forecast._weights import MEASURES
from solvent.forecast.bounds import bounds
from solvent.forecast.exact import NotExact, exact, why_not
from solvent.forecast.moments import moments

QUANTILES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
FITS = 2**16  # Cells enough for a small workflow to lie on them.


def reached_by(found):
    return list(zip(found, accumulate(found.values()), strict=True))


def quantile_of(found, share):
    return next(spent for spent, reached in reached_by(found) if reached >= share * (1 - 1e-12)) / ONE


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", small.SMALL)
def test_a_small_workflow_spends_what_its_outcomes_say(name, measure):
    workflow = small.SMALL[name]
    found = small.outcomes(name, measure)

    distribution = exact(workflow, measure, cells=FITS)

    assert max(abs(distribution.reached(spent / ONE) - reached) for spent, reached in reached_by(found)) <= 1e-12
    assert distribution.mean == pytest.approx(mean_of(found), rel=1e-12)
    assert distribution.sd == pytest.approx(sd_of(found), rel=1e-9, abs=1e-9 * mean_of(found))
    assert distribution.least == pytest.approx(min(found) / ONE)
    assert distribution.most == pytest.approx(max(found) / ONE)
    for share in QUANTILES:
        assert distribution.quantile(share) == pytest.approx(quantile_of(found, share), rel=1e-12)


def test_between_its_outcomes_nothing_is_reached():
    distribution = exact(small.workflow(small.tool(cost=3)))

    assert distribution.reached(2.999e-9) == 0
    assert distribution.reached(3e-9) == pytest.approx(1)
    assert distribution.reached(-1) == 0


@pytest.mark.parametrize("cells", [32, 256])
@pytest.mark.parametrize("name", small.SMALL)
def test_no_quantile_is_outside_of_its_certified_bounds(name, cells):
    workflow = small.SMALL[name]
    found = small.outcomes(name)
    down, up = exact(workflow, cells=cells, side="down"), exact(workflow, cells=cells, side="up")

    for share in QUANTILES:
        truth = quantile_of(found, share)
        assert down.quantile(share) <= truth * (1 + 1e-12)
        assert up.quantile(share) >= truth * (1 - 1e-12)


@pytest.mark.parametrize("cells", [64, 256])
@pytest.mark.parametrize("name", small.SMALL)
def test_on_too_coarse_a_grid_the_mean_stays(name, cells):
    workflow = small.SMALL[name]

    assert exact(workflow, cells=cells).mean == pytest.approx(moments(workflow).mean, rel=1e-6)


def test_too_few_cells_for_all_that_is_rounded_up_are_refused():
    many = small.workflow(*[small.tool(f"tool{number}", cost=number) for number in range(1, 100)])

    with pytest.raises(NotExact, match="64 cells are too few to round so many calls"):
        exact(many, cells=64, side="up")
    assert exact(many, cells=1_024, side="up").quantile(0.5) >= 4.95e-6 >= exact(many, cells=64, side="down").mean


def test_a_count_without_end_that_cannot_be_listed_is_said():
    endless = (Count(usual=Lognormal(p50=10_000, p95=1_000_000, most=None)),)
    call = small.Call(name="call", path="step:call", model=small.model(), prompt=endless, output=endless)

    reason = "a count through a p50 of 10,000 and a p95 of 1,000,000 has no max: it is too wide to be listed"
    assert why_not(small.workflow(call)) == reason
    with pytest.raises(NotExact):
        moments(small.workflow(call))


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (Count(usual=OneOf((1, 10**9), (0.5, 0.5))), "a count from 1 to 1,000,000,000 is too wide to be listed"),
        (
            Count(usual=Fixed(1), rare=Rare(share=0.1, least=5, most=10**10)),
            "a count from 1 to 10,000,000,000 is too wide to be listed",
        ),
        (
            Count(usual=NegativeBinomial(mean=5e6, size=2)),
            "a count with a mean of 5,000,000 is too large to be listed",
        ),
    ],
)
def test_a_count_too_wide_for_any_memory_is_said(count, reason):
    call = small.Call(name="call", path="step:call", model=small.model(), prompt=(count,), output=small.count(1))

    assert why_not(small.workflow(call)) == reason


@pytest.mark.parametrize("name", small.TOO_HARD)
def test_what_cannot_be_found_exactly_is_said_in_a_sentence(name):
    workflow, reason = small.TOO_HARD[name]

    assert why_not(workflow) == reason
    with pytest.raises(NotExact, match=reason):
        exact(workflow)
    with pytest.raises(NotExact, match=reason):
        moments(workflow)


def test_agents_that_may_never_end_are_no_matter_of_formulas():
    endless = small.workflow(small.spawn(small.tool(), children=(1, 2), most=None))

    assert why_not(endless) == "agent has no max, and 1.5 children on average: it may never end"


def test_a_history_that_goes_on_in_too_many_ways_is_left_to_simulation():
    by_chance = small.call(history=True, of=small.model(cached=0.5))
    long = small.workflow(small.loop(by_chance, again=(0.99,), most=200, grows=True))
    wide = small.workflow(small.loop(small.retry(by_chance, fail=(0.9,), most=200), most=3, grows=True))

    assert why_not(long) == "loop may go on in more than 5,000 ways"
    assert why_not(wide) == "loop may go on in more than 400 ways"


def test_a_loop_of_thousands_of_rounds_is_exact():
    long = small.workflow(small.loop(small.tool(cost=1), again=(0.999,), most=4_000))

    assert exact(long).quantile(1) == pytest.approx(4e-6)
    assert exact(long).reached(1e-6) == pytest.approx(1 - 0.999**1_000, rel=1e-12)


def test_another_rate_hinders_only_what_is_in_dollars():
    workflow, _ = small.TOO_HARD["rates by size of a history"]

    assert why_not(workflow, "tokens") is None


def test_a_history_that_always_pays_the_upper_rate_pays_it():
    model = small.model(above=4)
    always = small.workflow(
        small.loop(small.call(prompt=(5, 6), history=True, of=model), again=(0.5,), most=3, grows=True)
    )
    found = spends(always)

    distribution = exact(always, cells=FITS)

    assert distribution.mean == pytest.approx(mean_of(found), rel=1e-12)
    assert distribution.most == pytest.approx(max(found) / ONE)


def test_a_history_too_short_to_be_summed_up_is_like_any():
    call = small.call(history=True)
    short = small.workflow(small.loop(call, grows=True, compaction=small.Compaction(at=99, to=small.count(1))))

    assert exact(short).mean == exact(small.workflow(small.loop(call, grows=True))).mean


def test_nothing_is_wrong_with_loops_without_a_cap():
    endless = small.workflow(small.loop(small.call(prompt=(1,), output=(2,), history=True), most=None, grows=True))

    found, distribution = moments(endless), exact(endless)

    # Rounds are geometric, E[K] = 2.5 and E[K (K - 1) / 2] = 0.6 / 0.4²; each reads 1 token, and 2 of each one before.
    assert found.mean == pytest.approx(2.5 * (2e-9 + 10e-9) + 0.6 / 0.4**2 * 4e-9, rel=1e-12)
    assert distribution.mean == pytest.approx(found.mean, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", reference.WORKFLOWS)
def test_mean_and_deviation_of_a_reference_workflow_are_those_of_the_closed_form(name):
    workflow = reference.WORKFLOWS[name]()
    known, distribution = moments(workflow), exact(workflow)

    assert distribution.mean == pytest.approx(known.mean, rel=1e-6)
    assert distribution.sd == pytest.approx(known.sd, rel=1e-4)


@pytest.mark.slow
def test_research_costs_what_it_cost_when_this_was_written():
    distribution = exact(reference.research())

    known = {0.5: 0.12406, 0.9: 0.62985, 0.95: 1.41349, 0.99: 5.11557, 0.999: 8.00875}
    for share, dollars in known.items():
        assert distribution.quantile(share) == pytest.approx(dollars, rel=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("name", reference.WORKFLOWS)
def test_a_finer_grid_says_the_same(name):
    workflow = reference.WORKFLOWS[name]()
    coarse, fine = exact(workflow), exact(workflow, cells=2**17)

    for share in (0.5, 0.9, 0.95, 0.99, 0.999):
        assert coarse.quantile(share) == pytest.approx(fine.quantile(share), rel=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("name", reference.WORKFLOWS)
def test_certified_bounds_of_a_reference_workflow_are_narrow_and_hold_what_a_fine_grid_says(name):
    workflow = reference.WORKFLOWS[name]()
    fine = exact(workflow, cells=2**17)
    down, up = exact(workflow, side="down"), exact(workflow, side="up")

    for share in QUANTILES:
        assert down.quantile(share) <= fine.quantile(share) + fine.at[1] <= up.quantile(share) + 2 * fine.at[1]
    assert up.quantile(0.999) - down.quantile(0.999) <= 0.01 * fine.quantile(0.999)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(workflows())
def test_engines_agree_on_random_workflows(workflow):
    for measure in ("usd", "tokens"):
        found = spends(workflow, measure)
        within, reason = bounds(workflow, measure), why_not(workflow, measure)

        assert within.high is not None
        assert within.low <= min(found) / ONE * (1 + 1e-12)
        assert within.high >= max(found) / ONE * (1 - 1e-12)
        if reason is None:
            known, distribution = moments(workflow, measure), exact(workflow, measure, cells=FITS)
            assert known.mean == pytest.approx(mean_of(found), rel=1e-11)
            assert known.sd == pytest.approx(sd_of(found), rel=1e-6, abs=1e-6 * known.mean)
            assert distribution.mean == pytest.approx(known.mean, rel=1e-6)
            assert distribution.most <= within.high * (1 + 1e-12)
