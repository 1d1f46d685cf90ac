"""
lm15, the HTTP client that DSPy brings in a copy of its own: every request that its transports send.

They send one once; what tries again is above them. A connection that broke before the request was out on it does not
count: the provider had no whole request.

Source:
    dspy 3.4.1, ``_vendor/lm15/transports/``: ``_sync.py`` (``StdlibTransport.stream``), ``_async.py``
    (``StdlibAsyncTransport._do_stream``, which is private), ``_types.py`` and ``_http11.py``, where the body that comes
    is unpacked; read 2026-11-22.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from msgspec import Struct

from solvent.instrument._calls import GuardedCall, Refused
from solvent.instrument._deadlines import chunks_in_time, in_time
from solvent.instrument._gateway import to_gateway
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._look import guarded, target
from solvent.instrument._relay import Relay

_NO_SECONDS = 0.001  # None at all would be taken for the usual time.


class _Head(Struct, frozen=True):
    headers: Mapping[str, str]


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``transports._sync`` or ``transports._async`` of a copy of lm15.
    """
    hooks = _Hooks(module)
    if hasattr(module, "StdlibTransport"):
        return [wrap(module.StdlibTransport, "stream", hooks.send)]
    return [wrap(module.StdlibAsyncTransport, "_do_stream", hooks.asend)]


class _Hooks:
    def __init__(self, module: Any) -> None:
        self._module = module

    def send(
        self, wrapped: Callable[..., Any], transport: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        request, call = _asked(*args, **kwargs), None
        try:
            passing = to_gateway(request.url, _headers(request).get)
            if passing is None and (call := _call(request)) is not None:
                call.admit()
        except Refused as refused:
            raise refused.error from None
        if passing is not None:
            response = wrapped(_with(request, passing.headers))
            passing.answered(_Head(_headers(response)))
            return response
        if call is None:
            return wrapped(request)
        try:
            with call.under_way():
                response = wrapped(_in_time(call, _to_send(call, request), transport))
        except BaseException as error:
            call.settle(call.failed(error, sent=self._was_sent(error)))
            call.check_time(error)
            raise
        release, relay = response._release, _began(call, response)

        def released(body_consumed: bool) -> None:
            try:
                release(body_consumed)
            finally:
                call.settle(call.lost("client_gone"))

        response._chunks, response._release = _passed(call, relay, response._chunks), released
        return response

    async def asend(self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        request, call = _asked(*args, **kwargs), None
        try:
            passing = to_gateway(request.url, _headers(request).get)
            if passing is None and (call := _call(request)) is not None:
                await call.aadmit()
        except Refused as refused:
            raise refused.error from None
        if passing is not None:
            response = await wrapped(_with(request, passing.headers))
            passing.answered(_Head(_headers(response)))
            return response
        if call is None:
            return await wrapped(request)
        try:
            with call.under_way():
                async with in_time(call.deadline):
                    response = await wrapped(_to_send(call, request))
        except BaseException as error:
            await call.asettle(call.failed(error, sent=self._was_sent(error)))
            call.check_time(error)
            raise
        release, relay = response._release, _began(call, response)

        async def released(body_consumed: bool) -> None:
            try:
                await release(body_consumed)
            finally:
                await call.asettle(call.lost("client_gone"))

        response._chunks, response._release = _apassed(call, relay, response._chunks), released
        return response

    def _was_sent(self, error: BaseException) -> bool:
        """
        Whether the provider may have got a request that ended so.
        """
        never = (self._module.ConnectError, ValueError)
        return not isinstance(error, never) and type(error) is not self._module.TransportError


def _asked(request: Any) -> Any:
    return request


def _call(request: Any) -> GuardedCall | None:
    found = target(request.method, request.url)
    return None if found is None else guarded(found, _headers(request), request.body)


def _headers(message: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in message.headers}


def _with(request: Any, headers: Mapping[str, str]) -> Any:
    """
    The request with other headers; its owner may send the request itself again, for another budget.
    """
    lower = {name.lower() for name in headers}
    kept = [(name, value) for name, value in request.headers if name.lower() not in lower]
    return replace(request, headers=[*kept, *headers.items()])


def _to_send(call: GuardedCall, request: Any) -> Any:
    return replace(request, url=call.address(request.url), body=request.body if call.body is None else call.body)


def _in_time(call: GuardedCall, request: Any, transport: Any) -> Any:
    """
    The request with waits for the provider of which none goes on after the call's deadline.
    """
    if call.deadline is None:
        return request
    left = max(call.deadline.seconds_left, _NO_SECONDS)
    names = ("connect_timeout", "read_timeout", "write_timeout")
    usual = {name: getattr(request, name) or getattr(transport, f"_{name}", None) or left for name in names}
    return replace(request, **{name: min(seconds, left) for name, seconds in usual.items()})


def _began(call: GuardedCall, response: Any) -> Relay:
    return call.began(response.status, response.header("content-type") or "")


def _passed(call: GuardedCall, relay: Relay, chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        for chunk in chunks:
            yield relay.feed(chunk)
    except GeneratorExit:
        raise
    except BaseException as error:
        call.settle(call.failed(error))
        call.check_time(error)
        raise
    call.settle(call.over())


async def _apassed(call: GuardedCall, relay: Relay, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks_in_time(chunks, call.deadline):
            yield relay.feed(chunk)
    except GeneratorExit:
        raise
    except BaseException as error:
        await call.asettle(call.failed(error))
        call.check_time(error)
        raise
    await call.asettle(call.over())
