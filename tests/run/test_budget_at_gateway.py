"""
A budget that is opened inside a run: at the run's gateway, and with the run's limits around it in this process as well.

The gateway serves in the event loop of the test, so a budget that kept the loop waiting would never be opened.
"""

import asyncio
import contextvars
import gc
import threading
from contextlib import asynccontextmanager
from fractions import Fraction

import httpx2
import pytest
from guard_world import chat
from msgspec.structs import replace

import solvent
from solvent._guard import Guard
from solvent._limits import Limit, Scope
from solvent._place import current_place, steps_below_run
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, DeadlinePassed, PriceUnknown, SettingsError
from solvent.events import ContextLost
from solvent.gateway._app import Gateway
from solvent.gateway._server import Server, bind_loopback
from solvent.policy import Policy
from solvent.policy._fallback import Fallback
from solvent.prices import PriceAs, UserPrice
from solvent.stores import open_store
from solvent.stores._batcher import Ledger

RUN = Scope.parse("run:outer")
PRICES = {"m": UserPrice.per_million_tokens(input="0", output="10"), "alias": PriceAs(model="m")}
STEP_DOWN = Fallback(model="m", to="alias", at=Fraction(4, 5))


@asynccontextmanager
async def run(folder, *limits, scope=RUN, seconds=0, **policy):
    """
    The gateway of a run; yields its guard.
    """
    ledger = Ledger(open_store(f"sqlite:///{folder}/ledger.db"))
    guard = Guard(ledger, policy=Policy(prices=PRICES, wait_seconds=0, **policy))
    guard.open(scope, limits, seconds=seconds)
    listening = bind_loopback()
    server = Server(Gateway(guard=guard, upstreams={}, keys={}, routes={"secret": scope}), listening)
    await server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOLVENT_GATEWAY", f"http://127.0.0.1:{server.port}/secret")
        try:
            yield guard
        finally:
            await asyncio.to_thread(PROCESS.close)
            await server.stop()
            ledger.close()


def limit(meter, amount):
    return Limit(meter=meter, amount=amount, source="--flag")


async def spend(model="m"):
    """
    A call of a cent that does not pass the gateway, as a hook admits it; never sent.
    """
    place = await asyncio.to_thread(current_place)
    await place.runtime.guard.aadmit(
        chat(model=model, max_tokens=1_000), scope=place.scope, fingerprint=b"", began=0.0, wait_seconds=0
    )
    return str(place.scope)


def play(scene):
    asyncio.run(asyncio.wait_for(scene, 60))


def test_it_is_opened_at_the_gateway_with_all_that_it_says(tmp_path):
    async def scene():
        async with run(tmp_path) as guard:
            budget = solvent.budget("triage", usd="0.50", calls=3, fallback=["m", "alias"], wait="5s")
            async with budget:
                rules = guard.limits.rules(budget.scope)
            assert str(budget.scope).startswith("run:outer/step:triage-")
            assert rules.blocking == tuple((str(budget.scope), one) for one in budget.limits)
            assert (rules.wait_seconds, rules.fallback["m"].to) == (5, "alias")
            assert await asyncio.to_thread(budget.remaining) == 500_000_000

    play(scene())


def test_this_process_learns_what_is_in_force(tmp_path):
    async def scene():
        policy = {"budgets": (("run:*", limit("usd", 5)),), "fallback": (STEP_DOWN,), "loops": None}
        async with run(tmp_path, limit("calls", 3), **policy) as guard:
            runtime = await asyncio.to_thread(PROCESS.runtime)
            assert runtime.scope == RUN
            assert runtime.guard.policy == guard.policy
            here, there = [replace(one.limits.rules(RUN), prices=None) for one in (runtime.guard, guard)]
            assert here == there
            assert runtime.ledger.store.url == f"sqlite:///{tmp_path}/ledger.db"

    play(scene())


def test_what_does_not_pass_the_gateway_is_held_to_the_run_and_to_the_budget(tmp_path):
    async def scene():
        async with run(tmp_path, limit("calls", 3)):
            async with solvent.budget("triage", calls=2) as budget:
                assert [await spend(), await spend()] == [str(budget.scope)] * 2
                with pytest.raises(BudgetExceeded, match=r"raise the limit \(budget\('triage'\)\)"):
                    await spend()
            assert await spend() == "run:outer"
            with pytest.raises(BudgetExceeded, match=r"raise the limit \(--flag\)"):
                await spend()

    play(scene())


def test_the_runs_own_prices_are_known_here(tmp_path):
    async def scene():
        async with run(tmp_path, limit("usd", 15_000_000)):
            with pytest.raises(PriceUnknown):
                await spend("unheard-of")
            await spend("alias")
            with pytest.raises(BudgetExceeded):
                await spend("m")

    play(scene())


def test_the_time_of_a_run_began_when_the_run_did(tmp_path):
    async def scene():
        async with run(tmp_path, limit("seconds", 60), seconds=61):
            with pytest.raises(DeadlinePassed):
                await spend()

    play(scene())


def test_a_budget_that_nobody_has_any_more_is_forgotten_at_the_gateway(tmp_path):
    async def scene():
        async with run(tmp_path) as guard:
            async with solvent.budget("triage", calls=1) as budget:
                scope = budget.scope
            assert guard.limits.of(scope) != ()
            del budget
            for _ in range(1_000):  # A worker of the loop's pool may have the context of the block for a moment more.
                gc.collect()
                done = threading.Event()
                PROCESS.runtime().later(done.set)
                assert await asyncio.to_thread(done.wait, 30)
                if not guard.limits.of(scope):
                    break
            assert guard.limits.of(scope) == ()

    play(scene())


def test_a_gateway_that_is_gone_says_so(monkeypatch):
    listening = bind_loopback()
    monkeypatch.setenv("SOLVENT_GATEWAY", f"http://127.0.0.1:{listening.getsockname()[1]}/secret")
    listening.close()
    with pytest.raises(SettingsError, match=r"^SOLVENT_GATEWAY: expected the gateway .*, got no answer \(.*refused"):
        solvent.budget("triage").__enter__()
    with pytest.raises(SettingsError, match="got no answer"):
        PROCESS.runtime()


def test_what_the_gateway_says_against_a_budget_is_told(tmp_path):
    async def scene():
        async with run(tmp_path, scope=Scope((("run", "r"), *[("step", "s")] * 15))):
            with pytest.raises(SettingsError, match="got a scope has 1 to 16 segments, got 17"):
                await solvent.budget("triage").__aenter__()

    play(scene())
    assert solvent.current_budget() is None


def test_a_secret_that_is_none_opens_nothing(tmp_path):
    async def scene():
        async with run(tmp_path) as guard, other_variables() as patch:
            patch.setenv("SOLVENT_GATEWAY", f"{PROCESS.outer().address}x")
            with pytest.raises(SettingsError, match="got This address is not known here"):
                await solvent.budget("triage", calls=1).__aenter__()
            assert len(guard.limits.openings(RUN)) == 1

    play(scene())


@asynccontextmanager
async def other_variables():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_code_that_lost_its_context_names_what_the_open_budgets_have_in_common(tmp_path):
    async def scene():
        async with run(tmp_path), solvent.budget("outer") as outer:
            assert in_a_bare_thread(steps_below_run) == outer._block.below
            async with solvent.budget("one") as one:
                assert in_a_bare_thread(steps_below_run) == outer._block.below
                assert steps_below_run() == one._block.below == (*outer._block.below, one._block.below[1])
        assert in_a_bare_thread(steps_below_run) == ()

    play(scene())


def test_of_budgets_side_by_side_that_is_the_run(tmp_path):
    async def other(inside, leave):
        async with solvent.budget("other"):
            inside.set()
            await leave.wait()

    async def scene():
        inside, leave = asyncio.Event(), asyncio.Event()
        async with run(tmp_path):
            task = asyncio.create_task(other(inside, leave))
            await inside.wait()
            async with solvent.budget("mine"):
                assert in_a_bare_thread(steps_below_run) == ()
            leave.set()
            await task

    play(scene())


@pytest.mark.parametrize("strict", [False, True])
def test_a_call_that_lost_its_context_is_told_or_refused_before_it_reaches_the_gateway(strict, tmp_path):
    told = []

    async def scene():
        async with run(tmp_path), solvent.budget("outer") as outer, solvent.budget("inner") as inner:
            PROCESS.runtime().guard.listeners.add(told.append)
            url = f"{PROCESS.outer().address}/none/v1/chat/completions"
            reply = await asyncio.get_running_loop().create_task(lost(url), context=contextvars.Context())
            assert told == [
                ContextLost(scope=outer._block.below[0], budgets=(str(outer.scope), str(inner.scope)), refused=strict)
            ]
            refused = "outside of the budgets" in reply.text
            assert (reply.status_code, refused) == ((402, True) if strict else (404, False))

    async def lost(url):
        async with httpx2.AsyncClient() as client:
            return await client.post(url, json={"model": "m", "messages": []})

    solvent.install(strict=strict)
    try:
        play(scene())
    finally:
        solvent.uninstall()


def in_a_bare_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]
