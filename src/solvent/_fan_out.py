"""
Work for many items at once under one budget: the branches inherit it, and what they finished is never thrown away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Literal, TypeVar, Unpack, overload

from solvent import _amounts
from solvent._block import carried
from solvent._budget import Budget
from solvent._limits_in_code import Limits
from solvent._scopes import named
from solvent.errors import BudgetExceeded

CONCURRENCY = 16

T = TypeVar("T")
R = TypeVar("R")

OnRefusal = Literal["finish", "cancel"]


@overload
def fan_out(  # type: ignore[overload-overlap]  # A function that returns coroutines matches both; the first one counts.
    function: Callable[[T], Coroutine[Any, Any, R]],
    items: Iterable[T],
    *,
    name: str = ...,
    concurrency: int = ...,
    on_refusal: OnRefusal = ...,
    **limits: Unpack[Limits],
) -> Coroutine[Any, Any, list[R]]: ...
@overload
def fan_out(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    name: str = ...,
    concurrency: int = ...,
    on_refusal: OnRefusal = ...,
    **limits: Unpack[Limits],
) -> list[R]: ...
def fan_out(
    function: Callable[[T], Any],
    items: Iterable[T],
    *,
    name: str = "fan_out",
    concurrency: int = CONCURRENCY,
    on_refusal: OnRefusal = "finish",
    **limits: Unpack[Limits],
) -> Any:
    """
    The results of a function for many items, in their order: a coroutine function is run in tasks, and what is returned
    is to be awaited; any other one in threads.

    Each branch is charged to ``step:NAME`` below the budget around it. Where a limit of ``branches`` is in force, all
    of them are set aside before the first one starts, and those that never start are given back.

    When a budget refuses a branch, no further one starts, ``BudgetExceeded`` is raised, and its ``results`` has what
    finished, by the item's place. An error of a branch's own does the same, and is raised itself.

    Args:
        concurrency: The most branches at the same time.
        on_refusal: ``finish`` lets the branches that run come to their end first; ``cancel`` ends them at once: tasks
            are cancelled, and threads, which nothing can end from outside, are waited for.
        **limits: Of all branches together, as ``budget`` takes them.

    Raises:
        ValueError: An argument is none.
        BudgetExceeded: There are more branches than a limit allows, and none was started; or a branch was refused.
    """
    width = _amounts.count(concurrency, name="concurrency")
    if not width:
        raise ValueError("concurrency must be 1 or more, got 0")
    if on_refusal not in ("finish", "cancel"):
        raise ValueError(f"on_refusal must be finish or cancel, got {on_refusal!r}")
    budget, work = Budget(named("step", name, limits)), list(items)
    call = getattr(function, "__call__", function)  # noqa: B004  # An object's own, which may be a coroutine.
    if iscoroutinefunction(function) or iscoroutinefunction(call):
        return _Tasks(function, work, budget, width, on_refusal).run()
    return _in_threads(function, work, budget, width)


class _Tasks:
    """
    Branches that are tasks.
    """

    def __init__(
        self,
        function: Callable[[Any], Awaitable[Any]],
        items: Sequence[Any],
        budget: Budget,
        width: int,
        on_refusal: OnRefusal,
    ) -> None:
        self._function = function
        self._items = items
        self._budget = budget
        self._width = width
        self._on_refusal = on_refusal
        self._results: dict[int, Any] = {}
        self._started = 0
        self._error: BaseException | None = None

    async def run(self) -> list[Any]:
        async with self._budget as budget:
            guard = budget.runtime.guard
            opened = await guard.aopen_branches(budget.scope, len(self._items))
            try:
                await self._work()
            finally:
                await asyncio.shield(guard.aclose_branches(opened, self._started))
        _raise(self._error, self._results)
        return [self._results[place] for place in range(len(self._items))]

    async def _work(self) -> None:
        running: set[asyncio.Task[None]] = set()
        try:
            while self._error is None and (running or self._started < len(self._items)):
                while len(running) < self._width and self._started < len(self._items) and self._error is None:
                    running.add(asyncio.create_task(self._branch(self._started)))
                    self._started += 1
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if self._on_refusal == "finish" and running:
                await asyncio.wait(running)
                running = set()
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    async def _branch(self, place: int) -> None:
        try:
            self._results[place] = await self._function(self._items[place])
        except Exception as error:
            self._error = self._error or error


def _in_threads(function: Callable[[Any], Any], items: Sequence[Any], budget: Budget, width: int) -> list[Any]:
    results: dict[int, Any] = {}
    failed: list[Exception] = []
    started = 0

    def branch(place: int) -> None:
        try:
            result = function(items[place])
            if isawaitable(result):
                close = getattr(result, "close", None)
                if close is not None:
                    close()
                raise TypeError(f"{function!r} returned what is to be awaited; make it an `async def` itself")
            results[place] = result
        except Exception as error:
            failed.append(error)

    with budget:
        guard = budget.runtime.guard
        opened = guard.open_branches(budget.scope, len(items))
        running: set[Future[None]] = set()
        pool = ThreadPoolExecutor(min(width, max(len(items), 1)), thread_name_prefix="fan-out")
        try:
            while not failed and (running or started < len(items)):
                while len(running) < width and started < len(items) and not failed:
                    running.add(pool.submit(carried(branch), started))
                    started += 1
                _, running = wait(running, return_when=FIRST_COMPLETED)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            guard.close_branches(opened, started)
    _raise(failed[0] if failed else None, results)
    return [results[place] for place in range(len(items))]


def _raise(error: BaseException | None, results: dict[int, Any]) -> None:
    if isinstance(error, BudgetExceeded):
        error.remember(results=results)
    if error is not None:
        raise error
