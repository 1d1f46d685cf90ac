"""
The gate before a ledger file: who writes next is a queue in the kernel, which ends with its holder.

SQLite's own waiting polls, and starves all processes but one.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Gate:
    """
    An ``flock`` on a file of its own, opened on first use. For one thread at a time, under the lock of the ledger file.

    Nothing hangs on that file but whose turn it is, so one that was deleted is made anew: then all meet there again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._is_in_place = True

    @contextmanager
    def held(self, *, patience_seconds: float) -> Iterator[None]:
        """
        Hold the gate.

        Raises:
            TimeoutError: Somebody else held it for longer than the patience: a process that is stopped, say.
        """
        if self._descriptor < 0 or not self._is_in_place:
            self._replace(self._open())
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._replace(self._waited(patience_seconds))
        try:
            yield
        finally:
            if self._descriptor >= 0:  # Else a signal handler has forked meanwhile, and it is closed.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def look(self) -> None:
        """
        See whether another file has its name by now, which is then the gate from the next time on.
        """
        try:
            self._is_in_place = os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except OSError:
            self._is_in_place = False

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _waited(self, patience_seconds: float) -> int:
        """
        Wait in the kernel's queue, in a thread, for nothing else can be given up there.

        The thread locks a descriptor of its own, so that one that comes too late lets go of its own lock alone.
        """
        decision, taken = threading.Lock(), threading.Event()
        descriptor, given_up = self._open(), False

        def wait() -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with decision:
                taken.set()
                if given_up:
                    # Closing alone would not let go of it where a child that was forked meanwhile has it open, too.
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                    os.close(descriptor)

        threading.Thread(target=wait, name="solvent-gate", daemon=True).start()
        taken.wait(patience_seconds)
        with decision:
            given_up = not taken.is_set()
        if given_up:
            raise TimeoutError
        return descriptor

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _replace(self, descriptor: int) -> None:
        self.close()
        self._descriptor, self._is_in_place = descriptor, True
