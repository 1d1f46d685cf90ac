"""
InvokeModel: bodies of many makers, each read as its own format has it, and streams of their events in frames.
"""

import base64
import json
import random
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from frames import chunk, converse_events, event, exception
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fuzz import JSON, KEYS, LIMITS

from solvent._amounts import Usage
from solvent.wire import FORMATS, Call, Reading, ServerTool

INVOKE = FORMATS["bedrock-invoke"]
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
MISTRAL = "mistral.mistral-7b-instruct-v0:2"
NOVA = "us.amazon.nova-lite-v1:0"
OSS = "openai.gpt-oss-120b-1:0"
TITAN = "amazon.titan-embed-text-v2:0"
COHERE = "cohere.embed-v4:0"
FEW = settings(LIMITS, max_examples=25)
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"

MESSAGES = [{"role": "user", "content": "hi"}]
BODIES: dict[str, dict[str, Any]] = {
    CLAUDE: {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": MESSAGES},
    COHERE: {"texts": ["hi", "there"], "input_type": "search_query"},
    LLAMA: {"prompt": "hi", "max_gen_len": 100},
    MISTRAL: {"prompt": "<s>[INST] hi [/INST]", "max_tokens": 100},
    NOVA: {
        "schemaVersion": "messages-v1",
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        "inferenceConfig": {"maxTokens": 100},
    },
    OSS: {"messages": MESSAGES, "max_completion_tokens": 100},
    TITAN: {"inputText": "hi", "dimensions": 256},
}
CAPS = {CLAUDE: 100, COHERE: 0, LLAMA: 100, MISTRAL: 100, NOVA: 100, OSS: 100, TITAN: 0}


def describe(
    model: str = CLAUDE, *, verb: str = "invoke", headers: Any = None, body: Any = None, **more: object
) -> Call:
    request = {**(BODIES[model] if body is None else body), **more}
    return INVOKE.describe(request, provider="bedrock", path=f"model/{model}/{verb}", headers=headers or {})


def tokens(call: Call) -> int:
    return call.head.tokens_max + sum(item.tokens_max for item in call.items)


def plain(model: str, body: object, *, status: int = 200, call: Call | None = None) -> Reading:
    reader = INVOKE.reader(call or describe(model), status=status, stream=False)
    raw = json.dumps(body).encode()
    assert reader.feed(raw) == raw
    return reader.finish()


def stream(model: str, *events: object, end: bytes = b"", sizes: tuple[int, ...] = (10**9,)) -> Reading:
    data = b"".join(map(chunk, events)) + end
    reader = INVOKE.reader(describe(model, verb="invoke-with-response-stream"), status=200, stream=True)
    out, at, number = b"", 0, 0
    while at < len(data):
        out += reader.feed(data[at : at + sizes[number % len(sizes)]])
        at += sizes[number % len(sizes)]
        number += 1
    assert out == data
    return reader.finish()


METRICS = {"inputTokenCount": 7, "outputTokenCount": 2, "invocationLatency": 9, "firstByteLatency": 3}
LAST = {"amazon-bedrock-invocationMetrics": METRICS}
CLAUDE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"model": "claude-sonnet-4-5", "usage": {"input_tokens": 5, "cache_read_input_tokens": 100}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "f"}},
    {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 30}},
    {"type": "message_stop", **LAST},
]
CHAT_EVENTS: list[dict[str, Any]] = [
    {"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]},
    {"model": "m", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]},
    {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **LAST},
]


@pytest.mark.parametrize("model", sorted(BODIES))
def test_a_body_is_described_as_its_maker_reads_it(model):
    call = describe(model)

    assert (call.format, call.provider, call.model) == ("bedrock-invoke", "bedrock", model)
    assert call.output_tokens_max == CAPS[model]
    assert 3 <= tokens(call) < 150
    assert (call.hidden_input, call.unbounded, call.server_tools, call.stream) == (None, (), (), False)
    assert call.request == BODIES[model]
    assert describe(model, verb="invoke-with-response-stream").stream


@pytest.mark.parametrize("model", sorted(BODIES))
def test_a_shorter_cap_goes_where_the_maker_looks_for_it(model):
    out = INVOKE.rewrite(describe(model), output_tokens_max=5)

    if CAPS[model] == 0:
        assert out is None  # There is no output to be cut.
    else:
        assert out is not None
        assert describe(model, body=json.loads(out)).output_tokens_max == 5
        assert json.loads(out).keys() == BODIES[model].keys()


@pytest.mark.parametrize(
    ("model", "body", "field"),
    [
        (LLAMA, {"prompt": "hi"}, "max_gen_len"),
        (MISTRAL, {"prompt": "hi"}, "max_tokens"),
        ("us.deepseek.r1-v1:0", {"prompt": "hi"}, "max_tokens"),
        ("mistral.mistral-large-2407-v1:0", {"messages": MESSAGES}, "max_tokens"),
        (OSS, {"messages": MESSAGES}, "max_completion_tokens"),
    ],
)
def test_a_cap_that_was_not_named_gets_the_name_that_the_maker_knows(model, body, field):
    call = describe(model, body=body)
    out = INVOKE.rewrite(call, output_tokens_max=5)

    assert call.output_tokens_max is None
    assert out is not None
    assert json.loads(out) == {**body, field: 5}


def test_novas_cap_keeps_the_name_that_the_request_gives_it():
    body = {**BODIES[NOVA], "inferenceConfig": {"max_new_tokens": 100}}

    out = INVOKE.rewrite(describe(NOVA, body=body), output_tokens_max=5)

    assert describe(NOVA, body=body).output_tokens_max == 100
    assert out is not None
    assert json.loads(out)["inferenceConfig"] == {"max_new_tokens": 5}


def test_another_model_is_another_path():
    assert INVOKE.path_for(f"model/{PROFILE}/invoke", model=CLAUDE) == f"model/{CLAUDE}/invoke"
    assert INVOKE.rewrite(describe(), model="other") is None


@pytest.mark.parametrize("model", sorted(BODIES))
def test_a_field_that_nobody_knows_counts_as_input(model):
    assert tokens(describe(model, unheard_of="x" * 500)) >= tokens(describe(model)) + 500


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("amazon.titan-text-express-v1", {"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 5}}),
        ("amazon.nova-canvas-v1:0", {"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "hi"}}),
        ("cohere.command-r-v1:0", {"message": "hi", "max_tokens": 5}),
        ("anthropic.claude-v2:1", {"prompt": "\n\nHuman: hi", "max_tokens_to_sample": 5}),
        ("stability.sd3-large-v1:0", {"prompt": "hi", "output_format": "png"}),
        ("twelvelabs.marengo-embed-2-7-v1:0", {"inputType": "text", "inputText": "hi"}),
        (PROFILE, {"prompt": "hi", "max_tokens": 5}),
        (CLAUDE, {"anthropic_version": "bedrock-2023-05-31", "messages": "hi"}),
        (CLAUDE, {}),
    ],
)
def test_a_body_of_an_unknown_kind_is_unbounded_and_its_reply_never_free(model, body):
    call = describe(model, body=body)

    reading = plain(model, {"usage": {"input_tokens": 1, "output_tokens": 1}}, call=call)

    assert call.unbounded == ("a body of a kind that is not known here",)
    assert INVOKE.rewrite(call, output_tokens_max=5) is None
    assert (reading.usage, reading.complete, reading.output_begun) == (None, True, True)


def test_the_body_tells_what_a_profile_is_for():
    assert describe(PROFILE, body=BODIES[CLAUDE]).output_cap_required
    assert describe(PROFILE, body=BODIES[TITAN]).output_tokens_max == 0
    assert describe(PROFILE, body=BODIES[NOVA]).output_tokens_max == 100


def test_anthropics_tools_thinking_and_marks_are_found():
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    tools = [{"name": "f"}, {"type": "web_search_20250305", "max_uses": 2}, {"type": "robot"}]

    call = describe(
        CLAUDE,
        tools=tools,
        thinking={"type": "enabled", "budget_tokens": 50},
        system=[{"type": "text", "text": "s", **mark}],
    )

    assert call.tools == 3
    assert call.server_tools == (ServerTool(name="web_search", calls_max=2),)
    assert call.unbounded == ("a tool of type robot",)
    assert call.output_tokens_min == 51
    assert call.cache_writes == {"1h"}


def test_settings_in_headers_are_the_tier_and_a_guardrail_is_unbounded():
    tier = {"x-amzn-bedrock-service-tier": "flex"}
    latency = {"x-amzn-bedrock-performanceconfig-latency": "optimized"}

    assert describe(headers=tier).tier == "flex"
    assert describe(headers={**tier, **latency}).tier == "optimized+flex"
    assert describe(headers={"x-amzn-bedrock-service-tier": "default"}, speed="fast").tier == "fast"
    assert describe().tier is None
    assert describe(headers={"x-amzn-bedrock-guardrailidentifier": "g"}).unbounded == (
        "a guardrail, which is billed beside the tokens",
    )


def test_what_is_embedded_counts_piece_by_piece():
    nova = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": {"value": "d" * 400}}}
    stored = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": {"source": {"s3Location": {}}}}}
    mixed = {"input_type": "search_document", "inputs": [{"content": [{"type": "text", "text": "d" * 400}]}] * 2}

    assert [item.tokens_max for item in describe(COHERE, body={**BODIES[COHERE], "texts": ["a" * 9, "b"]}).items] == [
        10,
        2,
    ]
    assert len(describe(COHERE, body=mixed).items) == 2
    assert tokens(describe(COHERE, body=mixed)) > 800
    assert tokens(describe("amazon.nova-2-multimodal-embeddings-v1:0", body=nova)) > 400
    assert describe("amazon.nova-2-multimodal-embeddings-v1:0", body=stored).hidden_input is not None


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("amazon.titan-embed-image-v1", {"inputText": "hi", "inputImage": "A" * 99}),
        (COHERE, {"input_type": "image", "images": ["data:image/png;base64,AAAA"]}),
        (COHERE, {"input_type": "image", "inputs": [{"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
        ("amazon.nova-2-multimodal-embeddings-v1:0", {"singleEmbeddingParams": {"video": {"source": {}}}}),
    ],
)
def test_what_is_embedded_and_no_text_is_billed_by_its_own_unit(model, body):
    assert describe(model, body=body).unbounded == ("a picture, sound or film to embed, each billed by its own unit",)


def test_images_beside_a_prompt_are_images():
    assert describe(LLAMA, images=["A" * 9_000]).items[0].images == 1
    assert tokens(describe(LLAMA, images=["A" * 9_000])) < 50


@pytest.mark.parametrize(
    ("model", "body", "usage"),
    [
        (
            CLAUDE,
            {"content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": 5, "output_tokens": 9}},
            Usage(input_tokens=5, output_tokens=9),
        ),
        (
            NOVA,
            {
                "output": {"message": {"content": [{"text": "x"}]}},
                "usage": {"inputTokens": 5, "outputTokens": 9, "cacheReadInputTokenCount": 4},
            },
            Usage(input_tokens=9, output_tokens=9, cache_read_tokens=4),
        ),
        (
            OSS,
            {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 9}},
            Usage(input_tokens=5, output_tokens=9),
        ),
        (
            LLAMA,
            {"generation": "x", "prompt_token_count": 5, "generation_token_count": 9, "stop_reason": "stop"},
            Usage(input_tokens=5, output_tokens=9),
        ),
        (MISTRAL, {"outputs": [{"text": "x", "stop_reason": "stop"}]}, None),
        (TITAN, {"embedding": [0.1, 0.2], "inputTextTokenCount": 5}, Usage(input_tokens=5)),
        (COHERE, {"embeddings": [[0.1]], "texts": ["hi"]}, None),
    ],
)
def test_a_plain_reply_is_read_as_its_maker_writes_it(model, body, usage):
    reading = plain(model, body)

    assert (reading.usage, reading.problem, reading.complete, reading.output_begun) == (usage, None, True, True)


def test_neither_the_makers_name_of_a_model_nor_its_tier_is_what_amazon_bills():
    usage = {"input_tokens": 5, "output_tokens": 9, "service_tier": "standard"}
    body = {"model": "claude-sonnet-4-5", "content": [{"type": "text", "text": "x"}], "usage": usage}

    for reading in (plain(CLAUDE, body), stream(CLAUDE, *CLAUDE_EVENTS)):
        assert (reading.model, reading.tier) == (None, None)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (LLAMA, {"generation": "x", "prompt_token_count": 1.5, "generation_token_count": 9}),
        (LLAMA, {"generation": "x", "prompt_token_count": 5, "generation_token_count": -9}),
        (TITAN, {"embedding": [0.1], "inputTextTokenCount": "5"}),
        (TITAN, {"embedding": [0.1], "inputTextTokenCount": 0}),
        (CLAUDE, {"content": [], "usage": {"input_tokens": True, "output_tokens": 1}}),
    ],
)
def test_an_absurd_count_is_a_problem_and_no_usage(model, body):
    reading = plain(model, body)

    assert reading.usage is None
    assert "token" in str(reading.problem).lower()


def test_a_reply_that_ended_at_its_length_says_so():
    assert plain(LLAMA, {"generation": "x", "stop_reason": "length"}).cut_at_length
    assert plain(MISTRAL, {"outputs": [{"text": "x", "stop_reason": "length"}]}).cut_at_length
    assert plain(
        "us.deepseek.r1-v1:0",
        {"choices": [{"stop_reason": "length"}]},
        call=describe("us.deepseek.r1-v1:0", body={"prompt": "hi"}),
    ).cut_at_length
    assert stream(CLAUDE, *CLAUDE_EVENTS).cut_at_length


def test_chunks_are_what_botocore_reads():
    buffer = EventStreamBuffer()
    buffer.add_data(chunk(CLAUDE_EVENTS[0]))
    message = next(buffer)

    assert message.headers[":event-type"] == "chunk"
    assert json.loads(base64.b64decode(json.loads(message.payload)["bytes"])) == CLAUDE_EVENTS[0]


NOVA_REPLY = {
    "output": {"message": {"content": [{"text": "hi"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]}},
    "stopReason": "tool_use",
    "usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9},
}
STREAMS: dict[str, list[Any]] = {
    CLAUDE: CLAUDE_EVENTS,
    LLAMA: [
        {"generation": "h", "prompt_token_count": 7, "generation_token_count": 1, "stop_reason": None},
        {"generation": "i", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": "stop", **LAST},
    ],
    MISTRAL: [
        {"outputs": [{"text": "hi", "stop_reason": None}]},
        {"outputs": [{"text": "", "stop_reason": "stop"}], **LAST},
    ],
    NOVA: [{name: body} for name, body in converse_events({**NOVA_REPLY, "metrics": {}})],
    OSS: CHAT_EVENTS,
}
TOLD = {
    CLAUDE: Usage(input_tokens=105, output_tokens=30, cache_read_tokens=100, tool_calls=1),
    NOVA: Usage(input_tokens=7, output_tokens=2, tool_calls=1),
}


@pytest.mark.parametrize("model", sorted(STREAMS))
def test_a_stream_is_read_as_its_maker_writes_it_however_it_is_cut(model):
    rng = random.Random(7)
    sizes = ((10**9,), (1,), (13,), tuple(rng.randrange(1, 200) for _ in range(9)))

    for reading in [stream(model, *STREAMS[model], sizes=some) for some in sizes]:
        assert reading.usage == TOLD.get(model, Usage(input_tokens=7, output_tokens=2))
        assert (reading.complete, reading.output_begun, reading.problem, reading.error) == (True, True, None, None)
        assert reading.tool_calls == reading.usage.tool_calls


@pytest.mark.parametrize("model", sorted(STREAMS))
def test_a_stream_cut_before_its_end_is_not_complete(model):
    reading = stream(model, *STREAMS[model][:-2], end=chunk(STREAMS[model][-2])[:-1])

    assert not reading.complete
    assert reading.problem is None
    assert reading.usage is None or model == LLAMA  # Which tells it in every event.


def test_amazons_count_stands_in_where_the_maker_tells_none():
    cached = {**METRICS, "cacheReadInputTokenCount": 100, "cacheWriteInputTokenCount": 40}
    events = [*CHAT_EVENTS[:2], {**CHAT_EVENTS[2], "amazon-bedrock-invocationMetrics": cached}]

    assert stream(OSS, *events).usage == Usage(
        input_tokens=147, output_tokens=2, cache_read_tokens=100, cache_write_5m_tokens=40
    )


def test_amazons_count_ends_a_stream_whatever_its_maker_says():
    reading = stream(MISTRAL, {"outputs": [{"text": "hi"}]}, LAST)

    assert (reading.usage, reading.complete) == (Usage(input_tokens=7, output_tokens=2), True)


def test_output_that_read_nothing_is_a_problem():
    none = {**METRICS, "inputTokenCount": 0}

    reading = stream(OSS, *CHAT_EVENTS[:2], {**CHAT_EVENTS[2], "amazon-bedrock-invocationMetrics": none})

    assert (reading.usage, reading.problem) == (None, "a reply with output must have read more than 0 tokens")


def test_a_stream_is_whole_by_its_makers_end_alone():
    events = [{key: value for key, value in event.items() if key not in LAST} for event in STREAMS[LLAMA]]

    reading = stream(LLAMA, *events)

    assert (reading.usage, reading.complete) == (Usage(input_tokens=7, output_tokens=2), True)


def test_an_event_of_several_lines_is_read():
    events = [json.dumps(one, indent=1).replace("\n", "\r\n").encode() for one in CLAUDE_EVENTS]

    assert stream(CLAUDE, *events) == stream(CLAUDE, *CLAUDE_EVENTS)


@pytest.mark.parametrize(
    "metrics", ["7", [], {"inputTokenCount": -7}, {"inputTokenCount": 7.5}, {"inputTokenCount": 2**60}], ids=repr
)
def test_an_absurd_count_of_amazons_is_no_usage(metrics):
    events = [*CHAT_EVENTS[:2], {**CHAT_EVENTS[2], "amazon-bedrock-invocationMetrics": metrics}]

    reading = stream(OSS, *events)

    assert reading.usage is None
    assert reading.problem is not None


def test_an_absurd_count_of_amazons_does_not_undo_the_makers():
    events = [*CLAUDE_EVENTS[:-1], {"type": "message_stop", "amazon-bedrock-invocationMetrics": "7"}]

    reading = stream(CLAUDE, *events)

    assert (reading.usage, reading.problem) == (TOLD[CLAUDE], None)


@pytest.mark.parametrize("model", sorted(STREAMS))
def test_an_exception_in_a_stream_is_told_by_its_type(model):
    reading = stream(model, STREAMS[model][0], end=exception("throttlingException", {"message": "secret"}))

    assert (reading.error, reading.complete) == ("throttlingException", False)


@pytest.mark.parametrize("model", sorted(STREAMS))
@pytest.mark.parametrize("data", [None, "no base64", "AAAA", 7, base64.b64encode(b'\n{"a":\r\n1}').decode()], ids=repr)
def test_a_chunk_that_carries_no_event_tells_nothing(model, data):
    reading = stream(model, end=event("chunk", {"bytes": data}))

    assert (reading.usage, reading.problem, reading.complete, reading.error) == (None, None, False, None)


COUNTS = (
    "amazon-bedrock-invocationMetrics",
    "inputTokenCount",
    "prompt_token_count",
    "inputTextTokenCount",
    "metadata",
)


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(BODIES))
def test_any_replies_are_read_without_failing(model):
    @FEW
    @given(st.lists(st.dictionaries(KEYS | st.sampled_from(COUNTS), JSON, max_size=6), max_size=4))
    def check(bodies: list[dict[str, Any]]) -> None:
        for reading in [stream(model, *bodies), *[plain(model, body) for body in bodies]]:
            if reading.usage is not None:
                reading.usage.check()

    check()


@pytest.mark.slow
@pytest.mark.parametrize("model", [*sorted(BODIES), "amazon.titan-text-express-v1", "amazon.titan-embed-image-v1"])
def test_any_body_is_a_call_or_a_value_error(model):
    @FEW
    @given(st.dictionaries(KEYS, JSON, max_size=8), st.booleans())
    def check(body: dict[str, Any], whole: bool) -> None:
        try:
            call = describe(model, body={**(BODIES.get(model, {}) if whole else {}), **body})
        except ValueError:
            return
        INVOKE.rewrite(call, output_tokens_max=1)
        assert all(item.tokens_max >= 0 for item in call.items)

    check()


def test_a_corrupt_frame_is_a_problem_though_the_makers_events_told_a_usage():
    corrupt = bytearray(chunk(CLAUDE_EVENTS[-1]))
    corrupt[40] ^= 1

    reading = stream(CLAUDE, *CLAUDE_EVENTS[:-1], end=bytes(corrupt))

    assert reading.usage is None
    assert str(reading.problem).startswith("a frame of the stream is corrupt")


@pytest.mark.parametrize("model", sorted(BODIES))
def test_an_error_reply_is_told_without_its_message(model):
    reading = plain(model, {"message": "secret prompt"}, status=400)

    assert (reading.error, reading.complete, reading.usage, reading.output_begun) == ("http_400", True, None, False)


def test_refusals_are_bedrocks():
    assert INVOKE.refusal(code="budget_exceeded", message="no", metadata={}) == {
        "__type": "ServiceQuotaExceededException",
        "message": "no",
        "reason": "budget_exceeded",
    }
