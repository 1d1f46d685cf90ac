"""
``aiohttp``: every request that its client sessions send, also below httpx, and each time that a middleware sends it.

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

from solvent.instrument import transports
from solvent.instrument._calls import PART_OF_A_CALL, GuardedCall, Refused
from solvent.instrument._deadlines import in_time
from solvent.instrument._gateway import to_gateway
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
    call = None
    try:
        passing = to_gateway(url, lambda name: session._prepare_headers(options.get("headers")).get(name))
        if passing is None and url is not None and (call := _call(session, method, url, options)) is not None:
            await call.aadmit()
    except Refused as refused:
        raise refused.error from None
    if passing is not None:
        return passing.answered(await wrapped(method, str_or_url, **_with(options, passing.headers)))
    if call is None:
        return await wrapped(method, str_or_url, **options)
    way = _Way(call)
    try:
        address = str_or_url if call.path is None else call.address(str(session._build_url(str_or_url)))
        with call.under_way():
            async with in_time(call.deadline):
                response = await wrapped(method, address, **way.added(session, _to_send(call, options)))
    except Refused as refused:
        raise refused.error from None
    except BaseException as error:
        call = way.call
        await call.asettle(call.failed(error, sent=was_sent(error)))
        call.check_time(error)
        raise
    call = way.call
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


def _with(options: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """
    The options of a request with other headers.
    """
    if not headers:
        return options
    given = CIMultiDict(options.get("headers") or ())
    given.update(headers)
    return {**options, "headers": given}


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


class _Way:
    """
    The innermost middleware of a call: those around it may send it again, which is another call each time.

    Attributes:
        call: The one that is under way.
    """

    def __init__(self, call: GuardedCall) -> None:
        self.call = call
        self._status: int | None = None  # Of the reply to it, where one came.
        self._was_sent = False

    def added(self, session: Any, options: dict[str, Any]) -> dict[str, Any]:
        given = options.get("middlewares")
        others = getattr(session, "_middlewares", ()) if given is None else given
        return {**options, "middlewares": (*others, self)} if others else options

    async def __call__(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        if self._was_sent and self._status not in PART_OF_A_CALL:
            before, self.call = self.call, self.call.again()
            before.status = self._status
            await before.asettle(before.lost("cut"))
            await self.call.aadmit()
        self._was_sent, self._status = True, None
        try:
            response = await handler(request)
        except BaseException as error:
            self._was_sent = was_sent(error)
            raise
        self._status = response.status
        return response


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
