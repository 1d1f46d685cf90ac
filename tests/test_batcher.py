"""
The batcher: one durable step for many callers, and no one pays for another's fault.
"""

import asyncio
import threading

import pytest

from solvent._operations import Charge, Reserve, Reserved
from solvent._records import Account
from solvent.stores._batcher import Ledger
from solvent.stores.memory import MemoryStore


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
