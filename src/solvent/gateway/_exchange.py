"""
One admitted call: sent once, relayed, and settled exactly once, whatever happens on the way.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from solvent._answers import Answer, answer_to, plain_answer
from solvent._booking import Lost, LostReason, NotSent, Outcome, Replied
from solvent.gateway._answers import RawHeaders, error_event, format_for, raw_headers, send_answer
from solvent.gateway._decode import Decoder, Undecodable, decoded
from solvent.gateway._finish import Finished
from solvent.gateway._incoming import CLIENT_GONE, Incoming
from solvent.gateway._interrupt import Ended
from solvent.gateway._providers import Upstream
from solvent.gateway._request import HOP_BY_HOP, KEPT_CONNECTION
from solvent.gateway._seam import Admission, Guard, Settlement
from solvent.gateway._upstream import Client, NotDelivered, Reply
from solvent.wire._call import STREAM_TYPES, Reader, Reading

DEADLINE = "deadline"  # Why a call was interrupted.
# A reply above this is passed on without being read: no answer with usage is that large.
PLAIN_BYTES_MAX = 64 * 1024 * 1024
_HELD_BYTES_MAX = 65_536
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_WITHOUT_BODY = (204, 304)
_LAST_WORD_SECONDS = 1
_NO_HEADER_BYTES = bytes({*range(9), *range(10, 32), 127})
_NOT_TOLD = HOP_BY_HOP | {b"content-length"}

_log = logging.getLogger("solvent")

Spawn = Callable[[Coroutine[Any, Any, Settlement]], "asyncio.Task[Settlement]"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """
    A request as it leaves for its provider.
    """

    upstream: Upstream
    method: str
    url: str = field(repr=False)
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)


class Exchange:
    """
    The way of one admitted call, from the send to the last byte of its reply.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        client: Client,
        spawn: Spawn,
        request: Incoming,
        admission: Admission,
        outgoing: Outgoing,
    ) -> None:
        self._guard = guard
        self._client = client
        self._spawn = spawn
        self._request = request
        self._send = request.send
        self._admission = admission
        self._format = request.format
        self._outgoing = outgoing
        self._body = client.body(outgoing.body if admission.body is None else admission.body)
        self._reply: Reply | None = None
        self._reader: Reader | None = None
        self._reading: Reading | None = None
        self._is_sse = False
        self._settling: Finished[Settlement] | None = None
        self._settlement: Settlement | None = None
        self._settled = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> Literal["answered", "lost"]:
        """
        Send, relay and settle; whether the reply was passed on whole.
        """
        going, deadline = self._outgoing, self._admission.deadline
        if deadline is not None:
            trigger = self._request.interrupt.trigger
            self._timer = asyncio.get_running_loop().call_later(deadline.seconds_left, trigger, DEADLINE)
        try:
            with self._request.interrupt:
                self._reply = await self._client.send(
                    going.upstream, going.method, going.url, going.headers, self._body
                )
                await self._relay(self._reply)
            return "answered"
        except Ended as ended:
            reason: LostReason = "client_gone" if ended.reason == CLIENT_GONE else "stopped"
            await self._end(reason, ended.reason, sent=self._body.begun)
        except NotDelivered as failure:
            await self._end("cut", failure.reason, sent=failure.sent and self._body.begun)
        except asyncio.CancelledError:
            self._leave_to_settle("stopped")
            raise
        finally:
            self._is_over()
            if self._reply is not None:
                self._reply.close()
            self._leave_to_settle("cut")
        return "lost"

    async def _relay(self, reply: Reply) -> None:
        headers, kind, encoding = reply_head(reply)
        if self._streams(kind.decode("latin-1")):
            self._is_sse = kind.startswith(b"text/event-stream")
            await self._relay_stream(reply, headers, encoding)
        else:
            await self._relay_plain(reply, headers, encoding)

    def _streams(self, kind: str) -> bool:
        if self._format is None:
            return kind.startswith(STREAM_TYPES)
        return self._format.is_stream(self._admission.call, kind)

    async def _relay_plain(self, reply: Reply, headers: RawHeaders, encoding: str) -> None:
        """
        Read a reply whole, settle it, and pass it on: a client that sees the answer sees the books done.
        """
        parts, size = [], 0
        while chunk := await reply.chunk():
            parts.append(chunk)
            size += len(chunk)
            if size > PLAIN_BYTES_MAX:
                await self._relay_unread(reply, headers, parts)
                return
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._reading = self._read(reply.status, body, encoding)
        settlement = await self._settle(Replied(status=reply.status, reading=self._reading))
        own = settlement.headers if settlement is not None else None
        headers += raw_headers(own or self._admission.headers)
        if reply.status not in _WITHOUT_BODY:
            headers.append((b"content-length", str(len(body)).encode()))
        await self._request.start(reply.status, headers)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _read(self, status: int, body: bytes, encoding: str) -> Reading:
        if self._format is None:
            return Reading(complete=True)
        try:
            content = decoded(body, encoding)
        except Undecodable as exc:
            return Reading(complete=True, problem=str(exc))
        reader = self._format.reader(self._admission.call, status=status, stream=False)
        reader.feed(content)
        return reader.finish()

    async def _relay_unread(self, reply: Reply, headers: RawHeaders, parts: list[bytes]) -> None:
        await self._request.start(reply.status, headers + raw_headers(self._admission.headers))
        for part in parts:
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        parts.clear()
        while chunk := await reply.chunk():
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        self._reading = Reading(complete=True, problem="a reply above the cap")
        await self._settle(Replied(status=reply.status, reading=self._reading))
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _relay_stream(self, reply: Reply, headers: RawHeaders, encoding: str) -> None:
        """
        Pass events on as they come, the reader looking on. Settled before the end is told.

        The part of an event that has come is held back until the rest has: no client can use it, and if the stream is
        cut there, the error that follows stays readable.
        """
        reader, decoder = self._stream_reader(reply.status, encoding)
        if decoder is not None:
            headers = [pair for pair in headers if pair[0] != b"content-encoding"]
        await self._request.start(reply.status, headers + raw_headers(self._admission.headers))
        held = b""
        while chunk := await reply.chunk():
            if decoder is not None:
                chunk = _inflated(decoder, chunk)
            if reader is not None:
                chunk = reader.feed(chunk)
                if self._is_sse and (held or not chunk.endswith(b"\n\n")):
                    chunk, held = whole_events(held + chunk)
            if chunk:
                await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        reading = self._finish_reading()
        # A count that came before the end may be one of the beginning only.
        await self._settle(
            Replied(status=reply.status, reading=reading)
            if reading.complete
            else Lost(reason="cut", reading=reading, status=reply.status)
        )
        await self._send({"type": "http.response.body", "body": held, "more_body": False})

    def _stream_reader(self, status: int, encoding: str) -> tuple[Reader | None, Decoder | None]:
        """
        The reader for a stream and what undoes its encoding; no reader for a stream that nobody here can read.
        """
        if self._format is None:
            return None, None
        decoder = None
        if encoding not in ("", "identity"):
            try:
                decoder = Decoder(encoding)
            except Undecodable as exc:
                self._reading = Reading(complete=True, problem=str(exc))
                return None, None
        self._reader = self._format.reader(self._admission.call, status=status, stream=True)
        return self._reader, decoder

    def _finish_reading(self) -> Reading:
        if self._reading is None:
            self._reading = self._reader.finish() if self._reader is not None else Reading(complete=True)
        return self._reading

    async def _end(self, lost: LostReason, reason: str, *, sent: bool) -> None:
        """
        Settle a call that got no whole reply, and tell the client if it is still there.

        Args:
            reason: In words, for the client.
        """
        if self._reply is not None:
            self._reply.close()
        await self._settle(self._outcome(lost, sent=sent))
        if lost == "client_gone" or self._request.interrupt.reason == CLIENT_GONE:
            return
        answer = self._last_word(lost, reason, sent=sent)
        format = format_for(self._outgoing.upstream.provider, self._format)
        try:
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                if not self._request.head_sent:
                    await send_answer(self._send, format, answer)
                elif self._is_sse:
                    event = error_event(format, code=answer.code, message=answer.message)
                    await self._send({"type": "http.response.body", "body": event, "more_body": False})
        except (OSError, TimeoutError):
            return  # The client does not read any more; its books are done.

    def _last_word(self, lost: LostReason, reason: str, *, sent: bool) -> Answer:
        """
        What is told in the place of the rest of a reply.
        """
        deadline = self._admission.deadline
        if reason == DEADLINE and deadline is not None:
            return answer_to(deadline.error)
        code, status = ("gateway_closing", 503) if lost == "stopped" else ("upstream_lost", 502)
        if not sent and status == 502:
            code = "upstream_unreachable"
        message = _MESSAGES[code].format(provider=self._outgoing.upstream.provider, reason=reason)
        return plain_answer(status, code, message, final=None if code == "upstream_lost" else code == "gateway_closing")

    def _outcome(self, lost: LostReason, *, sent: bool) -> Outcome:
        if not sent and self._reply is None:
            return NotSent(reason=lost)
        if self._reply is None:
            return Lost(reason=lost)
        reading = self._finish_reading() if self._reader is not None or self._reading is not None else None
        return Lost(reason=lost, reading=reading, status=self._reply.status)

    async def _settle(self, outcome: Outcome) -> Settlement | None:
        """
        Settle, or wait for the settling that has begun. It goes on when this task is cancelled.

        Returns:
            ``None`` when the ledger did not take it: the reservation expires in full, and the reply is passed on, for
            it was paid for.
        """
        self._is_over()
        if self._settling is None:
            self._settling = Finished(self._guard.asettle(self._admission, outcome), self._spawn)
        if not self._settled:
            try:
                self._settlement = await self._settling
            except Exception:  # No failure of the books, not even a bug, may cost the caller the reply.
                _log.exception("a call could not be booked")
            self._settled = True
        return self._settlement

    def _is_over(self) -> None:
        """
        No deadline ends what has come to its end: a reply that was paid for is passed on.
        """
        if self._timer is not None:
            self._timer.cancel()

    def _leave_to_settle(self, lost: LostReason) -> None:
        """
        Have the call settled after this task has ended, unless it was or is by now: what was sent is owed all the same.
        """
        if self._settling is None:
            outcome = self._outcome(lost, sent=self._body.begun)
            self._settling = Finished(self._guard.asettle(self._admission, outcome), self._spawn)
            self._settling.begin()


_MESSAGES = {
    "gateway_closing": "The call was ended: {reason}.",
    "upstream_lost": "{provider} did not answer to the end: {reason}. What it may have cost is booked.",
    "upstream_unreachable": "{provider} could not be reached: {reason}. Nothing was sent and nothing is booked.",
}


def reply_head(reply: Reply) -> tuple[RawHeaders, bytes, str]:
    """
    A reply's headers for the client: without those of the connection, without a length, which is written anew, and
    without any that only Solvent may say.

    Returns:
        The headers, and of them the content type and the content encoding.
    """
    headers: RawHeaders = []
    kind, encoding = b"", ""
    named: set[bytes] = set()
    for name, value in reply.headers:
        name = name.lower()
        if name in _NOT_TOLD:
            if name == b"connection" and value.lower() not in KEPT_CONNECTION:
                named |= {word.strip().lower() for word in value.split(b",")}
            continue
        if name.startswith(b"x-solvent-") or len(value.translate(None, _NO_HEADER_BYTES)) < len(value):
            continue
        if name == b"content-type":
            kind = value.lower()
        elif name == b"content-encoding":
            encoding = value.decode("latin-1").strip().lower()
        headers.append((name, value))
    return [pair for pair in headers if pair[0] not in named] if named else headers, kind, encoding


def whole_events(data: bytes) -> tuple[bytes, bytes]:
    """
    The events that have come whole, and what has come of the next one.
    """
    if data.endswith(_EVENT_ENDS):
        return data, b""
    end = 0
    for mark in _EVENT_ENDS:
        at = data.rfind(mark)
        if at >= 0:
            end = max(end, at + len(mark))
    if len(data) - end > _HELD_BYTES_MAX:
        return data, b""
    return data[:end], data[end:]


def _inflated(decoder: Decoder, chunk: bytes) -> bytes:
    try:
        return decoder.feed(chunk)
    except Undecodable as exc:
        raise NotDelivered(str(exc), sent=True) from exc
