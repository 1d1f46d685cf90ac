"""
The gateway: a plain ASGI application that lets through what the guard admits, and nothing else.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from solvent._limits import Scope
from solvent.errors import SolventError
from solvent.gateway._answers import Answer, answer_to, format_for, plain_answer, send_answer
from solvent.gateway._exchange import CLIENT_GONE, Exchange, Outgoing, client_headers
from solvent.gateway._interrupt import Ended, Interrupt
from solvent.gateway._nested import open_child, tell_state
from solvent.gateway._providers import Upstream
from solvent.gateway._request import (
    DISCONNECT,
    Receive,
    Rejected,
    Send,
    check_head,
    check_length,
    decode_object,
    forwarded_headers,
    read_body,
    swap_keys,
)
from solvent.gateway._routes import Routes, described
from solvent.gateway._seam import Admission, Guard, Settlement
from solvent.gateway._upstream import AiohttpClient, Client, NotDelivered
from solvent.wire._call import Call, WireFormat

_LINGER_SECONDS = 1
_GRACE_SECONDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """
    What became of one request, told when its answer has been given.

    Attributes:
        kind: ``answered`` and ``lost`` are paid calls that were admitted, ``refused`` are those that the guard did not;
            ``passed`` needed no budget; ``denied`` and ``rejected`` were nobody's call.
        code: As in the answer's body; empty when a provider answered.
        began, ended: By ``time.monotonic``.
    """

    kind: Literal["answered", "lost", "refused", "passed", "denied", "rejected"]
    began: float
    ended: float
    scope: str = ""
    provider: str = ""
    code: str = ""


@dataclass(slots=True, repr=False)
class _Request:
    """
    One request on its way through the door.
    """

    method: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    hosts: tuple[bytes, ...]
    receive: Receive
    send: Send
    began: float
    tell_disconnect: Callable[[Callable[[], None]], None] | None
    interrupt: Interrupt = field(default_factory=Interrupt)
    body_read: bool = False
    scope: str = ""
    provider: str = ""
    format: WireFormat | None = None

    async def body(self, length: int) -> bytes:
        """
        The whole body, of the length that its header declared.

        Raises:
            Rejected: It is too large.
            Ended: The client went away before it was sent.
        """
        check_length(length)
        body = await read_body(self.receive)
        self.body_read = True
        if body is None:
            raise Ended(CLIENT_GONE)
        return body


class Gateway:
    """
    An ASGI application in front of the providers.

    Args:
        guard: Decides about paid calls.
        upstreams: By provider, where calls go; others are not served.
        keys: Stand-in → real key.
        routes: Path secret → the scope that it stands for.
        on_event: Hears of every request; must not block or raise.
        client: Sends to the upstreams; ``aiohttp``'s unless given.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        upstreams: Mapping[str, Upstream],
        keys: Mapping[str, str],
        routes: Mapping[str, Scope],
        on_event: Callable[[Event], None] | None = None,
        client: Client | None = None,
    ) -> None:
        self._guard = guard
        self._keys = dict(keys)
        self._routes = Routes(routes, upstreams)
        self._on_event = on_event
        self._client: Client = client or AiohttpClient()
        self._hosts: dict[int, tuple[bytes, ...]] = {}
        self._running: dict[Interrupt, asyncio.Task[Any]] = {}
        self._settling: set[asyncio.Task[Settlement]] = set()
        self._closing: str | None = None

    def route(self, scope: Scope) -> str:
        """
        Open a way in for a scope; returns its path secret.
        """
        return self._routes.add(scope)

    async def close(self, reason: str = "the gateway is closing") -> None:
        """
        End the calls in flight, settle them all, and close the connections to providers.

        Args:
            reason: Told to the clients whose calls are ended.
        """
        self._closing = self._closing or reason
        running = {task for task in self._running.values() if task is not asyncio.current_task()}
        for interrupt in list(self._running):
            interrupt.trigger(reason)
        if running:
            _, late = await asyncio.wait(running, timeout=_GRACE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._settling:
            await asyncio.wait(self._settling)
        await self._client.close()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _no_other_protocol(scope["type"], receive, send)
            return
        request = _Request(
            method=scope["method"],
            raw_path=scope["raw_path"],
            query=scope["query_string"],
            headers=list(scope["headers"]),
            hosts=self._hosts_at(scope["server"][1]),
            receive=receive,
            send=send,
            began=time.monotonic(),
            tell_disconnect=scope.get("extensions", {}).get(DISCONNECT),
        )
        task = asyncio.current_task()
        assert task is not None, "a server calls an application in a task"
        self._running[request.interrupt] = task
        try:
            await self._serve(request)
        except Rejected as rejected:
            kind: Literal["denied", "rejected"] = "denied" if rejected.code == "denied" else "rejected"
            await self._tell(request, kind, plain_answer(rejected.status, rejected.code, rejected.message))
        except Ended as ended:
            if ended.reason != CLIENT_GONE:
                await self._tell(request, "rejected", plain_answer(503, "gateway_closing", ended.reason))
        finally:
            del self._running[request.interrupt]

    async def _serve(self, request: _Request) -> None:
        length, below = check_head(request.headers, hosts=request.hosts)
        if self._closing is not None:
            raise Ended(self._closing)
        target = self._routes.target(request.method, request.raw_path)
        if target.upstream is None:
            await self._own(request, target.scope, target.path, length)
            return
        upstream, found, scope = target.upstream, target.endpoint, target.scope
        request.provider = upstream.provider
        request.scope = target.scope_name
        if below is not None:
            scope = _below(scope, below)
            request.scope = str(scope)
        if found is None:
            raise Rejected(403, "denied", _DENIED.format(method=request.method, provider=upstream.provider))
        request.format = found.format
        with request.interrupt:
            body = await request.body(length)
        outgoing = Outgoing(
            upstream=upstream,
            method=request.method,
            url=_with_query(target.url, request.query),
            headers=forwarded_headers(request.headers),
            body=body,
        )
        watch = _watch(request)
        try:
            if found.kind == "free":
                swap_keys(outgoing.headers, self._keys)
                await self._pass(request, outgoing)
            else:
                call = described(found, upstream.provider, target.path, outgoing.body, dict(outgoing.headers))
                swap_keys(outgoing.headers, self._keys)
                await self._paid(request, scope, call, outgoing)
        finally:
            if watch is not None:
                watch.cancel()

    async def _paid(self, request: _Request, scope: Scope, call: Call, outgoing: Outgoing) -> None:
        fingerprint = hashlib.blake2b(outgoing.body, digest_size=16, salt=b"solvent-call").digest()
        try:
            with request.interrupt:
                admission: Admission = await self._guard.admit(
                    call,
                    scope=scope,
                    fingerprint=fingerprint,
                    began=request.began,
                    own_host=outgoing.upstream.is_own,
                )
        except SolventError as refusal:
            await self._tell(request, "refused", answer_to(refusal))
            return
        if admission.body is not None:
            outgoing = replace(outgoing, body=admission.body)
        exchange = Exchange(
            guard=self._guard,
            client=self._client,
            spawn=self._spawn,
            send=request.send,
            interrupt=request.interrupt,
            admission=admission,
            format=request.format,
            outgoing=outgoing,
        )
        self._emit(request, await exchange.run())

    async def _pass(self, request: _Request, outgoing: Outgoing) -> None:
        """
        Relay a request that costs nothing, untouched.
        """
        started = False
        reply = None
        try:
            with request.interrupt:
                body = self._client.body(outgoing.body) if outgoing.body else None
                reply = await self._client.send(
                    outgoing.upstream, outgoing.method, outgoing.url, outgoing.headers, body
                )
                started = True
                await request.send(
                    {"type": "http.response.start", "status": reply.status, "headers": client_headers(reply)}
                )
                while chunk := await reply.chunk():
                    await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
                await request.send({"type": "http.response.body", "body": b"", "more_body": False})
        except NotDelivered as failure:
            if not started:  # Else the server closes the connection, which is how a cut reply is told.
                answer = plain_answer(502, "upstream_unreachable", f"No answer: {failure.reason}.", final=None)
                await self._tell(request, "passed", answer)
                return
        finally:
            if reply is not None:
                reply.close()
        self._emit(request, "passed")

    async def _own(self, request: _Request, scope: Scope, path: str, length: int) -> None:
        """
        What a nested ``solvent run`` asks for.
        """
        if (request.method, path) == ("GET", "state"):
            await tell_state(request.send, scope)
        elif (request.method, path) == ("POST", "scopes"):
            await open_child(request.send, decode_object(await request.body(length)), scope, self._guard, self.route)
        else:
            raise Rejected(404, "not_found", "Solvent has no such address.")

    async def _tell(
        self, request: _Request, kind: Literal["refused", "denied", "rejected", "passed"], answer: Answer
    ) -> None:
        """
        Answer without a provider. What is left of an unread body is taken in for a moment, so that the client comes to
        read the answer; then the connection is closed.
        """
        format = format_for(request.provider, request.format)
        await send_answer(request.send, format, answer, close=not request.body_read)
        if not request.body_read:
            try:
                async with asyncio.timeout(_LINGER_SECONDS):
                    while (await request.receive()).get("more_body", False):
                        pass
            except TimeoutError:
                pass
            await request.send({"type": "http.response.body", "body": b"", "more_body": False})
        self._emit(request, kind, answer.code)

    def _emit(
        self,
        request: _Request,
        kind: Literal["answered", "lost", "refused", "passed", "denied", "rejected"],
        code: str = "",
    ) -> None:
        if self._on_event is not None:
            ended = time.monotonic()
            self._on_event(
                Event(
                    kind=kind,
                    began=request.began,
                    ended=ended,
                    scope=request.scope,
                    provider=request.provider,
                    code=code,
                )
            )

    def _spawn(self, settling: Coroutine[Any, Any, Settlement]) -> "asyncio.Task[Settlement]":
        task = asyncio.create_task(settling)
        self._settling.add(task)
        task.add_done_callback(self._settled)
        return task

    def _settled(self, task: "asyncio.Task[Settlement]") -> None:
        self._settling.discard(task)
        if not task.cancelled():
            task.exception()  # Looked at, so that it is not told on standard error: the reservation expires in full.

    def _hosts_at(self, port: int) -> tuple[bytes, ...]:
        if port not in self._hosts:
            self._hosts[port] = (f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode())
        return self._hosts[port]


_DENIED = (
    "{method} of this path of {provider} is not known to Solvent, so what it costs is not known either. "
    "To go on: use a path that the gateway serves, or call the provider without Solvent."
)


def _watch(request: _Request) -> "asyncio.Task[None] | None":
    """
    End the request when its client goes away. Without this an abandoned stream is read, and paid for, to its end.

    Returns:
        The task that watches, where the server offers nothing cheaper.
    """
    trigger = partial(request.interrupt.trigger, CLIENT_GONE)
    if request.tell_disconnect is not None:
        request.tell_disconnect(trigger)
        return None
    return asyncio.create_task(_wait_for_disconnect(request.receive, trigger))


async def _wait_for_disconnect(receive: Receive, trigger: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    trigger()


def _below(scope: Scope, text: bytes) -> Scope:
    """
    The scope that a header names below the one of its path.
    """
    try:
        return scope.below(text.decode())
    except ValueError as exc:  # UnicodeDecodeError is one.
        raise Rejected(400, "invalid_scope", f"x-solvent-scope: {exc}") from None


def _with_query(url: str, query: bytes) -> str:
    try:
        return f"{url}?{query.decode('ascii')}" if query else url
    except UnicodeDecodeError:
        raise Rejected(400, "invalid_path", "The query is not ASCII.") from None


async def _no_other_protocol(kind: str, receive: Receive, send: Send) -> None:
    """
    Say yes to a server's life span, and no to web sockets.
    """
    if kind == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif kind == "websocket":
        await send({"type": "websocket.close", "code": 1008})
