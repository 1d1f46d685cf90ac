"""
Whether a request is a call that costs something, and which.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from solvent.instrument._above import above
from solvent.instrument._calls import GuardedCall, is_under_way
from solvent.instrument._hosts import Client, Target, target_of
from solvent.wire._call import Call

# Of an address that nobody here knows: looking something up, or taking it away, costs nothing anywhere.
_FREE_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS"})

# What a request says that is signed with its body.
_SIGNED = ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
_SIGNATURES = frozenset({"content-digest", "digest", "signature"})


class Mode:
    """
    What the hooks are there for.

    Attributes:
        names_only: They tell the gateway of a run whose calls come to it, and neither hold any call to its budget nor
            make errors of refusals: the program did not ask for that.
    """

    names_only = False


def target(method: str, url: str, client: Client | None = None) -> Target | None:
    """
    What a request is for; ``None`` when it costs nothing, or nobody here holds it to a budget.

    Args:
        client: Who asks, where the hook knows.
    """
    if Mode.names_only:
        return None
    method = method.upper()
    known = above()
    found = target_of(method, url.partition("?")[0], client or (known.client if known else None))
    if found is None or (found.endpoint is not None and found.endpoint.kind == "free"):
        return None
    if found.endpoint is None and method in _FREE_METHODS:
        return None
    return found


def guarded(found: Target, headers: Mapping[str, str], body: bytes | None, *, signs: bool = True) -> GuardedCall | None:
    """
    The call that a request makes; ``None`` when it makes none, or is one that is counted already.

    Args:
        headers: Lower-case names.
        body: ``None`` for one that cannot be read before it is sent.
        signs: A signature in the headers is one of these bytes.
    """
    if is_under_way(body):
        return None
    call = _described(found, headers, body)
    if call is None:
        return None
    return GuardedCall(found, call, headers, body, fixed=signs and is_signed(headers))


def is_signed(headers: Mapping[str, str]) -> bool:
    return headers.get("authorization", "").startswith(_SIGNED) or not _SIGNATURES.isdisjoint(headers)


def _described(found: Target, headers: Mapping[str, str], body: bytes | None) -> Call | None:
    """
    The call that a body asks for. One that cannot be read has no bound; at an address that is no provider's it is none.
    """
    name = found.endpoint.name if found.endpoint else found.path
    request = _decoded(body)
    reason = name
    if found.endpoint is not None and found.endpoint.format is not None:
        try:
            if request is None:
                raise ValueError("a body that is no JSON object")
            return found.endpoint.format.describe(request, provider=found.provider, path=found.path, headers=headers)
        except (ValueError, RecursionError) as error:
            reason = f"{name}: {error}"
    if not found.known_host:
        return None
    model = (request or {}).get("model")
    return Call(
        format=name,
        provider=found.provider,
        model=model if isinstance(model, str) else "",
        stream=(request or {}).get("stream") is True,
        unbounded=(reason,),
    )


def _decoded(body: bytes | None) -> dict[str, Any] | None:
    try:
        request = msgspec.json.decode(body or b"")
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return request if isinstance(request, dict) else None
