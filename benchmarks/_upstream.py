"""
A provider that costs next to nothing: OpenAI chat completions over HTTP/1.1, on a protocol of its own.

A stream is 64 tokens in 68 events, each written by itself. The header ``x-pace: FIRST,GAP`` (milliseconds) paces it;
without one the events follow each other as fast as they can be sent. Prints its port.
"""

import asyncio
import json
from typing import Any

import uvloop

TOKENS = 64
EVENTS = TOKENS + 4  # The role, the end, the usage and [DONE] beside the tokens.
_MODEL = "gpt-4o-mini-2024-07-18"
_USAGE = {
    "prompt_tokens": 190,
    "completion_tokens": TOKENS,
    "total_tokens": 190 + TOKENS,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
}
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _plain() -> bytes:
    reply = {
        "id": "chatcmpl-0000000000000000000000000000",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": _MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "word " * 110, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
        "service_tier": "default",
        "system_fingerprint": "fp_0000000000",
    }
    body = json.dumps(reply).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _events() -> list[bytes]:
    def event(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        data = {
            "id": "chatcmpl-0000000000000000000000000000",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": _MODEL,
            "choices": choices,
            "usage": usage,
        }
        return b"data: %b\n\n" % json.dumps(data, separators=(",", ":")).encode()

    def delta(finish: str | None = None, **fields: str) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}]

    events = [event(delta(role="assistant", content=""))]
    events += [event(delta(content=" word")) for _ in range(TOKENS)]
    events += [event(delta("stop")), event([], _USAGE), b"data: [DONE]\n\n"]
    return [b"%x\r\n%b\r\n" % (len(data), data) for data in events]


_REPLY, _EVENTS = _plain(), _events()
_EVENTS[-1] += b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = data[:end].lower()
        length = int(_header(head, b"content-length") or 0)
        if len(data) < end + 4 + length:
            return
        self._buffer = b""
        if b'"stream":true' not in data[end + 4 :]:
            self._transport.write(_REPLY)
            return
        first, _, gap = (_header(head, b"x-pace") or b"0,0").partition(b",")
        self._at, self._next, self._gap = self._loop.time() + float(first) / 1e3, 0, float(gap) / 1e3
        self._loop.call_later(float(first) / 1e3, self._write) if float(first) else self._write()

    def _write(self) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_STREAM_HEAD + _EVENTS[0] if self._next == 0 else _EVENTS[self._next])
        self._next += 1
        if self._next == EVENTS:
            return
        if self._gap:
            self._at += self._gap
            self._loop.call_at(self._at, self._write)
        else:
            self._loop.call_soon(self._write)


def _header(head: bytes, name: bytes) -> bytes | None:
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    at += len(name) + 3
    end = head.find(b"\r\n", at)
    return head[at : end if end >= 0 else len(head)].strip()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
