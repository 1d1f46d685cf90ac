"""
A reply's body on its way to the caller: looked at, and passed on as it came.
"""

from typing import TYPE_CHECKING

from solvent.gateway._decode import Decoder, Undecodable

if TYPE_CHECKING:
    from solvent.instrument._calls import GuardedCall

_STREAM_BYTES_MAX = 1 << 62  # What is passed on piece by piece fills no memory.


class Relay:
    """
    Looks at a reply's body while it passes by.

    Args:
        content_type, encoding: As the reply's head says, in lower case.
        unpacks: The hook can tell the caller that the content is not encoded any more.

    Attributes:
        changes: The body is not as its head says: unpacked, or without an event that only Solvent asked for.
    """

    def __init__(self, call: "GuardedCall", content_type: str, encoding: str, *, unpacks: bool) -> None:
        stream = call.is_stream(content_type)
        drops = stream and not call.usage_asked
        self._call = call
        self._is_stream = stream
        self._reader = call.reader(stream=stream)
        self._decoder: Decoder | None = None
        if encoding not in ("", "identity"):
            try:
                self._decoder = Decoder(encoding, most=_STREAM_BYTES_MAX) if stream else Decoder(encoding)
            except Undecodable as error:
                self._give_up(error)
        self.changes = drops and (unpacks or self._decoder is None) and self._reader is not None

    @property
    def is_over(self) -> bool:
        """
        The stream said all that counts. Not every SDK reads on to its end, or lets go of it soon.
        """
        return getattr(self._reader, "is_done", False)

    def feed(self, chunk: bytes) -> bytes:
        """
        The next bytes as they came; returns those that the caller is to see.

        Raises:
            Undecodable: Only where the body is unpacked on its way.
            DeadlinePassed: They belong to a stream, and came after the call's time.
        """
        if self._is_stream:  # What comes whole was paid for.
            self._call.check_time()
        if self._reader is None:
            return chunk
        try:
            content = self._decoder.feed(chunk) if self._decoder is not None else chunk
        except Undecodable as error:
            self._give_up(error)
            if self.changes:
                raise
            return chunk
        seen = self._reader.feed(content)
        return seen if self.changes else chunk

    def _give_up(self, error: Undecodable) -> None:
        self._reader = None
        self._call.unreadable(str(error))
