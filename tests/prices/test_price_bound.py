"""
The most that a call can cost is never less than what one within its bounds costs.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from solvent._amounts import Usage
from solvent.errors import PriceUnknown
from solvent.prices import Prices
from solvent.prices._card import Card

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICES = list(Card().every_price())
TIERS = [None, None, "auto", "priority", "fast", "flex", "batch"]


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


UNPRICED = {
    "audio input": {"audio_input_tokens": 0, "audio_cache_read_tokens": 0},
    "audio output": {"audio_output_tokens": 0},
    "output": {"output_tokens": 0, "reasoning_tokens": 0, "audio_output_tokens": 0},
    "web search": {"web_searches": 0},
}


def priced(price, usage: Usage, tier, at) -> tuple[Usage, str | None]:
    """
    The usage without units that the model has no price for, and the tier unless it has none for that.
    """
    while True:
        try:
            price.cost(usage, tier=tier, region=None, at=at)
        except PriceUnknown as unknown:
            if unknown.what.startswith("service tier"):
                tier = None
            else:
                usage = replace(usage, **UNPRICED[unknown.what])
        else:
            return usage, tier


def check_bound(price, usage: Usage, *, tier, at, writes_known: bool, slack=0) -> None:
    usage, tier = priced(price, usage, tier, at)
    kinds = {kind for kind in ("5m", "1h") if getattr(usage, f"cache_write_{kind}_tokens")}
    most = bound(
        price,
        input_tokens=usage.input_tokens + slack,
        output_tokens=usage.output_tokens + (slack if usage.output_tokens else 0),
        tier=tier,
        at=at,
        cache_writes=kinds if writes_known else None,
        tool_calls={"web_search_20250305": usage.web_searches},
    )
    assert price.cost(usage, tier=tier, region=None, at=at) <= most, (price, usage, tier, at)


def usages(size: int, dice: random.Random) -> Usage:
    """
    Parts that may overlap: audio can be in a cache, reasoning can be spoken.
    """
    whole, output = dice.randrange(size), dice.randrange(size)
    read = dice.choice((0, dice.randrange(whole + 1)))
    write_5m = dice.choice((0, dice.randrange(whole - read + 1)))
    write_1h = dice.choice((0, dice.randrange(whole - read - write_5m + 1)))
    audio = dice.choice((0, 0, dice.randrange(whole + 1)))
    return Usage(
        input_tokens=whole,
        output_tokens=dice.choice((0, output, output)),
        cache_read_tokens=read,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        audio_input_tokens=audio,
        audio_cache_read_tokens=dice.randrange(min(audio, read) + 1),
        web_searches=dice.choice((0, 0, 7)),
    )


@pytest.mark.slow
def test_no_usage_within_the_bound_costs_more_for_any_model():
    dice = random.Random(7)
    for price in PRICES:
        for _ in range(8):
            usage = usages(dice.choice((10, 10_000, 1_000_000)), dice)
            usage.check()
            at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(4 * 365 * 24 * 60))
            check_bound(price, usage, tier=dice.choice(TIERS), at=at, writes_known=dice.random() < 0.5)


AUDIO = [price for price in PRICES if price.model in ("gpt-realtime", "gpt-audio", "gemini-2.5-flash")]


@st.composite
def calls(draw):
    whole, output = draw(st.integers(0, 2_000_000)), draw(st.integers(0, 200_000))
    read = draw(st.integers(0, whole))
    write_5m = draw(st.integers(0, whole - read))
    audio = draw(st.integers(0, whole))
    audio_output = draw(st.integers(0, output))
    usage = Usage(
        input_tokens=whole,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=draw(st.integers(0, whole - read - write_5m)),
        reasoning_tokens=draw(st.integers(0, output)),
        audio_input_tokens=audio,
        audio_output_tokens=audio_output,
        audio_cache_read_tokens=draw(st.integers(0, min(audio, read))),
        web_searches=draw(st.integers(0, 3)),
    )
    at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 3 * 365 * 24 * 60)))
    return usage, at


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(price=st.sampled_from(PRICES) | st.sampled_from(AUDIO), call=calls(), tier=st.sampled_from(TIERS))
def test_the_bound_holds_whatever_the_call(price, call, tier):
    usage, at = call
    plain = replace(usage, audio_input_tokens=0, audio_output_tokens=0, audio_cache_read_tokens=0, web_searches=0)
    for writes_known in (True, False):
        check_bound(price, usage, tier=tier, at=at, writes_known=writes_known)
        check_bound(price, plain, tier=tier, at=at, writes_known=writes_known, slack=1)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    price=st.sampled_from(PRICES),
    call=calls(),
    more=st.integers(1, 300_000),
    part=st.sampled_from(("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning", "search")),
)
def test_more_of_anything_never_costs_less(price, call, more, part):
    usage, at = call
    plain = replace(usage, audio_input_tokens=0, audio_output_tokens=0, audio_cache_read_tokens=0)
    plain, _ = priced(price, plain, None, at)
    if part == "search":
        larger = replace(plain, web_searches=plain.web_searches and plain.web_searches + more)
    else:
        whole = "output_tokens" if part in ("output", "reasoning") else "input_tokens"
        larger = replace(plain, **{name: getattr(plain, name) + more for name in {whole, f"{part}_tokens"}})
    larger, _ = priced(price, larger, None, at)
    costs = [price.cost(one, tier=None, region=None, at=at) for one in (plain, larger)]
    assert costs[0] <= costs[1]


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
    ("tool", "fee"),
    [
        ("web_search", 10_000_000),
        ("web_search_20250305", 10_000_000),
        ("web_search_preview", 10_000_000),
        ("file_search", 2_500_000),
        ("web_fetch_20250910", 0),
        ("tool_search", 0),
        ("mcp", 0),
    ],
)
def test_server_tools_are_bounded_by_their_fees(tool, fee):
    assert bound(found("openai/gpt-4o"), tool_calls={tool: 3}) == 3 * fee


@pytest.mark.parametrize(
    ("name", "what", "asked"),
    [
        ("openai/gpt-4o", "server tool 'code_interpreter'", {"tool_calls": {"code_interpreter": 1}}),
        ("openai/gpt-4", "server tool 'web_search'", {"tool_calls": {"web_search": 1}}),
        ("openai/gpt-4o", "service tier 'warp'", {"tier": "warp"}),
        ("anthropic/claude-opus-5-5", "region 'us'", {"region": "us"}),
        ("openai/text-embedding-3-large", "output", {"output_tokens": 1}),
    ],
)
def test_what_has_no_price_has_no_bound(name, what, asked):
    with pytest.raises(PriceUnknown) as unknown:
        bound(found(name), **asked)
    assert unknown.value.what == what


def test_a_tool_that_may_not_be_used_needs_no_price():
    assert bound(found("openai/gpt-4o"), input_tokens=1, tool_calls={"code_interpreter": 0}) == 2_500
