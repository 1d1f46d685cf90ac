"""
``httpx`` and ``httpx2``: every request that their clients send, and each time that a transport below them sends it.

Source:
    httpx 0.28.1 and httpx2 2.16.2, ``_client.py`` (``Client.send``, ``AsyncClient.send``), ``_transports/default.py``
    (``HTTPTransport.handle_request`` and its twin) and ``_models.py``, httpcore 1.0.9, which asks for a body when it
    has sent the head, and the transport over aiohttp in openai 3.54.0, read 2026-11-22.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any

from solvent.errors import DeadlinePassed
from solvent.instrument import transports
from solvent.instrument._calls import PART_OF_A_CALL, GuardedCall, Refused
from solvent.instrument._deadlines import Timeouts, in_time
from solvent.instrument._gateway import to_gateway
from solvent.instrument._hooks import Unhook, wrap
from solvent.instrument._hosts import Target
from solvent.instrument._httpx_replies import Replies
from solvent.instrument._look import guarded, target

_READABLE = ("deflate", "gzip", "identity")


def hook(module: ModuleType) -> list[Unhook]:
    """
    Guard the clients of a module that is ``httpx`` or ``httpx2``.
    """
    hooks = _Hooks(module)
    return [
        wrap(module.Client, "send", hooks.send),
        wrap(module.AsyncClient, "send", hooks.asend),
        wrap(module.HTTPTransport, "handle_request", hooks.handle),
        wrap(module.AsyncHTTPTransport, "handle_async_request", hooks.ahandle),
    ]


class _Hooks:
    def __init__(self, module: ModuleType) -> None:
        self._module: Any = module
        self._replies = Replies(module)
        self._body = _body_of(module)

    def send(self, wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        request, kwargs = _request(args, kwargs)
        call = None
        try:
            passing = to_gateway(request.url, request.headers.get)
            if passing is None and (call := self._call(client, request)) is not None:
                call.admit()
        except Refused as refused:
            return self._answer(refused, request)
        if passing is not None:
            return passing.answered(wrapped(_with(request, passing.headers), **kwargs))
        if call is None:
            return wrapped(request, **kwargs)
        way = _Way(self._module, client, request, call)
        try:
            with call.under_way():
                response = wrapped(self._twin(request, call, way), **{**kwargs, "stream": True})
        except Refused as refused:
            return self._answer(refused, request)
        except BaseException as error:
            call = way.take()
            call.settle(call.failed(error, sent=way.was_sent(error)))
            return self._late(call, request, error)
        call = way.take()
        outcome = self._replies.watch(call, response)
        if outcome is not None:
            call.settle(outcome)
        if not kwargs.get("stream"):
            try:
                response.read()
            except BaseException as error:
                response.close()
                return self._late(call, request, error)
        return response

    async def asend(
        self, wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        request, kwargs = _request(args, kwargs)
        call = None
        try:
            passing = to_gateway(request.url, request.headers.get)
            if passing is None and (call := await self._acall(client, request)) is not None:
                await call.aadmit()
        except Refused as refused:
            return self._answer(refused, request)
        if passing is not None:
            return passing.answered(await wrapped(_with(request, passing.headers), **kwargs))
        if call is None:
            return await wrapped(request, **kwargs)
        way = _Way(self._module, client, request, call)
        try:
            with call.under_way():
                async with in_time(call.deadline):
                    response = await wrapped(self._twin(request, call, way), **{**kwargs, "stream": True})
        except Refused as refused:
            return self._answer(refused, request)
        except BaseException as error:
            call = way.take()
            await call.asettle(call.failed(error, sent=way.was_sent(error)))
            return self._late(call, request, error)
        call = way.take()
        outcome = self._replies.watch(call, response)
        if outcome is not None:
            await call.asettle(outcome)
        if not kwargs.get("stream"):
            try:
                await response.aread()
            except BaseException as error:
                await response.aclose()
                return self._late(call, request, error)
        return response

    def handle(self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        request, kwargs = _request(args, kwargs)
        response = wrapped(request, **kwargs)
        if isinstance(request.stream, self._body):
            request.stream.way.status = response.status_code
        return response

    async def ahandle(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        request, kwargs = _request(args, kwargs)
        response = await wrapped(request, **kwargs)
        if isinstance(request.stream, self._body):
            request.stream.way.status = response.status_code
        return response

    def _call(self, client: Any, request: Any) -> GuardedCall | None:
        found = _target(client, request)
        if found is None:
            return None
        if _is_unread_text(found, request) and isinstance(request.stream, self._module.SyncByteStream):
            request.read()
        return guarded(found, _headers(request), getattr(request, "_content", None))

    async def _acall(self, client: Any, request: Any) -> GuardedCall | None:
        found = _target(client, request)
        if found is None:
            return None
        if _is_unread_text(found, request) and isinstance(request.stream, self._module.AsyncByteStream):
            await request.aread()
        return guarded(found, _headers(request), getattr(request, "_content", None))

    def _twin(self, request: Any, call: GuardedCall, way: "_Way") -> Any:
        """
        What is sent in the request's place, for its owner may send the request itself again.
        """
        twin = object.__new__(type(request))
        twin.__dict__.update(request.__dict__)
        twin.headers = request.headers.copy()
        twin.url = self._module.URL(call.address(str(request.url))) if call.path is not None else request.url
        if call.deadline is not None:
            timeouts = Timeouts(request.extensions.get("timeout"), call.deadline)
            twin.extensions = {**request.extensions, "timeout": timeouts}
        if not call.fixed:
            _ask_for_readable(twin.headers, plain=not call.usage_asked)
        if call.body is not None:
            twin.headers.pop("transfer-encoding", None)
            twin.headers["content-length"] = str(len(call.body))
            twin._content = call.body
        if getattr(twin, "_content", b""):
            twin.stream = self._body(twin._content, way)
        return twin

    def _late(self, call: GuardedCall, request: Any, error: BaseException) -> Any:
        """
        What is told of a call that ended in an error: the error itself, unless it was its deadline that ended it.
        """
        try:
            call.check_time(error)
        except DeadlinePassed as late:
            error = late
        if isinstance(error, DeadlinePassed):
            return self._answer(call.refused(error), request)
        raise error

    def _answer(self, refused: Refused, request: Any) -> Any:
        headers = {"content-type": "application/json", **dict(refused.answer.headers)}
        response = self._module.Response(refused.answer.status, headers=headers, content=refused.body, request=request)
        response.elapsed = timedelta()
        return response


class _Way:
    """
    How far a request came, and how often a transport sent it.

    Attributes:
        call: The one that is under way; ``None`` when that is over.
        body_asked: The transport asked for the body; ``None`` where it is not seen.
        status: Of the reply to it, where one came.
    """

    def __init__(self, module: Any, client: Any, request: Any, call: GuardedCall) -> None:
        self._module = module
        transport = getattr(client, "_transport_for_url", lambda _: None)(request.url)
        self._is_own = type(transport) in (module.HTTPTransport, module.AsyncHTTPTransport)
        self.call: GuardedCall | None = call
        self.body_asked: bool | None = None
        self.status: int | None = None

    def begin(self) -> tuple[GuardedCall, GuardedCall] | None:
        """
        The transport asks for the body; returns the call that it was sent for before and the one that it is sent for
        now, where these are two.
        """
        before, status = self.call, self.status
        is_another = self.body_asked and status not in PART_OF_A_CALL
        self.body_asked, self.status = True, None
        if before is None or not is_another:
            return None
        before.status = status
        self.call = before.again()
        return before, self.call

    def take(self) -> GuardedCall:
        """
        The call that was sent last. A pool keeps the body as long as the reply is open, and is not to keep the call.
        """
        call, self.call = self.call, None
        assert call is not None
        return call

    def was_sent(self, error: BaseException) -> bool:
        """
        Whether the provider may have got the request.
        """
        if self._is_own and self.body_asked is not None:
            return self.body_asked
        cause = error.__cause__
        if cause is not None and type(cause).__module__.startswith("aiohttp."):
            # Transports over aiohttp call a connection that was lost a time-out of connecting.
            from solvent.instrument.aiohttp import was_sent

            return was_sent(cause)
        module = self._module
        never = (module.ConnectError, module.ConnectTimeout, module.PoolTimeout, module.ProxyError)
        return not isinstance(error, (*never, module.InvalidURL, module.LocalProtocolError, module.UnsupportedProtocol))


def _body_of(module: Any) -> type[Any]:
    class Body(module.ByteStream):  # type: ignore[misc]  # A class of the module at hand.
        """
        A request's body, which tells when it is asked for: once for each time that it is sent.
        """

        def __init__(self, content: bytes, way: _Way) -> None:
            super().__init__(content)
            self._content = content
            self.way = way
            way.body_asked = False

        def __iter__(self) -> Iterator[bytes]:
            if (calls := self.way.begin()) is not None:
                before, now = calls
                before.settle(before.lost("cut"))
                now.admit()
            yield self._content

        async def __aiter__(self) -> AsyncIterator[bytes]:
            if (calls := self.way.begin()) is not None:
                before, now = calls
                await before.asettle(before.lost("cut"))
                await now.aadmit()
            yield self._content

    return Body


def _request(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    rest = dict(kwargs)
    return (args[0] if args else rest.pop("request")), rest


def _with(request: Any, headers: Mapping[str, str]) -> Any:
    """
    The request with other headers; its owner may send the request itself again, for another budget.
    """
    if not headers:
        return request
    twin = object.__new__(type(request))
    twin.__dict__.update(request.__dict__)
    twin.headers = request.headers.copy()
    twin.headers.update(headers)
    return twin


def _target(client: Any, request: Any) -> Target | None:
    if request.method == "GET" and request.headers.get("upgrade", "").lower() == "websocket":
        transports.opens("websocket", request.url.host)
        return None
    return None if client.is_closed else target(request.method, str(request.url))


def _is_unread_text(found: Target, request: Any) -> bool:
    """
    Whether a body that is sent piece by piece is one to be read before: it is text for a model, and no film.
    """
    return not hasattr(request, "_content") and found.endpoint is not None and found.endpoint.format is not None


def _headers(request: Any) -> dict[str, str]:
    """
    Names in lower case; one that comes again is joined to the first.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in request.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _ask_for_readable(headers: Any, *, plain: bool) -> None:
    """
    Let the reply come in an encoding that can be read here, or in none where something may be left out of it.
    """
    asked = headers.get("accept-encoding", "")
    readable = [one.strip() for one in asked.split(",") if one.partition(";")[0].strip() in _READABLE]
    wanted = "identity" if plain or not readable else ", ".join(readable)
    if wanted != asked:
        headers["accept-encoding"] = wanted
