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
    An ``flock`` on a file of its own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()

    @contextmanager
    def held(self, *, patience_seconds: float) -> Iterator[None]:
        """
        Hold the gate.

        Raises:
            TimeoutError: Somebody else held it for longer than the patience: a process that is stopped, say.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with self._waited(patience_seconds):
                yield
            return
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def _waited(self, patience_seconds: float) -> Iterator[None]:
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
                    os.close(descriptor)

        threading.Thread(target=wait, name="solvent-gate", daemon=True).start()
        taken.wait(patience_seconds)
        with decision:
            given_up = not taken.is_set()
        if given_up:
            raise TimeoutError
        try:
            yield
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
