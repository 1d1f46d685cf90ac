"""
Promises on many callers at once, under ``eager_switching``: races that the interpreter's default hides show there.
"""

import random
import threading
from collections.abc import Callable

import pytest

from solvent._operations import Operation, Release, Settle
from solvent.testing._asking import is_admitted, reserve, sums
from solvent.testing._clock import ManualClock
from solvent.testing._faces import Face
from solvent.testing._history import History, is_linearizable

Opened = Callable[[ManualClock], Face]

HISTORIES = 10
THREADS = 4


def some_work(seed: int) -> list[list[Operation]]:
    """
    What each thread asks for: some of it the same, too much of it for the limit.
    """
    random_ = random.Random(seed)

    def pick() -> Operation:
        id = random_.choice("abcdef")
        kind = random_.choice(("reserve", "reserve", "settle", "release"))
        if kind == "reserve":
            return reserve(id, 10 * (ord(id) - ord("a") + 2), limit=100, team_limit=90)
        if kind == "settle":
            return Settle(id=id, actual={"usd": random_.choice((5, 45))})
        return Release(id=id, reason="not_sent")

    return [[pick() for _ in range(6)] for _ in range(THREADS)]


class Together:
    @pytest.mark.usefixtures("eager_switching")
    def test_threads_together_pass_no_limit(self, opened: Opened, clock: ManualClock) -> None:
        ledger = opened(clock)
        admitted: list[bool] = []
        barrier = threading.Barrier(THREADS)

        def work(name: str) -> None:
            barrier.wait()
            for i in range(10):
                admitted.append(is_admitted(ledger, reserve(f"{name}{i}", 5)))

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(admitted) == 20
        assert sums(ledger.store) == (100, 0, 0)

    @pytest.mark.usefixtures("eager_switching")
    def test_concurrent_answers_are_those_of_one_order(self, opened: Opened, clock: ManualClock) -> None:
        for seed in range(HISTORIES):
            calls = History().run(opened(clock), some_work(seed))
            assert is_linearizable(calls), f"no order explains the answers to some_work({seed})"
