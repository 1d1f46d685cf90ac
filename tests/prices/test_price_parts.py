"""
What a cost is made of: unit by unit it adds up, or it is not told.
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from price_table import AT, every_price, times, usages

from solvent._amounts import Usage
from solvent.errors import PriceUnknown
from solvent.prices import Prices
from solvent.prices._parts import CostPart

PRICES = every_price()


def parts(name: str, *, at: datetime = AT, **usage: int) -> tuple[CostPart, ...]:
    price = Prices.load().find(*name.split("/", 1))
    assert price is not None
    return tuple(price.parts(Usage(**usage), tier=None, region=None, at=at))


def test_every_kind_of_token_and_fee_is_a_part_at_its_price() -> None:
    found = parts(
        "anthropic/claude-sonnet-4-5-20250929",
        input_tokens=10_000,
        cache_read_tokens=1_000,
        cache_write_5m_tokens=4_000,
        cache_write_1h_tokens=2_000,
        output_tokens=500,
        reasoning_tokens=100,
        web_searches=2,
    )
    assert found == (
        ("input", 3_000, 3_000_000),
        ("cache_read", 1_000, 300_000),
        ("cache_write_5m", 4_000, 3_750_000),
        ("cache_write_1h", 2_000, 6_000_000),
        ("output", 500, 15_000_000),
        ("web_search", 2, 10_000_000_000),
    )


def test_above_a_threshold_each_part_has_the_higher_price() -> None:
    below = parts("google/gemini-2.5-pro", input_tokens=200_000, output_tokens=1)
    above = parts("google/gemini-2.5-pro", input_tokens=200_001, output_tokens=1)

    assert [part.picodollars for part in below] == [1_250_000, 10_000_000]
    assert [part.picodollars for part in above] == [2_500_000, 15_000_000]


def test_audio_is_a_part_of_its_own_in_and_out_of_the_cache() -> None:
    found = parts("openai/gpt-realtime", input_tokens=1_000, audio_input_tokens=400, output_tokens=50)
    assert [(part.unit, part.quantity) for part in found] == [("audio_input", 400), ("input", 600), ("output", 50)]

    cached = {
        "input_tokens": 1_000,
        "cache_read_tokens": 500,
        "audio_input_tokens": 400,
        "audio_cache_read_tokens": 300,
    }
    found = parts("openai/gpt-realtime", **cached)
    assert [(part.unit, part.quantity) for part in found] == [
        ("audio_input", 100),
        ("audio_cache_read", 300),
        ("input", 400),
        ("cache_read", 200),
    ]


def test_a_part_is_paid_for_by_the_prices_of_its_day() -> None:
    early, late = datetime(2025, 1, 1, tzinfo=UTC), AT
    assert parts("openai/o3", at=early, input_tokens=1) == (("input", 1, 10_000_000),)
    assert parts("openai/o3", at=late, input_tokens=1) == (("input", 1, 2_000_000),)


def test_more_cached_than_read_has_no_parts() -> None:
    assert parts("openai/gpt-4o", input_tokens=10, cache_read_tokens=11) == ()


def test_a_unit_without_a_price_is_unknown_as_its_cost_is() -> None:
    with pytest.raises(PriceUnknown, match="audio input"):
        parts("openai/gpt-4o", input_tokens=10, audio_input_tokens=5)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(priced=st.sampled_from(PRICES), usage=usages(), at=times())
def test_parts_add_up_to_the_cost_of_any_usage_at_any_price_or_are_not_told(priced, usage, at):  # type: ignore[no-untyped-def]  # As in test_price_properties.py.
    if not priced.has_begun(at):
        return
    usage = priced.within(usage, at)
    found = priced.price.parts(usage, tier=priced.tier, region=priced.region, at=at)

    if found:
        picodollars = sum(part.quantity * part.picodollars for part in found)
        assert -(-picodollars // 1_000) == priced.cost(usage, at)
        assert all(part.quantity > 0 for part in found)
    elif not usage.audio_input_tokens:
        assert priced.cost(usage, at) == 0
