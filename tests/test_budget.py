"""
Budgets as a program holds them: what is charged to them, how they nest, and who inherits them.
"""

import asyncio
import gc
import multiprocessing
import re
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from multiprocessing.pool import ThreadPool

import pytest
from guard_world import chat

import solvent
from solvent._amounts import Usage, nanodollars
from solvent._booking import Replied
from solvent._place import current_place
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, DeadlinePassed, SettingsError, StoreUnavailable
from solvent.wire._call import Asked, Reading

NUMBERS = count()
CALL = {"model": "m", "max_tokens": 1_000}  # A cent.


@pytest.fixture(autouse=True)
def _own_process(monkeypatch, tmp_path):
    policy = tmp_path / "solvent.yaml"
    prices = "{m: {input: 0, output: 10.00}, m-mini: {input: 0, output: 1.00}}"
    policy.write_text(f"ledger: memory://\nprices: {prices}\nwait: 0s\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    for name in ("SOLVENT_GATEWAY", "SOLVENT_LEDGER", "SOLVENT_SCOPE"):
        monkeypatch.delenv(name, raising=False)
    PROCESS.close()
    yield
    solvent.uninstall()
    PROCESS.close()


def spend(output_tokens=1_000):
    """
    One call, as a hook makes it; returns the scope that it was charged to.
    """
    return str(made(output_tokens).scope)


def made(output_tokens=1_000):
    place = current_place()
    guard = place.runtime.guard
    admission = guard.admit(
        chat(**CALL),
        scope=place.scope,
        fingerprint=str(next(NUMBERS)).encode(),
        began=0.0,
        asked=Asked("chat/completions", {}),
    )
    usage = Usage(input_tokens=5, output_tokens=output_tokens)
    guard.settle(admission, Replied(status=200, reading=Reading(usage=usage, complete=True)))
    return admission


def test_what_is_called_in_a_budget_is_charged_to_it():
    with solvent.budget("triage", usd="0.05", calls=10) as budget:
        scope = spend()
        assert scope == str(budget.scope)
        assert scope.startswith("run:triage-")
        assert (budget.remaining(), budget.remaining("calls")) == (nanodollars("0.04"), 9)
        assert budget.remaining("tokens") is None


@pytest.mark.parametrize("usd", [0.05, "0.05", "$0.05"], ids=repr)
def test_a_budget_is_never_passed(usd):
    with solvent.budget("triage", usd=usd) as budget:
        for _ in range(5):
            spend()
        with pytest.raises(BudgetExceeded) as refused:
            spend()
    assert refused.value.scope == str(budget.scope)
    assert "raise the limit (budget('triage'))" in str(refused.value)


def test_each_opening_is_a_run_of_its_own_and_a_named_one_goes_on():
    for _ in range(2):
        with solvent.budget("triage", usd="0.01"):
            spend()
    with solvent.budget(usd="0.02", run="one"):
        spend()
    with solvent.budget(usd="0.02", run="one") as budget:
        assert budget.remaining() == nanodollars("0.01")
        spend()
        with pytest.raises(BudgetExceeded):
            spend()


def test_a_budget_inside_another_one_draws_on_both():
    with solvent.budget("outer", usd="0.03") as outer:
        with solvent.budget("inner", usd="0.02") as inner:
            assert str(inner.scope).startswith(f"{outer.scope}/step:inner-")
            spend()
            spend()
            with pytest.raises(BudgetExceeded) as refused:
                spend()
            assert refused.value.scope == str(inner.scope)
        assert outer.remaining() == nanodollars("0.01")
        spend()
        with solvent.budget("inner", usd="1.00"), pytest.raises(BudgetExceeded) as refused:
            spend()
        assert refused.value.scope == str(outer.scope)


def test_tasks_and_threads_and_pools_inherit_the_budget_of_who_started_them():
    solvent.install()

    async def in_tasks():
        found = await asyncio.gather(asyncio.to_thread(spend), *(asyncio.create_task(coroutine()) for _ in range(3)))
        loop = asyncio.get_running_loop()
        return {*found, await loop.run_in_executor(None, spend)}

    async def coroutine():
        return spend()

    with ThreadPoolExecutor(2) as pool, solvent.budget("one") as one, solvent.budget("two") as two:
        assert set(pool.map(lambda _: spend(), range(4))) == {str(two.scope)}
        assert asyncio.run(in_tasks()) == {str(two.scope)}
        seen = []
        thread = threading.Thread(target=lambda: seen.append(spend()))
        thread.start()
        thread.join()
        assert seen == [str(two.scope)]
    assert one.scope.parts == two.scope.parts[:1]


def test_a_pools_thread_keeps_no_budget_from_one_job_to_the_next():
    solvent.install()
    with ThreadPoolExecutor(1) as pool:
        with solvent.budget("one") as one:
            assert pool.submit(spend).result() == str(one.scope)
        with solvent.budget("two") as two:
            assert pool.submit(spend).result() == str(two.scope)
        assert pool.submit(spend).result() == str(PROCESS.runtime().scope)


def test_a_pools_thread_that_was_started_in_a_budget_serves_those_after_it_and_keeps_none_alive():
    solvent.install()

    async def by_the_loop():
        loop = asyncio.get_running_loop()
        with solvent.budget("first") as first:
            assert await loop.run_in_executor(None, spend) == str(first.scope)
        return await loop.run_in_executor(None, spend)

    assert asyncio.run(by_the_loop()) == str(PROCESS.runtime().scope)
    with ThreadPoolExecutor(1) as pool:
        with solvent.budget("one") as one:
            pool.submit(spend).result()
        seen = weakref.ref(one)
        del one
        pool.submit(spend).result()  # The pool holds on to no work that is done.
        gc.collect()
        assert seen() is None


def test_a_thread_pool_of_multiprocessing_does_as_the_others_do():
    solvent.install()

    def by_every_way(pool):
        each = [pool.apply(spend), pool.apply_async(func=spend).get(), *pool.map(number, range(2))]
        return {*each, *pool.imap(number, range(2)), *pool.imap_unordered(number, range(2)), *pool.starmap(spend, [()])}

    def number(_):
        return spend()

    with solvent.budget("one") as one, ThreadPool(1) as pool:
        assert by_every_way(pool) == {str(one.scope)}
        with solvent.budget("two") as two:
            assert by_every_way(pool) == {str(two.scope)}
    with solvent.budget("three"):
        pool = ThreadPool(1)
    with pool:
        assert by_every_way(pool) == {str(PROCESS.runtime().scope)}


@pytest.mark.slow
def test_work_for_another_process_is_passed_on_as_it_is():
    solvent.install()
    with solvent.budget("one"), multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(len, ["abc"]).get() == 3


def test_work_that_leaves_a_budget_open_in_a_pools_thread_leaves_it_to_no_other():
    solvent.install()
    left = solvent.budget("left")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(left.__enter__).result()
        assert pool.submit(solvent.current_budget).result() is None
    left.__exit__(None, None, None)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="there are no pools of interpreters before Python 3.14")
def test_work_for_another_interpreter_is_passed_on_as_it_is():
    from concurrent.futures import InterpreterPoolExecutor

    solvent.install()
    with InterpreterPoolExecutor(1) as pool, solvent.budget("one"):
        assert pool.submit(len, "abc").result() == 3


def in_a_bare_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_code_that_lost_its_context_falls_under_the_one_open_budget():
    with solvent.budget("only") as only:
        assert in_a_bare_thread(spend) == str(only.scope)


def test_an_agent_that_lost_its_context_is_below_the_one_open_budget_and_leaves_nothing_behind():
    def work():
        with solvent.agent("worker"):
            inside = spend()
        return inside, solvent.current_budget()

    with solvent.budget("only") as only:
        assert in_a_bare_thread(work) == (f"{only.scope}/agent:worker", None)


def test_agents_side_by_side_without_a_budget_do_not_stand_below_one_another():
    async def work(name):
        async with solvent.agent(name):
            await asyncio.sleep(0)
            return spend()

    async def main():
        return await asyncio.gather(work("a"), work("b"))

    process = str(PROCESS.runtime().scope)
    assert asyncio.run(main()) == [f"{process}/agent:a", f"{process}/agent:b"]


def test_a_run_that_lost_its_context_is_one_of_its_own():
    def work():
        with solvent.budget("other"):
            return spend()

    with solvent.budget("only") as only:
        assert str(only.scope) not in in_a_bare_thread(work)


def test_with_several_open_it_falls_under_what_they_have_in_common_else_under_the_process():
    with solvent.budget("outer") as outer, solvent.budget("inner"):
        assert in_a_bare_thread(spend) == str(outer.scope)
    inside, leave = threading.Event(), threading.Event()

    def other():
        with solvent.budget("other"):
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(30)
    with solvent.budget("mine") as mine:
        process = in_a_bare_thread(spend)
        assert process == str(PROCESS.runtime().scope)
        assert process != str(mine.scope)
    leave.set()
    thread.join()


def test_without_a_budget_the_process_is_charged_under_the_policys_limits(tmp_path, monkeypatch):
    policy = tmp_path / "limited.yaml"
    limits = "budgets: {'run:*': {usd: 0.02}}"
    policy.write_text(f"ledger: memory://\nprices: {{m: {{input: 0, output: 10.00}}}}\n{limits}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    assert spend() == spend()
    with pytest.raises(BudgetExceeded):
        spend()


def test_the_scope_that_a_parent_process_hands_down_is_used(monkeypatch):
    monkeypatch.setenv("SOLVENT_SCOPE", "org:acme/run:42")
    assert spend() == "org:acme/run:42"


def test_async_budgets_are_budgets():
    async def main():
        async with solvent.budget("triage", usd="0.01") as budget:
            assert solvent.current_budget() is budget
            spend()
            return budget.remaining()

    assert asyncio.run(main()) == 0
    assert solvent.current_budget() is None


def test_a_budget_tells_what_was_spent():
    with solvent.budget("triage", usd="0.02", calls=5) as budget:
        spend()
        text = str(budget.report())
    assert "$0.01 of $0.02" in text
    assert "1 of 5" in text


def test_what_remains_is_what_the_tightest_limit_on_the_path_leaves(tmp_path, monkeypatch):
    policy = tmp_path / "limits.yaml"
    prices = "{m: {input: 0, output: 10.00}}"
    policy.write_text(f"ledger: memory://\nprices: {prices}\nbudgets:\n  run:*: {{usd: 0.03/day, calls: 9}}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    PROCESS.close()
    with solvent.budget("outer", usd="0.50", calls=40) as outer, solvent.budget("inner", tokens=5_000) as inner:
        spend()
        for each in (outer, inner):
            assert (each.remaining(), each.remaining("calls")) == (nanodollars("0.02"), 8)
        assert (outer.remaining("tokens"), inner.remaining("tokens")) == (None, 3_995)
        assert inner.remaining("seconds") is None
        with pytest.raises(ValueError, match=r"meter must be one of usd, tokens, .* got 'dollars'"):
            inner.remaining("dollars")


def test_a_budget_inside_another_one_has_its_ledger():
    with solvent.budget("outer", usd="0.01") as outer:
        with pytest.raises(SettingsError, match=rf"expected that of {outer.scope} around it"):
            solvent.budget("inner", ledger="memory://own").__enter__()
        assert solvent.current_budget() is outer


def test_a_budget_that_is_open_is_not_opened_again():
    one = solvent.budget("twice", usd="0.01")
    with one:
        with pytest.raises(RuntimeError, match="'twice' is open already"), one:
            pass
        spend()
        assert one.remaining() == 0
    assert repr(one) == f"<solvent.Budget {one.scope}, not open>"


def test_what_a_block_paid_for_is_not_lost_with_the_ledger(monkeypatch, caplog):
    failed = []
    with solvent.budget("triage", usd="0.02") as budget:
        spend()
        budget.runtime.guard.listeners.add(failed.append)
        down = StoreUnavailable(ledger="memory://", reason="it is away")
        monkeypatch.setattr(budget.runtime.ledger, "do", raises(down))
    assert [event.error for event in failed] == [down]
    assert f"the ledger knows nothing yet of the end of {budget.scope}" in caplog.text


def raises(error):
    def fail(*_):
        raise error

    return fail


@pytest.mark.parametrize(
    ("install", "calls", "told"), [(False, 0, True), (False, 1, False), (True, 0, False)], ids=["blind", "seen", "on"]
)
def test_a_budget_that_sees_no_calls_for_want_of_hooks_says_so(install, calls, told, caplog):
    if install:
        solvent.install()
    with solvent.budget("triage", usd="0.02") as budget:
        for _ in range(calls):
            spend()
    assert (f"no call was seen in {budget.scope}: without solvent.install()" in caplog.text) is told


def test_a_budget_that_is_not_open_says_so():
    with pytest.raises(RuntimeError, match="'triage' is not open"):
        solvent.budget("triage").report()


def test_a_ledger_of_its_own_keeps_its_account(tmp_path):
    with solvent.budget("triage", usd="0.02", ledger=str(tmp_path / "own.db"), run="one"):
        spend()
    PROCESS.close()
    with solvent.budget("triage", usd="0.02", ledger=f"sqlite:///{tmp_path}/own.db", run="one") as budget:
        assert budget.remaining() == nanodollars("0.01")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"fallback": "gpt-5"}, "fallback must be two models or more"),
        ({"fallback": ["gpt-5"]}, "fallback must be two models or more"),
        ({"ledger": ""}, "ledger must be a text"),
        ({"run": ""}, "run must be a text"),
        ({"usd": -1}, "usd"),
        ({"usd": float("nan")}, "usd"),
        ({"usd": True}, "usd"),
        ({"calls": -1}, "calls"),
        ({"calls": 1.5}, "calls"),
        ({"tokens": "many"}, "tokens"),
        ({"wait": "soon"}, "wait"),
        ({"seconds": 0.5}, "seconds must be a whole number of seconds"),
        ({"seconds": "soon"}, "seconds"),
        ({"depth": -1}, "depth"),
        ({"fallback": ["m", {"from": "a", "to": "b"}]}, "fallback must be names of models, or steps"),
        ({"fallback": [{"from": "a"}]}, "fallback must be names of models, or steps"),
        ({"fallback": [{"from": "a", "to": "b", "at": "0.8"}]}, "at must be a share"),
        ({"fallback": ["a", "b", "a"]}, "fallback must be a way to other models"),
    ],
    ids=repr,
)
def test_a_limit_that_is_none_is_an_error_that_names_it(limits, message):
    with pytest.raises(ValueError, match=message):
        solvent.budget("triage", **limits)


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        (["gpt-5", "gpt-5-mni"], "of budget('triage'): expected a model that has a price, got gpt-5-mni; did you mean"),
        (["gpt-5", "claude-sonnet-4-5"], "expected a model of the provider that serves gpt-5, got claude-sonnet-4-5"),
    ],
)
def test_a_fallback_that_can_never_be_taken_is_refused_when_the_budget_opens(fallback, message):
    with pytest.raises(solvent.SettingsError, match=re.escape(message)), solvent.budget("triage", fallback=fallback):
        pass
    assert solvent.current_budget() is None


def test_limits_hold_as_long_as_somebody_has_the_budget_and_are_forgotten_then():
    async def main():
        with solvent.budget("triage", usd="0.01") as budget:
            task = asyncio.create_task(late())
        await asyncio.sleep(0)
        scope = budget.scope
        del budget
        with pytest.raises(BudgetExceeded):
            await task
        return scope

    async def late():
        await asyncio.sleep(0)
        spend()
        spend()

    scope = asyncio.run(main())
    gc.collect()
    assert PROCESS.runtime().guard.limits.of(scope) == ()


def test_a_run_that_is_gone_on_with_keeps_its_limits_when_its_former_budget_is_forgotten():
    for _ in range(2):
        with solvent.budget("triage", usd="0.01", run="one") as budget:  # The name is bound anew after the opening.
            assert len(PROCESS.runtime().guard.limits.of(budget.scope)) == 1


def test_calls_of_a_budget_are_made_with_its_other_models_when_they_do_not_fit():
    with solvent.budget("triage", usd="0.005", fallback=["m", "m-mini"]):
        assert made().call.model == "m-mini"
    with solvent.budget("triage", usd="0.02", fallback=[{"from": "m", "to": "m-mini", "at": "50%"}]):
        assert [made().call.model, made().call.model] == ["m", "m-mini"]
    with solvent.budget("triage", usd="0.005"), pytest.raises(BudgetExceeded):
        spend()


def test_budgets_nest_as_deep_as_the_outer_one_allows():
    with solvent.budget("outer", depth=1), solvent.budget("inner"):
        spend()
        with pytest.raises(BudgetExceeded, match="nests agents and steps 1 deep"), solvent.budget("innermost"):
            raise AssertionError("nothing in it is begun")


def test_the_time_of_a_budget_counts_from_its_opening():
    with solvent.budget("triage", seconds="10m") as budget:
        spend()
        assert budget.remaining("seconds") in (598, 599)
        assert 597 < (budget.deadline - datetime.now(UTC)).total_seconds() < 600
    with pytest.raises(DeadlinePassed, match="allow more time"), solvent.budget("triage", seconds=0):
        raise AssertionError("nothing in it is begun")
