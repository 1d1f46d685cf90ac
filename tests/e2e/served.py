"""
What a server sent, read from the bytes that a recording proxy kept. None of it is Solvent's.
"""

import contextlib
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from servers import Exchange

PAID = ("/chat/completions", "/messages", "/responses")


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
    return exchange.status == 200 and any(True for document in _documents(exchange) for _ in _usages(document))


def served(exchange: Exchange) -> Served:
    """
    What one reply says that it used; the last word of a stream counts.
    """
    usages = [usage for document in _documents(exchange) for usage in _usages(document)]
    assert usages, f"{exchange.path} told no usage: {exchange.reply[-300:]!r}"
    told: dict[str, Any] = {}
    for usage in usages:
        told |= {name: amount for name, amount in usage.items() if amount is not None}
    if "prompt_tokens" in told:
        return Served(input_tokens=told["prompt_tokens"], output_tokens=told["completion_tokens"])
    cached = sum(told.get(name, 0) for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return Served(input_tokens=told["input_tokens"] + cached, output_tokens=told["output_tokens"])


def _documents(exchange: Exchange) -> Iterator[Any]:
    headers = {name.lower(): value for name, value in exchange.reply_headers}
    reply = gzip.decompress(exchange.reply) if headers.get("content-encoding") == "gzip" else exchange.reply
    if not headers["content-type"].startswith("text/event-stream"):
        yield json.loads(reply)
        return
    for line in reply.splitlines():
        if line.startswith(b"data:") and line != b"data: [DONE]":
            with contextlib.suppress(json.JSONDecodeError):  # A line that was cut.
                yield json.loads(line.removeprefix(b"data:"))


def _usages(document: Any) -> Iterator[dict[str, Any]]:
    places = [document, document.get("message"), document.get("response")]
    for place in places:
        if isinstance(place, dict) and place.get("usage"):
            yield place["usage"]
