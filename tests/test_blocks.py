"""
The blocks of budgets, left and entered in any order, by generators, in other contexts and after a fork.
"""

import asyncio
import contextvars
import os
import threading
from itertools import count

import pytest
from guard_world import chat

import solvent
from solvent._amounts import Usage, nanodollars
from solvent._block import OPEN
from solvent._booking import Replied
from solvent._place import current_place
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, StoreUnavailable
from solvent.wire._call import Asked, Reading

NUMBERS = count()


@pytest.fixture(autouse=True)
def _own_process(monkeypatch, tmp_path):
    policy = tmp_path / "solvent.yaml"
    policy.write_text("ledger: memory://\nprices: {m: {input: 0, output: 10.00}}\nwait: 0s\nstore_down: {open: $1}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    for name in ("SOLVENT_GATEWAY", "SOLVENT_LEDGER", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    PROCESS.close()
    yield
    assert OPEN.blocks() == []
    PROCESS.close()


def spend():
    """
    A call of a cent, as a hook makes it; returns the scope that it was charged to.
    """
    place = current_place()
    guard = place.runtime.guard
    call, fingerprint = chat(model="m", max_tokens=1_000), str(next(NUMBERS)).encode()
    asked = Asked("chat/completions", {})
    admission = guard.admit(call, scope=place.scope, fingerprint=fingerprint, began=0.0, asked=asked)
    usage = Usage(input_tokens=5, output_tokens=1_000)
    guard.settle(admission, Replied(status=200, reading=Reading(usage=usage, complete=True)))
    return str(place.scope)


def spending(name, usd):
    """
    A generator that makes a call at each step, in a budget of its own.
    """
    with solvent.budget(name, usd=usd):
        while True:
            yield spend()


def steps(generator, step):
    """
    How many steps a generator takes until it is refused, each taken by ``step``.
    """
    taken = 0
    try:
        while True:
            step(next, generator)
            taken += 1
    except BudgetExceeded:
        return taken


def elsewhere(function, *args):
    """
    In a copy of this context, which is thrown away after, as servers take the steps of a generator.
    """
    return contextvars.copy_context().run(function, *args)


def in_a_thread(function, *args):
    found, raised = [], []

    def run():
        try:
            found.append(function(*args))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return found[0]


@pytest.mark.parametrize("step", [elsewhere, in_a_thread])
def test_a_generators_body_is_in_its_budget_wherever_its_steps_are_taken(step):
    a, b = spending("a", "0.03"), spending("b", "0.03")
    assert step(next, a).startswith("run:a-")
    assert step(next, b).startswith("run:b-")
    assert (steps(a, step), steps(b, step)) == (2, 2)


def test_a_generators_body_is_in_its_own_budget_inside_another_one():
    with solvent.budget("all", usd="1.00") as outer:
        assert steps(spending("a", "0.03"), elsewhere) == 3
        assert outer.remaining() == nanodollars("0.97")


def test_an_async_generators_body_is_in_its_budget_whichever_task_asks():
    async def rising():
        async with solvent.budget("a", usd="0.03"):
            while True:
                yield spend()

    async def main():
        taken, items = 0, rising()
        with solvent.budget("b", usd="1.00"):
            try:
                while True:
                    await asyncio.create_task(anext(items))
                    taken += 1
            except BudgetExceeded:
                return taken

    assert asyncio.run(main()) == 3


def test_generators_that_take_turns_are_each_held_to_their_own():
    with solvent.budget("all", usd="1.00"):
        a, b = spending("a", "0.05"), spending("b", "0.02")
        next(a), next(b)
        a.close()
        assert steps(b, lambda function, *args: function(*args)) == 1


def test_a_block_is_left_in_another_context_than_it_was_entered_in():
    generator = spending("a", "0.03")
    elsewhere(next, generator)
    generator.close()
    assert solvent.current_budget() is None
    kinds = [entry.kind for entry in PROCESS.runtime().ledger.store.entries()]
    assert (kinds.count("open"), kinds.count("close")) == (1, 1)


def test_the_error_of_a_block_is_its_own():
    def fails():
        with solvent.budget("a", usd="0.03"):
            yield
            raise KeyError("mine")

    generator = fails()
    elsewhere(next, generator)
    with pytest.raises(KeyError, match="mine"):
        next(generator)


def test_blocks_may_be_left_in_any_order():
    a, b = solvent.budget("a", usd="0.03"), solvent.budget("b", usd="0.03")
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert solvent.current_budget() is b
    b.__exit__(None, None, None)
    assert solvent.current_budget() is None
    with pytest.raises(RuntimeError, match="'b' is not open"):
        b.__exit__(None, None, None)


def test_a_task_of_a_former_block_stays_in_it_when_the_budget_is_opened_again():
    async def later(go):
        await go.wait()
        return spend()

    async def main():
        one, go = solvent.budget("one", usd="0.03"), asyncio.Event()
        async with one:
            first, task = str(one.scope), asyncio.create_task(later(go))
        async with one:
            assert str(one.scope) != first
            go.set()
            assert await task == first

    asyncio.run(main())


def test_blocks_that_nobody_has_are_forgotten():
    budget = solvent.budget("many", usd="0.03")
    for _ in range(50):
        with budget:
            pass
    limits = PROCESS.runtime().guard.limits
    assert limits.openings(budget.scope) == ()
    assert limits._opened == {}


@pytest.mark.usefixtures("eager_switching")
def test_of_many_threads_one_gets_into_a_budget_at_a_time():
    budget, barrier, inside = solvent.budget("one", usd="0.03"), threading.Barrier(8), []
    refused = []

    def enter():
        barrier.wait()
        try:
            with budget:
                inside.append(len(OPEN.blocks()))
        except RuntimeError:
            refused.append(1)

    for _ in range(20):
        threads = [threading.Thread(target=enter) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(inside) + len(refused) == 160
    assert set(inside) == {1}


def test_a_child_that_was_forked_while_a_block_was_opened_opens_its_own():
    with OPEN.lock:
        child = os.fork()
        if child == 0:
            with solvent.budget("child", usd="0.01"):
                os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_a_block_begins_without_the_ledger_where_the_policy_lets_calls_be_made_so(monkeypatch, caplog):
    ledger = PROCESS.runtime().ledger

    def fail(*_):
        raise StoreUnavailable(ledger="memory://", reason="it is away")

    with monkeypatch.context() as away:
        away.setattr(ledger, "do", fail)
        with solvent.budget("a", usd="0.03"):
            pass
    assert "the ledger knows nothing of the beginning" in caplog.text


def test_a_report_has_the_limits_of_the_policy(tmp_path, monkeypatch):
    policy = tmp_path / "limits.yaml"
    policy.write_text("ledger: memory://\nprices: {m: {input: 0, output: 10.00}}\nbudgets: {run:*: {calls: 7}}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    PROCESS.close()
    with solvent.budget("a", calls=50) as budget:
        spend()
    assert "1 of 7" in str(budget.report())
