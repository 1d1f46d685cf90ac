"""
LiteLLM's spend logs: an array or a line for each call, as ``/spend/logs`` answers or the table is exported.

Source, read 2026-11-22: the table ``LiteLLM_SpendLogs`` of ``schema.prisma`` and ``SpendLogsPayload`` in litellm 1.106.
Prompt tokens include cached ones.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from solvent._litellm_log import model_name, why_no_call
from solvent.reconcile._format import Format, decoded
from solvent.reconcile._read import count, day, dollars
from solvent.reconcile._records import Charge
from solvent.reconcile._source import Item, Row


class _Log(Struct):
    request_id: str
    spend: Decimal
    startTime: str
    endTime: str | None = None
    model: str | None = None
    custom_llm_provider: str | None = None
    prompt_tokens: Decimal | None = None
    completion_tokens: Decimal | None = None
    status: str | None = None
    cache_hit: str | bool | None = None


_log: "msgspec.json.Decoder[Struct]" = msgspec.json.Decoder(_Log)


def _item(item: Item) -> Iterator[Charge]:
    log = decoded(item, _log)
    assert isinstance(log, _Log)
    told = {name: str(value) for name, value in msgspec.structs.asdict(log).items() if value is not None}
    yield _charge(item.where, told)


def _row(row: Row, _: Mapping[str, str]) -> Iterator[Charge]:
    yield _charge(row.where, {name: cell for name, cell in row.cells.items() if cell})


def _charge(where: str, told: Mapping[str, str]) -> Charge:
    # By the end of a call, as the journal counts it.
    name = "endTime" if "endTime" in told else "startTime"
    at = day(told.get(name, ""), where, name)
    cost, provider = dollars(told.get("spend", ""), where, "spend"), told.get("custom_llm_provider")
    if why_no_call(status=told.get("status"), cache_hit=told.get("cache_hit"), provider=provider, has_cost=bool(cost)):
        return Charge(day=at, where=where)
    return Charge(
        day=at,
        where=where,
        id=told.get("request_id"),
        model=model_name(told.get("model"), provider),
        provider=provider,
        cost=cost,
        requests=1,
        tokens={
            "input": count(told.get("prompt_tokens", "0"), where, "prompt_tokens"),
            "output": count(told.get("completion_tokens", "0"), where, "completion_tokens"),
        },
    )


FORMAT = Format(
    item_fields=(frozenset({"request_id", "spend", "startTime"}),),
    columns=(frozenset({"request_id", "spend", "startTime"}),),
    item=_item,
    row=_row,
    has_ids=True,
)
