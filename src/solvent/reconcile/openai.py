"""
OpenAI's bills: pages of the organization's usage and costs, and what its dashboard exports.

Source, all read 2026-11-22: the answers of ``/v1/organization/usage/…`` and ``/v1/organization/costs`` as the types of
openai 3.54 (``types/admin/organization``) say them; columns of the dashboard's files from published exports; line items
("gpt-4o, cached input", "priority | gpt-5.6-sol, output, long context", "web search tool calls") from published answers
of the costs endpoint. Input tokens include cached ones and those written to a cache.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from solvent.reconcile._format import Format, decoded
from solvent.reconcile._read import check_currency, count, day, dollars
from solvent.reconcile._records import BillError, Charge, Tokens
from solvent.reconcile._source import Item, Row

_LINE_ITEM = re.compile(
    r"(?:(?P<tier>batch|flex|priority|scale)(?: tier)? \| )?(?P<model>[^,|]+?)(?: (?P<medium>text|audio|image))?"
    r", (?P<kind>input|output|cached input|cache writes)(?:, long context)?",
    re.IGNORECASE,
)
_KINDS = {"cache writes": "cache_write_5m", "cached input": "cache_read", "input": "input", "output": "output"}
_TOKENS = {"1000_tokens": 1_000, "tokens": 1}


class _Amount(Struct):
    value: Decimal | None = None
    currency: str | None = None


class _Result(Struct):
    object: str | None = None
    amount: _Amount | None = None
    line_item: str | None = None
    quantity: Decimal | None = None
    quantity_unit: str | None = None
    model: str | None = None
    service_tier: str | None = None
    batch: bool | None = None
    num_model_requests: Decimal | None = None
    input_tokens: Decimal | None = None
    output_tokens: Decimal | None = None
    input_cached_tokens: Decimal | None = None
    input_cache_write_tokens: Decimal | None = None


class _Bucket(Struct):
    start_time: Decimal
    results: list[_Result]


_bucket: "msgspec.json.Decoder[Struct]" = msgspec.json.Decoder(_Bucket)


def _item(item: Item) -> Iterator[Charge]:
    bucket = decoded(item, _bucket)
    assert isinstance(bucket, _Bucket)
    at = day(str(bucket.start_time), item.where, "start_time")
    if not bucket.results:
        yield Charge(day=at, where=item.where)
    for number, result in enumerate(bucket.results):
        where = f"{item.where}.results[{number}]"
        if result.amount is not None:
            check_currency(result.amount.currency, where)
            quantity = result.quantity if result.quantity_unit in _TOKENS else None
            tokens = None if quantity is None else int(quantity * _TOKENS[result.quantity_unit or ""])
            yield _cost(at, where, result.amount.value or Decimal(0), result.line_item, tokens)
        else:
            told = {name: str(value) for name, value in msgspec.structs.asdict(result).items() if value is not None}
            yield _usage(at, where, told)


def _row(row: Row, _: Mapping[str, str]) -> Iterator[Charge]:
    told = {name: cell for name, cell in row.cells.items() if cell}
    at = day(told.get("start_time_iso") or told.get("start_time", ""), row.where, "start_time")
    if "amount_value" in told:
        check_currency(told.get("amount_currency"), row.where)
        yield _cost(
            at, row.where, dollars(told["amount_value"], row.where, "amount_value"), told.get("line_item"), None
        )
    elif "num_model_requests" in told:
        yield _usage(at, row.where, told)
    else:
        yield Charge(day=at, where=row.where)


def _cost(at: int, where: str, cost: Decimal, line_item: str | None, tokens: int | None) -> Charge:
    match = _LINE_ITEM.fullmatch(line_item or "")
    if match is None:
        return Charge(day=at, where=where, model=line_item, cost=cost)
    kind = None if match["medium"] in ("audio", "image") else _KINDS[match["kind"].lower()]
    return Charge(
        day=at,
        where=where,
        model=match["model"],
        tier=match["tier"].lower() if match["tier"] else None,
        cost=cost,
        kind=kind,
        tokens=None if tokens is None or kind is None else {kind: tokens},
    )


def _usage(at: int, where: str, told: Mapping[str, str]) -> Charge:
    is_batch = told.get("batch", "").lower() == "true"
    return Charge(
        day=at,
        where=where,
        usage_of=_usage_of(told),
        model=told.get("model"),
        tier="batch" if is_batch else told.get("service_tier"),
        requests=count(told.get("num_model_requests", "0"), where, "num_model_requests"),
        tokens=_tokens(where, told) if "input_tokens" in told else None,
    )


def _usage_of(told: Mapping[str, str]) -> str:
    """
    Which of the usages it is of, each of which has an address of its own: by what it counts, for files do not say it.
    """
    counted = [name for name in ("output_tokens", "input_tokens") if name in told]
    return counted[0] if counted else told.get("object", "")


def _tokens(where: str, told: Mapping[str, str]) -> Tokens:
    read = count(told["input_tokens"], where, "input_tokens")
    parts = {
        kind: count(told[name], where, name)
        for kind, name in (("cache_read", "input_cached_tokens"), ("cache_write_5m", "input_cache_write_tokens"))
        if name in told
    }
    written = count(told.get("output_tokens", "0"), where, "output_tokens")
    if sum(parts.values()) > read:
        raise BillError(f"{where}: more cached tokens than input_tokens, which they are a part of")
    return {"input": read - sum(parts.values()), **parts, "output": written}


FORMAT = Format(
    item_fields=(frozenset({"results", "start_time"}),),
    columns=(frozenset({"amount_value", "start_time"}), frozenset({"num_model_requests", "start_time"})),
    item=_item,
    row=_row,
    providers=frozenset({"openai"}),
)
