"""
Server-sent events, cut anywhere: where an event ends, and what it carries.

Source:
    HTML Living Standard, "Server-sent events", "Parsing an event stream", read 2026-11-21.
"""

import re
from typing import Any

import msgspec

EVENT_BYTES_MAX = 16 * 2**20  # A whole reply with its images travels in one event; what is larger is not read.

# A carriage return that is the last byte so far may be the first half of a line end, so it waits for the next byte.
_LINE_END = rb"(?:\r\n|\n|\r(?=[^\n]))"
_EVENT_END = re.compile(_LINE_END + _LINE_END)
_LINE = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Splitter:
    """
    Cuts a stream of arbitrary chunks into runs of whole events; what is not yet whole stays in ``tail``.

    Attributes:
        tail: The beginning of an event that has not ended.
        skipped: Events that were longer than ``EVENT_BYTES_MAX``.
    """

    __slots__ = ("_skipping", "skipped", "tail")

    def __init__(self) -> None:
        self.tail = bytearray()
        self.skipped = 0
        self._skipping = False

    def feed(self, chunk: bytes) -> bytes:
        """
        The whole events that end with this chunk, ends included; empty when none does.
        """
        tail = self.tail
        if not tail and chunk.endswith(b"\n\n") and not self._skipping:
            return chunk
        seen = len(tail)
        tail += chunk
        end = _last_end(tail, max(seen - 3, 0))
        if not end:
            self._bound_tail()
            return b""
        block = bytes(tail[:end])
        del tail[:end]
        if self._skipping:
            self._skipping = False
            block = block[_first_end(block) :]
        self._bound_tail()
        return block

    def _bound_tail(self) -> None:
        if len(self.tail) > EVENT_BYTES_MAX:
            self.skipped += not self._skipping
            self._skipping = True
            del self.tail[:-3]  # An event's end may lie across the cut.


def event_end(block: bytes, start: int) -> int:
    """
    Where the event ends that begins at ``start`` in a run of events, its blank line included.
    """
    if b"\r" not in block:
        end = block.find(b"\n\n", start)
        return end + 2 if end >= 0 else len(block)
    match = _EVENT_END.search(block, start)
    return match.end() if match else len(block)


def event_start(block: bytes, start: int, at: int) -> int:
    """
    Where the event begins that ``at`` is in; one begins at ``start``, which is not after it.
    """
    if b"\r" not in block:
        end = block.rfind(b"\n\n", start, at)
        return end + 2 if end >= 0 else start
    for match in _EVENT_END.finditer(block, start):
        if match.end() > at:
            break
        start = match.end()
    return start


def payload(event: bytes) -> tuple[str, bytes]:
    """
    The name and the data of one event; comments and other fields are left out.
    """
    if event.startswith(b"data: {") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return "", event[6:-2]  # Nearly every event is one such line.
    name, data = "", []
    for line in _LINE.split(event.removeprefix(_BYTE_ORDER_MARK)):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip().decode("ascii", "replace")
    return name, b"\n".join(data)


def decoded(data: bytes) -> Any:
    """
    The JSON value of an event or a body; ``None`` when it is none.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def _last_end(buffer: bytearray, start: int) -> int:
    if buffer.find(b"\r", start) < 0:
        end = buffer.rfind(b"\n\n", start)
        return end + 2 if end >= 0 else 0
    last = 0
    for match in _EVENT_END.finditer(buffer, start):
        last = match.end()
    return last


def _first_end(block: bytes) -> int:
    match = _EVENT_END.search(block)
    return match.end() if match else len(block)
