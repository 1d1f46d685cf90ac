"""
What all formats share in rewriting requests and in saying no.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from solvent.wire._call import Call
from solvent.wire._read import mapping


def encoded(request: Mapping[str, Any]) -> bytes:
    """
    A request as compact JSON; every value is the one that was read, though a number may be spelled another way.
    """
    try:
        return msgspec.json.encode(request)
    except UnicodeEncodeError:  # A lone surrogate, which JSON can spell and UTF-8 cannot.
        return json.dumps(request, separators=(",", ":")).encode()


def with_changes(call: Call, *, model: str | None, cap: str, output_tokens_max: int | None) -> bytes | None:
    """
    The request of a format with one output cap, under another model or cap; ``None`` when nothing changes.
    """
    changes: dict[str, Any] = {}
    if model is not None and model != call.model:
        changes["model"] = model
    if output_tokens_max is not None:
        changes[cap] = output_tokens_max
    return encoded({**call.request, **changes}) if changes else None


def only_fields(call: Call, names: frozenset[str], *, beside: frozenset[str]) -> dict[str, Any] | None:
    """
    The named fields of a request; ``None`` where it has others that are not among those beside them.
    """
    given = {name: value for name, value in call.request.items() if value is not None}
    return None if given.keys() - names - beside else {name: value for name, value in given.items() if name in names}


def told(body: bytes, name: str) -> int | None:
    """
    A whole number that a reply tells at its top; ``None`` where it tells none.
    """
    try:
        value = mapping(msgspec.json.decode(body)).get(name)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are kinds of ValueError.
        return None
    return value if type(value) is int and value > 0 else None


def refusal_type(code: str, types: Mapping[str, str], *, otherwise: str) -> str:
    """
    The provider's own error type that is nearest to one of our codes.
    """
    return types.get("server_error" if code in _NOT_THE_CALLERS_FAULT else code, otherwise)


_NOT_THE_CALLERS_FAULT = frozenset(
    {"gateway_closing", "internal_error", "ledger_unavailable", "upstream_lost", "upstream_unreachable"}
)


def openai_refusal(*, code: str, message: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """
    A refusal as OpenAI spells errors; ``insufficient_quota`` is what existing programs already stop on.

    Source:
        learn.microsoft.com, Dev Proxy, "OpenAI insufficient_quota", read 2026-11-21.
    """
    kind = refusal_type(code, _OPENAI_TYPES, otherwise="invalid_request_error")
    error = {"message": message, "type": kind, "param": None, "code": code, "metadata": dict(metadata)}
    return {"error": error}


_OPENAI_TYPES = {
    "budget_exceeded": "insufficient_quota",
    "budget_held": "rate_limit_exceeded",
    "deadline_passed": "insufficient_quota",
    "loop_detected": "insufficient_quota",
    "server_error": "server_error",
}
