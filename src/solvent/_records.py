"""
The records of the ledger: accounts and their balances, the limits of a path, and the journal's entries.

Records form no cycles, so the garbage collector need not look at them (``gc=False``).
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from msgspec import Struct, json, msgpack

from solvent._amounts import AMOUNT_MAX, check_amount
from solvent._limits import METERS, check_scope, check_window

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
_INTEGER_MAX = 2**63 - 1  # Of the columns of a database.
CHARGES_MAX = 256  # 16 segments of a path × 16 accounts each.

_encoder = msgpack.Encoder()


Place = tuple[str, str]  # A scope and a window kind: every meter of the calls that are charged to it is counted there.


class Account(Struct, frozen=True, gc=False, order=True, cache_hash=True):
    """
    One counter in a store: a scope, a meter and a window kind.
    """

    scope: str
    meter: str
    window: str = ""

    @property
    def place(self) -> Place:
        return self.scope, self.window


class Balance(Struct, frozen=True, gc=False, kw_only=True):
    """
    What one account holds in the window that counts now.

    Attributes:
        limit: The limit in force: the charge's or the store's override, and top-ups; ``None`` without one.
        spent, reserved: Settled, and set aside by open reservations.
        overrun: Of what was spent, settled above what was reserved.
        topped_up: Of the limit in force, top-ups; known also where no limit is.
    """

    account: Account
    limit: int | None = None
    spent: int = 0
    reserved: int = 0
    overrun: int = 0
    topped_up: int = 0

    @property
    def remaining(self) -> int | None:
        """
        ``limit - spent - reserved``; negative after an overrun, ``None`` without a limit.
        """
        return None if self.limit is None else self.limit - self.spent - self.reserved


class CallRecord(Struct, frozen=True, gc=False, kw_only=True):
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

    def __post_init__(self) -> None:
        """
        Raises:
            ValueError: A field is nothing that every store can keep.
        """
        if self.decision not in (None, "admitted", "refused"):
            raise ValueError(f"decision must be admitted or refused, got {self.decision!r:.300}")
        try:  # At once what is right at once, for field by field takes five times as long.
            _encoder.encode(self)
            largest = max(self.bound_nanodollars or 0, self.cost_nanodollars or 0, self.attempt or 0)
            if largest <= _INTEGER_MAX and (self.started or 0) <= _INTEGER_MAX and (self.ended or 0) <= _INTEGER_MAX:
                return
        except (OverflowError, TypeError, UnicodeEncodeError):
            pass
        for name in self.__struct_fields__:
            check_field(name, getattr(self, name))


NO_CALL = CallRecord()
BRANCHES = "branches"  # The format of an entry that is no call: the branches of a fan-out.


class Terms(Struct, frozen=True, gc=False, cache_hash=True):
    """
    What calls of one path are held to: its accounts, each with the limit in force (``None``: counted, not limited).

    They stay the same from call to call, so a store may keep what it derives from them.
    """

    accounts: tuple[Account, ...]
    limits: tuple[int | None, ...]

    def __post_init__(self) -> None:
        if not self.accounts:
            raise ValueError("a reservation needs at least one charge")
        if len(self.accounts) > CHARGES_MAX:
            raise ValueError(f"a reservation has at most {CHARGES_MAX} charges, got {len(self.accounts)}")
        if len(set(self.accounts)) != len(self.accounts):
            twice = next(account for account in self.accounts if self.accounts.count(account) > 1)
            raise ValueError(f"an account may stand in a reservation once, got {twice} more than once")
        for account, limit in zip(self.accounts, self.limits, strict=True):
            check_account(account)
            if limit is not None:
                check_amount(f"limit of {account.meter}", limit)

    @classmethod
    def of(cls, limits: Mapping[Account, int | None]) -> Self:
        return cls(tuple(limits), tuple(limits.values()))

    @property
    def places(self) -> tuple[Place, ...]:
        """
        The places of these accounts, each once, in their order.
        """
        return tuple(dict.fromkeys(account.place for account in self.accounts))


class Change(Struct, frozen=True, gc=False, kw_only=True):
    """
    What an entry changes in each of its places: by meter, amounts added or (negative) taken away.
    """

    reserved: Mapping[str, int] = {}
    spent: Mapping[str, int] = {}
    overrun: Mapping[str, int] = {}
    topped_up: Mapping[str, int] = {}


class Posting(Struct, frozen=True, gc=False):
    """
    What an entry changes in one account: amounts added to (or, negative, taken from) the balance of a bucket.

    ``limit`` is the one that travelled in the charge, or the one that was set.
    """

    account: Account
    bucket: int
    reserved: int = 0
    spent: int = 0
    overrun: int = 0
    topped_up: int = 0
    limit: int | None = None


class Entry(Struct, frozen=True, gc=False, kw_only=True):
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


def check_amounts(what: str, amounts: Mapping[str, int]) -> None:
    """
    Raises:
        ValueError: A meter is none, or an amount is no whole number within ``0..AMOUNT_MAX``.
    """
    for meter, amount in amounts.items():
        if type(amount) is not int or not 0 <= amount <= AMOUNT_MAX or meter not in _METERS:
            check_meter(meter)
            check_amount(f"{what} {meter}", amount)


_METERS = frozenset(METERS)


def check_field(name: str, value: object) -> None:
    """
    Raises:
        ValueError: It is nothing that every store can keep: half a character, or an integer of more than 64 bits.
    """
    if type(value) is int and not -_INTEGER_MAX <= value <= _INTEGER_MAX:
        raise ValueError(f"{name} must be within -(2^63 - 1) and 2^63 - 1, got {value}")
    try:
        json.encode(value)
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must be text that UTF-8 can write, got {value!r:.300}") from error
    except TypeError as error:
        raise ValueError(f"{name} must be what JSON can write, got {value!r:.300}") from error


def check_account(account: Account) -> None:
    """
    Raises:
        ValueError: Its scope, meter or window is none.
    """
    check_scope(account.scope)
    check_meter(account.meter)
    check_window(account.window)


def check_meter(meter: str) -> None:
    if meter not in _METERS:
        raise ValueError(f"meter must be one of {', '.join(METERS)}, got {meter!r}")
