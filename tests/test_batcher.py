"""
The batcher: one durable step for many callers, and no one pays for another's fault.
"""

import asyncio
import gc
import os
import signal
import threading
import weakref

import pytest
from clocks import ManualClock

from solvent._operations import Charge, Reserve, Reserved
from solvent._records import Account
from solvent.errors import StoreUnavailable
from solvent.stores._batcher import Ledger
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore


def reserve(id):
    return Reserve.of(id=id, scope="run:1", charges=(Charge(account=Account("run:1", "usd"), amount=1, limit=100),))


class CountingStore(MemoryStore):
    """
    Remembers its batches, and fails on one id.
    """

    blocks = True

    def __init__(self):
        super().__init__()
        self.batches = []

    def apply(self, operations):
        self.batches.append([operation.id for operation in operations])
        if any(operation.id == "bad" for operation in operations):
            raise ZeroDivisionError
        return super().apply(operations)


def test_a_lone_caller_is_a_batch_of_one():
    ledger = Ledger(CountingStore())
    assert isinstance(ledger.do(reserve("a")), Reserved)
    assert ledger.store.batches == [["a"]]


def test_operations_of_one_moment_are_one_batch():
    ledger = Ledger(CountingStore())

    async def main():
        return await asyncio.gather(*(ledger.ado(reserve(str(i))) for i in range(20)))

    answers = asyncio.run(main())
    assert all(isinstance(answer, Reserved) for answer in answers)
    assert len(ledger.store.batches) < 10
    ledger.close()


def test_a_fault_of_one_operation_costs_no_other():
    ledger = Ledger(CountingStore())

    async def main():
        return await asyncio.gather(*(ledger.ado(reserve(id)) for id in ("a", "bad", "b")), return_exceptions=True)

    first, bad, last = asyncio.run(main())
    assert (type(first), type(bad), type(last)) == (Reserved, RuntimeError, Reserved)
    ledger.close()


def test_threads_that_come_while_a_batch_is_written_are_the_next_one():
    first, go_on = threading.Event(), threading.Event()

    class HeldStore(CountingStore):
        def apply(self, operations):
            if not first.is_set():
                first.set()
                go_on.wait(10)
            return super().apply(operations)

    ledger = Ledger(HeldStore())
    threads = [threading.Thread(target=ledger.do, args=(reserve(str(number)),)) for number in range(32)]
    for thread in threads:
        thread.start()
    first.wait(10)
    while len(ledger._queue) < 31:
        os.sched_yield()
    go_on.set()
    for thread in threads:
        thread.join()
    assert [len(batch) for batch in ledger.store.batches] == [1, 31]


@pytest.mark.slow
def test_threads_share_batches_and_each_gets_its_own_answer():
    ledger, answers = Ledger(MemoryStore()), {}

    def work(id):
        answers[id] = ledger.do(reserve(id))

    threads = [threading.Thread(target=work, args=(str(i),)) for i in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id: answer.id for id, answer in answers.items()} == {str(i): str(i) for i in range(64)}
    assert ledger.store.verify() is None


def test_what_expired_is_charged_when_a_ledger_is_opened():
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    store.apply([reserve("a")])
    clock.advance(seconds=121)
    Ledger(store)
    assert [entry.kind for entry in store.entries()] == ["reserve", "expire"]


class SweptStore(MemoryStore):
    """
    Tells when a sweep found something.
    """

    def __init__(self, clock):
        super().__init__(clock=clock)
        self.swept = threading.Event()

    def expire(self, told=None):
        expired = super().expire(told)
        if expired:
            self.swept.set()
        return expired


@pytest.mark.parametrize("face", ["do", "ado"])
def test_what_expires_while_a_ledger_is_open_is_charged(face):
    clock = ManualClock()
    store = SweptStore(clock)
    ledger = Ledger(store, sweep_seconds=0.001)
    if face == "do":
        ledger.do(reserve("a"))
    else:
        asyncio.run(ledger.ado(reserve("a")))
    clock.advance(seconds=121)
    assert store.swept.wait(10)
    ledger.close()
    assert [balance.reserved for balance in store.balances()] == [0]


def test_a_ledger_that_nobody_has_any_more_is_swept_no_more():
    ledger = Ledger(MemoryStore(), sweep_seconds=0.001)
    ledger.do(reserve("a"))
    sweeper, gone = ledger._sweeper, weakref.ref(ledger)
    del ledger
    gc.collect()
    sweeper.join(10)
    assert gone() is None
    assert not sweeper.is_alive()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_with_a_ledger_of_its_own_threads():
    ledger = Ledger(CountingStore())
    asyncio.run(ledger.ado(reserve("a")))
    child = os.fork()
    if child == 0:
        answers = [ledger.do(reserve("b")), asyncio.run(asyncio.wait_for(ledger.ado(reserve("c")), 10))]
        os._exit(0 if [type(answer) for answer in answers] == [Reserved, Reserved] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert isinstance(asyncio.run(ledger.ado(reserve("d"))), Reserved)
    ledger.close()


@pytest.mark.slow
def test_what_is_queued_when_a_ledger_is_closed_is_applied_and_what_comes_later_is_told(tmp_path):
    async def main():
        ledger = Ledger(SQLiteStore(tmp_path / "ledger.db"))
        await ledger.ado(reserve("a"))
        queued = asyncio.create_task(ledger.ado(reserve("b")))
        await asyncio.sleep(0)
        ledger.close()
        assert isinstance(await asyncio.wait_for(queued, 10), Reserved)
        with pytest.raises(StoreUnavailable, match="it was closed"):
            await asyncio.wait_for(ledger.ado(reserve("c")), 10)

    asyncio.run(main())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_that_are_forked_beside_threads_have_a_whole_copy_of_a_ledger_in_memory():
    store, over = MemoryStore(), threading.Event()

    def work(name):
        count = 0
        while not over.is_set():
            count += 1
            store.apply([reserve(f"{name}-{count}")])

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(5)  # Ends a child that hangs.
            store.apply([reserve("child")])
            os._exit(0 if store.verify() is None else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    over.set()
    for thread in threads:
        thread.join()
    assert codes == [0] * 20


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_is_no_operation_is_asked_without_holding_up_the_loop(kind, tmp_path):
    async def main():
        ledger = Ledger(MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "ledger.db"))
        await ledger.ado(reserve("a"))
        asked_in = await ledger.aask(lambda _: threading.current_thread())
        assert (asked_in is threading.current_thread()) is (kind == "memory")
        assert [balance.reserved for balance in await ledger.aask(lambda store: store.balances())] == [1]
        assert await ledger.aask(lambda store: store.verify()) is None
        ledger.close()

    asyncio.run(main())
