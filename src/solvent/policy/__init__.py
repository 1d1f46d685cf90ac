"""
Which limits apply to a scope, and what the guard may do about a call that does not fit.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from solvent._limits import PATH_METERS, SECOND_NS, Limit, OnExceed, Scope, matches
from solvent.policy._alert import Alert
from solvent.policy._fallback import Fallback, check_step
from solvent.prices import OwnPrice, Prices

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
        alert: Who is told how far limits are used; ``None`` tells nobody.
        shrink_tokens_min: The smallest output cap that a call may be given.
        shrink_explicit: Whether a cap that the program chose to name may be lowered too.
        price_as: The model whose price an unpriced one gets; ``None`` refuses it under a limit in dollars.
        open_nanodollars: What a process may spend while the ledger does not answer.
        prices: The user's own prices, by model.
        ledger: The ledger's URL, if the policy names one.
        files: Where it was read from, the user's own file first.
    """

    budgets: tuple[tuple[str, Limit], ...] = ()
    call: tuple[Limit, ...] = ()
    tighten: tuple[Tightening, ...] = ("prefix", "tokenizer")
    wait_seconds: float = WAIT_SECONDS
    fallback: tuple[Fallback, ...] = ()
    loops: LoopRule | None = None
    alert: Alert | None = None
    shrink_tokens_min: int = SHRINK_TOKENS_MIN
    shrink_explicit: bool = False
    price_as: str | None = None
    open_nanodollars: int = 0
    prices: Mapping[str, OwnPrice] = field(default_factory=dict)
    ledger: str | None = None
    files: tuple[str, ...] = ()


class Rules(Struct, frozen=True, kw_only=True):
    """
    All that is in force on a scope's path. Limits come with the scope they are for, widest first.

    Attributes:
        blocking: Limits of accounts that refuse; of several on one account the smallest.
        watched: Limits of accounts that only tell.
        checked: Limits that have no account: ``depth`` and ``seconds``; of several times the one that is over first.
        began_ns: When the time of a limit in ``checked`` began; of a scope that nobody opened it is not in here.
        fallback: By the model that is asked for; the innermost scope's word counts, and of one scope the last one's.
        wait_seconds: How long a call may wait for room, by the same word, or the policy's.
        shares: By the scopes on the path, the shares of their limits at which somebody is told, the smallest first.
        policy: The one that was in force.
        prices: The rate card with its prices; ``None`` where nobody said.
    """

    blocking: tuple[tuple[str, Limit], ...] = ()
    watched: tuple[tuple[str, Limit], ...] = ()
    checked: tuple[tuple[str, Limit], ...] = ()
    began_ns: Mapping[tuple[str, Limit], int] = MappingProxyType({})
    fallback: Mapping[str, Fallback] = MappingProxyType({})
    wait_seconds: float = WAIT_SECONDS
    shares: Mapping[str, tuple[Fraction, ...]] = MappingProxyType({})
    policy: Policy = field(default_factory=Policy)
    prices: Prices | None = None


class Opening(Struct, frozen=True):
    """
    What one opening of a scope put in force.

    Attributes:
        began_ns: When its time began, by the clock of who opened it.
        alert: The shares of the scope's limits at which somebody is told.
    """

    limits: tuple[Limit, ...] = ()
    fallback: tuple[Fallback, ...] = ()
    wait_seconds: float | None = None
    began_ns: int = 0
    alert: tuple[Fraction, ...] = ()


class LimitsInForce:
    """
    The limits of the policy and those that code and flags added: all that match a scope apply to it.

    A scope may be open several times at once, such as a run that two threads go on with; all that each of its openings
    put in force holds then. Any thread may open, close and look.

    Args:
        prices: The rate card with the policy's prices, for those who price by what is in force.
    """

    def __init__(self, policy: Policy, prices: Prices | None = None) -> None:
        self._given = policy, prices
        self._opened: dict[str, tuple[Opening, ...]] = {}  # The last one at the end.
        self._closed: deque[tuple[str, Opening]] = deque()
        self._by_scope: dict[str, Rules] = {}
        self._lock = threading.Lock()

    def open(
        self,
        scope: Scope,
        limits: Sequence[Limit],
        fallback: Sequence[Fallback] = (),
        wait_seconds: float | None = None,
        alert: Sequence[Fraction] = (),
        *,
        began_ns: int = 0,
    ) -> Opening:
        """
        Put limits of code or flags in force for one scope, until this opening is closed.

        They join those of the policy and of the scope's other openings, and never widen them.
        """
        self._take_out()
        opening = Opening(tuple(limits), tuple(fallback), wait_seconds, began_ns, tuple(alert))
        key = str(scope)
        with self._lock:
            self._opened[key] = (*self._opened.get(key, ()), opening)
            self._by_scope = {}
        return opening

    def check_fallback(self, steps: Sequence[Fallback], *, where: str) -> None:
        """
        Raises:
            SettingsError: A step can never be taken.
        """
        policy, prices = self._given
        if prices is not None:
            for step in steps:
                check_step(step, prices, policy.prices, where=where)

    @property
    def policy(self) -> Policy:
        return self._given[0]

    def follow(self, policy: Policy) -> None:
        """
        Have another policy in force from now on. What is open stays so, and its time goes on; whoever was told the
        rules of before goes on by them.
        """
        prices = Prices.load(policy.prices)
        with self._lock:
            self._given = policy, prices
            self._by_scope = {}

    def change(self, scope: Scope, opening: Opening, limits: Sequence[Limit]) -> Opening:
        """
        Put other limits in force in the place of those that one opening of a scope did; its time goes on.
        """
        self._take_out()
        changed, key = replace(opening, limits=tuple(limits)), str(scope)
        with self._lock:
            self._opened[key] = tuple([changed if each is opening else each for each in self._opened.get(key, ())])
            self._by_scope = {}
        return changed

    def close(self, scope: Scope, opening: Opening) -> None:
        """
        Forget what one opening of a scope put in force; what its other openings did stays.
        """
        # A finalizer may ask for it, also in a thread that holds the lock, so it is done by whoever looks next.
        self._closed.append((str(scope), opening))

    def forget(self) -> None:
        """
        Wait for no other thread: in a forked child there is none. What is open holds there, too.
        """
        self._lock = threading.Lock()

    def openings(self, scope: Scope) -> tuple[tuple[str, Opening], ...]:
        """
        What code and flags put in force on a scope's path, widest first, and of one scope the first opening first.
        """
        self._take_out()
        places = [str(part) for part in scope.path()]
        return tuple([(place, opening) for place in places for opening in self._opened.get(place, ())])

    def of(self, scope: Scope) -> tuple[tuple[str, Limit], ...]:
        """
        Every limit on the scope's path that a ledger holds calls to.
        """
        return self.rules(scope).blocking

    def rules(self, scope: Scope) -> Rules:
        self._take_out()
        # What is found while a scope is opened may be of before; it is then kept where nobody looks any more.
        by_scope, key = self._by_scope, str(scope)
        found = by_scope.get(key)
        if found is None:
            if len(by_scope) > 10_000:  # Scopes come and go with runs; memory must not grow with them.
                by_scope.clear()
            found = by_scope[key] = self._find(scope)
        return found

    def _take_out(self) -> None:
        if not self._closed:
            return
        with self._lock:
            while self._closed:
                key, closed = self._closed.popleft()
                left = tuple([opening for opening in self._opened.get(key, ()) if opening is not closed])
                if left:
                    self._opened[key] = left
                else:
                    self._opened.pop(key, None)
            self._by_scope = {}

    def _find(self, scope: Scope) -> Rules:
        policy, prices = self._given
        smallest: dict[tuple[str, str, str, bool], tuple[Limit, int | None]] = {}
        fallback = {step.model: step for step in policy.fallback}
        wait_seconds = policy.wait_seconds
        shares = {}
        at = policy.alert.at if policy.alert is not None else ()
        for part in scope.path():
            openings = self._opened.get(str(part), ())
            wanted = {*at, *(share for opening in openings for share in opening.alert)}
            if wanted:
                shares[str(part)] = tuple(sorted(wanted))
            first_ns = min([opening.began_ns for opening in openings], default=None)
            found = [(limit, first_ns) for pattern, limit in policy.budgets if matches(pattern, part)]
            for opening in openings:
                fallback.update({step.model: step for step in opening.fallback})
                wait_seconds = wait_seconds if opening.wait_seconds is None else opening.wait_seconds
                found += [(limit, opening.began_ns) for limit in opening.limits]
            for limit, began_ns in found:
                key = (str(part), limit.meter, limit.window_key, limit.on_exceed == "block")
                if key not in smallest or _most(limit, began_ns) < _most(*smallest[key]):
                    smallest[key] = limit, began_ns
        pairs = [((place, limit), began_ns) for (place, *_), (limit, began_ns) in smallest.items()]
        counted = [pair for pair, _ in pairs if pair[1].meter not in PATH_METERS]
        checked = {pair: began_ns for pair, began_ns in pairs if pair[1].meter in PATH_METERS}
        return Rules(
            blocking=tuple([pair for pair in counted if pair[1].on_exceed == "block"]),
            watched=tuple([pair for pair in counted if pair[1].on_exceed != "block"]),
            checked=tuple(checked),
            began_ns={pair: began_ns for pair, began_ns in checked.items() if began_ns is not None},
            fallback=fallback,
            wait_seconds=wait_seconds,
            shares=shares,
            policy=policy,
            prices=prices,
        )


def _most(limit: Limit, began_ns: int | None) -> int:
    """
    An amount to compare limits of one account by; of a time, when it is over.
    """
    return limit.amount if limit.meter != "seconds" else limit.amount * SECOND_NS + (began_ns or 0)
