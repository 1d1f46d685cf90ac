"""
Sessions of OpenAI's Codex CLI: ``rollout-….jsonl``.

Each reply of the API is followed by an event with two usages, the reply's and that of the whole session so far. The
same event comes again when only something else in it changed, and a session that was forked from another one, as those
of subagents are, begins with that one's events: neither is a new call.

Source, all read 2026-11-22:
    openai/codex, ``codex-rs/protocol/src/protocol.rs`` (``TokenUsage``, ``TokenUsageInfo``, ``SessionMeta``);
    https://ccusage.com/guide/codex/ (totals are cumulative and the model stands in ``turn_context``; of subagents);
    of copied events: egoist/waku pull request 142 (as they were), miiiiiiich/agent-walker issue 36 (with the time of
    the fork), chattymin/PokeTokenBar issue 128 (fields of ``session_meta``).
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from solvent._amounts import Usage
from solvent.imports._lines import decoded, is_cut, lines, nanoseconds
from solvent.imports._past import BadCall, Intake, PastCall, Place, Source, entry_id, shown
from solvent.wire._read import mapping
from solvent.wire._responses_reply import CALLER_CALLS

FORMAT = "openai-responses"
_KINDS = frozenset({"compacted", "event_msg", "response_item", "session_meta", "turn_context", "world_state"})
_COPIED_WITHIN_NS = 1_000_000_000  # A fork writes what it copies at once; no model answers in that time.
# Source: ccusage.com/guide/codex/ ("priority and legacy fast use Fast pricing, default Standard"), read 2026-11-22.
_TIERS = {"fast": "priority", "priority": "priority", "flex": "flex"}


class _Line(Struct, gc=False):
    type: str | None = None
    timestamp: str | None = None
    ordinal: int | None = None
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Meta(Struct, gc=False):
    id: str | None = None
    session_id: str | None = None
    parent_thread_id: str | None = None
    forked_from_id: str | None = None
    agent_nickname: str | None = None
    agent_role: str | None = None
    thread_source: str | None = None
    model_provider: str | None = None
    subagent_history_start_ordinal: int | None = None
    source: Any = None


class _Turn(Struct, gc=False):
    model: str | None = None


class _Tokens(Struct, gc=False, frozen=True):
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_output_tokens: int = 0

    def since(self, before: "_Tokens") -> "_Tokens":
        """
        What was added to ``before``; all of it where the count began anew.
        """
        added = [now - then for now, then in zip(self.counts, before.counts, strict=True)]
        return self if any(count < 0 for count in added) else _Tokens(*added)

    @property
    def counts(self) -> tuple[int, ...]:
        return msgspec.structs.astuple(self)


class _Info(Struct, gc=False):
    total_token_usage: _Tokens | None = None
    last_token_usage: _Tokens | None = None


class _Settings(Struct, gc=False):
    service_tier: str | None = None


class _Event(Struct, gc=False):
    type: str | None = None
    info: _Info | None = None
    thread_settings: _Settings | None = None


class _Action(Struct, gc=False):
    type: str | None = None


class _Item(Struct, gc=False):
    type: str | None = None
    role: str | None = None
    action: Any = None


_read_line = msgspec.json.Decoder(_Line)
_read_meta = msgspec.json.Decoder(_Meta)
_read_turn = msgspec.json.Decoder(_Turn)
_read_event = msgspec.json.Decoder(_Event)
_read_item = msgspec.json.Decoder(_Item)


class _Session:
    """
    What the lines so far say of the next call.
    """

    def __init__(self) -> None:
        self.meta: _Meta | None = None
        self.began = 0
        self.model: str | None = None
        self.tier: str | None = None
        self.total = _Tokens()
        self.started: int | None = None
        self.tool_calls = self.searches = 0

    def add_item(self, item: _Item, at: int) -> None:
        if item.role in ("developer", "system", "user") or (item.type or "").endswith("_output"):
            return  # It was sent.
        self.started = at if self.started is None else self.started
        self.tool_calls += item.type in CALLER_CALLS
        if item.type == "web_search_call":  # Pages that it opens are free.
            self.searches += mapping(item.action).get("type") in (None, "search")

    def is_copied(self, line: _Line, at: int) -> bool:
        """
        Whether a line is one of the session that this one was forked from.
        """
        meta = self.meta
        if meta is None:
            return False
        first = meta.subagent_history_start_ordinal
        if first is not None and line.ordinal is not None:
            return line.ordinal < first
        is_fork = meta.forked_from_id is not None or meta.parent_thread_id is not None
        return is_fork and at <= self.began + _COPIED_WITHIN_NS

    def advance(self, info: _Info) -> _Tokens | None:
        """
        What the reply used that an event tells of; ``None`` where it tells of none.
        """
        total, last = info.total_token_usage, info.last_token_usage
        if total is None:
            return last
        before, self.total = self.total, total
        if total == before:
            return None
        return last if last is not None else total.since(before)

    def over(self) -> None:
        self.started = None
        self.tool_calls = self.searches = 0


def calls(files: Iterable[Path], intake: Intake) -> Iterator[PastCall]:
    """
    The calls of all sessions, session by session.
    """
    for file in files:
        session = _Session()
        for number, text in lines(file, intake):
            where = shown(file, number)
            try:
                call = _read(session, text, where)
            except BadCall as error:
                if not is_cut(text):
                    intake.refuse(error)
                continue
            if call is not None:
                yield call


def _read(session: _Session, text: bytes, where: str) -> PastCall | None:
    """
    Take note of a line; the call that it ends, if it ends one.

    Raises:
        BadCall: It cannot be read, or its counts cannot be meant.
    """
    line = decoded(_read_line, text, where)
    if line.type == "session_meta":
        if session.meta is None:  # Those of the sessions that this one was forked from follow its own.
            session.meta = decoded(_read_meta, line.payload, where, "payload")
            session.began = nanoseconds(line.timestamp, where, "timestamp")
    elif line.type == "turn_context":
        session.model = decoded(_read_turn, line.payload, where, "payload").model or session.model
    elif line.type == "response_item":
        item = decoded(_read_item, line.payload, where, "payload")
        session.add_item(item, nanoseconds(line.timestamp, where, "timestamp"))
    elif line.type == "event_msg":
        return _event(session, line, where)
    return None


def _event(session: _Session, line: _Line, where: str) -> PastCall | None:
    if b"token_count" not in bytes(line.payload) and b"thread_settings" not in bytes(line.payload):
        return None
    event = decoded(_read_event, line.payload, where, "payload")
    if event.thread_settings is not None:
        session.tier = _TIERS.get(event.thread_settings.service_tier or "")
    if event.type != "token_count" or event.info is None:
        return None
    at = nanoseconds(line.timestamp, where, "timestamp")
    used = session.advance(event.info)
    if used is None:
        return None  # What was written since the last reply is of the next one.
    if session.is_copied(line, at):
        session.over()
        return None
    try:
        return _call(session, used, at, where) if any(used.counts) else None
    finally:
        session.over()


def _call(session: _Session, used: _Tokens, at: int, where: str) -> PastCall:
    meta = session.meta
    if meta is None or not meta.id:
        raise BadCall(where, "session_meta with the id of the session does not stand before it")
    usage = Usage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cache_read_tokens=used.cached_input_tokens,
        cache_write_5m_tokens=used.cache_write_input_tokens,
        reasoning_tokens=used.reasoning_output_tokens,
        web_searches=session.searches,
        tool_calls=session.tool_calls,
    )
    try:
        usage.check()
    except ValueError as error:
        raise BadCall(where, f"payload.info: {error}") from None
    # Totals only grow, so they tell the calls of a session apart, in whichever copy of the file they are read.
    name = "-".join(map(str, (meta.id, *(session.total if any(session.total.counts) else used).counts)))
    return PastCall(
        id=entry_id("codex", name),
        where=where,
        place=_place(meta),
        provider=meta.model_provider or "openai",
        format=FORMAT,
        model_asked=session.model,
        tier=session.tier,
        usage=usage,
        started=session.started,
        ended=at,
    )


def _place(meta: _Meta) -> Place:
    subagent = meta.source.get("subagent") if isinstance(meta.source, dict) else None
    if meta.thread_source != "subagent" and subagent is None:
        return (("run", meta.id or ""),)
    kind = subagent if isinstance(subagent, str) else None
    if isinstance(subagent, dict) and isinstance(subagent.get("other"), str):
        kind = subagent["other"]
    run = meta.session_id or meta.parent_thread_id or meta.id or ""
    return ("run", run), ("agent", meta.agent_nickname or meta.agent_role or kind or meta.id or "")


def _is_like(value: Mapping[str, object]) -> bool:
    return value.get("type") in _KINDS and "payload" in value


SOURCE = Source(
    title="session of Codex",
    endings=(".jsonl",),
    is_like=_is_like,
    calls=calls,
)
