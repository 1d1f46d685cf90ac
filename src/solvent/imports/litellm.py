"""
Spend logs of LiteLLM's proxy: what ``/spend/logs`` answers, or the table ``LiteLLM_SpendLogs`` as JSON or CSV.

What a call cost is what LiteLLM reckoned. The hash of a key, addresses, messages and replies, which a row may have, are
not read.

Source:
    BerriAI/litellm, ``schema.prisma`` (``LiteLLM_SpendLogs``), and
    ``litellm/proxy/spend_tracking/spend_tracking_utils.py`` (a row has a ``session_id`` of its own where none is given,
    an answer from the cache costs nothing); issue 8784 (the provider's usage is in ``metadata.usage_object``); read
    2026-11-22.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from solvent._amounts import Usage, check_amount
from solvent._clock import utc
from solvent._litellm_log import model_name, why_no_call
from solvent.imports._lines import decoded, dollars_up, nanoseconds
from solvent.imports._past import BadCall, Intake, PastCall, Place, Source, entry_id
from solvent.wire._json_stream import Elements
from solvent.wire._read import count, mapping

_CHUNK_BYTES = 2**18
_CSV_FIELD_CHARACTERS = 2**24
# Names of LiteLLM for the wire formats and providers that are called otherwise here.
_FORMATS = {
    "acompletion": "openai-chat",
    "aembedding": "openai-embeddings",
    "anthropic_messages": "anthropic-messages",
    "aresponses": "openai-responses",
    "atext_completion": "openai-completions",
    "completion": "openai-chat",
    "embedding": "openai-embeddings",
    "responses": "openai-responses",
    "text_completion": "openai-completions",
}
_PROVIDERS = {
    "bedrock_converse": "bedrock",
    "vertex_ai": "vertex",
    "vertex_ai-anthropic_models": "vertex",
    "vertex_ai_beta": "vertex",
}
_ERROR = re.compile(r"[45]\d\d")


class _Row(Struct, gc=False):
    request_id: str | None = None
    call_type: str | None = None
    spend: Decimal | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    startTime: str | None = None
    endTime: str | None = None
    model: str | None = None
    model_group: str | None = None
    custom_llm_provider: str | None = None
    organization_id: str | None = None
    team_id: str | None = None
    user: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    cache_hit: Any = None
    status: str | None = None
    metadata: Any = None


_read_row = msgspec.json.Decoder(_Row)


def calls(files: Iterable[Path], intake: Intake) -> Iterator[PastCall]:
    """
    The calls of all files, in their order.
    """
    for file in files:
        for where, text in _csv_rows(file, intake) if file.suffix.lower() == ".csv" else _json_rows(file, intake):
            try:
                row = decoded(_read_row, text, where)
                why_none = why_no_call(
                    status=row.status,
                    cache_hit=row.cache_hit,
                    provider=row.custom_llm_provider,
                    has_cost=bool(row.spend),
                )
                if why_none is None:
                    yield _call(row, where, by_session=intake.sessions)
                else:
                    intake.left_out[why_none] += 1
            except BadCall as error:
                intake.refuse(error)


def _json_rows(file: Path, intake: Intake) -> Iterator[tuple[str, bytes]]:
    """
    The objects of an array, or one after the other; what is still being written at the end is none.
    """
    elements, number = Elements(), 0
    with open(file, "rb") as data:
        while chunk := data.read(_CHUNK_BYTES):
            for text in elements.feed(chunk):
                number += 1
                yield f"{file}, row {number}", text
            intake.told(len(chunk))
            while elements.skipped:
                elements.skipped -= 1
                intake.refuse(BadCall(f"{file}, after row {number}", "it is too long to be read"))


def _csv_rows(file: Path, intake: Intake) -> Iterator[tuple[str, bytes]]:
    csv.field_size_limit(max(csv.field_size_limit(), _CSV_FIELD_CHARACTERS))
    with open(file, "rb") as data:
        rows = csv.DictReader(TextIOWrapper(data, encoding="utf-8-sig", newline=""))
        at = 0
        while True:
            where = f"{file}:{rows.line_num + 1}"
            try:
                row = next(rows, None)
                if row is None:
                    return
                yield where, _as_json(row, where)
            except (csv.Error, UnicodeDecodeError) as error:
                raise BadCall(where, f"it is no CSV: {error}") from None
            except BadCall as error:
                intake.refuse(error)
            intake.told(data.tell() - at)
            at = data.tell()


def _as_json(row: Mapping[str, Any], where: str) -> bytes:
    """
    A row of text as it is in JSON: counts as numbers, and what is empty as null.
    """
    if None in row or None in row.values():
        raise BadCall(where, "it has not as many columns as the head, or a quote is missing")
    fields: dict[str, object] = {name: text for name, text in row.items() if text and name in _Row.__struct_fields__}
    for name in ("prompt_tokens", "completion_tokens"):
        if re.fullmatch(r"-?\d{1,20}", str(fields.get(name, ""))):
            fields[name] = int(str(fields[name]))
    return msgspec.json.encode(fields)


def _call(row: _Row, where: str, *, by_session: bool) -> PastCall:
    """
    Raises:
        BadCall: Something is missing, or cannot be meant.
    """
    if not row.request_id:
        raise BadCall(where, "request_id is missing")
    started, ended = nanoseconds(row.startTime, where, "startTime"), nanoseconds(row.endTime, where, "endTime")
    metadata = _metadata(row.metadata)
    provider = row.custom_llm_provider or ""
    model = model_name(row.model, provider)
    return PastCall(
        id=entry_id("litellm", row.request_id),
        where=where,
        place=_place(row, ended, by_session=by_session),
        provider=_PROVIDERS.get(provider, provider),
        format=_FORMATS.get(row.call_type or ""),
        model_asked=row.model_group or model,
        model_used=model,
        usage=_usage(row, metadata, where),
        cost_nanodollars=None if row.spend is None else dollars_up(row.spend, where, "spend"),
        price_source="LiteLLM",
        status=_status(row, metadata),
        started=started,
        ended=ended,
    )


def _metadata(value: object) -> Mapping[str, Any]:
    """
    What stands beside a row's columns, in JSON as text or not.
    """
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            return {}
    return mapping(value)


def _usage(row: _Row, metadata: Mapping[str, Any], where: str) -> Usage:
    """
    Raises:
        BadCall: The counts cannot be meant.
    """
    told = {**mapping(metadata.get("additional_usage_values")), **mapping(metadata.get("usage_object"))}
    read, written = mapping(told.get("prompt_tokens_details")), mapping(told.get("completion_tokens_details"))
    try:
        cached = max(count(told, "cache_read_input_tokens"), count(read, "cached_tokens"))
        wrote_1h = count(mapping(read.get("cache_creation_token_details")), "ephemeral_1h_input_tokens")
        wrote = max(count(told, "cache_creation_input_tokens"), count(read, "cache_creation_tokens"), wrote_1h)
        prompt = check_amount("prompt_tokens", row.prompt_tokens or 0)
        usage = Usage(
            # Versions differ in whether what was cached counts as part of the prompt.
            input_tokens=prompt if prompt >= cached + wrote else prompt + cached + wrote,
            output_tokens=row.completion_tokens or 0,
            cache_read_tokens=cached,
            cache_write_5m_tokens=wrote - wrote_1h,
            cache_write_1h_tokens=wrote_1h,
            reasoning_tokens=min(count(written, "reasoning_tokens"), row.completion_tokens or 0),
        )
        usage.check()
    except ValueError as error:
        raise BadCall(where, str(error)) from None
    return usage


def _status(row: _Row, metadata: Mapping[str, Any]) -> str:
    if row.status != "failure":
        return "200"
    code = str(mapping(metadata.get("error_information")).get("error_code"))
    return code if _ERROR.fullmatch(code) else "failed"


def _place(row: _Row, ended: int, *, by_session: bool) -> Place:
    run = row.session_id if by_session else None
    parts = (
        ("org", row.organization_id),
        ("team", row.team_id),
        ("user", row.user),
        ("run", run or f"litellm-{utc(ended):%Y-%m-%d}"),
        ("agent", row.agent_id),
    )
    return tuple([(kind, name) for kind, name in parts if name])


def _is_like(value: Mapping[str, object]) -> bool:
    return "request_id" in value and "spend" in value


SOURCE = Source(
    title="spend log of LiteLLM",
    endings=(".csv", ".json", ".jsonl"),
    is_like=_is_like,
    calls=calls,
)
