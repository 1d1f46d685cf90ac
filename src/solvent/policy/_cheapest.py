"""
The least that a call can cost that costs anything.
"""

from datetime import UTC, datetime

from msgspec import Struct

from solvent._amounts import Nanodollars, nanodollars
from solvent.policy import Policy
from solvent.prices import Prices

_TOKENS = 1_000_000  # What token prices are for.


class Cheapest(Struct, frozen=True, kw_only=True):
    """
    One token of the model with the lowest price that is none of 0.
    """

    model: str
    nanodollars: Nanodollars


def cheapest(policy: Policy) -> Cheapest | None:
    """
    Of all models of the rate card and of the policy's own, in any tier; ``None`` where all are free.
    """
    prices, now = Prices.load(policy.prices), datetime.now(UTC)
    own = [sheet for name in prices.own_names() if (sheet := prices.describe(name, at=now))]
    found = [
        (nanodollars(price.dollars), sheet)
        for sheet in (*own, *prices.describe_all(at=now))
        for price in sheet.unit_prices
        if price.unit in ("input", "output") and float(price.dollars)
    ]
    amount, sheet = min(found, key=lambda pair: pair[0], default=(0, None))
    if sheet is None:
        return None
    model = sheet.model if sheet.by_user else f"{sheet.provider}/{sheet.model}"
    return Cheapest(model=model, nanodollars=Nanodollars(-(-amount // _TOKENS)))
