"""
The way to a provider over TLS: through the proxy, and by the certificates, that the environment names.
"""

import asyncio
import base64
import ssl
from contextlib import asynccontextmanager, suppress

import pytest
import trustme

from solvent.gateway._environment import prepare
from solvent.gateway._upstream import AiohttpClient, NotDelivered

HOST = "provider.test"  # No name that anybody could look up: only the proxy knows where it is.
REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def trusted(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@asynccontextmanager
async def provider(authority):
    """
    A provider behind TLS, and the requests it got.
    """
    context, requests = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), []
    authority.issue_cert(HOST).configure_cert(context)

    async def serve(reader, writer):
        with suppress(asyncio.IncompleteReadError, OSError):
            requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(REPLY)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


@asynccontextmanager
async def proxy(port):
    """
    A proxy that leads every CONNECT to one port, and the CONNECTs it got.
    """
    connects = []

    async def pipe(reader, writer):
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader, writer):
        connects.append((await reader.readuntil(b"\r\n\r\n")).decode())
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, there_writer), pipe(there_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], connects


def upstream(environ):
    environ = {"OPENAI_BASE_URL": f"https://{HOST}/v1", **environ}
    return prepare(environ, port=1, token="t", scope="run:x").upstreams["openai"]


async def call(to):
    client = AiohttpClient()
    try:
        reply = await client.send(to, "POST", to.url("chat/completions"), [("x-test", "1")], client.body(b"{}"))
        return reply.status, await reply.chunk()
    finally:
        await client.close()


def test_a_provider_is_reached_through_the_proxy_and_by_the_certificates_of_the_environment(authority, trusted):
    async def scene():
        async with provider(authority) as (port, requests), proxy(port) as (proxy_port, connects):
            environ = {"HTTPS_PROXY": f"http://me:secret@127.0.0.1:{proxy_port}", "SSL_CERT_FILE": trusted}
            assert await call(upstream(environ)) == (200, b"ok")
        assert connects[0].startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n")
        assert f"Basic {base64.b64encode(b'me:secret').decode()}" in connects[0]
        (request,) = requests
        assert request.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
        assert b"secret" not in request.lower()
        assert b"proxy-authorization" not in request.lower()

    asyncio.run(scene())


def test_a_certificate_that_nobody_trusts_is_refused_before_anything_is_sent(authority):
    async def scene():
        async with provider(authority) as (port, requests), proxy(port) as (proxy_port, _):
            with pytest.raises(NotDelivered) as refused:
                await call(upstream({"HTTPS_PROXY": f"http://127.0.0.1:{proxy_port}"}))
        assert (refused.value.sent, refused.value.reason) == (False, "its certificate is not trusted")
        assert requests == []

    asyncio.run(scene())


def test_a_proxy_that_is_not_there_is_told_and_nothing_is_sent(trusted):
    async def scene():
        with pytest.raises(NotDelivered) as refused:
            await call(upstream({"HTTPS_PROXY": "http://127.0.0.1:9", "SSL_CERT_FILE": trusted}))
        assert (refused.value.sent, refused.value.reason) == (False, "connection refused")

    asyncio.run(scene())


def test_a_host_that_needs_no_proxy_gets_none(trusted):
    environ = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": HOST, "SSL_CERT_FILE": trusted}
    assert upstream(environ).proxy is None
