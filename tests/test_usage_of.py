"""
What a program may hand over as a usage, and that nothing which is not understood is ever taken for nothing used.
"""

from collections import UserDict
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from solvent._amounts import Usage
from solvent._usage_of import Told, usage_of

CHAT = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
COUNTED = Usage(input_tokens=10, output_tokens=5)


def counted(given: object) -> Usage:
    usage = usage_of(given).usage
    assert usage is not None
    return usage


def test_nothing_says_nothing():
    assert usage_of(None) == Told()


def test_a_usage_of_our_own_is_taken_as_it_is_and_as_plain_data():
    usage = Usage(input_tokens=10, output_tokens=5, cache_write_5m_tokens=3, image_input_tokens=0, tool_calls=2)

    assert counted(usage) == counted(msgspec.to_builtins(usage)) == usage


# In the words of a provider or a framework. Sources: ``_framework_usage.py`` and the modules of the wire formats; and
# openai-agents 0.24.0, ``usage.py``; smolagents 1.26.0, ``monitoring.py``; autogen-core 0.7.5, ``models/_types.py``;
# haystack-ai 3.4.1, ``meta["usage"]``; read 2026-11-22.
WORDS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "agents": (
        {
            "requests": 2,
            "input_tokens": 100,
            "output_tokens": 5,
            "total_tokens": 105,
            "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 7},
            "output_tokens_details": {"reasoning_tokens": 2},
        },
        {
            "input_tokens": 100,
            "output_tokens": 5,
            "cache_read_tokens": 20,
            "cache_write_5m_tokens": 7,
            "reasoning_tokens": 2,
        },
    ),
    "anthropic": (
        {
            "input_tokens": 10,
            "output_tokens": 5,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_1h_input_tokens": 10, "ephemeral_5m_input_tokens": 20},
        },
        {
            "input_tokens": 140,
            "output_tokens": 5,
            "cache_read_tokens": 100,
            "cache_write_5m_tokens": 20,
            "cache_write_1h_tokens": 10,
        },
    ),
    "anthropic that thought": (
        {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 4}},
        {"input_tokens": 10, "output_tokens": 5, "reasoning_tokens": 4},
    ),
    "autogen": ({"prompt_tokens": 10, "completion_tokens": 5}, {"input_tokens": 10, "output_tokens": 5}),
    "bedrock": (
        {
            "inputTokens": 10,
            "outputTokens": 5,
            "totalTokens": 115,
            "cacheReadInputTokens": 70,
            "cacheWriteInputTokens": 30,
        },
        {"input_tokens": 110, "output_tokens": 5, "cache_read_tokens": 70, "cache_write_5m_tokens": 30},
    ),
    "cohere": (
        {
            "billed_units": {"input_tokens": 10.0, "output_tokens": 5.0},
            "tokens": {"input_tokens": 510, "output_tokens": 6},
        },
        {"input_tokens": 10, "output_tokens": 5},
    ),
    "crewai": (
        {
            "total_tokens": 105,
            "prompt_tokens": 100,
            "cached_prompt_tokens": 40,
            "completion_tokens": 5,
            "reasoning_tokens": 2,
            "cache_creation_tokens": 8,
            "successful_requests": 3,
        },
        {
            "input_tokens": 100,
            "output_tokens": 5,
            "cache_read_tokens": 40,
            "cache_write_5m_tokens": 8,
            "reasoning_tokens": 2,
        },
    ),
    "gemini": (
        {
            "promptTokenCount": 100,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 7,
            "totalTokenCount": 112,
            "cachedContentTokenCount": 40,
        },
        {"input_tokens": 100, "output_tokens": 12, "cache_read_tokens": 40, "reasoning_tokens": 7},
    ),
    "gemini by attributes": (
        {
            "prompt_token_count": 100,
            "candidates_token_count": 5,
            "total_token_count": 105,
            "prompt_tokens_details": [{"modality": "AUDIO", "token_count": 30}],
        },
        {"input_tokens": 100, "output_tokens": 5, "audio_input_tokens": 30, "image_input_tokens": 0},
    ),
    "langchain": (
        {
            "input_tokens": 350,
            "output_tokens": 240,
            "total_tokens": 590,
            "input_token_details": {"audio": 10, "cache_creation": 50, "cache_read": 100},
            "output_token_details": {"audio": 20, "reasoning": 200},
        },
        {
            "input_tokens": 350,
            "output_tokens": 240,
            "cache_read_tokens": 100,
            "cache_write_5m_tokens": 50,
            "reasoning_tokens": 200,
            "audio_input_tokens": 10,
            "audio_output_tokens": 20,
        },
    ),
    "langchain at a tier": (
        {
            "input_tokens": 350,
            "output_tokens": 240,
            "total_tokens": 590,
            "input_token_details": {"flex_cache_read": 100, "flex": 250},
            "output_token_details": {"flex_reasoning": 200, "flex": 40},
        },
        {"input_tokens": 350, "output_tokens": 240, "cache_read_tokens": 100, "reasoning_tokens": 200},
    ),
    "langchain of anthropic": (
        {
            "input_tokens": 140,
            "output_tokens": 5,
            "total_tokens": 145,
            "input_token_details": {
                "cache_creation": 0,
                "cache_read": 100,
                "ephemeral_1h_input_tokens": 10,
                "ephemeral_5m_input_tokens": 20,
            },
        },
        {
            "input_tokens": 140,
            "output_tokens": 5,
            "cache_read_tokens": 100,
            "cache_write_5m_tokens": 20,
            "cache_write_1h_tokens": 10,
        },
    ),
    "langchain-aws": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "cache_read_input_tokens": 70,
            "cache_write_input_tokens": 30,
            "total_tokens": 115,
        },
        {"input_tokens": 110, "output_tokens": 5, "cache_read_tokens": 70, "cache_write_5m_tokens": 30},
    ),
    "litellm": (
        {
            "prompt_tokens": 150,
            "completion_tokens": 5,
            "total_tokens": 155,
            "prompt_tokens_details": {
                "cached_tokens": 100,
                "cache_write_tokens": 30,
                "cache_creation_tokens": 30,
                "cache_creation_token_details": {"ephemeral_1h_input_tokens": 30, "ephemeral_5m_input_tokens": 0},
                "web_search_requests": 2,
            },
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 30,
        },
        {
            "input_tokens": 150,
            "output_tokens": 5,
            "cache_read_tokens": 100,
            "cache_write_1h_tokens": 30,
            "web_searches": 2,
        },
    ),
    "llama on bedrock": (
        {"prompt_token_count": 10, "generation_token_count": 5},
        {"input_tokens": 10, "output_tokens": 5},
    ),
    "ollama": ({"prompt_eval_count": 10, "eval_count": 5}, {"input_tokens": 10, "output_tokens": 5}),
    "openai chat": (
        {**CHAT, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}},
        {"input_tokens": 10, "output_tokens": 5, "cache_read_tokens": 4, "reasoning_tokens": 3},
    ),
    "openai embeddings": ({"prompt_tokens": 10, "total_tokens": 10}, {"input_tokens": 10}),
    "pydantic-ai": (
        {"requests": 1, "input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 40, "details": {}},
        {"input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 40},
    ),
    "smolagents": (
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        {"input_tokens": 10, "output_tokens": 5},
    ),
    "strands of openai": (
        {"inputTokens": 100, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 70},
        {"input_tokens": 100, "output_tokens": 5, "cache_read_tokens": 70},
    ),
    "xai": (
        {**CHAT, "server_side_tool_usage_details": {"web_search_calls": 3}, "cost_in_usd_ticks": 1},
        {"input_tokens": 10, "output_tokens": 5, "web_searches": 3},
    ),
}


@pytest.mark.parametrize("words", WORDS)
def test_each_library_is_read_in_its_own_words(words):
    told, expected = WORDS[words]
    usage = Usage(**expected)

    by_attributes = SimpleNamespace(**as_object(told).__dict__, client=object(), cost=0.5)
    for handed in (told, UserDict(told), {"usage": told}, by_attributes, SimpleNamespace(usage=by_attributes)):
        found = counted(handed)
        # Whether there were images, Google tells and the others do not.
        assert msgspec.structs.replace(found, image_input_tokens=usage.image_input_tokens) == usage


def as_object(told: Any) -> Any:
    if isinstance(told, list):
        return [as_object(item) for item in told]
    return SimpleNamespace(**{name: as_object(value) for name, value in told.items()}) if type(told) is dict else told


# In what carries it. Sources: langchain-core 1.8.2, ``messages/ai.py`` and ``outputs``; llama-index-core 0.14.25,
# ``base/llms/types.py``; openai-agents 0.24.0, ``result.py``; strands-agents 1.62.0, ``agent/agent_result.py``;
# cohere 7.3.1, ``types/embed_by_type_response.py``; ollama 0.6.3, ``_types.py``; read 2026-11-22.
CARRIERS: dict[str, tuple[dict[str, Any], str | None, int]] = {
    "ai message": (
        {
            "type": "ai",
            "usage_metadata": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
            "response_metadata": {"model_name": "m", "token_usage": {"prompt_tokens": 1, "completion_tokens": 1}},
            "tool_calls": [{"name": "f"}],
        },
        "m",
        1,
    ),
    "ai message of ollama": (
        {"usage_metadata": None, "response_metadata": {"model": "m", "prompt_eval_count": 10, "eval_count": 5}},
        "m",
        0,
    ),
    "agents": ({"final_output": "x", "context_wrapper": {"usage": CHAT}}, None, 0),
    "event of a stream": ({"type": "response.completed", "response": {"model": "m", "usage": CHAT}}, "m", 0),
    "haystack": ({"meta": {"model": "m", "usage": CHAT}}, None, 0),
    "llama-index": (
        {"raw": {"model": "m", "choices": [], "usage": CHAT}, "additional_kwargs": {"prompt_tokens": 1}},
        "m",
        0,
    ),
    "llm result": ({"generations": [], "llm_output": {"token_usage": CHAT, "model_name": "m"}}, "m", 0),
    "llm result of a stream": (
        {"generations": [[{"message": {"usage_metadata": {**CHAT}, "response_metadata": {"model_name": "m"}}}]]},
        "m",
        0,
    ),
    "moonshot": ({"model": "m", "choices": [{"usage": CHAT, "message": {"tool_calls": [{}, {}]}}]}, "m", 2),
    "strands": ({"metrics": {"accumulated_usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}}}, None, 0),
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_usage_is_found_where_a_library_carries_it(carrier):
    body, model, tool_calls = CARRIERS[carrier]

    found = usage_of(body)

    assert found.usage == msgspec.structs.replace(COUNTED, tool_calls=tool_calls)
    assert found.model == (model or ("m" if carrier == "haystack" else None))


def test_embeddings_have_no_output_and_say_so():
    assert counted({"embeddings": [[0.5] * 9], "meta": {"billed_units": {"input_tokens": 7.0}}}).input_tokens == 7
    assert counted({"model": "m", "embeddings": [[0.5]], "prompt_eval_count": 7}).output_tokens == 0
    assert counted({"embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 7}}).input_tokens == 7
    assert counted({"embedding": [0.5], "inputTextTokenCount": 7}).input_tokens == 7


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"prompt_tokens": 10}, Told(input_tokens=10)),
        ({"completion_tokens": 5}, Told(output_tokens=5)),
        ({"total_tokens": 15}, Told(tokens=15)),
        ({"completion_tokens": 5, "total_tokens": 15}, Told(output_tokens=5, tokens=15)),
        ({"model": "m", "usage": {"output_tokens": 5}}, Told(output_tokens=5, model="m")),
        ({"input_tokens": 10, "output_tokens": None}, Told(input_tokens=10)),
        ({"input_tokens": 10, "cache_read_input_tokens": 100}, Told(input_tokens=110)),
        ({"model": "m", "done": True, "eval_count": 5}, Told(output_tokens=5, model="m")),
        ({"inputTokens": 10, "cacheReadInputTokens": 100}, Told(input_tokens=110)),
        ({"billed_units": {"input_tokens": 10}}, Told(input_tokens=10)),
        ({"totalTokenCount": 15}, Told(tokens=15)),
        ({"total_tokens": 15, "usage": CHAT}, Told(usage=COUNTED)),
        ({"prompt_tokens": None, "input_tokens": 10, "output_tokens": 5}, Told(usage=COUNTED)),
    ],
)
def test_what_is_known_of_a_part_is_told_as_that_part(given, told):
    assert usage_of(given) == told
