"""
WebSockets and gRPC to providers: told once a host, and refused in strict mode before anything is asked.
"""

import asyncio
import contextlib
import socket
import threading

import aiohttp
import httpx2
import pytest
import websockets
import websockets.legacy.client
import websockets.sync.client

import solvent
from solvent.events import TransportOpened
from solvent.instrument import transports

pytestmark = pytest.mark.slow

HOST = "api.openai.com"
URL = f"ws://{HOST}/v1/realtime?model=gpt-realtime"


@pytest.fixture(autouse=True)
def _unseen(monkeypatch):
    monkeypatch.setattr(transports, "_SEEN", set())


@pytest.fixture
def listener():
    """
    Takes one connection at a time and ends it; what it was sent until then.
    """
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        received.append(connection.recv(65_536))

        threading.Thread(target=serve, daemon=True).start()
        yield port, received


async def by_websockets(port):
    await websockets.connect(URL, host="127.0.0.1", port=port)


async def by_websockets_sync(port):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        await asyncio.to_thread(websockets.sync.client.connect, URL, sock=sock)


async def by_old_websockets(port):
    await websockets.legacy.client.connect(URL, host="127.0.0.1", port=port)


async def by_aiohttp(port):
    class Here(aiohttp.abc.AbstractResolver):
        async def resolve(self, host, _port=0, family=socket.AF_INET):
            return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

        async def close(self):
            pass

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Here())) as session:
        await session.ws_connect(URL)


async def by_httpx(port):
    headers = {"upgrade": "websocket", "connection": "upgrade", "host": HOST}
    transport = httpx2.AsyncHTTPTransport(proxy=f"http://127.0.0.1:{port}")
    async with httpx2.AsyncClient(transport=transport) as client:
        await client.get(URL.replace("ws://", "http://"), headers=headers)


WAYS = {
    "websockets": by_websockets,
    "websockets, sync": by_websockets_sync,
    "websockets, legacy": by_old_websockets,
    "aiohttp": by_aiohttp,
    "httpx2": by_httpx,
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
def test_a_websocket_to_a_provider_is_told_once_a_host(way, guarded, listener, caplog):
    port, received = listener
    for _ in range(2):
        with pytest.raises(Exception) as failed:  # noqa: PT011  # The other end only listens.
            asyncio.run(WAYS[way](port))
        assert not isinstance(failed.value, solvent.SolventError)
    assert len([request for request in received if b"/v1/realtime" in request]) >= 2  # aiohttp tries twice.
    assert guarded.events == [TransportOpened(transport="websocket", host=HOST, refused=False)]
    assert caplog.messages == [f"the websocket to {HOST} is held to no budget"]
    assert transports.seen() == [("websocket", HOST)]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
def test_strict_mode_refuses_a_websocket_before_anything_is_asked(way, guarded, listener, caplog):
    port, received = listener
    solvent.install(strict=True)
    with pytest.raises(solvent.Unbounded, match=f"over websocket to {HOST} has no bound, and strict mode"):
        asyncio.run(WAYS[way](port))
    assert not any(b"/v1/realtime" in request for request in received)
    assert guarded.events == [TransportOpened(transport="websocket", host=HOST, refused=True)]
    assert caplog.messages == [f"the websocket to {HOST} is refused, for no budget would hold what passes over it"]


@pytest.mark.usefixtures("guarded")
def test_strict_mode_ends_with_uninstall_and_with_the_next_install(listener):
    port, received = listener
    solvent.install(strict=True)
    solvent.install()
    with pytest.raises(websockets.exceptions.InvalidHandshake):
        asyncio.run(by_websockets(port))
    assert len(received) == 1


def test_websockets_to_others_are_nobodys_business(guarded, listener):
    port, received = listener
    solvent.install(strict=True)
    with pytest.raises(websockets.exceptions.InvalidHandshake):
        asyncio.run(_connect(f"ws://127.0.0.1:{port}/chat"))
    assert len(received) == 1
    assert guarded.events == []
    assert transports.seen() == []


async def _connect(url):
    await websockets.connect(url)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("api.x.ai:443", "api.x.ai"),
        ("dns:///api.x.ai:443", "api.x.ai"),
        ("dns:api.x.ai", "api.x.ai"),
        ("us-central1-aiplatform.googleapis.com:443", "us-central1-aiplatform.googleapis.com"),
        ("unix:///tmp/socket", "socket"),
    ],
)
def test_a_channels_target_names_its_host(target, host):
    assert transports._host_of_target(target) == host
