"""
The guard's synchronous face: the same flows, and one queue with the async callers.
"""

import asyncio
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest
from clocks import ManualClock
from guard_world import RUN, THREE_CENTS, World, chat

from solvent._amounts import Usage, nanodollars
from solvent._booking import Replied
from solvent._limits import Limit, Scope
from solvent._operations import Settle
from solvent.errors import BudgetExceeded, StoreUnavailable
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore
from solvent.wire._call import Reading


def admit(world, call=None, **more):
    asked = str(next(world.numbers)).encode()
    return world.guard.admit(call or chat(), scope=RUN, fingerprint=asked, began=0.0, **more)


def settle(world, admission, *, output_tokens=0):
    usage = Usage(input_tokens=5, output_tokens=output_tokens)
    return world.guard.settle(admission, Replied(status=200, reading=Reading(usage=usage, complete=True)))


def usd(amount):
    return Limit(meter="usd", amount=nanodollars(amount), source="policy")


def sent(world, output_tokens):
    try:
        admission = admit(world)
    except BudgetExceeded as refusal:
        return refusal
    settle(world, admission, output_tokens=output_tokens)
    return None


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "ledger.db")


def waiting(world):
    return sum(len(queue) for queue in world.guard._calls._queues._queues.values())


def until_waiting(world, count):
    for _ in range(10_000):
        if waiting(world) == count:
            return
        threading.Event().wait(0.001)
    raise AssertionError(f"{waiting(world)} wait, not {count}")


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching")
def test_64_threads_under_1_dollar_make_33_calls_of_3_cents(store):
    world = World(usd="1.00", store=store)
    with ThreadPoolExecutor(64) as pool:
        refusals = list(pool.map(lambda _: sent(world, THREE_CENTS), range(64)))
    assert sum(refusal is None for refusal in refusals) == 33
    assert (world.balance().spent, world.balance().reserved) == (nanodollars("0.99"), 0)


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching")
def test_threads_wait_for_room_that_open_calls_hold(store):
    world = World(usd="1.00", wait_seconds=60, store=store)
    with ThreadPoolExecutor(64) as pool:
        refusals = list(pool.map(lambda _: sent(world, THREE_CENTS // 10), range(64)))
    assert refusals == [None] * 64
    assert world.balance().spent == nanodollars("0.192")
    assert not waiting(world)


def test_threads_and_tasks_are_served_in_the_order_in_which_they_came(store):
    world = World(usd="0.03", wait_seconds=60, store=store)
    first, served = admit(world), []

    def in_a_thread(name):
        admission = admit(world)  # All the room there is: one after the other.
        served.append(name)
        settle(world, admission)

    async def in_a_task(name):
        admission = await world.admit(chat())
        served.append(name)
        await world.settle(admission)

    threads = []
    for number in range(6):
        kind = "task" if number % 2 else "thread"
        target = in_a_thread if kind == "thread" else lambda name: asyncio.run(in_a_task(name))
        threads.append(threading.Thread(target=target, args=(f"{kind} {number}",)))
        threads[-1].start()
        until_waiting(world, number + 1)
    settle(world, first)
    for thread in threads:
        thread.join(60)
    assert served == ["thread 0", "task 1", "thread 2", "task 3", "thread 4", "task 5"]


def test_one_teams_queue_never_holds_up_anothers(store):
    org, cent = Scope.parse("org:acme"), nanodollars("0.01")
    teams = [Scope.parse(f"org:acme/team:{name}/run:r") for name in "ab"]
    world = World(store=store, budgets=(("org:acme", usd("10.00")), ("team:*", usd("0.04"))), wait_seconds=30)

    def go(scope):
        return world.guard.admit(chat(), scope=scope, fingerprint=str(next(world.numbers)).encode(), began=0.0)

    first = go(teams[0])
    with ThreadPoolExecutor(4) as pool:
        held = [pool.submit(go, teams[0]) for _ in range(3)]
        until_waiting(world, 3)
        other = go(teams[1])  # At once, though they share the org's account.
        assert [future.done() for future in held] == [False] * 3
        settle(world, first)
        for _ in held:
            done, _ = wait(held, return_when=FIRST_COMPLETED)
            for future in done:
                held.remove(future)
                settle(world, future.result())
    settle(world, other)
    assert sum(balance.spent for balance in store.balances(str(org))) < cent * 10
    assert waiting(world) == 0


def test_a_pool_that_is_full_of_waiting_calls_goes_on(store):
    world = World(usd="0.04", store=store, wait_seconds=0.2)
    first = admit(world)
    with ThreadPoolExecutor(2) as pool:
        waiters = [pool.submit(sent, world, 100) for _ in range(2)]
        until_waiting(world, 2)
        end = pool.submit(settle, world, first)  # It gets its turn when one of them has given up.
        last = pool.submit(sent, world, 100)
    gave_up = [future.result() for future in waiters if future.result() is not None]
    assert [refusal.held for refusal in gave_up] in ([True], [True, True])
    assert end.result().cost_nanodollars is not None
    assert last.result() is None
    assert waiting(world) == 0


def test_a_call_in_a_running_event_loop_waits_for_nothing():
    world = World(usd="0.03", wait_seconds=60)

    async def main():
        admit(world)
        with pytest.raises(BudgetExceeded) as refused:
            admit(world)
        assert refused.value.held
        assert "wait" not in str(world.events[-1].call.rungs)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_a_call_never_waits_for_what_it_is_part_of(store):
    world = World(usd="0.03", wait_seconds=60, store=store)
    outer = admit(world)
    with pytest.raises(BudgetExceeded):
        admit(world, within=(outer.id,))


def test_waiting_ends_when_its_time_is_over_and_leaves_the_queue():
    world = World(usd="0.03", wait_seconds=0.02)
    first = admit(world)
    with pytest.raises(BudgetExceeded) as refused:
        admit(world)
    assert refused.value.held
    assert not waiting(world)
    settle(world, first)
    assert not admit(world).record.rungs


class Interrupted(MemoryStore):
    """
    Is interrupted, as by Ctrl-C, before or after it does what it is asked.
    """

    interrupt = None

    def apply(self, operations):
        before, self.interrupt = self.interrupt, None
        if before == "before":
            raise KeyboardInterrupt
        answers = super().apply(operations)
        if before == "after":
            raise KeyboardInterrupt
        return answers


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reservation_of_an_interrupted_caller_is_released(when):
    world = World(usd="0.03", store=Interrupted(clock=ManualClock()))
    world.store.interrupt = when
    with pytest.raises(KeyboardInterrupt):
        admit(world)
    assert (world.balance().reserved, world.balance().spent) == (0, 0)
    assert world.store.verify() is None
    admit(world)


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupted_settlement_is_booked_later_and_once(when):
    world = World(usd="0.03", store=Interrupted(clock=ManualClock()))
    admission = admit(world)
    world.store.interrupt = when
    with pytest.raises(KeyboardInterrupt):
        settle(world, admission, output_tokens=1_000)
    world.guard.drain()
    assert (world.balance().spent, world.balance().reserved) == (nanodollars("0.01"), 0)
    assert world.kinds() == ["reserve", "settle"]


def test_what_the_ledger_did_not_take_is_booked_when_it_answers_again():
    world = World(usd="0.03")
    admission = admit(world)
    apply = world.store.apply

    def away(operations):
        if any(isinstance(operation, Settle) for operation in operations):
            raise StoreUnavailable(ledger="l", reason="gone")
        return apply(operations)

    world.store.apply = away
    assert not settle(world, admission, output_tokens=1_000).headers
    world.store.apply = apply
    world.guard.drain()
    assert world.balance().spent == nanodollars("0.01")
