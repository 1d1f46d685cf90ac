"""
How far bill and journal are apart for one model on one day, before anything is explained.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from solvent.reconcile._rates import value
from solvent.reconcile._records import Billed, Booked, Rates, Share, Tokens

CENT = 10_000_000
_CALLS_UNKNOWN = 1_000  # Nanodollars that rounding can make of calls whose number no one tells.


class Terms(Struct, frozen=True, kw_only=True):
    """
    What holds for a whole bill.

    Attributes:
        told: The kinds of tokens that it tells apart; none where it tells no tokens.
        tells_requests, tells_tiers: Whether it tells these.
        unit: What its amounts are rounded to, nanodollars; at most a cent.
    """

    told: tuple[str, ...] = ()
    tells_requests: bool = False
    tells_tiers: bool = False
    unit: int = CENT


class Gap(Struct, frozen=True, kw_only=True):
    """
    The bill less the journal. ``credit``, ``volume`` and ``price`` add up to ``difference``.

    Attributes:
        charged: What is billed, without credits.
        volume: What the tokens are worth that the bill has more or fewer; ``None`` where it tells no tokens and both
            have calls, so that ``price`` is everything.
        tier: Of the price, what other service tiers than the journal's make; ``None`` where that is not known.
        rounding: Of the price, what can be the rounding of amounts.
    """

    billed: Billed
    booked: Booked
    rates: Rates | None
    charged: int
    difference: int
    tokens: Mapping[str, int] | None
    requests: int | None
    volume: int | None
    price: int
    tier: int | None
    tiers: tuple[str, ...]
    rounding: int


def gap(billed: Billed | None, booked: Booked | None, rates: Rates | None, terms: Terms) -> Gap:
    has_both = billed is not None and booked is not None
    billed, booked = billed or Billed(cost=0), booked or Booked()
    terms = _of(billed, terms)
    tokens = _difference(billed.tokens or {}, booked.tokens, terms.told) if terms.told else None
    requests = (billed.requests or 0) - booked.count if terms.tells_requests else None
    tier, tiers = _tier(billed, booked, rates, terms) if has_both else (0, ())
    volume = _worth(tokens, rates) if tier or tokens is None else _worth_by_tier(billed, booked, rates, terms, tokens)
    if billed.cost is None:  # A bill of usage: at our prices.
        volume, tier = volume or 0, 0
        billed = replace(billed, cost=booked.cost + volume)
    charged = (billed.cost or 0) - billed.credit
    rest = charged - booked.cost
    if not has_both:
        volume = rest
    elif tokens is not None and volume is None:
        volume = _at_the_bills_rate(charged, billed.tokens or {}, tokens)
    noise = booked.count + (_CALLS_UNKNOWN if requests is None else max(requests, 0)) + 1
    if volume and abs(rest - volume) <= noise:  # Each call was rounded up.
        volume = rest
    return Gap(
        billed=billed,
        booked=booked,
        rates=rates,
        charged=charged,
        difference=rest + billed.credit,
        tokens=tokens,
        requests=requests,
        volume=volume,
        price=rest - (volume or 0),
        tier=tier,
        tiers=tiers,
        rounding=billed.lines * terms.unit + booked.count + 1,
    )


def vector(found: Gap, terms: Terms) -> tuple[int, ...]:
    """
    What would be found again on another day if calls were counted there.
    """
    if found.tokens is None:
        return (found.price if found.volume is None else found.volume,)
    return (*(found.tokens.get(kind, 0) for kind in terms.told), found.requests or 0)


def share_vector(found: Gap, share: Share, terms: Terms) -> tuple[int, ...]:
    if found.tokens is None:
        return (share.cost,)
    return (*(share.tokens.get(kind, 0) for kind in terms.told), share.count if terms.tells_requests else 0)


def _of(billed: Billed, terms: Terms) -> Terms:
    """
    What holds for one row: what was paid for was used, so amounts without tokens do not tell of none.
    """
    if not billed.lines or billed.tokens is not None:
        return terms
    return replace(terms, told=(), tells_tiers=False, tells_requests=billed.requests is not None)


def _difference(billed: Tokens, booked: Tokens, told: tuple[str, ...]) -> dict[str, int]:
    found = {kind: billed.get(kind, 0) - booked.get(kind, 0) for kind in told}
    return {kind: count for kind, count in found.items() if count}


def _worth(tokens: Tokens | None, rates: Rates | None) -> int | None:
    if tokens is None:
        return None
    if not tokens:
        return 0
    return None if rates is None else value(tokens, rates.standard)


def _worth_by_tier(billed: Billed, booked: Booked, rates: Rates | None, terms: Terms, tokens: Tokens) -> int | None:
    """
    Tokens that are in one tier more, and in none fewer, are worth what that tier costs.
    """
    if not terms.tells_tiers or rates is None:
        return _worth(tokens, rates)
    amounts = [
        value(_of_tier(billed, booked, tier, terms), rates.tiers.get(tier, {}) if tier else rates.standard)
        for tier in (billed.tiers or {}).keys() | booked.tiers.keys()
    ]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if len(known) == len(amounts) else _worth(tokens, rates)


def _tier(billed: Billed, booked: Booked, rates: Rates | None, terms: Terms) -> tuple[int | None, tuple[str, ...]]:
    """
    What it makes that tokens were billed in other tiers than the journal has them in: nothing unless they are fewer in
    one of them and more in another.
    """
    if not terms.tells_tiers:
        return 0, ()
    moved = {tier: _of_tier(billed, booked, tier, terms) for tier in (billed.tiers or {}).keys() | booked.tiers.keys()}
    more = tuple(sorted(tier for tier, tokens in moved.items() if any(count > 0 for count in tokens.values())))
    if not more or not any(count < 0 for tokens in moved.values() for count in tokens.values()):
        return 0, ()
    if rates is None or any(tokens and tier and tier not in rates.tiers for tier, tokens in moved.items()):
        return None, more
    found = 0
    for tier, tokens in moved.items():
        own, standard = value(tokens, rates.tiers.get(tier, rates.standard)), value(tokens, rates.standard)
        if own is None or standard is None:
            return None, more
        found += own - standard
    return found, more


def _of_tier(billed: Billed, booked: Booked, tier: str, terms: Terms) -> dict[str, int]:
    return _difference((billed.tiers or {}).get(tier, {}), booked.tiers.get(tier, {}), terms.told)


def _at_the_bills_rate(charged: int, billed: Tokens, tokens: Tokens) -> int:
    """
    What tokens are worth that have no price here: as much as the bill's own.
    """
    whole, more = sum(billed.values()), sum(tokens.values())
    return charged * more // whole if whole else 0
