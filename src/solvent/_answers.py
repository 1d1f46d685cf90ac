"""
How a refusal by the guard is told over HTTP (DESIGN §7), at the gateway and in the place of a provider's own answer.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from solvent.errors import (
    BudgetExceeded,
    DeadlinePassed,
    LoopDetected,
    OutcomeUnknown,
    PriceUnknown,
    SettingsError,
    SolventError,
    StoreUnavailable,
    Unbounded,
    rebuilt,
)

# The status alone keeps every client from retrying a 402, and this header is the second lock.
# Source: measured with openai 3.54, anthropic 2.12, openai-js 6.49, @anthropic-ai/sdk 1.12 and Vercel's ai, 2026-11-21.
_FINAL = ("x-should-retry", "false")
_AGAIN = ("x-should-retry", "true")
_SOON = ("retry-after", "1")

ERROR_HEADER = "x-solvent-error"  # The error with all its fields, for Solvent's own hooks at the other end.
_ERROR_BYTES_MAX = 4_096  # Clients take no header of any length.
_KINDS = {
    kind.__name__: kind
    for kind in (
        BudgetExceeded,
        DeadlinePassed,
        LoopDetected,
        OutcomeUnknown,
        PriceUnknown,
        SettingsError,
        StoreUnavailable,
        Unbounded,
    )
}
_TIMES = ("resets_at", "now")


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
    answer, fields = _answer(error), _fields(error)
    if type(error).__name__ in _KINDS and len(fields) <= _ERROR_BYTES_MAX:
        answer = replace(answer, headers=(*answer.headers, (ERROR_HEADER, fields)))
    return answer


def error_in(header: str) -> SolventError | None:
    """
    The error that an answer's header tells; ``None`` where it is none that is known here.
    """
    try:
        fields = json.loads(header)
        kind = _KINDS[fields.pop("error")]
        fields |= {name: datetime.fromisoformat(fields[name]) for name in _TIMES if fields.get(name)}
        fields |= {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return rebuilt(kind, fields)
    except (AttributeError, LookupError, TypeError, ValueError):  # Of another version.
        return None


def _fields(error: SolventError) -> str:
    fields = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    return json.dumps({"error": type(error).__name__, **fields}, default=str)


def _answer(error: SolventError) -> Answer:
    match error:
        case BudgetExceeded():
            return _exceeded(error)
        case PriceUnknown() | Unbounded():
            return plain_answer(402, error.code, str(error))
        case SettingsError():
            return plain_answer(402, "invalid_setting", str(error))
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
    # A header holds no line's end, and of letters beyond ASCII not every client makes the same.
    told = tuple((f"x-solvent-{name.replace('_', '-')}", _quoted(value)) for name, value in metadata.items() if value)
    return Answer(
        status=429 if error.held else 402,
        code=error.code,
        message=str(error),
        metadata=metadata,
        headers=((_SOON,) if error.held else (_FINAL,)) + told,
    )


def _quoted(value: str) -> str:
    return quote(value, safe="/:@+, ")
