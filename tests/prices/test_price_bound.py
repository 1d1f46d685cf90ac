"""
The most that a call can cost, by hand for well-known models; ``test_price_properties.py`` asks every price.
"""

from datetime import UTC, datetime

import pytest

from solvent.errors import PriceUnknown
from solvent.prices import Prices

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def bound(price, *, input_tokens=0, output_tokens=0, tier=None, region=None, at=AT, cache_writes=(), tool_calls=None):
    return price.cost_max(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        tier=tier,
        region=region,
        at=at,
        cache_writes=cache_writes,
        tool_calls=tool_calls or {},
    )


def found(name):
    provider, _, model = name.partition("/")
    return Prices.load().find(provider, model)


def test_the_bound_of_plain_text_is_its_cost():
    price = found("openai/gpt-4o")
    assert bound(price, input_tokens=1_000, output_tokens=100) == 3_500_000


def test_only_cache_writes_that_may_happen_are_in_the_bound():
    price = found("anthropic/claude-sonnet-4-5")
    most = {
        name: bound(price, input_tokens=1_000, cache_writes=kinds)
        for name, kinds in (("none", ()), ("5m", {"5m"}), ("1h", {"1h"}), ("any", None), ("unknown", {"2d"}))
    }
    assert most == {"none": 3_000_000, "5m": 3_750_000, "1h": 6_000_000, "any": 6_000_000, "unknown": 6_000_000}


def test_a_bound_counts_the_higher_price_only_where_the_input_can_reach_it():
    price = found("anthropic/claude-sonnet-4-5")
    assert bound(price, input_tokens=200_000, output_tokens=1_000) == 615_000_000
    assert bound(price, input_tokens=200_001, output_tokens=1_000) == 1_222_506_000


def test_a_price_that_changes_within_a_day_is_in_the_bound():
    price = found("google/gemini-4-argon")
    most = [bound(price, input_tokens=1, at=datetime(2026, 11, day, 12, tzinfo=UTC)) for day in (29, 30)]
    assert most == [2_000, 4_000]


def test_a_daily_window_within_an_hour_is_in_the_bound():
    price = found("deepseek/deepseek-v4-pro")
    hours = [bound(price, input_tokens=1, at=AT.replace(hour=h, minute=59)) for h in range(13)]
    assert hours == [*[1_320] * 11, 660, 660]


def test_a_cheaper_tier_is_bounded_by_the_standard_one_which_may_serve_it():
    price = found("openai/gpt-5.5")
    tiers = {tier: bound(price, input_tokens=1, tier=tier) for tier in (None, "flex", "priority")}
    assert tiers == {None: 5_000, "flex": 5_000, "priority": 12_500}


def test_a_tier_without_thresholds_stays_in_the_bound_above_those_of_another():
    price = found("openai/gpt-5.5")  # Priority costs $12.50 at any size, standard $10 above 272,000 tokens.
    most = [bound(price, input_tokens=size, tier="priority") for size in (272_000, 272_001)]
    assert most == [272_000 * 12_500, 272_001 * 12_500]


@pytest.mark.parametrize(
    ("name", "tool", "fee"),
    [
        ("openai/gpt-4o", "web_search", 10_000_000),
        ("openai/gpt-4o", "web_search_2025_08_26", 10_000_000),
        ("openai/gpt-4o", "web_search_preview", 25_000_000),
        ("openai/gpt-5", "web_search_preview_2025_03_11", 10_000_000),
        ("openai/gpt-4o", "file_search", 2_500_000),
        ("openai/gpt-4o", "code_interpreter", 30_000_000),
        ("openai/gpt-4o", "code_interpreter_4g", 120_000_000),
        ("openai/gpt-4o", "shell_64g", 1_920_000_000),
        ("openai/gpt-4o", "web_fetch_20250910", 0),
        ("openai/gpt-4o", "tool_search", 0),
        ("openai/gpt-4o", "mcp", 0),
        ("azure/gpt-4o", "web_search", 14_000_000),
        ("azure/gpt-4o", "code_interpreter", 33_000_000),
        ("anthropic/claude-opus-5-5", "web_search_20250305", 10_000_000),
        ("anthropic/claude-opus-5-5", "code_execution_20250825", 50_000_000),
        ("gemini/gemini-2.5-pro", "google_search", 35_000_000),
        ("gemini/gemini-2.5-pro", "google_maps", 25_000_000),
        ("gemini/gemini-2.5-pro", "code_execution", 0),
        ("gemini/gemini-2.5-pro", "file_search", 0),
        ("gemini/gemini-2.5-pro", "url_context", 0),
        ("vertex/claude-sonnet-4-5", "web_search_20250305", 10_000_000),
        ("groq/openai/gpt-oss-120b", "browser_search", 5_000_000),
        ("xai/grok-4.6", "x_search", 5_000_000),
        ("xai/grok-4.6", "collections_search", 2_500_000),
    ],
)
def test_server_tools_are_bounded_by_their_fees(name, tool, fee):
    assert bound(found(name), tool_calls={tool: 3}) == 3 * fee


@pytest.mark.parametrize(
    ("name", "what", "asked"),
    [
        ("openai/gpt-4o", "server tool 'image_generation'", {"tool_calls": {"image_generation": 1}}),
        ("groq/openai/gpt-oss-120b", "server tool 'code_interpreter'", {"tool_calls": {"code_interpreter": 1}}),
        ("openai/gpt-4", "server tool 'web_search'", {"tool_calls": {"web_search": 1}}),
        ("openai/gpt-4o", "service tier 'warp'", {"tier": "warp"}),
        ("anthropic/claude-opus-5-5", "region 'eu'", {"region": "eu"}),
        ("anthropic/claude-haiku-4-5", "region 'us'", {"region": "us"}),
        ("openai/text-embedding-3-large", "output", {"output_tokens": 1}),
    ],
)
def test_what_has_no_price_has_no_bound(name, what, asked):
    with pytest.raises(PriceUnknown) as unknown:
        bound(found(name), **asked)
    assert unknown.value.what == what


def test_a_tool_that_may_not_be_used_needs_no_price():
    assert bound(found("openai/gpt-4o"), input_tokens=1, tool_calls={"image_generation": 0}) == 2_500


def test_a_region_is_in_the_bound_on_top_of_a_tier():
    price = found("anthropic/claude-opus-5-5")
    most = {
        (tier, region): bound(price, input_tokens=10, tier=tier, region=region)
        for tier in (None, "fast")
        for region in (None, "us")
    }
    assert most == {(None, None): 40_000, (None, "us"): 44_000, ("fast", None): 80_000, ("fast", "us"): 88_000}


def test_images_that_nobody_counts_are_in_the_bound():
    assert bound(found("gemini/gemini-3-pro-image-preview"), output_tokens=1) == 120_000
