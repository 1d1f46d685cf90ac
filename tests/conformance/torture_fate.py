"""
What a process of the kill test is ordered to be, how it meets its end, and what outlives it.
"""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import apsw
import msgspec
from torture_twins import TWINS

from solvent.stores.sqlite import SQLiteStore


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one life of a worker is to be.

    Attributes:
        step, after, by: One of ``STEPS``, at which time of passing it this process signals itself, and how.
        twin: One of ``TWINS``: a store that is broken.
    """

    ledger: str
    folder: str
    name: str
    life: int
    seed: int
    threads: int = 1
    step: str | None = None
    after: int = 1
    by: int = signal.SIGKILL
    twin: str | None = None


class Diary:
    """
    A file of lines that are only ever added, each in one write, so that no kill leaves half of one.
    """

    def __init__(self, path: Path) -> None:
        self.before = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *words: object) -> None:
        os.write(self._descriptor, f"{' '.join(map(str, words))}\n".encode())


class Fate:
    """
    Kills or stops this process at its step.
    """

    def __init__(self, orders: Orders, diary: Diary) -> None:
        self._orders, self._diary = orders, diary
        self._lock = threading.Lock()
        self._passed = 0

    def step(self, name: str) -> None:
        if name != self._orders.step:
            return
        with self._lock:
            self._passed += 1
            if self._passed == self._orders.after:
                self._diary.write("dies" if self._orders.by == signal.SIGKILL else "halts", *name.split())
                os.kill(os.getpid(), self._orders.by)


class Watched:
    """
    A store with a step of fate inside each of its transactions: when all is written, and nothing is committed.
    """

    def __init__(self, orders: Orders, fate: Fate) -> None:
        self._fate = fate
        self._lock = threading.Lock()
        self._inside: tuple[str, ...] = ()
        apsw.connection_hooks.append(lambda connection: connection.set_commit_hook(self._committing))
        store = TWINS[orders.twin] if orders.twin else SQLiteStore
        self._store = store(Path(orders.ledger))
        self.url, self.blocks = self._store.url, self._store.blocks

    def apply(self, operations: Any) -> Any:
        with self._lock:
            self._inside = tuple(f"in {type(operation).__name__.lower()}" for operation in operations)
            return self._store.apply(operations)

    def expire(self, told: Any = None) -> int:
        with self._lock:
            self._inside = ("in expire",)
            return self._store.expire(told)

    def _committing(self) -> bool:
        for step in self._inside:
            self._fate.step(step)
        return False
