"""
An event loop whose time is driven: it goes to the next thing that is due as soon as nothing else is to be done.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """
    Attributes:
        seconds: What the loop's time is.
    """

    seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.seconds += timeout
        return super().select(0 if timeout else timeout)


class DrivenLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._driven = _Selector()
        super().__init__(self._driven)

    def time(self) -> float:
        return self._driven.seconds


def run(main: Coroutine[Any, Any, T]) -> T:
    """
    ``asyncio.run``, without a wait.
    """
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        return runner.run(main)


def now() -> float:
    """
    Seconds since the loop began, to the millisecond.
    """
    return round(asyncio.get_running_loop().time(), 3)
