"""
Work for many items at once under one budget: the branches inherit it, and what they finished is never thrown away.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, Literal, TypeVar, Unpack, overload

from solvent import _amounts
from solvent._block import carried, may_await
from solvent._budget import Budget
from solvent._limits_in_code import Limits
from solvent._scopes import named
from solvent._wrapping import check_result, kind_of
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
    finished, by the item's place. An error of a branch's own does the same, and is raised itself, with ``results`` too.
    Of a fan-out inside another one, the refusal's ``__cause__`` has the inner results.

    Args:
        concurrency: The most branches at the same time.
        on_refusal: ``finish`` lets the branches that run come to their end first; ``cancel`` ends them at once: tasks
            are cancelled, and threads, which nothing can end from outside, are waited for.
        **limits: Of all branches together, as ``budget`` takes them.

    Raises:
        ValueError: An argument is none.
        TypeError: The function is a generator, or returns what is to be awaited.
        BudgetExceeded: There are more branches than a limit allows, and none was started; or a branch was refused.
    """
    if not callable(function):
        raise ValueError(f"function must be one, and comes before the items, got {function!r:.100}")
    if isinstance(items, str | bytes):
        raise ValueError(f"items must be several, such as a list, got {items!r:.100}")
    width = _amounts.count(concurrency, name="concurrency")
    if not width:
        raise ValueError("concurrency must be 1 or more, got 0")
    if on_refusal not in ("finish", "cancel"):
        raise ValueError(f"on_refusal must be finish or cancel, got {on_refusal!r}")
    budget, work = Budget(named("step", name, limits, maker="fan_out")), list(items)
    kind = kind_of(function)
    if kind in ("generator", "async generator"):
        raise TypeError(f"{function!r} gives its results one by one; hand in a function that returns one")
    if kind == "coroutine":
        running = _Tasks(function, work, budget, width, on_refusal).run()
        for name in ("__name__", "__qualname__"):  # What Python calls it where it is never awaited.
            setattr(running, name, "fan_out")
        return running
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
            runtime = budget.runtime
            opened = await runtime.guard.aopen_branches(budget.scope, len(self._items))
            runtime.keep_alive()
            try:
                await self._work()
            finally:
                if may_await(sys.exception()):
                    await asyncio.shield(runtime.guard.aclose_branches(opened, self._started))
                else:
                    runtime.guard.close_branches(opened, self._started)
        return _results(self._error, self._results, len(self._items))

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
        finally:
            for task in running:
                task.cancel()
            if may_await(sys.exception()):
                await _all_over(running)

    async def _branch(self, place: int) -> None:
        try:
            self._results[place] = await self._function(self._items[place])
        except BaseException as error:  # Whatever ends it, the fan-out is not whole.
            self._error = self._error or error
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise


async def _all_over(tasks: set[asyncio.Task[None]]) -> None:
    """
    Wait until none of them runs, also where the one who waits is cancelled meanwhile.
    """
    cancelled: asyncio.CancelledError | None = None
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _in_threads(function: Callable[[Any], Any], items: Sequence[Any], budget: Budget, width: int) -> list[Any]:
    results: dict[int, Any] = {}
    failed: list[BaseException] = []
    started = 0

    def branch(place: int) -> None:
        try:
            result = function(items[place])
            check_result(function, result)
            results[place] = result
        except BaseException as error:  # As above; a thread has nobody else to tell it.
            failed.append(error)

    with budget:
        runtime = budget.runtime
        opened = runtime.guard.open_branches(budget.scope, len(items))
        runtime.keep_alive()
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
            runtime.guard.close_branches(opened, started)
    return _results(failed[0] if failed else None, results, len(items))


def _results(error: BaseException | None, results: dict[int, Any], count: int) -> list[Any]:
    """
    All of them, in their order; what ended the fan-out is raised with those that there are.
    """
    if error is None:
        return [results[place] for place in range(count)]
    if isinstance(error, BudgetExceeded):
        raise error.with_results(results)
    error.add_note(f"{len(results):,} of {count:,} branches of the fan-out had finished")
    with suppress(AttributeError):  # Of an error that takes no other attributes.
        error.results = results  # type: ignore[attr-defined]  # As a refusal has them.
    raise error
