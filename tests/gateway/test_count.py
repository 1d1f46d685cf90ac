"""
A question to a provider's count endpoint: asked once with the call's own keys, and given up when it does not help.
"""

import asyncio

import pytest
from servers import PATIENCE_SECONDS
from worlds import RawUpstream, chunked, plain

from solvent.gateway import _count
from solvent.gateway._count import ask
from solvent.gateway._exchange import Outgoing
from solvent.gateway._providers import Upstream
from solvent.gateway._upstream import AiohttpClient

ANSWER = b'{"input_tokens": 12}'
HEADERS = [("accept-encoding", "identity"), ("x-api-key", "sk-real"), ("content-type", "application/json")]


def asked(script, *, query="", headers=HEADERS, path="messages/count_tokens"):
    """
    What was answered, and what the provider got.
    """

    async def scene():
        upstream, client = RawUpstream(script=script), AiohttpClient()
        listening = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
        base = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        at = Upstream(provider="anthropic", base=base, prefix="v1", is_own=True)
        call = Outgoing(upstream=at, method="POST", url=f"{base}/v1/messages{query}", headers=headers, body=b"{}")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await ask(client, call, path, b'{"q": 1}'), upstream.received
        finally:
            await client.close()
            listening.close()

    return asyncio.run(scene())


def test_a_question_goes_to_the_calls_provider_with_its_keys_and_its_query():
    headers = [*HEADERS, ("accept", "text/event-stream"), ("idempotency-key", "once"), ("anthropic-beta", "b")]
    answer, received = asked(plain(ANSWER), query="?alt=sse&key=k&beta=true", headers=headers)

    assert answer == ANSWER
    (got,) = received
    assert (got.method, got.target, got.body) == ("POST", b"/v1/messages/count_tokens?key=k&beta=true", b'{"q": 1}')
    assert got.header(b"x-api-key") == [b"sk-real"]
    assert got.header(b"anthropic-beta") == [b"b"]
    assert got.header(b"accept") == got.header(b"idempotency-key") == []


def test_a_question_without_a_query_has_none():
    _, received = asked(plain(ANSWER), query="?alt=sse", path="models/é:countTokens")

    assert received[0].target == b"/v1/models/%C3%A9:countTokens"


def test_a_call_that_is_signed_for_its_own_body_is_not_asked_about():
    signed = [*HEADERS, ("authorization", "AWS4-HMAC-SHA256 Credential=x")]

    assert asked(plain(ANSWER), headers=signed) == (None, [])


async def hangs(_request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{")
    await asyncio.Event().wait()


async def leaves(_request, writer):
    writer.close()


async def cut(_request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b'{"input'))
    writer.close()


@pytest.mark.parametrize(
    "script",
    [
        plain(b'{"error": {}}', status=404),
        plain(b"", status=307, headers=b"Location: /v1/other\r\n"),
        plain(b" " * 70_000),
        hangs,
        leaves,
        cut,
    ],
    ids=["no such path", "redirect", "too long", "hangs", "leaves", "cut"],
)
def test_an_answer_that_is_none_is_given_up(script, monkeypatch):
    monkeypatch.setattr(_count, "COUNT_SECONDS", 0.1 if script is hangs else PATIENCE_SECONDS)

    answer, received = asked(script)
    assert answer is None
    assert len(received) == 1
