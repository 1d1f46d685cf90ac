"""
Which limits apply to a scope, and what the guard may do about a call that does not fit.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

from msgspec import Struct, field

from solvent._limits import PATH_METERS, Limit, OnExceed, Scope, matches
from solvent.policy._fallback import Fallback
from solvent.prices import OwnPrice

WAIT_SECONDS = 30.0
SHRINK_TOKENS_MIN = 1_024


# What may be tried when a bound does not fit, in this order (DESIGN §6).
Tightening: TypeAlias = Literal["prefix", "tokenizer", "count"]
TIGHTENINGS: tuple[Tightening, ...] = ("prefix", "tokenizer", "count")


class LoopRule(Struct, frozen=True, kw_only=True):
    """
    How often the same request may come in a time, and what happens to the one that comes too often.
    """

    same_call: int
    within_seconds: float = 60.0
    on_exceed: OnExceed = "warn"
    source: str = ""


class Policy(Struct, frozen=True, kw_only=True):
    """
    ``solvent.yaml``, read once (DESIGN §9).

    Attributes:
        budgets: Limits by the pattern of the scopes that they are for.
        call: What a single call may use; compared with its bound, kept in no account.
        tighten: The ways to a tighter bound that may be tried, in the order of ``TIGHTENINGS``; ``count`` asks the
            provider, which sends it the prompt once more.
        wait_seconds: How long a call may wait for room that open calls hold.
        fallback: The models that calls which do not fit are made with.
        loops: What is a loop; ``None`` looks for none.
        shrink_tokens_min: The smallest output cap that a call may be given.
        shrink_explicit: Whether a cap that the program chose to name may be lowered too.
        price_as: The model whose price an unpriced one gets; ``None`` refuses it under a limit in dollars.
        open_nanodollars: What a process may spend while the ledger does not answer.
        prices: The user's own prices, by model.
        ledger: The ledger's URL, if the policy names one.
    """

    budgets: tuple[tuple[str, Limit], ...] = ()
    call: tuple[Limit, ...] = ()
    tighten: tuple[Tightening, ...] = ("prefix", "tokenizer")
    wait_seconds: float = WAIT_SECONDS
    fallback: tuple[Fallback, ...] = ()
    loops: LoopRule | None = None
    shrink_tokens_min: int = SHRINK_TOKENS_MIN
    shrink_explicit: bool = False
    price_as: str | None = None
    open_nanodollars: int = 0
    prices: Mapping[str, OwnPrice] = field(default_factory=dict)
    ledger: str | None = None


class Rules(Struct, frozen=True, kw_only=True):
    """
    All that is in force on a scope's path. Limits come with the scope they are for, widest first.

    Attributes:
        blocking: Limits of accounts that refuse; of several on one account the smallest.
        watched: Limits of accounts that only tell.
        checked: Limits that have no account: ``depth`` and ``seconds``.
        fallback: By the model that is asked for; the innermost scope's word counts.
        wait_seconds: How long a call may wait for room, by the innermost scope's word; ``None`` asks the policy.
    """

    blocking: tuple[tuple[str, Limit], ...] = ()
    watched: tuple[tuple[str, Limit], ...] = ()
    checked: tuple[tuple[str, Limit], ...] = ()
    fallback: Mapping[str, Fallback] = MappingProxyType({})
    wait_seconds: float | None = None


class Opening(Struct, frozen=True):
    """
    What one opening of a scope put in force.
    """

    limits: tuple[Limit, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    wait_seconds: float | None = None


_NOTHING = Opening()


class LimitsInForce:
    """
    The limits of the policy and those that code and flags added: all that match a scope apply to it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._opened: dict[str, Opening] = {}
        self._by_scope: dict[str, Rules] = {}

    def open(
        self,
        scope: Scope,
        limits: Sequence[Limit],
        fallback: Sequence[Fallback] = (),
        wait_seconds: float | None = None,
    ) -> Opening:
        """
        Put limits of code or flags in force for one scope, in the place of those that it was opened with before.

        They join those of the policy and never widen them.
        """
        opening = self._opened[str(scope)] = Opening(tuple(limits), tuple(fallback), wait_seconds)
        self._by_scope.clear()
        return opening

    def close(self, scope: Scope, opening: Opening) -> bool:
        """
        Forget the limits of code or flags for a scope that nobody has any more; false where it was opened anew.
        """
        if self._opened.get(str(scope)) is not opening:
            return False
        del self._opened[str(scope)]
        self._by_scope.clear()
        return True

    def openings(self, scope: Scope) -> tuple[tuple[str, Opening], ...]:
        """
        What code and flags put in force on a scope's path, widest first.
        """
        found = [(str(part), self._opened.get(str(part))) for part in scope.path()]
        return tuple([(place, opening) for place, opening in found if opening is not None])

    def of(self, scope: Scope) -> tuple[tuple[str, Limit], ...]:
        """
        Every limit on the scope's path that a ledger holds calls to.
        """
        return self.rules(scope).blocking

    def rules(self, scope: Scope) -> Rules:
        key = str(scope)
        found = self._by_scope.get(key)
        if found is None:
            if len(self._by_scope) > 10_000:  # Scopes come and go with runs; memory must not grow with them.
                self._by_scope.clear()
            found = self._by_scope[key] = self._find(scope)
        return found

    def _find(self, scope: Scope) -> Rules:
        smallest: dict[tuple[str, str, str, bool], Limit] = {}
        fallback = {step.model: step for step in self._policy.fallback}
        wait_seconds = None
        for part in scope.path():
            limits = [limit for pattern, limit in self._policy.budgets if matches(pattern, part)]
            opened = self._opened.get(str(part), _NOTHING)
            fallback.update({step.model: step for step in opened.fallback})
            wait_seconds = wait_seconds if opened.wait_seconds is None else opened.wait_seconds
            for limit in (*limits, *opened.limits):
                key = (str(part), limit.meter, limit.window_key, limit.on_exceed == "block")
                if key not in smallest or limit.amount < smallest[key].amount:
                    smallest[key] = limit
        found = [(place, limit) for (place, *_), limit in smallest.items()]
        counted = [pair for pair in found if pair[1].meter not in PATH_METERS]
        return Rules(
            blocking=tuple([pair for pair in counted if pair[1].on_exceed == "block"]),
            watched=tuple([pair for pair in counted if pair[1].on_exceed != "block"]),
            checked=tuple([pair for pair in found if pair[1].meter in PATH_METERS]),
            fallback=fallback,
            wait_seconds=wait_seconds,
        )
