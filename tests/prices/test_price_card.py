"""
The rate card: what it knows, how it finds it, and that it says what ``genai-prices`` says.
"""

import random
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest

from solvent._amounts import Usage
from solvent.prices import Prices
from solvent.prices._card import DATA, Card
from solvent.prices._overlay import Overlay

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)

# Every difference to genai-prices has a name. A usage does not tell cached images from cached text, nor video from
# images: there these cost what their dearest kind costs, never less.
CACHED_IMAGES = {
    ("openai", "chatgpt-image-latest"),
    ("openai", "gpt-image-1"),
    ("openai", "gpt-image-1-mini"),
    ("openai", "gpt-image-1.5"),
    ("openai", "gpt-image-2"),
    ("openai", "gpt-image-2.5-flare"),
    ("openai", "gpt-image-2.5-sunburst"),
    ("openai", "gpt-realtime"),
    ("openai", "gpt-realtime-2"),
    ("openai", "gpt-realtime-mini"),
}
IMAGES_AS_VIDEO = {("google", "gemini-embedding-2")}


@pytest.fixture(scope="module")
def card() -> Card:
    return Card()


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices.load()


@pytest.fixture(scope="module")
def genai() -> Any:
    return pytest.importorskip("genai_prices.data_snapshot", reason="genai-prices is not installed").get_snapshot()


def test_importing_prices_loads_neither_the_data_nor_what_reads_it():
    code = "import sys, solvent.prices; print([n for n in ('genai_prices', 'pydantic') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.usefixtures("genai")
def test_the_card_is_what_its_command_makes():
    from solvent.prices._compile import shipped_rates

    assert (DATA / "rates.jsonl").read_text(encoding="utf-8") == shipped_rates()


@pytest.mark.parametrize(
    ("name", "source"), [("rates.jsonl", "genai-prices 0.2.3"), ("limits.json", "litellm 1.109.1")]
)
def test_a_data_file_begins_with_its_command_and_source_and_stays_small(name, source):
    text = (DATA / name).read_text(encoding="utf-8")
    head = f'{{"made_by":"python -m solvent.prices._compile","source":"{source}","license":"MIT, see NOTICE",'
    assert text.startswith(head)
    assert "genai-prices" in (DATA / "NOTICE").read_text(encoding="utf-8")
    assert len(text) < 500_000


@pytest.mark.parametrize(
    ("provider", "name", "model"),
    [
        ("openai", "gpt-4o", "gpt-4o"),
        ("openai", "GPT-4o", "gpt-4o"),
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-20240806", "gpt-4o"),
        ("openai", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openai", "gpt-6-sol-2026-12-24", "gpt-6-sol"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic", "claude-3-5-haiku-latest", "claude-3-5-haiku-latest"),
        ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("azure", "gpt-5", "gpt-5"),
        ("openrouter", "openai/gpt-4o", "openai/gpt-4o"),
        ("litellm", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
    ],
)
def test_a_name_as_sent_finds_its_price(prices, provider, name, model):
    assert prices.find(provider, name).model == model


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-4o-2026-01-01"),  # A snapshot that nobody has priced yet: the one of May 2024 costs double.
        ("openai", "my-deployment"),
        ("openai", "anthropic/claude-sonnet-4-5"),
        ("openai", ""),
        ("openai", "/"),
        ("openai", "whisper-1"),  # Priced by the hour of audio, not by tokens.
        ("nowhere", "gpt-4o"),
        ("", "gpt-4o"),
    ],
)
def test_a_name_that_no_rule_knows_has_no_price(prices, provider, name):
    assert prices.find(provider, name) is None


def test_a_price_is_found_once_and_then_remembered(prices):
    assert prices.find("openai", "gpt-4o") is prices.find("openai", "gpt-4o")


def test_close_matches_names_at_most_three_priced_models(prices):
    assert prices.close_matches("openai", "gpt-4o-2026-01-01") == [
        "gpt-4o-2024-11-20",
        "gpt-4o-2024-08-06",
        "gpt-4o-2024-05-13",
    ]
    assert prices.close_matches("nowhere", "gpt-4o") == ["openai/gpt-4o"]  # The one that has the very name.
    assert prices.close_matches("nowhere", "nothing-like-it") == []


def test_a_model_listed_without_a_price_is_not_free(prices, genai):
    unpriced = Counter(
        provider.id
        for provider in genai.providers
        for model in provider.models
        if not any(vars(price) for price in _all_prices(model))
    )
    assert unpriced.total() == 179
    assert unpriced["openrouter"] == 160
    for provider in genai.providers:
        for model in provider.models:
            if not any(vars(price) for price in _all_prices(model)):
                found = prices.find(provider.id, model.id)
                assert found is None or found.model != model.id


def test_the_card_has_every_model_that_is_priced_by_the_token(card, genai):
    expected = {
        (provider.id, model.id)
        for provider in genai.providers
        for model in provider.models
        if any("input_mtok" in vars(price) for price in _all_prices(model))
    }
    assert {(price.provider, price.model) for price in card.every_price()} == expected
    assert len(expected) == 2_125


def test_limits_are_the_models_own(prices):
    limits = {
        (provider, name): (price.input_tokens_max, price.output_tokens_max)
        for provider, name in (
            ("openai", "gpt-4o"),
            ("openai", "gpt-4o-2024-05-13"),
            ("openai", "gpt-4"),
            ("openai", "gpt-5"),
            ("anthropic", "claude-sonnet-4-5-20250929"),
            ("google", "gemini-2.5-pro"),
            ("azure", "gpt-5"),
        )
        if (price := prices.find(provider, name))
    }
    assert limits == {
        ("openai", "gpt-4o"): (128_000, 16_384),
        ("openai", "gpt-4o-2024-05-13"): (128_000, 4_096),
        ("openai", "gpt-4"): (8_192, 8_192),
        ("openai", "gpt-5"): (272_000, 128_000),
        ("anthropic", "claude-sonnet-4-5-20250929"): (200_000, 64_000),
        ("google", "gemini-2.5-pro"): (1_048_576, 65_536),
        ("azure", "gpt-5"): (272_000, 128_000),
    }


def test_where_several_beginnings_fit_a_name_the_longest_wins(card):
    compared = 0
    for provider in map(card._provider, card.providers):
        beginnings = [(what, index) for index, (kind, what) in provider.rules if kind == "starts_with"]
        for name in [what + ending for what, _ in beginnings for ending in ("", "-20260101", "-latest")]:
            longest = max(len(what) for what, _ in beginnings if name.startswith(what))
            best = [provider.models[index] for what, index in beginnings if name[:longest] == what]
            found = provider.find(name)
            assert name in provider.exact or any(found is one for one in best), (provider.id, name)
            compared += 1
    assert compared > 500


@pytest.mark.slow
def test_every_name_finds_what_genai_prices_finds(card, genai):
    compared = 0
    for provider in genai.providers:
        names = {model.id for model in provider.models} | set(card._provider(provider.id).exact)
        for name in sorted(names | {f"{one}-20260101" for one in names} | {f"x{one}" for one in list(names)[:50]}):
            model = provider.find_model(name, all_providers=genai.providers)
            ours = card.find(provider.id, name)
            priced = model is not None and any("input_mtok" in vars(price) for price in _all_prices(model))
            if model is None and ours is not None:
                # Beyond the data: a name that begins with its own provider's, `voyage/voyage-3` at Voyage, and what the
                # data itself calls a model, which no request does.
                assert card.provider_id(name.partition("/")[0]) == provider.id or ours.model == name
                continue
            assert (ours.model if ours else None) == (model.id if priced and model else None), (provider.id, name)
            compared += 1
    assert compared > 8_000


@pytest.mark.slow
def test_the_card_costs_what_genai_prices_costs_to_the_nanodollar(genai):
    dice = random.Random(20261121)
    differences: dict[str, set[tuple[str, str]]] = defaultdict(set)
    compared = 0
    # Without the overlay: it is there to differ.
    ours_by_name = {(price.provider, price.model): price for price in Card(overlay=Overlay()).every_price()}
    for provider in genai.providers:
        for model in provider.models:
            key = (provider.id, model.id)
            ours = ours_by_name.get(key)
            for _ in range(6 if ours else 0):
                at = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=dice.randrange(3 * 365 * 24 * 60))
                usage, context = _random_call(dice, model, at)
                exact = (
                    model.calc_price(
                        _genai_usage(usage, model), provider, genai_request_timestamp=at, price_context=context
                    ).total_price
                    * 10**9
                )
                asked = {"tier": None, "region": None}
                for kind, name in (context or {}).items():
                    asked["region" if kind == "route" else "tier"] = name
                cost = ours.cost(usage, **asked, at=at)
                compared += 1
                if cost == int(exact.to_integral_value(ROUND_CEILING)):
                    continue
                assert cost > exact, key
                differences[_why(key, model, usage, cost - exact)].add(key)
    assert compared >= 12_000
    assert differences["cached images"] == CACHED_IMAGES
    assert differences["images as video"] == IMAGES_AS_VIDEO
    assert differences.keys() == {"cached images", "finer than a picodollar", "an hour of cache", "images as video"}


def _why(key: tuple[str, str], model: Any, usage: Usage, difference: Decimal) -> str:
    if key in IMAGES_AS_VIDEO:
        return "images as video"
    if key in CACHED_IMAGES and usage.cache_read_tokens:
        return "cached images"
    if _hour_of_cache_unpriced(model, usage):
        return "an hour of cache"
    # Rounded up at compile, by less than a picodollar a unit.
    assert _finer_than_a_picodollar(model), key
    assert difference <= 1 + usage.tokens / Decimal(1_000), key
    return "finer than a picodollar"


def _random_call(dice: random.Random, model: Any, at: datetime) -> tuple[Usage, dict[str, str] | None]:
    """
    A usage of the units that the model prices at that time, and what selects one of its variants.
    """
    variants = [
        variant
        for variant in model.price_variants or ()
        if (variant.constraint is None or variant.constraint.active(at))
        and vars(variant.prices)
        and "search_type" not in variant.when
    ]
    chosen = dice.choice([None, *variants])
    context = dict(chosen.when) if chosen else None
    priced = vars(model.get_prices(at, context))
    size = dice.choice((1_000, 150_000, 900_000))
    fresh, read, write_5m, hour = (dice.randrange(size) for _ in range(4))
    write_1h = dice.choice((0, hour))
    audio = dice.randrange(size) if "input_audio_mtok" in priced else 0
    audio_read = dice.randrange(read + 1) if "cache_audio_read_mtok" in priced else 0
    output = dice.randrange(size) if "output_mtok" in priced else 0
    audio_output = dice.randrange(output + 1) if "output_audio_mtok" in priced else 0
    images = dice.randrange(fresh + 1) if priced.keys() & {"input_image_mtok", "input_video_mtok"} else None
    drawn = priced.keys() & {"output_image_mtok", "output_video_mtok"}
    images_output = dice.randrange(output - audio_output + 1) if drawn else None
    usage = Usage(
        input_tokens=fresh + read + write_5m + write_1h + audio,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_5m_tokens=write_5m,
        cache_write_1h_tokens=write_1h,
        reasoning_tokens=dice.randrange(output - audio_output - (images_output or 0) + 1),
        audio_input_tokens=audio + audio_read,
        audio_output_tokens=audio_output,
        audio_cache_read_tokens=audio_read,
        image_input_tokens=images,
        image_output_tokens=images_output,
        web_searches=dice.randrange(50) if "web_searches_kcount" in priced else 0,
        file_searches=dice.randrange(50) if "storage_searches_kcount" in priced else 0,
    )
    usage.check()
    return usage, context


def _genai_usage(usage: Usage, model: Any) -> Any:
    from genai_prices.types import Usage as TheirUsage

    kinds = {}
    for ours, direction in ((usage.image_input_tokens, "input"), (usage.image_output_tokens, "output")):
        if ours is not None:
            has_images = any(f"{direction}_image_mtok" in vars(price) for price in _all_prices(model))
            kinds[f"{direction}_{'image' if has_images else 'video'}_tokens"] = ours
    if "input_image_tokens" in kinds:
        kinds["cache_image_read_tokens"] = 0
    return TheirUsage(
        **kinds,
        storage_searches=usage.file_searches,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_5m_tokens + usage.cache_write_1h_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        input_audio_tokens=usage.audio_input_tokens,
        output_audio_tokens=usage.audio_output_tokens,
        cache_audio_read_tokens=usage.audio_cache_read_tokens,
        web_searches=usage.web_searches,
    )


def _all_prices(model: Any) -> list[Any]:
    return [rule.prices for rule in model.prices] if isinstance(model.prices, list) else [model.prices]


def _amounts(model: Any) -> list[Decimal]:
    found = []
    for price in [*_all_prices(model), *(variant.prices for variant in model.price_variants or ())]:
        for value in vars(price).values():
            found += [value] if isinstance(value, Decimal) else [value.base, *(tier.price for tier in value.tiers)]
    return found


def _finer_than_a_picodollar(model: Any) -> bool:
    return any(amount * 10**6 % 1 for amount in _amounts(model))


def _hour_of_cache_unpriced(model: Any, usage: Usage) -> bool:
    """
    An hour of cache without a price: twice the input for Claude, else not below the input; the data says five minutes'.
    """
    return usage.cache_write_1h_tokens > 0 and not all("cache_write_1h_mtok" in vars(p) for p in _all_prices(model))
