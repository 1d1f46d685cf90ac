"""
Loops and retries: the turns of a program's own control flow, each under the budget of all of them.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar, Unpack

from msgspec.structs import replace

from solvent import _amounts
from solvent._budget import Budget
from solvent._limits_in_code import Limits
from solvent._opened import Wanted
from solvent._scopes import named
from solvent._wrapping import check_result, kind_of
from solvent.errors import BudgetExceeded, SolventError

RETRY_SECONDS_MAX = 60.0

P = ParamSpec("P")
T = TypeVar("T")


class Turn(Budget):
    """
    One turn of a loop.

    Attributes:
        number: 0 for the first.
    """

    def __init__(self, wanted: Wanted, number: int) -> None:
        super().__init__(wanted)
        self.number = number

    def check_entered(self, what: str) -> None:
        """
        Raises:
            RuntimeError: Its block was left out, so nothing was held to its limits.
        """
        if self._block is None and self._ended is None:
            raise RuntimeError(
                f'{what} {self.number} of {self._called!r} was not entered; write "with {what}:" around it'
            )


class Loop:
    """
    The turns of a loop; made by ``solvent.loop``.
    """

    def __init__(self, wanted: Wanted, times: int | None) -> None:
        self._wanted = wanted
        self._times = times

    def __repr__(self) -> str:
        return f"<solvent.loop {self._wanted.name!r}>"

    def __iter__(self) -> Iterator[Turn]:
        began, number = time.monotonic(), 0
        while self._times is None or number < self._times:
            # One opening in all: the time of its limits goes on from turn to turn.
            seconds = time.monotonic() - began if number else 0
            turn = Turn(replace(self._wanted, seconds=seconds, is_noted=not number), number)
            yield turn
            turn.check_entered("turn")
            number += 1

    async def __aiter__(self) -> AsyncIterator[Turn]:
        for turn in self:
            yield turn


def loop(name: str, *, times: int | None = None, **limits: Unpack[Limits]) -> Loop:
    """
    The turns of a loop, each to be opened: ``for turn in solvent.loop("refine", times=5): with turn: …``.

    Calls in a turn are charged to ``step:NAME`` below the budget around the loop. The loop ends after so many turns; a
    turn is not begun once a limit on its path is used up, and ``BudgetExceeded`` says so. ``async for`` and
    ``async with`` do the same.

    Args:
        times: The most turns; ``None`` for as many as the budget has room for.
        **limits: Of all turns together, as ``budget`` takes them.

    Raises:
        ValueError: A limit or ``times`` is none, or the name is no text.
    """
    most = None if times is None else _amounts.count(times, name="times")
    return Loop(named("step", name, limits, maker="loop", begins="turn"), most)


class Attempt(Turn):
    """
    One attempt of a retry; it keeps an error to itself that is worth another one.
    """

    def __init__(self, wanted: Wanted, number: int, is_worth: Callable[[BaseException], bool]) -> None:
        super().__init__(wanted, number)
        self.error: BaseException | None = None
        self._is_worth = is_worth

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        super().__exit__(kind, error, traceback)
        return self._keep(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        await super().__aexit__(kind, error, traceback)
        return self._keep(error)

    def _keep(self, error: BaseException | None) -> bool:
        if error is None or not self._is_worth(error):
            return False
        self.error = error
        return True


class Retry:
    """
    The attempts of a retry; made by ``solvent.retry``.
    """

    def __init__(self, wanted: Wanted, times: int, on: tuple[type[BaseException], ...], wait_seconds: float) -> None:
        self._wanted = wanted
        self._times = times
        self._on = on
        self._wait_seconds = wait_seconds

    def __repr__(self) -> str:
        return f"<solvent.retry {self._wanted.name!r}, {self._times} times at most>"

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        kind = kind_of(function)
        if kind in ("generator", "async generator"):
            raise TypeError(f"{function!r} gives its results one by one; retry what makes one of them")
        if kind == "coroutine":

            @wraps(function)
            async def arun(*args: Any, **kwargs: Any) -> Any:
                async for attempt in self:
                    async with attempt:
                        return await function(*args, **kwargs)  # type: ignore[misc]  # Of a coroutine function.
                raise AssertionError("the last attempt returns or raises")

            return arun  # type: ignore[return-value]  # A coroutine function, as the one it stands for.

        @wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> T:
            for attempt in self:
                with attempt:
                    result = function(*args, **kwargs)
                    check_result(function, result)
                    return result
            raise AssertionError("the last attempt returns or raises")

        return run

    def __iter__(self) -> Iterator[Attempt]:
        for attempt in self._attempts():
            yield attempt
            attempt.check_entered("attempt")
            if attempt.error is None:
                return
            time.sleep(self._wait(attempt.number))

    async def __aiter__(self) -> AsyncIterator[Attempt]:
        for attempt in self._attempts():
            yield attempt
            attempt.check_entered("attempt")
            if attempt.error is None:
                return
            await asyncio.sleep(self._wait(attempt.number))

    def _attempts(self) -> Iterator[Attempt]:
        began = time.monotonic()
        for number in range(self._times):
            seconds = time.monotonic() - began if number else 0
            wanted = replace(self._wanted, retry=number, seconds=seconds, is_noted=not number)
            yield Attempt(wanted, number, self._is_worth if number + 1 < self._times else _never)

    def _is_worth(self, error: BaseException) -> bool:
        """
        A budget that is spent stays so; one that is only held by open calls may not.
        """
        if isinstance(error, SolventError):
            return isinstance(error, BudgetExceeded) and error.held
        return isinstance(error, self._on)

    def _wait(self, number: int) -> float:
        longest = min(self._wait_seconds * 2.0 ** min(number, 30), RETRY_SECONDS_MAX)
        return random.uniform(longest / 2, longest)


def retry(
    name: str,
    *,
    times: int = 3,
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception,
    wait: str | float = 1,
    **limits: Unpack[Limits],
) -> Retry:
    """
    Attempts at the same thing, each to be opened: ``for attempt in solvent.retry("fetch"): with attempt: …``; or a
    decorator of a function or coroutine.

    Calls from the second attempt on count as ``retries``, and their records say which attempt they were. A refusal by a
    budget ends it at once, but for one that was only held by open calls; so does an error that is not one of ``on``.
    The last attempt's error goes to the caller.

    Args:
        times: The most attempts, the first one included.
        on: The errors that are worth another attempt.
        wait: How long to wait after the first attempt, such as ``"2s"``; twice as long after each further one, up to a
            minute, less up to a half of it by chance.
        **limits: Of all attempts together, as ``budget`` takes them.

    Raises:
        ValueError: A limit, ``times`` or ``wait`` is none, or the name is no text.
    """
    count = _amounts.count(times, name="times")
    if not count:
        raise ValueError("times must be 1 or more, got 0")
    kinds = on if isinstance(on, tuple) else (on,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise ValueError(f"on must be errors, such as (TimeoutError, ConnectionError), got {on!r}")
    wanted = named("step", name, limits, maker="retry")
    return Retry(wanted, count, kinds, _amounts.seconds(wait, name="wait"))


def _never(_: BaseException) -> bool:
    return False
