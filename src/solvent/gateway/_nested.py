"""
What a ``solvent run`` inside another one asks of the gateway it finds: a scope of its own, below its parent's.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from solvent._limits import Limit, Scope
from solvent.gateway._answers import send_json
from solvent.gateway._request import Rejected, Send
from solvent.gateway._seam import Guard

_LIMITS_MAX = 100


async def tell_state(send: Send, scope: Scope) -> None:
    """
    Whose gateway this is, so that a nested run can tell a live one.
    """
    await send_json(send, 200, msgspec.json.encode({"scope": str(scope)}))


async def open_child(
    send: Send, body: Mapping[str, Any], scope: Scope, guard: Guard, route: Callable[[Scope], str]
) -> None:
    """
    Open ``step:NAME`` below a scope, with limits of its own, and answer with its path secret.

    Raises:
        Rejected: The name or a limit is none.
    """
    name, limits = body.get("name"), body.get("limits", [])
    if not isinstance(name, str) or not isinstance(limits, list) or len(limits) > _LIMITS_MAX:
        raise Rejected(400, "invalid_request", 'Expected {"name": text, "limits": [{"meter", "amount", …}]}.')
    try:
        child = scope.child("step", name)
        guard.open(child, tuple([_limit(limit) for limit in limits]))
    except ValueError as exc:
        raise Rejected(400, "invalid_request", str(exc)) from None
    await send_json(send, 200, msgspec.json.encode({"token": route(child), "scope": str(child)}))


def _limit(given: object) -> Limit:
    """
    One limit as it travels; an amount may be written as text, as everywhere in JSON.
    """
    if not isinstance(given, dict) or not {"meter", "amount"} <= given.keys() <= _FIELDS:
        raise ValueError(f"a limit has meter and amount, and may have {', '.join(sorted(_FIELDS))}")
    amount = given["amount"]
    if isinstance(amount, str) and amount.isascii() and amount.isdigit() and len(amount) < 20:
        amount = int(amount)
    texts = {name: given[name] for name in _FIELDS - {"amount"} if name in given}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("meter, window, time_zone and source of a limit are text")
    return Limit(amount=amount, **texts)


_FIELDS = frozenset({"meter", "amount", "window", "time_zone", "source"})
