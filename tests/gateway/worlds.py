"""
A gateway on a real socket, between a raw client and a raw upstream, with a guard that keeps count.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import httptools
from servers import PATIENCE_SECONDS

from solvent._booking import Outcome
from solvent._checks import Deadline
from solvent._limits import Limit, Scope
from solvent._outer import InForce
from solvent.errors import DeadlinePassed, SolventError
from solvent.gateway._app import Gateway
from solvent.gateway._incoming import Event
from solvent.gateway._providers import Upstream
from solvent.gateway._server import Server, bind_loopback, loop_factory
from solvent.policy import Opening, Policy
from solvent.policy._fallback import Fallback
from solvent.wire._call import Call

TOKEN = "a-secret-path-token-of-the-run"
OTHER_TOKEN = "another-secret-path-token"
STAND_IN, REAL_KEY = "sk-solvent-stand-in", "sk-real-key-nobody-may-see"
ANOTHERS_STAND_IN = "sk-solvent-of-another-provider"
CHAT = f"/{TOKEN}/openai/v1/chat/completions"
CHAT_BODY = b'{"model":"gpt-4o","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
STREAM_BODY = b'{"model":"gpt-4o","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}'
USAGE = b'{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
CHAT_REPLY = (
    b'{"id":"x","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop",'
    b'"message":{"role":"assistant","content":"Hey"}}],"usage":' + USAGE + b"}"
)


@dataclass
class Admitted:
    id: int
    call: Call
    scope: Scope
    fingerprint: bytes
    body: bytes | None
    headers: Mapping[str, str]
    path: str | None = None
    deadline: Deadline | None = None


@dataclass
class Settled:
    headers: Mapping[str, str]


@dataclass
class CountingGuard:
    """
    Keeps the guard's promises, and remembers what was asked of it.
    """

    admitted: list[Admitted] = field(default_factory=list)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    opened: list[tuple[Scope, tuple[Limit, ...]]] = field(default_factory=list)
    closed: list[tuple[Scope, Opening]] = field(default_factory=list)
    refusal: SolventError | None = None
    body: bytes | None = None
    rewrite: Callable[[Call], bytes | None] | None = None
    path: str | None = None
    seconds_left: float | None = None  # Until every call has to end.
    waiting: asyncio.Event | None = None  # While set, admissions wait for it.
    queued: asyncio.Event = field(default_factory=asyncio.Event)  # An admission waits.
    settle_waits_for: asyncio.Event | None = None
    settle_error: Exception | None = None
    asked_to_settle: list[int] = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    async def aadmit(
        self, call: Call, *, scope: Scope, fingerprint: bytes, began: float, own_host: bool = False, **_: object
    ) -> Admitted:
        assert began > 0
        assert own_host is False
        if self.refusal is not None:
            raise self.refusal
        if self.waiting is not None:
            self.queued.set()
            try:
                await self.waiting.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        body = self.rewrite(call) if self.rewrite else self.body
        headers = {"x-solvent-remaining": "$1.00"}
        deadline = None if self.seconds_left is None else _deadline(str(scope), self.seconds_left)
        admission = Admitted(len(self.admitted), call, scope, fingerprint, body, headers, self.path, deadline)
        self.admitted.append(admission)
        return admission

    async def asettle(self, admission: Admitted, outcome: Outcome) -> Settled:
        self.asked_to_settle.append(admission.id)
        if self.settle_waits_for is not None:
            await self.settle_waits_for.wait()
        self.outcomes[admission.id] = outcome
        self.settled.set()
        if self.settle_error is not None:
            raise self.settle_error
        return Settled({"x-solvent-cost": "$0.01", "x-solvent-remaining": "$0.99"})

    def open(
        self,
        scope: Scope,
        limits: tuple[Limit, ...],
        fallback: tuple[Fallback, ...] = (),
        wait_seconds: float | None = None,
        alert: tuple[Fraction, ...] = (),
        *,
        seconds: float = 0,
    ) -> Opening:
        self.opened.append((scope, limits))
        return Opening(limits, fallback, wait_seconds, -int(seconds * 1e9), alert)

    def close(self, scope: Scope, opening: Opening) -> None:
        self.closed.append((scope, opening))

    def in_force(self, scope: Scope) -> InForce:
        return InForce(scope=str(scope), ledger="memory://", policy=Policy())

    @property
    def untouched(self) -> bool:
        return not (self.admitted or self.outcomes or self.opened)

    def outcome(self) -> Outcome:
        """
        What became of the one call.
        """
        assert len(self.admitted) == len(self.outcomes) == 1
        return self.outcomes[0]


def _deadline(scope: str, seconds_left: float) -> Deadline:
    error = DeadlinePassed(scope=scope, seconds=60, source="solvent.yaml:5", ended=True)
    return Deadline(at=time.monotonic() + seconds_left, error=error)


@dataclass
class Received:
    method: str
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    connection: int

    def header(self, wanted: bytes) -> list[bytes]:
        return [value for name, value in self.headers if name.lower() == wanted]


Script = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def plain(
    body: bytes = CHAT_REPLY, *, status: int = 200, kind: str = "application/json", headers: bytes = b""
) -> Script:
    async def script(_request: Received, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode()
        writer.write(head + headers + b"\r\n" + body)
        await writer.drain()

    return script


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def delta(text: str) -> bytes:
    return b'data: {"id":"x","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % text.encode()


USAGE_EVENT = b'data: {"id":"x","model":"gpt-4o","choices":[],"usage":' + USAGE + b"}\n\n"
DONE = b"data: [DONE]\n\n"


@dataclass
class RawUpstream:
    """
    A provider made of a script; remembers every request that reached it, and which connections were closed on it.
    """

    script: Script = field(default_factory=plain)
    received: list[Received] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    got: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *lines = head[:-4].split(b"\r\n")
                method, target, _ = line.split(b" ")
                headers = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
                length = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
                body = await reader.readexactly(length)
                self.received.append(Received(method.decode(), target, headers, body, number))
                self.got.set()
                await self.script(self.received[-1], writer)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()


@dataclass
class Got:
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    complete: bool
    raw: bytes


class Client:
    """
    Writes bytes, reads an answer, and hides nothing.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def answer(self, *, until: bytes | None = None) -> Got:
        """
        The next answer, to its end; or what has come when ``until`` is in its body.
        """
        state = _Answer()
        parser = httptools.HttpResponseParser(state)
        raw = bytearray()
        while not state.complete and not (until is not None and until in state.body):
            try:
                data = await self.reader.read(65_536)
            except ConnectionResetError:
                data = b""
            if not data:
                break
            raw += data
            parser.feed_data(data)
        status = parser.get_status_code() if raw else 0
        return Got(status, state.headers, bytes(state.body), state.complete, bytes(raw))

    def close(self) -> None:
        self.writer.transport.abort()


class _Answer:
    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


@dataclass
class World:
    guard: CountingGuard
    upstream: RawUpstream
    gateway: Gateway
    server: Server
    events: list[Event]
    clients: list[Client] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.server.port

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    def request(
        self,
        path: str = CHAT,
        *,
        method: str = "POST",
        body: bytes = CHAT_BODY,
        host: str | None = None,
        headers: tuple[str, ...] = (),
    ) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}"]
        if body:
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
        return "\r\n".join((*lines, *headers, "", "")).encode("latin-1") + body

    async def call(self, *args: Any, raw: bytes | None = None, **named: Any) -> Got:
        client = await self.connect()
        client.send(self.request(*args, **named) if raw is None else raw)
        return await client.answer()


@asynccontextmanager
async def world(*, provider: str = "openai", routes: Mapping[str, Scope] | None = None) -> AsyncIterator[World]:
    upstream, guard = RawUpstream(), CountingGuard()
    listening = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.port = listening.sockets[0].getsockname()[1]
    events: list[Event] = []
    base = f"http://127.0.0.1:{upstream.port}"
    at = (
        Upstream(provider=provider, base=base + "/v1", prefix="v1", prefix_in_base=True)
        if provider == "openai"
        else Upstream(provider=provider, base=base, prefix="v1")
    )
    gateway = Gateway(
        guard=guard,
        upstreams={provider: at},
        keys={provider: {STAND_IN: REAL_KEY}, "another": {ANOTHERS_STAND_IN: REAL_KEY}},
        routes=routes or {TOKEN: Scope.parse("run:one"), OTHER_TOKEN: Scope.parse("run:two")},
        on_event=events.append,
    )
    server = Server(gateway, bind_loopback())
    await server.start()
    here = World(guard, upstream, gateway, server, events)
    try:
        yield here
    finally:
        for client in here.clients:
            client.close()
        await server.stop()
        listening.close()
    assert len(set(guard.asked_to_settle)) == len(guard.asked_to_settle), "settled twice"


def run(scene: Callable[[World], Awaitable[None]], **settings: Any) -> None:
    """
    Play a scene against a gateway; one that hangs fails after half a minute.
    """

    async def timed() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), world(**settings) as here:
            await scene(here)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(timed())
