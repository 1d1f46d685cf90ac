"""
What people and programs are told of a price: every one exactly, with its source, and when it holds.
"""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from solvent._amounts import Usage
from solvent.prices import PriceAs, Prices, UserPrice
from solvent.prices._rates import FEES

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices.load()


def found(sheet, **wanted) -> list[str]:
    return [
        price.dollars
        for price in sheet.unit_prices
        if all(getattr(price, name) == value for name, value in wanted.items())
    ]


def test_a_sheet_has_every_price_with_its_source(prices):
    sheet = prices.describe("gpt-4o", at=AT)
    assert (sheet.provider, sheet.model, sheet.source) == (
        "openai",
        "gpt-4o",
        "genai-prices 0.2.3, overlay of 2026-11-22",
    )
    assert (sheet.input_tokens_max, sheet.output_tokens_max, sheet.limits_source) == (
        128_000,
        16_384,
        "litellm 1.109.1",
    )
    assert found(sheet, tier="standard", unit="input", per="1M tokens") == ["2.5"]
    assert found(sheet, tier="standard", unit="web_search_preview", per="1,000 uses") == ["25"]
    assert found(sheet, tier="priority", unit="input", since="2026-10-12", in_force=True) == ["4.25"]
    assert [price.source for price in sheet.unit_prices if price.unit == "web_search_preview"] == [
        "https://platform.openai.com/docs/pricing, Built-in tools: web search preview, non-reasoning models, "
        "$25 per 1,000 calls, read 2026-11-22"
    ]


def test_prices_of_other_days_and_hours_are_told_apart(prices):
    sheet = prices.describe("deepseek-v4-pro", provider="deepseek", at=AT.replace(hour=2))
    assert found(sheet, unit="input", in_force=True) == ["1.32"]
    assert found(sheet, unit="input", since="2026-08-17") == ["0.66"]
    assert found(sheet, unit="input", hours="01:00-04:00 UTC") == ["1.32"]
    later = prices.describe("gemini-4-argon", at=datetime(2026, 12, 1, tzinfo=UTC))
    assert found(later, tier="standard", unit="input", in_force=True) == ["4"]


def test_a_higher_price_for_a_longer_input_is_told_with_its_threshold(prices):
    sheet = prices.describe("claude-sonnet-4-5", at=AT)
    assert found(sheet, tier="standard", unit="output", above_input_tokens=0) == ["15"]
    assert found(sheet, tier="standard", unit="output", above_input_tokens=200_000) == ["22.5"]


def test_tiers_and_regions_of_the_overlay_are_told_with_their_source(prices):
    sheet = prices.describe("gemini-2.5-pro", provider="gemini", at=AT)
    assert found(sheet, tier="priority", unit="input", above_input_tokens=0) == ["2.25"]
    assert {price.source for price in sheet.unit_prices if price.tier == "priority"} == {
        "litellm 1.109.1, …_priority, read 2026-11-22"
    }
    opus = prices.describe("claude-opus-5-5", at=AT)
    assert found(opus, tier="batch", unit="input") == ["2"]  # The card's own, and not the overlay's as well.
    (region,) = opus.regions
    assert (region.region, region.times) == ("us", {"*": "1.1"})


def test_a_users_price_holds_in_any_tier():
    prices = Prices.load({"mine": UserPrice(input=1, output=2, source="--price"), "other": PriceAs(model="gpt-4o")})
    sheet = prices.describe("mine", provider="x", at=AT)
    assert (sheet.by_user, sheet.source) == (True, "--price")
    assert found(sheet, tier="any", unit="input") == ["0.000001"]
    assert prices.describe("other", at=AT).source.startswith("user, as openai/gpt-4o: genai-prices")


def test_a_model_without_a_price_has_no_sheet(prices):
    assert prices.describe("gpt-77", at=AT) is None
    assert prices.describe("gpt-4o", provider="nowhere", at=AT) is None  # Nobody else's price stands in for it.
    assert prices.describe("gpt-4o", provider="groq", at=AT) is None
    assert list(prices.describe_all(provider="nowhere", at=AT)) == []


@pytest.mark.slow
def test_what_is_told_of_every_model_is_what_it_costs(prices):
    """
    A million tokens, or a thousand uses, cost the dollars that the sheet says.
    """
    sheets = list(prices.describe_all(at=AT))
    assert len(sheets) == 2_125
    for sheet, price in zip(sheets, prices.card.every_price(), strict=True):
        for unit, usage in (
            ("input", {"input_tokens": 10**6, "image_input_tokens": 0}),
            ("output", {"output_tokens": 10**6, "image_output_tokens": 0}),
            *((unit, {field: 1_000}) for unit, field in FEES.items()),
        ):
            told = [p for p in sheet.unit_prices if (p.tier, p.unit, p.in_force) == ("standard", unit, True)]
            if told:
                reached = [p for p in told if p.above_input_tokens < usage.get("input_tokens", 1)]
                most = max(reached, key=lambda p: p.above_input_tokens)
                fee = Decimal((found(sheet, tier="standard", unit="request", in_force=True) or ["0"])[0]) / 1_000
                cost = price.cost(Usage(**usage), tier=None, region=None, at=AT)
                assert cost == (Decimal(most.dollars) + fee) * 10**9, (sheet.provider, sheet.model, unit)


@pytest.mark.slow
def test_the_models_of_one_provider_are_told_alone(prices):
    assert {sheet.provider for sheet in prices.describe_all(provider="xai", at=AT)} == {"x-ai"}


def test_a_price_tells_the_hours_and_days_on_which_it_does_not_hold(prices):
    sheet = prices.describe("deepseek-v4-pro", provider="deepseek", at=AT)
    told = {(p.dollars, p.since, p.until, p.hours, p.in_force) for p in sheet.unit_prices if p.unit == "input"}
    outside = "outside 01:00-04:00 and 06:00-10:00 UTC"

    assert told == {
        ("0.435", None, "2026-08-17", outside, False),
        ("0.66", "2026-08-17", None, outside, True),
        ("1.32", None, None, "01:00-04:00 UTC", False),
        ("1.32", None, None, "06:00-10:00 UTC", False),
    }


def test_no_price_is_said_to_hold_on_a_day_of_which_the_data_knows_nothing(prices):
    early, own = datetime(2025, 6, 9, tzinfo=UTC), Prices.load({"mine": UserPrice(input=1, output=2)})

    assert prices.describe("gpt-4o", at=early).known_from == "2025-06-10"
    assert prices.describe("gpt-4o", at=datetime(2025, 6, 10, tzinfo=UTC)).known_from is None
    assert own.describe("mine", at=early).known_from is None


def test_the_price_that_a_policy_gives_unpriced_models_is_told_with_its_source(prices):
    sheet = prices.describe("whatever", at=AT, price_as="gpt-4o")
    assert sheet.source.startswith("unpriced.price_as, as openai/gpt-4o: genai-prices")
    assert prices.describe("gpt-4o-mini", at=AT, price_as="gpt-4o").model == "gpt-4o-mini"
