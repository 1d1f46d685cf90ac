"""
Ways to a provider that no hook can read: WebSockets and gRPC channels.

Strict mode refuses them. Else each is told once a host, and kept for ``solvent doctor``. WebSockets of aiohttp and
httpx begin as requests, so the hooks of those two ask here.

Source:
    websockets 17.4, ``client.py`` and ``legacy/client.py``; grpcio 1.85.1, ``_channel.py`` and ``aio/_channel.py``;
    read 2026-11-22.
"""

import logging
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Literal
from urllib.parse import urlsplit

from solvent._place import current_place
from solvent._runtime import PROCESS
from solvent.errors import SolventError, Unbounded
from solvent.events import TransportOpened
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import provider_of
from solvent.instrument._look import Mode

Transport = Literal["grpc", "websocket"]

_log = logging.getLogger("solvent")
_SEEN: set[tuple[Transport, str]] = set()


def seen() -> list[tuple[Transport, str]]:
    """
    The ways that this process has taken, with their hosts.
    """
    return sorted(_SEEN)


def opens(transport: Transport, host: str) -> None:
    """
    A connection is about to be opened; at a provider it is told, or refused.

    Raises:
        Unbounded: In strict mode.
    """
    if Mode.names_only or provider_of(host) is None:
        return
    if (transport, host) not in _SEEN:
        _SEEN.add((transport, host))
        _tell(TransportOpened(transport=transport, host=host, refused=PROCESS.is_strict))
    if PROCESS.is_strict:
        remedy = "make the call over the provider's HTTP API, or install without strict=True"
        raise Unbounded(part=f"what passes over {transport} to {host}", meter="", remedy=remedy)


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: One of those below.
    """
    owner, name, host_of = _POINTS[module.__name__]

    def opened(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        opens("grpc" if module.__name__.startswith("grpc") else "websocket", host_of(*args[:1], **kwargs))
        return wrapped(*args, **kwargs)

    return [wrap(getattr(module, owner), name, opened)]


def _host_of_uri(uri: Any = None, **_: Any) -> str:
    """
    The host of an address, as text or as what a library made of it.
    """
    return getattr(uri, "host", None) or urlsplit(str(uri)).hostname or ""


def _host_of_target(target: str = "", **_: Any) -> str:
    """
    The host of a gRPC target such as ``dns:///api.example.com:443``.
    """
    return target.rpartition("/")[2].removeprefix("dns:").partition(":")[0].lower()


# Where each library begins a connection, whoever imported its functions before.
_POINTS: dict[str, tuple[str, str, Callable[..., str]]] = {
    "grpc._channel": ("Channel", "__init__", _host_of_target),
    "grpc.aio._channel": ("Channel", "__init__", _host_of_target),
    "websockets.client": ("ClientProtocol", "__init__", _host_of_uri),
    "websockets.legacy.client": ("Connect", "__init__", _host_of_uri),
}


def _tell(event: TransportOpened) -> None:
    what = "is refused, for no budget would hold what passes over it" if event.refused else "is held to no budget"
    _log.warning("the %s to %s %s", event.transport, event.host, what)
    try:
        listeners = current_place().runtime.guard.listeners
    except SolventError:  # There is no ledger yet, and a connection that is only told of must not fail for it.
        return
    listeners.tell(event)
