"""
What is a ``with`` block is a decorator, too: each call of the function has a block of its own.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial, wraps
from typing import Any, Literal, ParamSpec, Protocol, TypeVar

from solvent._block import CURRENT

FunctionKind = Literal["async generator", "coroutine", "generator", "plain"]

P = ParamSpec("P")
T = TypeVar("T")


class Opens(AbstractContextManager[Any, bool | None], AbstractAsyncContextManager[Any, bool | None], Protocol):
    """
    What opens with ``with`` and with ``async with``.
    """


def wrapped(function: Callable[P, T], fresh: Callable[[], Opens], like: FunctionKind | None = None) -> Callable[P, T]:
    """
    The function, run in a block of its own each time: plain, a coroutine, a generator or an asynchronous generator.

    The block of a generator is open from its first step to its end, and what its caller does between two steps is none
    of its business.

    Args:
        fresh: Makes a block that nobody has entered.
        like: How it is called, where its definition does not tell.
    """
    wrap = {"async generator": _async_generator, "coroutine": _coroutine, "generator": _generator, "plain": _plain}
    return wrap[like or kind_of(function)](function, fresh)


def kind_of(function: Callable[..., object]) -> FunctionKind:
    """
    What a function is, or the ``__call__`` of an object.

    Raises:
        TypeError: It is bound to no class yet.
    """
    if isinstance(function, classmethod | staticmethod):
        raise TypeError(f"put the decorator below @{type(function).__name__}, next to the function")
    called = getattr(function, "__call__", function)  # noqa: B004  # An object's own.
    if inspect.isasyncgenfunction(function) or inspect.isasyncgenfunction(called):
        return "async generator"
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
        return "coroutine"
    if inspect.isgeneratorfunction(function) or inspect.isgeneratorfunction(called):
        return "generator"
    return "plain"


def check_result(function: Callable[..., object], result: object) -> None:
    """
    Raises:
        TypeError: Its code is yet to run, outside of the function's budget.
    """
    if inspect.iscoroutine(result) or inspect.isgenerator(result):
        result.close()
    elif not inspect.isasyncgen(result):
        return
    raise TypeError(
        f"{function!r} returned {type(result).__name__} {result.__name__!r}, whose code would run outside of its "
        "budget; hand in the function itself that is written with async or yield"
    )


def _plain(function: Callable[P, T], fresh: Callable[[], Opens]) -> Callable[P, T]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with fresh():
            result = function(*args, **kwargs)
        check_result(function, result)
        return result

    return run


def _coroutine(function: Callable[..., Any], fresh: Callable[[], Opens]) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        async with fresh():
            return await function(*args, **kwargs)

    return run


def _generator(function: Callable[..., Any], fresh: Callable[[], Opens]) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        outside = CURRENT.get()
        try:
            with fresh():
                steps = function(*args, **kwargs)
                take: Callable[[], Any] = partial(next, steps)
                while True:
                    try:
                        item = take()
                    except StopIteration as stop:
                        return stop.value
                    inside = _to(outside)
                    try:
                        take = partial(steps.send, (yield item))
                    except GeneratorExit:
                        outside = _to(inside)
                        steps.close()
                        raise
                    except BaseException as error:  # Thrown in by whoever takes the steps; the function may catch it.
                        take = partial(steps.throw, error)
                    outside = _to(inside)
        finally:
            CURRENT.set(outside)

    return run


def _async_generator(function: Callable[..., Any], fresh: Callable[[], Opens]) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        outside = CURRENT.get()
        try:
            async with fresh():
                steps = function(*args, **kwargs)
                take: Callable[[], Any] = partial(anext, steps)
                while True:
                    try:
                        item = await take()
                    except StopAsyncIteration:
                        return
                    inside = _to(outside)
                    try:
                        take = partial(steps.asend, (yield item))
                    except GeneratorExit:
                        outside = _to(inside)
                        await steps.aclose()
                        raise
                    except BaseException as error:  # As above.
                        take = partial(steps.athrow, error)
                    outside = _to(inside)
        finally:
            CURRENT.set(outside)

    return run


def _to(block: Any) -> Any:
    """
    Go on there; returns where it was until now.
    """
    before = CURRENT.get()
    CURRENT.set(block)
    return before
