"""
What is a ``with`` block is a decorator, too: each call of the function has a block of its own.
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import partial, wraps
from typing import Any, ParamSpec, Protocol, TypeVar

from solvent._block import CURRENT

P = ParamSpec("P")
T = TypeVar("T")


class Block(AbstractContextManager[Any, bool | None], AbstractAsyncContextManager[Any, bool | None], Protocol):
    """
    What opens with ``with`` and with ``async with``.
    """


def wrapped(function: Callable[P, T], fresh: Callable[[], Block]) -> Callable[P, T]:
    """
    The function, run in a block of its own each time: plain, a coroutine, a generator or an asynchronous generator.

    The block of a generator is open from its first step to its end, and what its caller does between two steps is none
    of its business.

    Args:
        fresh: Makes a block that nobody has entered.
    """
    called = getattr(function, "__call__", function)  # noqa: B004  # An object's own, which may be a coroutine.
    kinds: tuple[tuple[Callable[[Any], bool], Callable[..., Any]], ...] = (
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.iscoroutinefunction, _coroutine),
        (inspect.isgeneratorfunction, _generator),
    )
    for is_kind, wrap in kinds:
        if is_kind(function) or is_kind(called):
            return wrap(function, fresh)  # type: ignore[no-any-return]  # Of the same kind as the function.
    return _plain(function, fresh)


def _plain(function: Callable[P, T], fresh: Callable[[], Block]) -> Callable[P, T]:
    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with fresh():
            result = function(*args, **kwargs)
        if inspect.iscoroutine(result) or inspect.isasyncgen(result) or inspect.isgenerator(result):
            if not inspect.isasyncgen(result):
                result.close()
            raise TypeError(
                f"{function!r} returned {type(result).__name__} {result.__name__!r}, whose code would run outside of "
                "its budget; decorate the function that is written with async or yield itself"
            )
        return result

    return run


def _coroutine(function: Callable[..., Any], fresh: Callable[[], Block]) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        async with fresh():
            return await function(*args, **kwargs)

    return run


def _generator(function: Callable[..., Any], fresh: Callable[[], Block]) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        outside = CURRENT.get()
        try:
            with fresh():
                inside = CURRENT.get()
                steps = function(*args, **kwargs)
                take: Callable[[], Any] = partial(next, steps)
                while True:
                    try:
                        item = take()
                    except StopIteration as stop:
                        return stop.value
                    CURRENT.set(outside)
                    try:
                        take = partial(steps.send, (yield item))
                    except GeneratorExit:
                        outside = _back(inside)
                        steps.close()
                        raise
                    except BaseException as error:  # Thrown in by whoever takes the steps; the function may catch it.
                        take = partial(steps.throw, error)
                    outside = _back(inside)
        finally:
            CURRENT.set(outside)

    return run


def _async_generator(function: Callable[..., Any], fresh: Callable[[], Block]) -> Callable[..., Any]:
    @wraps(function)
    async def run(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        outside = CURRENT.get()
        try:
            async with fresh():
                inside = CURRENT.get()
                steps = function(*args, **kwargs)
                take: Callable[[], Any] = partial(anext, steps)
                while True:
                    try:
                        item = await take()
                    except StopAsyncIteration:
                        return
                    CURRENT.set(outside)
                    try:
                        take = partial(steps.asend, (yield item))
                    except GeneratorExit:
                        outside = _back(inside)
                        await steps.aclose()
                        raise
                    except BaseException as error:  # As above.
                        take = partial(steps.athrow, error)
                    outside = _back(inside)
        finally:
            CURRENT.set(outside)

    return run


def _back(inside: Any) -> Any:
    """
    Into the block again; where its caller was meanwhile.
    """
    outside = CURRENT.get()
    CURRENT.set(inside)
    return outside
