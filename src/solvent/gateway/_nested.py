"""
What the processes of a run ask its gateway: what is in force there, and scopes of their own below it.

A ``solvent run`` inside another one asks for a scope with an address of its own; a budget in a Python program names its
scope in a header.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from solvent._ids import new_id
from solvent._limits import Scope
from solvent._outer import Answered, Asked, decoded, to_json
from solvent.gateway._answers import send_json
from solvent.gateway._request import Rejected, Send
from solvent.gateway._routes import Routes
from solvent.gateway._seam import Guard
from solvent.policy import Opening
from solvent.policy._fallback import check_chain

_LIMITS_MAX = 100


class _Open(Struct, frozen=True):
    scope: Scope
    opening: Opening
    token: str  # The path secret of its own way in; empty where it has none.


class Nested:
    """
    The scopes that were opened from outside, until they are closed or the run is over.
    """

    def __init__(self, guard: Guard, routes: Routes) -> None:
        self._guard = guard
        self._routes = routes
        self._open: dict[str, _Open] = {}

    async def tell_state(self, send: Send, scope: Scope) -> None:
        """
        Answer with what is in force for a scope.
        """
        await send_json(send, 200, to_json(self._guard.in_force(scope)))

    async def open(self, send: Send, scope: Scope, body: Mapping[str, Any]) -> None:
        """
        Open a step or an agent below a scope, with limits of its own.

        Raises:
            Rejected: What is asked for is none.
        """
        try:
            asked = decoded(body, Asked)
            check_chain(asked.fallback)
            for name, count in (("limits", len(asked.limits)), ("alert", len(asked.alert))):
                if count > _LIMITS_MAX:
                    raise ValueError(f"{name}: expected at most {_LIMITS_MAX}, got {count}")
            child = scope.child(asked.kind, asked.name)
        except ValueError as exc:
            raise Rejected(400, "invalid_request", str(exc)) from None
        opening = new_id()
        opened = self._guard.open(
            child, asked.limits, asked.fallback, asked.wait_seconds, asked.alert, seconds=asked.seconds
        )
        token = self._routes.add(child) if asked.way_in else ""
        self._open[opening] = _Open(child, opened, token)
        answer = Answered(
            scope=str(child),
            opening=opening,
            ledger=self._guard.in_force(child).ledger,
            token=token,
        )
        await send_json(send, 200, msgspec.json.encode(answer))

    async def close(self, send: Send, scope: Scope, opening: str) -> None:
        """
        Forget what one opening of a scope put in force, and close its way in: nobody is in there any more.

        Raises:
            Rejected: There was no such opening below this scope.
        """
        found = self._open.get(opening)
        if found is None or found.scope.parts[: len(scope.parts)] != scope.parts:
            raise Rejected(404, "not_found", "Nothing was opened here by that name.")
        del self._open[opening]
        self._guard.close(found.scope, found.opening)
        if found.token:
            self._routes.remove(found.token)
        await send_json(send, 200, b"{}")
