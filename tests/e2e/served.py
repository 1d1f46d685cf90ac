"""
What a server sent, read from the bytes that a recording proxy kept. None of it is Solvent's.
"""

import base64
import contextlib
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from servers import Exchange

PAID = ("/chat/completions", "/messages", "/responses")

# By format: the names of what was read, and of what was written. Those of a row add up.
_NAMES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("prompt_tokens",), ("completion_tokens",)),
    (("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"), ("output_tokens",)),
    (("inputTokens",), ("outputTokens",)),
    (("promptTokenCount",), ("candidatesTokenCount",)),
    (("prompt_eval_count",), ("eval_count",)),
)


@dataclass(frozen=True, kw_only=True)
class Served:
    """
    The tokens of one reply, as its server told them.
    """

    input_tokens: int
    output_tokens: int


def paid_exchanges(exchanges: list[Exchange]) -> list[Exchange]:
    return [exchange for exchange in exchanges if exchange.path.partition("?")[0].endswith(PAID)]


def tells_usage(exchange: Exchange) -> bool:
    """
    Whether a reply came to the point where it says what it used.
    """
    return exchange.status == 200 and any(True for document in documents(exchange) for _ in _usages(document))


def served(exchange: Exchange) -> Served:
    """
    What one reply says that it used; the last word of a stream counts.
    """
    usages = [usage for document in documents(exchange) for usage in _usages(document)]
    assert usages, f"{exchange.path} told no usage: {exchange.reply[-300:]!r}"
    told: dict[str, Any] = {}
    for usage in usages:
        told |= {name: amount for name, amount in usage.items() if amount is not None}
    read, written = next((read, written) for read, written in _NAMES if written[0] in told)
    return Served(
        input_tokens=sum(told.get(name, 0) for name in read), output_tokens=sum(told.get(name, 0) for name in written)
    )


def documents(exchange: Exchange) -> Iterator[Any]:
    """
    The JSON documents of a reply, of whatever kind of stream; what is broken or cut is left out.
    """
    headers = {name.lower(): value for name, value in exchange.reply_headers}
    reply = gzip.decompress(exchange.reply) if headers.get("content-encoding") == "gzip" else exchange.reply
    if headers["content-type"] == "application/vnd.amazon.eventstream":
        yield from _frames(reply)
        return
    is_stream = headers["content-type"].startswith(("text/event-stream", "application/x-ndjson"))
    for line in reply.splitlines() if is_stream else [reply]:
        if not line.startswith((b"event:", b":")):
            with contextlib.suppress(ValueError):
                yield json.loads(line.removeprefix(b"data:"))


def _frames(reply: bytes) -> Iterator[Any]:
    """
    The events in Amazon's frames; those of a model's own format are wrapped once more.
    """
    from botocore.eventstream import EventStreamBuffer  # Of the SDK that asked for them.

    buffer = EventStreamBuffer()
    buffer.add_data(reply)
    for message in buffer:
        document = json.loads(message.payload)
        wrapped = document.get("bytes")
        yield json.loads(base64.b64decode(wrapped)) if wrapped else document


def _usages(document: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(document, dict):
        return
    for place in (document, *(document.get(name) for name in ("delta", "message", "response"))):
        if isinstance(place, dict):
            usage = place.get("usage") or place.get("usageMetadata")
            if usage:
                yield usage.get("tokens", usage)  # Cohere's has the billed units beside.
    if document.get("done") is True:
        yield document
