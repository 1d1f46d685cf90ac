"""
One process of the kill test: it makes calls under budgets that it shares with others, and dies where it is told to.

    python torture_worker.py ORDERS

The orders are ``Orders`` as JSON. What its provider really billed, and what else it went through, goes into a diary
that outlives it. It ends well when its standard input does.
"""

import os
import random
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from torture_fate import Diary, Fate, Orders, Watched
from torture_terms import BOUND_MAX, BOUND_MIN, SWEEPER, TTL_SECONDS, TTL_SHORT_SECONDS, is_loose, reserve

from solvent._operations import Closed, Extend, Operation, Refusal, Release, Reserve, Reserved, Settle
from solvent.errors import OutcomeUnknown, ReservationClosed, StoreUnavailable
from solvent.stores._batcher import Ledger

CALL_SECONDS, SWEEP_SECONDS = 0.02, 0.02
TRIES_MAX = 5


class Caller:
    """
    One thread that makes calls, one after another, from one budget after another.
    """

    def __init__(
        self, orders: Orders, number: int, ledger: Ledger, diary: Diary, fate: Fate, over: threading.Event
    ) -> None:
        self._over = over
        self._orders, self._number, self._ledger, self._diary, self._fate = orders, number, ledger, diary, fate
        self._chance = random.Random(f"{orders.seed}/{orders.name}/{orders.life}/{number}")
        self._budget = max(0, max((int(line[2]) for line in diary.before if line[0] == "asks"), default=0) - 2)
        self._aside = 0  # 1 for a call that takes the next budget, for this one is held by others.
        self._late: list[tuple[float, str, int]] = []

    def run(self) -> None:
        if self._orders.life and self._number == 0:
            self._recover()
        count = 0
        while not self._over.is_set():
            count += 1
            self._settle_late()
            id = f"{self._orders.name}.{self._orders.life}.{self._number}.{count}"
            budget, self._aside = self._budget + self._aside, 0
            self._call(id, budget, self._chance.randint(BOUND_MIN, BOUND_MAX))

    def _call(self, id: str, budget: int, bound: int) -> None:
        late = len(self._late) < 2 and self._chance.random() < 0.15
        request = reserve(id, budget, self._orders.name, bound, TTL_SHORT_SECONDS if late else TTL_SECONDS)
        self._diary.write("asks", id, budget, bound)
        self._fate.step("before reserve")
        answer = self._ask(request)
        self._fate.step("after reserve")
        if isinstance(answer, Refusal):
            self._diary.write("refused", id)
            self._refused(id, budget, answer)
            return
        if self._chance.random() < 0.2:
            self._again(request, answer)
        if answer.state != "open":  # Made by an earlier life, and closed since.
            return
        if self._chance.random() < 0.1:
            self._ask_late(Release(id=id, reason="not_sent"))
            return
        billed = self._send(id, budget, bound)
        self._fate.step("before settle")
        if late:
            self._late.append((time.monotonic() + 2 * TTL_SHORT_SECONDS, id, billed))
        else:
            self._settle(id, billed)

    def _refused(self, id: str, budget: int, refusal: Refusal) -> None:
        """
        Ask for less under the same id, make the next call from the next budget, or go on to that for good.
        """
        balance = refusal.balance
        if balance.account.meter == "usd" and balance.remaining is not None and balance.remaining >= BOUND_MIN:
            self._call(id, budget, balance.remaining)
        elif refusal.would_fit_alone or balance.reserved:
            self._aside = 1
            self._over.wait(CALL_SECONDS)
        else:
            self._budget = max(self._budget, budget + 1)

    def _send(self, id: str, budget: int, bound: int) -> int:
        """
        What the provider bills, in two parts; it may say so in between.
        """
        most = bound * 3 // 2 if is_loose(budget) and self._chance.random() < 0.2 else bound
        real = most if self._chance.random() < 0.4 else self._chance.randint(0, most)
        first = self._chance.randint(0, real)
        self._fate.step("in call")
        self._diary.write("billed", id, first)
        if self._chance.random() < 0.3:
            self._diary.write("extends", id)
            self._ask_late(Extend(id=id, ttl_seconds=TTL_SECONDS, so_far={"usd": first}))
        self._over.wait(self._chance.random() * CALL_SECONDS)
        self._fate.step("in call")
        self._diary.write("billed", id, real - first)
        return real

    def _settle(self, id: str, billed: int) -> None:
        settle = Settle(id=id, actual={"usd": billed})
        answer = self._ask_late(settle)
        self._fate.step("after settle")
        if answer is not None and self._chance.random() < 0.3:
            self._again(settle, answer)

    def _settle_late(self) -> None:
        due = [late for late in self._late if late[0] < time.monotonic()]
        self._late = [late for late in self._late if late not in due]
        for _, id, billed in due:
            self._settle(id, billed)

    def _again(self, operation: Reserve | Settle, first: Any) -> None:
        """
        Deliver it twice: the answer is the same, and nothing is counted again.
        """
        second = self._ask(operation)
        self._diary.write("repeats", operation.id)
        if isinstance(first, Closed):
            same = (first.state, first.overrun, first.run_total_nanodollars)
            if same != (second.state, second.overrun, second.run_total_nanodollars):
                self._diary.write("differs", operation.id)
        elif not isinstance(second, Reserved):
            self._diary.write("differs", operation.id)

    def _ask_late(self, operation: Operation) -> Any:
        """
        The answer; ``None`` where an extension comes too late.
        """
        try:
            return self._ask(operation)
        except ReservationClosed as closed:
            if closed.state not in ("expired", "corrected") or not isinstance(operation, Extend):
                self._diary.write("differs", operation.id)
            return None

    def _ask(self, operation: Any) -> Any:
        """
        Ask until there is an answer: each operation is counted once.
        """
        return persist(self._diary, operation.id, lambda: self._ledger.do(operation))

    def _recover(self) -> None:
        """
        What a program does that starts again: settle what it knows of, and send its last request once more.
        """
        billed: defaultdict[str, int] = defaultdict(int)
        asked: list[str] = []
        for word, *rest in self._diary.before:
            if word == "billed":
                billed[rest[0]] += int(rest[1])
            elif word == "asks":
                asked = rest
        for id in list(billed)[-3:]:
            if self._chance.random() < 0.5:
                self._settle(id, billed[id])
        if asked and asked[0] not in billed:
            self._diary.write("returns", asked[0])
            self._call(asked[0], int(asked[1]), int(asked[2]))


def persist(diary: Diary, what: str, action: Callable[[], Any]) -> Any:
    """
    Do it again as long as the store does not answer, for one that is stopped may hold it up.
    """
    for _ in range(TRIES_MAX):
        try:
            return action()
        except (StoreUnavailable, OutcomeUnknown) as error:
            diary.write("unanswered", what, type(error).__name__)
            last = error
    raise last


def sweep(store: Watched, diary: Diary, over: threading.Event) -> None:
    while not over.wait(SWEEP_SECONDS):
        persist(diary, "expire", store.expire)


def guarded(work: Any, *arguments: object) -> None:
    try:
        work(*arguments)
    except BaseException:  # A thread that fails is seen as the failure of all.
        traceback.print_exc()
        os._exit(1)


def main(orders: Orders) -> None:
    diary = Diary(Path(orders.folder) / f"{orders.name}.diary")
    fate = Fate(orders, diary)
    store = persist(diary, "open", lambda: Watched(orders, fate))
    ledger = persist(diary, "open", lambda: Ledger(store))
    over = threading.Event()

    if orders.name == SWEEPER:
        threads = [threading.Thread(target=guarded, args=(sweep, store, diary, over))]
    else:
        callers = [Caller(orders, number, ledger, diary, fate, over) for number in range(orders.threads)]
        threads = [threading.Thread(target=guarded, args=(caller.run,)) for caller in callers]
    for thread in threads:
        thread.start()
    os.write(1, b"ready")
    os.read(0, 1)  # Until the test has no more use for it, or is gone.
    over.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
