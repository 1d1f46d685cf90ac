"""
Amazon's event streams, cut anywhere: frames of a prelude, headers and a payload, with two checksums.

Source:
    https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html, the kinds of headers by botocore 1.44.5,
    ``eventstream.py``, read 2026-11-22.
"""

import struct
from typing import NamedTuple
from zlib import crc32

from msgspec.structs import replace

from solvent.wire._call import Reading
from solvent.wire._read import mapping
from solvent.wire._reply import Reply
from solvent.wire._sse import EVENT_BYTES_MAX, decoded

_PRELUDE = struct.Struct(">III")  # The whole frame's bytes, those of its headers, and the checksum of the two.
_CHECKSUM = struct.Struct(">I")
_FRAME_BYTES_MIN = _PRELUDE.size + _CHECKSUM.size
# Bytes of a header's value by its kind: two booleans, four sizes of integers, bytes, text, a time and a UUID. Bytes and
# text tell their own size.
_VALUE_BYTES = (0, 0, 1, 2, 4, 8, None, None, 8, 16)
_TEXT = 7


class Frame(NamedTuple):
    """
    One frame: its headers that are text, and its payload.
    """

    headers: dict[str, str]
    payload: bytes


class Frames:
    """
    Cuts a stream of arbitrary chunks into frames.

    Attributes:
        problem: Why nothing more of the stream is read.
        skipped: Frames that were longer than ``EVENT_BYTES_MAX``.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self.skipped = 0
        self._tail = bytearray()
        self._needed = _PRELUDE.size  # Bytes that the tail must have before anything can be read from it.
        self._to_skip = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """
        The frames that end with this chunk.
        """
        if self.problem is not None:
            return []
        self._tail += chunk
        frames: list[Frame] = []
        try:
            self._read(frames)
        except (IndexError, ValueError) as exc:
            self.problem = f"a frame of the stream is corrupt: {exc}"
        return frames

    def _read(self, frames: list[Frame]) -> None:
        """
        Raises:
            ValueError, IndexError: A frame is not what its prelude, its checksums or its headers say.
        """
        tail = self._tail
        while True:
            if self._to_skip:
                skipped = min(self._to_skip, len(tail))
                self._to_skip -= skipped
                del tail[:skipped]
            if len(tail) < self._needed or self._to_skip:
                return
            size, headers_size = _sizes(tail)
            if size > EVENT_BYTES_MAX:
                self.skipped += 1
                self._to_skip = size
            elif len(tail) < size:
                self._needed = size
                return
            else:
                frames.append(_frame(bytes(tail[:size]), headers_size))
                del tail[:size]
                self._needed = _PRELUDE.size


class FrameReader:
    """
    Reads a streamed reply of frames while it passes by: each is an event of the reply by the name in its headers.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._frames = Frames()

    def feed(self, chunk: bytes) -> bytes:
        for frame in self._frames.feed(chunk):
            self._read(frame)
        return chunk

    def finish(self) -> Reading:
        frames = self._frames
        reading = self._reply.reading(complete=self._reply.done)
        problem = frames.problem
        if problem is None and frames.skipped and reading.usage is None:
            problem = reading.problem or f"a frame is above {EVENT_BYTES_MAX} bytes"
        return reading if problem is None else replace(reading, usage=None, problem=problem)

    def _read(self, frame: Frame) -> None:
        kind = frame.headers.get(":message-type")
        if kind in ("error", "exception"):
            name = frame.headers.get(":exception-type") or frame.headers.get(":error-code")
            self._reply.add_error({"type": name})
        else:
            self._reply.event(frame.headers.get(":event-type", ""), mapping(decoded(frame.payload)))


def _sizes(start: bytearray) -> tuple[int, int]:
    """
    The bytes of a frame, and of its headers.
    """
    size, headers_size, checksum = _PRELUDE.unpack_from(start)
    if crc32(start[:8]) != checksum:
        raise ValueError("the checksum of its prelude")
    if size < headers_size + _FRAME_BYTES_MIN:
        raise ValueError("its length")
    return size, headers_size


def _frame(data: bytes, headers_size: int) -> Frame:
    end = len(data) - _CHECKSUM.size
    if crc32(data[:end]) != _CHECKSUM.unpack_from(data, end)[0]:
        raise ValueError("its checksum")
    payload_start = _PRELUDE.size + headers_size
    return Frame(_headers(data[_PRELUDE.size : payload_start]), data[payload_start:end])


def _headers(data: bytes) -> dict[str, str]:
    found, at = {}, 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name, kind, at = data[at + 1 : name_end].decode(), data[name_end], name_end + 1
        size = _VALUE_BYTES[kind]
        if size is None:
            size, at = int.from_bytes(data[at : at + 2]), at + 2
        if kind == _TEXT:
            found[name] = data[at : at + size].decode()
        at += size
    if at != len(data):
        raise ValueError("its headers")
    return found
