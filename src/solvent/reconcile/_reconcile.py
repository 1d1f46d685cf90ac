"""
A bill beside a ledger: what both tell, read, brought under the same names, and compared.
"""

from collections.abc import Callable, Iterator, Mapping

from solvent.prices import Prices
from solvent.reconcile._bills import FORMATS
from solvent.reconcile._cells import cells, kinds_told
from solvent.reconcile._cells import joined as joined_bill
from solvent.reconcile._compare import compare
from solvent.reconcile._gaps import CENT, Terms
from solvent.reconcile._journal import booked
from solvent.reconcile._journal import joined as joined_journal
from solvent.reconcile._match import match
from solvent.reconcile._rates import find_price, rates_of
from solvent.reconcile._read import show_day
from solvent.reconcile._records import (
    NOT_TOLD,
    Bill,
    Billed,
    BillError,
    Booked,
    Key,
    Line,
    NothingBooked,
    Rates,
    Reconciliation,
)
from solvent.reconcile._searches import SEARCH, split_searches
from solvent.stores._protocol import Store

_HOURS = 24
_DECIMALS = 9  # Of a nanodollar.


def reconcile(
    bill: Bill,
    store: Store,
    prices: Prices,
    *,
    since: int | None = None,
    until: int | None = None,
    scope: str | None = None,
    told: Callable[[int, int], object] | None = None,
) -> Reconciliation:
    """
    Args:
        since, until: The first day (since 1970, UTC) to compare of those that the bill covers, and the one after the
            last.
        scope: Only the calls of this scope and of all below it.
        told: Is handed how much of the journal was read, and of how much.

    Raises:
        BillError: The bill has no such days.
        NothingBooked: The journal has no calls on them.
        StoreUnavailable: The ledger did not answer.
    """
    first, last = _days(bill, since, until)
    billed = cells(charge for charge in bill.charges if first <= charge.day <= last)
    groups = store.groups(scope=scope, hours=(first * _HOURS, (last + 1) * _HOURS), told=told)
    kinds = kinds_told(billed)
    journal = booked(groups, is_billed=_is_billed(bill, prices), told={*kinds, SEARCH})
    if not journal:
        raise NothingBooked(
            f"the journal has no calls {_whose(bill)}on the days of the bill, {show_day(first)} to {show_day(last)}.\n"
            "To go on: name another ledger with --ledger, another scope with --scope, or another bill."
        )
    providers = _providers(bill)
    names = match(billed, journal, lambda model: _canonical(prices, providers, model))
    billed, journal = joined_bill(billed, names.bill), joined_journal(journal, names.journal)
    rates = dict(_rates(prices, providers, billed, journal))
    if split_searches(billed, journal, rates):
        kinds = tuple(kind for kind in kinds if kind != SEARCH)
    lines = compare(billed, journal, rates, _terms(bill, billed, kinds))
    return Reconciliation(
        format=bill.format,
        lines=lines,
        days=(first, last),
        said=(*bill.said, *names.said),
        usage_only=bool(billed) and all(cell.cost is None for cell in billed.values()),
        charged=sum(line.bill for line in lines) - sum(cell.credit for cell in billed.values()),
        off=sum(_off(line) for line in lines),
    )


def _terms(bill: Bill, billed: Mapping[Key, Billed], kinds: tuple[str, ...]) -> Terms:
    return Terms(
        told=kinds,
        tells_requests=any(cell.requests is not None for cell in billed.values()),
        tells_tiers=any(cell.tiers is not None for cell in billed.values()),
        unit=min(CENT, 10 ** max(0, _DECIMALS - bill.decimals)),
    )


def _days(bill: Bill, since: int | None, until: int | None) -> tuple[int, int]:
    first, last = bill.days
    wanted = first if since is None else max(since, first), last if until is None else min(until - 1, last)
    if wanted[0] > wanted[1]:
        raise BillError(f"the bill is of {show_day(first)} to {show_day(last)}, and has no such days.")
    return wanted


def _providers(bill: Bill) -> tuple[str, ...]:
    """
    Whose prices are asked first.
    """
    own = FORMATS[bill.format].providers
    return tuple(sorted(own or {charge.provider for charge in bill.charges if charge.provider is not None}))


def _is_billed(bill: Bill, prices: Prices) -> Callable[[str | None], bool]:
    """
    Whether the calls of a provider are in the bill. A proxy's log has those of all: programs that ask a proxy may take
    it for any provider.
    """
    named = () if bill.format == "litellm" else _providers(bill)
    if not named:
        return lambda _: True
    ids = {prices.card.provider_id(name) or name for name in named}
    return lambda provider: provider is not None and (prices.card.provider_id(provider) or provider) in ids


def _whose(bill: Bill) -> str:
    named = () if bill.format == "litellm" else _providers(bill)
    return f"of {' or '.join(named)} " if named else ""


def _canonical(prices: Prices, providers: tuple[str, ...], model: str) -> str | None:
    price = find_price(prices, providers, model)
    return None if price is None else price.model


def _rates(
    prices: Prices, providers: tuple[str, ...], billed: Mapping[Key, Billed], journal: Mapping[Key, Booked]
) -> Iterator[tuple[Key, Rates]]:
    for key in {*billed, *journal}:
        day, model = key
        bill, book = billed.get(key, Billed()), journal.get(key, Booked())
        price = find_price(prices, (*providers, *sorted(book.providers)), model) if model != NOT_TOLD else None
        if price is not None:
            yield key, rates_of(price, day, {*(bill.tiers or ()), *book.tiers})


def _off(line: Line) -> int:
    return abs(line.difference - sum(part.amount for part in line.parts if part.kind in ("boundary", "rounding")))
