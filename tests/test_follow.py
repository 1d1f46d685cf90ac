"""
Another policy, put in force while calls are made: each call is decided about, and booked, by one of them.
"""

import asyncio
from functools import wraps

import pytest
from clocks import ManualClock
from guard_world import PRICES, RUN, World, chat

from solvent._amounts import nanodollars
from solvent._limits import Limit, Scope
from solvent.errors import BudgetExceeded, DeadlinePassed, LoopDetected, PriceUnknown
from solvent.policy import LoopRule, Policy
from solvent.prices import UserPrice

CENT = 10_000_000


def in_loop(test):
    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


def policy(*limits, **more):
    return Policy(
        **{"budgets": tuple(("run:*", limit) for limit in limits), "prices": PRICES, "wait_seconds": 0, **more}
    )


def limit(meter, amount, **more):
    return Limit(meter=meter, amount=amount, **more)


@in_loop
async def test_the_next_calls_are_held_to_the_other_policy_and_what_was_spent_counts():
    world = World()
    world.guard.limits.follow(policy(limit("calls", 2)))
    await world.settle(await world.admit(chat()))
    world.guard.limits.follow(policy(limit("calls", 1)))
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat())
    assert (refused.value.limit, refused.value.spent) == (1, 1)
    world.guard.limits.follow(policy(limit("calls", 2)))
    await world.settle(await world.admit(chat()))
    world.guard.limits.follow(Policy())
    assert world.guard.policy == Policy()
    await world.settle(await world.admit(chat("nobody-at-all")))


@in_loop
async def test_what_code_put_in_force_stays():
    world = World(limits=[limit("calls", 1)])
    world.guard.limits.follow(policy(limit("calls", 5)))
    await world.settle(await world.admit(chat()))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())


@in_loop
async def test_a_call_under_way_is_booked_at_the_price_that_it_was_admitted_at():
    world = World()
    world.guard.limits.follow(policy())
    first = await world.admit(chat())
    dearer = UserPrice.per_million_tokens(input="0", output="30", output_tokens_max=16_384, input_tokens_max=100_000)
    world.guard.limits.follow(policy(prices={"m": dearer, "m-2026": dearer}))
    second = await world.admit(chat())
    assert (first.bound.nanodollars, second.bound.nanodollars) == (3 * CENT, 9 * CENT)
    assert (await world.settle(first, output_tokens=1_000)).cost_nanodollars == CENT
    assert (await world.settle(second, output_tokens=1_000)).cost_nanodollars == 3 * CENT


@in_loop
async def test_a_model_that_the_reply_names_is_priced_by_the_policy_of_the_call():
    world = World()
    world.guard.limits.follow(policy(prices={"m-2026": PRICES["m-mini"]}))
    first = await world.admit(chat("gpt-4o"))
    world.guard.limits.follow(policy(prices={"m-2026": PRICES["m"]}))
    assert (await world.settle(first, output_tokens=1_000, model="m-2026")).cost_nanodollars == CENT // 10


@in_loop
async def test_a_call_that_waits_is_decided_by_the_policy_that_it_began_under():
    world = World()
    world.guard.limits.follow(policy(limit("parallel", 1), wait_seconds=30))
    first = await world.admit(chat())
    waiting = asyncio.create_task(world.admit(chat("m-mini")))
    await asyncio.sleep(0)
    # Under this one it would find neither its price nor any room, and would not wait.
    world.guard.limits.follow(policy(limit("usd", 0), limit("calls", 0), prices={}, wait_seconds=0))
    await world.settle(first)
    admission = await asyncio.wait_for(waiting, 10)
    assert admission.rules.policy.wait_seconds == 30
    assert admission.bound.price.source == PRICES["m-mini"].source
    with pytest.raises((BudgetExceeded, PriceUnknown)):
        await world.admit(chat())


@in_loop
async def test_the_time_of_a_scope_goes_on_under_another_policy():
    clock = ManualClock()
    world = World(clock=clock)
    world.guard.limits.follow(policy(limit("seconds", 60)))
    opening = Scope.parse("run:opened")
    world.guard.open(opening, ())
    for scope in (RUN, opening):
        await world.settle(await world.admit(chat(), scope=scope))
    clock.advance(seconds=50)
    world.guard.limits.follow(policy(limit("seconds", 55)))
    for scope in (RUN, opening):
        await world.settle(await world.admit(chat(), scope=scope))
    clock.advance(seconds=6)
    for scope in (RUN, opening):
        with pytest.raises(DeadlinePassed):
            await world.admit(chat(), scope=scope)


@in_loop
async def test_requests_of_before_count_for_loops_unless_the_numbers_changed():
    world = World()

    async def again(times):
        for _ in range(times):
            await world.settle(await world.admit(chat(), fingerprint=b"same"))

    def rule(on_exceed, same_call=2):
        return policy(loops=LoopRule(same_call=same_call, on_exceed=on_exceed))

    world.guard.limits.follow(rule("warn"))
    await again(2)
    world.guard.limits.follow(rule("block"))
    with pytest.raises(LoopDetected):
        await again(1)
    world.guard.limits.follow(rule("block", same_call=3))
    await again(3)
    with pytest.raises(LoopDetected):
        await again(1)
    world.guard.limits.follow(policy())
    await again(5)


@in_loop
async def test_what_the_ladder_may_do_is_the_other_policys_word():
    world = World()
    world.guard.limits.follow(policy(limit("usd", 2 * CENT), shrink_tokens_min=1))
    shrunk = await world.admit(chat(max_tokens=None))
    assert shrunk.record.rungs[0].startswith("shrink")
    await world.settle(shrunk)
    world.guard.limits.follow(policy(limit("usd", 2 * CENT), shrink_tokens_min=0))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat(max_tokens=None))
    world.guard.limits.follow(policy(call=(limit("usd", CENT),)))
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat())
    assert refused.value.limit == nanodollars("0.01")
