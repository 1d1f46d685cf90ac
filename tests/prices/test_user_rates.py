"""
What a user's price says of caches, audio and images, where the user says nothing of them: never less than it should.
"""

from datetime import UTC, datetime

import pytest

from solvent._amounts import Usage
from solvent.errors import PriceUnknown
from solvent.prices import PriceAs, Prices, UserPrice

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLAUDE = ("anthropic", "claude-sonnet-4-5")


def priced(provider, model, **rates):
    rates = {"input": 3, "output": 15, **rates}
    return Prices.load({model: UserPrice.per_million_tokens(**rates)}).find(provider, model)


def cost(price, **usage):
    return price.cost(Usage(**usage), tier=None, region=None, at=AT)


def most(price, *, cache_writes=frozenset(), has_audio=False):
    return price.cost_max(
        input_tokens=100_000,
        output_tokens=0,
        tier=None,
        region=None,
        at=AT,
        cache_writes=cache_writes,
        tool_calls={},
        has_audio=has_audio,
    )


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        CLAUDE,
        ("bedrock", "us.anthropic.claude-sonnet-4-6"),
        ("vertex", "claude-sonnet-4-5@20250929"),
        ("anthropic", "my-own-name"),  # Nobody lists it, but Anthropic's caches cost so for every model.
        ("ollama", "some-claude"),
    ],
)
def test_a_cache_of_claude_costs_as_many_times_the_users_input_as_the_providers(provider, model):
    price = priced(provider, model)
    written = {"5m": {"cache_write_5m_tokens": 100_000}, "1h": {"cache_write_1h_tokens": 100_000}}
    costs = {life: cost(price, input_tokens=100_000, **usage) for life, usage in written.items()}

    assert costs == {"5m": 375_000_000, "1h": 600_000_000}
    assert {life: most(price, cache_writes={life}) for life in costs} == costs


@pytest.mark.parametrize(
    ("given", "five_minutes", "an_hour"),
    [
        ({"cache_write": "3.75"}, 375_000_000, 600_000_000),
        ({"cache_write": 7}, 700_000_000, 700_000_000),  # An hour costs no less than five minutes.
        ({"cache_write": 1}, 100_000_000, 600_000_000),
        ({"cache_write_1h": 5}, 375_000_000, 500_000_000),
        ({"cache_write": 4, "cache_write_1h": 4}, 400_000_000, 400_000_000),
    ],
)
def test_what_a_user_says_of_caches_holds(given, five_minutes, an_hour):
    price = priced(*CLAUDE, **given)

    assert cost(price, input_tokens=100_000, cache_write_5m_tokens=100_000) == five_minutes
    assert cost(price, input_tokens=100_000, cache_write_1h_tokens=100_000) == an_hour


def test_a_cache_that_costs_more_in_the_card_does_so_at_a_users_price_too():
    assert cost(priced("openai", "gpt-5.6"), input_tokens=1_000, cache_write_5m_tokens=1_000) == 3_750_000
    assert cost(priced("openai", "gpt-4o"), input_tokens=1_000, cache_write_5m_tokens=1_000) == 3_000_000
    assert cost(priced("openai", "gpt-4o", cache_write=1), input_tokens=1_000, cache_write_1h_tokens=1_000) == 3_000_000


def test_images_that_cost_more_in_the_card_do_so_at_a_users_price_too():
    price = priced("gemini", "gemini-2.5-flash-image", input="0.3", output="2.5")

    assert cost(price, output_tokens=1_000, image_output_tokens=1_000) == 30_000_000  # 12 times the text, as Google's.
    assert cost(price, output_tokens=1_000, image_output_tokens=0) == 2_500_000


def test_audio_without_a_price_has_none_and_the_error_names_the_key():
    price = priced("openai", "gpt-4o-audio-preview", input="2.5", output=10)
    for what, usage in (("audio_input", {"input_tokens": 9}), ("audio_output", {"output_tokens": 9})):
        with pytest.raises(PriceUnknown) as unknown:
            cost(price, **usage, **{f"{what}_tokens": 1})
        assert f"To go on: give it as `{what}:` with the model's `input:` and `output:` under `prices:`" in str(
            unknown.value
        )
    with pytest.raises(PriceUnknown, match="the audio input of 'gpt-4o-audio-preview' has no price"):
        most(price, has_audio=True)
    assert cost(price, input_tokens=1_000) == most(price) / 100 == 2_500_000


def test_audio_costs_what_its_user_says():
    price = priced("openai", "gpt-4o-audio-preview", audio_input=40, audio_output=80)

    assert cost(price, input_tokens=1_000, audio_input_tokens=1_000) == 40_000_000
    assert cost(price, output_tokens=1_000, audio_output_tokens=1_000) == 80_000_000
    assert most(price, has_audio=True) == 4_000_000_000


def test_a_server_of_ones_own_that_costs_nothing_hears_for_nothing():
    price = Prices.load({"ollama/*": UserPrice(input=0, output=0)}).find("ollama", "hears")

    assert cost(price, input_tokens=9, audio_input_tokens=9, output_tokens=9, audio_output_tokens=9) == 0


def test_every_price_says_where_it_is_from():
    sheet = Prices.load({CLAUDE[1]: UserPrice(input=3, output=15, source="--price")}).describe(CLAUDE[1], at=AT)
    sources = {price.unit: price.source for price in sheet.unit_prices}

    assert sources["input"] == "--price"
    assert sources["cache_write_1h"] == "--price, 2 times its input as the rate card has it"
    assert sources["web_search"].startswith("genai-prices ")
    assert sources["code_session"].startswith("https://platform.claude.com/")
    other = Prices.load({"mine": PriceAs(model="my-audio"), "my-audio": UserPrice(input=1, output=1)})
    assert "audio_input" not in {price.unit for price in other.describe("mine", at=AT).unit_prices}


def test_an_embedding_has_no_fee_of_tools():
    for model in ("text-embedding-3-small", "text-embedding-3-large"):
        units = {price.unit for price in Prices.load().describe(model, at=AT).unit_prices}
        assert not units & {"code_session", "file_search", "web_search"}
