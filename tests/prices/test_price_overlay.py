"""
The overlay: facts that the rate card lacks, each with its source, laid over its prices and never in silence.
"""

import json
import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from solvent._amounts import Usage
from solvent.errors import PriceUnknown
from solvent.prices import Prices
from solvent.prices._card import Card
from solvent.prices._facts import FACTS
from solvent.prices._overlay import OVERLAY, Fact, Overlay, read_overlay
from solvent.prices._rates import UNITS

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices.load()


def cost(prices, name, *, tier=None, region=None, **usage):
    provider, _, model = name.partition("/")
    return prices.find(provider, model).cost(Usage(**usage), tier=tier, region=region, at=AT)


def times(prices, name, *, region, **usage):
    return cost(prices, name, region=region, **usage) / cost(prices, name, **usage)


def overlaid(*facts) -> Prices:
    laid = [
        Fact(**{"provider": "openai", "models": ("*",), "source": "a test", "read": "2026-11-22", **f}) for f in facts
    ]
    return Prices(card=Card(overlay=Overlay(tuple(laid), "overlay of a test")))


def test_the_file_begins_with_its_command_and_day_and_stays_small():
    text = OVERLAY.read_text(encoding="utf-8")
    assert text.startswith(
        '{"made_by":"python -m solvent.prices._compile","source":"overlay of 2026-11-22","license":"MIT'
    )
    assert len(text) < 100_000
    assert "overlay.json" in (OVERLAY.parent / "NOTICE").read_text(encoding="utf-8")


def test_every_fact_says_one_thing_and_where_and_when_it_was_read():
    facts = [fact for listed in read_overlay()._facts.values() for fact in listed]
    assert len(facts) > 500
    for fact in facts:
        assert len(fact.source) > 10
        assert date.fromisoformat(fact.read) <= date(2026, 11, 22)
        assert [fact.times, fact.unit, fact.alias].count(None) == 2
        assert fact.unit is None or (fact.unit in UNITS and [fact.dollars, fact.same_as].count(None) == 1)
        assert fact.times is None or "*" in fact.times


@pytest.mark.slow
def test_every_fact_is_about_a_model_that_the_card_has():
    card = Card(overlay=Overlay())
    for provider, name in read_overlay().names():
        priced = {price.model.lower() for price in card.every_price(card.provider_id(provider))}
        alias = read_overlay().alias(provider, name)
        assert name in priced or card.find(provider, alias or name), (provider, name)


def test_the_facts_that_are_kept_by_hand_are_in_the_file():
    in_file = {fact for listed in read_overlay()._facts.values() for fact in map(repr, listed)}
    assert {repr(fact) for fact in FACTS} <= in_file


@pytest.mark.slow
def test_the_overlay_is_what_its_command_makes():
    given = os.environ.get("SOLVENT_TEST_LITELLM")
    if not given:
        pytest.skip("SOLVENT_TEST_LITELLM names no wheel of litellm 1.109.1")
    pytest.importorskip("genai_prices", reason="genai-prices is not installed")
    from solvent.prices._compile import COMMAND
    from solvent.prices._compile_overlay import compile_overlay

    made = compile_overlay(Path(given), card=Card(overlay=Overlay()), made_by=COMMAND)
    assert made == OVERLAY.read_text(encoding="utf-8")


def test_a_price_that_facts_are_in_says_so(prices):
    assert prices.find("openai", "gpt-4o").source == "genai-prices 0.2.3, overlay of 2026-11-22"
    assert prices.find("mistral", "mistral-large-latest").source == "genai-prices 0.2.3"


def test_a_region_multiplies_tokens_of_every_kind_and_no_fee(prices):
    name = "anthropic/claude-opus-5-5"
    for usage in (
        {"input_tokens": 1_000},
        {"input_tokens": 1_000, "cache_read_tokens": 1_000},
        {"input_tokens": 1_000, "cache_write_5m_tokens": 1_000},
        {"input_tokens": 1_000, "cache_write_1h_tokens": 1_000},
        {"output_tokens": 1_000},
    ):
        assert times(prices, name, region="us", **usage) == 1.1
    assert times(prices, name, region="us", web_searches=1) == 1
    assert cost(prices, name, region="us", tier="fast", input_tokens=1_000) == 8_800_000


@pytest.mark.parametrize(
    ("name", "region", "factor"),
    [
        ("anthropic/claude-fable-5-2", "us", 1.1),
        ("openai/gpt-6.1-sol", "eu", 1.1),
        ("openai/gpt-5.4-mini-2026-03-17", "jp", 1.1),
        ("openai/gpt-4o", "eu", 1),  # Of before 2026-03-05.
        ("openai/gpt-5.2", "us", 1),
        ("vertex/claude-sonnet-4-5@20250929", "us-east5", 1.1),
        ("vertex/claude-sonnet-4-5@20250929", "global", 1),
        ("vertex/claude-3-haiku@20240307", "us-east5", 1),
        ("vertex/gemini-3.5-flash", "eu", 1.1),
        ("vertex/gemini-2.5-pro", "europe-west1", 1),
        ("bedrock/meta.llama3-70b-instruct-v1:0", "us-west-2", 1),
        ("bedrock/meta.llama3-70b-instruct-v1:0", "ap-south-1", 1.2),
        ("bedrock/us.anthropic.claude-sonnet-4-6", "us-west-2", 1),  # A profile has one price.
        ("bedrock/eu.anthropic.claude-sonnet-4-6", "eu-central-1", 1),
        ("together/openai/gpt-oss-120b", "ca", 1.25),
        ("xai/grok-4.6", "us", 1.1),
    ],
)
def test_a_region_costs_what_the_provider_says(prices, name, region, factor):
    assert times(prices, name, region=region, input_tokens=1_000_000) == factor


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("openai/gpt-4", "eu"),  # Nothing tells of which day it is.
        ("bedrock/meta.llama3-70b-instruct-v1:0", "ap-southeast-1"),
        ("bedrock/amazon.nova-pro-v1:0", "eu-central-1"),
        ("bedrock/amazon.nova-lite-v1:0", "us-gov-east-1"),  # Nothing like the rest of the country.
        ("xai/grok-4.3", "us"),
        ("groq/openai/gpt-oss-120b", "us"),
    ],
)
def test_a_region_that_nothing_is_known_of_has_no_price(prices, name, region):
    with pytest.raises(PriceUnknown) as unknown:
        cost(prices, name, region=region, input_tokens=1)
    assert unknown.value.what == f"region {region!r}"


@pytest.mark.parametrize(
    ("dear", "usual", "factor"),
    [
        ("bedrock/eu.amazon.nova-lite-v1:0", "bedrock/us.amazon.nova-lite-v1:0", 1.3),
        ("bedrock/us.anthropic.claude-sonnet-4-6", "bedrock/global.anthropic.claude-sonnet-4-6", 1.1),
        ("vertex/gemini-2.0-flash", "gemini/gemini-2.0-flash", 1.5),
        ("vertex/gemini-3.8-flash-cyber", "vertex/gemini-3.8-flash", 2),
        ("azure/deepseek-v3.2", "deepseek/deepseek-v3.2", 725 / 286),
    ],
)
def test_a_host_that_charges_more_than_the_maker_has_its_own_price(prices, dear, usual, factor):
    used = {"input_tokens": 286_000_000}
    assert cost(prices, dear, **used) == pytest.approx(factor * cost(prices, usual, **used), rel=1e-9)


def test_audio_costs_what_text_does_where_the_maker_has_one_price_for_both(prices):
    heard = {"input_tokens": 1_000, "audio_input_tokens": 1_000}
    assert cost(prices, "gemini/gemini-3.8-flash", **heard) == cost(
        prices, "gemini/gemini-3.8-flash", input_tokens=1_000
    )
    assert cost(prices, "gemini/gemini-2.5-flash", **heard) == 1_000_000


def test_the_tokens_that_are_billed_with_a_search_of_a_small_model_are_in_its_usage(prices):
    """
    A recorded bill of OpenRouter's, who passed OpenAI's on: $0.0133176, 8,000 of the tokens being the search's.
    """
    used = {"input_tokens": 8_174, "output_tokens": 30, "web_searches": 1}
    assert cost(prices, "openai/gpt-4.1-mini", **used) == 13_317_600


def test_another_spelling_stands_for_the_model(prices):
    assert prices.find("openrouter", "anthropic/claude-sonnet-4-5").model == "anthropic/claude-sonnet-4.5"


def test_the_fact_that_names_a_model_most_closely_wins():
    prices = overlaid(
        {"unit": "map_search", "dollars": "3"},
        {"models": ("gpt-4o",), "unit": "map_search", "dollars": "2"},
        {"models": ("gpt-4o-2024-08-06",), "unit": "map_search", "dollars": "1"},
    )
    names = ("gpt-5", "gpt-4o", "gpt-4o-2024-08-06")
    assert [cost(prices, f"openai/{name}", map_searches=1) for name in names] == [3 * 10**9, 2 * 10**9, 10**9]


def test_the_cards_own_price_of_a_tier_wins_over_a_fact():
    prices = overlaid({"tier": "batch", "times": {"*": "0.1"}}, {"tier": "flex", "times": {"*": "0.1"}})
    assert cost(prices, "openai/gpt-4o", tier="batch", input_tokens=1_000) == 1_250_000
    assert cost(prices, "openai/gpt-4o", tier="flex", input_tokens=1_000) == 250_000


def test_a_fact_can_differ_by_unit_and_is_rounded_up():
    prices = overlaid({"tier": "flex", "times": {"input": "1/3", "*": "1"}})
    assert cost(prices, "openai/gpt-4o", tier="flex", input_tokens=1_000_000) == 833_334_000
    assert cost(prices, "openai/gpt-4o", tier="flex", output_tokens=1) == 10_000


def test_prices_of_a_longer_input_are_rounded_up_as_well():
    prices = overlaid({"provider": "anthropic", "tier": "flex", "times": {"*": "1/7"}})
    assert cost(prices, "anthropic/claude-sonnet-4-5", tier="flex", input_tokens=7_000) == 7 * 428_572
    assert cost(prices, "anthropic/claude-sonnet-4-5", tier="flex", input_tokens=700_000) == 700 * 857_143


def test_a_name_that_costs_more_does_so_in_every_tier():
    prices = overlaid({"models": ("gpt-4o-2024-08-06",), "times": {"*": "2"}})
    assert cost(prices, "openai/gpt-4o-2024-08-06", tier="batch", input_tokens=1_000) == 2_500_000
    assert cost(prices, "openai/gpt-4o", tier="batch", input_tokens=1_000) == 1_250_000


def test_a_region_stands_for_its_part_of_the_world_and_a_star_for_the_rest():
    prices = overlaid(
        {"region": "eu", "times": {"*": "2"}},
        {"region": "eu-west-3", "times": {"*": "3"}},
        {"region": "*", "times": {"*": "4"}},
    )
    regions = ("eu", "eu-west-1", "EU-WEST-3", "us-east-1", None)
    assert [cost(prices, "openai/gpt-4o", region=region, output_tokens=1) // 10_000 for region in regions] == [
        2,
        2,
        3,
        4,
        1,
    ]


def test_the_file_is_json_that_any_program_can_read():
    facts = json.loads(OVERLAY.read_text(encoding="utf-8"))["facts"]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", fact["read"]) for fact in facts)
