"""
Sessions of Claude Code: ``SESSION.jsonl``, and ``SESSION/subagents/agent-ID.jsonl`` for each of its subagents.

One reply of the API is written as several lines, one a block of content, that share a message id and each tell a usage.
Those written while it streamed tell a part of its output, so of all lines the largest counts are the call's.

Source:
    Recorded sessions of Claude Code 2.1.38 and 2.1.39; getagentseal/codeburn pull request 201 (the last of the lines
    has the counts), junhoyeo/tokscale pull request 563 (lines without ``requestId``, ``stop_reason`` in the last one),
    anthropics/claude-code issues 5034 (history that is written again), 58427 (``<synthetic>``); read 2026-11-22.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from solvent.imports._lines import decoded, is_cut, lines, nanoseconds
from solvent.imports._past import BadCall, Intake, PastCall, Place, Source, entry_id, shown
from solvent.wire import FORMATS
from solvent.wire._call import Call
from solvent.wire._read import merged

FORMAT = "anthropic-messages"
UNDER_WAY_NS = 600 * 1_000_000_000  # A call takes no longer: the SDK that makes it gives up after ten minutes.
_SUBAGENTS = "subagents"
_AT_ONCE = 64  # Messages whose lines may stand among each other's: subagents of old versions share a file.
_NO_CALL = "<synthetic>"  # What Claude Code itself says in the place of a model.
# Source: recorded replies of Bedrock ("msg_bdrk_…"), and Vertex AI's by the same rule, read 2026-11-22.
_PROVIDERS = {"msg_bdrk_": "bedrock", "msg_vrtx_": "vertex"}
_KINDS = frozenset({"assistant", "file-history-snapshot", "progress", "queue-operation", "summary", "system", "user"})


class _Line(Struct, gc=False):
    type: str | None = None
    timestamp: str | None = None
    sessionId: str | None = None
    agentId: str | None = None
    isSidechain: bool = False
    message: msgspec.Raw = msgspec.Raw(b"null")


class _Block(Struct, gc=False):
    type: str = ""
    id: str | None = None
    name: str | None = None


class _Message(Struct, gc=False):
    id: str | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    stop_reason: str | None = None
    content: list[_Block] | str = field(default_factory=list)


_read_line = msgspec.json.Decoder(_Line)
_read_message = msgspec.json.Decoder(_Message | None)


class _Reply:
    """
    A message as its lines tell it.
    """

    def __init__(self, line: _Line, at: int) -> None:
        self.line = line
        self.started = self.ended = at
        self.where = ""
        self.model = ""
        self.usage: dict[str, Any] = {}
        self.blocks: dict[object, _Block] = {}
        self.is_over = False

    def add(self, message: _Message, at: int, where: str) -> None:
        self.ended, self.where = max(self.ended, at), where
        self.model = message.model or self.model
        self.usage = merged(self.usage, message.usage)
        self.is_over = self.is_over or message.stop_reason is not None
        for block in message.content if isinstance(message.content, list) else ():
            self.blocks.setdefault(block.id or len(self.blocks), block)


def calls(files: Iterable[Path], intake: Intake) -> Iterator[PastCall]:
    """
    The calls of all sessions, those of one session in the order of time.
    """
    sessions: dict[Path, list[Path]] = {}
    for file in files:
        sessions.setdefault(_session(file), []).append(file)
    for session in sessions.values():
        yield from heapq.merge(*(_calls(file, intake) for file in session), key=lambda call: call.started or 0)


def _session(file: Path) -> Path:
    """
    The folder of a session's subagents, whether or not it is there.
    """
    if _SUBAGENTS in file.parts:
        at = len(file.parts) - 1 - file.parts[::-1].index(_SUBAGENTS)
        return Path(*file.parts[:at])
    return file.with_suffix("")


def _calls(file: Path, intake: Intake) -> Iterator[PastCall]:
    replies: OrderedDict[str, _Reply] = OrderedDict()
    last: dict[str | None, str] = {}  # Of each agent, for old versions write those of several into one file.
    for number, text in lines(file, intake):
        where = shown(file, number)
        try:
            found = _message(text, where)
        except BadCall as error:
            if not is_cut(text):
                intake.refuse(error)
            continue
        if found is None:
            continue
        line, message, at = found
        last[line.agentId] = id = message.id or ""
        replies.setdefault(id, _Reply(line, at)).add(message, at, where)
        if len(replies) > _AT_ONCE:
            yield from _believed(*replies.popitem(last=False), intake)
    for id, reply in replies.items():
        # Whatever comes before another reply is over, for an agent makes one call after the other; but of sidechains
        # without a name there may be several.
        agent = reply.line.agentId
        may_go_on = last[agent] == id or (agent is None and reply.line.isSidechain)
        if may_go_on and not reply.is_over and intake.now_ns - reply.ended < UNDER_WAY_NS:
            intake.under_way += 1
        else:
            yield from _believed(id, reply, intake)


def _message(text: bytes, where: str) -> tuple[_Line, _Message, int] | None:
    """
    The message that a line tells of; ``None`` where it tells of no reply of the API.

    Raises:
        BadCall: It cannot be read.
    """
    line = decoded(_read_line, text, where)
    if line.type != "assistant":
        return None
    message = decoded(_read_message, line.message, where, "message")
    if message is None or message.usage is None or message.model == _NO_CALL:
        return None
    for name, value in (("message.id", message.id), ("message.model", message.model), ("sessionId", line.sessionId)):
        if not value:
            raise BadCall(where, f"{name} is missing")
    return line, message, nanoseconds(line.timestamp, where, "timestamp")


def _believed(id: str, reply: _Reply, intake: Intake) -> Iterator[PastCall]:
    try:
        yield _call(id, reply)
    except BadCall as error:
        intake.refuse(error)


def _call(id: str, reply: _Reply) -> PastCall:
    """
    Raises:
        BadCall: Its counts cannot be meant.
    """
    provider = next((name for start, name in _PROVIDERS.items() if id.startswith(start)), "anthropic")
    asked = Call(format=FORMAT, provider=provider, model=reply.model)
    body = {"model": reply.model, "usage": reply.usage, "content": [*reply.blocks.values()]}
    reader = FORMATS[FORMAT].reader(asked, status=200, stream=False)
    reader.feed(msgspec.json.encode(body))
    reading = reader.finish()
    if reading.usage is None:
        raise BadCall(reply.where, f"message.usage: {reading.problem or 'it tells no tokens'}")
    return PastCall(
        id=entry_id("claude-code", id),
        where=reply.where,
        place=_place(reply.line),
        provider=provider,
        format=FORMAT,
        model_asked=reply.model,
        model_used=reply.model,
        tier=reading.tier,
        region=reading.region,
        usage=reading.usage,
        started=reply.started,
        ended=reply.ended,
    )


def _place(line: _Line) -> Place:
    run = ("run", line.sessionId or "")
    if line.agentId or line.isSidechain:
        return run, ("agent", line.agentId or "sidechain")
    return (run,)


def _beside(file: Path) -> Iterable[Path]:
    """
    The files of a session's subagents.
    """
    return sorted((file.with_suffix("") / _SUBAGENTS).rglob("*.jsonl"))


def _is_like(value: Mapping[str, object]) -> bool:
    return value.get("type") in _KINDS and "payload" not in value


SOURCE = Source(
    title="session of Claude Code",
    endings=(".jsonl",),
    is_like=_is_like,
    calls=calls,
    beside=_beside,
)
