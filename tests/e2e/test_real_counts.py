"""
A real model that counts its own tokens: what is booked is never below what it counted, whatever its usage says.
"""

import pytest
from servers import RealModel
from solvent_run import Desk, python

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("real_model")]


@pytest.mark.parametrize("way", ["three choices", "closed early", "without usage", "completions"])
def test_no_less_is_booked_than_the_server_counted(way: str, desk: Desk, real_model: RealModel) -> None:
    desk.providers_at(real_model.url)
    before = real_model.at_rest()
    ran = desk.run("--price", f"{real_model.model}=100/400", command=python("counted.py", real_model.model, way))
    counted = real_model.at_rest().since(before)

    assert ran.stdout.strip() == way, ran.stderr
    total, tokens = ran.report["total"], ran.report["total"]["tokens"]
    assert counted.output_tokens > 0
    assert tokens["output_tokens"] >= counted.output_tokens
    assert tokens["input_tokens"] >= counted.input_tokens
    assert int(total["cost_nanodollars"]) >= 100_000 * counted.input_tokens + 400_000 * counted.output_tokens
