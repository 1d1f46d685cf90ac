"""
The line that ``--live`` prints for a call.
"""

import pytest

from solvent._records import CallRecord
from solvent.events import CallClosed
from solvent.run._live import line


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (10_000_000, "m · 7 in, 2 out · $0.01 · $0.02 so far"),
        (None, "m · 7 in, 2 out · unpriced · at least $0.02 so far"),
    ],
)
def test_a_total_without_the_cost_of_this_call_is_no_total(cost: int | None, said: str) -> None:
    usage = {"input_tokens": 7, "output_tokens": 2}
    call = CallRecord(model_asked="m", usage=usage, cost_nanodollars=cost, status="200")

    assert line(CallClosed(id="a", scope="run:a", call=call, run_total_nanodollars=20_000_000)) == said
