"""
Whatever comes, a request becomes a ``Call`` or a ``ValueError``, and a reader never fails or alters what it passes on.
"""

import pytest
from frames import chunk, event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_formats import PATHS, REQUESTS

from solvent.wire import FORMATS, Call, Reading

KEYS = st.sampled_from(
    [
        "model",
        "messages",
        "input",
        "content",
        "role",
        "type",
        "text",
        "tools",
        "function",
        "name",
        "system",
        "image_url",
        "source",
        "data",
        "max_tokens",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tool_calls",
        "max_uses",
        "n",
        "stream",
        "stream_options",
        "include_usage",
        "response_format",
        "tool_choice",
        "cache_control",
        "ttl",
        "usage",
        "choices",
        "delta",
        "message",
        "index",
        "finish_reason",
        "tool_calls",
        "id",
        "error",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "iterations",
        "cache_creation",
        "response",
        "output",
        "item",
        "action",
        "prediction",
        "modalities",
        "reasoning",
        "mode",
        "context_management",
        "edits",
        "mcp_servers",
        "output_config",
        "format",
        "x_groq",
        "prompt",
        "suffix",
        "best_of",
        "echo",
        "texts",
        "inputs",
        "documents",
        "document",
        "options",
        "num_predict",
        "images",
        "done",
        "done_reason",
        "prompt_eval_count",
        "eval_count",
        "billed_units",
        "tokens",
        "meta",
        "data",
        "embeddings",
        "executed_tools",
        "web_search",
        "cost",
        "cost_details",
        "cost_in_usd_ticks",
        "is_byok",
        "search_parameters",
        "additionalModelRequestFields",
        "bytes",
        "cachePoint",
        "inferenceConfig",
        "inputText",
        "inputTokens",
        "input_type",
        "maxTokens",
        "normalize",
        "outputTokens",
        "reasoningContent",
        "serverToolUsage",
        "singleEmbeddingParams",
        "stopReason",
        "systemTool",
        "toolConfig",
        "toolResult",
        "toolSpec",
        "toolUse",
    ]
)
WORDS = st.sampled_from(
    [
        "user",
        "assistant",
        "text",
        "image",
        "image_url",
        "tool_result",
        "document",
        "tool_use",
        "json_schema",
        "message",
        "function",
        "function_call",
        "function_call_output",
        "additional_tools",
        "web_search",
        "shell",
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "response.completed",
        "response.output_item.added",
        "error",
        "stop",
        "length",
        "5m",
        "1h",
        "auto",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-3, 2**64) | st.floats() | st.text(max_size=8) | WORDS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30
)
PIECES = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"event: error",
        b"\n\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\r\n",
        b":",
        b"[DONE]",
        b'{"choices":[]',
        b"}",
        b',"usage":{"prompt_tokens":7,"completion_tokens":2}',
        b'{"error":{"type":"x"}}',
        b'{"choices":[{"delta":{"content":"x"}}]}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}',
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b'{"type":"response.completed","response":{"usage":{"input_tokens":1,"output_tokens":1}}}',
        b'"usage"',
        b'"error"',
        b"[" * 200,
        event("contentBlockDelta", {"delta": {"text": "x"}}),
        event("metadata", {"usage": {"inputTokens": 7, "outputTokens": 2}}),
        event("metadata", {"usage": {"inputTokens": 7, "outputTokens": 2}})[:-9],
        chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}),
        chunk(b"[" * 200),
        b'{"done":true,"prompt_eval_count":7,"eval_count":2}\n',
        b'{"type":"message-end","delta":{"usage":{"billed_units":{"input_tokens":7,"output_tokens":2}}}}',
    ]
)
LIMITS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_any_json_is_a_call_or_a_value_error(name):
    @LIMITS
    @given(st.dictionaries(KEYS, JSON, max_size=8), st.booleans())
    def check(request: dict[str, object], named: bool) -> None:
        if named:
            request = {**REQUESTS[name], **request, "model": "m"}
        try:
            call = FORMATS[name].describe(request, provider="openai", path=PATHS[name], headers={})
        except ValueError:
            return
        assert isinstance(call, Call)
        assert call.head.tokens_max >= 0
        assert all(item.tokens_max >= 0 and item.images >= 0 for item in call.items)
        FORMATS[name].rewrite(call, model="other", output_tokens_max=1, own_cap="max_tokens")

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("stream", [False, True])
def test_any_bytes_are_read_without_failing_and_passed_on(name, stream):
    call = FORMATS[name].describe({**REQUESTS[name], "stream": True}, provider="openai", path=PATHS[name], headers={})

    @LIMITS
    @given(st.lists(PIECES | st.binary(max_size=12), max_size=20), st.sampled_from([200, 400, 500]))
    def check(chunks: list[bytes], status: int) -> None:
        reader = FORMATS[name].reader(call, status=status, stream=stream)
        out = b"".join([reader.feed(chunk) for chunk in chunks])
        assert isinstance(reader.finish(), Reading)
        if call.usage_asked or not stream:
            assert out == b"".join(chunks)

    check()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_any_json_reply_is_a_reading(name):
    import msgspec

    call = FORMATS[name].describe(REQUESTS[name], provider="openai", path=PATHS[name], headers={})

    @LIMITS
    @given(st.dictionaries(KEYS, JSON, max_size=8))
    def check(body: dict[str, object]) -> None:
        raw = msgspec.json.encode(body)
        for stream, data in ((False, raw), (True, b"data: " + raw + b"\n\n")):
            reader = FORMATS[name].reader(call, status=200, stream=stream)
            reader.feed(data)
            reading = reader.finish()
            if reading.usage is not None:
                reading.usage.check()

    check()


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("field", ["content", "tools", "unheard_of"])
def test_requests_nested_too_deeply_are_a_value_error(name, field):
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    request = {**REQUESTS[name], field: deep}
    if field == "content":
        pieces = [{"role": "user", "content": deep}]
        request.update({key: pieces for key in ("input", "messages", "prompt", "texts") if key in request})

    with pytest.raises(ValueError, match=r"must (not be nested this deeply|be a text)"):
        FORMATS[name].describe(request, provider="openai", path=PATHS[name], headers={})
