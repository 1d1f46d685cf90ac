"""
The formats of bills, and a bill read from its files.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from solvent.reconcile import anthropic, csv, litellm, openai
from solvent.reconcile._format import Format
from solvent.reconcile._read import show_day
from solvent.reconcile._records import Bill, BillError, Charge
from solvent.reconcile._source import Source, read_source

FORMATS: Mapping[str, Format] = {
    "anthropic": anthropic.FORMAT,
    "csv": csv.FORMAT,
    "litellm": litellm.FORMAT,
    "openai": openai.FORMAT,
}


def read_bill(paths: Sequence[str], *, format: str | None = None, columns: Mapping[str, str] | None = None) -> Bill:
    """
    A bill of one file or several: of days that follow one another, or of its usage and its costs.

    Args:
        format: One of ``FORMATS``; recognized by the content where it is not given.
        columns: Of a table, which column tells what.

    Raises:
        BillError: A file cannot be read or recognized, is empty, or tells of a day that another one tells of.
    """
    sources = [read_source(path) for path in paths]
    if format is None and columns:
        format = "csv"
    found = {source.name: format or _recognized(source) for source in sources}
    if len(set(found.values())) > 1:
        raise BillError(f"these are bills of several formats: {', '.join(map(' is '.join, found.items()))}")
    name = next(iter(found.values()))
    said = [] if format else [f"{path} is read as a bill of the format {name}." for path in found]
    cut = [source.name for source in sources if source.is_cut]
    said += [f"{path}: its last page says that there are more; they are not compared." for path in cut]
    charges: list[tuple[Source, list[Charge]]] = []
    for source in sources:
        meant = csv.mapping(columns or {}, source.columns, source.name) if name == "csv" and source.columns else {}
        guessed = [f"{word} {column!r}" for word, column in meant.items() if word not in (columns or {})]
        said += [f"{source.name}: by their names, these columns are taken: {', '.join(guessed)}."] if guessed else []
        charges.append((source, list(_charges(source, name, meant))))
        if not charges[-1][1]:
            raise BillError(f"{source.name}: the bill is empty")
    _check_days(charges)
    all_of_them = [charge for _, of_file in charges for charge in of_file]
    each = _each_once(all_of_them)
    again = len(all_of_them) - len(each)
    if again:
        said.append(f"Of rows that tell of the same request the first one is taken, and {again:,} passed over.")
    together = tuple(_once(each))
    return Bill(format=name, charges=together, days=_covered(charges), said=tuple(said), decimals=_decimals(together))


def _recognized(source: Source) -> str:
    if source.items:
        names = source.items[0].names()
        for name, format in FORMATS.items():
            if format.has_items(names):
                return name
        raise BillError(
            f"{source.items[0].where}: no bill that is known, with the fields {', '.join(sorted(names))[:200]}\n"
            "To go on: name its format with --provider, or make a CSV of it."
        )
    columns = frozenset(source.columns)
    return next((name for name, format in FORMATS.items() if format.has_columns(columns)), "csv")


def _charges(source: Source, name: str, columns: Mapping[str, str]) -> Iterator[Charge]:
    format = FORMATS[name]
    if source.items and (format.item is None or not format.has_items(source.items[0].names())):
        needed = " or ".join(", ".join(sorted(names)) for names in format.item_fields) or "no JSON at all"
        raise BillError(f"{source.items[0].where}: expected of the format {name}: {needed}")
    seen: dict[bytes, str] = {}
    for item in source.items:
        first = seen.setdefault(bytes(item.json), item.where)
        if first != item.where and not format.has_ids:  # As where a page was saved twice.
            raise BillError(f"{item.where}: it is the same as {first}, and would count twice")
        assert format.item is not None
        yield from format.item(item)
    if source.rows and format.columns and not format.has_columns(frozenset(source.columns)):
        needed = " or ".join(", ".join(sorted(names)) for names in format.columns)
        raise BillError(f"{source.name}:1: expected columns of the format {name}: {needed}")
    for row in source.rows:
        yield from format.row(row, columns)


def _check_days(charges: Iterable[tuple[Source, Sequence[Charge]]]) -> None:
    """
    Raises:
        BillError: Two files tell of the costs, or of the usage, of the same day, which would count twice.
    """
    seen: dict[tuple[int, bool, str], tuple[int, str]] = {}
    for number, (_, of_file) in enumerate(charges):  # By its number, for one file may be named twice.
        has_costs = any(charge.cost is not None for charge in of_file)
        for charge in of_file:
            if charge.id is not None or (charge.cost, charge.requests, charge.tokens) == (None, None, None):
                continue  # It is known by its id, or adds nothing.
            key = charge.day, has_costs, charge.usage_of
            first, where = seen.setdefault(key, (number, charge.where))
            if first != number:
                raise BillError(
                    f"{charge.where}: {show_day(charge.day)} is in two files, and would count twice; the other: {where}"
                )


def _each_once(charges: Sequence[Charge]) -> Sequence[Charge]:
    """
    Of charges for one request the first.
    """
    firsts = {charge.id: charge for charge in reversed(charges)}
    return [charge for charge in charges if charge.id is None or firsts[charge.id] is charge]


def _covered(charges: Iterable[tuple[Source, Sequence[Charge]]]) -> tuple[int, int]:
    """
    The first and the last day of the files that tell costs, or of all where none does.
    """
    files = [of_file for _, of_file in charges]
    with_costs = [of_file for of_file in files if any(charge.cost is not None for charge in of_file)]
    days = [charge.day for of_file in with_costs or files for charge in of_file]
    return min(days), max(days)


def _once(charges: Sequence[Charge]) -> Iterable[Charge]:
    """
    The same, each token once: a bill of usage beside one of costs tells it better.
    """
    has_usage = any(charge.cost is None and charge.tokens for charge in charges)
    if not has_usage:
        return charges
    return (replace(charge, tokens=None) if charge.cost is not None else charge for charge in charges)


def _decimals(charges: Iterable[Charge]) -> int:
    exponents = (charge.cost.as_tuple().exponent for charge in charges if charge.cost is not None)
    return max((-exponent for exponent in exponents if isinstance(exponent, int)), default=0)
