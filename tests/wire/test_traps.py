"""
Usage that cannot be meant, streams that end too early, and hosts that tell their usage in ways of their own.
"""

import json

import pytest
from test_formats import PATHS, REQUESTS

from solvent._amounts import Usage
from solvent.wire import FORMATS, Call, Reading


def describe(name: str, provider: str = "openai", **more: object) -> Call:
    return FORMATS[name].describe({**REQUESTS[name], **more}, provider=provider, path=PATHS[name], headers={})


def plain(name: str, body: object, *, status: int = 200, call: Call | None = None) -> Reading:
    reader = FORMATS[name].reader(call or describe(name), status=status, stream=False)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert reader.feed(raw) == raw
    return reader.finish()


def stream(name: str, *events: object, call: Call | None = None, end: bytes = b"\n\n") -> tuple[Reading, bytes]:
    reader = FORMATS[name].reader(call or describe(name, stream=True), status=200, stream=True)
    texts = [event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() for event in events]
    out = b"".join([reader.feed(text + end) for text in texts])
    return reader.finish(), out


def chat_body(usage: object) -> dict[str, object]:
    return {"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}


def messages_body(usage: object) -> dict[str, object]:
    return {"type": "message", "model": "m", "content": [{"type": "text", "text": "x"}], "usage": usage}


def responses_body(usage: object) -> dict[str, object]:
    return {"object": "response", "model": "m", "output": [{"type": "message"}], "usage": usage}


ABSURD = [True, "10", -1, 1.5, 2**53, 2**63, [], {}]


@pytest.mark.parametrize("count", ABSURD, ids=repr)
@pytest.mark.parametrize("which", [0, 1], ids=["input", "output"])
def test_an_absurd_count_is_a_problem_and_no_usage(count, which):
    counts = [10, 10]
    counts[which] = count
    openai = dict(zip(("prompt_tokens", "completion_tokens"), counts, strict=True))
    others = dict(zip(("input_tokens", "output_tokens"), counts, strict=True))

    readings = [
        plain("openai-chat", chat_body(openai)),
        plain("openai-responses", responses_body(others)),
        plain("anthropic-messages", messages_body(others)),
    ]

    for reading in readings:
        assert reading.usage is None
        assert "tokens must be" in str(reading.problem)


def test_a_model_that_searches_by_itself_bills_a_search():
    usage = {"prompt_tokens": 11, "completion_tokens": 17}
    searched = plain("openai-chat", chat_body(usage), call=describe("openai-chat", model="gpt-4o-search-preview"))
    told = plain("openai-chat", chat_body({**usage, "server_tool_use_details": {"web_search_requests": 3}}))

    assert [reading.usage and reading.usage.web_searches for reading in (searched, told)] == [1, 3]


def test_a_bare_nan_is_no_usage():
    body = b'{"choices": [], "usage": {"prompt_tokens": NaN, "completion_tokens": 1}}'

    assert plain("openai-chat", body).usage is None


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (
            "openai-chat",
            chat_body({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}),
        ),
        (
            "openai-responses",
            responses_body({"input_tokens": 5, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 6}}),
        ),
    ],
)
def test_more_cached_than_read_is_a_problem(name, body):
    reading = plain(name, body)

    assert reading.usage is None
    assert reading.problem == "cached tokens must not be above input_tokens, got 6 of 5"


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": None}, {"total_tokens": 9}], ids=repr)
def test_a_usage_that_tells_nothing_is_none(usage):
    assert plain("openai-chat", chat_body(usage)).usage is None
    assert plain("openai-chat", chat_body(usage)).problem is None
    assert plain("openai-responses", responses_body(usage)).usage is None
    assert plain("anthropic-messages", messages_body(usage)).usage is None


@pytest.mark.parametrize("usage", ["12", 12, True, [1]], ids=repr)
def test_a_usage_that_is_no_object_is_a_problem(usage):
    assert "usage must be an object" in str(plain("openai-chat", chat_body(usage)).problem)


def test_output_without_a_count_is_a_problem():
    assert plain("openai-chat", chat_body({"prompt_tokens": 5})).problem == "completion_tokens is missing"
    assert plain("anthropic-messages", messages_body({"output_tokens": 5})).usage is None


def test_a_reply_that_read_nothing_is_a_problem():
    reading = plain("openai-chat", chat_body({"prompt_tokens": 0, "completion_tokens": 0}))

    assert (reading.usage, reading.problem) == (None, "a reply with output must have read more than 0 tokens")


@pytest.mark.parametrize(
    ("usage", "output", "reasoning"),
    [
        ({"completion_tokens": 9, "total_tokens": 109, "completion_tokens_details": {"reasoning_tokens": 90}}, 99, 90),
        ({"completion_tokens": 9, "total_tokens": 19, "completion_tokens_details": {"reasoning_tokens": 12}}, 9, 9),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 90}}, 99, 90),
        ({"completion_tokens": 9, "total_tokens": 3}, 9, 0),
    ],
    ids=["xai", "openrouter", "no total", "total too low"],
)
def test_reasoning_outside_the_completion_is_counted(usage, output, reasoning):
    reading = plain("openai-chat", chat_body({"prompt_tokens": 10, **usage}))

    assert reading.usage is not None
    assert (reading.usage.output_tokens, reading.usage.reasoning_tokens) == (output, reasoning)


def test_anthropic_input_is_the_sum_with_cache_reads_and_writes():
    usage = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 70,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 40},
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2},
    }

    assert plain("anthropic-messages", messages_body(usage)).usage == Usage(
        input_tokens=175,
        output_tokens=9,
        cache_read_tokens=100,
        cache_write_5m_tokens=30,
        cache_write_1h_tokens=40,
        reasoning_tokens=4,
        web_searches=2,
    )


def test_cache_writes_of_unknown_kind_are_the_dearer_that_was_asked_for():
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 70, "output_tokens": 9}
    mark = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}

    short = plain("anthropic-messages", messages_body(usage)).usage
    long = plain("anthropic-messages", messages_body(usage), call=describe("anthropic-messages", **mark)).usage

    assert short is not None
    assert long is not None
    assert (short.cache_write_5m_tokens, short.cache_write_1h_tokens) == (70, 0)
    assert (long.cache_write_5m_tokens, long.cache_write_1h_tokens) == (0, 70)


def test_compaction_turns_are_counted_and_turns_of_another_model_refused():
    turn = {"type": "compaction", "input_tokens": 100, "output_tokens": 20}
    own = {"type": "message", "input_tokens": 7, "output_tokens": 3}
    other = {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 9, "output_tokens": 9}
    usage = {"input_tokens": 7, "output_tokens": 3}

    both = plain("anthropic-messages", messages_body({**usage, "iterations": [turn, own]}))
    mixed = plain("anthropic-messages", messages_body({**usage, "iterations": [own, other]}))

    assert both.usage is not None
    assert (both.usage.input_tokens, both.usage.output_tokens) == (107, 23)
    assert mixed.usage is None
    assert mixed.problem == "a part of the usage is of another model, 'claude-opus-4-8'"


def test_fast_mode_is_a_tier():
    assert describe("anthropic-messages", speed="fast").tier == "fast"
    assert (
        plain("anthropic-messages", messages_body({"input_tokens": 1, "output_tokens": 1, "speed": "fast"})).tier
        == "fast"
    )


START = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 50, "output_tokens": 1}}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


def delta(reason: str | None, usage: object) -> dict[str, object]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def test_a_message_stream_is_its_start_and_its_end():
    tool = {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "name": "f"}}

    reading, _ = stream("anthropic-messages", START, BLOCK, tool, delta("tool_use", {"output_tokens": 30}))

    assert reading == Reading(
        usage=Usage(input_tokens=50, output_tokens=30, tool_calls=1),
        model="m",
        complete=True,
        output_begun=True,
        tool_calls=1,
    )


@pytest.mark.parametrize(
    "events",
    [
        [START],
        [START, BLOCK],
        [START, BLOCK, delta(None, {"output_tokens": 1})],
        [START, BLOCK, delta(None, {"output_tokens": 1}), {"type": "message_stop"}],
        [START, BLOCK, {"type": "message_stop"}],
    ],
    ids=["start", "begun", "no reason", "no reason but a stop", "no delta"],
)
def test_the_placeholder_output_of_a_message_stream_is_no_usage(events):
    reading, _ = stream("anthropic-messages", *events)

    assert reading.usage is None
    assert reading.problem is None


def test_a_message_stream_that_ended_at_its_length_says_so():
    reading, _ = stream("anthropic-messages", START, BLOCK, delta("max_tokens", {"output_tokens": 100}))

    assert reading.cut_at_length


def test_an_error_in_a_message_stream_is_told_without_its_message():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "secret prompt"}}

    reading, _ = stream("anthropic-messages", START, error)

    assert (reading.error, reading.complete, reading.output_begun, reading.usage) == (
        "overloaded_error",
        False,
        False,
        None,
    )


def piece(content: str | None = None, finish: str | None = None, **more: object) -> dict[str, object]:
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    return {"model": "m", "choices": [choice], **more}


def test_a_chat_stream_without_usage_and_finish_is_not_complete():
    for events in ([], [piece("a")], [piece("a"), piece("b", usage=None)]):
        reading, _ = stream("openai-chat", *events)
        assert (reading.complete, reading.usage) == (False, None)


def test_a_chat_stream_that_finished_without_usage_is_complete_and_has_none():
    reading, _ = stream("openai-chat", piece("a"), piece(finish="length"), b"data: [DONE]")

    assert (reading.complete, reading.usage, reading.cut_at_length) == (True, None, True)


def test_all_choices_must_finish():
    call = describe("openai-chat", stream=True, n=2)

    assert not stream("openai-chat", piece("a"), piece(finish="stop"), call=call)[0].complete


@pytest.mark.parametrize(
    "events",
    [
        [
            piece("a", usage={"prompt_tokens": 7, "completion_tokens": 1}),
            piece("b", usage={"prompt_tokens": 7, "completion_tokens": 2}),
        ],
        [piece("a"), piece(finish="stop", usage={"prompt_tokens": 7, "completion_tokens": 2})],
        [piece("a"), piece(finish="stop", x_groq={"usage": {"prompt_tokens": 7, "completion_tokens": 2}})],
        [piece("a"), {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}],
        [
            piece("a", usage={"prompt_tokens": 7, "completion_tokens": 2}),
            piece("b", usage={"prompt_tokens": 6, "completion_tokens": 1}),
        ],
        [piece("a"), b'data: {"choices": [],\ndata: "usage" : \ndata: {"prompt_tokens": 7, "completion_tokens": 2}}'],
    ],
    ids=["cumulative", "with the last choice", "groq", "on its own", "the larger of two", "several data lines"],
)
def test_usage_is_found_wherever_a_host_puts_it(events):
    reading, _ = stream("openai-chat", *events)

    assert reading.usage == Usage(input_tokens=7, output_tokens=2)


def test_text_that_looks_like_usage_is_text():
    trap = '"usage":{"prompt_tokens":1,"completion_tokens":1},"finish_reason":"stop" [DONE] "error":{"type":"x"}'

    reading, _ = stream("openai-chat", piece("a"), piece(trap))

    assert reading == Reading(model="m", output_begun=True)


def test_tool_calls_of_a_stream_are_counted_once_each():
    def call(index: int | None, name: str | None, id: str | None = None) -> dict[str, object]:
        return {
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": "{}"}}]
                    },
                }
            ],
        }

    numbered = stream("openai-chat", call(0, "f", "a"), call(0, None), call(1, "g", "b"), call(1, None))
    all_zero = stream("openai-chat", call(0, "f", "a"), call(0, "g", "b"))
    bare = stream("openai-chat", call(None, "f"), call(None, "f"))

    assert [reading.tool_calls for reading, _ in (numbered, all_zero, bare)] == [2, 2, 2]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"error": {"message": "no", "type": "server_error", "code": None}}, "server_error"),
        ({"error": {"message": "no", "code": "tool_use_failed"}}, "tool_use_failed"),
        ({"error": "no"}, "error"),
        (b'event: error\ndata: {"message": "no", "type": "overloaded"}', "overloaded"),
        ({"error": {"type": "a sentence of the prompt"}}, "error"),
    ],
)
def test_an_error_in_a_chat_stream_is_told(event, error):
    reading, _ = stream("openai-chat", piece("a"), event)

    assert (reading.error, reading.complete) == (error, False)


def test_a_role_alone_is_no_output():
    opening = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}

    assert not stream("openai-chat", opening)[0].output_begun
    assert stream("openai-chat", opening, piece("a"))[0].output_begun


@pytest.mark.parametrize("kind", ["completed", "incomplete", "failed"])
def test_a_response_stream_ends_with_the_whole(kind):
    response = {
        "model": "gpt-5-2025",
        "service_tier": "flex",
        "output": [
            {"type": "function_call"},
            {"type": "web_search_call", "action": {"type": "search"}},
            {"type": "web_search_call", "action": {"type": "open_page"}},
        ],
        "incomplete_details": {"reason": "max_output_tokens"} if kind == "incomplete" else None,
        "error": {"code": "server_error", "message": "secret"} if kind == "failed" else None,
        "usage": {"input_tokens": 7, "output_tokens": 2},
    }

    reading, _ = stream("openai-responses", {"type": f"response.{kind}", "response": response})

    assert reading == Reading(
        usage=Usage(input_tokens=7, output_tokens=2, web_searches=1, tool_calls=1),
        model="gpt-5-2025",
        tier="flex",
        complete=True,
        cut_at_length=kind == "incomplete",
        output_begun=True,
        tool_calls=1,
        error="server_error" if kind == "failed" else None,
    )


def test_a_response_stream_that_was_cut_tells_what_came():
    item = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call"}}
    created = {"type": "response.created", "response": {"model": "gpt-5-2025", "usage": None}}

    reading, _ = stream("openai-responses", created, item)

    assert reading == Reading(model="gpt-5-2025", output_begun=True, tool_calls=1)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_error_reply_is_told_by_its_type(name):
    told = plain(name, {"error": {"type": "rate_limit_error", "message": "secret"}}, status=429)
    other = plain(name, b"<html>bad gateway</html>", status=502)

    assert (told.error, told.complete, told.usage) == ("rate_limit_error", True, None)
    assert (other.error, other.complete, other.output_begun) == ("http_502", True, False)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r", b"\n"], ids=repr)
def test_only_our_own_usage_event_is_dropped(end):
    call = describe("openai-chat", stream=True)
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    filtered = {"choices": [], "prompt_filter_results": []}
    events = [filtered, b": comment", piece("a"), piece(finish="stop"), usage, b"data: [DONE]"]
    if end == b"\n":
        events, end = [events[0], usage], b"\n\n"

    reading, out = stream("openai-chat", *events, call=call, end=end)
    asked, whole = stream(
        "openai-chat",
        *events,
        call=describe("openai-chat", stream=True, stream_options={"include_usage": True}),
        end=end,
    )

    assert not call.usage_asked
    assert reading == asked
    assert b'"prompt_tokens"' in whole
    assert out == whole.replace(b"data: " + json.dumps(usage).encode() + end, b"")


def test_a_last_event_without_its_blank_line_is_read_and_passed_on():
    call = describe("openai-chat", stream=True)
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}'

    reading, out = stream(
        "openai-chat", b"data: " + json.dumps(piece("a", "stop")).encode() + b"\n\n" + usage, call=call, end=b""
    )
    other, rest = stream("openai-chat", b"data: " + json.dumps(piece("a", "stop")).encode(), call=call, end=b"")

    assert reading.usage == Usage(input_tokens=7, output_tokens=2)
    assert usage not in out
    assert other.complete
    assert rest == b"data: " + json.dumps(piece("a", "stop")).encode()


def test_output_is_not_held_back_while_it_cannot_be_the_usage():
    reader = FORMATS["openai-chat"].reader(describe("openai-chat", stream=True), status=200, stream=True)

    assert reader.feed(b'data: {"id":"x",') == b""
    assert reader.feed(b'"choices":[{"delta":{"content":"he') == b'data: {"id":"x","choices":[{"delta":{"content":"he'
    assert reader.feed(b"llo") == b"llo"
    assert reader.feed(b'"}}]}\n\ndata: [DO') == b'"}}]}\n\ndata: [DO'


def test_an_event_that_never_ends_is_passed_on_and_not_kept():
    call = describe("openai-chat", stream=True)
    reader = FORMATS["openai-chat"].reader(call, status=200, stream=True)
    chunk = b"data: {" + b"x" * 2**20
    sent = sum(len(reader.feed(chunk)) for _ in range(20))
    end = reader.feed(b"\n\ndata: " + json.dumps(piece("a", "stop")).encode() + b"\n\n")

    reading = reader.finish()

    assert sent == 20 * len(chunk)
    assert end.startswith(b"\n\ndata: ")
    assert reading.problem == "an event is above 16777216 bytes"
    assert reading.complete
