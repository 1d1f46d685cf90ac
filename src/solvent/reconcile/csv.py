"""
Any other table: a line for a day, or for a call, with columns that are named or whose names are obvious.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from solvent.reconcile._format import Format
from solvent.reconcile._read import check_currency, count, day, dollars
from solvent.reconcile._records import BillError, Charge
from solvent.reconcile._source import Row

# What a table may tell, and names that mean it, without their spaces and signs.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "date": ("date", "day", "usagedate", "dateutc", "utcdate", "timestamp", "time", "chargeperiodstart"),
    "model": ("model", "modelname", "modelid", "sku", "skuid", "resource"),
    "cost": ("cost", "costusd", "amount", "amountusd", "spend", "spendusd", "totalcost", "billedcost", "price"),
    "input_tokens": ("inputtokens", "prompttokens", "tokensin", "tokensinput"),
    "cached_tokens": ("cachedtokens", "cachereadtokens", "cachedinputtokens", "inputcachedtokens"),
    "output_tokens": ("outputtokens", "completiontokens", "tokensout", "tokensoutput"),
    "requests": ("requests", "calls", "nummodelrequests", "requestcount", "count"),
    "tier": ("tier", "servicetier"),
    "provider": ("provider", "vendor", "providername"),
    "currency": ("currency", "amountcurrency", "billingcurrency"),
}
_EXAMPLE = "--columns date=Day,model=Model,cost=Amount,input_tokens=In,output_tokens=Out"


def mapping(told: Mapping[str, str], columns: tuple[str, ...], where: str) -> dict[str, str]:
    """
    Which column tells what: as a person says, else by its name.

    Raises:
        BillError: A column that is named is not there, two could be meant, or the day or all amounts are missing.
    """
    found = dict(told)
    for name, column in told.items():
        if column not in columns:
            raise BillError(f"{where}:1: --columns {name}: no column {column!r:.80}; there are {_listed(columns)}")
    for name, words in COLUMNS.items():
        close = [column for column in columns if _plain(column) in words and column not in found.values()]
        if name not in found and len(close) > 1:
            raise BillError(f"{where}:1: {_listed(close)} could be the {name}\nTo go on: say which: {_EXAMPLE}")
        if name not in found and close:
            found[name] = close[0]
    if "date" not in found or not found.keys() & {"cost", "input_tokens", "output_tokens"}:
        needed = "the date" if "date" not in found else "the cost or the tokens"
        raise BillError(
            f"{where}:1: no column is known to be {needed}; there are {_listed(columns)}\n"
            f"To go on: say which: {_EXAMPLE}"
        )
    return found


def parse_columns(text: str) -> dict[str, str]:
    """
    ``date=Day,cost=Amount`` as a mapping.

    Raises:
        ValueError: It is no such list, or names what no bill tells.
    """
    found = {}
    for part in text.split(","):
        name, equals, column = (word.strip() for word in part.partition("="))
        if not equals or not column:
            raise ValueError(f"expected pairs such as date=Day,model=Model,cost=Amount, got {part!r}")
        if name not in COLUMNS:
            raise ValueError(f"expected one of {', '.join(COLUMNS)} before the =, got {name!r}")
        found[name] = column
    return found


def _row(row: Row, columns: Mapping[str, str]) -> Iterator[Charge]:
    told = {name: row.cells.get(column, "") for name, column in columns.items()}
    check_currency(told.get("currency"), row.where)
    cost = told.get("cost")
    yield Charge(
        day=day(told["date"], row.where, columns["date"]),
        where=row.where,
        model=told.get("model") or None,
        provider=told.get("provider") or None,
        tier=told.get("tier") or None,
        cost=dollars(cost, row.where, columns["cost"]) if cost else None,
        requests=count(told["requests"], row.where, columns["requests"]) if "requests" in told else None,
        tokens=_tokens(row.where, told, columns),
    )


def _tokens(where: str, told: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, int] | None:
    if not told.keys() & {"input_tokens", "output_tokens"}:
        return None
    counts = {
        name: count(told[name], where, columns[name])
        for name in ("input_tokens", "cached_tokens", "output_tokens")
        if name in told
    }
    found = {"input": counts.get("input_tokens", 0), "output": counts.get("output_tokens", 0)}
    if "cached_tokens" in counts:
        found["cache_read"] = counts["cached_tokens"]
        found["input"] -= counts["cached_tokens"]
        if found["input"] < 0:
            raise BillError(f"{where}: more cached tokens than input tokens; the input is meant with the cached ones")
    return found


def _plain(column: str) -> str:
    return re.sub(r"[^a-z]", "", column.lower())


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(repr(column)[:80] for column in columns)


FORMAT = Format(row=_row)
