"""
What a store is asked, and what it answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Self

from msgspec import Struct

from solvent._amounts import check_amount
from solvent._limits import check_scope
from solvent._records import (
    NO_CALL,
    Account,
    Balance,
    CallRecord,
    State,
    Terms,
    check_account,
    check_amounts,
    check_field,
)

TTL_SECONDS_MAX = 366 * 86_400
ID_CHARACTERS_MAX = 256


class Charge(Struct, frozen=True, gc=False, kw_only=True):
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


class Reserve(Struct, frozen=True, gc=False, kw_only=True):
    """
    Set amounts aside in every place of ``terms``, or in none.

    Attributes:
        id: Made by the caller before the first send; the same again gets the recorded answer.
        scope: The whole path of the call.
        amounts: By meter. One that is not named is counted when it is known, and cannot overrun.
        ttl_seconds: When it expires if nothing closes or extends it.
        within: Open reservations that this one is part of. They end after it, so waiting for them would never end.
    """

    id: str
    scope: str
    terms: Terms
    amounts: Mapping[str, int]
    ttl_seconds: float = 120
    call: CallRecord = NO_CALL
    within: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        check_scope(self.scope)
        check_amounts("amount of", self.amounts)
        _check_ttl(self.ttl_seconds)

    @classmethod
    def of(
        cls, *, id: str, scope: str, charges: Iterable[Charge], ttl_seconds: float = 120, call: CallRecord = NO_CALL
    ) -> Self:
        """
        A reservation of these charges; a meter has one amount, whatever account it stands in.
        """
        charges = tuple(charges)
        amounts: dict[str, int] = {}
        for charge in charges:
            meter = charge.account.meter
            if amounts.setdefault(meter, charge.amount) != charge.amount:
                raise ValueError(f"a call has one amount of {meter}, got {amounts[meter]} and {charge.amount}")
        terms = Terms(tuple(charge.account for charge in charges), tuple(charge.limit for charge in charges))
        return cls(id=id, scope=scope, terms=terms, amounts=amounts, ttl_seconds=ttl_seconds, call=call)

    @property
    def charges(self) -> tuple[Charge, ...]:
        return tuple(
            Charge(account=account, amount=self.amounts.get(account.meter, 0), limit=limit)
            for account, limit in zip(self.terms.accounts, self.terms.limits, strict=True)
        )

    def is_same(self, scope: str, accounts: Sequence[Account], amounts: Mapping[str, int]) -> bool:
        """
        What a repeated id must agree on: the path and the amounts, not the limits.
        """
        return self.scope == scope and self.terms.accounts == tuple(accounts) and self.amounts == amounts


class Extend(Struct, frozen=True, gc=False, kw_only=True):
    """
    The owner is alive; ``so_far`` is what was used until now, by meter. What comes late takes nothing back.
    """

    id: str
    ttl_seconds: float = 120
    so_far: Mapping[str, int] = {}

    def __post_init__(self) -> None:
        check_amounts("so far,", self.so_far)
        _check_ttl(self.ttl_seconds)


class Settle(Struct, frozen=True, gc=False, kw_only=True):
    """
    Close at the actual amounts, by meter; a meter that is not named closes at what was reserved.

    After an expiry it is the one correction.
    """

    id: str
    actual: Mapping[str, int]
    call: CallRecord = NO_CALL

    def __post_init__(self) -> None:
        check_amounts("actual", self.actual)


class Release(Struct, frozen=True, gc=False, kw_only=True):
    """
    Close at zero, for the call surely never reached the provider.
    """

    id: str
    reason: str
    call: CallRecord = NO_CALL

    def __post_init__(self) -> None:
        check_field("reason", self.reason)


class Note(Struct, frozen=True, gc=False, kw_only=True):
    """
    An entry that changes no balance: a refusal, or a run that opens or closes.

    ``terms`` of a refusal name the account that was in the way; those of an opening all limits in force.
    """

    kind: Literal["refuse", "open", "close"]
    id: str
    scope: str
    terms: Terms | None = None
    call: CallRecord = NO_CALL

    def __post_init__(self) -> None:
        _check_id(self.id)
        check_scope(self.scope)
        if self.kind not in ("refuse", "open", "close"):
            raise ValueError(f"a note's kind is refuse, open or close, got {self.kind!r}")


class TopUp(Struct, frozen=True, gc=False, kw_only=True):
    """
    Raise the limit of one account, whatever it is, for the window that counts now.
    """

    id: str
    account: Account
    amount: int
    reason: str = ""

    def __post_init__(self) -> None:
        _check_id(self.id)
        check_account(self.account)
        check_amount(f"top-up of {self.account.meter}", self.amount)
        check_field("reason", self.reason)


class SetLimit(Struct, frozen=True, gc=False, kw_only=True):
    """
    Put a limit in force for one account in place of those that come with charges; ``None`` lets those count again.

    It may be below what is spent: then nothing more is admitted.
    """

    id: str
    account: Account
    limit: int | None
    reason: str = ""

    def __post_init__(self) -> None:
        _check_id(self.id)
        check_account(self.account)
        if self.limit is not None:
            check_amount(f"limit of {self.account.meter}", self.limit)
        check_field("reason", self.reason)


Operation = Reserve | Extend | Settle | Release | Note | TopUp | SetLimit


class Reserved(Struct, frozen=True, gc=False, kw_only=True):
    """
    The answer to ``Reserve``: an open reservation, and the balances after it, one per charge.
    """

    id: str
    state: State
    balances: Sequence[Balance]


class Refusal(Struct, frozen=True, gc=False, kw_only=True):
    """
    The answer to ``Reserve`` that changes nothing: the first charge that did not fit.

    Attributes:
        charge, balance: That charge, and its account as it stands.
        balances: Every account of the request as it stands, in the order of its charges, then those that the store
            itself limits.
        open_count: Open reservations that hold amounts in the failing account, in the window that counts now.
        own: Of what is reserved in each account now, how much the request's own ``within`` hold.
    """

    charge: Charge
    balance: Balance
    balances: Sequence[Balance]
    open_count: int = 0
    own: Mapping[Account, int] = {}

    @property
    def would_fit_alone(self) -> bool:
        """
        Only other reservations are in the way: with none of them open the charge would fit.
        """
        return self.fits_alone(self.balance, self.charge.amount)

    def fits_alone(self, balance: Balance, amount: int) -> bool:
        stays = balance.spent + self.own.get(balance.account, 0)
        return balance.limit is None or stays + amount <= balance.limit


class Closed(Struct, frozen=True, gc=False, kw_only=True):
    """
    The answer to ``Settle`` and ``Release``: how the reservation is closed, the first time and ever after. What expires
    is told in the same words.

    Attributes:
        before: The balances as they stood right before, in the same order; empty where it was closed already.
        overrun: By meter, what was settled above what was reserved.
        run_total_nanodollars: Spent by the call's run, this call included; ``None`` outside a run.
    """

    id: str
    state: State
    balances: Sequence[Balance]
    overrun: Mapping[str, int]
    before: Sequence[Balance] = ()
    run_total_nanodollars: int | None = None


class Done(Struct, frozen=True, gc=False, kw_only=True):
    """
    The answer to all other operations.
    """

    id: str


Answer = Reserved | Refusal | Closed | Done


def _check_id(id: object) -> None:
    if type(id) is not str or not 1 <= len(id) <= ID_CHARACTERS_MAX or not id.isprintable():
        raise ValueError(f"id must be a printable text of 1 to {ID_CHARACTERS_MAX} characters, got {id!r:.300}")


def _check_ttl(seconds: object) -> None:
    if type(seconds) not in (int, float) or not 0 <= seconds <= TTL_SECONDS_MAX:  # type: ignore[operator]  # A number.
        raise ValueError(f"ttl_seconds must be a number within 0 and {TTL_SECONDS_MAX}, got {seconds!r}")
