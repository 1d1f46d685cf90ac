"""
What is special about completions: several prompts in a request, tokens in place of text, and text in place of deltas.
"""

import json

import pytest
from test_formats import describe, tokens
from test_traps import plain, stream

from solvent._amounts import Usage
from solvent.wire import FORMATS, Call, Reading, ServerTool


def completion(provider: str = "openai", **more: object) -> Call:
    return describe("openai-completions", provider, **more)


@pytest.mark.parametrize(
    ("prompt", "items"),
    [
        (None, [1]),
        ("abc", [4]),
        (["abc", "é"], [4, 3]),
        ([5, 6, 7], [4]),
        ([[5, 6], [7]], [3, 2]),
        ([5, "abc"], [6]),
        ([], [1]),
    ],
    ids=repr,
)
def test_a_prompt_is_as_long_as_its_text_or_as_it_has_tokens(prompt, items):
    assert [item.tokens_max for item in completion(prompt=prompt).items] == items


@pytest.mark.parametrize("prompt", [7, True, {"text": "abc"}, [[{"text": "abc"}]], [["a"], 1.5], [None, {}]], ids=repr)
def test_a_prompt_of_another_kind_is_an_error(prompt):
    with pytest.raises(ValueError, match="prompt must be a text, a list of texts, or tokens"):
        completion(prompt=prompt)


@pytest.mark.parametrize(
    ("more", "choices"),
    [
        ({}, 1),
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b", "c"], "n": 2, "best_of": 4}, 12),
        ({"prompt": [1, 2, 3], "n": 2}, 2),
    ],
    ids=repr,
)
def test_every_prompt_is_written_to_as_often_as_the_best_is_chosen_from(more, choices):
    assert completion(**more).choices == choices


@pytest.mark.parametrize(
    ("provider", "more", "most"),
    [
        ("openai", {}, 16),
        ("azure", {}, 16),
        ("mistral", {}, None),
        ("together", {}, None),
        ("openai", {"max_tokens": 40}, 40),
        ("openai", {"max_tokens": 0}, 0),
        ("fireworks", {"max_tokens": 0}, None),
        ("openai", {"max_tokens": -1}, None),
        ("openai", {"max_tokens": 40, "echo": True, "prompt": ["abc", "abcdef"]}, 40 + 7),
        ("mistral", {"echo": True}, None),
    ],
)
def test_a_request_without_a_cap_has_the_one_of_its_host(provider, more, most):
    assert completion(provider, **more).output_tokens_max == most


def test_the_text_behind_the_gap_is_read_too():
    assert tokens(completion(suffix="x" * 300)) > tokens(completion()) + 300


def test_an_echo_is_not_shrunk():
    assert completion(echo=True).structured_output
    assert not completion().structured_output


@pytest.mark.parametrize(
    ("more", "unbounded", "tools"),
    [
        ({"models": ["x"]}, ("fallback models of the host",), ()),
        ({"model": "openai/gpt-4o:online"}, (), (ServerTool(name="web_search", calls_max=None),)),
    ],
    ids=repr,
)
def test_what_a_host_does_beside_has_no_bound(more, unbounded, tools):
    call = completion("openrouter", **more)

    assert (call.unbounded, call.server_tools) == (unbounded, tools)


def test_a_stream_is_asked_for_its_usage_where_the_host_takes_that():
    assert not completion(stream=True).usage_asked
    assert completion("mistral", stream=True).usage_asked
    out = FORMATS["openai-completions"].rewrite(completion(stream=True), output_tokens_max=5)

    assert out is not None
    assert json.loads(out) == {
        "model": "gpt-3.5-turbo-instruct",
        "prompt": "hi",
        "stream": True,
        "max_tokens": 5,
        "stream_options": {"include_usage": True},
    }


def piece(text: str, finish: str | None = None, index: int = 0) -> dict[str, object]:
    return {"model": "m", "choices": [{"text": text, "index": index, "finish_reason": finish}], "usage": None}


def test_a_streamed_completion_is_read_and_its_usage_event_left_out():
    usage = {"model": "m", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}
    events = [piece(""), piece("a"), piece("", "length")]

    reading, out = stream("openai-completions", *events, usage, b"data: [DONE]", call=completion(stream=True))

    assert reading == Reading(
        usage=Usage(input_tokens=7, output_tokens=2), model="m", complete=True, cut_at_length=True, output_begun=True
    )
    assert b"prompt_tokens" not in out
    assert b'"text": "a"' in out


def test_a_stream_that_was_cut_has_begun_when_a_text_came():
    call = completion(stream=True)

    assert not stream("openai-completions", piece(""), call=call)[0].output_begun
    assert stream("openai-completions", piece(""), piece("a"), call=call)[0].output_begun


def test_a_stream_of_two_prompts_is_complete_when_both_are_finished():
    call = completion(stream=True, prompt=["a", "b"])

    assert not stream("openai-completions", piece("a"), piece("", "stop"), call=call)[0].complete
    assert stream("openai-completions", piece("a", "stop"), piece("b", "stop", 1), call=call)[0].complete


def test_fill_in_the_middle_is_answered_as_a_chat_is():
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    body = {"model": "codestral", "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    delta = {"model": "codestral", "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}

    whole = plain("openai-completions", body, call=completion("mistral"))
    streamed, _ = stream("openai-completions", {**delta, "usage": usage}, call=completion("mistral", stream=True))

    assert whole.usage == streamed.usage == Usage(input_tokens=9, output_tokens=4)


def test_an_echo_alone_has_written_nothing():
    body = {"model": "m", "choices": [{"text": "hi", "finish_reason": "length"}]}

    reading = plain("openai-completions", {**body, "usage": {"prompt_tokens": 5, "total_tokens": 5}})

    assert reading.usage == Usage(input_tokens=5)
