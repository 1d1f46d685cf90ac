"""
A picture with some of everything.
"""

from fractions import Fraction

from solvent._records import Account, Balance
from solvent.top._records import OpenBudget, Picture, Refusal, Row

CENT = 10_000_000
DOLLAR = 100 * CENT
SECOND = 1_000_000_000
NOW = 1_772_446_500 * SECOND  # 2026-03-02 10:15:00
TEAM = "org:acme/team:search"
TRIAGE = f"{TEAM}/run:triage-01J9ZKQX3Y8ABCDEFGHJKMNPQR"


def one(
    scope: str,
    meter: str,
    limit: int | None,
    spent: int,
    *,
    reserved: int = 0,
    window: str = "",
    burn: int | Fraction | None = 0,
    left: int | None = None,
    resets: int | None = None,
    on_exceed: str = "block",
) -> Row:
    balance = Balance(account=Account(scope, meter, window), limit=limit, spent=spent, reserved=reserved)
    burn = None if burn is None else Fraction(burn)
    return Row(balance=balance, burn=burn, seconds_left=left, resets_seconds=resets, on_exceed=on_exceed)


TRIAGE_ROWS = (
    one(TRIAGE, "usd", 2 * DOLLAR, 142 * CENT, reserved=18 * CENT, burn=21 * CENT, left=114),
    one(TRIAGE, "calls", 200, 42, reserved=2, burn=Fraction(13, 2), left=1_440),
    one(TRIAGE, "output_tokens", 500_000, 91_230, burn=18_400, left=1_333, on_exceed="warn"),
    one(TRIAGE, "seconds", 600, 240, burn=None, left=360),
)
CODER = one(f"{TRIAGE}/agent:coder", "usd", DOLLAR // 2, 52 * CENT, burn=4 * CENT, left=0)
DAY = one(TEAM, "usd", 20 * DOLLAR, 16 * DOLLAR, window="day@UTC", burn=DOLLAR, left=240, resets=49_500)
MONTH = one(
    "org:acme", "usd", 500 * DOLLAR, 73 * DOLLAR, window="month@UTC", burn=CENT, left=2_562_000, resets=2_555_100
)
PICTURE = Picture(
    at=NOW,
    budgets=(
        OpenBudget(scope=CODER.account.scope, calls=9, rows=(CODER,)),
        OpenBudget(
            scope=TRIAGE,
            state="running",
            opened_ns=NOW - 240 * SECOND,
            calls=42,
            open_calls=2,
            open_most=8,
            rows=TRIAGE_ROWS,
        ),
        OpenBudget(scope=TEAM, calls=1_204, open_calls=2, rows=(DAY,)),
        OpenBudget(scope="org:acme", calls=88_031, rows=(MONTH,)),
        OpenBudget(
            scope="run:free",
            opened_ns=NOW - 7 * SECOND,
            calls=1,
            rows=(one("run:free", "usd", None, 420_000, burn=99),),
        ),
        OpenBudget(
            scope="run:nightly",
            state="killed",
            opened_ns=NOW - 999 * SECOND,
            calls=3,
            open_calls=1,
            rows=(one("run:nightly", "usd", DOLLAR, 30 * CENT, reserved=CENT, burn=None),),
        ),
    ),
    burn=Fraction(214_567_891),
    refusals=(
        Refusal(
            at=NOW - 2 * SECOND,
            scope=f"{TRIAGE}/agent:coder",
            code="budget_exceeded",
            said=f"{TRIAGE}/agent:coder has $0.00 left of $0.50; this call needs up to $0.0420.",
            count=12,
        ),
        Refusal(at=NOW - 90_000 * SECOND, scope="run:free", code="price_unknown", said="'gpt-9' has no price."),
    ),
)
