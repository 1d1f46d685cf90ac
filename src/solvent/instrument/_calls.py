"""
One call of this process on its way to a provider: admitted, read and booked, by whatever library it goes.

The hook of a library sends it in between. Each step has a synchronous and an asynchronous face, which differ by a line.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from msgspec.structs import replace

from solvent._admission import Admission
from solvent._answers import Answer, answer_to
from solvent._booking import Lost, LostReason, NotSent, Outcome, Replied
from solvent._calls import Settlement
from solvent._checks import Deadline
from solvent._place import Place, current_place
from solvent.errors import BudgetExceeded, SolventError
from solvent.instrument._above import above
from solvent.instrument._deadlines import has_loop
from solvent.instrument._hosts import Target
from solvent.instrument._lost import tell_lost
from solvent.instrument._naming import check_runs, tell
from solvent.instrument._relay import Relay
from solvent.wire import FORMATS, Asked, at_path
from solvent.wire._call import Call, Reader, Reading, WireFormat

PART_OF_A_CALL = frozenset({301, 302, 303, 307, 308, 401, 407})  # Redirects and log-ins, after which it is sent again.


class Refused(Exception):
    """
    Raised inside the hooks for a call that may not be made.

    Attributes:
        answer: What is told in the provider's place.
        body: The same in the provider's own error shape.
    """

    def __init__(self, error: SolventError, answer: Answer, body: bytes) -> None:
        super().__init__(str(error))
        self.error = error
        self.answer = answer
        self.body = body


class _Sending:
    """
    What goes out just now, so that another library below the one that guards it knows it.
    """

    def __init__(self, body: bytes) -> None:
        self.body: bytes | None = body  # ``None`` once it is over.


_SENDING: ContextVar[_Sending | None] = ContextVar("solvent_sending", default=None)


def is_under_way(body: bytes | None) -> bool:
    """
    Whether a request with this body is the one that is being sent in this context, and paid for.

    Args:
        body: ``None`` for one that cannot be read before it is sent.
    """
    sending = _SENDING.get()
    return sending is not None and sending.body is not None and body in (None, sending.body)


class GuardedCall:
    """
    A call that costs something, from before it is sent until it is booked.

    Args:
        headers: Lower-case names.
        body: As the caller wrote it; ``None`` when it cannot be read before it is sent.
        fixed: It is signed, and can only be sent as it is.

    Attributes:
        body: What is to be sent; ``None`` when the original bytes are right.
        path: Where, below the provider's base URL; ``None`` when that is where the caller sends it.
        deadline: When it has to end.
        status: Of the reply, once its head is there.
    """

    def __init__(
        self, target: Target, call: Call, headers: Mapping[str, str], body: bytes | None, *, fixed: bool = False
    ) -> None:
        self.body: bytes | None = None
        self.path: str | None = None
        self.deadline: Deadline | None = None
        self.status: int | None = None
        self._original = body
        self._target = target
        self._headers = headers
        # Of a request that cannot be changed nothing of the reply is Solvent's own.
        self._call = replace(call, fixed=True, usage_asked=True) if fixed else call
        self._format: WireFormat | None = target.endpoint.format if target.endpoint else None
        self._place: Place | None = None
        self._admission: Admission | None = None
        self._to_book: list[Admission] = []  # One until it is booked: whoever takes it out books it.
        self._owner_pid = os.getpid()
        self._left = False  # Something of it may have been sent.
        self._reader: Reader | None = None
        self._reading: Reading | None = None
        self._is_stream = False

    def admit(self) -> None:
        """
        Raises:
            Refused: It may not be made.
        """
        try:
            self._admitted(self._open_place().runtime.guard.admit(self._call, **self._asked()))
        except SolventError as error:
            raise self.refused(error) from error

    async def aadmit(self) -> None:
        try:
            guard = self._open_place().runtime.guard
            if has_loop():
                self._admitted(await guard.aadmit(self._call, **self._asked()))
            else:  # Another kind of event loop, which must not be kept waiting.
                self._admitted(guard.admit(self._call, **{**self._asked(), "wait_seconds": 0}))
        except SolventError as error:
            raise self.refused(error) from error

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """
        While it is being sent: the same body in this context is this call.
        """
        self._left = True
        sending = _Sending(self.body or self._original or b"")
        token = _SENDING.set(sending)
        try:
            yield
        finally:
            sending.body = None  # Also for tasks that were started meanwhile and have this context for good.
            _SENDING.reset(token)

    def began(self, status: int, content_type: str, encoding: str = "", *, unpacks: bool = False) -> Relay:
        """
        The reply's head is there; what is to be done with its body as it comes.
        """
        self.status = status
        return Relay(self, content_type.lower(), encoding.strip().lower(), unpacks=unpacks)

    def again(self) -> "GuardedCall":
        """
        The call that what is below the hook makes, sending the same bytes once more; to be admitted before they leave.
        """
        sent = self._admission.call if self._admission is not None else self._call
        twin = GuardedCall(self._target, replace(sent, fixed=True), self._headers, self._original)
        twin._left = True
        return twin

    @property
    def fixed(self) -> bool:
        return self._call.fixed

    @property
    def usage_asked(self) -> bool:
        return self._call.usage_asked

    def address(self, asked: str) -> str:
        """
        Where it is to be sent that was asked for at an address.
        """
        return asked if self.path is None else at_path(asked, self._target.path, self.path)

    def check_time(self, error: BaseException | None = None) -> None:
        """
        Args:
            error: What ended it, if something did.

        Raises:
            DeadlinePassed: Its time is over.
        """
        late = self.deadline.error if self._is_over_time() and self.deadline is not None else None
        if late is not None and error is not late and isinstance(error, Exception | None):
            self._tell(late)
            raise late from error

    def _is_over_time(self) -> bool:
        return self.deadline is not None and not self.deadline.seconds_left

    @property
    def _cut(self) -> LostReason:
        """
        Why a reply has no end: its deadline ended it, or something else.
        """
        return "stopped" if self._is_over_time() else "cut"

    def is_stream(self, content_type: str) -> bool:
        return self._format is not None and self._format.is_stream(self._call, content_type)

    def reader(self, *, stream: bool) -> Reader | None:
        """
        What reads the reply; ``None`` for one of no known format.
        """
        self._is_stream = stream
        if self._format is not None and self._admission is not None and self.status is not None:
            self._reader = self._format.reader(self._admission.call, status=self.status, stream=stream)
        return self._reader

    @property
    def headers(self) -> Mapping[str, str]:
        """
        The running total and what remains, for the reply.
        """
        return self._admission.headers if self._admission else {}

    def unreadable(self, problem: str) -> None:
        self._reading = Reading(complete=True, problem=problem)

    def over(self) -> Outcome:
        """
        The outcome of a reply that came to its end.
        """
        assert self.status is not None
        reading = self._read()
        if reading.complete:
            return Replied(status=self.status, reading=reading)
        return Lost(reason=self._cut, reading=reading, status=self.status)

    def lost(self, reason: LostReason, *, sent: bool = True) -> Outcome:
        """
        The outcome of a call whose reply was not read to its end; it may have said all the same what it had to say.
        """
        if self.status is None:
            return Lost(reason=reason) if sent and self._left else NotSent(reason=reason)
        reading = self._read()
        if reading.complete and (self._is_stream or reading.usage is not None):
            return Replied(status=self.status, reading=reading)
        return Lost(reason=reason, reading=reading, status=self.status)

    def failed(self, error: BaseException, *, sent: bool = True) -> Outcome:
        """
        The outcome of a call that ended in an error; some libraries make one of a reply's status.
        """
        status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
        if self.status is None and isinstance(status, int):
            self.status = status
        if not isinstance(error, Exception):
            return self.lost("client_gone", sent=sent)
        return self.lost(self._cut, sent=sent)

    def settle(self, outcome: Outcome) -> Settlement | None:
        """
        Book it, once; ``None`` when that was done before.
        """
        admission = self._take()
        if admission is None or self._place is None:
            return None
        return self._place.runtime.guard.settle(admission, outcome)

    async def asettle(self, outcome: Outcome) -> Settlement | None:
        """
        Book it, once, to the end even where the caller is cancelled meanwhile.
        """
        if not has_loop():
            return self.settle(outcome)
        admission = self._take()
        if admission is None or self._place is None:
            return None
        runtime = self._place.runtime

        def ended(task: asyncio.Future[Settlement]) -> None:
            _SETTLING.discard(task)
            if task.cancelled():  # With its loop, which ends whatever is left in it.
                runtime.later(lambda: runtime.guard.settle(admission, outcome))

        task = asyncio.ensure_future(runtime.guard.asettle(admission, outcome))
        _SETTLING.add(task)
        task.add_done_callback(ended)
        return await asyncio.shield(task)

    def leave(self) -> None:
        """
        Book it in the guard's own thread, for one that nobody waits for any more.
        """
        if self._to_book and self._place is not None and self._owner_pid == os.getpid():
            self._place.runtime.later(lambda: self.settle(self.lost("client_gone")))

    def __del__(self) -> None:
        self.leave()

    def _take(self) -> Admission | None:
        if self._owner_pid != os.getpid():
            return None  # A child has a copy of what its parent began, and the parent books it.
        try:
            return self._to_book.pop()
        except IndexError:
            return None

    def _read(self) -> Reading:
        if self._reading is None:
            self._reading = self._reader.finish() if self._reader is not None else Reading(complete=True)
        return self._reading

    def _open_place(self) -> Place:
        refusal = known.final if (known := above()) is not None else None
        if refusal is not None:
            raise refusal
        self._place = current_place()
        check_runs(self._place.block)
        self._place.runtime.keep_alive()
        if self._place.retry > self._call.retry:
            self._call = replace(self._call, retry=self._place.retry)
        if self._place.lost_among:
            place = self._place
            tell_lost(str(place.scope), place.lost_among, place.runtime.guard.listeners)
        return self._place

    def _asked(self) -> dict[str, Any]:
        assert self._place is not None
        return {
            "scope": self._place.scope,
            "fingerprint": self._fingerprint(),
            "began": time.monotonic(),
            "own_host": self._target.own_host,
            "asked": Asked(self._target.path, self._headers),
            "wait_seconds": self._wait_seconds(),
            "within": self._place.within,
        }

    @staticmethod
    def _wait_seconds() -> float | None:
        """
        An SDK that tries again by itself after a call was held does not wait anew.
        """
        refusal = known.refusal if (known := above()) is not None else None
        return 0 if isinstance(refusal, BudgetExceeded) and refusal.held else None

    def _fingerprint(self) -> bytes:
        if self._original is None:
            return os.urandom(16)  # Nobody can say whether it came before.
        asked = self._target.path.encode() + b"\n" + self._original
        return hashlib.blake2b(asked, digest_size=16, salt=b"solvent-call").digest()

    def _admitted(self, admission: Admission) -> None:
        self._admission = admission
        self._to_book.append(admission)
        self.body, self.path, self.deadline = admission.body, admission.path, admission.deadline
        self._tell(None)  # An attempt before may have been held, and this one is not.

    def _tell(self, refusal: SolventError | None) -> None:
        known = above()
        if known is not None:
            known.tell(refusal)
        if self._place is not None:
            tell(self._place.block, refusal)

    def refused(self, error: SolventError) -> Refused:
        """
        What is told in the provider's place.
        """
        self._tell(error)
        answer = answer_to(error)
        shape = self._format or FORMATS["openai-chat"]
        body = shape.refusal(code=answer.code, message=answer.message, metadata=dict(answer.metadata))
        return Refused(error, answer, msgspec.json.encode(body))


_SETTLING: set[asyncio.Future[Settlement]] = set()
