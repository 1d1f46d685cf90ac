"""
``aiohttp``: every request that its client sessions send, also below httpx.

Source:
    aiohttp 3.14.5, ``client.py`` (``ClientSession._request``), ``client_reqrep.py`` (``ClientResponse``) and
    ``streams.py`` (``StreamReader``), read 2026-11-22.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import aiohttp
from aiohttp import payload
from aiohttp.base_protocol import BaseProtocol
from multidict import CIMultiDict

from solvent._outer import SCOPE_HEADER
from solvent.instrument import transports
from solvent.instrument._calls import GuardedCall, Refused
from solvent.instrument._deadlines import in_time
from solvent.instrument._gateway import Passing, to_gateway
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._look import guarded, target
from solvent.instrument._relay import Relay

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``aiohttp``.
    """
    return [wrap(module.ClientSession, "_request", _request)]


def was_sent(error: BaseException) -> bool:
    """
    Whether the provider may have got a request that ended so.
    """
    return not isinstance(error, _NEVER_SENT)


async def _request(wrapped: Callable[..., Any], session: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    method, str_or_url, options = _asked(*args, **kwargs)
    url = _url(session, str_or_url)
    passing = to_gateway(url)
    if passing is not None:
        if (refused := passing.refusal()) is not None:
            raise refused.error
        response = await wrapped(method, str_or_url, **_named(options, passing))
        passing.answered(response.headers)
        return response
    call = None if url is None else _call(session, method, url, options)
    if call is None:
        return await wrapped(method, str_or_url, **options)
    try:
        await call.aadmit()
    except Refused as refused:
        raise refused.error from None
    try:
        address = str_or_url if call.path is None else call.address(str(session._build_url(str_or_url)))
        with call.under_way():
            async with in_time(call.deadline):
                response = await wrapped(method, address, **_to_send(call, options))
    except BaseException as error:
        await call.asettle(call.failed(error, sent=was_sent(error)))
        call.check_time(error)
        raise
    is_unpacked = session.auto_decompress if options.get("auto_decompress") is None else options["auto_decompress"]
    encoding = "" if is_unpacked else response.headers.get("Content-Encoding", "")
    relay = call.began(response.status, response.headers.get("Content-Type", ""), encoding)
    response.content = _Content(response.content, call, relay)
    return response


def _asked(method: str, str_or_url: Any, **options: Any) -> tuple[str, Any, dict[str, Any]]:
    return method, str_or_url, options


def _url(session: Any, str_or_url: Any) -> Any:
    if session.closed:
        return None  # Sending will say so.
    try:
        return session._build_url(str_or_url)
    except (TypeError, ValueError):
        return None  # No address at all, as sending will say.


def _named(options: dict[str, Any], passing: Passing) -> dict[str, Any]:
    """
    The options of a request with whose it is.
    """
    headers = CIMultiDict(options.get("headers") or ())
    scope = passing.scope(headers.get(SCOPE_HEADER))
    if scope is None:
        return options
    headers[SCOPE_HEADER] = scope
    return {**options, "headers": headers}


def _call(session: Any, method: str, url: Any, options: Mapping[str, Any]) -> GuardedCall | None:
    try:
        headers = {name.lower(): value for name, value in session._prepare_headers(options.get("headers")).items()}
    except (TypeError, ValueError):
        return None  # No request at all, as sending will say.
    if headers.get("upgrade", "").lower() == "websocket":
        transports.opens("websocket", url.host or "")
        return None
    found = target(method, str(url))
    return None if found is None else guarded(found, headers, _body(session, options))


def _body(session: Any, options: Mapping[str, Any]) -> bytes | None:
    """
    The body's bytes; ``None`` where they are not known before they are sent.
    """
    data = options.get("data")
    if options.get("json") is not None:
        data = (getattr(session, "_json_serialize_bytes", None) or session.json_serialize)(options["json"])
    elif isinstance(data, payload.BytesPayload):
        data = data._value
    if isinstance(data, str):
        return data.encode()
    return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else None


def _to_send(call: GuardedCall, options: Mapping[str, Any]) -> dict[str, Any]:
    if call.body is None:
        return dict(options)
    headers = CIMultiDict(options.get("headers") or ())
    if options.get("json") is not None:
        headers.setdefault("Content-Type", "application/json")
    return {**options, "json": None, "data": call.body, "headers": headers}


class _Content(aiohttp.StreamReader):
    """
    A reply's body, looked at while its owner reads it: where it would wait for bytes, it fetches them.
    """

    def __init__(self, content: aiohttp.StreamReader, call: GuardedCall, relay: Relay) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(BaseProtocol(loop), limit=2**16, loop=loop)
        self._content = content
        self._call = call
        self._relay = relay

    async def _wait(self, func_name: str) -> None:  # noqa: ARG002  # As it is there.
        try:
            async with in_time(self._call.deadline):
                chunk, ends_chunk = await self._content.readchunk()
            seen = self._relay.feed(chunk) if chunk else b""
        except BaseException as error:
            await self._call.asettle(self._call.failed(error))
            self._call.check_time(error)
            raise
        if chunk or ends_chunk:
            if self._content._http_chunk_splits is not None:
                self.begin_http_chunk_receiving()  # Only the first time counts.
            self.feed_data(seen)
            if ends_chunk:
                self.end_http_chunk_receiving()
            if self._relay.is_over:
                await self._call.asettle(self._call.over())
        else:
            await self._call.asettle(self._call.over())
            self.feed_eof()

    async def wait_eof(self) -> None:
        while not self.is_eof():
            await self._wait("wait_eof")

    def set_exception(self, *args: Any) -> None:
        """
        What a response does to its content when it is closed or released, read or not.
        """
        super().set_exception(*args)
        self._call.leave()
