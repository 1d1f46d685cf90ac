"""
A request's body that can be sent once. Imports ``aiohttp``; loaded with the first request.
"""

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

_WRITE_BYTES = 262_144


class OneTimeBody(Payload):
    """
    Bytes that a second attempt cannot have: one reservation covers one request.

    Attributes:
        begun: Some of it, or of the head before it, may have left; while false, the call surely was not made.
    """

    _autoclose = True

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._size = len(content)
        self.begun = False
        self._taken = False

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002  # The base class names them.
        raise TypeError("the body of a call is not text for anyone to read")

    async def write(self, writer: AbstractStreamWriter) -> None:
        if self._taken:
            raise RuntimeError("a call is sent once")
        self._taken = True
        transport = writer.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the connection was closed before anything was sent")
        self.begun = True
        content: bytes = self._value
        if len(content) <= _WRITE_BYTES:
            await writer.write(content)
            return
        view = memoryview(content)
        for start in range(0, len(content), _WRITE_BYTES):
            await writer.write(view[start : start + _WRITE_BYTES])

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        assert content_length is None or content_length == self._size, "the gateway never names another length"
        await self.write(writer)
