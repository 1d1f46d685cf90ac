"""
Calls of anything else, a JSON object a line; also the lines that ``solvent export jsonl`` writes.

Nothing is guessed: a field that is none, a count that is no whole number or a time that is none is an error.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec import Struct

from solvent._amounts import AMOUNT_MAX, Usage
from solvent._booking import DONE
from solvent._limits import Scope
from solvent.imports._lines import decoded, dollars_up, is_cut, lines, nanoseconds
from solvent.imports._past import BadCall, Intake, PastCall, Place, Source, entry_id, shown

_KINDS = ("org", "team", "user", "run", "agent", "step")
_NO_CALL = {"refuse": "refused, so never made", "release": "never sent"}
_WITHOUT_EXPIRY = "put right a call of an earlier export; import the two in one go"
_USAGE = Usage.__struct_fields__


class Row(Struct, kw_only=True, gc=False, forbid_unknown_fields=True):
    """
    One call. The counts are those of a ``Usage``; of what no field tells, nothing is known.
    """

    id: str
    run: str
    ended: str
    started: str | None = None
    org: str | None = None
    team: str | None = None
    user: str | None = None
    agent: str | None = None
    step: str | None = None
    provider: str = ""
    format: str | None = None
    model: str | None = None
    model_used: str | None = None
    tier: str | None = None
    region: str | None = None
    stream: bool | None = None
    cost_usd: Decimal | None = None
    attempt: int = 0
    status: str = DONE
    parent_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    audio_cache_read_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    web_searches: int | None = None
    web_searches_preview: int | None = None
    file_searches: int | None = None
    map_searches: int | None = None
    code_sessions: int | None = None
    tool_calls: int | None = None


class _Exported(Struct, kw_only=True, gc=False):
    """
    A line of ``solvent export jsonl``, as far as it is read.
    """

    kind: str
    id: str
    scope: str
    at: str
    provider: str | None = None
    format: str | None = None
    model_asked: str | None = None
    model_used: str | None = None
    tier: str | None = None
    stream: bool | None = None
    usage: Mapping[str, str] | None = None
    cost_nanodollars: str | None = None
    price_source: str | None = None
    estimated: str | None = None
    attempt: int | None = None
    parent_id: str | None = None
    status: str | None = None
    started: str | None = None
    ended: str | None = None


_read_row = msgspec.json.Decoder(Row)
_read_exported = msgspec.json.Decoder(_Exported)
_EXPORTED, _HEAD_BYTES = b'"schema_version"', 80
_WHOLE = re.compile(r"-?\d{1,16}")


def calls(files: Iterable[Path], intake: Intake) -> Iterator[PastCall]:
    """
    The calls of all files, in their order.
    """
    expired: dict[str, _Entry] = {}  # What they did cost may stand in later lines, or files.
    for file in files:
        for number, text in lines(file, intake):
            where = shown(file, number)
            try:
                call = _read(text, where, expired, intake)
            except BadCall as error:
                if not is_cut(text):
                    intake.refuse(error)
                continue
            if call is not None:
                yield call
    yield from map(_made, expired.values())


def _read(text: bytes, where: str, expired: dict[str, "_Entry"], intake: Intake) -> PastCall | None:
    """
    The call that a line tells of; ``None`` where it tells of none, or of one that expired and may still be put right.

    Raises:
        BadCall: It is none, or cannot be meant.
    """
    if _EXPORTED not in text[:_HEAD_BYTES]:
        return _told(text, where)
    entry = _entry(text, where)
    if entry.line.kind == "correct":
        before = expired.pop(entry.line.id, None)
        if before is None:  # Its amounts are the difference to what that one says, and no call's.
            intake.left_out[_WITHOUT_EXPIRY] += 1
            return None
        entry = before.and_(entry)
    why_none = _NO_CALL.get(entry.line.kind)
    if entry.line.kind == "correct" and entry.line.status == "not_sent":
        why_none = _NO_CALL["release"]
    if why_none is not None:
        intake.left_out[why_none] += 1
        return None
    call = _made(entry)
    if entry.line.kind == "expire":
        expired[call.id] = entry
        return None
    return call


def _told(text: bytes, where: str) -> PastCall:
    """
    Raises:
        BadCall: It is no call, or cannot be meant.
    """
    row = decoded(_read_row, text, where)
    if not row.id or not row.run:
        raise BadCall(where, f"{'run' if row.id else 'id'} must not be empty")
    if not 0 <= row.attempt <= AMOUNT_MAX:
        raise BadCall(where, f"attempt: expected which try it was, from 0 up, got {row.attempt}")
    counts = {name: value for name in _USAGE if (value := getattr(row, name)) is not None}
    cost = None if row.cost_usd is None else dollars_up(row.cost_usd, where, "cost_usd")
    if cost is None and not counts:
        raise BadCall(where, "it tells neither tokens nor cost_usd")
    return PastCall(
        id=entry_id("jsonl", f"{row.run}/{row.id}"),
        where=where,
        place=_place(row),
        provider=row.provider,
        format=row.format,
        model_asked=row.model,
        model_used=row.model_used,
        tier=row.tier,
        region=row.region,
        stream=row.stream,
        usage=_usage(counts, where) if counts else None,
        cost_nanodollars=cost,
        price_source="the log",
        attempt=row.attempt,
        status=row.status,
        parent_id=row.parent_id,
        started=None if row.started is None else nanoseconds(row.started, where, "started"),
        ended=nanoseconds(row.ended, where, "ended"),
    )


def _place(row: Row) -> Place:
    names = [(kind, getattr(row, kind)) for kind in _KINDS]
    return tuple([(kind, name) for kind, name in names if name])


def _usage(counts: Mapping[str, int], where: str) -> Usage:
    usage = Usage(**counts)
    try:
        usage.check()
    except ValueError as error:
        raise BadCall(where, str(error)) from None
    return usage


class _Entry(Struct, frozen=True, gc=False):
    """
    An exported entry with its amounts.
    """

    line: _Exported
    where: str
    usage: Mapping[str, int]
    nanodollars: int | None

    def and_(self, other: "_Entry") -> "_Entry":
        """
        This expiry, and the correction that puts it right.
        """
        usage = Counter(self.usage)
        usage.update(other.usage)  # Which adds, differences below 0 as well.
        cost = None if other.nanodollars is None else (self.nanodollars or 0) + other.nanodollars
        return _Entry(other.line, other.where, usage, cost)


def _entry(text: bytes, where: str) -> _Entry:
    """
    Raises:
        BadCall: It is no line of an export.
    """
    line = decoded(_read_exported, text, where)
    if line.kind not in ("correct", "expire", "refuse", "release", "settle"):
        raise BadCall(where, f"kind: expected settle, expire, correct, release or refuse, got {line.kind!r:.80}")
    usage = {name: _whole(count, where, f"usage.{name}") for name, count in (line.usage or {}).items()}
    cost = None if line.cost_nanodollars is None else _whole(line.cost_nanodollars, where, "cost_nanodollars")
    return _Entry(line, where, usage, cost)


def _whole(text: str, where: str, name: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise BadCall(where, f"{name}: expected a whole number as text, got {text!r:.80}")
    return int(text)


def _made(entry: _Entry) -> PastCall:
    """
    Raises:
        BadCall: It cannot be meant.
    """
    line, where = entry.line, entry.where
    unknown = entry.usage.keys() - set(_USAGE)
    if unknown:
        raise BadCall(where, f"usage: {min(unknown)} is no count of it")
    if entry.nanodollars is not None and not 0 <= entry.nanodollars <= AMOUNT_MAX:
        raise BadCall(where, f"cost_nanodollars: expected 0 to {AMOUNT_MAX}, got {entry.nanodollars}")
    try:
        place = Scope.parse(line.scope).parts
    except ValueError as error:
        raise BadCall(where, f"scope: {error}") from None
    return PastCall(
        id=line.id,
        where=where,
        place=place,
        provider=line.provider or "",
        format=line.format,
        model_asked=line.model_asked,
        model_used=line.model_used,
        tier=line.tier,
        stream=line.stream,
        usage=_usage(entry.usage, where) if entry.usage else None,
        cost_nanodollars=entry.nanodollars,
        price_source=line.price_source,
        estimated=line.estimated,
        is_copy=True,
        attempt=line.attempt or 0,
        status=line.status or DONE,
        parent_id=line.parent_id,
        started=None if line.started is None else nanoseconds(line.started, where, "started"),
        ended=nanoseconds(line.ended or line.at, where, "ended"),
    )


def _is_like(value: Mapping[str, object]) -> bool:
    return "id" in value and bool(value.keys() & {"cost_usd", "model", "model_asked"})


SOURCE = Source(
    title="file of calls in JSON lines",
    endings=(".jsonl", ".ndjson"),
    is_like=_is_like,
    calls=calls,
    is_any=True,
)
