"""
The overshoot table: however many ask at once, what is admitted is what fits, to the cent.
"""

import pytest
from overshoot import CENT, STORES, WAYS, admitted, is_possible

CASES = [
    pytest.param(
        way, store, id=f"{way}, {store}", marks=[pytest.mark.slow] if "64" in way or "processes" in way else []
    )
    for way in WAYS
    for store in STORES
    if is_possible(way, store)
]


pytestmark = pytest.mark.usefixtures("eager_switching")


@pytest.mark.parametrize(("way", "store"), CASES)
def test_a_dollar_admits_ninety_nine_cents_of_calls_at_three(way, store, tmp_path):
    assert admitted(way, store, "cents", tmp_path) == (33, 99 * CENT)


@pytest.mark.parametrize(("way", "store"), [case for case in CASES if "16" not in case.id])
def test_thirty_cents_admit_three_calls_at_ten(way, store, tmp_path):
    assert admitted(way, store, "dimes", tmp_path) == (3, 30 * CENT)
