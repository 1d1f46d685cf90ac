"""
What one token of each kind costs by the price data on a day, as far as that is one number.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from solvent._amounts import PICODOLLARS_PER_NANODOLLAR, Usage
from solvent.errors import PriceUnknown
from solvent.prices import Price, Prices
from solvent.reconcile._records import Rates, Tokens

_MANY = 1_000  # So many that the picodollars of one come out whole, and too few for a price of long input.
_USES = {
    "input": Usage(input_tokens=_MANY),
    "cache_read": Usage(input_tokens=_MANY, cache_read_tokens=_MANY),
    "cache_write_5m": Usage(input_tokens=_MANY, cache_write_5m_tokens=_MANY),
    "cache_write_1h": Usage(input_tokens=_MANY, cache_write_1h_tokens=_MANY),
    "output": Usage(output_tokens=_MANY),
    "web_search": Usage(web_searches=_MANY),
}


def find_price(prices: Prices, providers: Iterable[str], model: str) -> Price | None:
    """
    The price of a model at one of these providers, else at the one that its name tells of.
    """
    places = (*providers, "", *prices.card.makers(model))
    found = (prices.find(provider, model) for provider in places)
    return next((price for price in found if price is not None), None)


def rates_of(price: Price, day: int, tiers: Iterable[str]) -> Rates:
    """
    Args:
        day: Since 1970, UTC; the prices at its noon.
        tiers: Service tiers that are asked for; one that has no price is left out.
    """
    at = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
    found = {tier: dict(_kinds(price, tier, at)) for tier in tiers if tier}
    return Rates(
        standard=dict(_kinds(price, "", at)),
        tiers={tier: rates for tier, rates in found.items() if rates},
        source=price.source,
    )


def value(tokens: Tokens, rates: Mapping[str, int]) -> int | None:
    """
    What tokens are worth, in nanodollars, rounded once; of a negative count, the negative. ``None`` where one of them
    has no price.
    """
    if any(count and kind not in rates for kind, count in tokens.items()):
        return None
    picodollars = sum(count * rates.get(kind, 0) for kind, count in tokens.items())
    nanodollars = -(-abs(picodollars) // PICODOLLARS_PER_NANODOLLAR)
    return nanodollars if picodollars >= 0 else -nanodollars


def _kinds(price: Price, tier: str, at: datetime) -> Iterator[tuple[str, int]]:
    for kind, usage in _USES.items():
        try:
            empty = price.cost(Usage(), tier=tier or None, region=None, at=at)  # What is paid for the call itself.
            yield kind, price.cost(usage, tier=tier or None, region=None, at=at) - empty
        except PriceUnknown:
            continue
