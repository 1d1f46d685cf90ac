"""
What an httpx client gets back: streams that look at what passes, and book when it ends, however it ends.
"""

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from solvent._booking import Lost, Outcome
from solvent.gateway._decode import Undecodable
from solvent.instrument._calls import GuardedCall
from solvent.instrument._deadlines import Watchdog, chunks_in_time
from solvent.instrument._relay import Relay


class Replies:
    """
    Args:
        module: ``httpx`` or ``httpx2``.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module: Any = module
        self._sync, self._async = _streams(module)

    def watch(self, call: GuardedCall, response: Any) -> Outcome | None:
        """
        Have a reply looked at while its owner reads it; returns its outcome where it was read already.
        """
        headers = response.headers
        is_read = hasattr(response, "_content")  # By an event hook, or it never was a stream.
        encoding = "" if is_read else headers.get("content-encoding", "")
        relay = call.began(response.status_code, headers.get("content-type", ""), encoding, unpacks=True)
        if relay.changes:
            headers.pop("content-encoding", None)
            headers.pop("content-length", None)
        headers.update(call.headers)
        if is_read:
            response._content = relay.feed(response._content)
            return call.over()
        if response.is_stream_consumed or response.is_closed:
            return call.lost("client_gone")
        is_async = isinstance(response.stream, self._module.AsyncByteStream)
        if is_async:
            response.stream = self._async(response.stream, call, relay)
        else:
            response.stream = self._sync(response.stream, call, relay, Watchdog(call.deadline, response.extensions))
        return None


def _streams(module: Any) -> tuple[type[Any], type[Any]]:
    class SyncStream(module.SyncByteStream):  # type: ignore[misc]  # A class of the module at hand.
        def __init__(self, stream: Any, call: GuardedCall, relay: Relay, watchdog: Watchdog) -> None:
            self._stream = stream
            self._call = call
            self._relay = relay
            self._watchdog = watchdog

        def __iter__(self) -> Iterator[bytes]:
            call = self._call
            try:
                for chunk in self._stream:
                    seen = _passed_on(module, self._relay, chunk)
                    if self._relay.is_over:
                        call.settle(call.over())
                    if seen:
                        yield seen
            except GeneratorExit:
                raise
            except BaseException as error:
                call.settle(call.failed(error))
                call.check_time(error)
                raise
            outcome = call.over()
            call.settle(outcome)
            if isinstance(outcome, Lost):
                call.check_time()  # Its end was that of the socket.

        def close(self) -> None:
            self._watchdog.stop()
            try:
                self._stream.close()
            finally:
                self._call.settle(self._call.lost("client_gone"))

    class AsyncStream(module.AsyncByteStream):  # type: ignore[misc]  # As above.
        def __init__(self, stream: Any, call: GuardedCall, relay: Relay) -> None:
            self._stream = stream
            self._call = call
            self._relay = relay

        async def __aiter__(self) -> AsyncIterator[bytes]:
            call = self._call
            try:
                async for chunk in chunks_in_time(self._stream, call.deadline):
                    seen = _passed_on(module, self._relay, chunk)
                    if self._relay.is_over:
                        await call.asettle(call.over())
                    if seen:
                        yield seen
            except GeneratorExit:
                raise
            except BaseException as error:
                await call.asettle(call.failed(error))
                call.check_time(error)
                raise
            await call.asettle(call.over())

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                await self._call.asettle(self._call.lost("client_gone"))

    return SyncStream, AsyncStream


def _passed_on(module: Any, relay: Relay, chunk: bytes) -> bytes:
    try:
        return relay.feed(chunk)
    except Undecodable as error:
        raise module.DecodingError(str(error)) from error
