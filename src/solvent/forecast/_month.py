"""
The bill of a month: many runs, whose number and whose mean nobody knows for sure.
"""

import math
from statistics import NormalDist

from msgspec import Struct

from solvent.forecast._model import Volume

CONFIDENCE = 0.95


class Month(Struct, frozen=True, kw_only=True):
    """
    What the runs of a month cost together.

    Attributes:
        low_usd, high_usd: It lies between these in 95 of 100 cases, as far as the workflow is what it was said to be.
        from_runs: The part of its standard deviation, in dollars, that comes from how runs differ; ``from_volume``
            from not knowing how many there are; ``from_measuring`` from having measured only so many.
    """

    runs: int
    mean_usd: float
    low_usd: float
    high_usd: float
    from_runs: float
    from_volume: float
    from_measuring: float


def month_of(volume: Volume, *, mean: float, sd: float) -> Month:
    """
    The bill of a month whose runs cost so much each.

    A lognormal with the mean and the deviation of the bill, for a bill is not below nothing.
    """
    count = volume.runs_per_month
    from_runs = math.sqrt(count) * sd
    from_volume = count * volume.uncertainty * mean
    # What is off in the mean counts for each run, so that of more runs than expected it is off by more.
    counted = count * math.sqrt(1 + volume.uncertainty**2)
    from_measuring = 0.0 if volume.measured_runs is None else counted * sd / math.sqrt(volume.measured_runs)
    bill = count * mean
    low = high = bill
    if bill:
        deviation = math.sqrt(math.log1p((from_runs**2 + from_volume**2 + from_measuring**2) / bill**2))
        width = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * deviation
        middle = math.log(bill) - deviation**2 / 2
        low, high = math.exp(middle - width), math.exp(middle + width)
    return Month(
        runs=count,
        mean_usd=bill,
        low_usd=low,
        high_usd=high,
        from_runs=from_runs,
        from_volume=from_volume,
        from_measuring=from_measuring,
    )
