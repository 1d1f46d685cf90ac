"""
The kill test's processes: started, stopped, continued and killed by chance, while the books are looked at.
"""

import heapq
import itertools
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from torture_books import Books
from torture_fate import Orders
from torture_terms import CALL_STEPS, SWEEPER, TTL_SECONDS

from solvent.stores.sqlite import SQLiteStore

PROGRAM = Path(__file__).with_name("torture_worker.py")
WORKERS = {"w0": 1, "w1": 1, "w2": 3, "w3": 3}  # And the threads of each.
LOOK_SECONDS, STOP_EVERY_SECONDS, LIFE_SECONDS, END_SECONDS = 0.03, 0.25, 3.0, 30.0
STOP_SECONDS_MAX = 2 * TTL_SECONDS  # All of them, one after another, hold up others for less than they wait.


class Life:
    """
    One process, from its start to its end.
    """

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.is_ready = self.is_stopped = self.has_halted = False
        with open(f"{orders.folder}/{orders.name}.errors", "ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, msgspec.json.encode(orders)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.pidfd = os.pidfd_open(self.process.pid)

    def signal(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self.pidfd, number)  # It is not collected yet, so it is there.

    def collect(self) -> int:
        code = self.process.wait()
        os.close(self.pidfd)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return code


class Rig:
    """
    Four workers and a sweeper on one ledger.

    Attributes:
        store: The same ledger, opened by a process that nobody kills.
        kills, stops, outlived: Processes that were killed, and that were stopped; how often a stopped one's reservation
            expired meanwhile.
    """

    def __init__(self, folder: Path, *, seed: int, twin: str | None = None) -> None:
        self.ledger = folder / "ledger.db"
        self.store = SQLiteStore(self.ledger)
        self.books = Books(self.ledger, folder)
        self.kills = self.stops = self.outlived = 0
        self._folder, self._seed, self._twin = folder, seed, twin
        self._chance = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = itertools.count()
        self._lives: dict[str, Life] = {}
        self._births: Counter[str] = Counter()
        fates = [(step, by) for step in CALL_STEPS for by in (signal.SIGKILL, signal.SIGSTOP)]
        self._fates = itertools.cycle(self._chance.sample(fates, len(fates)))
        self._is_ending = False

    def run(self, *, until: Callable[[], bool], seconds_max: float) -> bool:
        """
        Let them work and die until it is so; whether it became so in time.
        """
        deadline = time.monotonic() + seconds_max
        for name in (*WORKERS, SWEEPER):
            self._start(name)
        self._look()
        self._verify()
        self._stop_one()
        while not until() and time.monotonic() < deadline:
            self._wait()
        return until()

    def end(self) -> None:
        """
        Let every process end by itself.
        """
        self._is_ending = True
        for life in self._lives.values():
            if life.is_stopped:
                self._continue(life)
            assert life.process.stdin is not None
            life.process.stdin.close()
        deadline = time.monotonic() + END_SECONDS
        while self._lives and time.monotonic() < deadline:
            self._wait()
        assert not self._lives, f"still running: {sorted(self._lives)}"

    def close(self) -> None:
        for life in self._lives.values():
            life.signal(signal.SIGKILL)
            life.collect()
        self._selector.close()
        self.store.close()

    def _wait(self) -> None:
        """
        Wait for whatever comes first: a process that is ready or over, or something that is due.
        """
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
        patience = max(0.0, self._timers[0][0] - time.monotonic())
        for key, _ in self._selector.select(patience):
            key.data()

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._counter), action))

    def _look(self) -> None:
        self.books.look()
        self._find_stopped()
        self._after(LOOK_SECONDS, self._look)

    def _verify(self) -> None:
        """
        What the store says of itself holds at every moment too; asked more seldom, for it reads the whole journal.
        """
        began = time.monotonic()
        if difference := self.store.verify():
            self.books.wrong.append(f"verify: {difference}")
        self._after(max(1.0, 10 * (time.monotonic() - began)), self._verify)

    def _start(self, name: str) -> None:
        step, by = self._fate(name)
        orders = Orders(
            ledger=str(self.ledger),
            folder=str(self._folder),
            name=name,
            life=self._births[name],
            seed=self._seed,
            threads=WORKERS.get(name, 1),
            step=step,
            after=self._chance.randint(1, 4 if name == SWEEPER else 20),
            by=by,
            twin=self._twin,
        )
        self._births[name] += 1
        life = self._lives[name] = Life(orders)
        self._selector.register(life.pidfd, selectors.EVENT_READ, lambda: self._over(life))
        assert life.process.stdout is not None
        self._selector.register(life.process.stdout, selectors.EVENT_READ, lambda: self._ready(life))
        if self._chance.random() < 0.1:
            self._after(self._chance.uniform(0, 0.3), lambda: self._kill(life))  # While it starts.

    def _fate(self, name: str) -> tuple[str | None, int]:
        """
        At which step this process signals itself, and how; each in its turn, and now and then none.
        """
        if self._chance.random() < 0.2:
            return None, signal.SIGKILL
        if name == SWEEPER:
            return "in expire", self._chance.choice((signal.SIGKILL, signal.SIGSTOP))
        return next(self._fates)

    def _ready(self, life: Life) -> None:
        life.is_ready = True
        assert life.process.stdout is not None
        self._selector.unregister(life.process.stdout)
        comes_to_its_step = life.orders.step is not None and life.orders.by == signal.SIGKILL
        is_sweeper = life.orders.name == SWEEPER
        seconds = LIFE_SECONDS if comes_to_its_step or is_sweeper else self._chance.uniform(0.2, 1.2)
        self._after(seconds, lambda: self._kill(life))

    def _kill(self, life: Life) -> None:
        if self._lives.get(life.orders.name) is life and not self._is_ending:
            life.signal(signal.SIGKILL)

    def _over(self, life: Life) -> None:
        self._selector.unregister(life.pidfd)
        assert life.process.stdout is not None
        if not life.is_ready:
            self._selector.unregister(life.process.stdout)
        name = life.orders.name
        del self._lives[name]
        code = life.collect()
        if code == -signal.SIGKILL:
            self.kills += 1
        elif code or not self._is_ending:
            errors = (self._folder / f"{name}.errors").read_text()
            self.books.wrong.append(f"{name} ended with {code}: {errors[-3_000:]}")
        if not self._is_ending:
            self._start(name)

    def _stop_one(self) -> None:
        self._after(STOP_EVERY_SECONDS, self._stop_one)
        able = [life for life in self._lives.values() if life.is_ready]
        if able and not self._is_ending and not any(life.is_stopped for life in self._lives.values()):
            life = self._chance.choice(able)
            life.signal(signal.SIGSTOP)
            self._stopped(life)

    def _find_stopped(self) -> None:
        """
        Those that have stopped themselves, at their step.
        """
        for life in self._lives.values():
            if life.orders.by == signal.SIGSTOP and not life.is_stopped and not life.has_halted:
                with suppress(ChildProcessError):  # It is over, and not collected yet.
                    if os.waitid(os.P_PIDFD, life.pidfd, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None:
                        life.has_halted = True
                        self._stopped(life)

    def _stopped(self, life: Life) -> None:
        life.is_stopped = True
        self.stops += 1
        if self._chance.random() < 0.5:
            self._after(self._chance.uniform(0.01, 0.15), lambda: self._continue(life))
        else:
            self._watch(life, self._expired_of(life), time.monotonic() + STOP_SECONDS_MAX)

    def _watch(self, life: Life, before: int, give_up: float) -> None:
        """
        Continue it when a reservation of its own has expired under it, or all the time is over.
        """
        if self._lives.get(life.orders.name) is not life:
            return
        if self._expired_of(life) > before:
            self.outlived += 1
            self._continue(life)
        elif time.monotonic() > give_up:
            self._continue(life)
        else:
            self._after(LOOK_SECONDS, lambda: self._watch(life, before, give_up))

    def _expired_of(self, life: Life) -> int:
        return self.books.marks[f"expire {life.orders.name}.{life.orders.life}"]

    def _continue(self, life: Life) -> None:
        if self._lives.get(life.orders.name) is life:
            life.is_stopped = False
            life.signal(signal.SIGCONT)


@contextmanager
def rig(folder: Path, *, seed: int, twin: str | None = None) -> Iterator[Rig]:
    made = Rig(folder, seed=seed, twin=twin)
    try:
        yield made
    finally:
        made.close()
