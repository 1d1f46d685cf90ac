"""
Replays recorded Claude Code sessions through the guard: every request is built anew from the log's order and lengths,
and a fake answers with the recorded usage.

The log keeps no text, and not everything that was sent. What stands for the rest, so that a prompt is as long as a real
one, at 4 bytes a token:

- The system prompt and 16 tools: as long as the first bill of the conversation asks for.
- The input of a tool's call: what the reply's tokens leave when its text and thinking are taken off.
- Reminders and what else was sent unlogged: a text at the end of a user message, where the bill grew by more than the
  logged text can be. A reply whose recorded count is a partial one is made up for here too.

Marks for the cache stand where Claude Code sets them: at the system prompt, and at the last two user messages, each for
as long as the bill says. A cap of 32,000 output tokens is what it sends for every model in the log.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from solvent._booking import Replied
from solvent._guard import Guard
from solvent._limits import Limit, Scope
from solvent.errors import BudgetExceeded
from solvent.stores._batcher import Ledger
from solvent.stores.memory import MemoryStore
from solvent.wire import FORMATS, Call

MAX_TOKENS = 32_000
BYTES_PER_TOKEN = 4
TOOLS = 16
_SIGNATURE_BYTES = 300
_MESSAGES = FORMATS["anthropic-messages"]
_FILLER = "the quick brown fox jumps over the lazy dog and " * 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Billed:
    """
    The usage of one call, as the provider returned it.
    """

    fresh: int
    write_5m: int
    write_1h: int
    read: int
    output: int

    @property
    def input_tokens(self) -> int:
        return self.fresh + self.write_5m + self.write_1h + self.read


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Step:
    """
    One recorded call: what it sent and what it was billed.
    """

    session: str
    conversation: str
    at: datetime
    model: str
    head: dict[str, Any]
    messages: tuple[dict[str, Any], ...]
    billed: Billed
    tools_used: int

    def reply(self, cap: int) -> bytes:
        """
        The stream of the reply, cut where the cap cuts it.
        """
        of = self.billed
        usage = {
            "input_tokens": of.fresh,
            "cache_creation_input_tokens": of.write_5m + of.write_1h,
            "cache_read_input_tokens": of.read,
            "cache_creation": {"ephemeral_5m_input_tokens": of.write_5m, "ephemeral_1h_input_tokens": of.write_1h},
            "output_tokens": 1,
            "service_tier": "standard",
        }
        start = {"type": "message_start", "message": {"model": self.model, "usage": usage}}
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}}
        reason = "max_tokens" if of.output > cap else "end_turn"
        end = {
            "type": "message_delta",
            "delta": {"stop_reason": reason},
            "usage": {"output_tokens": min(of.output, cap)},
        }
        events: list[dict[str, Any]] = [start, *[block] * self.tools_used, end, {"type": "message_stop"}]
        return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """
    What became of one replayed call.

    Attributes:
        cap: The output cap it went out with; ``None`` when it was refused.
        spent_before, spent: Of the run, in nanodollars.
        bound: What was set aside, in nanodollars.
        cut: Its recorded reply was longer than the cap.
    """

    step: Step
    cap: int | None
    rungs: tuple[str, ...]
    spent_before: int
    spent: int
    bound: int = 0
    cut: bool = False

    @property
    def is_shrunk(self) -> bool:
        return any(rung.startswith("shrink") for rung in self.rungs)


@cache
def call_of(step: Step, max_tokens: int = MAX_TOKENS) -> Call:
    """
    The request of a step, as the wire format describes it.
    """
    mark = {"type": "ephemeral", "ttl": "1h" if step.billed.write_1h else "5m"}
    request = {
        "model": step.model,
        "max_tokens": max_tokens,
        "stream": True,
        "system": [{**step.head["system"], "cache_control": mark}],
        "tools": step.head["tools"],
        "messages": _marked(step.messages, mark),
    }
    return _MESSAGES.describe(request, provider="anthropic", path="messages", headers={})


def sessions() -> dict[str, tuple[Step, ...]]:
    """
    The calls of each session, its subagents among them, by the time they began; the test is skipped without the data.
    """
    if not folder().is_dir():
        pytest.skip(f"no recorded sessions at {folder()}; set SOLVENT_TEST_DATA")
    return _sessions()


def folder() -> Path:
    data = Path(os.environ.get("SOLVENT_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
    return data / "claude-code-sessions"


@cache
def _sessions() -> dict[str, tuple[Step, ...]]:
    found = {}
    for file in sorted((folder() / "sessions").glob("*.jsonl")):
        main = _Conversation(file)
        steps = list(main.steps())
        for child in sorted((file.parent / file.stem / "subagents").glob("*.jsonl")):
            compacts = "acompact" in child.stem
            steps += (_Conversation(child, compacts=main) if compacts else _Conversation(child)).steps()
        found[file.stem.partition("-")[0]] = tuple(sorted(steps, key=lambda step: step.at))
    return found


@dataclass
class _Sent:
    """
    What a model was sent and billed last in a conversation.
    """

    bytes: int
    billed: int


class _Conversation:
    """
    Reads one log file and tells the calls in it. A call that compacts a conversation goes on from where that stood.
    """

    def __init__(self, file: Path, *, compacts: "_Conversation | None" = None) -> None:
        self._file = file
        self._lines = [json.loads(line) for line in file.read_text().splitlines()]
        self._messages: list[dict[str, Any]] = []
        self._bytes = 0
        self._head: dict[str, Any] | None = None
        self._head_bytes = 0
        self._sent: dict[str, _Sent] = {}
        self.before_compaction: dict[str, Any] = {}
        if compacts is not None:
            self.__dict__.update(compacts.before_compaction)

    def steps(self) -> Iterator[Step]:
        waiting: list[dict[str, Any]] = []
        lines = self._lines
        replies = _replies(lines)
        told: set[str] = set()
        for line in lines:
            if line.get("subtype") == "compact_boundary":
                self._compact(waiting)
                waiting = []
            elif line["type"] == "user" and not (line.get("isMeta") and "acompact" in self._file.stem):
                waiting += [_user_block(block) for block in line["message"]["content"]]
            elif line["type"] == "assistant" and line["message"]["id"] not in told:
                id = line["message"]["id"]
                told.add(id)
                yield self._call(line, waiting, replies[id])
                waiting = []

    def _call(self, line: dict[str, Any], waiting: list[dict[str, Any]], reply: list[dict[str, Any]]) -> Step:
        message, billed = line["message"], _billed(reply)
        self._fill(waiting, message["model"], billed)
        self._add({"role": "user", "content": waiting})
        assert self._head is not None
        step = Step(
            session=line["sessionId"][:8],
            conversation=self._file.stem,
            at=datetime.fromisoformat(line["timestamp"]),
            model=message["model"],
            head=self._head,
            messages=tuple(self._messages),
            billed=billed,
            tools_used=sum(block["type"] == "tool_use" for one in reply for block in one["content"]),
        )
        self._sent[message["model"]] = _Sent(self._bytes, billed.input_tokens)
        self._add({"role": "assistant", "content": _assistant_blocks(reply, billed)})
        return step

    def _fill(self, waiting: list[dict[str, Any]], model: str, billed: Billed) -> None:
        """
        Make the prompt as long as its bill asks for: by the head at first, and by a reminder from then on.
        """
        said = sum(map(_bytes, waiting))
        if self._head is None:
            self._head_bytes = max(BYTES_PER_TOKEN * billed.input_tokens - said, 0)
            self._head = _head(self._file.stem, self._head_bytes)
        last = self._sent.get(model) or _Sent(-self._head_bytes, 0)
        missing = BYTES_PER_TOKEN * (billed.input_tokens - last.billed) - (self._bytes + said - last.bytes)
        if missing > 0:
            waiting.append({"type": "text", "text": _FILLER[:missing]})
        assert waiting, "a call that adds nothing to the one before"

    def _add(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        self._bytes += sum(map(_bytes, message["content"]))

    def _compact(self, waiting: list[dict[str, Any]]) -> None:
        names = ("_messages", "_bytes", "_head", "_head_bytes", "_sent")
        self.before_compaction = {name: getattr(self, name) for name in names}
        if waiting:
            self._add({"role": "user", "content": waiting})
            self.before_compaction["_bytes"] = self._bytes
        self._messages, self._bytes, self._sent = [], 0, {}


def _replies(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["type"] == "assistant":
            found.setdefault(line["message"]["id"], []).append(line["message"])
    return found


def _billed(reply: list[dict[str, Any]]) -> Billed:
    """
    The usage of a reply that is logged in several lines, the last of which knows the output.
    """
    usage = reply[-1]["usage"]
    return Billed(
        fresh=usage["input_tokens"],
        write_5m=usage["cache_creation"]["ephemeral_5m_input_tokens"],
        write_1h=usage["cache_creation"]["ephemeral_1h_input_tokens"],
        read=usage["cache_read_input_tokens"],
        output=max(one["usage"]["output_tokens"] for one in reply),
    )


def _user_block(block: dict[str, Any]) -> dict[str, Any]:
    if block["type"] == "text":
        return {"type": "text", "text": _FILLER[: block["chars"]]}
    assert block["type"] == "tool_result"
    text = _FILLER[: block["content_chars"] or 0]
    return {"type": "tool_result", "tool_use_id": block["tool_use_id"], "content": text}


def _assistant_blocks(reply: list[dict[str, Any]], billed: Billed) -> list[dict[str, Any]]:
    logged = [block for one in reply for block in one["content"]]
    uses = sum(block["type"] == "tool_use" for block in logged)
    left = BYTES_PER_TOKEN * billed.output - sum(block.get("chars", 0) for block in logged)
    blocks: list[dict[str, Any]] = []
    for block in logged:
        if block["type"] == "tool_use":
            given = {"command": _FILLER[: max(left // uses, 0)]}
            blocks.append({"type": "tool_use", "id": block["id"], "name": block["name"], "input": given})
        elif block["type"] == "thinking":
            signature = "A" * _SIGNATURE_BYTES
            blocks.append({"type": "thinking", "thinking": _FILLER[: block["chars"]], "signature": signature})
        else:
            blocks.append({"type": "text", "text": _FILLER[: block["chars"]]})
    return blocks


def _bytes(block: dict[str, Any]) -> int:
    given = block.get("input", {}).get("command", "")
    content = block.get("content", "")
    return sum(map(len, (block.get("text", ""), block.get("thinking", ""), given, content)))


def _head(name: str, size: int) -> dict[str, Any]:
    each = size * 3 // 4 // TOOLS
    tools = [
        {
            "name": f"tool_{number}",
            "description": _FILLER[:each],
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
        }
        for number in range(TOOLS)
    ]
    return {"system": {"type": "text", "text": f"{name} {_FILLER}"[: size - each * TOOLS]}, "tools": tools}


def _marked(messages: tuple[dict[str, Any], ...], mark: dict[str, Any]) -> list[dict[str, Any]]:
    marked = list(messages)
    users = [index for index, message in enumerate(messages) if message["role"] == "user"]
    for index in users[-2:]:
        *before, last = messages[index]["content"]
        marked[index] = {**messages[index], "content": [*before, {**last, "cache_control": mark}]}
    return marked


@dataclass
class _RecordedTime:
    """
    A clock that stands where the log does.
    """

    at_ns: int = 0

    def now_ns(self) -> int:
        return self.at_ns

    def uptime_ns(self) -> int:
        return self.at_ns

    def boot_id(self) -> str:
        return "recorded"


@dataclass
class Replay:
    """
    One session under one limit.

    Args:
        prefixes: Without them every call is a step of its own, where nothing was billed before.
    """

    steps: tuple[Step, ...]
    limit_nanodollars: int
    max_tokens: int = MAX_TOKENS
    prefixes: bool = True
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self) -> list[Outcome]:
        asyncio.run(self._run())
        return self.outcomes

    async def _run(self) -> None:
        clock = _RecordedTime()
        ledger = Ledger(MemoryStore(clock=clock))
        guard, scope = Guard(ledger, clock=clock), Scope.parse("run:replay")
        guard.open(scope, (Limit(meter="usd", amount=self.limit_nanodollars, source="--usd"),))
        spent = 0
        for number, step in enumerate(self.steps):
            clock.at_ns = int(step.at.timestamp() * 1_000_000) * 1_000
            place = scope if self.prefixes else scope.child("step", str(number))
            outcome = await self._one(guard, place, step, spent)
            self.outcomes.append(outcome)
            spent = outcome.spent
        ledger.close()

    async def _one(self, guard: Guard, scope: Scope, step: Step, spent: int) -> Outcome:
        call = call_of(step, self.max_tokens)
        fingerprint = blake2b(f"{step.at} {step.conversation}".encode()).digest()
        try:
            admission = await guard.aadmit(
                call, scope=scope, fingerprint=fingerprint, began=time.monotonic(), own_host=True
            )
        except BudgetExceeded:
            return Outcome(step=step, cap=None, rungs=(), spent_before=spent, spent=spent)
        cap = self.max_tokens if admission.body is None else json.loads(admission.body)["max_tokens"]
        reader = _MESSAGES.reader(admission.call, status=200, stream=True)
        reader.feed(step.reply(cap))
        settlement = await guard.asettle(admission, Replied(status=200, reading=reader.finish()))
        assert settlement.cost_nanodollars is not None
        assert admission.bound.nanodollars is not None
        return Outcome(
            step=step,
            cap=cap,
            rungs=tuple(admission.record.rungs or ()),
            spent_before=spent,
            spent=spent + settlement.cost_nanodollars,
            bound=admission.bound.nanodollars,
            cut=step.billed.output > cap,
        )
