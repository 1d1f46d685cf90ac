"""
gRPC channels, and WebSockets over httpx: told, and refused in strict mode.
"""

import asyncio

import pytest

import solvent
from solvent.events import TransportOpened
from solvent.instrument import transports

grpc = pytest.importorskip("grpc")
httpx_ws = pytest.importorskip("httpx_ws")


@pytest.fixture(autouse=True)
def _unseen(monkeypatch):
    monkeypatch.setattr(transports, "_SEEN", set())


def channel():
    grpc.secure_channel("api.x.ai:443", grpc.ssl_channel_credentials()).close()


def async_channel():
    async def main():
        await grpc.aio.secure_channel("dns:///api.x.ai:443", grpc.ssl_channel_credentials()).close()

    asyncio.run(main())


@pytest.mark.parametrize("opened", [channel, async_channel])
def test_a_channel_to_a_provider_is_told_once_a_host(opened, guarded):
    opened()
    opened()
    assert guarded.events == [TransportOpened(transport="grpc", host="api.x.ai", refused=False)]


@pytest.mark.parametrize("opened", [channel, async_channel])
@pytest.mark.usefixtures("guarded")
def test_strict_mode_refuses_a_channel_to_a_provider(opened):
    solvent.install(strict=True)
    with pytest.raises(solvent.Unbounded, match=r"over grpc to api\.x\.ai has no bound, and strict mode"):
        opened()
    grpc.insecure_channel("localhost:1").close()


@pytest.mark.usefixtures("guarded")
def test_strict_mode_refuses_a_websocket_over_httpx():
    solvent.install(strict=True)
    with pytest.raises(solvent.Unbounded, match=r"over websocket to api\.openai\.com"):
        with httpx_ws.connect_ws("https://api.openai.com/v1/realtime"):
            pass
