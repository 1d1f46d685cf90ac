"""
What users hold: a function that hears of every event of this process.
"""

import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from solvent._courier import EXIT_SECONDS, Courier
from solvent.events import EVERYWHERE, Event

QUEUE_MAX = 10_000  # Events that wait for one listener: some megabytes.

_log = logging.getLogger("solvent")


class Listening:
    """
    A function that listens, made by ``solvent.listen``; as a context manager it listens until its block ends.

    It is handed one event after the other, in order, in a thread of its own and outside of every lock: it may take its
    time, ask a budget what is left, open budgets and make calls. What happens in that thread (to calls that it makes
    itself) every other listener hears of, but not this one, which would never come to an end.
    """

    def __init__(self, function: Callable[[Event], object]) -> None:
        self._function = function
        self._courier = Courier(self._deliver, name="solvent-listener", most=QUEUE_MAX, what="events")
        self._failed: set[type[BaseException]] = set()
        EVERYWHERE.add(self._hear)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, timeout_seconds: float = EXIT_SECONDS) -> None:
        """
        Listen no more. What happened until now is still delivered; for that it waits, but not longer than this.
        """
        EVERYWHERE.remove(self._hear)
        self._courier.close(timeout_seconds)

    def flush(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """
        Wait until all that happened before now is delivered; whether it is. In the listener's own thread there is
        nothing to wait for, and the answer is false.
        """
        return self._courier.flush(timeout_seconds)

    @property
    def dropped(self) -> int:
        """
        How many events it was not handed, for more than ``QUEUE_MAX`` waited: the oldest of them are dropped.
        """
        return self._courier.dropped

    def _hear(self, event: Event) -> None:
        if not self._courier.is_here:
            self._courier.put(event)

    def _deliver(self, event: Event) -> None:
        try:
            found = self._function(event)
            if inspect.iscoroutine(found):
                found.close()
                raise TypeError("a listener must not be a coroutine function")
        except BaseException as error:  # It is its own fault, and neither ends the program nor the listening.
            if type(error) not in self._failed:
                self._failed.add(type(error))
                name, failure = type(event).__name__, type(error).__name__
                _log.exception("a listener failed on %s; it is not told again of %s", name, failure)


def listen(function: Callable[[Event], object]) -> Listening:
    """
    Hand every event of this process to a function, whatever budget and ledger it is of: the frozen records of
    ``solvent.events``.

    Args:
        function: Called with one event at a time, in a thread of its own. It can neither break nor delay a call. What
            it raises is logged, once for each kind of error.

    Returns:
        What ends it: ``stop()``, or the end of its ``with`` block.

    Raises:
        ValueError: It is no function, or a coroutine function.
    """
    if not callable(function):
        raise ValueError(f"listen must be given a function that takes an event, got {function!r}")
    is_async = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if any(check(each) for check in is_async for each in (function, type(function).__call__)):
        raise ValueError(
            f"listen must be given a plain function, for it is called in a thread of its own; got {function!r}. "
            "To go on: in a plain one hand the event to your loop: loop.call_soon_threadsafe(queue.put_nowait, event)"
        )
    return Listening(function)
