"""
A reply that comes as one JSON object a line, cut anywhere.

Source:
    https://github.com/ndjson/ndjson-spec, read 2026-11-22.
"""

from solvent.wire._call import Reading
from solvent.wire._read import mapping
from solvent.wire._reply import Reply
from solvent.wire._sse import EVENT_BYTES_MAX, decoded


class LineReader:
    """
    Reads such a reply while it passes by. A line above ``EVENT_BYTES_MAX`` is passed on and not read.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._tail = bytearray()
        self._is_skipping = False
        self._skipped = 0

    def feed(self, chunk: bytes) -> bytes:
        first, *rest = chunk.split(b"\n")
        self._keep(first)
        if rest:
            self._end_line()
            for line in rest[:-1]:
                self._read(line)
            self._keep(rest[-1])
        return chunk

    def finish(self) -> Reading:
        self._end_line()
        reply = self._reply
        if self._skipped and reply.usage_raw is None:
            reply.problem = f"a line is above {EVENT_BYTES_MAX} bytes"
        return reply.reading(complete=reply.done)

    def _keep(self, piece: bytes) -> None:
        if self._is_skipping:
            return
        self._tail += piece
        if len(self._tail) > EVENT_BYTES_MAX:
            self._tail.clear()
            self._skipped += 1
            self._is_skipping = True

    def _end_line(self) -> None:
        if not self._is_skipping:
            self._read(bytes(self._tail))
        self._tail.clear()
        self._is_skipping = False

    def _read(self, line: bytes) -> None:
        body = mapping(decoded(line))
        if body:
            self._reply.event("", body)
