"""
Which limits apply to a scope, and what the guard may do about a call that does not fit.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from solvent._limits import Limit, Scope, matches
from solvent.prices import UserPrice

WAIT_SECONDS = 30.0
SHRINK_TOKENS_MIN = 1_024


class Policy(Struct, frozen=True, kw_only=True):
    """
    ``solvent.yaml``, read once (DESIGN §9).

    Attributes:
        budgets: Limits by the pattern of the scopes that they are for.
        call: What a single call may use; compared with its bound, kept in no account.
        wait_seconds: How long a call may wait for room that open calls hold.
        shrink_tokens_min: The smallest output cap that a call may be given.
        shrink_explicit: Whether a cap that the program chose to name may be lowered too.
        price_as: The model whose price an unpriced one gets; ``None`` refuses it under a limit in dollars.
        prices: The user's own prices, by model.
        ledger: The ledger's URL, if the policy names one.
    """

    budgets: tuple[tuple[str, Limit], ...] = ()
    call: tuple[Limit, ...] = ()
    wait_seconds: float = WAIT_SECONDS
    shrink_tokens_min: int = SHRINK_TOKENS_MIN
    shrink_explicit: bool = False
    price_as: str | None = None
    prices: Mapping[str, UserPrice] = field(default_factory=dict)
    ledger: str | None = None


class LimitsInForce:
    """
    The limits of the policy and those that code and flags added: all that match a scope apply to it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._opened: dict[str, tuple[Limit, ...]] = {}
        self._by_scope: dict[str, tuple[tuple[str, Limit], ...]] = {}

    def open(self, scope: Scope, limits: Sequence[Limit]) -> None:
        """
        Put limits of code or flags in force for one scope, in the place of those that it was opened with before.

        They join those of the policy and never widen them.
        """
        self._opened[str(scope)] = tuple(limits)
        self._by_scope.clear()

    def of(self, scope: Scope) -> tuple[tuple[str, Limit], ...]:
        """
        Every limit on the scope's path with the scope it is for, widest first; of several on one account the smallest.
        """
        key = str(scope)
        found = self._by_scope.get(key)
        if found is None:
            if len(self._by_scope) > 10_000:  # Scopes come and go with runs; memory must not grow with them.
                self._by_scope.clear()
            found = self._by_scope[key] = self._find(scope)
        return found

    def _find(self, scope: Scope) -> tuple[tuple[str, Limit], ...]:
        smallest: dict[tuple[str, str, str], Limit] = {}
        for part in scope.path():
            limits = [limit for pattern, limit in self._policy.budgets if matches(pattern, part)]
            for limit in (*limits, *self._opened.get(str(part), ())):
                key = (str(part), limit.meter, limit.window_key)
                if key not in smallest or limit.amount < smallest[key].amount:
                    smallest[key] = limit
        return tuple((key[0], limit) for key, limit in smallest.items())
