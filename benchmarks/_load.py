"""
A load client that costs next to nothing: connections that each send one request after the other, and time the replies.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

_MESSAGES = [
    {"role": "system", "content": "You are a careful assistant. " * 6},
    {"role": "user", "content": "Say in plain words what a budget is and what it is good for. " * 9},
]


@dataclass(frozen=True, kw_only=True)
class Target:
    """
    Where a load goes: a port of this machine and the path before ``/chat/completions``.
    """

    port: int
    path: str = "/v1"

    def request(self, *, stream: bool, pace: str = "") -> bytes:
        fields: dict[str, Any] = {"model": "gpt-4o-mini", "messages": _MESSAGES, "max_completion_tokens": 256}
        if stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        body = json.dumps(fields, separators=(",", ":")).encode()
        lines = [
            f"POST {self.path}/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            "authorization: Bearer sk-solvent-0000000000000000000000000000",
            "user-agent: OpenAI/Python 3.54.0",
            "accept: application/json",
            "content-type: application/json",
            "x-stainless-lang: python",
            "x-stainless-retry-count: 0",
            f"content-length: {len(body)}",
            *([f"x-pace: {pace}"] if pace else []),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Sample:
    """
    What one run of a load saw, in seconds.
    """

    latencies: list[float] = field(default_factory=list)
    first_bytes: list[float] = field(default_factory=list)
    failures: int = 0
    elapsed: float = 0.0

    @property
    def calls_per_second(self) -> float:
        return len(self.latencies) / self.elapsed


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, *, stream: bool, until: float, sample: Sample) -> None:
        self._request, self._stream, self._until, self._sample = request, stream, until, sample
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._missing = -1
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # The protocol's form.
        if not self.ended.done():
            self._sample.failures += 1
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._first == 0.0:
            self._buffer += data
            if not self._begin():
                return
        elif self._stream:
            self._tail = (self._tail + data)[-5:]
        else:
            self._missing -= len(data)
        if self._tail == b"0\r\n\r\n" if self._stream else self._missing <= 0:
            self._sample.latencies.append(time.perf_counter() - self._sent)
            self._sample.first_bytes.append(self._first - self._sent)
            if time.monotonic() < self._until:
                self._send()
            else:
                self.ended.set_result(None)
                self._transport.close()

    def _begin(self) -> bool:
        """
        Whether the first bytes of the reply's body have come.
        """
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or not body:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"an unexpected reply: {self._buffer[:300]!r}")
        self._first = time.perf_counter()
        if self._stream:
            self._tail = body[-5:]
        else:
            at = head.lower().index(b"content-length:") + 15
            self._missing = int(head[at:].split(b"\r\n", 1)[0]) - len(body)
        return True

    def _send(self) -> None:
        self._buffer, self._first = b"", 0.0
        self._sent = time.perf_counter()
        self._transport.write(self._request)


async def load(
    target: Target, *, connections: int, seconds: float, stream: bool = False, pace: str = "", spread: float = 0.0
) -> Sample:
    """
    Keep ``connections`` busy for a time.

    Args:
        spread: Seconds over which the connections begin, so that their streams do not run in step.
    """
    loop, sample = asyncio.get_running_loop(), Sample()
    request = target.request(stream=stream, pace=pace)
    began = time.monotonic()
    made = []
    for number in range(connections):
        if spread and number:
            await asyncio.sleep(spread / connections)
        _, connection = await loop.create_connection(
            lambda: _Connection(request, stream=stream, until=began + seconds, sample=sample), "127.0.0.1", target.port
        )
        made.append(connection.ended)
    await asyncio.gather(*made)
    sample.elapsed = time.monotonic() - began
    if sample.failures:
        raise RuntimeError(f"{sample.failures} connections were closed by port {target.port}")
    return sample
