"""
What a call is charged, what is in its way, and how far it could be cut to fit: the pure part of the ladder (DESIGN §7).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from msgspec import Struct
from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX
from solvent._booking import Booking
from solvent._estimate import Bound
from solvent._ledger import limit_in_force
from solvent._limits import Limit, Scope, resets_at
from solvent._operations import Charge, Refusal
from solvent._records import Account, Balance, Terms
from solvent.errors import BudgetExceeded, Unbounded
from solvent.wire._call import Call

PROMPT_METERS = frozenset({"usd", "tokens", "input_tokens"})  # A bound of the input decides about these.
OUTPUT_METERS = frozenset({"usd", "tokens", "output_tokens"})
BOUNDED_METERS = PROMPT_METERS | {"output_tokens"}
# Stands in for an output that nothing caps, so that the ladder can ask how much of it would fit. No model writes more.
OUTPUT_UNKNOWN = 2**31 - 1
CALL = "call"  # The scope that a limit of a single call is reported under; it has no account.


@dataclass(frozen=True)  # Not slotted: it serves many calls, so what they ask of it is kept.
class Charges:
    """
    The accounts on a call's path, each with the limit in force (``None``: counted, not limited).

    A run's own dollars and calls are always counted: they carry its running total.

    Attributes:
        per_call: Limits of the single call that refuse; they have no account.
        watched: Limits that only tell, of accounts and (under the scope ``CALL``) of the single call.
    """

    places: tuple[tuple[Account, Limit | None], ...]
    per_call: tuple[Limit, ...] = ()
    watched: tuple[tuple[Account, Limit], ...] = ()

    @staticmethod
    @lru_cache(maxsize=1_024)
    def on(
        scope: Scope,
        limits: tuple[tuple[str, Limit], ...],
        per_call: tuple[Limit, ...],
        watched: tuple[tuple[str, Limit], ...] = (),
    ) -> "Charges":
        places: dict[Account, Limit | None] = {
            Account(place, limit.meter, limit.window_key): limit for place, limit in limits
        }
        told = [(Account(place, limit.meter, limit.window_key), limit) for place, limit in watched]
        for account, _ in told:
            places.setdefault(account, None)
        told += [(Account(CALL, limit.meter), limit) for limit in per_call if limit.on_exceed != "block"]
        run = next((part for part in scope.path() if part.parts[-1][0] == "run"), scope)
        for meter in ("usd", "calls"):
            places.setdefault(Account(str(run), meter), None)
        refuse = tuple([limit for limit in per_call if limit.on_exceed == "block"])
        return Charges(tuple(places.items()), refuse, tuple(told))

    @cached_property
    def terms(self) -> Terms:
        return Terms.of({account: limit.amount if limit else None for account, limit in self.places})

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        return tuple(account for account, _ in self.places)

    @cached_property
    def limited(self) -> frozenset[str]:
        """
        The meters that some limit on the path (or of the call itself) needs to know.
        """
        meters = {account.meter for account, limit in self.places if limit is not None}
        return frozenset(meters | {limit.meter for limit in self.per_call})

    def source(self, balance: Balance) -> str:
        """
        Where the limit of a balance was set.
        """
        account = balance.account
        limits: dict[Account, Limit | None] = dict(self.places)
        limit = limits.get(account)
        if account.scope == CALL:
            limit = next((limit for limit in self.per_call if limit.meter == account.meter), None)
        own = limit_in_force(limit.amount if limit else None, override=None, topped_up=balance.topped_up)
        return limit.source if limit is not None and own == balance.limit else "solvent ledger set-limit"

    def amounts(self, bound: Bound, *, retry: bool) -> dict[str, int]:
        """
        What a call so bounded is charged, by meter. What has no bound and no limit is counted when it is known.
        """
        amounts = {"calls": 1, "parallel": 1, "retries": int(retry)}
        for meter in BOUNDED_METERS:
            amount = bound.amount(meter)
            if amount is not None:
                amounts[meter] = min(amount, AMOUNT_MAX)  # No ledger holds more, and no limit is higher.
            elif meter in self.limited:  # Nothing would be set aside for it, and the limit would hold nothing.
                raise Unbounded(part=bound.unbounded or "this call", meter=meter, remedy="cap what it may use")
        return amounts

    def passed(self, balances: Sequence[Balance], amounts: Mapping[str, int]) -> list[tuple[Limit, Balance]]:
        """
        The limits that only tell and would have refused a call of these amounts, each with its account before the call.

        Args:
            balances: Of the call's reservation.
        """
        found, standing = [], {balance.account: balance for balance in balances}
        for account, limit in self.watched:
            amount = amounts.get(account.meter, 0)
            balance = standing.get(account, Balance(account=account, reserved=amount))
            most = limit_in_force(limit.amount, override=None, topped_up=balance.topped_up)
            if balance.spent + balance.reserved > (most or 0):
                found.append((limit, replace(balance, limit=most, reserved=balance.reserved - amount)))
        return found

    def call_refusal(self, bound: Bound) -> Refusal | None:
        """
        A refusal by a limit of the single call, which has no account; ``None`` when all of them hold.
        """
        for limit in self.per_call:
            amount = bound.amount(limit.meter) or 0
            if amount > limit.amount:
                account = Account(CALL, limit.meter)
                charge = Charge(account=account, amount=amount, limit=limit.amount)
                balance = Balance(account=account, limit=limit.amount)
                return Refusal(charge=charge, balance=balance, balances=(balance,))
        return None


class Obstacle(Struct, frozen=True):
    """
    What keeps a call from fitting: one charge, its balance, and whether waiting can help.
    """

    charge: Charge
    balance: Balance
    passes: bool


def obstacle(refusal: Refusal, amounts: Mapping[str, int], *, wait_seconds: float, now: datetime) -> Obstacle:
    """
    The charge that decides: one that no waiting can help, if there is one, else the first that is held.
    """
    held = None
    for balance in refusal.balances:
        charge = refusal.charge
        if balance.account.scope != CALL:  # The amounts may be those of a shrunk call by now.
            amount = amounts.get(balance.account.meter, 0)
            charge = Charge(account=balance.account, amount=amount, limit=balance.limit)
        if balance.limit is None or balance.spent + balance.reserved + charge.amount <= balance.limit:
            continue
        if not _passes(refusal, charge, balance, wait_seconds=wait_seconds, now=now):
            return Obstacle(charge, balance, passes=False)
        held = held or Obstacle(charge, balance, passes=True)
    return held or Obstacle(refusal.charge, refusal.balance, passes=True)


def _passes(refusal: Refusal, charge: Charge, balance: Balance, *, wait_seconds: float, now: datetime) -> bool:
    assert balance.limit is not None
    if charge.amount > balance.limit:
        return False
    if refusal.fits_alone(balance, charge.amount) or charge.account.window == "minute":
        return True
    reset = resets_at(charge.account.window, now=now)
    return reset is not None and (reset - now).total_seconds() <= wait_seconds


def exceeded(
    balance: Balance,
    *,
    requested: int,
    source: str,
    now: datetime,
    open_count: int = 0,
    held: bool = False,
    output_tokens_affordable: int | None = None,
    output_tokens_least: int | None = None,
    as_written: int | None = None,
) -> BudgetExceeded:
    """
    The error for an amount that does not fit into a balance.
    """
    account = balance.account
    assert balance.limit is not None
    return BudgetExceeded(
        scope=account.scope,
        meter=account.meter,
        window=account.window,
        limit=balance.limit,
        spent=balance.spent,
        reserved=balance.reserved,
        requested=requested,
        open_count=open_count,
        source=source,
        resets_at=resets_at(account.window, now=now),
        held=held,
        output_tokens_affordable=output_tokens_affordable,
        output_tokens_least=output_tokens_least,
        as_written=as_written,
        now=now,
    )


def affordable(
    balances: Sequence[Balance], per_call: Sequence[Limit], *, most: int, bound_at: Callable[[int], Bound]
) -> int:
    """
    The largest output cap that fits into what remains, the tightest limit deciding; 0 when none does.

    Args:
        balances: The limited accounts as they stand.
        most: The cap is not above this.
        bound_at: The call's bound under a cap; every amount of it rises with the cap.
    """
    rooms = [(b.account.meter, b.remaining) for b in balances if b.remaining is not None]
    rooms += [(limit.meter, limit.amount) for limit in per_call]
    rooms = [(meter, room) for meter, room in rooms if meter in BOUNDED_METERS]

    def fits(cap: int) -> bool:
        bound = bound_at(cap)
        return all((amount := bound.amount(meter)) is not None and amount <= (room or 0) for meter, room in rooms)

    low, high = 0, most
    if not fits(0):
        return 0
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def actual(booking: Booking) -> Mapping[str, int]:
    """
    What a settlement books, by meter. A meter that is not named closes at what was reserved.
    """
    amounts = {"calls": 1}
    if booking.cost_nanodollars is not None:
        amounts["usd"] = booking.cost_nanodollars
    if booking.usage is not None:
        usage = booking.usage
        amounts["input_tokens"], amounts["output_tokens"] = usage.input_tokens, usage.output_tokens
        amounts["tokens"], amounts["tool_calls"] = usage.tokens, usage.tool_calls
    return {meter: min(amount, AMOUNT_MAX) for meter, amount in amounts.items()}


def remedy(call: Call, bound: Bound) -> str:
    """
    How to go on with a call that has no bound.
    """
    if call.stated is not None:
        what = "input_tokens and output_tokens" if call.stated.has_model else "usd, or a model with its tokens"
        return f"say the most that it can use ({what})"
    if call.server_tools:
        return "cap the tool's uses in the request (max_uses, max_tool_calls), or run without that limit"
    if bound.output_tokens is None and not call.unbounded:
        return f"name an output cap in the request, or give the price of {call.model} with its largest output"
    return "leave that part out, or run without that limit"
