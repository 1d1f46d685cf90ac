"""
Whether a call would be admitted now: the question alone, without a reservation, an entry or a wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from msgspec.structs import replace

from solvent._admit import Authorizer
from solvent._attempt import Flow
from solvent._checks import Checks
from solvent._clock import Clock, utc
from solvent._ladder import Charges, exceeded
from solvent._ledger import limit_in_force
from solvent._limits import Limit, Scope
from solvent._operations import Refusal
from solvent._records import Account, Balance
from solvent._standings import Look
from solvent.errors import BudgetExceeded, SolventError
from solvent.wire._call import Call


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Decision:
    """
    Whether a call of these amounts would be admitted as things stand; true where it would be.

    Attributes:
        allowed: It would.
        reason: Why not, in one sentence; empty where it would.
        scope, meter, window: Of the limit that decides; empty where none does.
        limit, spent, reserved, requested: Amounts of that meter (nanodollars for ``usd``).
        source: Where that limit was set.
        amounts: The most that the call would use, by meter.
        error: What the call would raise.
    """

    allowed: bool
    reason: str = ""
    scope: str = ""
    meter: str = ""
    window: str = ""
    limit: int | None = None
    spent: int = 0
    reserved: int = 0
    requested: int = 0
    source: str = ""
    amounts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    error: SolventError | None = field(default=None, compare=False)

    def __bool__(self) -> bool:
        return self.allowed

    def __str__(self) -> str:
        return "allowed" if self.allowed else self.reason

    def __repr__(self) -> str:
        return f"<solvent.Decision {'' if self.allowed else 'refused: '}{self}>"

    @property
    def remaining(self) -> int | None:
        """
        What the limit that decides leaves; ``None`` where none does.
        """
        return None if self.limit is None else self.limit - self.spent - self.reserved


class Decider:
    """
    Answers the question with what the authorizer knows; yields looks at the ledger, and changes nothing.
    """

    def __init__(self, authorizer: Authorizer, checks: Checks, clock: Clock) -> None:
        self._authorizer = authorizer
        self._checks = checks
        self._clock = clock

    def decide(self, call: Call, scope: Scope, within: tuple[str, ...] = ()) -> Flow[Decision]:
        rules, at = self._authorizer.limits.rules(scope), utc(self._clock.now_ns())
        checked = self._checks.on_path(scope, rules, begins=False)
        for on_exceed, passed in checked.passed:
            if on_exceed == "block":
                return _no(passed)
        charges = Charges.on(scope, rules.blocking, rules.policy.call, ())
        try:
            bound = self._authorizer.cheap_bound(call, charges, rules, at=at)
            amounts = charges.amounts(bound, retry=bool(call.retry))
        except SolventError as error:
            return _no(error)
        refusal = charges.call_refusal(bound)
        if refusal is not None:
            return _no(_exceeded(charges, refusal, at), amounts)
        for place in dict.fromkeys(account.scope for account, _ in charges.places):
            found = {balance.account: balance for balance in (yield Look(place))}
            for account, limit in charges.places:
                balance = standing(account, limit, found)
                amount = amounts.get(account.meter, 0)
                if account.scope == place and _is_over(balance, amount):
                    # What the calls around it hold never comes free for it, and nobody tells how much that is.
                    held = not within and balance.spent + amount <= (balance.limit or 0)
                    source = charges.source(balance)
                    return _no(exceeded(balance, requested=amount, source=source, now=at, held=held), amounts)
        return Decision(allowed=True, amounts=MappingProxyType(amounts))


def standing(account: Account, limit: Limit | None, found: Mapping[Account, Balance]) -> Balance:
    """
    An account with the limit that a charge would be held to: what the ledger was told itself, else the given one.
    """
    balance = found.get(account, Balance(account=account))
    if balance.limit is None and limit is not None:
        most = limit_in_force(limit.amount, override=None, topped_up=balance.topped_up)
        balance = replace(balance, limit=most)
    return balance


def _is_over(balance: Balance, amount: int) -> bool:
    return balance.limit is not None and balance.spent + balance.reserved + amount > balance.limit


def _exceeded(charges: Charges, refusal: Refusal, at: datetime) -> BudgetExceeded:
    balance = refusal.balance
    return exceeded(balance, requested=refusal.charge.amount, source=charges.source(balance), now=at)


def _no(error: SolventError, amounts: Mapping[str, int] = MappingProxyType({})) -> Decision:
    amounts = MappingProxyType(dict(amounts))
    if not isinstance(error, BudgetExceeded):
        return Decision(allowed=False, reason=str(error).partition("\n")[0], amounts=amounts, error=error)
    return Decision(
        allowed=False,
        reason=error.headline(),
        scope=error.scope,
        meter=error.meter,
        window=error.window,
        limit=error.limit,
        spent=error.spent,
        reserved=error.reserved,
        requested=error.requested,
        source=error.source,
        amounts=amounts,
        error=error,
    )
