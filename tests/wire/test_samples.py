"""
Every recorded exchange is understood, and its usage is read exactly, however the bytes are cut.
"""

import random
from collections import Counter

import pytest
from wire_samples import Exchange, exchanges

from solvent._amounts import Usage
from solvent.wire import Call, Reading

EXCHANGES = {
    "anthropic-messages": 243,
    "bedrock-converse": 99,
    "bedrock-invoke": 32,
    "cohere-chat": 13,
    "gemini-generate": 179,
    "openai-chat": 330,
    "openai-embeddings": 3,
    "openai-responses": 242,
}
# Whose usage is refused, and why.
NOT_BELIEVED = {
    "test_openai_responses_model_retry": "a reply with output must have read more than 0 tokens",
    "test_openrouter_cache_instructions_gemini_real_api": "cached tokens must not be above input_tokens",
    "test_anthropic_advisor_tool": "a part of the usage is of another model",
    "test_anthropic_advisor_tool_message_replay": "a part of the usage is of another model",
    "test_anthropic_advisor_tool_redacted": "a part of the usage is of another model",
    "test_anthropic_advisor_tool_stream": "a part of the usage is of another model",
}


def test_every_exchange_is_described():
    calls = [exchange.call() for exchange in exchanges()]

    assert Counter(call.format for call in calls) == EXCHANGES
    assert all(call.model for call in calls)
    assert sum(call.stream for call in calls) > 90


def test_every_usage_is_the_providers_own():
    wrong, believed = [], 0
    for exchange in exchanges():
        reading, _ = read(exchange, exchange.call(), [exchange.body])
        if reading.problem is not None:
            assert reading.problem.startswith(NOT_BELIEVED[exchange.run.rpartition("/")[2]])
            continue
        tokens = reading.usage and token_counts(reading.usage)
        believed += tokens is not None
        if tokens != expected(exchange):
            wrong.append((exchange.run, exchange.step, tokens, expected(exchange)))

    assert not wrong, wrong
    assert believed > 700


def test_replies_are_complete_and_name_their_model():
    for exchange in exchanges():
        reading, _ = read(exchange, exchange.call(), [exchange.body])
        if reading.usage is not None:
            assert reading.complete
            assert reading.model or exchange.provider in ("bedrock", "cohere") or exchange.path.endswith("/compact")
        if exchange.status >= 400:
            assert reading.error is not None
            assert reading.usage is None


def test_tool_calls_are_those_of_the_reply():
    for exchange in exchanges():
        if exchange.sse is None and exchange.status < 400:
            reading, _ = read(exchange, exchange.call(), [exchange.body])
            assert reading.tool_calls == asked_tool_calls(exchange), exchange.run


@pytest.mark.slow
@pytest.mark.parametrize("ask", [False, True], ids=["asked by the caller", "asked by us"])
def test_streams_read_alike_however_they_are_cut(ask):
    rng = random.Random(7)
    streams = [exchange for exchange in exchanges() if exchange.sse is not None and len(exchange.body) < 30_000]
    assert len(streams) > 60
    for exchange in streams:
        call = exchange.call()
        if ask and exchange.format.name == "openai-chat":
            unasked = {key: value for key, value in exchange.request.items() if key != "stream_options"}
            call = exchange.format.describe(unasked, provider=exchange.provider, path=exchange.path, headers={})
        body = exchange.body
        whole = read(exchange, call, [body])
        other_ends = body.replace(b"\r\n", b"\n") if b"\r\n" in body else body.replace(b"\n", b"\r\n")
        for chunks in (bytewise(body), random_cuts(body, rng), random_cuts(other_ends, rng)):
            reading, out = read(exchange, call, chunks)
            assert reading == whole[0]
            assert out.replace(b"\r\n", b"\n") == whole[1].replace(b"\r\n", b"\n")
        if call.usage_asked:
            assert whole[1] == body


def test_only_the_usage_event_that_we_asked_for_is_left_out():
    dropped = 0
    for exchange in exchanges():
        if exchange.sse is None or exchange.format.name != "openai-chat" or not exchange.request.get("stream_options"):
            continue
        unasked = {key: value for key, value in exchange.request.items() if key != "stream_options"}
        call = exchange.format.describe(unasked, provider=exchange.provider, path=exchange.path, headers={})
        reading, out = read(exchange, call, [exchange.body])
        events, kept = exchange.body.split(b"\n\n"), out.split(b"\n\n")
        missing = [event for event in events if event not in kept]
        assert [event for event in events if event in kept] == kept
        assert all(b'"choices":[]' in event and b'"usage":{' in event for event in missing)
        assert len(missing) <= 1
        dropped += len(missing)
        assert reading == read(exchange, exchange.call(), [exchange.body])[0]

    assert dropped > 30


@pytest.mark.slow
def test_a_stream_cut_before_its_usage_has_none():
    for exchange in exchanges():
        if exchange.sse is None or len(exchange.body) > 30_000:
            continue
        call = exchange.call()
        for share in (0.1, 0.5):
            reading, _ = read(exchange, call, [exchange.body[: int(len(exchange.body) * share)]])
            if not reading.complete and reading.usage is not None:  # Some hosts tell it in every chunk.
                assert exchange.format.name in ("gemini-generate", "openai-chat")


def read(exchange: Exchange, call: Call, chunks: list[bytes]) -> tuple[Reading, bytes]:
    reader = exchange.format.reader(call, status=exchange.status, stream=exchange.sse is not None)
    out = b"".join([reader.feed(chunk) for chunk in chunks])
    return reader.finish(), out


def bytewise(body: bytes) -> list[bytes]:
    return [body[index : index + 1] for index in range(len(body))]


def random_cuts(body: bytes, rng: random.Random) -> list[bytes]:
    chunks = []
    while body:
        size = rng.choice((1, 2, 3, 7, 40, 300, 5_000))
        chunks.append(body[:size])
        body = body[size:]
    return chunks


def token_counts(usage: Usage) -> tuple[int, int, int, int]:
    writes = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens
    return usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, writes


def expected(exchange: Exchange) -> tuple[int, int, int, int] | None:
    """
    The usage in our words, put together here a second time and more simply: the last that the provider told.
    """
    told = [usage for usage in exchange.usage_raw if usage]
    if exchange.provider == "bedrock" and "inputTextTokenCount" in exchange.response:
        return exchange.response["inputTextTokenCount"], 0, 0, 0
    if exchange.format.name == "gemini-generate" and told:
        read = told[-1]["promptTokenCount"] + told[-1].get("toolUsePromptTokenCount", 0)
        return read, told[-1]["totalTokenCount"] - read, told[-1].get("cachedContentTokenCount", 0), 0
    if exchange.sse is None and told:
        told = [exchange.response["usage"]]  # Beside it a compound model tells each part's.
    if not told:
        return None
    last = told[-1]
    if exchange.provider == "cohere":
        return last["billed_units"]["input_tokens"], last["billed_units"]["output_tokens"], 0, 0
    if exchange.format.name == "bedrock-converse":
        cached, wrote = last.get("cacheReadInputTokens", 0), last.get("cacheWriteInputTokens", 0)
        return last["inputTokens"] + cached + wrote, last["outputTokens"], cached, wrote
    if exchange.format.name in ("anthropic-messages", "bedrock-invoke"):
        first = told[0]  # A stream's start has what its end may leave out.
        turns = last.get("iterations") or [{**first, **last}]
        turns = [{**turn} for turn in turns]
        cached = sum(turn.get("cache_read_input_tokens") or 0 for turn in turns)
        wrote = sum(turn.get("cache_creation_input_tokens") or 0 for turn in turns)
        fresh = sum(turn["input_tokens"] for turn in turns)
        return fresh + cached + wrote, sum(turn["output_tokens"] for turn in turns), cached, wrote
    read = last.get("prompt_tokens", last.get("input_tokens", 0))
    details = last.get("prompt_tokens_details") or last.get("input_tokens_details") or {}
    cached = details.get("cached_tokens") or last.get("num_cached_tokens") or last.get("cached_tokens") or 0
    return read, last["total_tokens"] - read, cached, details.get("cache_write_tokens") or 0


def asked_tool_calls(exchange: Exchange) -> int:
    body = exchange.response
    if exchange.provider == "cohere":
        return len(body["message"].get("tool_calls") or [])
    if exchange.format.name == "bedrock-converse":
        blocks = [block.get("toolUse") for block in body["output"]["message"]["content"]]
        return sum(tool is not None and tool.get("type") != "server_tool_use" for tool in blocks)
    if exchange.format.name in ("bedrock-invoke", "openai-embeddings"):
        return 0
    if exchange.format.name == "gemini-generate":
        parts = [part for candidate in body["candidates"] for part in candidate["content"].get("parts", [])]
        return sum("functionCall" in part for part in parts)
    if exchange.format.name == "openai-chat":
        return sum(len(choice["message"].get("tool_calls") or []) for choice in body.get("choices") or [])
    if exchange.format.name == "anthropic-messages":
        return sum(block["type"] == "tool_use" for block in body["content"])
    return sum(
        item["type"] in ("function_call", "custom_tool_call")
        or (item["type"] == "tool_search_call" and item.get("execution") == "client")
        for item in body["output"]
    )
