"""
The rule of the ledger, pure: what may be reserved, how a reservation closes, what is written down.

A store keeps balances and records and applies this rule in one atomic step. No clock, driver or setting is known here.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from solvent._amounts import AMOUNT_MAX, check_amount
from solvent._limits import CHECKED_METERS, GAUGES

State = Literal["open", "settled", "released", "expired", "corrected"]
Kind = Literal[
    "close",
    "correct",
    "expire",
    "open",
    "opening_balance",
    "refuse",
    "release",
    "reserve",
    "set_limit",
    "settle",
    "top_up",
]
CHARGES_MAX = 256  # 16 segments of a path × 16 accounts each.


class Account(Struct, frozen=True, order=True):
    """
    One counter in a store: a scope, a meter and a window kind.
    """

    scope: str
    meter: str
    window: str = ""


class Charge(Struct, frozen=True, kw_only=True):
    """
    An amount for one account, and the limit in force that travels with it (``None``: no limit).
    """

    account: Account
    amount: int
    limit: int | None = None

    def __post_init__(self) -> None:
        check_amount(f"amount of {self.account.meter}", self.amount)
        if self.limit is not None:
            check_amount(f"limit of {self.account.meter}", self.limit)


class Balance(Struct, frozen=True, kw_only=True):
    """
    What one account holds in the window that counts now.

    Attributes:
        limit: The limit in force: the charge's or the store's override, and top-ups; ``None`` without one.
        spent, reserved: Settled, and set aside by open reservations.
        overrun: Of what was spent, settled above what was reserved.
    """

    account: Account
    limit: int | None = None
    spent: int = 0
    reserved: int = 0
    overrun: int = 0

    @property
    def remaining(self) -> int | None:
        """
        ``limit - spent - reserved``; negative after an overrun, ``None`` without a limit.
        """
        return None if self.limit is None else self.limit - self.spent - self.reserved


class CallRecord(Struct, frozen=True, kw_only=True):
    """
    What the journal keeps of one call (DESIGN §12). Unknown is ``None``, which is not zero.

    Never a prompt, a reply, a query string, an upstream error body or an argument.
    """

    provider: str | None = None
    format: str | None = None
    model_asked: str | None = None
    model_used: str | None = None
    tier: str | None = None
    stream: bool | None = None
    usage: Mapping[str, int] | None = None
    bound_nanodollars: int | None = None
    bound_parts: Sequence[Mapping[str, str | int | None]] | None = None
    cost_nanodollars: int | None = None
    price_source: str | None = None
    estimated: str | None = None  # Why the cost is a bound rather than the provider's count; None when it is not.
    decision: Literal["admitted", "refused"] | None = None
    reason: str | None = None  # Why it was refused or released, or why a run ended.
    rungs: Sequence[str] | None = None  # Of the ladder, those that were taken: "prefix", "wait 1.2 s", "shrink 513".
    parent_id: str | None = None
    attempt: int | None = None
    fingerprint: str | None = None
    started: int | None = None  # Nanoseconds since 1970, UTC.
    ended: int | None = None
    status: str | None = None  # The HTTP status, or what came in its place: "cut", "client_gone", "not_sent".


class Reserve(Struct, frozen=True, kw_only=True):
    """
    Set amounts aside in all accounts of ``charges``, or in none.

    Attributes:
        id: Made by the caller before the first send; the same again gets the recorded answer.
        scope: The whole path of the call.
        ttl_seconds: When it expires if nothing closes or extends it.
    """

    id: str
    scope: str
    charges: tuple[Charge, ...]
    ttl_seconds: float = 120
    call: CallRecord = field(default_factory=CallRecord)

    def __post_init__(self) -> None:
        if not self.charges:
            raise ValueError("a reservation needs at least one charge")
        if len(self.charges) > CHARGES_MAX:
            raise ValueError(f"a reservation has at most {CHARGES_MAX} charges, got {len(self.charges)}")
        if len({charge.account for charge in self.charges}) != len(self.charges):
            raise ValueError("an account may stand in a reservation once")

    @property
    def fingerprint(self) -> str:
        """
        What a repeated id must agree on: the path and the amounts, not the limits.
        """
        accounts = [(charge.account, charge.amount) for charge in self.charges]
        contents = [(account.scope, account.meter, account.window, amount) for account, amount in accounts]
        return hashlib.blake2b(repr((self.scope, contents)).encode(), digest_size=12).hexdigest()


class Extend(Struct, frozen=True, kw_only=True):
    """
    The owner is alive; ``so_far`` is what was used until now, by meter.
    """

    id: str
    ttl_seconds: float = 120
    so_far: Mapping[str, int] = field(default_factory=dict)


class Settle(Struct, frozen=True, kw_only=True):
    """
    Close at the actual amounts, by meter; a meter that is not named closes at what was reserved.

    After an expiry it is the one correction.
    """

    id: str
    actual: Mapping[str, int]
    call: CallRecord = field(default_factory=CallRecord)

    def __post_init__(self) -> None:
        for meter, amount in self.actual.items():
            check_amount(f"actual {meter}", amount)


class Release(Struct, frozen=True, kw_only=True):
    """
    Close at zero, for the call surely never reached the provider.
    """

    id: str
    reason: str
    call: CallRecord = field(default_factory=CallRecord)


class Note(Struct, frozen=True, kw_only=True):
    """
    An entry that changes no balance: a refusal, or a run that opens or closes.

    ``charges`` of a refusal hold what was asked; those of an opening hold the limits in force, at amount 0.
    """

    kind: Literal["refuse", "open", "close"]
    id: str
    scope: str
    charges: tuple[Charge, ...] = ()
    call: CallRecord = field(default_factory=CallRecord)


Operation = Reserve | Extend | Settle | Release | Note


class Reserved(Struct, frozen=True, kw_only=True):
    """
    The answer to ``Reserve``: an open reservation, and the balances after it, one per charge.
    """

    id: str
    state: State
    balances: tuple[Balance, ...]


class Refusal(Struct, frozen=True, kw_only=True):
    """
    The answer to ``Reserve`` that changes nothing: the first charge that did not fit.

    Attributes:
        charge, balance: That charge, and its account as it stands.
        balances: Every account of the request as it stands, in the order of its charges.
        open_count: Open reservations that hold amounts in the failing account.
    """

    charge: Charge
    balance: Balance
    balances: tuple[Balance, ...]
    open_count: int = 0

    @property
    def would_fit_alone(self) -> bool:
        """
        Only reservations are in the way: with none of them open the charge would fit.
        """
        return self.balance.limit is not None and self.balance.spent + self.charge.amount <= self.balance.limit


class Closed(Struct, frozen=True, kw_only=True):
    """
    The answer to ``Settle`` and ``Release``: how the reservation is closed, the first time and ever after.

    Attributes:
        overrun: By meter, what was settled above what was reserved.
        run_total_nanodollars: Spent by the call's run, this call included; ``None`` outside a run.
    """

    id: str
    state: State
    balances: tuple[Balance, ...]
    overrun: Mapping[str, int]
    run_total_nanodollars: int | None = None


class Done(Struct, frozen=True, kw_only=True):
    """
    The answer to ``Extend`` and ``Note``.
    """

    id: str


Answer = Reserved | Refusal | Closed | Done


class Posting(Struct, frozen=True):
    """
    What an entry changes in one account: amounts added to (or, negative, taken from) the balance of a bucket.

    ``limit`` is the one that travelled in the charge; it changes nothing.
    """

    account: Account
    bucket: int
    reserved: int = 0
    spent: int = 0
    overrun: int = 0
    limit: int | None = None


class Entry(Struct, frozen=True, kw_only=True):
    """
    One line of the journal. Entries are only ever added, and sums over their postings equal the balances.
    """

    seq: int
    at: int  # Nanoseconds since 1970, UTC.
    kind: Kind
    id: str
    scope: str
    postings: tuple[Posting, ...]
    run_total_nanodollars: int | None
    call: CallRecord


def limit_in_force(charge_limit: int | None, *, override: int | None, topped_up: int) -> int | None:
    """
    The limit that decides: the store's override, else the one that travels in the charge; and all top-ups on it.
    """
    limit = charge_limit if override is None else override
    return None if limit is None else min(limit + topped_up, AMOUNT_MAX)


def first_failing(charges: Sequence[Charge], balances: Sequence[Balance]) -> int | None:
    """
    The position of the first charge that does not fit, or ``None`` when all of them hold.

    A charge fits when ``spent + reserved + amount ≤ limit``. A checked meter asks with amount 0, so it fails once more
    was booked than the limit allows.
    """
    for position, (charge, balance) in enumerate(zip(charges, balances, strict=True)):
        if balance.limit is not None and balance.spent + balance.reserved + charge.amount > balance.limit:
            return position
    return None


def settled_amount(account: Account, *, reserved: int, actual: Mapping[str, int]) -> int:
    """
    What a closing books for one charge: the actual amount, the reserved one where none is named, 0 for a gauge.
    """
    return 0 if account.meter in GAUGES else actual.get(account.meter, reserved)


def expired_amount(account: Account, *, reserved: int, so_far: Mapping[str, int]) -> int:
    """
    What an expiry books for one charge: all of it, or what was used so far where that is more; 0 for a gauge.
    """
    return 0 if account.meter in GAUGES else max(reserved, so_far.get(account.meter, 0))


def overrun_amount(account: Account, *, reserved: int, booked: int) -> int:
    """
    What was booked above what was reserved; a checked meter is never reserved, so it has none.
    """
    return 0 if account.meter in CHECKED_METERS else max(booked - reserved, 0)


def closing(
    holds: Sequence[Posting], *, booked: Callable[[Account, int], int]
) -> tuple[tuple[Posting, ...], dict[str, int]]:
    """
    The postings that close a reservation, and its overruns by meter.

    Args:
        holds: The postings of the reserve entry.
        booked: What to book for an account and its reserved amount.
    """
    postings, overruns = [], {}
    for hold in holds:
        amount = booked(hold.account, hold.reserved)
        overrun = overrun_amount(hold.account, reserved=hold.reserved, booked=amount)
        if overrun:
            overruns[hold.account.meter] = overrun
        postings.append(Posting(hold.account, hold.bucket, -hold.reserved, amount, overrun, hold.limit))
    return tuple(postings), overruns


def correction(closed: Sequence[Posting], *, booked: Callable[[Account, int], int]) -> tuple[Posting, ...]:
    """
    The postings that turn an expiry's full charge into the true one, which came late.
    """
    postings = []
    for posting in closed:
        held = -posting.reserved
        amount = booked(posting.account, held)
        overrun = overrun_amount(posting.account, reserved=held, booked=amount)
        postings.append(replace(posting, reserved=0, spent=amount - posting.spent, overrun=overrun - posting.overrun))
    return tuple(postings)


def carries_run_total(account: Account) -> bool:
    """
    Whether this is the account of everything that a run has spent: its own, in dollars, over its whole life.
    """
    last = account.scope.rpartition("/")[2]
    return last.startswith("run:") and account.meter == "usd" and account.window == ""


def expired_call(call: CallRecord, *, ended: int) -> CallRecord:
    """
    The record of a call whose end no one saw: its bound is what it costs.
    """
    return replace(call, cost_nanodollars=call.bound_nanodollars, estimated="expired", ended=ended, status="expired")
