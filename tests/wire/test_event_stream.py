"""
Amazon's frames: read as botocore reads them, however they are cut, and never believed when they are corrupt.
"""

import random
import struct
import zlib
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from frames import event, exception, frame, framed
from hypothesis import given, settings
from hypothesis import strategies as st

from solvent._amounts import Usage
from solvent.wire import FORMATS, Reading
from solvent.wire._event_stream import Frames
from solvent.wire._sse import EVENT_BYTES_MAX

CALL = FORMATS["bedrock-converse"].describe(
    {"messages": []}, provider="bedrock", path="model/anthropic.claude-sonnet-5/converse-stream", headers={}
)
START = event("messageStart", {"role": "assistant"})
DELTA = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}})
STOP = event("messageStop", {"stopReason": "end_turn"})
METADATA = event("metadata", {"usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9}})
STREAM = START + DELTA + STOP + METADATA
WHOLE = Reading(usage=Usage(input_tokens=7, output_tokens=2), complete=True, output_begun=True)

_HEADER = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.none()),
    st.tuples(st.just(2), st.integers(-(2**7), 2**7 - 1)),
    st.tuples(st.just(3), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just(4), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from([5, 8]), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(6), st.binary(max_size=40)),
    st.tuples(st.just(7), st.text(max_size=20)),
    st.tuples(st.just(9), st.binary(min_size=16, max_size=16)),
)
_FRAME = st.tuples(st.dictionaries(st.text(min_size=1, max_size=20), _HEADER, max_size=6), st.binary(max_size=300))


def encoded(given_frame: tuple[dict[str, tuple[int, Any]], bytes]) -> bytes:
    headers, payload = given_frame
    return frame([(name, kind, value) for name, (kind, value) in headers.items()], payload)


def by_botocore(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def by_us(*chunks: bytes) -> list[tuple[dict[str, str], bytes]]:
    frames = Frames()
    found = [(one.headers, one.payload) for chunk in chunks for one in frames.feed(chunk)]
    assert frames.problem is None
    return found


def read(*chunks: bytes) -> tuple[Reading, bytes]:
    reader = FORMATS["bedrock-converse"].reader(CALL, status=200, stream=True)
    out = b"".join([reader.feed(chunk) for chunk in chunks])
    return reader.finish(), out


def cuts(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        size = sizes[len(found) % len(sizes)]
        found.append(data[at : at + size])
        at += size
    return found


def test_our_frames_are_what_botocore_reads():
    headers = [
        (":event-type", 7, "chunk"),
        ("flag", 0, None),
        ("number", 5, -3),
        ("id", 9, b"u" * 16),
        ("raw", 6, b"r"),
    ]

    assert by_botocore(frame(headers, b"{}") + frame([], b"")) == [
        ({":event-type": "chunk", "flag": True, "number": -3, "id": b"u" * 16, "raw": b"r"}, b"{}"),
        ({}, b""),
    ]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.lists(_FRAME, max_size=4), st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_frames_are_read_as_botocore_reads_them_however_they_are_cut(frames, sizes):
    data = b"".join(map(encoded, frames))
    told = [
        ({name: value for name, value in headers.items() if isinstance(value, str)}, payload)
        for headers, payload in by_botocore(data)
    ]

    assert len(told) == len(frames)
    assert by_us(*cuts(data, sizes)) == told


def test_a_stream_is_read_alike_however_it_is_cut_and_passed_on_as_it_came():
    rng = random.Random(7)

    for sizes in ([1], [2], [11], [12, 13], [len(STREAM)], [rng.randrange(1, 90) for _ in range(9)]):
        assert read(*cuts(STREAM, sizes)) == (WHOLE, STREAM)


def test_a_stream_that_was_cut_tells_what_came():
    for end in range(len(STREAM)):
        reading, out = read(STREAM[:end])
        assert (reading.usage, reading.problem, reading.complete) == (None, None, False)
        assert reading.output_begun == (end >= len(START + DELTA))
        assert out == STREAM[:end]


def test_no_byte_of_a_frame_can_change_without_being_noticed():
    at = len(START + DELTA + STOP)

    for position in range(at, len(STREAM)):
        for flip in (0x01, 0x80):
            corrupt = bytearray(STREAM)
            corrupt[position] ^= flip
            reading, out = read(bytes(corrupt))
            assert reading.usage is None
            assert str(reading.problem).startswith("a frame of the stream is corrupt: ")
            assert out == corrupt


@pytest.mark.parametrize(
    "corrupt",
    [
        METADATA[:-1] + bytes([METADATA[-1] ^ 1]),
        METADATA[:11] + bytes([METADATA[11] ^ 1]) + METADATA[12:],
        frame([], b"")[:4] + b"\0\0\0\x01" + frame([], b"")[8:],
        b"data: {}\n\n" * 4,
        frame([("kind", 200, b"")], b""),
        framed(b"\x04long\x06\xff\x46" + b"x" * 70, b"{}"),
        framed(b"\x04long\x07\x00\x04abc", b""),
        framed(b"\x02n\xff\x00", b""),
        framed(b"\x09name", b""),
    ],
    ids=[
        "checksum",
        "checksum of the prelude",
        "length",
        "other events",
        "kind of a header",
        "length of bytes",
        "length of a text",
        "name",
        "length of a name",
    ],
)
def test_a_corrupt_frame_is_a_problem_and_whatever_follows_is_passed_on_unread(corrupt):
    reading, out = read(START + DELTA + corrupt, STREAM, STREAM)

    assert reading.usage is None
    assert str(reading.problem).startswith("a frame of the stream is corrupt: ")
    assert reading.output_begun
    assert out == START + DELTA + corrupt + STREAM + STREAM


def test_a_length_below_its_headers_is_corrupt_though_its_checksum_is_right():
    prelude = struct.pack(">II", 20, 5)

    reading, _ = read(prelude + struct.pack(">I", zlib.crc32(prelude)) + b"\0" * 40)

    assert reading.problem == "a frame of the stream is corrupt: its length"


def test_a_frame_above_the_limit_is_passed_on_and_not_kept():
    large = frame([(":event-type", 7, "contentBlockDelta")], b"x" * EVENT_BYTES_MAX)
    frames = Frames()

    most = 0
    for piece in cuts(START + large, [2**20]):
        frames.feed(piece)
        most = max(most, len(frames._tail))

    assert frames.skipped == 1
    assert most <= 2**20
    assert [one.headers[":event-type"] for one in frames.feed(METADATA)] == ["metadata"]


def test_a_frame_above_the_limit_is_a_problem_only_where_the_usage_may_have_been_in_it():
    large = frame([(":event-type", 7, "contentBlockDelta")], b"x" * EVENT_BYTES_MAX)

    assert read(START, large, STOP, METADATA)[0].usage == WHOLE.usage
    assert read(START, large, STOP)[0].problem == "a frame is above 16777216 bytes"


@pytest.mark.parametrize(
    ("end", "error"),
    [
        (exception("throttlingException", {"message": "secret"}), "throttlingException"),
        (
            exception("modelStreamErrorException", {"message": "secret", "originalStatusCode": 500}),
            "modelStreamErrorException",
        ),
        (frame([(":message-type", 7, "error"), (":error-code", 7, "InternalError")], b""), "InternalError"),
        (frame([(":message-type", 7, "exception"), (":exception-type", 7, "a sentence, cut")], b""), "error"),
        (frame([(":message-type", 7, "exception")], b"{}"), "error"),
    ],
)
def test_an_exception_in_a_stream_is_told_by_its_type(end, error):
    reading, _ = read(START, DELTA, end)

    assert (reading.error, reading.complete, reading.output_begun, reading.usage) == (error, False, True, None)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{", b"\xff", b"[" * 100_000], ids=["", "list", "cut", "bytes", "deep"]
)
def test_an_event_that_is_no_object_tells_nothing(payload):
    odd = frame([(":event-type", 7, "metadata"), (":message-type", 7, "event")], payload)

    reading, _ = read(START, DELTA, odd)

    assert (reading.usage, reading.problem) == (None, None)
