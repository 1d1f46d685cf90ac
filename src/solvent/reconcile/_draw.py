"""
A reconciliation in words: the rows of its tables, and the sentences below them.
"""

from collections.abc import Iterator, Mapping

from solvent._amounts import show_dollars
from solvent.reconcile._read import show_day
from solvent.reconcile._records import NOT_TOLD, Line, Part, PerMillion, Reconciliation
from solvent.report._pen import Pen

HEAD = ("day", "model", "bill", "journal", "difference", "why")
_MODEL_COLUMNS = 44
_CALLS: Mapping[str, tuple[str, str]] = {
    "boundary": ("call that ended close to midnight", "calls that ended close to midnight"),
    "estimated": ("call booked at its bound", "calls booked at their bounds"),
    "failed": ("failed call booked at its bound", "failed calls booked at their bounds"),
    "missing": ("call that the bill does not have", "calls that the bill does not have"),
    "outside": ("call outside Solvent", "calls outside Solvent"),
    "unpriced": ("call without a price in the journal", "calls without a price in the journal"),
}
_OTHERS: Mapping[str, str] = {
    "credit": "credits",
    "price": "other prices",
    "rounding": "rounding",
    "tier": "other service tiers",
}
_KINDS: Mapping[str | None, str] = {
    None: "",
    "cache_read": "cached input ",
    "cache_write_1h": "one-hour cache-write ",
    "cache_write_5m": "cache-write ",
    "input": "input ",
    "output": "output ",
}


def rows(found: Reconciliation, pen: Pen) -> list[tuple[str, ...]]:
    """
    The table: its head, a row for each day and model, and the totals.
    """
    total = ("total", "", *map(show_dollars, (found.bill, found.journal, found.difference)), "")
    unnamed = "(all models)" if all(line.model == NOT_TOLD for line in found.lines) else "(no model)"
    return [HEAD, *(_row(line, pen, unnamed) for line in found.lines), total]


def causes(found: Reconciliation) -> list[tuple[str, str, str]]:
    """
    A second table: what each explanation adds up to, and what has none; empty where nothing differs.
    """
    if not any(line.difference or line.parts for line in found.lines):
        return []
    parts = [part for line in found.lines for part in line.parts]
    body = []
    for kind, amount in found.explained.items():
        # A call on another day is on two of the lines.
        counts = [part.count for part in parts if part.kind == kind and (kind != "boundary" or part.amount > 0)]
        known = [count for count in counts if count is not None]
        calls = str(sum(known)) if kind in _CALLS and len(known) == len(counts) else ""
        body.append((_CALLS[kind][1] if kind in _CALLS else _OTHERS[kind], calls, show_dollars(amount)))
    return [("why", "calls", "amount"), *body, ("not explained", "", show_dollars(found.unexplained))]


def sentence(found: Reconciliation) -> str:
    if not any(line.difference or line.parts for line in found.lines):
        return f"The bill and the journal agree: {show_dollars(found.bill)}."
    way = f"{show_dollars(abs(found.difference))} {'below' if found.difference < 0 else 'above'} the journal"
    explained, rest = show_dollars(found.difference - found.unexplained), show_dollars(found.unexplained)
    said = f"The bill is {way}: {explained} of that is explained, {rest} is not."
    apart = sum(abs(line.unexplained) for line in found.lines)
    if apart != abs(found.unexplained):
        said += f" Line by line, without their signs, {show_dollars(apart)} is not."
    return said


def said(found: Reconciliation, pen: Pen) -> list[str]:
    """
    What was guessed, and taken as one.
    """
    lines = [pen.plain(line) for line in found.said]
    if found.usage_only:
        lines.append("The bill tells no costs: its tokens are shown at our prices.")
    return lines


def _row(line: Line, pen: Pen, unnamed: str) -> tuple[str, ...]:
    model = pen.cut(pen.plain(line.model), _MODEL_COLUMNS) if line.model != NOT_TOLD else unnamed
    amounts = map(show_dollars, (line.bill, line.journal, line.difference))
    return (show_day(line.day), model, *amounts, pen.plain("; ".join(_why(line))))


def _why(line: Line) -> Iterator[str]:
    for part in line.parts:
        yield f"{_cause(part)}: {show_dollars(part.amount)}"
    if line.unexplained:
        note = f" ({line.note})" if line.note else ""
        yield f"not explained: {show_dollars(line.unexplained)}{note}"


def _cause(part: Part) -> str:
    if part.kind in _CALLS:
        one, many = _CALLS[part.kind]
        reasons = f" ({', '.join(part.names)})" if part.names else ""
        return f"{many if part.count is None else f'1 {one}' if part.count == 1 else f'{part.count:,} {many}'}{reasons}"
    if part.kind == "tier":
        return f"billed in the tier {' and '.join(name or 'standard' for name in part.names)}"
    if part.kind == "price" and part.prices:
        ours = f" ({part.source})" if part.source is not None else ""
        return f"billed {', '.join(map(_price, part.prices))}{ours}"
    return _OTHERS[part.kind]


def _price(price: PerMillion) -> str:
    return f"{show_dollars(price.billed)} per million {_KINDS[price.kind]}tokens, ours {show_dollars(price.ours)}"
