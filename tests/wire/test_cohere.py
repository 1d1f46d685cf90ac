"""
What is special about Cohere's chat: it bills less than it counts, and its streams have events of their own.
"""

import pytest
from test_bounds import input_bound
from test_formats import describe, tokens
from test_traps import plain, stream
from wire_samples import exchanges

from solvent._amounts import Usage
from solvent.wire import FORMATS, Call, Reading


def chat(**more: object) -> Call:
    return describe("cohere-chat", "cohere", **more)


def test_what_counts_is_what_is_billed():
    usage = {
        "billed_units": {"input_tokens": 41, "output_tokens": 25},
        "tokens": {"input_tokens": 1_441, "output_tokens": 54},
        "cached_tokens": 144,
    }

    reading = plain("cohere-chat", {"message": {"content": []}, "finish_reason": "COMPLETE", "usage": usage})

    assert reading.usage == Usage(input_tokens=41, output_tokens=25)


def test_a_usage_without_billed_units_is_all_tokens():
    usage = {"tokens": {"input_tokens": 14, "output_tokens": 5}}

    reading = plain("cohere-chat", {"message": {"content": []}, "usage": usage})

    assert reading.usage == Usage(input_tokens=14, output_tokens=5)


@pytest.mark.parametrize("count", [True, "7", -1, 7.5, 2**53, [], {}], ids=repr)
@pytest.mark.parametrize("field", ["input_tokens", "output_tokens"])
def test_an_absurd_count_is_a_problem(field, count):
    billed = {"input_tokens": 7, "output_tokens": 7, field: count}

    reading = plain("cohere-chat", {"message": {"content": []}, "usage": {"billed_units": billed}})

    assert reading.usage is None
    assert "tokens must be" in str(reading.problem)


def test_the_bound_covers_also_what_is_not_billed():
    counted = [exchange for exchange in exchanges() if exchange.provider == "cohere" and not exchange.is_cut]
    whole = [exchange.response["usage"]["tokens"]["input_tokens"] for exchange in counted]

    assert len(counted) == 12
    assert all(most + 150 <= input_bound(exchange.call()) for most, exchange in zip(whole, counted, strict=True))


def test_documents_are_read_before_the_messages():
    document = {"id": "d", "data": {"title": "t", "text": "x" * 300}}

    call = chat(documents=[document, "y" * 300])

    assert len(call.items) == 3
    assert tokens(call) > tokens(chat()) + 600


def test_a_document_in_a_tool_result_is_in_the_request():
    part = {"type": "document", "document": {"data": "x" * 300}}
    call = chat(messages=[{"role": "tool", "tool_call_id": "t", "content": [part]}])

    assert call.hidden_input is None
    assert tokens(call) > 300


@pytest.mark.parametrize(
    ("more", "most"), [({}, None), ({"max_tokens": 7}, 7), ({"max_tokens": 0}, None), ({"max_tokens": -1}, None)]
)
def test_the_cap_is_the_one_that_counts(more, most):
    assert chat(**more).output_tokens_max == most


def test_structured_output_and_unknown_tools_are_noticed():
    assert chat(response_format={"type": "json_object"}).structured_output
    assert chat(tool_choice="REQUIRED").structured_output
    assert chat(tools=[{"type": "web"}]).unbounded == ("a tool of type 'web'",)


START = {"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant", "content": []}}}
CONTENT = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "a"}}}}
CALL = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"function": {"name": "f"}}}}}


def end(reason: str, **more: object) -> dict[str, object]:
    usage = {"billed_units": {"input_tokens": 7, "output_tokens": 2}, "tokens": {"input_tokens": 507}}
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": usage, **more}}


def test_a_stream_tells_its_usage_with_its_end():
    reading, out = stream("cohere-chat", START, CONTENT, CALL, CALL, end("MAX_TOKENS"), b"data: [DONE]")

    assert reading == Reading(
        usage=Usage(input_tokens=7, output_tokens=2, tool_calls=2),
        complete=True,
        cut_at_length=True,
        output_begun=True,
        tool_calls=2,
    )
    assert out.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("events", [[], [START], [START, CONTENT], [START, CONTENT, CALL]], ids=len)
def test_a_stream_without_its_end_is_not_complete(events):
    reading, _ = stream("cohere-chat", *events)

    assert (reading.complete, reading.usage) == (False, None)
    assert reading.output_begun == (len(events) > 1)


def test_a_start_alone_is_no_output():
    assert not stream("cohere-chat", START)[0].output_begun


def test_text_that_looks_like_an_end_is_text():
    trap = '"type":"message-end","usage":{"billed_units":{"input_tokens":1}}'
    content = {"type": "content-delta", "delta": {"message": {"content": {"text": trap}}}}

    reading, _ = stream("cohere-chat", START, CONTENT, content)

    assert reading == Reading(output_begun=True)


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (end("ERROR", error="the prompt"), "error"),
        (end("TIMEOUT"), "timeout"),
        (b'event: error\ndata: {"message": "the prompt"}', "error"),
    ],
    ids=["error", "timeout", "event"],
)
def test_an_error_in_a_stream_is_told_without_its_message(event, error):
    assert stream("cohere-chat", START, event)[0].error == error


def test_an_error_reply_has_no_type():
    assert plain("cohere-chat", {"id": "x", "message": "the prompt"}, status=400).error == "http_400"


def test_a_refusal_looks_like_an_error_of_cohere():
    told = {"request_id": "r", "limit": "1.00"}

    assert FORMATS["cohere-chat"].refusal(code="budget_exceeded", message="no", metadata=told) == {
        "id": "r",
        "message": "no",
        "code": "budget_exceeded",
        "metadata": told,
    }
