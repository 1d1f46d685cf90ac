"""
What the gateway needs of the guard, so that tests can put a small one in its place.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Protocol

from solvent._booking import Outcome
from solvent._checks import Deadline
from solvent._counting import Counting
from solvent._limits import Limit, Scope
from solvent._outer import InForce
from solvent.policy import Opening
from solvent.policy._fallback import Fallback
from solvent.wire._call import Asked, Call


class Admission(Protocol):
    """
    A call that may be made: its reservation is open.
    """

    @property
    def call(self) -> Call: ...
    @property
    def body(self) -> bytes | None: ...  # None: send the original bytes.
    @property
    def path(self) -> str | None: ...  # None: where it was asked for.
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def deadline(self) -> Deadline | None: ...


class Settlement(Protocol):
    """
    How an admission was closed.
    """

    @property
    def headers(self) -> Mapping[str, str]: ...


class Guard(Protocol):
    """
    Decides about calls and closes their reservations.
    """

    async def aadmit(
        self,
        call: Call,
        *,
        scope: Scope,
        fingerprint: bytes,
        began: float,
        own_host: bool = False,
        asked: Asked | None = None,
        counting: Counting | None = None,
    ) -> Admission:
        """
        Reserve what the call may cost. Cancelled, it leaves nothing open.
        """

    async def asettle(self, admission: Any, outcome: Outcome) -> Settlement:
        """
        Close an admission.
        """

    def open(
        self,
        scope: Scope,
        limits: tuple[Limit, ...],
        fallback: tuple[Fallback, ...] = (),
        wait_seconds: float | None = None,
        alert: tuple[Fraction, ...] = (),
        *,
        seconds: float = 0,
    ) -> Opening:
        """
        Add limits of a child scope, whose time began so many seconds ago.
        """

    def close(self, scope: Scope, opening: Opening) -> None:
        """
        Forget them.
        """

    def in_force(self, scope: Scope) -> InForce:
        """
        All that holds for a scope's calls.
        """
