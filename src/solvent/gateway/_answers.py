"""
What the gateway answers by itself: refusals and failures, each in the error shape of the provider that was asked.
"""

from collections.abc import Mapping
from datetime import UTC

import msgspec
from msgspec import Struct

from solvent.errors import (
    BudgetExceeded,
    OutcomeUnknown,
    PriceUnknown,
    SolventError,
    StoreUnavailable,
    Unbounded,
)
from solvent.gateway._request import Send
from solvent.wire import FORMATS
from solvent.wire._call import WireFormat

RawHeaders = list[tuple[bytes, bytes]]

# The status alone keeps every client from retrying a 402, and this header is the second lock.
# Source: measured with openai 3.54, anthropic 2.12, openai-js 6.49, @anthropic-ai/sdk 1.12 and Vercel's ai, 2026-11-21.
_FINAL = ("x-should-retry", "false")
_AGAIN = ("x-should-retry", "true")
_SOON = ("retry-after", "1")


class Answer(Struct, frozen=True, kw_only=True):
    """
    A status, one word for programs, a message for people, and what a client may know of the amounts.
    """

    status: int
    code: str
    message: str
    metadata: Mapping[str, str]
    headers: tuple[tuple[str, str], ...] = ()


def plain_answer(status: int, code: str, message: str, *, final: bool | None = True) -> Answer:
    """
    An answer that speaks of no budget.

    Args:
        final: False where the same request may be sent again, ``None`` where that is the client's own choice.
    """
    headers = () if final is None else (_FINAL if final else _AGAIN,)
    return Answer(status=status, code=code, message=message, metadata={}, headers=headers)


def answer_to(error: SolventError) -> Answer:
    """
    How a refusal by the guard is told over HTTP (DESIGN §7).
    """
    match error:
        case BudgetExceeded():
            return _exceeded(error)
        case PriceUnknown() | Unbounded():
            return plain_answer(402, error.code, str(error))
        case StoreUnavailable() | OutcomeUnknown():
            return Answer(status=503, code=error.code, message=str(error), metadata={}, headers=(_AGAIN, _SOON))
        case _:
            return plain_answer(500, "internal_error", "Solvent could not decide about this call, so it was not made.")


def _exceeded(error: BudgetExceeded) -> Answer:
    unit = "nanodollars" if error.meter == "usd" else error.meter
    reset = error.resets_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if error.resets_at else None
    metadata = {
        "scope": error.scope,
        "meter": error.meter,
        "unit": unit,
        "window": error.window.partition("@")[0],
        "limit": str(error.limit),
        "spent": str(error.spent),
        "reserved": str(error.reserved),
        "requested": str(error.requested),
        "remaining": str(error.remaining),
        **({"resets_at": reset} if reset else {}),
    }
    told = tuple((f"x-solvent-{name.replace('_', '-')}", value) for name, value in metadata.items() if value)
    return Answer(
        status=429 if error.held else 402,
        code=error.code,
        message=str(error),
        metadata=metadata,
        headers=((_SOON,) if error.held else (_FINAL,)) + told,
    )


def format_for(provider: str, format: WireFormat | None = None) -> WireFormat:
    """
    The format whose error shape an answer takes: the endpoint's own, else the provider's usual one.
    """
    return format or FORMATS["anthropic-messages" if provider == "anthropic" else "openai-chat"]


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
