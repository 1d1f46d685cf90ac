"""
What all formats share in reading replies: collect while the bytes pass by, decode only what can matter, never fail.
"""

import re
from collections.abc import Mapping
from typing import Any

from solvent._amounts import Usage
from solvent.wire._call import Call, Reader, Reading
from solvent.wire._read import kind_of, mapping, merged, safe_name, text
from solvent.wire._sse import EVENT_BYTES_MAX, Splitter, decoded, event_end, event_start, payload

REPLY_BYTES_MAX = 64 * 2**20  # A plain reply above this is passed on and not read.
_HELD_BYTES_MAX = 64 * 2**10  # No usage event is longer than this.
_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*[^\s\]]')  # A list that has something in it.


class Reply:
    """
    One reply as it becomes known. Each format says how its bodies and events are read.
    """

    # What stands in every event that can tell anything beyond more output. Every stream is searched for them, so it is
    # one pattern that begins with a plain character, and few texts.
    MARK: re.Pattern[bytes]
    MARKS: tuple[bytes, ...] = ()

    usage_raw: Mapping[str, Any] | None = None
    model: str | None = None
    tier: str | None = None
    region: str | None = None
    error: str | None = None
    problem: str | None = None
    charged_nanodollars: int | None = None
    done = False
    begun = False
    cut_at_length = False

    def __init__(self, call: Call, status: int) -> None:
        self.call = call
        self.status = status

    def marks(self, data: bytes, start: int) -> list[int]:
        """
        Where in ``data``, from ``start`` on, are events that can tell anything beyond more output.
        """
        found = []
        match = self.MARK.search(data, start)
        while match is not None:
            found.append(match.start())
            match = self.MARK.search(data, match.end())
        for mark in self.MARKS:
            at = data.find(mark, start)
            while at >= 0:
                found.append(at)
                at = data.find(mark, at + 1)
        return sorted(found)

    def event(self, name: str, body: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def body(self, body: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def usage(self, raw: Mapping[str, Any]) -> Usage | None:
        """
        The provider's count and our own of tool calls; ``None`` where it tells nothing.

        Raises:
            ValueError: The counts cannot be meant.
        """
        raise NotImplementedError

    def charged(self, raw: Mapping[str, Any]) -> int | None:  # noqa: ARG002  # Most tell their counts alone.
        """
        What the provider says that it charges, in nanodollars; ``None`` where it does not say.

        Raises:
            ValueError: It is no amount.
        """
        return None

    def tool_calls(self) -> int:
        raise NotImplementedError

    def decoded(self, body: bytes) -> Any:
        """
        A plain reply's body; ``None`` when it is no JSON.
        """
        return decoded(body)

    def add_usage(self, raw: object) -> None:
        if isinstance(raw, dict) and raw:
            self.usage_raw = merged(self.usage_raw, raw)
        elif raw is not None and not isinstance(raw, dict):
            self.problem = f"usage must be an object, got {kind_of(raw)}"

    def add_error(self, raw: object) -> None:
        """
        Note the type of a provider's error, and nothing else of it: messages may quote the prompt.
        """
        source = mapping(raw)
        otherwise = self.error or (f"http_{self.status}" if self.status >= 400 else "error")
        named = (safe_name(source.get(name)) for name in ("type", "code", "status"))
        self.error = next(filter(None, named), otherwise)

    def add_names(self, source: Mapping[str, Any]) -> None:
        self.model = text(source.get("model")) or self.model
        self.tier = text(source.get("service_tier")) or self.tier

    def reading(self, *, complete: bool) -> Reading:
        if self.status >= 400 and self.error is None:
            self.error = f"http_{self.status}"
        tool_calls = self.tool_calls()
        usage = self._checked_usage()
        return Reading(
            usage=usage,
            problem=self.problem,
            model=self.model,
            tier=self.tier,
            region=self.region,
            complete=complete,
            cut_at_length=self.cut_at_length,
            output_begun=self.begun,
            tool_calls=tool_calls,
            charged_nanodollars=self.charged_nanodollars,
            error=self.error,
        )

    def _checked_usage(self) -> Usage | None:
        if self.problem is not None or self.usage_raw is None:
            return None
        try:
            usage = self.usage(self.usage_raw)
            if usage is None:
                return None
            usage.check()
            if self.begun and not usage.input_tokens:  # Seen in a real reply with two tool calls.
                raise ValueError("a reply with output must have read more than 0 tokens")
            self.charged_nanodollars = self.charged(self.usage_raw)
        except ValueError as exc:
            self.problem = str(exc)
            return None
        return usage


class BodyReader:
    """
    Reads a plain reply, once it is whole.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._chunks: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        self._size += len(chunk)
        if self._size <= REPLY_BYTES_MAX:
            self._chunks.append(chunk)
        return chunk

    def finish(self) -> Reading:
        if self._size > REPLY_BYTES_MAX:
            self._reply.problem = f"the reply is above {REPLY_BYTES_MAX} bytes"
            return self._reply.reading(complete=True)
        return self.read(mapping(self._reply.decoded(b"".join(self._chunks))))

    def read(self, body: Mapping[str, Any]) -> Reading:
        """
        What a body says that is decoded already.
        """
        reply = self._reply
        if body.get("error") or reply.status >= 400:
            reply.add_error(body.get("error") if isinstance(body.get("error"), dict) else body)
        reply.body(body)
        return reply.reading(complete=True)


class EventReader:
    """
    Reads a streamed reply while it passes by.

    Args:
        drop_usage: Leave out the usage event that only Solvent asked for. Then an event that is not whole waits, but
            only while it can be that one.
    """

    def __init__(self, reply: Reply, *, drop_usage: bool = False) -> None:
        self._reply = reply
        self._splitter = Splitter()
        self._drop_usage = drop_usage
        self._sent = 0  # Bytes of the splitter's tail that were already passed on.

    def feed(self, chunk: bytes) -> bytes:
        if not self._splitter.tail and chunk.endswith(b"\n\n"):
            return self._read(chunk)
        held = bytes(self._splitter.tail[self._sent :]) if self._drop_usage else b""
        block = self._splitter.feed(chunk)
        if self._splitter.skipped:
            self._drop_usage = False  # The stream is not one that we understand: nothing is held back any more.
        if not self._drop_usage:
            if block:
                self._read(block)
            return held + chunk
        if not block:
            return self._release()
        kept = self._read(block)[self._sent :]  # What was passed on is the beginning of the block's first event.
        self._sent = 0
        return kept + self._release()

    @property
    def is_done(self) -> bool:
        """
        The stream came to its own end, after which it says nothing that counts.
        """
        return self._reply.done

    def finish(self) -> Reading:
        if self._splitter.tail:
            self._read(bytes(self._splitter.tail))
        reply = self._reply
        if self._splitter.skipped and reply.usage_raw is None:
            reply.problem = f"an event is above {EVENT_BYTES_MAX} bytes"
        return reply.reading(complete=reply.done)

    def _read(self, block: bytes) -> bytes:
        """
        Take note of what the events tell; return those that the caller is to see.
        """
        reply, at = self._reply, 0
        dropped: list[tuple[int, int]] = []
        while at < len(block) and not reply.begun:
            at = self._read_at(block, at, dropped)
        for mark in reply.marks(block, at):
            if mark >= at:  # Else it is in an event that has been read.
                at = self._read_at(block, event_start(block, at, mark), dropped)
        return _without(block, dropped) if dropped else block

    def _read_at(self, block: bytes, start: int, dropped: list[tuple[int, int]]) -> int:
        """
        Read the event that begins at ``start``; where it ends.
        """
        end = event_end(block, start)
        event = block[start:end]
        body = self._read_event(event)
        if self._drop_usage and not (start == 0 and self._sent) and _is_usage_event(event, body):
            dropped.append((start, end))
        return end

    def _read_event(self, event: bytes) -> Mapping[str, Any]:
        name, data = payload(event)
        if not data:
            return {}
        if data.strip() == b"[DONE]":
            self._reply.done = True
            return {}
        body = mapping(decoded(data))
        if body:
            self._reply.event(name, body)
        return body

    def _release(self) -> bytes:
        tail = self._splitter.tail
        if not tail or (self._sent == 0 and not self._reply.done and _may_be_usage_event(tail)):
            return b""
        out = bytes(tail[self._sent :])
        self._sent = len(tail)
        return out


def reader(reply: Reply, *, stream: bool) -> Reader:
    if not stream:
        return BodyReader(reply)
    return EventReader(reply, drop_usage=not reply.call.usage_asked)


def _without(block: bytes, dropped: list[tuple[int, int]]) -> bytes:
    kept, at = [], 0
    for start, end in dropped:
        kept.append(block[at:start])
        at = end
    return b"".join([*kept, block[at:]])


def _is_usage_event(event: bytes, body: Mapping[str, Any]) -> bool:
    """
    Whether it is the event that ``include_usage`` adds: a usage, and no choices.

    Source:
        openai 3.54.0, ``types/chat/chat_completion_stream_options_param.py``, read 2026-11-21.
    """
    return body.get("choices") == [] and isinstance(body.get("usage"), dict) and _may_be_usage_event(event)


def _may_be_usage_event(start: bytes | bytearray) -> bool:
    head = start[:64].lstrip(b"\r\n")
    if len(start) > _HELD_BYTES_MAX or not (head.startswith(b"data:") or b"data:".startswith(head)):
        return False
    begun = head[5:].lstrip()
    if (begun and not begun.startswith(b"{")) or _CHOICES.search(start):
        return False
    if not start.rstrip().endswith(b"}"):
        return True
    body = mapping(decoded(payload(bytes(start))[1]))  # Whole already, though its blank line has not come.
    return not body or (body.get("choices") == [] and isinstance(body.get("usage"), dict))
