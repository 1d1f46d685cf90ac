"""
What the gateway answers by itself: refusals and failures, each in the error shape of the provider that was asked.
"""

from collections.abc import Mapping

import msgspec

from solvent._answers import Answer
from solvent.gateway._request import Send
from solvent.wire import FORMATS
from solvent.wire._call import WireFormat

RawHeaders = list[tuple[bytes, bytes]]

_USUAL = {
    "anthropic": "anthropic-messages",
    "bedrock": "bedrock-converse",
    "cohere": "cohere-chat",
    "gemini": "gemini-generate",
    "ollama": "ollama-chat",
    "vertex": "gemini-generate",
}


def format_for(provider: str, format: WireFormat | None = None) -> WireFormat:
    """
    The format whose error shape an answer takes: the endpoint's own, else the provider's usual one.
    """
    return format or FORMATS[_USUAL.get(provider, "openai-chat")]


def raw_headers(headers: Mapping[str, str] | tuple[tuple[str, str], ...]) -> RawHeaders:
    """
    Headers of our own as bytes. What no header may hold is left out of a value.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.encode("ascii"), _header_value(value)) for name, value in pairs]


def _header_value(value: str) -> bytes:
    return value.encode() if value.isprintable() else "".join(filter(str.isprintable, value)).encode()


async def send_answer(send: Send, format: WireFormat, answer: Answer, *, close: bool = False) -> None:
    """
    Answer in the format's error shape.

    Args:
        close: The request's body was not read, so the connection cannot be used again.
    """
    body = msgspec.json.encode(format.refusal(code=answer.code, message=answer.message, metadata=dict(answer.metadata)))
    await send_json(send, answer.status, body, raw_headers(answer.headers), close=close)


async def send_json(
    send: Send, status: int, body: bytes, headers: RawHeaders | None = None, *, close: bool = False
) -> None:
    """
    Answer with a JSON body.
    """
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *(headers or ())]
    if close:
        head.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": close})


def error_event(format: WireFormat, *, code: str, message: str) -> bytes:
    """
    An error as an event of a stream that has begun; SDKs raise it.

    Source:
        openai 3.54 and anthropic 2.12, ``_streaming.py``, read 2026-11-21. Chat streams are known by their data alone,
        for other clients than the SDK never look at an event's name there.
    """
    data = msgspec.json.encode(format.refusal(code=code, message=message, metadata={}))
    name = b"" if format.name == "openai-chat" else b"event: error\n"
    return name + b"data: " + data + b"\n\n"
