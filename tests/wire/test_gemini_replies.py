"""
Gemini's replies: whole, as events, and as one array in pieces; and counts that cannot be meant.
"""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_samples import exchanges

from solvent._amounts import Usage
from solvent.wire import FORMATS, Call, Reading
from solvent.wire._json_stream import Elements
from solvent.wire._sse import EVENT_BYTES_MAX

WIRE = FORMATS["gemini-generate"]
USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 6, "totalTokenCount": 20}
DONE = {"content": {"parts": [{"text": "x"}], "role": "model"}, "finishReason": "STOP", "index": 0}


def call(model: str = "gemini-2.5-flash", *, stream: bool = False, **more: object) -> Call:
    verb = "streamGenerateContent" if stream else "generateContent"
    return WIRE.describe({"contents": [], **more}, provider="gemini", path=f"models/{model}:{verb}", headers={})


def body(usage: object = USAGE, *candidates: object, **more: object) -> dict[str, object]:
    return {"candidates": list(candidates) or [DONE], "usageMetadata": usage, **more}


def plain(value: object, *, status: int = 200, of: Call | None = None) -> Reading:
    reader = WIRE.reader(of or call(), status=status, stream=False)
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    assert reader.feed(raw) == raw
    return reader.finish()


def stream(raw: bytes, *, status: int = 200, of: Call | None = None) -> Reading:
    reader = WIRE.reader(of or call(stream=True), status=status, stream=True)
    assert reader.feed(raw) == raw
    return reader.finish()


def events(*bodies: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in bodies)


def array(*bodies: object) -> bytes:
    return b"[" + b"\n,\r\n".join(json.dumps(value, indent=1).encode() for value in bodies) + b"\n]\n"


def usage_of(usage: dict[str, Any], model: str = "gemini-2.5-flash", **candidate: object) -> Usage | None:
    return plain(body(usage, {**DONE, **candidate}), of=call(model)).usage


def test_thoughts_and_what_tools_found_are_outside_the_candidates_and_the_prompt():
    usage = {**USAGE, "toolUsePromptTokenCount": 100, "cachedContentTokenCount": 8, "totalTokenCount": 120}

    assert usage_of(usage) == Usage(input_tokens=110, output_tokens=10, cache_read_tokens=8, reasoning_tokens=6)


@pytest.mark.parametrize(
    ("usage", "output"),
    [
        ({"promptTokenCount": 10, "totalTokenCount": 10}, 0),
        ({"promptTokenCount": 10, "totalTokenCount": 17}, 7),
        ({"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 17}, 7),
        ({"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 3}, 4),
        ({"promptTokenCount": 10, "candidatesTokenCount": 4}, 4),
    ],
)
def test_output_is_what_is_told_or_what_the_total_leaves(usage, output):
    found = usage_of(usage)

    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (10, output)


def test_tokens_are_told_by_their_kind():
    usage = {
        **USAGE,
        "cachedContentTokenCount": 5,
        "promptTokensDetails": [{"modality": "DOCUMENT", "tokenCount": 3}, {"modality": "AUDIO", "tokenCount": 7}],
        "toolUsePromptTokensDetails": [{"modality": "IMAGE", "tokenCount": 1}, {"modality": "AUDIO", "tokenCount": 2}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
    }

    heard, spoken = usage_of(usage), usage_of(usage, "gemini-2.5-flash-preview-tts")

    assert heard is not None
    assert spoken is not None
    assert (heard.audio_input_tokens, heard.audio_cache_read_tokens, heard.audio_output_tokens) == (9, 5, 4)
    assert (heard.image_input_tokens, heard.image_output_tokens) == (4, 0)
    assert spoken.audio_output_tokens == 0  # The model's price of output is that of speech.


def test_pictures_are_output_where_the_model_has_a_price_for_them_and_else_a_problem():
    usage = {**USAGE, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 4}]}

    drawn = usage_of(usage, "gemini-2.5-flash-image")
    assert drawn is not None
    assert (drawn.image_output_tokens, drawn.image_input_tokens) == (4, None)
    reading = plain(body(usage))
    assert (reading.usage, reading.problem) == (None, "output of kind 'IMAGE' has a price of its own")


QUERIES = {"groundingMetadata": {"webSearchQueries": ["", "a", "b", "a"], "groundingChunks": [{"web": {}}]}}


@pytest.mark.parametrize(
    ("model", "candidate", "searches"),
    [
        ("gemini-2.5-flash", QUERIES, (1, 0)),
        ("gemini-3-flash-preview", QUERIES, (2, 0)),
        ("tunedModels/gemini-2.5-flash", QUERIES, (2, 0)),
        ("gemini-2.5-flash", {"groundingMetadata": {}}, (0, 0)),
        ("gemini-2.5-flash", {"groundingMetadata": {"groundingChunks": [{"web": {}}, {"maps": {}}]}}, (1, 1)),
        ("gemini-3-flash-preview", {"groundingMetadata": {"groundingChunks": [{"retrievedContext": {}}]}}, (0, 0)),
        ("gemini-3-flash-preview", {"groundingMetadata": {"imageSearchQueries": ["a", "b"]}}, (2, 0)),
        (
            "gemini-3-flash-preview",
            {"content": {"parts": [{"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["a", "c"]}}}]}},
            (2, 0),
        ),
        (
            "gemini-3-flash-preview",
            {"content": {"parts": [{"toolCall": {"toolType": "GOOGLE_MAPS", "args": {"queries": ["a", "c"]}}}]}},
            (0, 2),
        ),
        (
            "gemini-3-flash-preview",
            {"content": {"parts": [{"toolCall": {"toolType": "FILE_SEARCH", "args": {"queries": ["a"]}}}]}},
            (0, 0),
        ),
    ],
)
def test_a_search_is_billed_once_a_request_until_gemini_2_and_once_a_query_since(model, candidate, searches):
    path = f"{'' if '/' in model else 'models/'}{model}:generateContent"
    asked = WIRE.describe({"contents": []}, provider="gemini", path=path, headers={})

    usage = plain(body(USAGE, {**DONE, **candidate}), of=asked).usage

    assert usage is not None
    assert (usage.web_searches, usage.map_searches) == searches


@pytest.mark.parametrize("count", [True, "10", -1, 1.5, 2**53, 2**63, [], {}], ids=repr)
@pytest.mark.parametrize("name", [*USAGE, "toolUsePromptTokenCount", "cachedContentTokenCount", "promptTokensDetails"])
def test_an_absurd_count_is_a_problem_and_no_usage(name, count):
    detail = [{"modality": "AUDIO", "tokenCount": count}]

    reading = plain(body({**USAGE, name: detail if name.endswith("Details") else count}))

    assert reading.usage is None
    assert "must be" in str(reading.problem)


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({**USAGE, "cachedContentTokenCount": 11}, "cached tokens must not be above input_tokens, got 11 of 10"),
        ({"candidatesTokenCount": 4}, "promptTokenCount and candidatesTokenCount must be told, or a total"),
        ({"promptTokenCount": 10}, "promptTokenCount and candidatesTokenCount must be told, or a total"),
        ({"promptTokenCount": 0, "totalTokenCount": 4}, "a reply with output must have read more than 0 tokens"),
        ("20", "usage must be an object, got a text"),
        ([1], "usage must be an object, got a list"),
    ],
    ids=repr,
)
def test_a_usage_that_contradicts_itself_is_a_problem(usage, problem):
    reading = plain(body(usage))

    assert (reading.usage, reading.problem) == (None, problem)


@pytest.mark.parametrize("usage", [None, {}, {"serviceTier": "standard"}], ids=repr)
def test_a_usage_that_tells_nothing_is_none(usage):
    reading = plain(body(usage))

    assert (reading.usage, reading.problem, reading.complete, reading.output_begun) == (None, None, True, True)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'"x"', b"<html>", b'{"usageMetadata": {"promptTokenCount": NaN}}', b"[" * 5_000, b"\xff"]
)
def test_what_is_no_reply_has_no_usage_and_is_passed_on(raw):
    for reading in (plain(raw), stream(raw), plain(raw, status=500), stream(raw, status=500)):
        assert reading.usage is None


@pytest.mark.parametrize(
    ("told", "tier"),
    [
        ({"serviceTier": "standard"}, "standard"),
        ({"serviceTier": "SERVICE_TIER_PRIORITY"}, "priority"),
        ({"serviceTier": "unspecified"}, None),
        ({"trafficType": "ON_DEMAND"}, "on_demand"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None),
        ({}, None),
    ],
)
def test_the_tier_that_served_is_the_replys_word(told, tier):
    assert plain(body({**USAGE, **told})).tier == tier


def test_calls_of_functions_are_counted_and_an_end_at_the_cap_is_told():
    parts = [{"functionCall": {"name": "f"}}, {"functionCall": {"partialArgs": []}}, {"toolCall": {"id": "t"}}]

    reading = plain(body(USAGE, {**DONE, "content": {"parts": parts}, "finishReason": "MAX_TOKENS"}))

    assert (reading.tool_calls, reading.cut_at_length) == (1, True)


def test_a_blocked_prompt_is_complete_and_has_its_input():
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9},
    }

    for reading in (plain(blocked), stream(events(blocked)), stream(array(blocked))):
        assert reading.complete
        assert not reading.output_begun
        assert reading.usage == Usage(input_tokens=9)


@pytest.mark.parametrize("form", [events, array])
def test_the_last_usage_of_a_stream_counts(form):
    first = body({**USAGE, "promptTokenCount": 99, "totalTokenCount": 109}, {**DONE, "finishReason": None})

    reading = stream(form(first, body(modelVersion="gemini-2.5-flash-001")))

    assert reading == Reading(
        usage=Usage(input_tokens=10, output_tokens=10, reasoning_tokens=6),
        model="gemini-2.5-flash-001",
        complete=True,
        output_begun=True,
    )


@pytest.mark.parametrize("form", [events, array])
def test_a_stream_is_complete_when_every_candidate_has_finished(form):
    going, other = {**DONE, "finishReason": None}, {**DONE, "index": 1}
    two = call(stream=True, generationConfig={"candidateCount": 2})

    assert not stream(form(body(USAGE, going))[:-3]).complete
    assert not stream(form(body(USAGE, DONE))[:-3], of=two).complete
    assert stream(form(body(USAGE, DONE, other))).complete


def test_an_array_that_ended_is_complete_and_a_cut_one_is_not():
    going = body(USAGE, {**DONE, "finishReason": None})

    assert stream(array(going)).complete
    assert not stream(array(going).rstrip()[:-1]).complete
    assert stream(array(going)[:-9]).usage is None


ERROR = {"error": {"code": 404, "message": "a secret prompt", "status": "NOT_FOUND", "details": []}}


@pytest.mark.parametrize(
    "raw", [json.dumps(ERROR).encode(), array(ERROR), events(ERROR)], ids=["object", "array", "sse"]
)
def test_an_error_is_told_by_its_status_without_its_message(raw):
    reading = stream(raw, status=404)

    assert (reading.error, reading.usage, reading.output_begun) == ("NOT_FOUND", None, False)
    assert reading.complete is not raw.startswith(b"data: ")
    assert stream(events(body(USAGE, {**DONE, "finishReason": None})) + events(ERROR)).error == "NOT_FOUND"


def test_a_whole_reply_that_is_an_error_is_told_as_well():
    assert plain(ERROR, status=404).error == "NOT_FOUND"
    assert plain(b"<html>", status=502).error == "http_502"


@pytest.mark.parametrize(
    ("is_streamed", "kind", "streams"),
    [
        (True, "text/event-stream", True),
        (True, "application/json; charset=utf-8", True),
        (False, "application/json; charset=utf-8", False),
        (True, "text/html", False),
    ],
)
def test_json_is_a_stream_where_one_was_asked_for(is_streamed, kind, streams):
    assert WIRE.is_stream(call(stream=is_streamed), kind) is streams


TRAPS = ['}{"][\\', "\\\\", '"', '\\"}', "usageMetadata", "é{", "]", "{" * 50]


@pytest.mark.parametrize("seed", range(20))
def test_elements_are_found_however_they_are_cut(seed):
    rng = random.Random(seed)
    values = [{"a": [rng.choice(TRAPS), {rng.choice(TRAPS): rng.choice(TRAPS)}], "n": n} for n in range(6)]
    raw = array(*values) if seed % 2 else json.dumps(values, ensure_ascii=False).encode()
    elements, found = Elements(), []
    while raw:
        size = rng.choice((1, 2, 3, 7, 40))
        found += elements.feed(raw[:size])
        raw = raw[size:]

    assert [msgspec.json.decode(element) for element in found] == values
    assert elements.ended


def test_an_element_that_never_ends_is_not_kept_and_the_rest_is_read():
    reader = WIRE.reader(call(stream=True), status=200, stream=True)
    chunk = b"x" * 2**20
    reader.feed(b'[{"a": "')
    for _ in range(EVENT_BYTES_MAX // len(chunk) + 2):
        assert reader.feed(chunk) == chunk
    reader.feed(b'"}, ' + json.dumps(body()).encode() + b"]")

    reading = reader.finish()

    assert reading.usage == Usage(input_tokens=10, output_tokens=10, reasoning_tokens=6)
    assert reading.problem is None
    only = WIRE.reader(call(stream=True), status=200, stream=True)
    only.feed(b'[{"a": "' + b"x" * (EVENT_BYTES_MAX + 1) + b'"}]')
    assert only.finish().problem == f"an element is above {EVENT_BYTES_MAX} bytes"


def test_an_element_that_is_left_out_is_counted_once():
    elements = Elements()
    elements.feed(b'[{"a": "')
    for _ in range(4):
        elements.feed(b"x" * EVENT_BYTES_MAX)

    assert elements.feed(b'"}, {}]') == [b"{}"]
    assert (elements.skipped, elements.ended) == (1, True)


@pytest.mark.slow
def test_every_recorded_stream_reads_alike_as_an_array_in_pieces():
    rng, checked = random.Random(7), 0
    for exchange in exchanges():
        if exchange.sse is None or exchange.format is not WIRE:
            continue
        asked = exchange.call()
        bodies = [json.loads(line[6:]) for line in exchange.sse.splitlines() if line.startswith("data: ")]
        raw, whole = array(*bodies), stream(exchange.body, of=asked)
        reader, out = WIRE.reader(asked, status=200, stream=True), b""
        while raw:
            size = rng.choice((1, 5, 60, 900))
            out += reader.feed(raw[:size])
            raw = raw[size:]
        assert out == array(*bodies)
        assert reader.finish() == whole
        checked += 1

    assert checked == 18


NAMES = (
    "args blockReason candidates candidatesTokenCount candidatesTokensDetails content error finishReason functionCall "
    "groundingChunks groundingMetadata index modality modelVersion name parts promptFeedback promptTokenCount "
    "promptTokensDetails queries serviceTier status thoughtsTokenCount tokenCount toolCall toolType "
    "toolUsePromptTokenCount totalTokenCount trafficType usageMetadata webSearchQueries cachedContent contents data "
    "fileData functionDeclarations functionResponse generationConfig generation_config inlineData mediaResolution "
    "mimeType responseModalities responseSchema systemInstruction text thoughtSignature tools $ref $defs"
)
KEYS = st.sampled_from(NAMES.split())
WORDS = st.sampled_from(["AUDIO", "IMAGE", "STOP", "image/png", "text/plain", "#/$defs/$defs", "GOOGLE_SEARCH_WEB"])
LEAVES = st.none() | st.booleans() | st.integers(-3, 2**64) | st.floats() | st.text(max_size=8) | WORDS
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=30
)
LIMITS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.slow
def test_any_request_is_a_call_or_a_value_error():
    @LIMITS
    @given(st.dictionaries(KEYS, JSON, max_size=8), st.lists(JSON, max_size=3))
    def check(request: dict[str, object], contents: list[object]) -> None:
        for name, path in (("gemini-generate", "models/m:generateContent"), ("gemini-embed", "models/m:embedContent")):
            wire = FORMATS[name]
            try:
                asked = wire.describe(
                    {"contents": contents, "content": "x", **request}, provider="vertex", path=path, headers={}
                )
            except ValueError:
                continue
            assert asked.head.tokens_max >= 0
            assert all(item.tokens_max >= 0 for item in asked.items)
            wire.rewrite(asked, model="other", output_tokens_max=1)

    check()


@pytest.mark.slow
def test_any_reply_is_a_reading():
    @LIMITS
    @given(st.dictionaries(KEYS, JSON, max_size=8))
    def check(value: dict[str, object]) -> None:
        raw = msgspec.json.encode(value)
        for reading in (plain(raw), stream(raw), stream(b"[" + raw), stream(b"data: " + raw + b"\n\n")):
            if reading.usage is not None:
                reading.usage.check()

    check()
