"""
What costs something and goes through no SDK: another API, a GPU, a tool. The program says what it can cost at most
before, and what it did cost after.
"""

import asyncio
import os
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypedDict, TypeVar

from msgspec.structs import replace

from solvent import _amounts
from solvent._admission import Admission
from solvent._amounts import Usage
from solvent._block import Block, may_await
from solvent._booking import NotSent, Outcome, Reported
from solvent._calls import Settlement
from solvent._limits import Scope
from solvent._limits_in_code import Amount, check_text
from solvent._place import Place
from solvent._usage_of import Told, usage_of
from solvent._wrapping import wrapped
from solvent.errors import DeadlinePassed
from solvent.wire._call import Call, Stated

P = ParamSpec("P")
T = TypeVar("T")

OWN = "own"  # The format of a call that the program itself tells of.


def stated_call(
    name: str,
    *,
    usd: Amount | None = None,
    model: str | None = None,
    provider: str = "",
    input_tokens: int | str | None = None,
    output_tokens: int | str | None = None,
) -> Call:
    """
    A call of which the program says what it can use.

    Raises:
        ValueError: An amount is negative, no number, or not finite; or a name is no text.
    """
    check_text("name", name)
    check_text("model", model)
    unsaid = 0 if model is None and usd is not None else None  # What is no model's uses no tokens, unless it says so.
    stated = Stated(
        nanodollars=None if usd is None else _amounts.nanodollars(usd, name="usd"),
        input_tokens=unsaid if input_tokens is None else _amounts.count(input_tokens, name="input_tokens"),
        output_tokens=unsaid if output_tokens is None else _amounts.count(output_tokens, name="output_tokens"),
        has_model=model is not None,
    )
    return Call(format=OWN, provider=provider, model=model or name, fixed=True, stated=stated)


class _Asked(TypedDict):
    scope: Scope
    fingerprint: bytes
    began: float
    within: tuple[str, ...]
    wait_seconds: float | None


class Spending:
    """
    A call of the program's own, while its ``with`` block is open; made by ``solvent.call``.

    Attributes:
        cost_nanodollars: What was booked for it; ``None`` before, and where nobody knows.
    """

    def __init__(self, call: Call, place: Callable[[], Place], *, wait_seconds: float | None = None) -> None:
        self.cost_nanodollars: int | None = None
        self._call = call
        self._find_place = place
        self._wait_seconds = wait_seconds
        self._place: Place | None = None
        self._admission: Admission | None = None
        self._outcome: Outcome | None = None
        self._block: Block | None = None
        self._owner_pid = os.getpid()
        self._timeout: asyncio.Timeout | None = None

    def __repr__(self) -> str:
        return f"<solvent.call {self._call.model!r}{'' if self._block is not None else ', not open'}>"

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        return wrapped(function, lambda: Spending(self._call, self._find_place, wait_seconds=self._wait_seconds))

    def __enter__(self) -> Self:
        place = self._begin()
        try:
            return self._enter(place, place.runtime.guard.admit(self._ready(place), **self._asked(place)))
        except BaseException:  # Also Ctrl-C, after it was admitted.
            self._undo()
            raise

    async def __aenter__(self) -> Self:
        if not may_await():
            return self.__enter__()
        place = self._begin()
        try:
            admission = await place.runtime.guard.aadmit(self._ready(place), **self._asked(place))
            self._enter(place, admission)
            if admission.deadline is not None and asyncio.current_task() is not None:
                self._timeout = asyncio.timeout(admission.deadline.seconds_left)
                await self._timeout.__aenter__()
        except BaseException:
            self._undo()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        place, admission, outcome = self._over(error)
        self._booked(outcome, place.runtime.guard.settle(admission, outcome))
        self._block = None  # Not before: an interrupt may come, and it is booked when this object goes.

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not may_await(error):
            return self.__exit__(kind, error, traceback)
        late: DeadlinePassed | None = None
        if self._timeout is not None:
            try:
                await self._timeout.__aexit__(kind, error, traceback)
            except TimeoutError:
                late = self._admission.deadline.error if self._admission and self._admission.deadline else None
        place, admission, outcome = self._over(error)
        # To the end, also where the caller is cancelled meanwhile.
        task = asyncio.ensure_future(place.runtime.guard.asettle(admission, outcome))
        self._block = None
        self._booked(outcome, await asyncio.shield(task))
        if late is not None:
            place.runtime.guard.tell_history(late, place.scope)
            raise late from error
        return None

    def __del__(self) -> None:
        if self._block is not None and self._place is not None and self._owner_pid == os.getpid():
            place, admission, outcome = self._over(None)
            place.runtime.later(partial(place.runtime.guard.settle, admission, outcome))

    def settle(
        self,
        used: object = None,
        *,
        usd: Amount | None = None,
        input_tokens: int | str | None = None,
        output_tokens: int | str | None = None,
        tokens: int | str | None = None,
        model: str | None = None,
    ) -> None:
        """
        Say what it used; booked when its block ends. The last word counts, and what is not said is booked as it was
        set aside.

        Args:
            used: An SDK's reply or its usage object, a dict of such, or a number: dollars where the call was made with
                ``usd``, tokens (all of them) where it was not.
            usd: What it cost.
            input_tokens, output_tokens, tokens: What it used; ``tokens`` is a total alone.
            model: The one that answered, where that is another one.

        Raises:
            ValueError: An amount is negative, no number, or not finite; or nothing in ``used`` says what was used.
                Nothing was booked, and the call is still open.
        """
        self._check_open()
        if isinstance(used, str | int | float | Decimal):
            if usd is not None or tokens is not None:
                raise ValueError(f"used must be the only amount, got {used!r} and another one")
            if self._is_in_dollars:
                usd = used
            else:
                tokens = _amounts.count(used, name="tokens")  # type: ignore[arg-type]  # Refused if it is not whole.
            used = None
        told = usage_of(used) if used is not None else Told()
        self._outcome = Reported(
            told=_told(told, input_tokens, output_tokens, tokens, model),
            nanodollars=None if usd is None else _amounts.nanodollars(usd, name="usd"),
        )

    def release(self, reason: str = "not_sent") -> None:
        """
        Say that nothing was made of it, and nothing is owed.
        """
        self._check_open()
        self._outcome = NotSent(reason=reason)

    @property
    def _is_in_dollars(self) -> bool:
        return self._call.stated is not None and self._call.stated.nanodollars is not None

    def _check_open(self) -> None:
        if self._block is None:
            raise RuntimeError(f"the call {self._call.model!r} is not open; use it in a `with` block")

    def _begin(self) -> Place:
        if self._place is not None:
            raise RuntimeError(f"the call {self._call.model!r} was made already; make another one for this block")
        self._place = self._find_place()
        self._place.runtime.keep_alive()
        return self._place

    def _ready(self, place: Place) -> Call:
        return replace(self._call, retry=place.retry)

    def _asked(self, place: Place) -> "_Asked":
        return {
            "scope": place.scope,
            "fingerprint": os.urandom(16),  # Nobody can say whether it came before.
            "began": time.monotonic(),
            "within": place.within,
            "wait_seconds": self._wait_seconds,
        }

    def _enter(self, place: Place, admission: Admission) -> Self:
        self._admission = admission
        outer = place.block
        below = outer.below if outer is not None else None
        budget = outer.budget if outer is not None else None
        self._block = Block(budget, outer, place.scope, place.runtime, below, within=(*place.within, admission.id))
        self._block.enter()
        return self

    def _undo(self) -> None:
        """
        It did not begin: nothing was made of it, and it may be entered again.
        """
        place, self._place = self._place, None
        admission, self._admission = self._admission, None
        if self._block is not None:
            self._block.leave()
            self._block = None
        if admission is not None and place is not None:
            place.runtime.guard.settle(admission, NotSent(reason="not_sent"))

    def _over(self, error: BaseException | None) -> tuple[Place, Admission, Outcome]:
        self._check_open()
        assert self._place is not None
        assert self._admission is not None
        assert self._block is not None
        self._block.leave()
        return self._place, self._admission, self._outcome or Reported(told=Told(), failed=error is not None)

    def _booked(self, outcome: Outcome, settlement: Settlement) -> None:
        self.cost_nanodollars = 0 if isinstance(outcome, NotSent) else settlement.cost_nanodollars


def _told(
    told: Told,
    input_tokens: int | str | None,
    output_tokens: int | str | None,
    tokens: int | str | None,
    model: str | None,
) -> Told:
    """
    What a reply tells, with what the program adds.
    """
    read = _amounts.count
    said_in = told.input_tokens if input_tokens is None else read(input_tokens, name="input_tokens")
    said_out = told.output_tokens if output_tokens is None else read(output_tokens, name="output_tokens")
    total = told.tokens if tokens is None else read(tokens, name="tokens")
    if total is not None and said_in is None and said_out is not None:
        said_in = _rest(total, said_out, "output_tokens")
    elif total is not None and said_out is None and said_in is not None:
        said_out = _rest(total, said_in, "input_tokens")
    if tokens is not None and said_in is not None and said_out is not None and said_in + said_out != total:
        raise ValueError(
            f"tokens must be input_tokens and output_tokens together, got {total}, not {said_in + said_out}"
        )
    usage = told.usage
    if input_tokens is not None or output_tokens is not None:
        usage = None
    if said_in is not None and said_out is not None:
        usage = usage or Usage(input_tokens=said_in, output_tokens=said_out)
    return Told(
        usage=usage,
        input_tokens=said_in,
        output_tokens=said_out,
        tokens=total,
        model=told.model if model is None else model,
    )


def _rest(total: int, part: int, name: str) -> int:
    if part > total:
        raise ValueError(f"{name} must not be above tokens, got {part} of {total}")
    return total - part
