"""
A bill added up by day and model.
"""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact

from solvent.prices._model import STANDARD_TIERS
from solvent.reconcile._records import KINDS, NOT_TOLD, Billed, Charge, Key

_EXACT = Context(prec=200, traps=[Inexact])  # So many digits that nothing is ever rounded; if it were, it would say so.
_CREDIT = "credit"


def cells(charges: Iterable[Charge]) -> dict[Key, Billed]:
    """
    What the lines add up to; money is rounded to whole nanodollars once, at the end.
    """
    found: dict[Key, Billed] = {}
    money: dict[tuple[Key, str], Decimal] = {}
    for charge in charges:
        if charge.cost is None and charge.tokens is None and charge.requests is None:
            continue  # It says that nothing was charged that day.
        key = (charge.day, charge.model or NOT_TOLD)
        cell = found.setdefault(key, Billed())
        if charge.cost is not None:
            cell.lines += 1
            place = (key, _CREDIT if charge.cost < 0 else charge.kind or "")
            money[place] = _EXACT.add(money.get(place, Decimal(0)), charge.cost)
        if charge.requests is not None:
            cell.requests = (cell.requests or 0) + charge.requests
        if charge.tokens is not None:
            cell.tokens = _added(cell.tokens, charge.tokens)
            if charge.tier is not None:
                tiers = cell.tiers = cell.tiers or {}
                tier = tier_name(charge.tier)
                tiers[tier] = _added(tiers.get(tier), charge.tokens)
    for (key, kind), amount in money.items():
        nanodollars = round(_EXACT.scaleb(amount, 9))
        cell = found[key]
        cell.cost = (cell.cost or 0) + nanodollars
        if kind == _CREDIT:
            cell.credit = nanodollars
        elif kind:
            cell.costs[kind] = nanodollars
    if money:  # Then what has usage and no amount was charged nothing.
        for cell in found.values():
            cell.cost = cell.cost or 0
    return found


def joined(bill: Mapping[Key, Billed], names: Mapping[str, str]) -> dict[Key, Billed]:
    """
    The same under other names of models; those that get one name are added up.
    """
    found: dict[Key, Billed] = {}
    for (day, model), cell in bill.items():
        into = found.setdefault((day, names.get(model, model)), Billed())
        into.cost = _sum(into.cost, cell.cost)
        into.credit += cell.credit
        into.costs = _added(into.costs, cell.costs)
        into.requests = _sum(into.requests, cell.requests)
        into.tokens = into.tokens if cell.tokens is None else _added(into.tokens, cell.tokens)
        if cell.tiers is not None:
            into.tiers = into.tiers or {}
            for tier, tokens in cell.tiers.items():
                into.tiers[tier] = _added(into.tiers.get(tier), tokens)
        into.lines += cell.lines
    return found


def kinds_told(bill: Mapping[Key, Billed]) -> tuple[str, ...]:
    """
    The kinds that it tells apart; none where it tells no tokens.
    """
    told = {kind for cell in bill.values() for kind in cell.tokens or ()}
    return tuple(kind for kind in KINDS if kind in told)


def tier_name(tier: str | None) -> str:
    """
    A service tier, every name of the standard one being ``""``.
    """
    name = (tier or "").lower()
    return "" if name in STANDARD_TIERS else name


def _added(into: dict[str, int] | None, more: Mapping[str, int]) -> dict[str, int]:
    found = into or {}
    for kind, count in more.items():
        found[kind] = found.get(kind, 0) + count
    return found


def _sum(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else first + second
