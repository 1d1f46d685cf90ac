"""
The gateway: a plain ASGI application that lets through what the guard admits, and nothing else.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from solvent._answers import Answer, answer_to, plain_answer
from solvent._counting import Counting
from solvent._limits import Scope
from solvent.errors import SolventError
from solvent.gateway._count import ask
from solvent.gateway._exchange import Exchange, Outgoing, reply_head
from solvent.gateway._incoming import CLIENT_GONE, Event, Incoming, Kind
from solvent.gateway._interrupt import Ended, Interrupt
from solvent.gateway._nested import Nested
from solvent.gateway._providers import Upstream
from solvent.gateway._request import DISCONNECT, Receive, Rejected, Send, decode_object, read_head, swap_keys
from solvent.gateway._routes import Routes, described
from solvent.gateway._seam import Admission, Guard, Settlement
from solvent.gateway._upstream import AiohttpClient, Client, NotDelivered
from solvent.wire import Asked, at_path
from solvent.wire._call import Call

_GRACE_SECONDS = 5

_log = logging.getLogger("solvent")


class Gateway:
    """
    An ASGI application in front of the providers.

    Args:
        guard: Decides about paid calls.
        upstreams: By provider, where calls go; others are not served.
        keys: By provider, stand-in → real key.
        routes: Path secret → the scope that it stands for.
        on_event: Hears of every request; must not block or raise.
        client: Sends to the upstreams; ``aiohttp``'s unless given.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        upstreams: Mapping[str, Upstream],
        keys: Mapping[str, Mapping[str, str]],
        routes: Mapping[str, Scope],
        on_event: Callable[[Event], None] | None = None,
        client: Client | None = None,
    ) -> None:
        self._guard = guard
        self._keys = {
            provider: [(stand_in.encode(), real) for stand_in, real in known.items()]
            for provider, known in keys.items()
        }
        self._routes = Routes(routes, upstreams)
        self._nested = Nested(guard, self._routes)
        self._on_event = on_event
        self._client: Client = client or AiohttpClient()
        self._hosts: dict[int, tuple[bytes, ...]] = {}
        self._running: dict[Interrupt, asyncio.Task[Any]] = {}
        self._settling: set[asyncio.Task[Settlement]] = set()
        self._closing: str | None = None

    async def close(self, reason: str = "the gateway is closing") -> None:
        """
        Take no more calls, end and settle those in flight, and close the connections to providers.
        """
        self._closing = self._closing or reason
        await self.end_calls(reason)
        await self._client.close()

    async def end_calls(self, reason: str) -> None:
        """
        End the calls in flight, and settle them all.

        Args:
            reason: Told to their clients.
        """
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

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _no_other_protocol(scope["type"], receive, send)
            return
        began, extensions = time.monotonic(), scope.get("extensions")
        request = Incoming(receive, send, began, extensions.get(DISCONNECT) if extensions else None)
        task = asyncio.current_task()
        assert task is not None, "a server calls an application in a task"
        self._running[request.interrupt] = task
        try:
            await self._serve(request, scope)
        except Rejected as rejected:
            kind: Kind = "denied" if rejected.code == "denied" else "rejected"
            await self._tell(request, kind, plain_answer(rejected.status, rejected.code, rejected.message))
        except Ended as ended:
            if ended.reason != CLIENT_GONE:
                await self._tell(request, "rejected", plain_answer(503, "gateway_closing", ended.reason))
        except Exception:  # A bug, of which a caller may learn that it happened and nothing else.
            _log.exception("a request failed inside Solvent")
            if not request.head_sent:  # Else the server cuts the connection, which tells that the answer is not whole.
                await self._tell(request, "rejected", plain_answer(500, "internal_error", _INTERNAL))
        finally:
            del self._running[request.interrupt]

    async def _serve(self, request: Incoming, scope: Mapping[str, Any]) -> None:
        length, below, headers = read_head(scope["headers"], hosts=self._hosts_at(scope["server"][1]))
        if self._closing is not None:
            raise Ended(self._closing)
        method = scope["method"]
        target = self._routes.target(method, scope["raw_path"])
        request.scope, place = target.scope_name, target.scope
        if below is not None:
            place = _below(place, below)
            request.scope = str(place)
        if target.upstream is None:
            await self._own(request, method, target.path, place, length)
            return
        request.provider = target.upstream.provider
        if target.endpoint is None:
            raise Rejected(403, "denied", _DENIED.format(method=method, provider=request.provider))
        request.format = target.endpoint.format
        with request.interrupt:
            body = await request.body(length)
        url = _with_query(target.url, scope["query_string"])
        outgoing = Outgoing(upstream=target.upstream, method=method, url=url, headers=headers, body=body)
        watch = request.watch()
        try:
            if target.endpoint.kind == "free":
                swap_keys(headers, self._keys.get(request.provider, ()))
                await self._pass(request, outgoing)
            else:
                asked = Asked(target.path, dict(headers))
                call = described(target.endpoint, request.provider, asked, body)
                swap_keys(headers, self._keys.get(request.provider, ()))
                await self._paid(request, place, call, asked, outgoing)
        finally:
            if watch is not None:
                watch.cancel()

    async def _paid(self, request: Incoming, scope: Scope, call: Call, asked: Asked, outgoing: Outgoing) -> None:
        fingerprint = hashlib.blake2b(outgoing.body, digest_size=16, salt=b"solvent-call").digest()
        own_host = outgoing.upstream.is_own
        try:
            with request.interrupt:
                admission: Admission = await self._guard.aadmit(
                    call,
                    scope=scope,
                    fingerprint=fingerprint,
                    began=request.began,
                    own_host=own_host,
                    asked=asked,
                    counting=Counting(asked.path, partial(ask, self._client, outgoing)),
                )
        except SolventError as refusal:
            await self._tell(request, "refused", answer_to(refusal))
            return
        if admission.path is not None:
            outgoing = replace(outgoing, url=at_path(outgoing.url, asked.path, admission.path))
        exchange = Exchange(
            guard=self._guard,
            client=self._client,
            spawn=self._spawn,
            request=request,
            admission=admission,
            outgoing=outgoing,
        )
        self._emit(request, await exchange.run())

    async def _pass(self, request: Incoming, outgoing: Outgoing) -> None:
        """
        Relay a request that costs nothing, untouched.
        """
        reply = None
        try:
            with request.interrupt:
                body = self._client.body(outgoing.body) if outgoing.body else None
                reply = await self._client.send(
                    outgoing.upstream, outgoing.method, outgoing.url, outgoing.headers, body
                )
                await request.start(reply.status, reply_head(reply)[0])
                while chunk := await reply.chunk():
                    await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
                await request.send({"type": "http.response.body", "body": b"", "more_body": False})
        except NotDelivered as failure:
            if not request.head_sent:  # Else the server closes the connection, which is how a cut reply is told.
                answer = plain_answer(502, "upstream_unreachable", f"No answer: {failure.reason}.", final=None)
                await self._tell(request, "passed", answer)
                return
        finally:
            if reply is not None:
                reply.close()
        self._emit(request, "passed")

    async def _own(self, request: Incoming, method: str, path: str, scope: Scope, length: int) -> None:
        """
        What the run's own processes ask for.
        """
        what, _, name = path.partition("/")
        if (method, what, name) == ("GET", "state", ""):
            await self._nested.tell_state(request.send, scope)
        elif (method, what, name) == ("POST", "scopes", ""):
            await self._nested.open(request.send, scope, decode_object(await request.body(length)))
        elif (method, what) == ("DELETE", "scopes"):
            await self._nested.close(request.send, scope, name)
        else:
            raise Rejected(404, "not_found", "Solvent has no such address.")

    async def _tell(self, request: Incoming, kind: Kind, answer: Answer) -> None:
        await request.answer(answer)
        self._emit(request, kind, answer.code)

    def _emit(self, request: Incoming, kind: Kind, code: str = "") -> None:
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
        task = asyncio.get_running_loop().create_task(settling)
        self._settling.add(task)
        task.add_done_callback(self._settled)
        return task

    def _settled(self, task: "asyncio.Task[Settlement]") -> None:
        self._settling.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:  # What could not be booked stays reserved, and expires in full.
            _log.error("a call could not be booked", exc_info=failure)

    def _hosts_at(self, port: int) -> tuple[bytes, ...]:
        hosts = self._hosts.get(port)
        if hosts is None:
            hosts = self._hosts[port] = (f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode())
        return hosts


_DENIED = (
    "{method} of this path of {provider} is not known to Solvent, so what it costs is not known either. "
    "To go on: use a path that the gateway serves, or call the provider without Solvent."
)
_INTERNAL = "Solvent failed at this call by a mistake of its own, which is logged. To go on: report it to its authors."


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
