"""
The bill of a month.
"""

import numpy as np
import pytest

from solvent.forecast._model import Volume
from solvent.forecast._month import month_of


def test_a_month_of_sure_runs_is_as_wide_as_its_runs_differ():
    month = month_of(Volume(runs_per_month=10_000), mean=0.5, sd=1.0)
    assert month.mean_usd == pytest.approx(5_000)
    assert month.from_runs == pytest.approx(100)
    assert (month.from_volume, month.from_measuring) == (0, 0)
    assert (month.low_usd, month.high_usd) == pytest.approx((4_807, 5_199), abs=2)


def test_doubt_about_the_number_and_the_mean_widens_it():
    sure = month_of(Volume(runs_per_month=100_000), mean=0.342, sd=0.698)
    measured = month_of(Volume(runs_per_month=100_000, measured_runs=300), mean=0.342, sd=0.698)
    both = month_of(Volume(runs_per_month=100_000, measured_runs=300, uncertainty=0.1), mean=0.342, sd=0.698)
    widths = [month.high_usd - month.low_usd for month in (sure, measured, both)]
    assert widths == sorted(widths)
    # About as the notes on forecasting have them, which were found by resampling.
    assert (measured.low_usd, measured.high_usd) == pytest.approx((27_000, 42_800), rel=0.03)


def test_a_bill_of_nothing_is_nothing():
    month = month_of(Volume(runs_per_month=10, uncertainty=0.5), mean=0.0, sd=0.0)
    assert (month.low_usd, month.mean_usd, month.high_usd) == (0, 0, 0)


@pytest.mark.parametrize(("uncertainty", "measured"), [(0.0, 100), (0.5, 100), (0.5, None)])
def test_the_parts_of_its_variance_are_those_of_the_law_of_total_variance(uncertainty, measured):
    runs, mean, sd = 2_000, 0.3, 0.7
    volume = Volume(runs_per_month=runs, uncertainty=uncertainty, measured_runs=measured)
    month = month_of(volume, mean=mean, sd=sd)
    # N runs, or give or take u of them, each around a mean that was measured in m runs.
    random = np.random.default_rng(1)
    count = runs * (1 + uncertainty * random.standard_normal(400_000))
    measured_mean = mean + (0.0 if measured is None else sd / np.sqrt(measured)) * random.standard_normal(400_000)
    bills = count * measured_mean + sd * np.sqrt(np.maximum(count, 0)) * random.standard_normal(400_000)
    of_all = month.from_runs**2 + month.from_volume**2 + month.from_measuring**2
    assert of_all == pytest.approx(bills.var(), rel=0.01)
    assert month.from_runs == pytest.approx(sd * np.sqrt(runs))


@pytest.mark.slow
def test_the_interval_holds_19_of_20_months():
    random = np.random.default_rng(7)
    volume = Volume(runs_per_month=2_000, uncertainty=0.2)
    mean, sd = np.exp(0.5), np.sqrt((np.e - 1) * np.e)  # Of a lognormal with mu 0 and sigma 1.
    month = month_of(volume, mean=float(mean), sd=float(sd))
    counts = np.maximum(0, random.normal(2_000, 400, 2_000)).round().astype(int)
    bills = np.array([random.lognormal(0, 1, count).sum() for count in counts])
    held = ((bills >= month.low_usd) & (bills <= month.high_usd)).mean()
    assert held == pytest.approx(0.95, abs=0.02)
