"""
Ending a piece of work from outside it, for a reason: the client went away, its time is over, or the gateway closes.
"""

import asyncio
from types import TracebackType


class Ended(Exception):
    """
    Raised at the end of a block that was interrupted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Interrupt:
    """
    A switch that ends the block it guards, once and for good, as ``asyncio.timeout`` does at its time.

    Between two blocks it only remembers the reason, and the next one does not begin. So what stands outside of every
    block, such as settling, is never cut.
    """

    __slots__ = ("_before", "_cancelled", "_owner", "_task", "reason")

    def __init__(self) -> None:
        self.reason: str | None = None
        self._owner: asyncio.Task[object] | None = None  # The one task whose blocks it guards.
        self._task: asyncio.Task[object] | None = None
        self._before = 0
        self._cancelled = False

    def trigger(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            if self._task is not None:
                self._cancelled = True
                self._task.cancel()

    def __enter__(self) -> None:
        if self.reason is not None:
            raise Ended(self.reason)
        task = self._owner = self._owner or asyncio.current_task()
        assert task is not None, "an interrupt guards a task"
        self._task, self._before = task, task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if not self._cancelled or task is None:
            return
        self._cancelled = False
        # More cancellations than ours: somebody ends the task itself, and that must go on.
        if task.uncancel() <= self._before and kind is asyncio.CancelledError:
            assert self.reason is not None
            raise Ended(self.reason) from exc
