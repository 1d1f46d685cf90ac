"""
Alerts: once for each share of a limit, by whoever takes it there, and in nobody's way.
"""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
from clocks import ManualClock
from guard_world import RUN, THREE_CENTS, World, chat
from test_guard import DOWN, FailingStore, in_loop
from test_guard_sync import admit, settle

from solvent._amounts import nanodollars
from solvent._booking import NotSent
from solvent._limits import Limit, Scope
from solvent._operations import SetLimit, Settle, TopUp
from solvent._records import Account
from solvent.errors import BudgetExceeded
from solvent.events import CallClosed, ShareReached
from solvent.policy._alert import Alert
from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore

CENT = 1_000  # Output tokens of "m".
USD = Account(str(RUN), "usd")


def at(*percent):
    return Alert(at=tuple(Fraction(each, 100) for each in percent))


def shares(world, scope=str(RUN)):
    found = [event for event in world.events if isinstance(event, ShareReached) and event.scope == scope]
    return [(event.share * 100, event.by) for event in found]


def limit(amount, **more):
    return Limit(meter="usd", amount=nanodollars(amount), source="solvent.yaml:7", **more)


async def spend(world, cents, **more):
    admission = await world.admit(chat(max_tokens=max(cents, 1) * CENT), **more)
    return await world.settle(admission, output_tokens=cents * CENT)


def a_store(kind, tmp_path, **more):
    return MemoryStore(**more) if kind == "memory" else SQLiteStore(tmp_path / "ledger.db", **more)


each_store = pytest.mark.parametrize("kind", ["memory", "sqlite"])


@each_store
@in_loop
async def test_a_share_is_told_by_the_settlement_that_reaches_it(kind, tmp_path):
    world = World(usd="1.00", alert=at(50, 80), store=a_store(kind, tmp_path))
    told = []
    for _ in range(10):
        await spend(world, 10)
        told.append(shares(world))
    half, most = (50, "settled"), (80, "settled")
    assert told == [[]] * 4 + [[half]] * 3 + [[half, most]] * 3


@each_store
@in_loop
async def test_what_another_guard_of_the_ledger_has_told_is_not_told_again(kind, tmp_path):
    first = World(usd="1.00", alert=at(50, 80), store=a_store(kind, tmp_path))
    second = World(usd="1.00", alert=at(50, 80), store=a_store(kind, tmp_path) if kind == "sqlite" else first.store)
    for world in (first, second, first, second):
        await spend(world, 25)
    assert (shares(first), shares(second)) == ([], [(50, "settled"), (80, "settled")])


@in_loop
async def test_an_alert_says_whose_limit_it_is_what_is_spent_and_how_to_go_on(caplog):
    caplog.set_level(logging.WARNING, "solvent")
    world = World(usd="2.00", alert=at(80))
    admission = await world.admit(chat())
    await spend(world, 161)
    event, _ = [event for event in world.events if isinstance(event, ShareReached | CallClosed)][::-1]
    assert (event.scope, event.meter, event.window, event.share) == ("run:test", "usd", "", Fraction(4, 5))
    assert (event.limit, event.spent, event.reserved) == tuple(map(nanodollars, ("2.00", "1.61", "0.03")))
    assert (event.source, event.resets_at) == ("--usd", None)
    assert event.id != admission.id
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "run:test has used 80 % of $2.00: $1.61 spent, $0.03 reserved.\n"  #
        "To go on: raise the limit (--usd)."
    )


@in_loop
async def test_an_alert_comes_after_the_call_is_booked_and_closed():
    world = World(usd="1.00", alert=at(50))
    seen = []
    world.guard.listeners.add(lambda event: seen.append((type(event).__name__, world.balance().spent)))
    await spend(world, 60)
    assert seen[1:] == [("CallClosed", nanodollars("0.60")), ("ShareReached", nanodollars("0.60"))]


@in_loop
async def test_shares_that_one_call_passes_together_are_told_each_the_smallest_first():
    world = World(usd="1.00", alert=at(50, 80, 100))
    await spend(world, 100)
    assert shares(world) == [(50, "settled"), (80, "settled"), (100, "settled")]


@in_loop
async def test_every_limit_on_the_path_has_shares_of_its_own():
    world = World(usd="1.00", alert=at(50), budgets=(("agent:*", limit("0.10")),))
    await spend(world, 5, scope=RUN.child("agent", "a"))
    await spend(world, 45)
    assert shares(world, "run:test/agent:a") == [(50, "settled")]
    assert shares(world) == [(50, "settled")]


@in_loop
async def test_counts_are_told_as_money_is():
    world = World(alert=at(100), limits=(Limit(meter="calls", amount=3, source="--calls"),))
    for _ in range(3):
        await spend(world, 1)
    (event,) = [event for event in world.events if isinstance(event, ShareReached)]
    assert event.headline() == "run:test has used 100 % of 3 calls: 3 calls spent, 0 calls reserved."


@in_loop
async def test_a_limit_that_only_tells_has_shares_too():
    world = World(alert=at(50, 100), budgets=(("run:*", limit("0.10", on_exceed="warn")),))
    for _ in range(3):
        await spend(world, 6)
    assert shares(world) == [(50, "settled"), (100, "settled")]


@in_loop
async def test_limits_that_refuse_and_that_tell_on_one_account_are_told_each():
    budgets = (("run:*", limit("1.00")), ("run:*", limit("0.50", on_exceed="log")))
    world = World(alert=at(50), budgets=budgets)
    for _ in range(5):
        await spend(world, 10)
    events = [event for event in world.events if isinstance(event, ShareReached)]
    assert [(event.limit, event.spent) for event in events] == [
        (nanodollars("0.50"), nanodollars("0.30")),
        (nanodollars("1.00"), nanodollars("0.50")),
    ]


@in_loop
async def test_without_shares_nobody_is_told():
    world = World(usd="0.10")
    await spend(world, 10)
    with pytest.raises(BudgetExceeded):
        await spend(world, 1)
    assert shares(world) == []


@in_loop
async def test_code_has_shares_for_the_limits_of_its_own_scope():
    world = World(usd="1.00", alert=at(80))
    inner = RUN.child("step", "inner")
    opening = world.guard.open(inner, (limit("0.10"),), alert=(Fraction(1, 2),))
    await spend(world, 5, scope=inner)
    assert shares(world, str(inner)) == [(50, "settled")]
    world.guard.close(inner, opening)
    await spend(world, 75)
    assert shares(world) == [(80, "settled")]


@in_loop
async def test_what_is_refused_for_the_limit_is_spent_counts_as_all_of_it_once():
    world = World(usd="1.00", alert=at(80, 100))
    for _ in range(33):
        await spend(world, 3)
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            await world.admit(chat())
    *_, event = [event for event in world.events if isinstance(event, ShareReached)]
    assert shares(world) == [(80, "settled"), (100, "refused")]
    assert event.spent == nanodollars("0.99")
    assert event.headline() == (
        "run:test has used up $1.00: $0.99 spent, $0.00 reserved, and a call that did not fit was refused."
    )


@in_loop
async def test_a_call_that_fits_into_no_limit_or_is_only_held_uses_up_none():
    world = World(usd="0.05", alert=at(100))
    with pytest.raises(BudgetExceeded):
        await world.admit(chat(max_tokens=6 * CENT))
    admission = await world.admit(chat())
    with pytest.raises(BudgetExceeded) as refused:
        await world.admit(chat())
    assert refused.value.held
    await world.settle(admission)
    assert shares(world) == []


@in_loop
async def test_a_refusal_after_the_last_cent_is_told_no_second_time():
    world = World(usd="0.03", alert=at(100))
    await spend(world, 3)
    with pytest.raises(BudgetExceeded):
        await world.admit(chat())
    assert shares(world) == [(100, "settled")]


@each_store
@in_loop
async def test_what_expires_reaches_a_share_too(kind, tmp_path):
    clock = ManualClock()
    world = World(usd="0.10", alert=at(50), store=a_store(kind, tmp_path, clock=clock))
    admission = await world.admit(chat(max_tokens=6 * CENT))
    clock.advance(seconds=121)
    world.ledger.expire()
    (event,) = [event for event in world.events if isinstance(event, ShareReached)]
    assert (event.id, event.by, event.spent) == (admission.id, "expired", nanodollars("0.06"))
    assert event.headline() == (
        "run:test has used 50 % of $0.10: $0.06 spent, $0.00 reserved; a call that nobody closed was charged in full."
    )


@in_loop
async def test_what_had_expired_before_there_was_a_guard_is_told_by_the_first():
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    first = World(alert=at(50), budgets=(("run:*", limit("0.10")),), store=store)
    await first.admit(chat(max_tokens=6 * CENT))
    clock.advance(seconds=121)
    second = World(alert=at(50), budgets=(("run:*", limit("0.10")),), store=store)
    assert (shares(first), shares(second)) == ([], [(50, "expired")])


@in_loop
async def test_a_truth_that_comes_late_is_told_when_it_reaches_a_share_and_not_twice():
    clock = ManualClock()
    world = World(usd="0.10", alert=at(50, 80), store=MemoryStore(clock=clock))
    admission = await world.admit(chat(max_tokens=6 * CENT))
    clock.advance(seconds=121)
    world.ledger.expire()
    await world.settle(admission, output_tokens=4 * CENT)
    assert world.balance().spent == nanodollars("0.04")
    await spend(world, 4)
    assert shares(world) == [(50, "expired"), (80, "settled")]


@in_loop
async def test_what_the_ledger_takes_late_is_told_late():
    store = FailingStore((Settle,), DOWN)
    world = World(usd="0.10", alert=at(50), store=store)
    await spend(world, 6)
    assert shares(world) == []
    store.times = 0
    await world.guard.adrain()
    assert shares(world) == [(50, "settled")]


@in_loop
async def test_an_overrun_reaches_what_it_passes():
    world = World(usd="0.05", alert=at(50, 100))
    await world.settle(await world.admit(chat()), output_tokens=9 * CENT)
    assert shares(world) == [(50, "settled"), (100, "settled")]


@in_loop
async def test_what_is_reserved_and_given_back_reaches_nothing():
    world = World(usd="0.03", alert=at(50, 100))
    await world.guard.asettle(await world.admit(chat()), NotSent(reason="refused"))
    await world.settle(await world.admit(chat()))
    assert shares(world) == []


@in_loop
async def test_a_limit_that_is_raised_may_be_reached_again():
    world = World(usd="0.10", alert=at(80))
    await spend(world, 8)
    world.store.apply([TopUp(id="a", account=USD, amount=nanodollars("0.10"))])
    await spend(world, 8)
    first, second = [event for event in world.events if isinstance(event, ShareReached)]
    assert (first.limit, second.limit) == (nanodollars("0.10"), nanodollars("0.20"))
    assert first.alert_id != second.alert_id


@in_loop
async def test_a_limit_that_was_set_in_the_ledger_is_named():
    world = World(usd="1.00", alert=at(50))
    world.store.apply([SetLimit(id="a", account=USD, limit=nanodollars("0.10"))])
    await spend(world, 5)
    (event,) = [event for event in world.events if isinstance(event, ShareReached)]
    assert (event.limit, event.source) == (nanodollars("0.10"), "solvent ledger set-limit")


@in_loop
async def test_each_window_is_told_anew():
    clock = ManualClock("2026-03-01T12:00:00")
    world = World(
        alert=at(50), budgets=(("run:*", limit("0.10", window="day")),), store=MemoryStore(clock=clock), clock=clock
    )
    await spend(world, 6)
    clock.advance(seconds=86_400)
    await spend(world, 6)
    first, second = [event for event in world.events if isinstance(event, ShareReached)]
    assert first.alert_id != second.alert_id
    assert f"{second.resets_at:%Y-%m-%d %H:%M %Z}" == "2026-03-03 00:00 UTC"
    assert second.message() == (
        "run:test has used 50 % of $0.10 per day: $0.06 spent, $0.00 reserved.\n"
        "To go on: raise the limit (solvent.yaml:7), or wait for the reset, 2026-03-03 00:00 UTC."
    )


@in_loop
async def test_what_is_booked_into_a_window_that_is_over_reaches_nothing_now():
    clock = ManualClock("2026-03-01T23:59:00")
    world = World(
        alert=at(50), budgets=(("run:*", limit("0.10", window="day")),), store=MemoryStore(clock=clock), clock=clock
    )
    admission = await world.admit(chat(max_tokens=6 * CENT))
    clock.advance(seconds=61)
    await world.settle(admission, output_tokens=6 * CENT)
    assert shares(world) == []


@in_loop
async def test_a_rolling_minute_that_stays_near_a_share_is_told_once_a_minute():
    clock = ManualClock("2026-03-01T12:00:00")
    world = World(
        alert=at(50), budgets=(("run:*", limit("0.10", window="minute")),), store=MemoryStore(clock=clock), clock=clock
    )
    for _ in range(6):  # Every 20 seconds a cent, so that three or four count, and one more comes and goes.
        await spend(world, 2)
        clock.advance(seconds=20)
    told = len(shares(world))
    assert 1 <= told <= 2


@in_loop
async def test_two_ledgers_have_ids_of_their_own():
    ids = set()
    for _ in range(2):
        world = World(usd="0.10", alert=at(50))
        await spend(world, 5)
        ids |= {event.alert_id for event in world.events if isinstance(event, ShareReached)}
    assert len(ids) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching")
@each_store
def test_64_threads_tell_each_share_once(kind, tmp_path):
    world = World(usd="1.00", alert=at(50, 80, 100), store=a_store(kind, tmp_path))
    together = threading.Barrier(64)

    def work(_):
        together.wait()
        try:
            settle(world, admit(world), output_tokens=THREE_CENTS)
        except BudgetExceeded:
            return

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(work, range(64)))
    with pytest.raises(BudgetExceeded):
        admit(world)
    assert sorted(shares(world)) == [(50, "settled"), (80, "settled"), (100, "refused")]


@each_store
@in_loop
async def test_64_tasks_tell_each_share_once(kind, tmp_path):
    world = World(usd="2.00", alert=at(50, 80), store=a_store(kind, tmp_path))
    await asyncio.gather(*(spend(world, 3) for _ in range(64)))
    assert shares(world) == [(50, "settled"), (80, "settled")]


def test_an_alert_says_a_share_that_is_no_whole_percent():
    world = World(usd="0.08", alert=Alert(at=(Fraction(1, 8),)))
    settle(world, admit(world), output_tokens=CENT)
    (event,) = [event for event in world.events if isinstance(event, ShareReached)]
    assert event.headline() == "run:test has used 12.5 % of $0.08: $0.01 spent, $0.00 reserved."


def test_a_listener_in_the_calls_own_way_may_ask_what_is_left_and_make_a_call():
    world = World(usd="1.00", alert=at(50))
    heard = []

    def hear(event):
        if isinstance(event, ShareReached):
            heard.append(world.balance().spent)
            settle(world, admit(world), output_tokens=CENT)

    world.guard.listeners.add(hear)
    settle(world, admit(world, chat(max_tokens=60 * CENT)), output_tokens=50 * CENT)
    assert heard == [nanodollars("0.50")]
    assert world.balance().spent == nanodollars("0.51")


def test_shares_of_a_scope_are_all_that_policy_and_code_want():
    world = World(alert=at(80))
    world.guard.open(RUN, (), alert=(Fraction(1, 2), Fraction(4, 5)))
    rules = world.guard.limits.rules(Scope.parse("run:test/step:a"))
    assert rules.shares == {
        "run:test": (Fraction(1, 2), Fraction(4, 5)),
        "run:test/step:a": (Fraction(4, 5),),
    }
