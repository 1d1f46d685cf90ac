"""
Queues of calls that wait for room, one per account: first come, first served, from whatever thread or event loop.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from solvent._records import Account

POLL_SECONDS = 0.25  # Other processes' settles wake no one here, so the head of a queue also looks by itself.


class Queues:
    """
    Who waits for which account, in one process.
    """

    def __init__(self) -> None:
        self._queues: dict[Account, deque[Place]] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """
        Forget who waits: in a forked child they are the parent's.
        """
        self._queues.clear()
        self._lock = threading.Lock()

    def busy(self, accounts: Iterable[Account]) -> Account | None:
        """
        The first of these accounts that others wait for already.
        """
        return next((account for account in accounts if account in self._queues), None)

    @contextmanager
    def join(self, account: Account) -> Iterator["Place"]:
        """
        A place at the end of an account's queue; left at the end of the block, however it ends.
        """
        with self._lock:
            queue = self._queues.setdefault(account, deque())
            place = Place(queue)
            queue.append(place)
        try:
            yield place
        finally:
            with self._lock:
                queue.remove(place)
                if not queue:
                    del self._queues[account]
            self.wake((account,))  # The next one may fit too.

    def wake(self, accounts: Iterable[Account]) -> None:
        """
        Room may have come in these accounts.
        """
        if self._queues:
            with self._lock:
                first = [queue[0] for account in accounts if (queue := self._queues.get(account))]
            for place in first:
                place.wake()


class Place:
    """
    One caller's place in a queue.
    """

    def __init__(self, queue: "deque[Place]") -> None:
        self._queue = queue
        self._woken = False
        self._tell: Callable[[], object] | None = None

    def turn(self, until: float) -> Generator["Sleep", bool, bool]:
        """
        Sleep until this caller is the first and something may have changed; false when the time is over.

        Args:
            until: In seconds of the monotonic clock.
        """
        while (left := until - time.monotonic()) > 0:
            is_first = self._queue[0] is self
            woken = yield Sleep(self, min(left, POLL_SECONDS) if is_first else left)
            if (woken or is_first) and self._queue[0] is self:
                return True
        return False

    def wake(self) -> None:
        self._woken = True
        if self._tell is not None:
            with suppress(RuntimeError):  # The event loop is closed, so nobody sleeps there any more.
                self._tell()

    def sleep(self, seconds: float) -> bool:
        """
        Sleep at most so long; whether somebody woke this place.
        """
        event = threading.Event()
        self._tell = event.set
        if not self._woken:
            event.wait(seconds)
        return self._wake_up()

    async def asleep(self, seconds: float) -> bool:
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        self._tell = lambda: loop.call_soon_threadsafe(event.set)
        if not self._woken:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), seconds)
        return self._wake_up()

    def _wake_up(self) -> bool:
        # Whoever wakes this place between these two lines is heard: what follows is another look at the account.
        woken, self._woken = self._woken, False
        return woken


class Sleep(Struct, frozen=True):
    """
    Asks a driver to let the caller sleep until its place in a queue is woken, but not longer than so many seconds.
    """

    place: Place
    seconds: float
