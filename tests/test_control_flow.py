"""
A program's own control flow under budgets: functions, agents, steps, tools, loops, retries and fan-outs.
"""

import asyncio
import contextvars
import functools
import gc
import re
import sys
import threading
from decimal import Decimal

import pytest

import solvent
from solvent._limits import Limit
from solvent._records import Account
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, DeadlinePassed, SettingsError

CENT = 10_000_000


@pytest.fixture(autouse=True)
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVENT_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("SOLVENT_POLICY", "")
    yield
    PROCESS.close()


def entries(scope):
    return list(PROCESS.runtime().ledger.store.entries(scope=str(scope)))


def spend(usd="0.01"):
    with solvent.call("work", usd=usd) as call:
        call.settle(usd=usd)


def here():
    return str(solvent.current_budget().scope) if solvent.current_budget() else ""


# Budgets as decorators.


def test_each_call_of_a_decorated_function_is_a_run_of_its_own():
    @solvent.budget(usd="0.01")
    def triage():
        spend()
        return here()

    scopes = [triage(), triage()]
    assert all(scope.startswith("run:triage-") for scope in scopes)
    assert len(set(scopes)) == 2
    assert triage.__name__ == "triage"


def test_a_decorated_coroutine_generator_and_async_generator_have_their_budget():
    @solvent.budget("co", usd=1)
    async def coroutine():
        return here()

    @solvent.budget("gen", usd=1)
    def generator():
        got = yield here()
        yield got
        return here()

    @solvent.budget("agen", usd=1)
    async def agenerator():
        got = yield here()
        await asyncio.sleep(0)
        yield got + here()

    assert asyncio.run(coroutine()).startswith("run:co-")
    steps = generator()
    first = next(steps)
    assert (first.startswith("run:gen-"), here(), steps.send("back")) == (True, "", "back")
    with pytest.raises(StopIteration) as over:
        next(steps)
    assert (over.value.value, here()) == (first, "")

    async def main():
        steps = agenerator()
        first = await anext(steps)
        outside = here()
        return first, outside, await steps.asend("x"), [each async for each in steps], here()

    first, outside, second, rest, after = asyncio.run(main())
    assert (outside, second, rest, after) == ("", "x" + first, [], "")


def test_between_the_steps_of_a_generator_its_caller_is_in_its_own_budget():
    @solvent.step("inner", usd=1)
    def generator():
        while True:
            spend()
            yield here()

    with solvent.budget("outer", usd=1) as outer:
        for number, scope in enumerate(generator()):
            assert (scope, here()) == (f"{outer.scope}/step:inner", str(outer.scope))
            with solvent.agent("other"):
                assert here() == f"{outer.scope}/agent:other"
            if number == 3:
                break
        gc.collect()
        assert here() == str(outer.scope)
        assert outer.remaining() == 96 * CENT


def test_what_is_thrown_into_a_generator_reaches_it():
    @solvent.step("inner")
    def generator():
        try:
            yield 1
        except ValueError:
            yield here()

    with solvent.budget("outer") as outer:
        steps = generator()
        next(steps)
        assert steps.throw(ValueError()) == f"{outer.scope}/step:inner"
        steps.close()
        assert here() == str(outer.scope)


def test_a_function_whose_code_would_run_outside_of_its_budget_is_refused():
    async def work():
        spend()

    @solvent.budget(usd=1)
    @functools.wraps(work, updated=())
    def plain():
        return work()

    with pytest.raises(TypeError, match="would run outside of its budget; hand in the function"):
        plain()


def test_a_decorator_without_its_parentheses_is_told():
    with pytest.raises(
        ValueError, match=r"budget is called before it decorates a function: @solvent.budget\(usd=0.50\)"
    ):
        solvent.budget(lambda: None)


def test_methods_and_recursion_keep_their_signatures():
    class Agent:
        @solvent.budget("method", calls=3)
        def work(self, deep):
            spend()
            return here() if not deep else self.work(deep - 1)

    assert Agent().work(2).count("/step:method-") == 2


# Limits in code.


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ({"usd": 0.1}, [("usd", CENT * 10, "", "block")]),
        ({"usd": Decimal("0.1")}, [("usd", CENT * 10, "", "block")]),
        ({"usd": "$0.10/day"}, [("usd", CENT * 10, "day", "block")]),
        ({"usd": ["1/day", "20/month"]}, [("usd", 100 * CENT, "day", "block"), ("usd", 2000 * CENT, "month", "block")]),
        ({"usd": {"limit": "1/day", "on_exceed": "warn"}}, [("usd", 100 * CENT, "day", "warn")]),
        (
            {"tokens": [{"limit": "2M/minute"}, 500]},
            [("tokens", 2_000_000, "minute", "block"), ("tokens", 500, "", "block")],
        ),
        ({"branches": 64, "parallel": 2}, [("branches", 64, "", "block"), ("parallel", 2, "", "block")]),
        ({"seconds": "1h30m"}, [("seconds", 5_400, "", "block")]),
        ({"usd": None}, []),
        ({"usd": 0}, [("usd", 0, "", "block")]),
    ],
)
def test_limits_are_written_as_in_a_policy(given, limits):
    found = solvent.budget(**given).limits
    assert [(one.meter, one.amount, one.window, one.on_exceed) for one in found] == limits


def test_a_limit_is_named_after_what_the_program_called():
    made = {
        "agent": solvent.agent("a", calls=0),
        "step": solvent.step("a", calls=0),
        "tool": solvent.tool("a", calls=0),
        "retry": next(iter(solvent.retry("a", calls=0))),
        "loop": next(iter(solvent.loop("a", calls=1))),
    }
    for maker, budget in made.items():
        assert [limit.source for limit in budget.limits] == [f"{maker}('a')"]
    for words, source in (
        ({"run": "a"}, "budget(run='a')"),
        ({"name": "a", "run": "b"}, "budget('a')"),
        ({}, "budget()"),
    ):
        assert [limit.source for limit in solvent.budget(calls=0, **words).limits] == [source]
    with pytest.raises(BudgetExceeded, match=r"\(fan_out\('pages'\)\)"):
        solvent.fan_out(str, [1, 2], name="pages", branches=1)


def test_windows_begin_in_their_time_zone():
    [limit] = solvent.agent("a", usd={"limit": "1/day", "time_zone": "Europe/Berlin"}).limits
    assert limit == Limit(meter="usd", amount=100 * CENT, window="day", time_zone="Europe/Berlin", source="agent('a')")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"usd": "5/daily"},
            'usd must be an amount per minute, hour, day, week or month such as "20/day", got "5/daily"',
        ),
        ({"parallel": "5/day"}, 'parallel must be an amount without a window, got "5/day"'),
        ({"seconds": "5/day"}, 'seconds must be an amount without a window, got "5/day"'),
        ({"usd": []}, "usd must be an amount, or a list with one in it, got an empty list"),
        ({"usd": {"amount": 5}}, "usd must be an amount, or have limit, on_exceed and time_zone, got {'amount': 5}"),
        ({"usd": {"limit": 5, "on_exceed": "stop"}}, "on_exceed must be block, warn or log, got 'stop'"),
        ({"usd": {"limit": 5, "time_zone": 1}}, "time_zone must be a name such as UTC or Europe/Berlin, got 1"),
        ({"calls": 1.0}, "calls must be a whole number, got 1.0"),
        ({"calls": Decimal(1)}, "calls must be a whole number, got Decimal('1')"),
        ({"calls": True}, "calls must be a whole number, got True"),
        ({"usd": [True]}, "usd must be an amount of money, got True"),
        ({"usd": b"1"}, "usd must be an amount such as 0.50, got b'1'"),
        ({"calls": bytearray(b"1")}, "calls must be an amount such as 200, got bytearray(b'1')"),
        ({"depth": -1}, "depth must be within 0 and 9007199254740991, got -1"),
        ({"scope": "run:x"}, "scope must be of orgs, teams and users, such as org:acme/team:search; got 'run:x'"),
        ({"alert": "80%"}, "alert must be a list of shares such as ['50%', '80%'], got '80%'"),
        ({"alert": ["180%"]}, "alert must be a share of a limit such as 80%, got '180%'"),
        ({"alert": [0.5]}, "alert must be a list of shares such as ['50%', '80%'], got [0.5]"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused(given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        solvent.budget(**given)


def test_a_limit_of_no_meter_is_refused():
    with pytest.raises(ValueError, match=r"a limit must be of one of usd, tokens, .*, got 'dollars'"):
        solvent.agent("a", dollars=5)


@pytest.mark.parametrize("name", ["", None, 5, "x" * 300])
def test_an_agent_has_a_name(name):
    with pytest.raises(ValueError, match="name"):
        solvent.agent(name)


# Agents, steps and tools.


def test_agents_and_steps_join_one_path_and_keep_their_accounts_in_a_run():
    with solvent.budget("triage", usd=1) as budget:
        for _ in range(2):
            with solvent.agent("researcher", usd="0.03") as agent, solvent.step("read"):
                assert here() == f"{budget.scope}/agent:researcher/step:read"
                spend()
        with solvent.agent("researcher", usd="0.03") as agent:
            assert agent.remaining() == 1 * CENT
            with pytest.raises(BudgetExceeded, match=r"agent:researcher has \$0.01 left of \$0.03"):
                spend("0.02")
        spend("0.02")  # The run goes on.
        assert budget.remaining() == 96 * CENT


def test_an_agent_without_a_budget_is_in_the_run_of_the_process():
    with solvent.agent("researcher", calls=1) as agent:
        spend()
        with pytest.raises(BudgetExceeded):
            spend()
    assert str(agent.scope) == f"{PROCESS.runtime().scope}/agent:researcher"


def test_a_budget_may_be_in_a_team_whose_limits_in_the_policy_hold_it(tmp_path, monkeypatch):
    policy = tmp_path / "solvent.yaml"
    policy.write_text("budgets: {'team:*': {usd: 0.03/day}, 'org:acme': {calls: 2}}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    with solvent.budget("triage", usd=1, scope="org:acme/team:search") as budget:
        assert str(budget.scope).startswith("org:acme/team:search/run:triage-")
        assert (budget.remaining(), budget.remaining("calls")) == (3 * CENT, 2)
        spend("0.02")
    with solvent.budget("other", scope="org:acme/team:search") as other:
        with pytest.raises(BudgetExceeded, match=r"team:search has \$0.01 left of \$0.03 per day"):
            spend("0.02")
        spend()
        with pytest.raises(BudgetExceeded, match="org:acme has 0 calls left"):
            spend("0.00")
        with pytest.raises(SettingsError, match=r"that of .* around it"), solvent.budget(scope="team:x"):
            pass
    assert other.remaining() == 0


def test_the_environment_may_put_budgets_into_a_team(monkeypatch):
    monkeypatch.setenv("SOLVENT_SCOPE", "org:acme/team:search")
    with solvent.budget("triage") as budget:
        assert str(budget.scope).startswith("org:acme/team:search/run:triage-")
    assert str(PROCESS.runtime().scope).startswith("org:acme/team:search/run:")


def test_nothing_is_begun_deeper_than_depth_allows():
    def delegate(deep):
        begun.append(deep)
        with solvent.agent("self"):
            delegate(deep + 1)

    begun = []
    with solvent.budget("outer", depth=3), pytest.raises(BudgetExceeded, match="3 deep at most; this would be 4 deep"):
        delegate(0)
    assert begun == [0, 1, 2, 3]


def test_a_scope_has_an_end_even_where_depth_has_none():
    def delegate():
        with solvent.agent("self"):
            delegate()

    with solvent.budget("outer"), pytest.raises(BudgetExceeded) as refused:
        delegate()
    assert "nests agents and steps 15 deep at most; this would be 16 deep" in str(refused.value)
    assert "nest fewer budgets" in str(refused.value)


def test_a_tool_is_not_begun_once_models_asked_for_too_many():
    with solvent.budget("outer", tool_calls=1), solvent.tool("search") as tool:
        assert str(tool.scope).endswith("/step:search")
        with solvent.call("model", usd=0) as call:
            call.settle({"role": "assistant", "usage": {"prompt_tokens": 1, "completion_tokens": 1}, "tool_calls": []})
    ran = []

    @solvent.tool("search")
    def search():
        ran.append(1)

    with solvent.budget("outer", tool_calls=1) as budget:
        search()
        asked = {"choices": [{"message": {"tool_calls": [{"id": str(n)} for n in range(2)]}}]}
        with solvent.call("model", usd=0) as call:
            call.settle({**asked, "object": "chat.completion", "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
        assert budget.remaining("tool_calls") == -1
        with pytest.raises(BudgetExceeded, match="the replies so far asked for more"):
            search()
    assert ran == [1]


# Top-ups.


def test_a_budget_may_be_given_more():
    with solvent.budget(usd="0.02", calls=1) as budget:
        spend("0.02")
        budget.top_up(usd="0.03", calls=2, reason="approved")
        assert (budget.remaining(), budget.remaining("calls")) == (3 * CENT, 2)
        spend("0.03")
        asyncio.run(budget.atop_up(usd="0.01"))
        assert budget.remaining() == 1 * CENT
        for wrong, message in [
            ({"tokens": 5}, r"a top-up must be of a meter that the budget itself limits \(usd, calls\), got tokens"),
            ({"usd": -1}, "usd must be"),
            ({"dollars": 1}, "a limit must be of one of"),
        ]:
            with pytest.raises(ValueError, match=message):
                budget.top_up(**wrong)
    reasons = [entry.call.reason for entry in entries(budget.scope) if entry.kind == "open"]
    assert reasons == [None, "top_up: approved", "top_up"]
    assert budget.report().openings == 1


def test_code_gives_no_more_than_the_policy_allows(tmp_path, monkeypatch):
    policy = tmp_path / "solvent.yaml"
    policy.write_text("budgets: {'run:*': {usd: 0.05}}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    with solvent.budget(usd="0.02") as budget:
        with pytest.raises(SettingsError) as refused:
            budget.top_up(usd="0.04")
        assert "expected at most $0.03 more of usd, got $0.04" in str(refused.value)
        assert "solvent.yaml:1" in str(refused.value)
        budget.top_up(usd="0.03")
        assert budget.remaining() == 5 * CENT
        with pytest.raises(SettingsError, match=r"at most \$0.00 more"):
            budget.top_up(usd="0.01")


def test_who_waits_for_room_goes_on_after_a_top_up():
    async def main():
        async with solvent.budget(usd="0.02") as budget:
            held, go = asyncio.Event(), asyncio.Event()
            first = asyncio.create_task(hold(held, go))
            await held.wait()
            second = asyncio.create_task(hold(go, go))
            account = Account(str(budget.scope), "usd")
            while not PROCESS.runtime().guard._calls._queues.busy([account]):
                await asyncio.sleep(0)
            await budget.atop_up(usd="0.02")
            await second
            await first

    async def hold(held, go):
        async with solvent.call("work", usd="0.02", wait="20s"):
            held.set()
            await go.wait()

    asyncio.run(asyncio.wait_for(main(), 10))


# Loops and retries.


def test_a_loop_ends_after_its_turns_or_when_its_budget_does():
    with solvent.budget("outer") as budget:
        numbers = []
        for turn in solvent.loop("refine", times=3):
            with turn:
                numbers.append((turn.number, here()))
        assert numbers == [(n, f"{budget.scope}/step:refine") for n in range(3)]
        made = 0

        def again():
            nonlocal made
            for turn in solvent.loop("again", usd="0.25"):
                with turn:
                    spend("0.10")
                    made += 1

        with pytest.raises(BudgetExceeded, match=r"step:again has \$0.05 left of \$0.25"):
            again()
        assert made == 2


def test_a_turn_in_which_no_call_could_be_made_is_not_begun():
    async def main():
        async with solvent.budget("outer", calls=2):
            begun = []
            with pytest.raises(BudgetExceeded, match="0 calls left"):
                await refine(begun)
            return len(begun)

    async def refine(begun):
        async for turn in solvent.loop("refine"):
            async with turn:
                begun.append(turn.number)
                spend()

    assert asyncio.run(main()) == 2


def test_the_time_of_a_loop_is_that_of_all_its_turns():
    began = []
    with solvent.budget("outer"):
        for turn in solvent.loop("refine", times=2, seconds=60):
            with turn:
                began.append(turn.deadline)
    assert abs((began[0] - began[1]).total_seconds()) < 0.05


def test_a_retry_tries_again_and_counts_its_retries():
    failures = [TimeoutError(), TimeoutError(), None]

    def flaky():
        with solvent.call("flaky", usd="0.01"):
            error = failures.pop(0)
            if error:
                raise error
            return "done"

    with solvent.budget("outer", retries=2) as budget:
        for attempt in solvent.retry("fetch", times=3, wait=0):
            with attempt:
                assert flaky() == "done"
        assert budget.remaining("retries") == 0
    assert [entry.call.attempt for entry in entries(budget.scope) if entry.kind == "reserve"] == [0, 1, 2]


def test_the_last_error_of_a_retry_is_its_callers():
    tried = []

    @solvent.retry("fetch", times=2, wait=0)
    def fails():
        tried.append(1)
        raise TimeoutError("again")

    @solvent.retry("fetch", times=2, wait=0, on=ConnectionError)
    async def fails_otherwise():
        tried.append(1)
        raise TimeoutError("other")

    with solvent.budget("outer"):
        with pytest.raises(TimeoutError, match="again"):
            fails()
        with pytest.raises(TimeoutError, match="other"):
            asyncio.run(fails_otherwise())
    assert len(tried) == 3


def test_a_refusal_is_never_retried():
    tried = []

    @solvent.retry("fetch", times=5, wait=0, on=BaseException)
    def refused():
        tried.append(1)
        spend("0.02")

    with solvent.budget("outer", usd="0.01"), pytest.raises(BudgetExceeded):
        refused()
    assert len(tried) == 1


def test_a_call_that_was_only_held_may_be_retried():
    tried = []
    with solvent.budget("outer", usd="0.02") as budget, solvent.budget("x"):
        held = budget.call("open", usd="0.02")
        held.__enter__()

        @solvent.retry("fetch", times=2, wait=0)
        def fetch():
            tried.append(1)
            if len(tried) == 2:
                held.settle(usd=0)
                held.__exit__(None, None, None)
            with budget.call("next", usd="0.02", wait=0):
                pass

        fetch()
    assert len(tried) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: solvent.loop("x", times=-1), "times must be within"),
        (lambda: solvent.loop(""), "name must be a text"),
        (lambda: solvent.retry("x", times=0), "times must be 1 or more, got 0"),
        (lambda: solvent.retry("x", on=5), "on must be errors"),
        (lambda: solvent.retry("x", wait="soon"), "wait must be a length of time"),
        (lambda: solvent.fan_out(print, [], concurrency=0), "concurrency must be 1 or more, got 0"),
        (lambda: solvent.fan_out(print, [], on_refusal="stop"), "on_refusal must be finish or cancel, got 'stop'"),
    ],
)
def test_control_flow_that_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Fan-outs.


def fanned_out(function, items, **how):
    found = solvent.fan_out(function, items, **how)
    return asyncio.run(found) if asyncio.iscoroutine(found) else found


def test_a_fan_out_gives_results_in_order_and_its_branches_inherit_the_budget():
    def work(n):
        spend()
        return n, here()

    async def awork(n):
        await asyncio.sleep(0)
        spend()
        return n, here()

    async def main():
        with solvent.budget("outer", usd=1) as budget:
            return str(budget.scope), await solvent.fan_out(awork, range(20), name="pages", concurrency=7)

    with solvent.budget("outer", usd=1) as budget:
        assert solvent.fan_out(work, range(20), name="pages") == [(n, f"{budget.scope}/step:pages") for n in range(20)]
        assert budget.remaining() == 80 * CENT
        assert solvent.fan_out(work, []) == []
    scope, results = asyncio.run(main())
    assert results == [(n, f"{scope}/step:pages") for n in range(20)]


@pytest.mark.parametrize("is_async", [False, True])
def test_too_many_branches_are_refused_before_the_first_one(is_async):
    begun = []

    async def awork(n):
        begun.append(n)

    with solvent.budget("outer", branches=64) as budget, pytest.raises(BudgetExceeded) as refused:
        fanned_out(awork if is_async else begun.append, range(10_000))
    assert (begun, refused.value.results, budget.remaining("branches")) == ([], {}, 64)
    assert "has 64 branches left of 64 branches; this fan-out has 10,000" in str(refused.value)
    assert budget.report().total.calls == 0


@pytest.mark.parametrize("is_async", [False, True])
def test_a_refusal_keeps_what_finished_and_gives_back_what_never_started(is_async):
    def work(n):
        spend("0.10")
        return n

    async def awork(n):
        return work(n)

    with solvent.budget("outer", usd="0.35", branches=100) as budget, pytest.raises(BudgetExceeded) as refused:
        fanned_out(awork if is_async else work, range(50), concurrency=1)
    assert refused.value.results == {0: 0, 1: 1, 2: 2}
    assert budget.remaining("branches") == 96
    assert refused.value.report.total.cost_nanodollars == 30 * CENT
    assert budget.report().total.calls == 3


def test_finish_lets_running_branches_end_and_cancel_ends_them():
    async def main(on_refusal):
        refused, release, seen = asyncio.Event(), asyncio.Event(), []

        async def branch(kind):
            if kind == "slow":
                try:
                    async with solvent.call("slow", usd="0.01") as call:
                        seen.append("slow begun")
                        await release.wait()
                        call.settle(usd="0.01")
                except asyncio.CancelledError:
                    seen.append("slow cancelled")
                    raise
                seen.append("slow done")
                return "slow"
            try:
                spend("0.15")
            finally:
                refused.set()

        async with solvent.budget("outer", usd="0.10") as budget:
            fan = asyncio.create_task(solvent.fan_out(branch, ["slow", "dear"], on_refusal=on_refusal))
            await refused.wait()
            release.set()
            with pytest.raises(BudgetExceeded) as error:
                await fan
            return seen, error.value.results, await budget.aremaining()

    assert asyncio.run(main("finish")) == (["slow begun", "slow done"], {0: "slow"}, 9 * CENT)
    assert asyncio.run(main("cancel")) == (["slow begun", "slow cancelled"], {}, 9 * CENT)


def test_an_error_of_a_branch_is_raised_itself_and_no_further_one_starts():
    begun = []

    def work(n):
        begun.append(n)
        raise KeyError(n)

    with solvent.budget("outer"), pytest.raises(KeyError):
        solvent.fan_out(work, range(100), concurrency=2)
    assert len(begun) <= 4


def test_a_cancelled_fan_out_leaves_no_branch_behind():
    async def main():
        ended, begun = [], asyncio.Event()

        async def work(n):
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                ended.append(n)

        with solvent.budget("outer", branches=10) as budget:
            fan = asyncio.create_task(solvent.fan_out(work, range(8), concurrency=4))
            await begun.wait()
            fan.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fan
            return sorted(ended), budget.remaining("branches")

    assert asyncio.run(main()) == ([0, 1, 2, 3], 6)


@pytest.mark.parametrize("turns", range(6))
def test_a_fan_out_that_is_cancelled_while_it_opens_holds_no_branches(turns):
    async def main():
        with solvent.budget("outer", branches=10) as budget:
            fan = asyncio.create_task(solvent.fan_out(asyncio.sleep, [0] * 8))
            for _ in range(turns):
                await asyncio.sleep(0)
            fan.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fan
            await PROCESS.runtime().guard.adrain()
            return budget.remaining("branches")

    assert asyncio.run(main()) == 10


def test_a_fan_out_in_a_fan_out_is_under_both():
    def inner(n):
        spend("0.10")
        return n

    def outer(_):
        return solvent.fan_out(inner, range(2), name="inner", branches=4)

    with solvent.budget("all", usd=1, branches=100) as budget:
        assert solvent.fan_out(outer, range(2), name="outer", concurrency=1) == [[0, 1], [0, 1]]
        assert budget.remaining("branches") == 100 - 2 - 4
        with pytest.raises(BudgetExceeded, match="step:inner has 0 branches left of 4"):
            solvent.fan_out(outer, range(2), name="outer")


def test_a_function_that_returns_what_is_to_be_awaited_is_told():
    async def work(n):
        return n

    with (
        solvent.budget("outer"),
        pytest.raises(TypeError, match="hand in the function itself"),
    ):
        solvent.fan_out(lambda n: work(n), [1])


def test_threads_of_a_fan_out_share_the_limit():
    made, lock = [], threading.Lock()

    def work(n):
        spend("0.03")
        with lock:
            made.append(n)

    with solvent.budget("outer", usd=1, wait=0) as budget:
        with pytest.raises(BudgetExceeded) as refused:
            solvent.fan_out(work, range(64), concurrency=32)
        assert budget.remaining() == 100 * CENT - len(made) * 3 * CENT
        assert sorted(refused.value.results) == sorted(made)


# Time.


def test_nothing_is_begun_after_the_deadline():
    with solvent.budget("outer", seconds=0.0 + 1) as budget:
        assert budget.deadline is not None
    with pytest.raises(DeadlinePassed), solvent.budget("outer", seconds=0):
        raise AssertionError("it is begun")
    with solvent.budget("outer") as budget:
        assert budget.deadline is None


# What is left half-way, interrupted, or put together in odd ways.


def test_a_top_up_never_lifts_the_policy(tmp_path, monkeypatch):
    policy = tmp_path / "solvent.yaml"
    policy.write_text("budgets: {'run:*': {usd: 0.05}, 'agent:a': {usd: 0.03}}\n")
    monkeypatch.setenv("SOLVENT_POLICY", str(policy))
    with solvent.budget(run="r", usd="0.02") as budget:
        budget.top_up(usd="0.03")
        assert budget.remaining() == 5 * CENT
    with solvent.budget(run="r") as budget:
        assert budget.remaining() == 5 * CENT
        with solvent.agent("a", usd="0.01") as agent:
            agent.top_up(usd="0.02")
        with solvent.agent("a", usd="0.05") as agent:
            assert agent.remaining() == 3 * CENT


def test_a_top_up_is_there_for_who_goes_on_with_the_budget():
    with solvent.budget(run="r", usd="0.02") as budget:
        budget.top_up(usd="0.03")
        with solvent.resume(budget.carry()) as again:
            assert again.remaining() == 5 * CENT
    with solvent.resume("run:r") as later:
        assert later.remaining() == 5 * CENT


def test_the_limits_of_a_block_end_with_it():
    with solvent.budget("outer"):
        for cents in (2, 10, 1):
            with solvent.agent("a", usd=f"0.{cents:02}") as agent:
                assert agent.remaining() == cents * CENT
            assert agent.remaining() == cents * CENT

        kept = []
        for _ in range(2):
            try:
                with solvent.agent("b", usd="0.01"):
                    raise KeyError
            except KeyError as error:
                kept.append(error)
        with solvent.agent("b", usd="0.05") as agent:
            assert agent.remaining() == 5 * CENT


def test_a_budget_that_is_over_takes_no_calls():
    with solvent.budget("outer", usd=1) as budget:
        pass
    assert budget.remaining() == 100 * CENT
    with pytest.raises(RuntimeError, match=r"the budget 'outer' is over; go on with it by solvent.resume\('run:outer-"):
        budget.call("gpu", usd=2).__enter__()


def test_a_task_goes_on_in_a_budget_that_is_left():
    async def main():
        left = asyncio.Event()

        async def later():
            await left.wait()
            with pytest.raises(BudgetExceeded):
                spend("0.02")
            with budget.call("gpu", usd="0.01"):
                pass
            return here()

        async with solvent.budget("outer", usd="0.01") as budget:
            task = asyncio.create_task(later())
        left.set()
        assert await task == str(budget.scope)

    asyncio.run(main())


def test_generators_that_the_collector_ends_do_not_harm_the_ledger():
    class Owner:
        pass

    def generator():
        with solvent.budget(usd=1), solvent.call("gpu", usd="0.01"):
            yield

    usual = gc.get_threshold()
    gc.set_threshold(50)
    try:
        for _ in range(100):
            owner = Owner()
            owner.steps = generator()
            owner.me = owner
            contextvars.copy_context().run(next, owner.steps)
    finally:
        gc.set_threshold(*usual)
        del owner
        gc.collect()
    PROCESS.close()
    with solvent.budget():
        store = PROCESS.runtime().ledger.store
        assert store.verify() is None
        assert not any(balance.reserved for balance in store.balances())


def test_a_call_that_nobody_has_any_more_is_booked():
    with solvent.budget(usd=1) as budget:
        call = budget.call("gpu", usd="0.50")
        call.__enter__()
        del call
        gc.collect()
        assert here() == str(budget.scope)
    PROCESS.close()
    with solvent.resume(budget.scope) as again:
        assert again.remaining() == 50 * CENT
        [closed] = [entry for entry in entries(budget.scope) if entry.kind == "settle"]
        assert closed.call.estimated in ("failed", "usage_missing")


def test_a_call_of_a_loop_that_is_closed_is_booked():
    async def main():
        async with solvent.budget(usd=1) as budget:
            budgets.append(budget)
            async with budget.call("gpu", usd="0.50"):
                await asyncio.Event().wait()

    budgets = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(main())
    while not budgets or not PROCESS.runtime().guard._calls.open:
        loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    loop.close()
    del task
    gc.collect()
    assert not PROCESS.runtime().guard._calls.open
    [settled] = [entry for entry in entries(budgets[0].scope) if entry.kind == "settle"]
    assert settled.call.cost_nanodollars == 50 * CENT


def test_a_coroutine_that_is_closed_while_its_call_is_admitted_holds_nothing():
    async def main():
        async with solvent.call("gpu", usd="0.50"):
            raise AssertionError("it is begun")

    async def steps(count):
        with solvent.budget(usd=1) as budget:
            running = main()
            future = running.send(None)
            for _ in range(count):
                await asyncio.sleep(0)
            running.close()
            while not future.done():
                await asyncio.sleep(0)
            await PROCESS.runtime().guard.adrain()
            return budget.remaining()

    assert [asyncio.run(steps(count)) for count in range(3)] == [100 * CENT] * 3


def test_blocks_that_are_left_in_any_order_leave_nothing_behind():
    def stream():
        with solvent.call("gpu", usd=0):
            yield

    steps = stream()
    with solvent.budget("a"):
        next(steps)
    steps.close()
    with solvent.budget("b") as budget:
        assert str(budget.scope).startswith("run:b-")
        assert budget.scope.path() == (budget.scope,)
    with solvent.budget("c", usd=1) as budget:
        first, second = budget.call("x", usd=0), budget.call("y", usd=0)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
        assert (here(), budget._find_place().within) == (str(budget.scope), ())
    assert here() == ""


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_whatever_ends_a_branch_is_raised(error):
    def work(_):
        raise error

    async def awork(_):
        raise error

    with solvent.budget("outer"):
        with pytest.raises(error):
            solvent.fan_out(work, [1])
        with pytest.raises(error):
            asyncio.run(solvent.fan_out(awork, [1]))


def test_no_paid_result_is_thrown_away():
    def inner(n):
        spend("0.10")
        return n

    def outer(_):
        return solvent.fan_out(inner, range(4), name="inner", concurrency=1)

    def fails(n):
        if n == 2:
            raise KeyError(n)
        return n

    with solvent.budget("all", usd="0.60"):
        with pytest.raises(BudgetExceeded) as refused:
            solvent.fan_out(outer, range(2), name="outer", concurrency=1)
        assert refused.value.results == {0: [0, 1, 2, 3]}
        assert refused.value.__cause__.results == {0: 0, 1: 1}
        assert str(refused.value) == str(refused.value.__cause__)
        with pytest.raises(KeyError) as failed:
            solvent.fan_out(fails, range(4), concurrency=1)
    assert failed.value.results == {0: 0, 1: 1}
    assert failed.value.__notes__ == ["2 of 4 branches of the fan-out had finished"]


def test_a_fan_out_that_is_cancelled_twice_leaves_no_branch_behind():
    async def main():
        ended, begun, stubborn = [], asyncio.Event(), asyncio.Event()

        async def work(n):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                await stubborn.wait()
                ended.append(n)

        with solvent.budget("outer"):
            fan = asyncio.create_task(solvent.fan_out(work, range(4)))
            await begun.wait()
            for _ in range(2):
                fan.cancel()
                for _ in range(3):
                    await asyncio.sleep(0)
            assert not fan.done()
            stubborn.set()
            with pytest.raises(asyncio.CancelledError):
                await fan
            return sorted(ended)

    assert asyncio.run(main()) == [0, 1, 2, 3]


def test_a_turn_looks_at_the_limits_of_its_own_loop():
    begun = []

    def loop():
        for turn in solvent.loop("x", calls=1):
            with turn:
                begun.append(turn.number)
                spend()

    with solvent.budget("outer") as budget, pytest.raises(BudgetExceeded, match="nothing more is begun") as refused:
        loop()
    assert begun == [0]
    assert refused.value.report.total.calls == 1
    assert [entry.kind for entry in entries(budget.scope)].count("refuse") == 1


def test_a_turn_waits_for_calls_that_are_open():
    with solvent.budget("outer", parallel=1) as budget, budget.call("open", usd=0):
        for turn in solvent.loop("x", times=1):
            with turn:
                pass


def test_a_decision_counts_retries():
    with solvent.budget("outer", retries=0):
        for attempt in solvent.retry("r", times=2, wait=0):
            with attempt:
                assert solvent.check(usd=0).allowed is not bool(attempt.number)
                if not attempt.number:
                    raise KeyError


def test_what_gives_its_results_one_by_one_is_not_retried_nor_fanned_out():
    def generator():
        yield

    for make in (lambda: solvent.retry("x")(generator), lambda: solvent.fan_out(generator, [])):
        with pytest.raises(TypeError, match="gives its results one by one"):
            make()
    with pytest.raises(TypeError, match="put the decorator below @staticmethod"):
        solvent.step("x")(staticmethod(generator))


def test_a_call_in_a_decorated_generator_is_part_of_the_call_around_it():
    @solvent.step("s")
    def generator():
        with solvent.call("outer", usd="0.90"):
            yield
            with solvent.call("inner", usd="0.90", wait="20s"):
                pass

    with solvent.budget(usd=1), pytest.raises(BudgetExceeded) as refused:
        list(generator())
    assert not refused.value.held


def test_times_that_never_come_are_no_trouble():
    with solvent.budget("outer", seconds=2**53 - 1) as budget:
        assert budget.deadline.year == 9999


# What a newcomer gets wrong.


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: solvent.agent(print), ValueError, "before it decorates a function: @solvent.agent('print')"),
        (lambda: solvent.retry(print), ValueError, "before it decorates a function: @solvent.retry('print')"),
        (lambda: solvent.budget(0.5), ValueError, "got 0.5; an amount is given by its meter: usd=0.5"),
        (lambda: solvent.call(0.05), ValueError, "got 0.05; an amount is given by its meter: usd=0.05"),
        (lambda: solvent.budget(alert=80), ValueError, "alert must be a list of shares such as ['50%', '80%'], got 80"),
        (lambda: solvent.fan_out(print, "abc"), ValueError, "items must be several, such as a list, got 'abc'"),
        (lambda: solvent.fan_out([1], print), ValueError, "function must be one, and comes before the items, got [1]"),
        (
            lambda: solvent.budget(usd="5/day")(test_a_task_goes_on_in_a_budget_that_is_left),
            ValueError,
            "is a run of its own, so that a limit per day would hold nothing over it; name the run that goes on: run=",
        ),
    ],
)
def test_mistakes_are_told_with_what_to_write(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


def test_a_decorated_run_that_goes_on_may_have_a_limit_of_a_day():
    @solvent.budget(usd="0.02/day", run="support")
    def answer():
        spend()

    answer()
    answer()
    with pytest.raises(BudgetExceeded, match=r"run:support has \$0.00 left of \$0.02 per day"):
        answer()


def test_a_refusal_of_a_decorated_function_names_it():
    @solvent.budget(usd="0.00")
    def answer():
        spend()

    with pytest.raises(BudgetExceeded, match=r"raise the limit \(budget of answer\)"):
        answer()


def test_a_turn_or_an_attempt_that_is_not_entered_is_told():
    def loop():
        for _ in solvent.loop("refine", times=3):
            pass

    def retry():
        for _ in solvent.retry("fetch"):
            pass

    async def aretry():
        async for _ in solvent.retry("fetch"):
            pass

    with pytest.raises(RuntimeError, match=r"turn 0 of 'refine' was not entered; write .with turn:"):
        loop()
    for run in (retry, lambda: asyncio.run(aretry())):
        with pytest.raises(RuntimeError, match="attempt 0 of 'fetch' was not entered"):
            run()


def test_what_is_shown_at_a_prompt_is_short():
    with solvent.budget(usd="0.01"):
        shown = [solvent.check(usd=0), solvent.check(usd=1), solvent.call("gpu"), solvent.loop("l"), solvent.retry("r")]
    assert repr(shown[0]) == "<solvent.Decision allowed>"
    assert repr(shown[1]).startswith("<solvent.Decision refused: run:budget-")
    assert [repr(each) for each in shown[2:]] == [
        "<solvent.call 'gpu', not open>",
        "<solvent.loop 'l'>",
        "<solvent.retry 'r', 3 times at most>",
    ]


def test_an_sdk_that_no_hook_sees_is_told_once(monkeypatch, caplog):
    for name in solvent._budget._SDKS:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "openai", sys)
    monkeypatch.setattr("solvent._budget._told", [])
    for _ in range(2):
        with solvent.agent("a", usd=1):
            pass
    said = [record.message for record in caplog.records if "held to no budget" in record.message]
    assert said == ["calls of openai are held to no budget: call solvent.install() first"]
