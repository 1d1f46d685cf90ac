"""
Converse: what a request asks, and what its replies and streams say. Streams are recorded replies, as frames.
"""

import base64
import json
import random
from io import BytesIO
from typing import Any

import pytest
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser, create_parser
from botocore.session import get_session
from frames import converse_events, event
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fuzz import JSON, KEYS, LIMITS
from wire_samples import Exchange, exchanges

from solvent._amounts import Usage
from solvent._bounds import image_tokens_max, overhead
from solvent.wire import FORMATS, Call, Reading, ServerTool

CONVERSE = FORMATS["bedrock-converse"]
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-lite-v1:0"
SERVICE = get_session().get_service_model("bedrock-runtime")
FEW = settings(LIMITS, max_examples=50)
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f"


def describe(*blocks: object, model: str = CLAUDE, verb: str = "converse", headers: Any = None, **more: object) -> Call:
    request = {"messages": [{"role": "user", "content": list(blocks)}] if blocks else [], **more}
    return CONVERSE.describe(request, provider="bedrock", path=f"model/{model}/{verb}", headers=headers or {})


def tokens(call: Call) -> int:
    return call.head.tokens_max + sum(item.tokens_max for item in call.items)


def plain(body: object, *, status: int = 200, call: Call | None = None) -> Reading:
    reader = CONVERSE.reader(call or describe(), status=status, stream=False)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert reader.feed(raw) == raw
    return reader.finish()


def stream(*events: tuple[str, object], call: Call | None = None) -> Reading:
    reader = CONVERSE.reader(call or describe(verb="converse-stream"), status=200, stream=True)
    for name, body in events:
        assert reader.feed(event(name, body)) == event(name, body)
    return reader.finish()


def reply(usage: object, *blocks: object, reason: str = "end_turn", **more: object) -> dict[str, Any]:
    message = {"role": "assistant", "content": list(blocks or [{"text": "hi"}])}
    return {"output": {"message": message}, "stopReason": reason, "usage": usage, **more}


def recorded() -> list[Exchange]:
    return [one for one in exchanges() if one.format is CONVERSE and one.status == 200]


class RawStream:
    def __init__(self, data: bytes) -> None:
        self._data = BytesIO(data)

    def stream(self) -> list[bytes]:
        return [self._data.read()]


def by_botocore(data: bytes) -> list[dict[str, Any]]:
    shape = SERVICE.operation_model("ConverseStream").get_event_stream_output()
    return list(EventStream(RawStream(data), shape, EventStreamJSONParser(), "ConverseStream"))


def test_frames_of_recorded_replies_are_what_botocore_reads_as_events():
    for exchange in recorded():
        events = converse_events(exchange.response)
        told = by_botocore(b"".join(event(*one) for one in events))
        usage = {key: value for key, value in exchange.response["usage"].items() if not key.endswith("Count")}

        assert [next(iter(one)) for one in told] == [name for name, _ in events]
        assert told[-1]["metadata"]["usage"] == {key: usage[key] for key in told[-1]["metadata"]["usage"]}
        assert told[-2]["messageStop"]["stopReason"] == exchange.response["stopReason"]


@pytest.mark.slow
def test_a_streamed_reply_says_what_the_plain_one_says_however_it_is_cut():
    rng = random.Random(7)
    assert len(recorded()) == 96

    for exchange in recorded():
        data = b"".join(event(*one) for one in converse_events(exchange.response))
        told = plain(exchange.response, call=exchange.call())
        assert told.usage is not None
        for sizes in ([1], [len(data)], [rng.randrange(1, 400) for _ in range(20)]):
            reader = CONVERSE.reader(exchange.call(), status=200, stream=True)
            out, at = b"", 0
            for number in range(len(data)):
                size = sizes[number % len(sizes)]
                out += reader.feed(data[at : at + size])
                at += size
            assert out == data
            assert reader.finish() == told


def test_the_model_is_in_the_path():
    public = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"
    profile = f"arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.{CLAUDE.partition('.')[2]}"

    found = [describe(model=model).model for model in (CLAUDE, PROFILE, public, profile)]

    assert found == [CLAUDE, PROFILE, "anthropic.claude-3-haiku-20240307-v1:0", f"eu.{CLAUDE.partition('.')[2]}"]
    assert describe(model="arn:aws-us-gov:bedrock:x::foundation-model/a.b").model.startswith("arn:aws-us-gov")


def test_another_model_is_another_path_and_the_same_body():
    call = describe({"text": "hi"}, verb="converse-stream")

    assert CONVERSE.path_for(f"model/{CLAUDE}/converse-stream", model=NOVA) == f"model/{NOVA}/converse-stream"
    assert CONVERSE.path_for(f"model/{PROFILE}/converse", model=NOVA) == f"model/{NOVA}/converse"
    assert CONVERSE.rewrite(call, model=NOVA) is None
    assert call.stream
    assert not describe().stream


@pytest.mark.parametrize(
    ("block", "least", "images"),
    [
        ({"text": "d" * 400}, 400, 0),
        ({"image": {"format": "png", "source": {"bytes": "A" * 9_000}}}, 0, 1),
        ({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}}, 0, 1),
        ({"document": {"format": "pdf", "name": "n", "source": {"text": "d" * 400}}}, 400, 0),
        ({"document": {"format": "txt", "name": "n" * 400, "source": {"bytes": "aGk="}}}, 400, 0),
        ({"document": {"name": "n", "source": {"content": [{"text": "d" * 400}]}}}, 400, 0),
        ({"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": "d" * 400}}}, 400, 0),
        ({"toolResult": {"toolUseId": "t", "content": [{"json": {"a": "d" * 400}}]}}, 400, 0),
        ({"toolResult": {"toolUseId": "t", "content": [{"text": "d" * 400}, {"image": {}}]}}, 400, 1),
        ({"toolResult": {"toolUseId": "t", "content": [{"searchResult": {"content": [{"text": "d" * 400}]}}]}}, 400, 0),
        ({"searchResult": {"source": "s", "title": "t", "content": [{"text": "d" * 400}]}}, 400, 0),
        ({"reasoningContent": {"reasoningText": {"text": "d" * 400, "signature": "s"}}}, 400, 0),
        ({"reasoningContent": {"redactedContent": "A" * 400}}, 400, 0),
        ({"guardContent": {"text": {"text": "d" * 400, "qualifiers": ["query"]}}}, 400, 0),
        ({"guardContent": {"image": {"format": "png", "source": {"bytes": "A" * 9_000}}}}, 0, 1),
        ({"citationsContent": {"content": [{"text": "d" * 400}], "citations": []}}, 400, 0),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_every_block_counts_with_all_that_a_model_may_read_of_it(block, least, images):
    call = describe(block)

    assert least < tokens(call) < least + 150
    assert sum(item.images for item in call.items) == images
    assert (call.hidden_input, call.unbounded, call.server_tools) == (None, (), ())


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"document": {"format": "pdf", "name": "n", "source": {"bytes": "aGk="}}}, "a document"),
        ({"document": {"format": "csv", "name": "n", "source": {"bytes": "aGk="}}}, "a document"),
        ({"document": {"format": "txt", "name": "n", "source": {"bytes": "//79"}}}, "a document"),
        ({"document": {"format": "txt", "name": "n", "source": {"bytes": "no base64"}}}, "a document"),
        ({"document": {"format": "txt", "name": "n", "source": {"s3Location": {"uri": "s3://b/k"}}}}, "a document"),
        ({"toolResult": {"content": [{"document": {"format": "pdf", "source": {"bytes": "aGk="}}}]}}, "a document"),
        ({"toolResult": {"content": [{"video": {}}]}}, "video"),
        ({"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/k"}}}}, "video"),
        ({"audio": {"format": "mp3", "source": {"bytes": "A"}}}, "audio"),
        ({"hologram": {}}, "a block of kind 'hologram'"),
        ({"toolResult": {"content": [{"hologram": {}}]}}, "a block of kind 'hologram'"),
    ],
)
def test_what_is_not_in_the_request_hides(block, reason):
    assert describe(block).hidden_input == reason
    assert describe({"document": {"source": {"bytes": "A"}}}, block).has_audio is ("audio" in block)


def test_a_document_of_text_counts_by_what_it_says_and_not_by_its_encoding():
    words = "\ufdfa" * 20  # Three bytes each, and 33 in the form that some tokenizers read.
    source = {"bytes": base64.b64encode(words.encode()).decode()}

    assert tokens(describe({"document": {"format": "md", "name": "n", "source": source}})) > 660


def test_a_prompt_by_its_arn_hides_and_its_variables_count():
    arn = "arn:aws:bedrock:us-east-1:123456789012:prompt/ABCDEFGHIJ:1"

    call = describe(model=arn, promptVariables={"topic": {"text": "d" * 400}})

    assert call.hidden_input == "a prompt by its ARN"
    assert call.model == arn
    assert tokens(call) > 400
    assert describe(model="arn:aws:bedrock:us-east-1:1:default-prompt-router/x:1").hidden_input is None


def test_tools_count_and_those_of_the_system_have_no_cap():
    tool = {"toolSpec": {"name": "f", "description": "d" * 300, "inputSchema": {"json": {}}}}
    point = {"cachePoint": {"type": "default"}}

    call = describe(toolConfig={"tools": [tool, tool, point], "toolChoice": {"auto": {}}})
    system = describe(toolConfig={"tools": [tool, {"systemTool": {"name": "nova_grounding"}}]})
    unknown = describe(toolConfig={"tools": [{"robot": {}}]})

    assert (call.tools, call.server_tools, call.unbounded) == (2, (), ())
    assert tokens(call) > 600
    assert call.cache_writes == {"5m"}
    assert system.server_tools == (ServerTool(name="nova_grounding", calls_max=None),)
    assert unknown.unbounded == ("a tool of kind 'robot'",)


def test_a_models_own_fields_are_read_as_its_maker_reads_them():
    own = {
        "thinking": {"type": "enabled", "budget_tokens": 2_000},
        "tools": [{"type": "bash_20250124", "name": "bash"}, {"type": "web_search_20250305", "max_uses": 2}],
        "anthropic_beta": ["b" * 300],
    }

    call = describe(additionalModelRequestFields=own)
    compacted = {"context_management": {"edits": [{"type": "compact_20260112"}]}}

    assert call.output_tokens_min == 2_001
    assert call.tools == 2
    assert call.server_tools == (ServerTool(name="web_search", calls_max=2),)
    assert tokens(call) > 300
    assert overhead(call) - overhead(describe(toolConfig={"tools": [{"toolSpec": {}}] * 2})) == 800
    assert describe(additionalModelRequestFields={"mcp_servers": [{}]}).server_tools[0].name == "mcp"
    assert describe(additionalModelRequestFields=compacted).unbounded == ("compaction by the provider",)
    assert describe(additionalModelRequestFields=compacted).hidden_input == "a context that the provider edits"


@pytest.mark.parametrize(
    ("config", "own", "most"),
    [
        (None, None, None),
        ({}, {}, None),
        ({"maxTokens": 10}, None, 10),
        ({"maxTokens": -1}, None, None),
        ({"maxTokens": 10}, {"max_tokens": 20}, 20),
        ({"maxTokens": 10}, {"max_tokens": 5}, 10),
        ({"maxTokens": 10}, {"max_tokens": -1}, None),
        ({"maxTokens": 10}, {"inferenceConfig": {"topK": 20, "max_new_tokens": 30}}, 30),
        (None, {"max_tokens": 20}, None),
        ({"maxTokens": None}, {"max_tokens": 20}, None),
    ],
)
def test_the_cap_is_the_largest_that_may_be_the_one_that_counts(config, own, most):
    call = describe(inferenceConfig=config, additionalModelRequestFields=own)
    out = CONVERSE.rewrite(call, output_tokens_max=7)

    assert call.output_tokens_max == most
    assert out is not None
    again = CONVERSE.describe(json.loads(out), provider="bedrock", path=f"model/{CLAUDE}/converse", headers={})
    assert again.output_tokens_max == 7


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"inferenceConfig": {"maxTokens": "10"}}, "maxTokens must be a whole number"),
        (
            {"inferenceConfig": {"maxTokens": 10}, "additionalModelRequestFields": {"max_tokens": 1.5}},
            "max_tokens must",
        ),
        ({"inferenceConfig": []}, "inferenceConfig must be an object, got a list"),
        ({"toolConfig": "x"}, "toolConfig must be an object, got a text"),
        ({"toolConfig": {"tools": {}}}, "tools must be a list"),
        ({"additionalModelRequestFields": [1]}, "additionalModelRequestFields must be an object"),
        ({"messages": "x"}, "messages must be a list"),
        ({"serviceTier": "flex"}, "serviceTier must be an object"),
    ],
)
def test_a_request_that_cannot_be_meant_is_an_error_that_says_so(more, message):
    with pytest.raises(ValueError, match=message):
        describe(**more)


@pytest.mark.parametrize(
    ("more", "tier"),
    [
        ({}, None),
        ({"serviceTier": {"type": "default"}}, "default"),
        ({"serviceTier": {"type": "flex"}}, "flex"),
        ({"performanceConfig": {"latency": "standard"}}, "standard"),
        ({"performanceConfig": {"latency": "optimized"}}, "optimized"),
        ({"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "default"}}, "optimized"),
        ({"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "priority"}}, "optimized+priority"),
    ],
)
def test_settings_that_change_the_price_are_the_tier(more, tier):
    usage = {"inputTokens": 1, "outputTokens": 1}

    assert describe(**more).tier == tier
    assert plain(reply(usage, **more)).tier == tier
    assert stream(("metadata", {"usage": usage, **more})).tier == tier


def test_a_guardrail_is_billed_beside_the_tokens_and_so_unbounded():
    config = {"guardrailIdentifier": "g", "guardrailVersion": "1"}

    assert describe(guardrailConfig=config).unbounded == ("a guardrail, which is billed beside the tokens",)
    assert tokens(describe(guardrailConfig=config)) == tokens(describe())


def test_structured_output_is_noticed():
    schema = {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "d" * 300}}}}

    assert describe(outputConfig=schema).structured_output
    assert tokens(describe(outputConfig=schema)) > 300
    assert describe(toolConfig={"toolChoice": {"tool": {"name": "f"}}}).structured_output
    assert not describe(toolConfig={"toolChoice": {"auto": {}}}, outputConfig={"effort": "low"}).structured_output


def test_cache_writes_are_those_that_the_points_ask_for():
    def marked(**point: str) -> Call:
        return describe({"text": "hi"}, {"cachePoint": {"type": "default", **point}})

    assert describe({"text": "hi"}).cache_writes == frozenset()
    assert marked().cache_writes == {"5m"}
    assert marked(ttl="1h").cache_writes == {"1h"}
    assert describe(system=[{"text": "s"}, {"cachePoint": {"type": "default"}}]).cache_writes == {"5m"}
    assert describe({"text": "hi"}, model="us.openai.gpt-5.6-luna").cache_writes is None


def test_equal_prompts_compare_equal_though_cache_points_move():
    point = {"cachePoint": {"type": "default"}}
    tool = {"toolSpec": {"name": "f"}}
    one = describe({"text": "hi"}, system=[{"text": "s"}], toolConfig={"tools": [tool]})
    two = describe({"text": "hi"}, point, system=[{"text": "s"}, point], toolConfig={"tools": [tool, point]})

    assert (one.head.value, one.items[0].value) == (two.head.value, two.items[0].value)
    assert one.head.value != describe({"text": "hi"}, system=[{"text": "s"}]).head.value
    other = describe({"text": "hi"}, system=[{"text": "s"}], toolConfig={"tools": [tool]}, model=NOVA)
    assert one.head.value != other.head.value


@pytest.mark.parametrize(
    ("more", "shapes"),
    [
        ({"inferenceConfig": {"temperature": 0.5, "maxTokens": 5}}, False),
        ({"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}, False),
        ({"requestMetadata": {"a": "b"}, "additionalModelResponseFieldPaths": ["/a"]}, False),
        ({"guardrailConfig": {"guardrailIdentifier": "g"}}, False),
        ({"system": [{"text": "be brief"}]}, True),
        ({"toolConfig": {"toolChoice": {"auto": {}}}}, True),
        ({"outputConfig": {"effort": "low"}}, True),
        ({"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}, True),
        ({"model": NOVA}, True),
    ],
)
def test_the_prefix_holds_what_shapes_the_prompt_and_nothing_else(more, shapes):
    call, base = describe({"text": "hi"}, **more), describe({"text": "hi"})

    assert (call.head.value != base.head.value) is shapes
    assert (tokens(call) != tokens(base)) is (shapes and "model" not in more)


def test_reasoning_of_earlier_turns_is_known_as_such():
    call = describe({"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "hi"})

    assert [block.get("type") for block in call.items[0].value["content"]] == ["reasoning", None]


def test_the_clients_own_count_of_attempts_is_read():
    found = [
        describe(headers={"amz-sdk-request": value}).retry
        for value in ("attempt=1", "ttl=20261122T000000Z; attempt=3; max=5", "attempt=0", "attempt=x", "")
    ]

    assert found == [0, 2, 0, 0, 0]


def test_the_input_is_the_sum_with_cache_reads_and_writes():
    usage = {
        "inputTokens": 5,
        "outputTokens": 9,
        "totalTokens": 184,
        "cacheReadInputTokens": 100,
        "cacheReadInputTokenCount": 100,
        "cacheWriteInputTokens": 70,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 40}, {"ttl": "5m", "inputTokens": 30}],
    }
    read = Usage(
        input_tokens=175, output_tokens=9, cache_read_tokens=100, cache_write_5m_tokens=30, cache_write_1h_tokens=40
    )
    hour = describe({"cachePoint": {"type": "default", "ttl": "1h"}})
    unnamed = plain(reply({**usage, "cacheDetails": []}), call=hour).usage

    assert plain(reply(usage)).usage == read
    assert stream(("contentBlockDelta", {}), ("metadata", {"usage": usage})).usage == read
    assert unnamed is not None
    assert (unnamed.cache_write_5m_tokens, unnamed.cache_write_1h_tokens) == (0, 70)


def test_tokens_of_the_total_that_nobody_names_are_output():
    usage = plain(reply({"inputTokens": 5, "outputTokens": 9, "totalTokens": 100})).usage

    assert usage == Usage(input_tokens=5, output_tokens=95)


@pytest.mark.parametrize("count", [True, "10", -1, 1.5, 2**53, [], {}], ids=repr)
@pytest.mark.parametrize("name", ["inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens"])
def test_an_absurd_count_is_a_problem_and_no_usage(name, count):
    usage = {"inputTokens": 10, "outputTokens": 10, name: count}

    for reading in (plain(reply(usage)), stream(("contentBlockDelta", {}), ("metadata", {"usage": usage}))):
        assert reading.usage is None
        assert f"{name} must be" in str(reading.problem)


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        (None, None),
        ({}, None),
        ("12", "usage must be an object, got a text"),
        ({"inputTokens": 5}, "inputTokens and outputTokens must both be told"),
        ({"outputTokens": 5}, "inputTokens and outputTokens must both be told"),
        ({"inputTokens": 0, "outputTokens": 5}, "a reply with output must have read more than 0 tokens"),
    ],
)
def test_a_usage_that_cannot_be_believed_is_none(usage, problem):
    reading = plain(reply(usage))

    assert (reading.usage, reading.problem, reading.complete) == (None, problem, True)


def test_a_prompt_that_a_guardrail_blocked_read_nothing():
    usage = {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    delta = ("contentBlockDelta", {"delta": {"text": "Sorry."}})

    blocked = plain(reply(usage, {"text": "Sorry."}, reason="guardrail_intervened"))
    streamed = stream(delta, ("messageStop", {"stopReason": "guardrail_intervened"}), ("metadata", {"usage": usage}))

    assert blocked.usage == streamed.usage == Usage()
    assert (blocked.problem, streamed.problem) == (None, None)


def test_tools_of_the_system_are_no_tool_calls_and_searches_are_counted():
    own = {"toolUse": {"name": "nova_grounding", "type": "server_tool_use", "toolUseId": "a", "input": {}}}
    code = {"toolUse": {"name": "nova_code_interpreter", "type": "server_tool_use", "toolUseId": "c", "input": {}}}
    asked = {"toolUse": {"name": "f", "toolUseId": "b", "input": {}}}
    usage = {"inputTokens": 5, "outputTokens": 9}

    body = reply(usage, own, asked, code, asked, reason="tool_use")
    told = plain(reply({**usage, "serverToolUsage": {"webSearches": 3}}))

    for reading in (plain(body), stream(*converse_events(body))):
        assert reading.tool_calls == 2
        assert reading.usage == Usage(input_tokens=5, output_tokens=9, web_searches=1, code_sessions=1, tool_calls=2)
    assert told.usage is not None
    assert told.usage.web_searches == 3


def test_a_reply_that_ended_at_its_length_says_so():
    usage = {"inputTokens": 5, "outputTokens": 9}

    assert plain(reply(usage, reason="max_tokens")).cut_at_length
    assert stream(*converse_events(reply(usage, reason="max_tokens"))).cut_at_length
    assert not plain(reply(usage)).cut_at_length


def test_a_stream_without_its_last_event_has_no_usage_and_is_not_complete():
    reading = stream(*converse_events(reply({"inputTokens": 5, "outputTokens": 9}))[:-1])

    assert (reading.usage, reading.problem, reading.complete, reading.output_begun) == (None, None, False, True)


@pytest.mark.slow
@FEW
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["contentBlockStart", "contentBlockDelta", "messageStop", "metadata", ""]),
            st.dictionaries(KEYS | st.sampled_from(["start", "performanceConfig", "latency", "serviceTier"]), JSON),
        ),
        max_size=5,
    )
)
def test_any_events_are_read_without_failing(events):
    reading = stream(*events)

    if reading.usage is not None:
        reading.usage.check()


def test_an_error_reply_is_told_without_its_message():
    reading = plain({"message": "secret prompt"}, status=400)

    assert (reading.error, reading.complete, reading.usage) == ("http_400", True, None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("budget_exceeded", "ServiceQuotaExceededException"),
        ("budget_held", "ThrottlingException"),
        ("ledger_unavailable", "ServiceUnavailableException"),
        ("price_unknown", "ValidationException"),
    ],
)
def test_refusals_are_errors_that_botocore_knows(code, kind):
    body = CONVERSE.refusal(code=code, message="no", metadata={"scope": "run:a"})
    shape = SERVICE.operation_model("Converse").output_shape
    response = {"status_code": 402, "headers": {}, "body": json.dumps(body).encode()}

    error = create_parser("rest-json").parse(response, shape)["Error"]

    assert (error["Code"], error["Message"]) == (kind, "no")
    assert (body["reason"], body["scope"]) == (code, "run:a")


@pytest.mark.parametrize(
    ("model", "most"),
    [
        (CLAUDE, 1_600),
        ("global.anthropic.claude-opus-4-8", 4_784),
        ("anthropic.claude-3-haiku-20240307-v1:0", 1_600),
        (NOVA, None),
        (PROFILE, None),
    ],
)
def test_an_image_has_the_ceiling_of_its_maker(model, most):
    assert image_tokens_max(describe({"image": {}}, model=model)) == most
