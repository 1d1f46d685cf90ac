"""
A queue with a thread of its own, for what must neither delay nor break a call: listeners, and alerts that are sent.
"""

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

EXIT_SECONDS = 5.0  # So long what is queued is delivered when the interpreter ends.

T = TypeVar("T")

_log = logging.getLogger("solvent")


class Courier(Generic[T]):
    """
    Delivers what it is handed, one after the other and in order, in a daemon thread that starts with the first.

    Where more comes than is delivered, the oldest is dropped: what comes last says how things stand.

    Args:
        deliver: Is handed each thing, and may take its time.
        name: Of the thread.
        most: How much is queued.
        what: That is queued, for the warning that some was dropped.
        hurry: Called when it is to end soon, so that ``deliver`` waits for nothing any more.
    """

    def __init__(
        self,
        deliver: Callable[[T], object],
        *,
        name: str,
        most: int,
        what: str,
        hurry: Callable[[], object] | None = None,
    ) -> None:
        self._deliver = deliver
        self._hurry = hurry
        self._name = name
        self._most = most
        self._what = what
        self._over = False
        self._begin()
        _COURIERS.add(self)

    def hurry(self) -> None:
        if self._hurry is not None:
            self._hurry()

    def put(self, item: T) -> None:
        """
        Have something delivered. Safe wherever code runs: in a finalizer, under a lock, in the thread of ``deliver``.
        """
        with self._lock:
            if self._over:
                return
            is_full = len(self._queue) >= self._most
            is_first_drop = is_full and not self.dropped
            if is_full:
                self._queue.popleft()
                self.dropped += 1
            self._queue.append(item)
            self._put += 1
            self._start()
        self._wake()
        if is_first_drop:
            _log.warning(
                "%s come faster than they are taken; more than %d wait, and the oldest are dropped",
                self._what,
                self._most,
            )

    def flush(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """
        Wait until all that was put before now is delivered or dropped; whether it is. In the thread of ``deliver``
        there is nothing to wait for, and the answer is false.
        """
        done = threading.Event()
        with self._lock:
            if self._is_idle:
                return True
            if self.is_here:
                return False
            self._marks.append((self._put, done))
        self._wake()
        return done.wait(timeout_seconds)

    def close(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """
        Take nothing more, and wait until what is queued is delivered; whether it is. What is not goes on being
        delivered for as long as the process lives.
        """
        with self._lock:
            if self._over:  # Who closes it again waits no longer.
                return self._is_idle
            self._over = True
        self.hurry()
        self._wake()
        return self.flush(timeout_seconds)

    @property
    def left(self) -> int:
        """
        How much was put and is not delivered.
        """
        with self._lock:
            return len(self._queue) + self._is_busy

    @property
    def is_here(self) -> bool:
        """
        Whether this is the thread of ``deliver``.
        """
        return self._thread is threading.current_thread()

    @property
    def _is_idle(self) -> bool:
        return not self._queue and not self._is_busy

    def _begin(self) -> None:
        """
        Also in a forked child: no thread follows it there, and what is queued is the parent's.
        """
        # One that its own thread may take again: a finalizer can come anywhere, and may make something happen.
        self._lock = threading.RLock()
        self._queue: deque[T] = deque()
        self._put = 0
        self.dropped = 0
        self._marks: list[tuple[int, threading.Event]] = []
        self._is_busy = False
        self._thread: threading.Thread | None = None
        self._turn = threading.Lock()  # Free when there is something to do.
        self._turn.acquire()

    def _start(self) -> None:
        if self._thread is None:
            # Kept first: a finalizer may come while it starts, and put something too.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # It is awake already.
            self._turn.release()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._is_busy = False
                self._tell_marks()
                if not self._queue and self._over:
                    return
                item = self._queue.popleft() if self._queue else None
                self._is_busy = item is not None
            if item is None:
                self._turn.acquire()
            else:
                try:
                    self._deliver(item)
                except Exception:  # Whatever it is, the next one has to be delivered.
                    _log.exception("what waited in %s could not be delivered", self._name)

    def _tell_marks(self) -> None:
        gone = self._put - len(self._queue)
        while self._marks and self._marks[0][0] <= gone:
            self._marks.pop(0)[1].set()


_COURIERS: "weakref.WeakSet[Courier[Any]]" = weakref.WeakSet()


def _begin_in_child() -> None:
    for courier in list(_COURIERS):
        courier._begin()


def _at_exit() -> None:
    """
    Deliver what is queued, all together for at most so long.
    """
    until = time.monotonic() + EXIT_SECONDS
    couriers = list(_COURIERS)
    for courier in couriers:
        courier.hurry()
    for courier in couriers:
        courier.close(max(until - time.monotonic(), 0))


os.register_at_fork(after_in_child=_begin_in_child)
atexit.register(_at_exit)
