"""
A reply that comes as one JSON array, in pieces: where an element ends, and which of two kinds a stream is.

Source:
    google-genai 3.4.0, ``models.py`` (``?alt=sse`` asks for events), and
    https://ai.google.dev/api/generate-content, ``streamGenerateContent`` (without it the reply is an array of the same
    objects), read 2026-11-22.
"""

import re

from solvent.wire._call import Reader, Reading
from solvent.wire._read import mapping
from solvent.wire._reply import EventReader, Reply
from solvent.wire._sse import EVENT_BYTES_MAX, decoded

_STRUCTURE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_BLANK = b" \t\r\n\xef\xbb\xbf"  # White space and a byte order mark.


class Elements:
    """
    Cuts an array of JSON objects, in arbitrary chunks, into its objects. A single object is an array of one.

    Attributes:
        ended: The whole value has come.
        skipped: Objects that were longer than ``EVENT_BYTES_MAX``.
    """

    __slots__ = ("_depth", "_escaped", "_in_array", "_in_string", "_kept", "_skipping", "ended", "skipped")

    def __init__(self) -> None:
        self.ended = False
        self.skipped = 0
        self._depth = 0
        self._in_array = False
        self._in_string = False
        self._escaped = False
        self._kept = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """
        The objects that end with this chunk.
        """
        found = []
        start = at = 0
        while at < len(chunk):
            if self._in_string:
                at = self._string(chunk, at)
                continue
            match = _STRUCTURE.search(chunk, at)
            if match is None:
                break
            at = match.end()
            if match[0] == b'"':
                self._in_string = True
            elif match[0] == b"{":
                if self._depth == 0:
                    start = match.start()
                self._depth += 1
            elif match[0] == b"}" and self._depth:
                self._depth -= 1
                if self._depth == 0:
                    found += self._whole(chunk[start:at])
            elif self._depth == 0:
                self._bracket(match[0])
        if self._depth:
            self._keep(chunk[start:])
        return found

    def _string(self, chunk: bytes, at: int) -> int:
        """
        Where the part of a string ends that begins at ``at``: after its quote, after an escape, or with the chunk.
        """
        if self._escaped:
            self._escaped = False
            return at + 1
        match = _IN_STRING.search(chunk, at)
        if match is None:
            return len(chunk)
        self._escaped = match[0] == b"\\"
        self._in_string = self._escaped
        return match.end()

    def _bracket(self, bracket: bytes) -> None:
        self.ended = self.ended or (bracket == b"]" and self._in_array)
        self._in_array = self._in_array or bracket == b"["

    def _keep(self, piece: bytes) -> None:
        if len(self._kept) + len(piece) > EVENT_BYTES_MAX:
            self.skipped += not self._skipping
            self._skipping = True
            self._kept.clear()
        elif not self._skipping:
            self._kept += piece

    def _whole(self, last: bytes) -> list[bytes]:
        self._keep(last)
        element = [] if self._skipping else [bytes(self._kept)]
        self._skipping = False
        self._kept.clear()
        self.ended = self.ended or not self._in_array
        return element


class ArrayReader:
    """
    Reads a reply that is streamed as an array of its events.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._elements = Elements()

    def feed(self, chunk: bytes) -> bytes:
        for element in self._elements.feed(chunk):
            body = mapping(decoded(element))
            if body:
                self._reply.event("", body)
        return chunk

    def finish(self) -> Reading:
        reply = self._reply
        if self._elements.skipped and reply.usage_raw is None:
            reply.problem = f"an element is above {EVENT_BYTES_MAX} bytes"
        return reply.reading(complete=reply.done or self._elements.ended)


class StreamReader:
    """
    Reads a stream of events or an array of them; its first character tells which.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._reader: Reader | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self._reader is None:
            first = chunk.lstrip(_BLANK)[:1]
            if not first:
                return chunk
            self._reader = ArrayReader(self._reply) if first in b"[{" else EventReader(self._reply)
        return self._reader.feed(chunk)

    def finish(self) -> Reading:
        return self._reader.finish() if self._reader is not None else self._reply.reading(complete=False)
