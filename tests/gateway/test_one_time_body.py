"""
A call's body leaves once, however often the client would send it.
"""

import asyncio

import pytest
from worlds import CHAT_BODY

from solvent.gateway._body import OneTimeBody
from solvent.gateway._exchange import whole_events


class Writer:
    def __init__(self, *, closing=False):
        self.written = b""
        self.transport = self
        self.closing = closing

    def is_closing(self):
        return self.closing

    async def write(self, data):
        self.written += bytes(data)


@pytest.mark.parametrize("content", [b"", CHAT_BODY, b"x" * 1_000_003])
def test_body_is_written_once(content):
    body, writer = OneTimeBody(content), Writer()
    assert not body.begun
    asyncio.run(body.write_with_length(writer, len(content)))
    assert body.begun
    with pytest.raises(RuntimeError):
        asyncio.run(body.write(writer))
    assert writer.written == content


def test_body_for_a_closed_connection_was_not_begun():
    body = OneTimeBody(CHAT_BODY)
    with pytest.raises(ConnectionResetError):
        asyncio.run(body.write(Writer(closing=True)))
    assert not body.begun


@pytest.mark.parametrize(
    ("data", "whole", "held"),
    [
        (b"", b"", b""),
        (b"data: a\n\n", b"data: a\n\n", b""),
        (b"data: a\r\n\r\n", b"data: a\r\n\r\n", b""),
        (b"data: a", b"", b"data: a"),
        (b"data: a\n", b"", b"data: a\n"),
        (b"data: a\n\ndata: b", b"data: a\n\n", b"data: b"),
        (b"data: a\r\n\r\ndata: b\r\n", b"data: a\r\n\r\n", b"data: b\r\n"),
        (b"\n\nx", b"\n\n", b"x"),
        (b"x" * 65_537, b"x" * 65_537, b""),
    ],
)
def test_events_leave_whole(data, whole, held):
    assert whole_events(data) == (whole, held)
