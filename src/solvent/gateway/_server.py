"""
Serving the gateway on a loopback port, inside a running event loop, with ``uvicorn``'s HTTP protocol.

Only the protocol is used: signals, reloads, access logs and start-up belong to the command around it. ``uvicorn`` hides
some oddities of a request from its application; those are refused here, before the application is called.

Source:
    uvicorn 0.54.0, ``httptools_impl.py``; httptools 0.9.0, tried 2026-11-21: an absolute-form target loses its host,
    CONNECT and ``OPTIONS *`` fail inside a callback, trailers are added to the headers of a running request, and a
    broken ``Transfer-Encoding`` is told only after the application was started.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from solvent.gateway._app import Gateway

_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 1024

_log = logging.getLogger("solvent.gateway")
_log.addHandler(logging.NullHandler())


def bind_loopback() -> socket.socket:
    """
    A listening socket on a free port of 127.0.0.1.
    """
    listening = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    listening.setblocking(False)
    return listening


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """
    What makes the event loop to serve in: ``uvloop``'s where it is installed.
    """
    try:
        import uvloop
    except ImportError:  # Not made for every platform.
        return asyncio.new_event_loop
    return uvloop.new_event_loop


class Server:
    """
    A gateway on a bound, listening socket.
    """

    def __init__(self, gateway: "Gateway", listening: socket.socket) -> None:
        self._gateway = gateway
        self._listening = listening
        self._server: asyncio.Server | None = None
        self._state: ServerState | None = None

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    async def start(self) -> None:
        """
        Begin to accept connections.
        """
        from uvicorn.server import ServerState

        loop = asyncio.get_running_loop()
        config, protocol = _config(self._gateway), _protocol()
        state = self._state = ServerState()
        self._server = await loop.create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), sock=self._listening
        )
        # The program in front of the gateway is starting too; what its first call needs can come meanwhile.
        threading.Thread(target=_preload, name="solvent-preload", daemon=True).start()

    async def stop(self, reason: str = "the gateway is closing") -> None:
        """
        Accept nothing more, end and settle what is in flight, and close every connection.
        """
        if self._server is None or self._state is None:
            self._listening.close()
            return
        self._server.close()
        await self._gateway.close(reason)
        for connection in list(self._state.connections):
            connection.transport.close()  # What was written is still sent.
        self._server = None


def _config(gateway: "Gateway") -> "Config":
    from uvicorn.config import Config

    config = Config(
        gateway,
        interface="asgi3",
        lifespan="off",
        ws="none",
        loop="none",
        http=_protocol(),
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    config.load()
    return config


def _preload() -> None:
    """
    Load ``aiohttp``, which takes 0.1 s and more.
    """
    import_module("solvent.gateway._body")


def _protocol() -> Any:
    """
    The strict protocol's class; made on the first call, for ``uvicorn`` takes 0.1 s to import.
    """
    from solvent.gateway._protocol import StrictProtocol

    return StrictProtocol
