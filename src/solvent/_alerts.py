"""
At which shares of their limits accounts have come to be spent, told once each.

A ledger applies one closing after the other. So of all that are made, by whatever threads and processes, exactly one
finds an account below a share and leaves it at the share or above; whoever made that one tells.
"""

import logging
from collections.abc import Iterator
from fractions import Fraction
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from solvent._clock import Clock, utc
from solvent._ledger import limit_in_force
from solvent._limits import GAUGES, METERS, SECOND_NS, Limit, Scope, resets_at, span
from solvent._operations import Closed
from solvent._records import Account, Balance
from solvent.errors import BudgetExceeded
from solvent.events import Listeners, ShareReached
from solvent.policy import LimitsInForce, Rules

TOLD_MAX = 16_384
SET_IN_LEDGER = "solvent ledger set-limit"

_log = logging.getLogger("solvent")


class Crossing(Struct, frozen=True, kw_only=True):
    """
    A share of a limit that one closing has reached.

    Attributes:
        limit: In force, top-ups included.
    """

    balance: Balance
    limit: int
    source: str
    share: Fraction


def crossings(closed: Closed, rules: Rules) -> Iterator[Crossing]:
    """
    Every share that was not spent before a closing and is after it: of several at once each, the smallest first.

    Args:
        rules: In force on the path that is charged.
    """
    if not closed.before:  # It was closed already.
        return
    for position, after in enumerate(closed.balances):
        shares = rules.shares.get(after.account.scope)
        for limit in _limits(after, rules) if shares and after.spent else ():
            for share in shares or ():
                most = limit * share.numerator
                if after.spent * share.denominator < most:
                    break
                if closed.before[position].spent * share.denominator < most:
                    yield Crossing(balance=after, limit=limit, source=_source(after, limit, rules), share=share)


class Alerts:
    """
    Tells listeners and the log of shares that are reached.

    Args:
        key: Of the ledger; ids are made under it, so that they are the same in all its processes and in no other's.
    """

    def __init__(self, limits: LimitsInForce, listeners: Listeners, clock: Clock, key: bytes) -> None:
        self._limits = limits
        self._listeners = listeners
        self._clock = clock
        self._key = key
        self._told: dict[str, object] = {}

    def closed(self, scope: Scope, closed: Closed) -> None:
        """
        Args:
            scope: The whole path that was charged.
        """
        rules = self._limits.rules(scope)
        if rules.shares:
            for found in crossings(closed, rules):
                by: Literal["settled", "expired"] = "expired" if closed.state == "expired" else "settled"
                self._tell(closed.id, found, by)

    def booked(self, closed: Closed) -> None:
        """
        The same for a closing whose path nobody remembers: one that expired, or was booked late. The deepest of its
        accounts is as good.
        """
        places = [balance.account.scope for balance in closed.before]
        if places:
            self.closed(Scope.parse(max(places, key=len)), closed)

    def refused(self, id: str, scope: Scope, error: BudgetExceeded) -> None:
        """
        A limit counts as used up when a call is refused that would have fitted into the whole of it: of calls of $0.03
        under $1.00 the last one ends at $0.99.
        """
        is_limit = type(error) is BudgetExceeded and error.meter in METERS and error.meter not in GAUGES
        if not is_limit or error.held or error.requested > error.limit:
            return
        if Fraction(1) in self._limits.rules(scope).shares.get(error.scope, ()):
            account = Account(error.scope, error.meter, error.window)
            balance = Balance(account=account, limit=error.limit, spent=error.spent, reserved=error.reserved)
            found = Crossing(balance=balance, limit=error.limit, source=error.source, share=Fraction(1))
            self._tell(id, found, "refused")

    def _tell(self, id: str, found: Crossing, by: Literal["settled", "expired", "refused"]) -> None:
        now_ns = self._clock.now_ns()
        alert_id, mine = self._alert_id(found, now_ns), object()
        if len(self._told) >= TOLD_MAX:
            self._told.clear()
        # Once more in this process: a refusal may come again, and a rolling minute or a correction fall and rise again.
        if self._told.setdefault(alert_id, mine) is not mine:
            return
        account, now = found.balance.account, utc(now_ns)
        event = ShareReached(
            id=id,
            scope=account.scope,
            meter=account.meter,
            window=account.window,
            share=found.share,
            limit=found.limit,
            spent=found.balance.spent,
            reserved=found.balance.reserved,
            by=by,
            at=now,
            source=found.source,
            resets_at=resets_at(account.window, now=now),
            alert_id=alert_id,
        )
        _log.warning("%s", event.message())
        self._listeners.tell(event)

    def _alert_id(self, found: Crossing, now_ns: int) -> str:
        account = found.balance.account
        minute = now_ns // (60 * SECOND_NS)
        bucket = minute if account.window == "minute" else span(account.window, now_ns)[1]
        parts = (account.scope, account.meter, account.window, bucket, found.limit, found.share)
        return blake2b("\n".join(map(str, parts)).encode(), key=self._key, digest_size=16).hexdigest()


def _limits(balance: Balance, rules: Rules) -> Iterator[int]:
    """
    The limits of an account: those that only tell, and the one that the ledger holds it to.
    """
    for place, limit in rules.watched:
        if _is_of(balance.account, place, limit):
            yield _in_force(limit, balance)
    if balance.limit is not None:
        yield balance.limit


def _source(balance: Balance, amount: int, rules: Rules) -> str:
    """
    Where a limit of an account was set.
    """
    for place, limit in (*rules.watched, *rules.blocking):
        if _is_of(balance.account, place, limit) and _in_force(limit, balance) == amount:
            return limit.source
    return SET_IN_LEDGER


def _is_of(account: Account, place: str, limit: Limit) -> bool:
    return (place, limit.meter, limit.window_key) == (account.scope, account.meter, account.window)


def _in_force(limit: Limit, balance: Balance) -> int:
    return limit_in_force(limit.amount, override=None, topped_up=balance.topped_up) or 0
