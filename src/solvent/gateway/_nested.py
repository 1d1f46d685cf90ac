"""
What the processes of a run ask its gateway: what is in force there, and scopes of their own below it.

A ``solvent run`` inside another one asks for a scope with an address of its own; a budget in a Python program names its
scope in a header.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from solvent._ids import new_id
from solvent._limits import Scope
from solvent._outer import Answered, Asked, decoded, to_json
from solvent.gateway._answers import send_json
from solvent.gateway._request import Rejected, Send
from solvent.gateway._seam import Guard
from solvent.policy import Opening
from solvent.policy._fallback import check_chain

_LIMITS_MAX = 100


class Nested:
    """
    The scopes that were opened from outside, until they are closed or the run is over.

    Args:
        route: Opens a way in for a scope, and returns its path secret.
    """

    def __init__(self, guard: Guard, route: Callable[[Scope], str]) -> None:
        self._guard = guard
        self._route = route
        self._openings: dict[str, tuple[Scope, Opening]] = {}

    async def tell_state(self, send: Send, scope: Scope) -> None:
        """
        Answer with what is in force for a scope.
        """
        await send_json(send, 200, to_json(self._guard.in_force(scope)))

    async def open(self, send: Send, scope: Scope, body: Mapping[str, Any]) -> None:
        """
        Open ``step:NAME`` below a scope, with limits of its own.

        Raises:
            Rejected: What is asked for is none.
        """
        try:
            asked = decoded(body, Asked)
            check_chain(asked.fallback)
            if len(asked.limits) > _LIMITS_MAX:
                raise ValueError(f"limits: expected at most {_LIMITS_MAX}, got {len(asked.limits)}")
            child = scope.child("step", asked.name)
        except ValueError as exc:
            raise Rejected(400, "invalid_request", str(exc)) from None
        opening = new_id()
        self._openings[opening] = child, self._guard.open(child, asked.limits, asked.fallback, asked.wait_seconds)
        answer = Answered(
            scope=str(child),
            opening=opening,
            ledger=self._guard.in_force(child).ledger,
            token=self._route(child) if asked.way_in else "",
        )
        await send_json(send, 200, msgspec.json.encode(answer))

    async def close(self, send: Send, scope: Scope, opening: str) -> None:
        """
        Forget a scope that nobody is in any more, unless it was opened anew.

        Raises:
            Rejected: There was no such opening below this scope.
        """
        child, opened = self._openings.get(opening, (None, None))
        if child is None or opened is None or child.parts[: len(scope.parts)] != scope.parts:
            raise Rejected(404, "not_found", "Nothing was opened here by that name.")
        del self._openings[opening]
        self._guard.close(child, opened)
        await send_json(send, 200, b"{}")
