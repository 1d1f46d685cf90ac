"""
Anthropic's bills: pages of the Admin API's usage and cost reports, and what its Console exports.

Source, all read 2026-11-22: https://platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages and
https://platform.claude.com/docs/en/api/admin/cost_report (amounts are decimal texts in cents; what is paid by the use
has no model); columns of the Console's files from published exports. Input tokens do not include cached ones.
"""

import re
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from solvent.reconcile._format import Format, decoded
from solvent.reconcile._read import check_currency, count, day, dollars
from solvent.reconcile._records import BillError, Charge
from solvent.reconcile._source import Item, Row

# What a line's tokens are, as the interface and as the Console's files name them.
_KINDS = {
    "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
    "cache_creation.ephemeral_5m_input_tokens": "cache_write_5m",
    "cache_read_input_tokens": "cache_read",
    "input_cache_read": "cache_read",
    "input_cache_write_1h": "cache_write_1h",
    "input_cache_write_5m": "cache_write_5m",
    "input_no_cache": "input",
    "output": "output",
    "output_tokens": "output",
    "uncached_input_tokens": "input",
}
_USAGE_COLUMNS = {
    "usage_input_tokens_cache_read": "cache_read",
    "usage_input_tokens_cache_write_1h": "cache_write_1h",
    "usage_input_tokens_cache_write_5m": "cache_write_5m",
    "usage_input_tokens_no_cache": "input",
    "usage_output_tokens": "output",
    "web_search_count": "web_search",
}
_DISPLAYED = re.compile(r"claude ([a-z]+) (\d+)(?:\.(\d+))?", re.IGNORECASE)


class _Creation(Struct):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class _ToolUse(Struct):
    web_search_requests: int = 0


class _Result(Struct):
    model: str | None = None
    service_tier: str | None = None
    amount: str | None = None
    currency: str | None = None
    cost_type: str | None = None
    token_type: str | None = None
    description: str | None = None
    uncached_input_tokens: int | None = None
    cache_creation: _Creation | None = None
    cache_read_input_tokens: int = 0
    output_tokens: int = 0
    server_tool_use: _ToolUse | None = None


class _Bucket(Struct):
    starting_at: str
    results: list[_Result]


_bucket: "msgspec.json.Decoder[Struct]" = msgspec.json.Decoder(_Bucket)


def _item(item: Item) -> Iterator[Charge]:
    bucket = decoded(item, _bucket)
    assert isinstance(bucket, _Bucket)
    at = day(bucket.starting_at, item.where, "starting_at")
    if not bucket.results:
        yield Charge(day=at, where=item.where)
    for number, result in enumerate(bucket.results):
        where = f"{item.where}.results[{number}]"
        if result.amount is not None:
            check_currency(result.currency, where)
            yield Charge(
                day=at,
                where=where,
                model=result.model or _purpose(result.cost_type or result.description),
                tier=result.service_tier,
                cost=dollars(result.amount, where, "amount").scaleb(-2),
                kind=_KINDS.get(result.token_type or ""),
            )
        elif result.uncached_input_tokens is not None:
            yield Charge(day=at, where=where, model=result.model, tier=result.service_tier, tokens=_tokens(result))
        else:
            raise BillError(f"{where}: expected an amount or uncached_input_tokens")


def _tokens(result: _Result) -> dict[str, int]:
    creation, tools = result.cache_creation or _Creation(), result.server_tool_use or _ToolUse()
    return {
        "input": result.uncached_input_tokens or 0,
        "cache_read": result.cache_read_input_tokens,
        "cache_write_5m": creation.ephemeral_5m_input_tokens,
        "cache_write_1h": creation.ephemeral_1h_input_tokens,
        "output": result.output_tokens,
        "web_search": tools.web_search_requests,
    }


def _row(row: Row, _: Mapping[str, str]) -> Iterator[Charge]:
    cells = row.cells
    at = day(cells.get("usage_date_utc", ""), row.where, "usage_date_utc")
    tier = cells.get("usage_type") or None
    if "cost_usd" in cells:
        kind = _KINDS.get(cells.get("token_type", ""))
        yield Charge(
            day=at,
            where=row.where,
            model=_model(cells.get("model", "")) or _purpose(cells.get("token_type") or tier),
            tier=tier,
            cost=dollars(cells["cost_usd"], row.where, "cost_usd"),
            kind=kind,
        )
        return
    told = {kind: count(cells[name], row.where, name) for name, kind in _USAGE_COLUMNS.items() if name in cells}
    yield Charge(day=at, where=row.where, model=cells.get("model_version") or None, tier=tier, tokens=told)


def _model(displayed: str) -> str | None:
    """
    The model's name in requests, of the one that people see: ``Claude Sonnet 4.5``, ``Claude Haiku 3.5``.
    """
    match = _DISPLAYED.fullmatch(displayed.strip())
    if match is None:
        return displayed or None
    family, *digits = match[1].lower(), match[2], *([match[3]] if match[3] else [])
    version = "-".join(digits)
    # The number stood before the family until the fourth generation: claude-3-5-haiku, claude-haiku-4-5.
    return f"claude-{version}-{family}" if int(match[2]) < 4 else f"claude-{family}-{version}"


def _purpose(name: str | None) -> str | None:
    return name.replace("_", " ").lower() if name else None


_COST_COLUMNS = frozenset({"cost_usd", "usage_date_utc"})

FORMAT = Format(
    item_fields=(frozenset({"results", "starting_at"}),),
    columns=(_COST_COLUMNS, frozenset({"usage_date_utc", "usage_output_tokens"})),
    item=_item,
    row=_row,
    providers=frozenset({"anthropic"}),
)
