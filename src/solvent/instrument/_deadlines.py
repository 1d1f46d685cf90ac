"""
Ending a call that is under way at its deadline: its waits are cut short, and the socket of a reply that stalls is shut.

Source:
    httpcore 1.0.9, ``_sync/http11.py`` and ``_backends/sync.py``, read 2026-11-22: the timeouts of a request are looked
    up as each step of it begins, but once for all of its body; ``network_stream`` of a reply tells its socket.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Any

from solvent._checks import Deadline


class Timeouts(dict[str, Any]):
    """
    The timeouts of an ``httpx`` request, none of which ends after its deadline.
    """

    def __init__(self, given: Any, deadline: Deadline) -> None:
        super().__init__(given or {})
        self._deadline = deadline

    def get(self, name: str, default: Any = None) -> Any:
        own, left = super().get(name, default), self._deadline.seconds_left
        return left if own is None else min(own, left)


def in_time(deadline: Deadline | None) -> AbstractAsyncContextManager[object]:
    """
    A block that is cancelled at the deadline, and then raises ``TimeoutError``; where ``asyncio`` runs.
    """
    return nullcontext() if deadline is None or not has_loop() else asyncio.timeout(deadline.seconds_left)


def chunks_in_time(chunks: AsyncIterable[bytes], deadline: Deadline | None) -> AsyncIterable[bytes]:
    """
    The chunks that come before the deadline.

    Raises:
        TimeoutError: It came first.
    """
    return chunks if deadline is None else _until(deadline, aiter(chunks))


async def _until(deadline: Deadline, iterator: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    while True:
        async with in_time(deadline):
            try:
                chunk = await anext(iterator)
            except StopAsyncIteration:
                return
        yield chunk


class Watchdog:
    """
    Shuts the socket of a reply at the deadline, for a thread that waits there can be woken in no other way.

    One that other calls may share is left alone: this call ends when its next bytes come.
    """

    def __init__(self, deadline: Deadline | None, extensions: Any) -> None:
        self._lock = threading.Lock()
        self._socket = None if deadline is None else _own_socket(extensions)
        self._timer: threading.Timer | None = None
        if deadline is not None and self._socket is not None:
            self._timer = threading.Timer(deadline.seconds_left, self._bite)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """
        Leave the socket alone from now on: it may serve another call.
        """
        if self._timer is not None:
            self._timer.cancel()
            with self._lock:
                self._socket = None

    def _bite(self) -> None:
        with self._lock, suppress(OSError):
            if self._socket is not None:
                # The bare socket's own: that of a TLS socket takes away what another thread just reads from.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def has_loop() -> bool:
    """
    Whether ``asyncio`` runs here.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _own_socket(extensions: Any) -> socket.socket | None:
    stream = extensions.get("network_stream")
    if stream is None or extensions.get("http_version") not in (b"HTTP/1.0", b"HTTP/1.1"):
        return None
    found = stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None
