"""
What a bill and the journal say of the same calls, and what became of the difference.

Amounts are nanodollars, and a difference is always the bill less the journal.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct, field

# What a bill counts, each token in one of them; a search is counted and no token.
KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "web_search")
TOKEN_KINDS = KINDS[:-1]
EXPLANATIONS = (
    "estimated",
    "failed",
    "outside",
    "missing",
    "boundary",
    "price",
    "tier",
    "unpriced",
    "credit",
    "rounding",
)

Key = tuple[int, str]  # A day (since 1970, UTC) and a model.
Tokens = Mapping[str, int]  # By kind.

NOT_TOLD = ""  # The model of a line that names none.


class BillError(Exception):
    """
    Raised for a bill that cannot be read; its text says where, what was expected, and what was there.
    """


class NothingBooked(BillError):
    """
    Raised for a bill of days on which the journal has no calls.
    """


class Charge(Struct, frozen=True, gc=False, kw_only=True):
    """
    One line of a bill. What it does not tell is ``None``; a line that tells nothing says that its day is covered.

    Attributes:
        day: Since 1970, UTC.
        where: File and line, or the place in a JSON file.
        id: Of the request that it is for, where it is for one.
        usage_of: Which of several usages that a provider tells apart it is of; empty where it tells one.
        model: The model, or what else it is for: ``web search tool calls``.
        cost: Dollars, exactly as written; negative for a credit.
        kind: What the cost is for, if for one kind of tokens alone.
    """

    day: int
    where: str
    id: str | None = None
    usage_of: str = ""
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    cost: Decimal | None = None
    kind: str | None = None
    requests: int | None = None
    tokens: Tokens | None = None


class Bill(Struct, frozen=True, kw_only=True):
    """
    A bill, from one file or several.

    Attributes:
        format: ``openai``, ``anthropic``, ``litellm`` or ``csv``.
        days: The first and the last that it covers.
        said: What was guessed about it, a sentence each.
        decimals: The most decimals that one of its amounts has.
    """

    format: str
    charges: tuple[Charge, ...]
    days: tuple[int, int]
    said: tuple[str, ...] = ()
    decimals: int = 2


class Billed(Struct, kw_only=True):
    """
    What a bill adds up to for one model on one day.

    Attributes:
        cost: All of it, credits included; ``None`` where it tells usage only.
        credit: Of that, its negative lines.
        costs: Of that, by kind, as far as its lines are for one.
        tiers: Tokens by service tier, the standard one being ``""``; ``None`` where it tells no tiers.
        lines: How many of its lines have an amount.
    """

    cost: int | None = None
    credit: int = 0
    costs: dict[str, int] = field(default_factory=dict)
    requests: int | None = None
    tokens: dict[str, int] | None = None
    tiers: dict[str, dict[str, int]] | None = None
    lines: int = 0


class Share(Struct, kw_only=True):
    """
    Some of the calls: how many, what they cost, what they used.
    """

    count: int = 0
    cost: int = 0
    tokens: dict[str, int] = field(default_factory=dict)


class Booked(Struct, kw_only=True):
    """
    What the journal adds up to for one model on one day.

    Attributes:
        unpriced: Calls of unknown cost, which add nothing to ``cost``.
        estimated: Those booked at their bound, by reason; ``failed`` those that a provider answered with an error.
        early, late: Those that ended in the first and in the last hour of the day.
        tiers: Tokens by service tier, the standard one being ``""``.
    """

    count: int = 0
    cost: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    unpriced: Share = field(default_factory=Share)
    estimated: dict[str, Share] = field(default_factory=dict)
    failed: Share = field(default_factory=Share)
    early: Share = field(default_factory=Share)
    late: Share = field(default_factory=Share)
    tiers: dict[str, dict[str, int]] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    providers: set[str] = field(default_factory=set)


class Rates(Struct, frozen=True, kw_only=True):
    """
    What one of each kind costs by the price data, in picodollars, in the standard tier and in others.
    """

    standard: Tokens
    tiers: Mapping[str, Tokens]
    source: str


class PerMillion(Struct, frozen=True, kw_only=True):
    """
    Nanodollars for a million tokens of a kind (of all kinds together where ``kind`` is ``None``): billed, and ours.
    """

    kind: str | None
    billed: int
    ours: int


class Part(Struct, frozen=True, kw_only=True):
    """
    One explanation of a line's difference.

    Attributes:
        kind: One of ``EXPLANATIONS``.
        count: Calls, as far as they are known.
        names: Why calls were estimated, which tiers they were billed in.
        prices: What was billed for a million tokens, beside our price of ``source``.
    """

    kind: str
    amount: int
    count: int | None = None
    names: tuple[str, ...] = ()
    prices: tuple[PerMillion, ...] = ()
    source: str | None = None


class Line(Struct, frozen=True, kw_only=True):
    """
    One model on one day. ``parts`` and ``unexplained`` add up to ``difference``.

    Attributes:
        volume, price: Two parts of the difference where the bill tells tokens: what more or fewer tokens are worth, and
            what the same tokens cost more or less. With credits they are all of it.
        note: Why the rest has no explanation.
    """

    day: int
    model: str
    bill: int
    journal: int
    difference: int
    parts: tuple[Part, ...] = ()
    unexplained: int = 0
    volume: int | None = None
    price: int | None = None
    note: str | None = None


class Reconciliation(Struct, frozen=True, kw_only=True):
    """
    A bill beside the journal.

    Attributes:
        said: What was guessed, and which names of models were taken as one.
        usage_only: The bill tells no cost; its tokens are shown at our prices.
        days: The first and the last day.
        charged: What the bill charges, without credits.
        off: How far the lines are off, added up without their signs; what only moved to another day, and what rounding
            makes, is not counted.
    """

    format: str
    lines: tuple[Line, ...]
    days: tuple[int, int]
    said: tuple[str, ...] = ()
    usage_only: bool = False
    charged: int = 0
    off: int = 0

    @property
    def bill(self) -> int:
        return sum(line.bill for line in self.lines)

    @property
    def journal(self) -> int:
        return sum(line.journal for line in self.lines)

    @property
    def difference(self) -> int:
        return self.bill - self.journal

    @property
    def unexplained(self) -> int:
        return sum(line.unexplained for line in self.lines)

    @property
    def explained(self) -> Mapping[str, int]:
        """
        What each explanation adds up to, those that were found, in the order of ``EXPLANATIONS``.
        """
        found = [part for line in self.lines for part in line.parts]
        return {
            kind: sum(part.amount for part in found if part.kind == kind)
            for kind in EXPLANATIONS
            if any(part.kind == kind for part in found)
        }
