"""
What a usage costs: by hand for well-known models, and that nothing unknown is ever cheap.
"""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from solvent._amounts import Usage
from solvent.errors import PriceUnknown
from solvent.prices import Prices

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices.load()


def cost(prices, name, *, tier=None, region=None, at=AT, **usage):
    provider, _, model = name.partition("/")
    return prices.find(provider, model).cost(Usage(**usage), tier=tier, region=region, at=at)


def test_gpt_4o_costs_2_50_and_10_dollars_a_million(prices):
    assert cost(prices, "openai/gpt-4o", input_tokens=1_000, output_tokens=100) == 3_500_000
    assert cost(prices, "openai/gpt-4o", input_tokens=1_000_000) == 2_500_000_000
    assert cost(prices, "openai/gpt-4o", output_tokens=1_000_000) == 10_000_000_000


def test_cached_input_is_part_of_the_input_and_cheaper(prices):
    assert cost(prices, "openai/gpt-4o", input_tokens=1_000, cache_read_tokens=400, output_tokens=100) == 3_000_000


def test_claude_charges_cache_writes_by_how_long_they_live(prices):
    spent = cost(
        prices,
        "anthropic/claude-sonnet-4-5-20250929",
        input_tokens=10_000,
        cache_read_tokens=1_000,  # $0.30 a million
        cache_write_5m_tokens=4_000,  # $3.75
        cache_write_1h_tokens=2_000,  # $6.00
        output_tokens=500,  # $15.00, and 3,000 plain input at $3.00
    )
    assert spent == 43_800_000


def test_an_hour_of_claudes_cache_costs_twice_the_input_where_the_data_says_nothing(prices):
    asked = {"input_tokens": 1_000_000, "cache_write_1h_tokens": 1_000_000}
    plain = cost(prices, "openrouter/anthropic/claude-sonnet-4", input_tokens=1_000_000)
    assert cost(prices, "openrouter/anthropic/claude-sonnet-4", **asked) == 2 * plain


def test_an_hour_of_cache_without_a_price_costs_no_less_than_plain_input(prices):
    name = "openrouter/google/gemini-2.5-flash"  # Five minutes cost $0.0833…, plain input $0.30 a million.
    assert cost(prices, name, input_tokens=1_000, cache_write_1h_tokens=1_000) == 300_000


def test_above_a_threshold_the_whole_call_costs_more(prices):
    below = cost(prices, "anthropic/claude-sonnet-4-5", input_tokens=200_000, output_tokens=1_000)
    above = cost(prices, "anthropic/claude-sonnet-4-5", input_tokens=200_001, output_tokens=1_000)
    assert (below, above) == (615_000_000, 1_222_506_000)


def test_a_fraction_of_a_nanodollar_is_rounded_up_once(prices):
    written = {"input_tokens": 1, "cache_write_5m_tokens": 1}  # $0.0833333333333333 a million: 83.3 nanodollars each.
    assert cost(prices, "openrouter/google/gemini-2.5-flash", **written) == 84
    three = {name: 3 * count for name, count in written.items()}
    assert cost(prices, "openrouter/google/gemini-2.5-flash", **three) == 251  # A picodollar each was added at compile.


def test_reasoning_costs_what_output_costs_unless_it_is_priced_apart(prices):
    thought = {"output_tokens": 1_000_000, "reasoning_tokens": 1_000_000}
    assert cost(prices, "openai/gpt-5", **thought) == 10_000_000_000
    assert cost(prices, "perplexity/sonar-deep-research", **thought) == 3_000_000_000


def test_audio_costs_its_own_price(prices):
    spoken = {"input_tokens": 3_000_000, "audio_input_tokens": 2_000_000, "cache_read_tokens": 1_000_000}
    fresh = cost(prices, "openai/gpt-realtime-mini", **spoken)
    cached = cost(prices, "openai/gpt-realtime-mini", **spoken, audio_cache_read_tokens=1_000_000)
    text = cost(prices, "openai/gpt-realtime-mini", **spoken, audio_cache_read_tokens=1_000_000, image_input_tokens=0)
    assert fresh == 20_080_000_000  # 2 at $10, 1 cached at $0.08, as if it were an image.
    assert cached == 11_100_000_000  # 1 at $10, 1 cached audio at $0.30, 1 text at $0.80, as if it were an image.
    assert text == 10_900_000_000  # The text at $0.60, for the reply says that there are no images.


def test_images_cost_their_own_price_and_are_all_that_there_is_where_nobody_tells(prices):
    def drawn(told):
        return cost(prices, "gemini/gemini-3-pro-image-preview", output_tokens=1_000, image_output_tokens=told)

    assert drawn(0) == 12_000_000
    assert drawn(600) == 400 * 12_000 + 600 * 120_000
    assert drawn(1_000) == drawn(None) == 120_000_000


def test_images_in_the_input_cost_their_own_price(prices):
    def seen(told, **more):
        return cost(prices, "openai/gpt-image-1.5", input_tokens=1_000, image_input_tokens=told, **more)

    assert seen(0) == 5_000_000
    assert seen(400) == 600 * 5_000 + 400 * 8_000
    assert seen(None) == 8_000_000
    assert seen(400, cache_read_tokens=1_000) == 2_000_000  # As if all that was cached were images.


def test_images_cost_what_text_costs_where_they_have_no_price(prices):
    assert cost(prices, "openai/gpt-4o", input_tokens=10, image_input_tokens=10) == 25_000


def test_audio_that_was_also_written_to_a_cache_is_counted_once(prices):
    spoken = cost(prices, "openai/gpt-audio", input_tokens=100, audio_input_tokens=100, cache_write_5m_tokens=100)
    assert spoken == 100 * 32_000


def test_a_request_and_a_search_have_fees_of_their_own(prices):
    assert cost(prices, "perplexity/sonar") == 12_000_000
    assert cost(prices, "openai/gpt-4o", web_searches=3) == 30_000_000
    assert cost(prices, "anthropic/claude-sonnet-4-5", web_searches=1) == 10_000_000
    assert cost(prices, "openai/gpt-4o", web_searches_preview=2) == 50_000_000
    assert cost(prices, "openai/gpt-5", web_searches_preview=2) == 20_000_000
    assert cost(prices, "openai/gpt-5", file_searches=4) == 10_000_000
    assert cost(prices, "openai/gpt-5", code_sessions=5) == 150_000_000  # One container of one gigabyte, one of four.
    assert cost(prices, "gemini/gemini-2.5-pro", map_searches=1) == 25_000_000


@pytest.mark.parametrize("tier", [None, "", "auto", "default", "STANDARD", "standard", "standard_only", "on_demand"])
def test_the_standard_tier_has_many_names(prices, tier):
    assert cost(prices, "openai/gpt-4o", tier=tier, input_tokens=1_000) == 2_500_000


@pytest.mark.parametrize(
    ("name", "tier", "spent"),
    [
        ("openai/gpt-4o", "priority", 4_250),
        ("openai/gpt-4o", "fast", 4_250),
        ("openai/gpt-4o", "batch", 1_250),
        ("openai/gpt-5.5", "flex", 2_500),
        ("anthropic/claude-opus-5-5", "fast", 8_000),
        ("anthropic/claude-sonnet-4-5", "batch", 1_500),
        ("anthropic/claude-3-haiku-20240307", "batch", 125),
        ("gemini/gemini-2.5-pro", "priority", 2_250),
        ("gemini/gemini-2.5-pro", "flex", 625),
        ("vertex/gemini-2.5-pro", "priority", 2_250),
        ("groq/openai/gpt-oss-120b", "flex", 150),
        ("azure/gpt-5.4", "priority", 5_000),
        ("bedrock/openai.gpt-oss-120b-1:0", "priority", 263),
        ("fireworks/accounts/fireworks/models/gpt-oss-120b", "priority", 180),
        ("openai/gpt-6-astra", "ultrafast", 60_000),
        ("openai/gpt-4o", "PRIORITY", 4_250),
    ],
)
def test_a_tier_costs_its_own_price(prices, name, tier, spent):
    assert cost(prices, name, tier=tier, input_tokens=1) == spent


def test_a_tier_without_its_own_price_of_a_unit_takes_the_standard_one(prices):
    assert cost(prices, "openai/gpt-4o", tier="batch", input_tokens=1, cache_read_tokens=1) == 1_250
    assert cost(prices, "openai/gpt-4o", tier="priority", web_searches=1) == 10_000_000


def test_a_price_begins_on_its_day_in_utc(prices):
    def on(at: datetime) -> int:
        return cost(prices, "google/gemini-4-argon", at=at, input_tokens=1)

    first = datetime(2026, 12, 1, tzinfo=UTC)
    assert on(AT) == 2_000
    assert (on(first - timedelta(seconds=1)), on(first)) == (2_000, 4_000)
    assert on(datetime(2026, 11, 30, 18, tzinfo=timezone(-timedelta(hours=8)))) == 4_000
    assert on(datetime(2026, 12, 1)) == 4_000  # noqa: DTZ001 - A time without a zone is UTC.


def test_a_daily_window_has_its_own_price(prices):
    hours = [cost(prices, "deepseek/deepseek-v4-pro", at=AT.replace(hour=h), input_tokens=1) for h in range(12)]
    assert hours == [660, *[1_320] * 3, *[660] * 2, *[1_320] * 4, *[660] * 2]


@pytest.mark.parametrize(
    ("name", "what", "asked"),
    [
        # The traps of the data: what its own library prices at the standard price, or at nothing.
        ("openai/gpt-4o", "service tier 'warp'", {"tier": "warp", "input_tokens": 1}),
        ("openai/gpt-4o", "service tier 'scale'", {"tier": "scale", "input_tokens": 1}),
        ("google/gemini-2.5-pro", "service tier 'warp'", {"tier": "warp", "input_tokens": 1}),
        ("anthropic/claude-opus-5-5", "region 'mars'", {"region": "mars", "input_tokens": 1}),
        ("anthropic/claude-opus-5-5", "region 'batch'", {"region": "batch", "input_tokens": 1}),
        ("anthropic/claude-opus-5-5", "service tier 'us'", {"tier": "us", "input_tokens": 1}),
        ("anthropic/claude-sonnet-4-5", "service tier 'priority'", {"tier": "priority", "input_tokens": 1}),
        ("azure/gpt-5", "service tier 'flex'", {"tier": "flex", "input_tokens": 1}),
        ("openai/gpt-4", "web search", {"web_searches": 1_000}),
        ("openai/gpt-4", "web search preview", {"web_searches_preview": 1}),
        ("openai/gpt-4", "file search", {"file_searches": 1}),
        ("openai/gpt-4o", "map search", {"map_searches": 1}),
        ("mistral/mistral-large", "code session", {"code_sessions": 1}),
        ("openai/gpt-4", "audio input", {"input_tokens": 9, "audio_input_tokens": 1}),
        ("openai/gpt-4", "audio output", {"output_tokens": 9, "audio_output_tokens": 1}),
        ("openai/text-embedding-3-large", "output", {"output_tokens": 1}),
        ("openai/gpt-4o", "service tier 'flex'", {"tier": "flex", "input_tokens": 1}),
        (
            "openai/gpt-4o",
            "service tier 'priority' at that time (the data knows it from 2026-10-12 on)",
            {"tier": "priority", "input_tokens": 1, "at": datetime(2026, 10, 11, tzinfo=UTC)},
        ),
    ],
)
def test_what_has_no_price_is_never_priced_in_silence(prices, name, what, asked):
    with pytest.raises(PriceUnknown) as unknown:
        cost(prices, name, **asked)
    assert unknown.value.what == what
    assert f"{name.partition('/')[0]}/{unknown.value.model}" == name


@pytest.mark.parametrize("region", [None, "", "global", "not_available"])
def test_a_reply_that_names_no_special_region_costs_the_standard_price(prices, region):
    assert cost(prices, "anthropic/claude-opus-5-5", region=region, input_tokens=1) == 4_000


def test_parts_above_their_whole_do_not_fail_and_pay_nothing_back(prices):
    assert cost(prices, "openai/gpt-4o", input_tokens=1, cache_read_tokens=1_000) == 1_250_000
    assert cost(prices, "openai/gpt-realtime", input_tokens=1, audio_cache_read_tokens=5) >= 0
    assert cost(prices, "openai/gpt-realtime", output_tokens=1, audio_output_tokens=5) == 5 * 64_000


def test_usage_of_nothing_costs_nothing_but_the_request(prices):
    assert cost(prices, "openai/gpt-4o") == 0
