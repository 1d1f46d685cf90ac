"""
Prices that users give.
"""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from solvent._amounts import Usage
from solvent.errors import PriceUnknown, SettingsError
from solvent.prices import PriceAs, Prices, UserPrice, parse_price

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICE = UserPrice.per_million_tokens(input="2", output="8")


def cost(price, *, tier=None, region=None, **usage):
    return price.cost(Usage(**usage), tier=tier, region=region, at=AT)


def test_a_price_is_read_exactly():
    assert parse_price("gpt-4o=2.50/10") == (
        "gpt-4o",
        UserPrice(input=2_500_000, output=10_000_000, source="--price"),
    )
    assert parse_price(" my model = $0.000001 / 0 / 0.1 ") == (
        "my model",
        UserPrice(input=1, output=0, cache_read=100_000, source="--price"),
    )
    assert parse_price("ollama/a=b*=1/2")[0] == "ollama/a=b*"


@pytest.mark.parametrize(
    "text", ["", "gpt-4o", "gpt-4o=", "gpt-4o=1", "gpt-4o=1/", "=1/2", " =1/2", "gpt-4o=1/2/3/4", "gpt-4o=1//2", "1/2"]
)
def test_a_text_that_is_no_price_says_what_was_expected(text):
    with pytest.raises(ValueError, match="a price must be MODEL=INPUT/OUTPUT") as wrong:
        parse_price(text)
    assert repr(text) in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m=-1/2", "input must be an amount of dollars from 0 up, got '-1' in 'm=-1/2'"),
        ("m=1/nan", "output must be an amount of dollars from 0 up, got 'nan' in 'm=1/nan'"),
        ("m=1/inf", "output must be an amount of dollars from 0 up, got 'inf' in 'm=1/inf'"),
        ("m=cheap/2", "input must be an amount of dollars such as 2 or 0.50, got 'cheap' in 'm=cheap/2'"),
        ("m=1/2/0.0000001", "cache_read must have at most six decimals (whole picodollars a token), got '0.0000001'"),
    ],
)
def test_an_amount_that_is_no_price_names_the_field_and_the_value(text, message):
    with pytest.raises(ValueError) as wrong:  # noqa: PT011 - The message is compared whole below.
        parse_price(text)
    assert str(wrong.value).startswith(message)
    assert str(wrong.value).endswith("such as gpt-4o=2.50/10, or MODEL=OTHER for the price of another model")


@pytest.mark.parametrize("wrong", [True, -1, -0.5, float("nan"), float("inf"), Decimal("NaN"), "two", "1e-9"])
def test_no_price_is_made_of_what_is_no_amount(wrong):
    with pytest.raises(ValueError, match=r"^output "):
        UserPrice.per_million_tokens(input=1, output=wrong)


@pytest.mark.parametrize("wrong", [True, -1, 1.5, "2", 2**53])
def test_a_price_in_picodollars_is_a_whole_number(wrong):
    with pytest.raises(ValueError, match=r"^cache_write "):
        UserPrice(input=1, output=1, cache_write=wrong)


def test_a_float_is_read_by_its_shortest_text():
    assert UserPrice.per_million_tokens(input=0.1, output=2.5).input == 100_000


def test_a_users_price_wins_over_the_card():
    price = Prices.load({"gpt-4o": PRICE}).find("openai", "gpt-4o")
    assert (price.provider, price.model, price.source) == ("openai", "gpt-4o", "user")
    assert cost(price, input_tokens=1_000_000, output_tokens=1_000_000) == 10_000_000_000


def test_a_users_price_matches_by_name_then_by_the_longest_star():
    names = ("mine", "acme/mine-two", "mine-*", "mine-three-*", "acme/*")
    prices = Prices.load({name: UserPrice(input=number, output=0, source=name) for number, name in enumerate(names, 1)})
    asked = [
        ("acme", "mine"),
        ("acme", "mine-two"),
        ("other", "mine-two"),
        ("other", "mine-three-b"),
        ("acme", "whatever"),
        ("other", "acme/whatever"),
    ]
    assert [prices.find(*one).source for one in asked] == [
        "mine",
        "acme/mine-two",
        "mine-*",
        "mine-three-*",
        "acme/*",
        "acme/*",
    ]
    assert prices.find("other", "whatever") is None
    assert prices.find("other", "MINE") is None


def test_cached_tokens_cost_the_input_price_unless_it_is_given():
    plain = Prices.load({"m": PRICE}).find("x", "m")
    cached = Prices.load(
        {"m": UserPrice.per_million_tokens(input=2, output=8, cache_read="0.2", cache_write="2.5")}
    ).find("x", "m")
    used = {"input_tokens": 3_000, "cache_read_tokens": 1_000, "cache_write_5m_tokens": 500}
    assert cost(plain, **used, cache_write_1h_tokens=500) == 6_000_000
    assert cost(cached, **used, cache_write_1h_tokens=500) == 2_000_000 + 200_000 + 2_500_000


def test_a_users_price_holds_in_every_tier_and_region():
    price = Prices.load({"gpt-4o": PRICE}).find("openai", "gpt-4o")
    assert cost(price, tier="warp", region="us", input_tokens=1) == 2_000


def test_a_users_price_keeps_the_cards_fees_and_limits():
    prices = Prices.load({"gpt-4o": PRICE, "gpt-5": UserPrice(input=1, output=1, output_tokens_max=9)})
    price = prices.find("openai", "gpt-4o")
    assert (price.input_tokens_max, price.output_tokens_max) == (128_000, 16_384)
    assert cost(price, web_searches=1) == 10_000_000
    assert prices.find("openai", "gpt-5").output_tokens_max == 9


def test_a_free_model_is_free_when_its_user_says_so():
    assert cost(Prices.load({"local": UserPrice(input=0, output=0)}).find("x", "local"), input_tokens=10**6) == 0


def test_the_bound_of_a_users_price_takes_the_dearest_kind_of_input():
    price = Prices.load({"m": UserPrice(input=1_000, output=0, cache_read=3_000, cache_write=2_000)}).find("x", "m")
    most = price.cost_max(
        input_tokens=10, output_tokens=0, tier="flex", region="eu", at=AT, cache_writes=None, tool_calls={}
    )
    assert most == 30


def test_close_matches_include_the_users_models():
    assert Prices.load({"my-model": PRICE}).close_matches("openai", "my-modle") == ["my-model"]
    unpriced = Prices.load({"my-model": PriceAs(model="my-modle")})
    assert unpriced.close_matches("openai", "my-model") == []  # No hint is the name that was asked for.


def test_a_deployment_costs_what_its_user_says_that_it_is():
    name, same = parse_price(" my-deployment = gpt-4o ")
    assert (name, same) == ("my-deployment", PriceAs(model="gpt-4o", source="--price"))
    prices = Prices.load({name: same})
    prices.check()
    price = prices.find("azure", "my-deployment")
    assert (price.provider, price.model, price.by_user) == ("azure", "my-deployment", True)
    assert price.source == "--price, as azure/gpt-4o: genai-prices 0.2.3, as openai prices it, overlay of 2026-11-22"
    assert (price.input_tokens_max, price.output_tokens_max) == (128_000, 16_384)
    assert cost(price, input_tokens=1_000) == 2_500_000
    assert cost(price, web_searches=1) == 14_000_000  # Azure's, for it runs there.


@pytest.mark.parametrize(
    ("other", "provider", "source"),
    [
        ("gpt-4o", "ollama", "openai/gpt-4o"),  # The name says whose model it is.
        ("openai/gpt-4o", "ollama", "openai/gpt-4o"),
        ("claude-opus-5-5", "bedrock", "aws/regional.anthropic.claude-opus-5-5"),  # As Amazon sells it.
        ("anthropic/claude-opus-5-5", "bedrock", "anthropic/claude-opus-5-5"),
        ("mine", "ollama", "ollama/mine"),
        ("text-embedding-3-small", "ollama", "openai/text-embedding-3-small"),  # The only one that has it.
        ("llama-3.3-70b-versatile", "ollama", "groq/llama-3.3-70b-versatile"),
    ],
)
def test_another_models_price_is_that_of_the_same_provider_else_of_its_maker(other, provider, source):
    prices = Prices.load({"tuned-*": PriceAs(model=other), "mine": PRICE})
    prices.check()
    assert prices.find(provider, "tuned-1").source.startswith(f"user, as {source}: ")


def test_another_models_price_has_its_tiers_and_regions_and_no_others():
    price = Prices.load({"mine": PriceAs(model="claude-opus-5-5")}).find("anthropic", "mine")
    assert cost(price, tier="fast", region="us", input_tokens=1_000) == 8_800_000
    with pytest.raises(PriceUnknown) as unknown:
        cost(price, tier="warp", input_tokens=1)
    assert (unknown.value.model, unknown.value.what) == ("mine", "service tier 'warp'")


@pytest.mark.parametrize(
    ("other", "got"),
    [
        ("gpt-4oo", ", got gpt-4oo; did you mean gpt-4o"),
        ("claude-sonet-4-5", ", got claude-sonet-4-5; did you mean claude-sonnet-4-5"),
        ("my-other", ", such as openai/gpt-4o, got my-other"),
        # Several sell it, each at its own price.
        (
            "deepseek-ai/DeepSeek-R1",
            "did you mean huggingface_hyperbolic/deepseek-ai/DeepSeek-R1 or huggingface_novita",
        ),
        ("again", ", such as openai/gpt-4o, got again"),
        ("mine", ", such as openai/gpt-4o, got mine"),
    ],
)
def test_another_model_without_a_price_is_refused_by_name(other, got):
    prices = Prices.load({"mine": PriceAs(model=other, source="--price"), "again": PriceAs(model="gpt-4o")})
    with pytest.raises(SettingsError) as refused:
        prices.check()
    assert str(refused.value).startswith("--price: prices.mine: expected a model that has a price")
    assert got in str(refused.value)


def test_the_price_of_another_model_is_visible_where_it_stands_in_for_none():
    price = Prices.load().find_as("openai", "gpt-77", "gpt-4o", source="solvent.yaml:3")
    assert (price.model, price.by_user, price.source) == (
        "gpt-77",
        False,  # Nobody said what the model that answers costs.
        "solvent.yaml:3, as openai/gpt-4o: genai-prices 0.2.3, overlay of 2026-11-22",
    )
    assert Prices.load().find_as("openai", "gpt-77", "gpt-78", source="x") is None
