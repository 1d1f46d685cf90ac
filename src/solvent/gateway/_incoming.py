"""
One request on its way through the gateway's door, and what is told of it afterwards.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from solvent._answers import Answer
from solvent.gateway._answers import RawHeaders, format_for, send_answer
from solvent.gateway._interrupt import Ended, Interrupt
from solvent.gateway._request import Receive, Send, check_length, read_body
from solvent.wire._call import WireFormat

CLIENT_GONE: Literal["client_gone"] = "client_gone"
_LINGER_SECONDS = 1

Kind = Literal["answered", "lost", "refused", "passed", "denied", "rejected"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """
    What became of one request, told when its answer has been given.

    Attributes:
        kind: ``answered`` and ``lost`` are paid calls that were admitted, ``refused`` are those that the guard did not;
            ``passed`` needed no budget; ``denied`` and ``rejected`` were nobody's call.
        code: As in the answer's body; empty when a provider answered.
        began, ended: By ``time.monotonic``.
    """

    kind: Kind
    began: float
    ended: float
    scope: str = ""
    provider: str = ""
    code: str = ""


@dataclass(slots=True, repr=False)
class Incoming:
    """
    One request. Its interrupt ends the work on it when the client goes away or the gateway closes.

    Attributes:
        tell_disconnect: What the server offers to hear of the client's going.
        head_sent: The answer has begun.
        scope, provider, format: As far as they are known by now.
    """

    receive: Receive
    send: Send
    began: float
    tell_disconnect: Callable[[Callable[[], None]], None] | None
    interrupt: Interrupt = field(default_factory=Interrupt)
    body_read: bool = False
    head_sent: bool = False
    scope: str = ""
    provider: str = ""
    format: WireFormat | None = None

    async def body(self, length: int) -> bytes:
        """
        The whole body, of the length that its header declared.

        Raises:
            Rejected: It is too large.
            Ended: The client went away before it was sent.
        """
        check_length(length)
        body = await read_body(self.receive)
        self.body_read = True
        if body is None:
            raise Ended(CLIENT_GONE)
        return body

    def watch(self) -> "asyncio.Task[None] | None":
        """
        End the request when its client goes away. Without this an abandoned stream is read, and paid for, to its end.

        Returns:
            The task that watches, where the server offers nothing cheaper.
        """
        trigger = partial(self.interrupt.trigger, CLIENT_GONE)
        if self.tell_disconnect is not None:
            self.tell_disconnect(trigger)
            return None
        return asyncio.create_task(_wait_for_disconnect(self.receive, trigger))

    async def start(self, status: int, headers: RawHeaders) -> None:
        """
        Begin the answer.
        """
        self.head_sent = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def answer(self, answer: Answer) -> None:
        """
        Answer without a provider. What is left of an unread body is taken in for a moment, so that the client comes to
        read the answer; then the connection is closed.
        """
        format = format_for(self.provider, self.format)
        self.head_sent = True
        await send_answer(self.send, format, answer, close=not self.body_read)
        if not self.body_read:
            try:
                async with asyncio.timeout(_LINGER_SECONDS):
                    while (await self.receive()).get("more_body", False):
                        pass
            except TimeoutError:
                pass
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})


async def _wait_for_disconnect(receive: Receive, trigger: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    trigger()
