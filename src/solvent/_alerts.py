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
from solvent._limits import GAUGES, METERS, SECOND_NS, Scope, resets_at, span
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
    for before, after in zip(closed.before, closed.balances, strict=bool(closed.before)):
        shares = rules.shares.get(after.account.scope, ()) if after.spent > before.spent else ()
        for limit, source in _limits(after, rules) if shares else ():
            for share in shares:
                most = limit * share.numerator
                if before.spent * share.denominator < most <= after.spent * share.denominator:
                    yield Crossing(balance=after, limit=limit, source=source, share=share)


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


def _limits(balance: Balance, rules: Rules) -> Iterator[tuple[int, str]]:
    """
    The limits of an account, and where each was set: those that only tell, and the one that the ledger holds it to.
    """
    account = balance.account
    for place, limit in rules.watched:
        if Account(place, limit.meter, limit.window_key) == account:
            yield limit_in_force(limit.amount, override=None, topped_up=balance.topped_up) or 0, limit.source
    if balance.limit is not None:
        own = [limit for place, limit in rules.blocking if Account(place, limit.meter, limit.window_key) == account]
        in_force = [limit_in_force(limit.amount, override=None, topped_up=balance.topped_up) for limit in own]
        is_own = balance.limit in in_force
        yield balance.limit, own[0].source if is_own else SET_IN_LEDGER
