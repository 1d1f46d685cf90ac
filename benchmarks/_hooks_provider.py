"""
A provider that costs next to nothing, and what it is asked: OpenAI chat completions, plain and streamed, and Anthropic
messages.

A stream has as many tokens as the header ``x-tokens`` says, each in an event, an HTTP chunk and a write of its own, as
fast as they can be sent. ``GET /count`` tells how many calls were answered. Prints its port.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import uvloop

MODEL, CLAUDE = "gpt-4o-mini", "claude-haiku-4-5"
MESSAGES: Any = [
    {"role": "system", "content": "You are a careful assistant. " * 6},
    {"role": "user", "content": "Say in plain words what a budget is and what it is good for. " * 9},
]
OUTPUT_MAX = 256
EVENTS = 1_000  # Tokens of a stream.
BRIEF = 8  # Of one that only its first chunk is measured of.
INPUT, OUTPUT = 190, 64  # What a plain reply is billed.

_CHAT = {
    "id": "chatcmpl-0000000000000000000000000000",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "word " * 110, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": INPUT,
        "completion_tokens": OUTPUT,
        "total_tokens": INPUT + OUTPUT,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
    "system_fingerprint": "fp_0000000000",
}
_MESSAGE = {
    "id": "msg_000000000000000000000000",
    "type": "message",
    "role": "assistant",
    "model": CLAUDE,
    "content": [{"type": "text", "text": "word " * 110}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {
        "input_tokens": INPUT,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": OUTPUT,
        "service_tier": "standard",
    },
}
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def reply_of(reply: Any) -> bytes:
    body = json.dumps(reply).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
    data = {**_CHAT, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return _chunked(b"data: %b\n\n" % json.dumps(data, separators=(",", ":")).encode())


def _delta(finish: str | None = None, **fields: str) -> bytes:
    return _event([{"index": 0, "delta": fields, "logprobs": None, "finish_reason": finish}])


PLAIN = {"/chat/completions": reply_of(_CHAT), "/messages": reply_of(_MESSAGE)}
_ROLE, _TOKEN, _STOP = _delta(role="assistant", content=""), _delta(content=" word"), _delta("stop")
_DONE = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _usage(tokens: int) -> bytes:
    return _event([], {"prompt_tokens": INPUT, "completion_tokens": tokens, "total_tokens": INPUT + tokens})


class Provider(asyncio.Protocol):
    answered = 0

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < int(_header(head, b"content-length") or 0):
            return
        self._buffer = b""
        path = head.split(b" ", 2)[1].decode()
        if path == "/count":
            self._transport.write(reply_of(Provider.answered))
            return
        Provider.answered += 1
        if b'"stream":true' in body:
            tokens = int(_header(head, b"x-tokens") or 1)
            self._write(iter([_STREAM_HEAD + _ROLE, *[_TOKEN] * tokens, _STOP, _usage(tokens), _DONE]))
        else:
            self._transport.write(next(reply for ending, reply in PLAIN.items() if path.endswith(ending)))

    def _write(self, events: Iterator[bytes]) -> None:
        event = next(events, None)
        if event is not None and not self._transport.is_closing():
            self._transport.write(event)
            self._loop.call_soon(self._write, events)


def _header(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n"):
        found, _, value = line.partition(b":")
        if found.lower() == name:
            return value.strip()
    return None


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
