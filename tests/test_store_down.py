"""
While the ledger does not answer: what may be spent all the same, where the policy says so, and that it is booked after.
"""

import asyncio
from fractions import Fraction
from functools import wraps

import pytest
from guard_world import RUN, THREE_CENTS, World, chat

from solvent._amounts import nanodollars
from solvent._booking import NotSent
from solvent._operations import SetLimit
from solvent._records import Account
from solvent.errors import OutcomeUnknown, StoreUnavailable
from solvent.events import CallAdmitted, StoreFailed
from solvent.policy._fallback import Fallback
from solvent.stores.memory import MemoryStore

DOWN = StoreUnavailable(ledger="memory://", reason="it is away")
FIVE_CENTS = {"open_nanodollars": nanodollars("0.05")}


class AbsentStore(MemoryStore):
    """
    Answers nothing while it is away; ``records`` has it take what it is asked before its answer is lost.
    """

    def __init__(self):
        super().__init__()
        self.is_away, self.records = True, False

    def apply(self, operations):
        if self.is_away and self.records:
            super().apply(operations)
            raise OutcomeUnknown(ledger=self.url, id="", reason="its answer was lost")
        if self.is_away:
            raise DOWN
        return super().apply(operations)

    def balances(self, scope=None):
        if self.is_away:
            raise DOWN
        return super().balances(scope)


def in_loop(test):
    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


@in_loop
async def test_calls_are_made_up_to_the_amount_and_no_further():
    world = World(usd="1.00", store=AbsentStore(), **FIVE_CENTS)
    admission = await world.admit(chat())
    assert admission.record.rungs == ("store_down",)
    with pytest.raises(StoreUnavailable):
        await world.admit(chat())
    assert (await world.admit(chat(max_tokens=2_000))).trouble is not None
    with pytest.raises(StoreUnavailable):
        await world.admit(chat(max_tokens=1))


@pytest.mark.parametrize("fallback", [(), (Fallback(model="m", to="m-mini", at=Fraction(1, 2)),)], ids=["", "fallback"])
@in_loop
async def test_its_record_says_what_it_may_cost(fallback):
    world = World(usd="1.00", store=AbsentStore(), fallback=fallback, **FIVE_CENTS)
    record = (await world.admit(chat())).record
    assert (record.decision, record.bound_nanodollars) == ("admitted", nanodollars("0.03"))


@in_loop
async def test_nothing_is_made_without_the_ledger_unless_the_policy_says_so():
    with pytest.raises(StoreUnavailable):
        await World(usd="1.00", store=AbsentStore()).admit(chat(max_tokens=1))


@in_loop
async def test_a_call_whose_cost_nobody_knows_is_not_made_without_the_ledger():
    with pytest.raises(StoreUnavailable):
        await World(store=AbsentStore(), **FIVE_CENTS).admit(chat("no-such-model"))


@in_loop
async def test_it_is_told():
    world = World(usd="1.00", store=AbsentStore(), **FIVE_CENTS)
    admission = await world.admit(chat())
    failed, admitted = world.events
    assert failed == StoreFailed(id=admission.id, error=DOWN)
    assert isinstance(admitted, CallAdmitted)


@pytest.mark.parametrize("settled", ["while it is away", "when it is back"])
@in_loop
async def test_what_was_spent_is_booked_as_an_overrun_when_the_ledger_answers_again(settled):
    world = World(usd="0.04", store=AbsentStore(), **FIVE_CENTS)
    admission = await world.admit(chat())
    heard = len(world.events)
    await world.guard.abeat()
    assert len(world.events) == heard  # Nothing is extended that the ledger does not know of.
    world.store.is_away = settled == "while it is away"
    await world.settle(admission, output_tokens=THREE_CENTS)
    world.store.is_away = False
    await world.guard.abeat()
    balance = world.balance()
    assert (balance.spent, balance.reserved, balance.overrun) == (nanodollars("0.03"), 0, nanodollars("0.03"))
    assert world.balance("calls").spent == 1
    assert world.kinds() == ["reserve", "settle"]
    assert world.store.verify() is None
    assert (await world.admit(chat(max_tokens=1_000))).record.rungs is None


@in_loop
async def test_the_amount_is_free_again_when_the_ledger_has_booked_it():
    world = World(usd="1.00", store=AbsentStore(), **FIVE_CENTS)
    first = await world.admit(chat())
    world.store.is_away = False
    await world.settle(first, output_tokens=1)
    world.store.is_away = True
    await world.admit(chat())


@in_loop
async def test_what_no_limit_has_room_for_any_more_is_booked_all_the_same():
    world = World(usd="0.04", store=AbsentStore(), **FIVE_CENTS)
    late = await world.admit(chat())
    world.store.is_away = False
    await world.settle(await world.admit(chat()), output_tokens=5_000)
    await world.settle(late, output_tokens=THREE_CENTS)
    assert world.balance().spent == nanodollars("0.08")


@in_loop
async def test_what_the_ledger_refuses_to_book_is_told():
    world = World(usd="1.00", store=AbsentStore(), **FIVE_CENTS)
    late = await world.admit(chat())
    world.store.is_away = False
    await world.settle(await world.admit(chat()), output_tokens=THREE_CENTS)
    world.ledger.do(SetLimit(id="a", account=Account(str(RUN), "usd"), limit=0))
    await world.settle(late, output_tokens=THREE_CENTS)
    assert isinstance(world.events[-1], StoreFailed)
    assert world.events[-1].id == late.id


@in_loop
async def test_a_reservation_that_the_ledger_had_taken_after_all_is_settled_once():
    world = World(usd="1.00", store=AbsentStore(), **FIVE_CENTS)
    world.store.records = True
    admission = await world.admit(chat())
    world.store.is_away = False
    await world.settle(admission, output_tokens=1_000)
    assert (world.balance().spent, world.balance().overrun) == (nanodollars("0.01"), 0)
    assert world.kinds() == ["reserve", "settle"]


@in_loop
async def test_a_call_that_was_never_sent_costs_nothing():
    world = World(usd="1.00", store=AbsentStore(), **FIVE_CENTS)
    admission = await world.admit(chat())
    await world.guard.asettle(admission, NotSent(reason="cut"))
    world.store.is_away = False
    await world.guard.adrain()
    assert (world.balance().spent, world.balance().overrun) == (0, 0)
    assert world.kinds() == ["reserve", "release"]
