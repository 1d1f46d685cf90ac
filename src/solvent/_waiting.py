"""
Queues of calls that wait for room, one per account: first come, first served.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from solvent._records import Account

POLL_SECONDS = 0.25  # Other processes' settles wake no one here, so the head of a queue also looks by itself.


class Queues:
    """
    Who waits for which account, in one event loop.
    """

    def __init__(self) -> None:
        self._queues: dict[Account, deque[asyncio.Event]] = {}

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
        queue = self._queues.setdefault(account, deque())
        signal = asyncio.Event()
        queue.append(signal)
        try:
            yield Place(queue, signal)
        finally:
            queue.remove(signal)
            if queue:
                queue[0].set()  # The next one may fit too.
            else:
                del self._queues[account]

    def wake(self, accounts: Iterable[Account]) -> None:
        """
        Room may have come in these accounts.
        """
        for account in accounts:
            queue = self._queues.get(account)
            if queue:
                queue[0].set()


class Place:
    """
    One caller's place in a queue.
    """

    def __init__(self, queue: deque[asyncio.Event], signal: asyncio.Event) -> None:
        self._queue = queue
        self._signal = signal

    async def turn(self, until: float) -> bool:
        """
        Wait until this caller is the first and something may have changed; false when the time is over.

        Args:
            until: On the event loop's clock.
        """
        loop = asyncio.get_running_loop()
        while True:
            left = until - loop.time()
            if left <= 0:
                return False
            first = self._queue[0] is self._signal
            try:
                await asyncio.wait_for(self._signal.wait(), min(left, POLL_SECONDS) if first else left)
            except TimeoutError:
                if not first:
                    continue
            self._signal.clear()
            if self._queue[0] is self._signal:
                return True
