"""
The rest of the ladder: calls that are made with another model, and limits that only tell.
"""

import asyncio
import json
import logging
from fractions import Fraction
from functools import wraps

import pytest
from clocks import ManualClock
from guard_world import RUN, THREE_CENTS, World, chat, messages, told
from msgspec.structs import replace

from solvent._amounts import nanodollars
from solvent._limits import Limit
from solvent._operations import Note, Reserve, TopUp
from solvent._records import Account
from solvent._standings import Look
from solvent.errors import BudgetExceeded
from solvent.events import CallClosed, LimitPassed
from solvent.policy._fallback import Fallback
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

CHAIN = (Fallback(model="m", to="m-mini"), Fallback(model="m-mini", to="m-nano"))
EARLY = (
    Fallback(model="m", to="m-mini", at=Fraction(60, 100)),
    Fallback(model="m-mini", to="m-nano", at=Fraction(80, 100)),
)


def in_loop(test):
    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


async def spend(world, output_tokens, call=None):
    admission = await world.admit(call or chat(max_tokens=output_tokens))
    await world.settle(admission, output_tokens=output_tokens)
    return admission


# Another model.


@in_loop
async def test_a_call_that_does_not_fit_is_made_with_the_next_model_of_the_chain():
    world = World(usd="0.02", fallback=CHAIN)
    admission = await world.admit(chat())  # Three cents of "m", 0.3 of "m-mini".
    assert admission.call.model == "m-mini"
    assert json.loads(admission.body)["model"] == "m-mini"
    assert admission.record.rungs == ("degrade m-mini",)
    assert admission.record.model_asked == "m"
    assert admission.record.bound_nanodollars == nanodollars("0.003")
    assert admission.chain.call.model == "m-mini"  # Whose bill says nothing of another model's prompts.


@in_loop
async def test_the_price_of_the_model_that_is_used_is_what_is_booked():
    world = World(usd="0.02", fallback=CHAIN)
    admission = await world.admit(chat())
    settlement = await world.settle(admission, output_tokens=THREE_CENTS)
    assert settlement.cost_nanodollars == nanodollars("0.003")
    assert world.balance().spent == nanodollars("0.003")
    closed = next(event for event in world.events if isinstance(event, CallClosed))
    assert (closed.call.model_asked, closed.call.model_used) == ("m", "m-mini")
    assert world.store.verify() is None


@in_loop
async def test_the_chain_is_gone_down_until_a_call_fits_and_shrinks_at_its_end():
    world = World(usd="0.0005", fallback=CHAIN)
    assert (await world.admit(chat())).record.rungs == ("degrade m-nano",)
    world = World(usd="0.0002", fallback=CHAIN)
    admission = await world.admit(chat(max_tokens=None))
    assert admission.record.rungs == ("degrade m-nano", "shrink 2000")
    assert json.loads(admission.body) | {"messages": []} == {"model": "m-nano", "max_tokens": 2_000, "messages": []}


@in_loop
async def test_where_no_model_fits_the_call_is_refused_and_nothing_is_reserved():
    world = World(usd="0.0001", fallback=CHAIN)
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())
    assert world.kinds() == ["refuse"]
    assert world.balance().reserved == 0


@pytest.mark.parametrize(
    ("limits", "call"),
    [
        ((Limit(meter="calls", amount=0),), chat()),  # No model makes it fewer.
        ((Limit(meter="usd", amount=1),), chat("nobody-knows")),
        ((Limit(meter="usd", amount=nanodollars("0.02")),), replace(chat(), fixed=True)),
    ],
    ids=["another meter", "a model that no fallback names", "signed"],
)
@in_loop
async def test_only_what_another_model_helps_is_asked_of_one(limits, call):
    world = World(limits=limits, fallback=CHAIN)
    asked = effects_of(world)
    with pytest.raises(BudgetExceeded):
        await world.admit(call)
    assert asked == [Reserve, Note]


def effects_of(world):
    """
    What the flows ask of the world from now on.
    """
    driver = world.guard._adrive.__self__
    asked, do = [], driver._ado
    driver._ado = lambda effect: asked.append(type(effect)) or do(effect)
    return asked


@in_loop
async def test_a_fallback_without_a_price_is_none():
    world = World(usd="0.02", fallback=(Fallback(model="m", to="no-such-model"),))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())


@pytest.mark.parametrize("model", ["m", "m-mini"])
@in_loop
async def test_a_chain_that_leads_back_ends(model):
    world = World(usd="0", fallback=(*CHAIN, Fallback(model="m-nano", to=model)))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())


@in_loop
async def test_a_cap_above_what_the_other_model_can_write_is_lowered_to_it():
    world = World(usd="0.05", fallback=CHAIN)
    admission = await world.admit(chat(max_tokens=16_000))
    assert json.loads(admission.body)["max_tokens"] == 8_192
    assert admission.record.rungs == ("degrade m-mini",)
    assert admission.record.bound_nanodollars == nanodollars("0.008192")


@in_loop
async def test_the_other_model_is_asked_where_the_path_names_it():
    world = World(usd="0.02", fallback=CHAIN)
    path = "openai/deployments/m/chat/completions"
    admission = await world.admit(chat(), path=path)
    assert admission.path == "openai/deployments/m-mini/chat/completions"
    assert admission.call.model == "m-mini"
    assert (await world.admit(messages("m-mini", max_tokens=100), path="messages")).path is None


@in_loop
async def test_a_call_waits_for_room_before_it_is_made_with_another_model():
    world = World(usd="0.03", wait_seconds=10, fallback=CHAIN)
    first = await world.admit(chat())
    waiting = asyncio.create_task(world.admit(chat()))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    await world.settle(first, output_tokens=0)
    assert (await waiting).call.model == "m"


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_64_calls_at_once_never_pass_the_limit_whatever_models_they_end_with(store, tmp_path):
    async def main():
        store_of = {} if store == "memory" else {"store": SQLiteStore(tmp_path / "ledger.db")}
        world = World(usd="0.50", fallback=EARLY, **store_of)
        most = 0

        async def call():
            nonlocal most
            try:
                admission = await world.admit(chat())
            except BudgetExceeded:
                return None
            most = max(most, world.balance().spent + world.balance().reserved)
            await asyncio.sleep(0)
            await world.settle(admission, output_tokens=THREE_CENTS)
            return admission.call.model

        models = await asyncio.gather(*(call() for _ in range(64)))
        spent = world.balance().spent
        prices = {"m": "0.03", "m-mini": "0.003", "m-nano": "0.0003", None: "0"}
        assert spent == sum(nanodollars(prices[model]) for model in models)
        assert most <= nanodollars("0.50")
        assert world.balance().reserved == 0
        assert len(set(models) - {None}) > 1
        if store == "memory":  # Each hears of those before it; a call in the same batch cannot.
            assert (models.count("m"), models.count(None)) == (10, 0)
            assert set(models) == {"m", "m-mini", "m-nano"}
        assert world.store.verify() is None

    asyncio.run(main())


@in_loop
async def test_the_chain_is_gone_down_early_from_the_share_on_that_it_names():
    world = World(usd="1.00", fallback=EARLY)
    assert (await spend(world, 59_999, chat(max_tokens=59_999))).record.rungs is None
    assert (await spend(world, 10)).record.rungs is None  # 59.999 % were used before it.
    first = await spend(world, 10)
    assert first.record.rungs == ("degrade m-mini",)
    assert first.record.bound_nanodollars == nanodollars("0.00001")
    await spend(world, 200_000, chat("m-mini", max_tokens=200_000))
    assert (await spend(world, 10)).record.rungs == ("degrade m-nano",)
    assert (await spend(world, 10, chat("m-mini", max_tokens=10))).record.rungs == ("degrade m-nano",)


@in_loop
async def test_what_open_calls_hold_counts_for_the_share():
    world = World(usd="1.00", fallback=EARLY)
    first = await world.admit(chat(max_tokens=70_000))
    assert (await world.admit(chat())).call.model == "m-mini"
    await world.settle(first, output_tokens=0)
    assert (await world.admit(chat())).call.model == "m"


@in_loop
async def test_a_new_process_looks_once_at_what_was_spent_before_it():
    old = World(usd="1.00", fallback=EARLY)
    await spend(old, 70_000)
    new = World(usd="1.00", fallback=EARLY, store=old.store)
    asked = effects_of(new)
    assert (await new.admit(chat())).call.model == "m-mini"
    assert (await new.admit(chat())).call.model == "m-mini"
    assert asked == [Look, Reserve, Reserve]


@in_loop
async def test_the_share_is_of_the_limit_in_force():
    world = World(usd="1.00", fallback=EARLY)
    await spend(world, 70_000)
    world.ledger.do(TopUp(id="a", account=Account(str(RUN), "usd"), amount=nanodollars("9.00")))
    assert (await world.admit(chat())).call.model == "m-mini"  # Nobody here has heard of it yet.
    assert (await world.admit(chat())).call.model == "m"


@in_loop
async def test_the_share_of_a_window_begins_anew_with_it():
    clock = ManualClock("2026-03-01T23:00:00")
    day = Limit(meter="usd", amount=nanodollars("1.00"), window="day")
    world = World(limits=(day,), fallback=EARLY, clock=clock, store=MemoryStore(clock=clock))
    await spend(world, 90_000)
    assert (await world.admit(chat())).call.model == "m-nano"
    clock.advance(seconds=3_600)
    assert (await world.admit(chat())).call.model == "m"


@pytest.mark.parametrize("more", [{}, {"usd": "1.00"}], ids=["alone", "beside one that refuses"])
@in_loop
async def test_the_share_of_a_limit_that_only_tells_counts_too(more):
    soft = Limit(meter="usd", amount=nanodollars("0.10"), on_exceed="warn")
    world = World(limits=(soft,), fallback=EARLY, **more)
    await spend(world, 9_000)
    assert (await world.admit(chat())).call.model == "m-nano"


@in_loop
async def test_the_share_of_what_no_other_model_spares_counts_for_nothing():
    world = World(limits=(Limit(meter="calls", amount=3),), fallback=EARLY)
    for _ in range(3):
        assert (await spend(world, 1)).call.model == "m"


@in_loop
async def test_no_store_is_asked_for_a_model_that_no_fallback_names():
    world = World(usd="1.00", fallback=EARLY)
    asked = effects_of(world)
    await world.admit(chat("nobody-knows"))
    assert asked == [Reserve]


# Limits that only tell.


@pytest.mark.parametrize(("on_exceed", "level"), [("warn", logging.WARNING), ("log", logging.INFO)])
def test_a_limit_that_only_tells_refuses_nothing_and_tells_each_call_that_passes_it(on_exceed, level, caplog):
    caplog.set_level(logging.INFO, logger="solvent")

    async def main():
        soft = Limit(meter="usd", amount=nanodollars("0.05"), on_exceed=on_exceed, source="solvent.yaml:3")
        world = World(limits=(soft,))
        first = await spend(world, THREE_CENTS)
        assert (first.record.rungs, told(world)) == (None, [])
        second = await spend(world, THREE_CENTS)
        assert second.record.rungs == (f"{on_exceed} usd",)
        line = "run:test has $0.02 left of $0.05; this call needs up to $0.03."
        assert told(world) == [(on_exceed, line)]
        error = next(event.error for event in world.events if isinstance(event, LimitPassed))
        assert (error.spent, error.reserved, error.requested) == tuple(map(nanodollars, ("0.03", "0", "0.03")))
        assert error.source == "solvent.yaml:3"
        await spend(world, THREE_CENTS)
        assert len(told(world)) == 2
        assert (caplog.records[0].levelno, caplog.messages[0]) == (level, line)
        assert world.balance().spent == nanodollars("0.09")
        *_, entry = world.store.entries()
        assert entry.call.rungs == (f"{on_exceed} usd",)

    asyncio.run(main())


@in_loop
async def test_a_limit_that_only_tells_counts_what_earlier_calls_used():
    world = World(limits=(Limit(meter="output_tokens", amount=100, on_exceed="warn"),))
    for count in (0, 0, 1):
        await spend(world, 50)
        assert len(told(world)) == count


@in_loop
async def test_a_limit_that_only_tells_needs_to_know_nothing():
    world = World(limits=(Limit(meter="usd", amount=0, on_exceed="warn"),))
    await world.settle(await world.admit(chat("no-such-model")))
    assert told(world) == []


@in_loop
async def test_one_account_may_have_a_limit_that_tells_below_one_that_refuses():
    soft = Limit(meter="usd", amount=nanodollars("0.03"), on_exceed="warn")
    world = World(usd="0.06", limits=(soft,))
    await spend(world, THREE_CENTS)
    assert told(world) == []
    await spend(world, THREE_CENTS)
    assert len(told(world)) == 1
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())


@in_loop
async def test_a_limit_of_the_single_call_may_only_tell_too():
    soft = Limit(meter="usd", amount=nanodollars("0.02"), on_exceed="warn")
    world = World(call=(soft,))
    await spend(world, 2_000)
    assert told(world) == []
    await spend(world, 2_001)
    assert told(world) == [("warn", "a call may need up to $0.02; this call needs up to $0.0200.")]


@in_loop
async def test_a_top_up_raises_a_limit_that_only_tells():
    soft = Limit(meter="calls", amount=1, on_exceed="warn")
    world = World(limits=(soft,))
    world.ledger.do(TopUp(id="a", account=Account(str(RUN), "calls"), amount=1))
    for count in (0, 0, 1):
        await spend(world, 1)
        assert len(told(world)) == count
