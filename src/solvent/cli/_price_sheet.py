"""
A model's prices as a person reads them: what holds now comes first, and every price has its source.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from solvent._printable import printable
from solvent.cli._tables import fitted, wrapped

if TYPE_CHECKING:
    from solvent.prices._describe import Sheet, UnitPrice


def sheet_lines(sheet: "Sheet", *, day: str, width: int | None) -> list[str]:
    """
    Args:
        day: The day that was asked for.
        width: The columns of the terminal.
    """
    sources = list(dict.fromkeys([sheet.source, *(price.source for price in sheet.unit_prices)]))
    names = {source: f"[{place}]" if len(sources) > 1 else "" for place, source in enumerate(sources, 1)}
    rows = [["unit", "price", "per", "tier", "above input", "source", "holds"]]
    rows += [[*_cells(price), names[price.source], _holds(price)] for price in _told(sheet)]
    lines = [*wrapped(printable(_head(sheet)), width), *_unknown_day(sheet, day, width), ""]
    table = _without_empty_columns(rows)
    least = [table[0].index(name) for name in ("per", "above input") if name in table[0]]
    lines += fitted(table, right=(1,), least=least, width=width)
    for region in sheet.regions:
        if set(region.times.values()) == {"1"}:
            continue  # It costs what it costs everywhere.
        times = ", ".join(f"{times} ×" if unit == "*" else f"{unit} {times} ×" for unit, times in region.times.items())
        lines += wrapped(printable(f"region {region.region}: {times} ({region.source})"), width)
    lines.append("")
    for source, name in names.items():
        lines += wrapped(printable(f"{name or 'source:'} {source}"), width)
    return lines


def _head(sheet: "Sheet") -> str:
    limits = [
        f"largest {name} {most:,} tokens"
        for name, most in (("input", sheet.input_tokens_max), ("output", sheet.output_tokens_max))
        if most is not None
    ]
    return " · ".join([f"{sheet.provider}/{sheet.model}" if sheet.provider else sheet.model, *limits])


def _unknown_day(sheet: "Sheet", day: str, width: int | None) -> list[str]:
    if sheet.known_from is None:
        return []
    text = f"No prices of {day} are known: the data begins on {sheet.known_from}. The earliest that it has are shown."
    return wrapped(text, width)


def _told(sheet: "Sheet") -> Iterator["UnitPrice"]:
    """
    The prices in force, then those of other times that are not the same.
    """
    in_force = [price for price in sheet.unit_prices if price.in_force]
    yield from in_force
    same = {(price.unit, price.tier, price.above_input_tokens, price.dollars) for price in in_force}
    for price in sheet.unit_prices:
        if not price.in_force and (price.unit, price.tier, price.above_input_tokens, price.dollars) not in same:
            yield price


def _cells(price: "UnitPrice") -> list[str]:
    above = f"{price.above_input_tokens:,}" if price.above_input_tokens else ""
    return [price.unit, _dollars(price.dollars), price.per, "" if price.tier == "standard" else price.tier, above]


def _holds(price: "UnitPrice") -> str:
    parts = ["" if price.in_force else "not now:"]
    parts.append(f"from {price.since}" if price.since else "")
    parts.append(f"until {price.until}" if price.until and not price.in_force else "")
    parts.append(price.hours or "")
    return " ".join(filter(None, parts)).removesuffix(":")


def _dollars(text: str) -> str:
    """
    With cents at least: ``$0.60``.
    """
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest:0<2}"


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    kept = [index for index in range(len(rows[0])) if any(row[index] for row in rows[1:])]
    return [[row[index] for index in kept] for row in rows]
