"""
Bill and journal side by side, and every difference explained as far as what both tell goes. Pure.

An explanation is given only where the bill cannot be read without it: a bill that charges the bound of a call that was
booked at its bound names nothing, for nothing differs.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from solvent.reconcile._gaps import Gap, Terms, gap
from solvent.reconcile._moved import moved
from solvent.reconcile._rates import value
from solvent.reconcile._records import TOKEN_KINDS, Billed, Booked, Key, Line, Part, PerMillion, Rates

_MILLION = 1_000_000


class _Left(Struct):
    """
    What is left of a gap, part by part.
    """

    volume: int
    price: int
    requests: int | None


def compare(
    bill: Mapping[Key, Billed], journal: Mapping[Key, Booked], rates: Mapping[Key, Rates], terms: Terms
) -> tuple[Line, ...]:
    """
    A line for every day and model of either.

    Args:
        rates: Our prices; a model without one has none.
    """
    gaps = {key: gap(bill.get(key), journal.get(key), rates.get(key), terms) for key in sorted({*bill, *journal})}
    elsewhere = moved(gaps, terms)
    return tuple(_line(key, found, is_moved=key in elsewhere) for key, found in gaps.items())


def _line(key: Key, found: Gap, *, is_moved: bool) -> Line:
    parts = tuple(_parts(found, is_moved=is_moved))
    unexplained = found.difference - sum(part.amount for part in parts)
    return Line(
        day=key[0],
        model=key[1],
        bill=found.booked.cost + found.difference,
        journal=found.booked.cost,
        difference=found.difference,
        parts=parts,
        unexplained=unexplained,
        volume=found.volume,
        price=None if found.volume is None else found.price,
        note=_note(found) if unexplained else None,
    )


def _parts(found: Gap, *, is_moved: bool) -> Iterator[Part]:
    credit = found.billed.credit
    if credit:
        yield Part(kind="credit", amount=credit)
    left = _Left(volume=found.volume or 0, price=found.price, requests=found.requests)
    is_told = found.volume is not None
    if not is_told:  # Of costs alone, all that differs is one amount.
        left.volume, left.price = found.price, 0
        if abs(left.volume) <= found.rounding:
            left.volume, left.price = 0, found.price
    if is_moved and left.volume:
        requests = None if found.requests is None else abs(found.requests)
        yield Part(kind="boundary", amount=left.volume, count=requests)
        left.volume = 0
    if left.volume > 0:
        yield from _more(found, left, is_told=is_told)
    elif left.volume < 0:
        yield from _less(found, left, is_told=is_told)
    elif found.requests and found.requests > 0 and not found.booked.count:
        yield Part(kind="outside", amount=0, count=found.requests)  # At no price that anyone knows.
    yield from _price(found, left)


def _more(found: Gap, left: _Left, *, is_told: bool) -> Iterator[Part]:
    """
    The bill has calls that the journal does not have.
    """
    if not is_told and found.booked.unpriced.count:
        yield Part(kind="unpriced", amount=left.volume, count=found.booked.unpriced.count)
    elif left.requests is not None and left.requests > 0:
        yield Part(kind="outside", amount=left.volume, count=left.requests)
    elif left.requests is None and is_told:
        yield Part(kind="outside", amount=left.volume)


def _less(found: Gap, left: _Left, *, is_told: bool) -> Iterator[Part]:
    """
    The journal has what the bill does not: bounds of calls that cost less or nothing, and calls that are not in it.
    """
    shortfall, missing = -left.volume, None if left.requests is None else -left.requests
    failed = found.booked.failed
    estimated = sum(share.cost for share in found.booked.estimated.values())
    of_failed = of_estimated = 0
    if failed.cost and (missing > 0 if missing is not None else shortfall >= failed.cost or not estimated):
        of_failed = min(shortfall, failed.cost)
        yield Part(kind="failed", amount=-of_failed, count=failed.count)
    if estimated and shortfall > of_failed:
        of_estimated = min(shortfall - of_failed, estimated)
        reasons = tuple(sorted(reason for reason, share in found.booked.estimated.items() if share.cost))
        count = sum(share.count for share in found.booked.estimated.values())
        yield Part(kind="estimated", amount=-of_estimated, count=count, names=reasons)
    rest = shortfall - of_failed - of_estimated
    if not rest:
        return
    if missing is not None:
        missing -= failed.count if of_failed else 0
        missing -= sum(share.count for share in found.booked.estimated.values()) if of_estimated else 0
        if missing > 0:
            yield Part(kind="missing", amount=-rest, count=missing)
    elif is_told:
        yield Part(kind="missing", amount=-rest)


def _price(found: Gap, left: _Left) -> Iterator[Part]:
    """
    The same calls cost something else.
    """
    if left.price and abs(left.price) > found.rounding:
        if found.tier is None or found.tier:
            amount = _taken(left, left.price if found.tier is None else found.tier, found.rounding)
            yield Part(kind="tier", amount=amount, names=found.tiers)
        unpriced = found.booked.unpriced
        if unpriced.count and left.price > 0:
            worth = None if found.rates is None else value(unpriced.tokens, found.rates.standard)
            amount = left.price if worth is None else min(left.price, worth)
            yield Part(kind="unpriced", amount=_taken(left, amount, found.rounding), count=unpriced.count)
    if left.price and abs(left.price) <= found.rounding:
        yield Part(kind="rounding", amount=left.price)
    elif left.price and any((found.billed.tokens or {}).values()):
        source = found.rates.source if found.rates is not None else None
        yield Part(kind="price", amount=left.price, prices=tuple(_per_million(found, left.price)), source=source)


def _taken(left: _Left, amount: int, noise: int) -> int:
    """
    An amount taken from what is left of the price, with what rounding made of it.
    """
    amount = left.price if abs(left.price - amount) <= min(noise, _MILLION) else amount
    left.price -= amount
    return amount


def _per_million(found: Gap, price: int) -> Iterator[PerMillion]:
    """
    What was billed for a million tokens: of each kind that differs, where the bill tells costs by kind; else of all.
    """
    tokens = {kind: count for kind, count in (found.billed.tokens or {}).items() if count and kind in TOKEN_KINDS}
    costs = found.billed.costs
    if found.rates is not None and tokens and tokens.keys() <= costs.keys():
        for kind, count in tokens.items():
            billed, ours = costs[kind] * _MILLION // count, found.rates.standard.get(kind, 0) * _MILLION // 1_000
            if abs(billed - ours) * count > _MILLION * found.rounding:
                yield PerMillion(kind=kind, billed=billed, ours=ours)
    elif tokens:
        count = sum(tokens.values())
        billed, ours = found.charged * _MILLION // count, (found.charged - price) * _MILLION // count
        yield PerMillion(kind=None, billed=billed, ours=ours)


def _note(found: Gap) -> str:
    if found.tokens is None:
        return "the bill tells no tokens"
    if found.requests is not None and found.requests <= 0 and found.volume:
        return "other tokens for as many calls"
    return "nothing was used that the bill tells"
