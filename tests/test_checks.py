"""
What is checked before a call and has no account: loops, depth, deadlines.
"""

import asyncio
from functools import wraps

import pytest
from clocks import ManualClock
from guard_world import RUN, World, chat, told
from msgspec.structs import replace

from solvent._booking import Replied
from solvent._limits import Limit, Scope
from solvent.errors import BudgetExceeded, DeadlinePassed, LoopDetected
from solvent.events import CallRefused
from solvent.policy import LoopRule
from solvent.wire._call import Reading


def in_loop(test):
    @wraps(test)
    def run(*args, **kwargs):
        asyncio.run(test(*args, **kwargs))

    return run


LOOP = LoopRule(same_call=3, within_seconds=60, on_exceed="block", source="solvent.yaml:9")


async def ask(world, letter, **more):
    return await world.settle(await world.admit(chat(), fingerprint=letter.encode(), **more))


async def ask_all(world, letters):
    for letter in letters:
        await ask(world, letter)


@in_loop
async def test_the_same_request_more_than_so_often_is_a_loop():
    clock = ManualClock()
    world = World(loops=LOOP, clock=clock)
    await ask_all(world, "aaa")
    with pytest.raises(LoopDetected) as refused:
        await ask(world, "a")
    error = refused.value
    assert str(error).startswith("run:test makes the same request 4 times within 1 min; 3 are allowed.\n")
    assert (error.cycle, error.fingerprint) == (1, next(iter(world.store.entries())).call.fingerprint)
    assert "raise same_call (solvent.yaml:9)" in str(error)
    *_, entry = world.store.entries()
    assert (entry.kind, entry.call.status, entry.postings) == ("refuse", "loop_detected", ())
    await ask(world, "b")
    clock.advance(seconds=30)
    for _ in range(3):
        with pytest.raises(LoopDetected):
            await ask(world, "a")
    clock.advance(seconds=31)
    await ask(world, "a")  # What was refused does not count.


@pytest.mark.parametrize(("before", "last", "cycle"), [("ababab", "a", 2), ("abcabc", "a", 3), ("xababab", "a", 2)])
@in_loop
async def test_the_same_requests_in_turn_are_a_loop(before, last, cycle):
    world = World(loops=LoopRule(same_call=6, on_exceed="block"))
    await ask_all(world, before)
    with pytest.raises(LoopDetected, match=f"the same {cycle} requests in turn, 7 calls within") as refused:
        await ask(world, last)
    assert refused.value.cycle == len(set(refused.value.fingerprints)) == cycle
    assert refused.value.fingerprints[0] == refused.value.fingerprint
    assert len(refused.value.seconds_ago) == 6


@pytest.mark.parametrize(
    ("same_call", "letters"), [(5, "abacab"), (5, "abcacbabc"), (5, "abcdabcd"), (5, "aabbcc"), (1, "abcd")]
)
@in_loop
async def test_what_goes_round_in_no_cycle_is_no_loop(same_call, letters):
    await ask_all(World(loops=LoopRule(same_call=same_call, on_exceed="block")), letters)


@in_loop
async def test_a_cycle_that_takes_longer_than_the_time_is_no_loop():
    clock = ManualClock()
    world = World(loops=LoopRule(same_call=5, on_exceed="block"), clock=clock)
    for letter in "abababababab":
        await ask(world, letter)
        clock.advance(seconds=13)


@in_loop
async def test_retries_are_no_loop():
    world = World(loops=LOOP)
    for attempt in range(10):
        admission = await world.admit(chat(), fingerprint=b"same")
        assert admission.record.attempt == attempt
        await world.guard.asettle(admission, Replied(status=529, reading=Reading(error="overloaded")))
    for _ in range(10):  # By the client's own count.
        await world.settle(await world.admit(replace(chat(), retry=1), fingerprint=b"other"))


@in_loop
async def test_a_loop_only_tells_unless_the_policy_says_otherwise():
    world = World(loops=LoopRule(same_call=3))
    for letter in "aaaaab":
        await ask(world, letter)
    line = "run:test makes the same request 4 times within 1 min; 3 are allowed."
    assert told(world) == [("warn", line)] * 2
    rungs = [entry.call.rungs for entry in world.store.entries() if entry.kind == "settle"]
    assert rungs == [None] * 3 + [("warn same_call",)] * 2 + [None]


@in_loop
async def test_loops_are_those_of_one_scope():
    world = World(loops=LOOP)
    for name in range(10):
        await ask(world, "a", scope=Scope.parse(f"run:test/agent:{name}"))


# Depth.


@pytest.mark.parametrize(
    ("path", "depth"),
    [("", 0), ("/agent:a", 1), ("/agent:a/step:b/agent:c", 3)],
)
@in_loop
async def test_agents_and_steps_nest_as_deep_as_the_limit_allows(path, depth):
    scope = Scope.parse(f"run:test{path}")
    await World(limits=(Limit(meter="depth", amount=depth),)).admit(chat(), scope=scope)
    if depth:
        world = World(limits=(Limit(meter="depth", amount=depth - 1, source="solvent.yaml:2"),))
        with pytest.raises(BudgetExceeded) as refused:
            await world.admit(chat(), scope=scope)
        assert str(refused.value) == (
            f"run:test nests agents and steps {depth - 1} deep at most; this would be {depth} deep.\n"
            "To go on: raise the limit (solvent.yaml:2)."
        )
        assert world.kinds() == ["refuse"]


@in_loop
async def test_depth_counts_from_the_scope_that_the_limit_is_for():
    limit = Limit(meter="depth", amount=1)
    world = World(budgets=(("agent:a", limit),))
    await world.admit(chat(), scope=Scope.parse("run:test/step:x/step:y/agent:a/step:b"))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat(), scope=Scope.parse("run:test/agent:a/step:b/step:c"))


# Deadlines.


def timed(seconds, *, on_exceed="block", **more):
    clock = ManualClock()
    limit = Limit(meter="seconds", amount=seconds, on_exceed=on_exceed, source="solvent.yaml:5")
    return World(limits=(limit,), clock=clock, **more), clock


@in_loop
async def test_the_call_after_a_deadline_is_refused():
    world, clock = timed(60)
    clock.advance(seconds=59)
    admission = await world.admit(chat())
    assert 0.9 < admission.deadline.seconds_left <= 1
    assert admission.deadline.error.ended
    clock.advance(seconds=1)
    with pytest.raises(DeadlinePassed) as refused:
        await world.admit(chat())
    assert str(refused.value) == (
        "run:test had 1 min and they are over; no call is started.\nTo go on: allow more time (solvent.yaml:5)."
    )
    refusal = next(event for event in world.events if isinstance(event, CallRefused))
    assert (refusal.call.status, refusal.is_final) == ("deadline_passed", True)
    *_, entry = world.store.entries()
    assert (entry.kind, entry.postings) == ("refuse", ())


@in_loop
async def test_time_counts_from_each_opening_of_a_scope():
    world, clock = timed(60)
    clock.advance(seconds=61)
    [(_, before)] = world.guard.limits.openings(RUN)
    world.guard.close(RUN, before)
    opening = world.guard.open(RUN, within(60))
    assert (await world.admit(chat())).deadline.seconds_left > 59
    world.guard.close(RUN, opening)
    assert (await world.admit(chat())).deadline is None


def within(seconds):
    return (Limit(meter="seconds", amount=seconds, source=f"{seconds} s"),)


@in_loop
async def test_of_openings_at_once_the_deadline_that_comes_first_holds():
    clock = ManualClock()
    world = World(budgets=(("run:*", within(100)[0]),), clock=clock)

    async def deadline():
        found = (await world.admit(chat())).deadline
        return round(found.seconds_left), found.error.limit

    clock.advance(seconds=20)  # Since the world opened it.
    world.guard.open(RUN, within(500))
    assert await deadline() == (
        80,
        100,
    )  # The policy's time counts from the first of them, and each one's own from itself.
    long = world.guard.open(RUN, within(70))
    assert await deadline() == (70, 70)
    clock.advance(seconds=5)
    short = world.guard.open(RUN, within(67))
    assert await deadline() == (65, 70)
    world.guard.close(RUN, long)
    assert await deadline() == (67, 67)
    world.guard.close(RUN, short)
    assert await deadline() == (75, 100)


@in_loop
async def test_a_longer_time_that_is_given_later_ends_no_call_sooner_and_prolongs_none():
    world, clock = timed(60)
    clock.advance(seconds=59)
    longer = world.guard.open(RUN, within(600))
    assert (await world.admit(chat())).deadline.seconds_left <= 1
    clock.advance(seconds=1)
    with pytest.raises(DeadlinePassed):
        await world.admit(chat())
    assert [round(opened.seconds) for opened in world.guard.in_force(RUN).openings] == [60, 1]
    world.guard.close(RUN, longer)


@in_loop
async def test_the_time_of_a_scope_that_nobody_opens_begins_with_its_first_call():
    clock = ManualClock()
    world = World(budgets=(("agent:a", Limit(meter="seconds", amount=60)),), clock=clock)
    scope = Scope.parse("run:test/agent:a")
    clock.advance(seconds=1_000)
    await world.admit(chat(), scope=scope)
    clock.advance(seconds=60)
    with pytest.raises(DeadlinePassed):
        await world.admit(chat(), scope=scope)
    await world.admit(chat())


@in_loop
async def test_the_first_deadline_on_a_path_counts():
    budgets = tuple((f"agent:{seconds}", Limit(meter="seconds", amount=seconds)) for seconds in (60, 20, 40))
    world = World(budgets=budgets, clock=ManualClock())
    admission = await world.admit(chat(), scope=Scope.parse("run:test/agent:60/agent:20/agent:40"))
    assert admission.deadline.error.limit == 20


@in_loop
async def test_a_call_waits_for_room_no_longer_than_its_deadline():
    world, clock = timed(60, usd="0.03", wait_seconds=60)
    await world.admit(chat())
    clock.advance(seconds=59.95)
    with pytest.raises(DeadlinePassed, match="no call is started"):
        await asyncio.wait_for(world.admit(chat()), 5)


@in_loop
async def test_a_deadline_that_only_tells_ends_nothing():
    world, clock = timed(60, on_exceed="log")
    assert (await world.admit(chat())).deadline is None
    clock.advance(seconds=60)
    admission = await world.admit(chat())
    assert (admission.deadline, admission.record.rungs) == (None, ("log seconds",))
    assert told(world) == [("log", "run:test had 1 min and they are over; no call is started.")]
