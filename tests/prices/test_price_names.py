"""
Providers and models by the names that programs send: which price they find, and which have none.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from recorded import recordings

from solvent._amounts import Usage
from solvent.prices import Prices, UserPrice


@pytest.fixture(scope="module")
def prices() -> Prices:
    return Prices.load()


# By the names that wire formats and the gateway use, a model that each has, and whose prices it has.
@pytest.mark.parametrize(
    ("provider", "model", "id"),
    [
        ("anthropic", "claude-opus-5-5", "anthropic"),
        ("azure", "gpt-5.4", "azure"),
        ("bedrock", "us.anthropic.claude-sonnet-4-6", "aws"),
        ("cerebras", "gpt-oss-120b", "cerebras"),
        ("cohere", "command-r-plus", "cohere"),
        ("deepseek", "deepseek-v4-pro", "deepseek"),
        ("fireworks", "accounts/fireworks/models/gpt-oss-120b", "fireworks"),
        ("gemini", "gemini-2.5-pro", "google"),
        ("groq", "llama-3.3-70b-versatile", "groq"),
        ("huggingface", "deepseek-ai/DeepSeek-R1:together", "huggingface_together"),
        ("mistral", "mistral-large-latest", "mistral"),
        ("openai", "gpt-4o", "openai"),
        ("openrouter", "openai/gpt-4o", "openrouter"),
        ("together", "openai/gpt-oss-120b", "together"),
        ("vertex", "gemini-2.5-pro", "google"),
        ("vertex", "claude-opus-4-6@default", "google"),
        ("xai", "grok-4.6", "x-ai"),
        ("zai", "glm-5.3", "zai"),
    ],
)
def test_the_providers_of_calls_are_those_of_the_card(prices, provider, model, id):
    price = prices.find(provider, model)
    assert price is not None
    assert price.provider == id


def test_a_local_server_has_no_price_until_its_user_gives_one(prices):
    assert prices.find("ollama", "llama3.2") is None
    own = Prices.load({"ollama/*": UserPrice(input=0, output=0)}).find("ollama", "llama3.2")
    assert own.cost(Usage(input_tokens=10**6), tier=None, region=None, at=datetime(2026, 11, 21, tzinfo=UTC)) == 0


def test_a_host_of_many_has_a_price_only_where_one_is_named(prices):
    name = "deepseek-ai/DeepSeek-R1"
    assert prices.find("huggingface", name) is None
    assert prices.find("huggingface", f"{name}:fastest") is None
    assert prices.find("huggingface", f"{name}:together").provider == "huggingface_together"
    assert prices.find("huggingface_together", name).provider == "huggingface_together"


# Recorded calls whose model has no price, and why.
_NO_SUCH = "a name that the provider refused"
_NOT_IN_DATA = "genai-prices 0.2.3 has no price of it"
_FREE = "free of charge for now, by OpenRouter's own word in the name alone"
_COMPOUND = "a compound of models, each at its own price"
_DEPLOYMENT = "a profile of somebody's own, of any model"
UNPRICED = {
    ("anthropic", "claude-does-not-exist"): _NO_SUCH,
    ("anthropic", "claude-sonet-4-5"): _NO_SUCH,
    ("bedrock", "amazon.nova-2-multimodal-embeddings-v1:0"): _NOT_IN_DATA,
    ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"): _DEPLOYMENT,
    ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"): _DEPLOYMENT,
    ("bedrock", "cohere.embed-english-v3"): _NOT_IN_DATA,
    ("bedrock", "cohere.embed-multilingual-v3"): _NOT_IN_DATA,
    ("bedrock", "cohere.embed-v4:0"): _NOT_IN_DATA,
    ("bedrock", "minimax.minimax-m2"): _NOT_IN_DATA,
    ("bedrock", "moonshot.kimi-k2-thinking"): _NOT_IN_DATA,
    ("bedrock", "nvidia.nemotron-nano-12b-v2"): _NOT_IN_DATA,
    ("bedrock", "us.cohere.embed-v4:0"): _NOT_IN_DATA,
    ("bedrock", "us.does-not-exist-model-v1:0"): _NO_SUCH,
    ("bedrock", "zai.glm-4.7-flash"): _NOT_IN_DATA,
    ("cerebras", "qwen-3-coder-480b"): _NOT_IN_DATA,
    ("cohere", "command-a-reasoning-08-2025"): _NOT_IN_DATA,
    ("gemini", "gemini-3.6-flahs"): _NO_SUCH,
    ("gemini", "nonexistent-model"): _NO_SUCH,
    ("groq", "compound-beta"): _COMPOUND,
    ("groq", "groq/compound"): _COMPOUND,
    ("groq", "llama-3.3-70b-versatlie"): _NO_SUCH,
    ("groq", "non-existent"): _NO_SUCH,
    ("openai", "gpt-5.2-proo"): _NO_SUCH,
    ("openai", "nonexistent"): _NO_SUCH,
    ("openai", "omni-moderation-latest"): "moderation costs nothing, and is no model that writes",
    ("openrouter", "google/gemini-2.0-flash-exp:free"): _FREE,
    ("openrouter", "minimax/minimax-m2:free"): _FREE,
    ("openrouter", "x-ai/grok-4"): _NOT_IN_DATA,
}


def test_every_recorded_model_has_a_price_or_a_reason_for_none(prices):
    named = {(provider, model) for row in _rows() for provider, model in _models(row)}
    assert len(named) > 150
    assert {one for one in named if prices.find(*one) is None} == UNPRICED.keys()


# OpenRouter tells what it billed. It sends a call to a host of many, which may charge more than its list says, and
# bills what its tools and plugins do.
BILLED_OTHERWISE = {
    "deepseek/deepseek-chat": "a search, and a dearer host",
    "google/gemini-2.5-flash": "the account's own key; a cache that was written and read at once, or is read for less",
    "google/gemini-3.6-flash": "twice what is listed for that day",
    "openai/gpt-4.1-mini": "a search",
    "openai/gpt-4o-mini": "a tool that asks another model",
    "openai/gpt-5.1-codex-mini": "a file that a plugin reads",
    "qwen/qwen3-30b-a3b-instruct-2507": "a dearer host",
    "z-ai/glm-4.6": "a dearer host",
}


def test_the_card_says_what_was_really_billed(prices):
    equal, other = [], []
    for row in _rows():
        for usage in row["usage_raw"][-1:]:
            if "cost" not in usage or "prompt_tokens" not in usage or prices.find("openrouter", row["model"]) is None:
                continue
            details = usage.get("prompt_tokens_details") or {}
            used = Usage(
                input_tokens=usage["prompt_tokens"],
                output_tokens=usage["completion_tokens"],
                cache_read_tokens=details.get("cached_tokens") or 0,
                cache_write_5m_tokens=details.get("cache_write_tokens") or 0,
            )
            cost = prices.find("openrouter", row["model"]).cost(used, tier=None, region=None, at=_when(row))
            if cost == Decimal(str(usage["cost"])) * 10**9:
                equal.append(row["model"])
            else:
                other.append(row["model"])
    assert (len(equal), len(other)) == (32, 14)
    assert set(other) == BILLED_OTHERWISE.keys()


def _rows() -> Iterator[dict[str, Any]]:
    for file in recordings():
        yield from map(json.loads, Path(file).read_text(encoding="utf-8").splitlines())


def _models(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """
    The model that was asked for, and the one that answered.
    """
    provider = row["provider"]
    if provider == "huggingface":
        provider = f"huggingface_{row['path'].strip('/').partition('/')[0]}"
    response = row["response"] if isinstance(row.get("response"), dict) else {}
    told = [response.get("model"), response.get("modelVersion")]
    told += re.findall(r'"(?:model|modelVersion)":\s*"([^"]+)"', row.get("sse") or "")
    for model in (row["model"], *told):
        if isinstance(model, str) and model:
            yield provider, unquote(model)


def _when(row: dict[str, Any]) -> datetime:
    response = row["response"] if isinstance(row.get("response"), dict) else {}
    told = re.search(r'"created":\s*(\d+)', row.get("sse") or "")
    return datetime.fromtimestamp(int(told[1] if told else response["created"]), UTC)


@pytest.mark.slow
def test_every_listed_model_is_found_by_the_name_it_is_listed_under(prices):
    listed = list(prices.card.listed())
    assert len(listed) == 2_125
    for name, price in listed:
        for provider, asked in (
            (price.provider, name),
            ("", f"{price.provider}/{name}"),
            (price.provider, price.model),
        ):
            found = prices.find(provider, asked)
            assert found is not None, (provider, asked)
            assert (found.provider, found.model) == (price.provider, price.model)


def test_a_name_that_stands_for_many_is_listed_as_one(prices):
    names = {name for name, price in prices.card.listed("openai", "fireworks", "mistral", "aws")}
    assert {"ft:gpt-3.5-turbo*", "ft:gpt-4o-2024-*", "magistral-small-*", "codestral-latest"} <= names
    assert "accounts/fireworks/models/glm-5p3" in names
    assert not [name for name in names if name[-1] in "-:."]


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("text-embedding-3-small", "openai"),
        ("davinci", "openai"),
        ("llama-3.3-70b-versatile", "groq"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),  # Its regional price, above Anthropic's own.
        ("gpt-4o", "openai"),  # Of several that have it, its maker.
        ("deepseek-ai/DeepSeek-R1", None),  # Several have it, none makes it: not the cheapest, none.
        ("gpt-4o-2027-01-01", None),
    ],
)
def test_a_name_alone_is_the_model_of_the_one_provider_that_it_can_mean(prices, name, provider):
    sheet = prices.describe(name, at=datetime(2026, 11, 22, tzinfo=UTC))
    assert (sheet and sheet.provider) == provider


def test_a_hint_names_what_has_a_price_and_never_the_name_itself(prices):
    for asked in ("gpt-9", "gpt-5.2-proo", "claude-sonet-4-5", "claud-sonnet-4-5", "mistral/codestrol", "groq/gpt-4o"):
        hints = prices.close_anywhere(asked)
        assert hints
        assert asked not in hints
        for hint in hints:
            assert prices.describe(hint, at=datetime(2026, 11, 22, tzinfo=UTC)), (asked, hint)
    assert prices.close_anywhere("claud-sonnet-4-5")[0] == "claude-sonnet-4-5"
    assert prices.close_anywhere("groq/gpt-4o") == ["openai/gpt-4o"]
    assert prices.close_matches("openai", "llama-3.3-70b-versatile") == ["groq/llama-3.3-70b-versatile"]


def test_a_provider_that_nobody_knows_is_told_from_one_without_prices(prices):
    asked = ("openai", "bedrock", "ollama", "huggingface", "opnai", "antropic", "somebody")
    assert [prices.close_provider(name) for name in asked] == [None, None, None, None, "openai", "anthropic", ""]
    own = Prices.load({"somebody/*": UserPrice(input=1, output=1)})
    assert own.close_provider("somebody") is None
