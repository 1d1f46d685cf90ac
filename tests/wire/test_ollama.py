"""
What is special about Ollama: it streams lines unless told not to, and a count may be missing.
"""

import json

import pytest
from test_formats import PATHS, describe, tokens
from test_traps import plain

from solvent._amounts import Usage
from solvent.wire import FORMATS, Call, Reading
from solvent.wire._sse import EVENT_BYTES_MAX


def chat(**more: object) -> Call:
    return describe("ollama-chat", "ollama", **more)


def generate(**more: object) -> Call:
    request = {"model": "llama3.2", "prompt": "hi", **more}
    return FORMATS["ollama-chat"].describe(request, provider="ollama", path="api/generate", headers={})


def lines(*bodies: object, cut: int = 0, call: Call | None = None) -> tuple[Reading, bytes]:
    raw = b"".join([json.dumps(body).encode() + b"\n" for body in bodies])
    reader = FORMATS["ollama-chat"].reader(call or chat(), status=200, stream=True)
    chunks = [raw[at : at + cut] for at in range(0, len(raw), cut)] if cut else [raw]
    out = b"".join([reader.feed(chunk) for chunk in chunks])
    assert out == raw
    return reader.finish(), out


def piece(content: str, **more: object) -> dict[str, object]:
    return {"model": "m", "message": {"role": "assistant", "content": content, **more}, "done": False}


def end(reason: str = "stop", **counts: object) -> dict[str, object]:
    message = {"role": "assistant", "content": ""}
    return {"model": "m", "message": message, "done": True, "done_reason": reason, "total_duration": 5, **counts}


COUNTS = {"prompt_eval_count": 26, "eval_count": 9}


@pytest.mark.parametrize(("more", "stream"), [({}, True), ({"stream": None}, True), ({"stream": False}, False)])
def test_it_streams_unless_it_is_told_not_to(more, stream):
    assert chat(**more).stream is stream


def test_lines_are_a_stream_and_one_body_is_none():
    wire = FORMATS["ollama-chat"]

    assert wire.is_stream(chat(), "application/x-ndjson")
    assert not wire.is_stream(chat(), "application/json; charset=utf-8")


@pytest.mark.parametrize(
    ("options", "most"),
    [
        (None, None),
        ({}, None),
        ({"num_predict": 7}, 7),
        ({"num_predict": 0}, None),
        ({"num_predict": -1}, None),
        ({"num_predict": -2}, None),
    ],
)
def test_the_cap_is_in_the_options(options, most):
    assert chat(options=options).output_tokens_max == most


@pytest.mark.parametrize("options", ["7", [7], {"num_predict": "7"}, {"num_predict": 7.5}, {"num_predict": True}])
def test_options_that_cannot_be_meant_are_an_error(options):
    with pytest.raises(ValueError, match=r"options must be an object|num_predict must be"):
        chat(options=options)


def test_a_rewrite_keeps_the_other_options():
    call = chat(options={"temperature": 0.5, "num_predict": 900})

    out = FORMATS["ollama-chat"].rewrite(call, model="llama3.2:1b", output_tokens_max=5)

    assert out is not None
    assert json.loads(out)["options"] == {"temperature": 0.5, "num_predict": 5}
    assert json.loads(out)["model"] == "llama3.2:1b"


def test_images_beside_the_content_are_images_and_their_bytes_no_text():
    image = "A" * 9_000
    message = {"role": "user", "content": "see", "images": [image, image]}

    for call in (chat(messages=[message]), generate(images=[image, image])):
        assert sum(item.images for item in call.items) == 2
        assert tokens(call) < 80


def test_a_prompt_is_read_with_all_that_stands_around_it():
    for field in ("prompt", "suffix", "system", "template"):
        assert tokens(generate(**{field: "x" * 300})) > 300
    assert tokens(generate(context=list(range(100)))) > tokens(generate()) + 100


def test_a_picture_to_draw_has_no_bound():
    assert generate(width=512, height=512).unbounded == ("a picture to draw",)
    assert generate().unbounded == ()


@pytest.mark.parametrize("cut", [0, 1, 2, 7, 50])
def test_a_stream_reads_alike_however_it_is_cut(cut):
    call = {"function": {"name": "f", "arguments": {}}}
    bodies = [
        piece("", thinking="hm"),
        piece("a\n\u2028b"),
        piece("", tool_calls=[call, call]),
        end("length", **COUNTS),
    ]

    reading, _ = lines(*bodies, cut=cut)

    assert reading == Reading(
        usage=Usage(input_tokens=26, output_tokens=9, tool_calls=2),
        model="m",
        complete=True,
        cut_at_length=True,
        output_begun=True,
        tool_calls=2,
    )


def test_the_last_line_needs_no_end():
    reader = FORMATS["ollama-chat"].reader(chat(), status=200, stream=True)
    for body in (piece("a"), end(**COUNTS)):
        reader.feed(b"\r\n" + json.dumps(body).encode())

    assert reader.finish().usage == Usage(input_tokens=26, output_tokens=9)


def test_a_whole_reply_of_either_kind_is_read():
    body = {**end(**COUNTS), "message": {"role": "assistant", "content": "a"}}
    other = {"model": "m", "response": "a", "done": True, "context": [1, 2], **COUNTS}

    for reading in (plain("ollama-chat", body), plain("ollama-chat", other)):
        assert reading.usage == Usage(input_tokens=26, output_tokens=9)
        assert (reading.complete, reading.output_begun, reading.model) == (True, True, "m")


def test_what_the_cache_had_is_part_of_the_prompt():
    reading, _ = lines(piece("a"), end(**COUNTS, prompt_eval_cached_count=20))

    assert reading.usage == Usage(input_tokens=26, output_tokens=9, cache_read_tokens=20)


@pytest.mark.parametrize("counts", [{"eval_count": 9}, {"eval_count": 9, "prompt_eval_count": 0}])
def test_a_prompt_that_the_server_had_in_memory_is_not_free(counts):
    reading, _ = lines(piece("a"), end(**counts))

    assert (reading.usage, reading.problem) == (None, "a reply with output must have read more than 0 tokens")


def test_a_reply_without_any_count_has_no_usage():
    reading, _ = lines(piece("a"), end())

    assert (reading.usage, reading.problem, reading.complete) == (None, None, True)


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_to_load_a_model_costs_nothing(reason):
    reading, _ = lines(end(reason))

    assert (reading.usage, reading.complete) == (Usage(), True)
    assert lines(piece("a"), end(reason))[0].usage is None


@pytest.mark.parametrize("count", [True, "7", -1, 7.5, 2**53, [], {}], ids=repr)
@pytest.mark.parametrize("field", ["prompt_eval_count", "eval_count"])
def test_an_absurd_count_is_a_problem(field, count):
    reading, _ = lines(piece("a"), end(**{**COUNTS, field: count}))

    assert reading.usage is None
    assert f"{field} must be" in str(reading.problem)


def test_a_stream_that_was_cut_is_not_complete():
    reading, _ = lines(piece("a"))

    assert (reading.complete, reading.usage, reading.output_begun) == (False, None, True)


def test_an_error_in_a_stream_is_told_without_its_message():
    reading, _ = lines(piece("a"), {"error": "the prompt"})

    assert (reading.error, reading.complete) == ("error", False)


def test_a_line_that_never_ends_is_passed_on_and_not_kept():
    reader = FORMATS["ollama-chat"].reader(chat(), status=200, stream=True)
    chunk = b"x" * 2**20
    sent = sum(len(reader.feed(chunk)) for _ in range(EVENT_BYTES_MAX // len(chunk) + 3))
    reader.feed(b"\n" + json.dumps(end()).encode() + b"\n")

    reading = reader.finish()

    assert sent == EVENT_BYTES_MAX + 3 * len(chunk)
    assert (reading.problem, reading.complete) == (f"a line is above {EVENT_BYTES_MAX} bytes", True)


def test_a_refusal_looks_like_an_error_of_ollama():
    told = FORMATS["ollama-chat"].refusal(code="budget_exceeded", message="no", metadata={"limit": "1.00"})

    assert told == {"error": "no", "code": "budget_exceeded", "metadata": {"limit": "1.00"}}
    assert PATHS["ollama-chat"] == "api/chat"
