"""
A reconciliation as JSON. Amounts are whole nanodollars as text, so that no reader rounds them.
"""

from solvent._amounts import exact_dollars
from solvent.reconcile._read import show_day
from solvent.reconcile._records import Line, Part, Reconciliation
from solvent.report._json import Json

SCHEMA_VERSION = 1


def to_json(found: Reconciliation) -> Json:
    return {
        "schema_version": SCHEMA_VERSION,
        "format": found.format,
        "first_day": show_day(found.days[0]),
        "last_day": show_day(found.days[1]),
        "said": list(found.said),
        "usage_only": found.usage_only,
        "bill": _amount(found.bill),
        "charged": _amount(found.charged),
        "journal": _amount(found.journal),
        "difference": _amount(found.difference),
        "explained": {kind: _amount(amount) for kind, amount in found.explained.items()},
        "unexplained": _amount(found.unexplained),
        "off": _amount(found.off),
        "lines": [_line(line) for line in found.lines],
    }


def _line(line: Line) -> Json:
    return {
        "day": show_day(line.day),
        "model": line.model or None,
        "bill": _amount(line.bill),
        "journal": _amount(line.journal),
        "difference": _amount(line.difference),
        "volume": None if line.volume is None else _amount(line.volume),
        "price": None if line.price is None else _amount(line.price),
        "explanations": [_part(part) for part in line.parts],
        "unexplained": _amount(line.unexplained),
        "note": line.note,
    }


def _part(part: Part) -> Json:
    prices = [
        {"tokens": price.kind, "billed_per_million": _amount(price.billed), "ours_per_million": _amount(price.ours)}
        for price in part.prices
    ]
    return {
        "kind": part.kind,
        "amount": _amount(part.amount),
        "count": part.count,
        "names": list(part.names),
        "prices": prices,
        "price_source": part.source,
    }


def _amount(nanodollars: int) -> Json:
    return {"nanodollars": str(nanodollars), "dollars": exact_dollars(nanodollars)}
