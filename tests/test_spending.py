"""
Calls of a program's own: what is set aside, what is booked, and what a decision says.
"""

import asyncio
import contextvars
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import solvent
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, DeadlinePassed, OutcomeUnknown, PriceUnknown, Unbounded

CENT = 10_000_000


@pytest.fixture(autouse=True)
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("SOLVENT_LEDGER", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setenv("SOLVENT_POLICY", "")
    yield
    PROCESS.close()


def entries(budget):
    return list(PROCESS.runtime().ledger.store.entries(scope=str(budget.scope)))


def last_call(budget):
    return next(entry.call for entry in reversed(entries(budget)) if entry.kind in ("settle", "release", "expire"))


def test_what_it_did_cost_is_booked_in_the_place_of_what_it_could_cost():
    with solvent.budget(usd="0.10") as budget:
        with solvent.call("gpu", usd="0.10") as call:
            assert budget.remaining() == 0
            call.settle(usd="0.03")
        assert (call.cost_nanodollars, budget.remaining()) == (3 * CENT, 7 * CENT)
    assert last_call(budget).estimated is None


def test_a_call_that_could_pass_a_limit_is_not_begun():
    with (
        solvent.budget("render", usd="0.10") as budget,
        pytest.raises(BudgetExceeded) as refused,
        solvent.call("gpu", usd="0.11"),
    ):
        raise AssertionError("it is begun")
    assert (refused.value.scope, refused.value.requested) == (str(budget.scope), 11 * CENT)
    assert refused.value.report.total.calls == 0


@pytest.mark.parametrize(
    ("settle", "cents", "estimated"),
    [
        (lambda call: call.settle(usd="0.03"), 3, None),
        (lambda call: call.settle(0.03), 3, None),
        (lambda call: call.settle("$0.03"), 3, None),
        (lambda call: call.settle(usd=0), 0, None),
        (lambda call: call.settle(usd="0.20"), 20, None),  # Above what was set aside: it was spent.
        (lambda call: call.settle(), 10, "usage_missing"),
        (lambda call: call.settle({"prompt_tokens": 5, "completion_tokens": 2}), 10, "usage_missing"),
        (lambda _: None, 10, "usage_missing"),
    ],
)
def test_money_is_booked_as_it_is_told_and_else_as_it_was_set_aside(settle, cents, estimated):
    with solvent.budget(usd=1) as budget:
        with solvent.call("gpu", usd="0.10") as call:
            settle(call)
        assert budget.remaining() == 100 * CENT - cents * CENT
    assert last_call(budget).estimated == estimated


# gpt-4o: $2.50 and $10.00 per million tokens.
@pytest.mark.parametrize(
    ("settle", "nanodollars", "usage", "estimated"),
    [
        (lambda call: call.settle(input_tokens=400, output_tokens=10), 1_100_000, (400, 10), None),
        (lambda call: call.settle({"input_tokens": 400, "output_tokens": 10}), 1_100_000, (400, 10), None),
        (lambda call: call.settle(input_tokens=400), 2_000_000, (400, 100), "usage_missing"),
        (lambda call: call.settle(tokens=410), 1_775_000, (310, 100), "usage_missing"),
        (lambda call: call.settle(410), 1_775_000, (310, 100), "usage_missing"),
        (lambda call: call.settle(output_tokens=10, tokens=410), 1_100_000, (400, 10), None),
        (lambda call: call.settle({"output_tokens": 10, "total_tokens": 410}), 1_100_000, (400, 10), None),
        (lambda call: call.settle(input_tokens=400, tokens=410), 1_100_000, (400, 10), None),
        (lambda call: call.settle(output_tokens=10), 2_600_000, (1_000, 10), "usage_missing"),
        (lambda call: call.settle(input_tokens=400, output_tokens=10, model="gpt-4o-mini"), 66_000, (400, 10), None),
        (lambda _: None, 3_500_000, (1_000, 100), "usage_missing"),
        (lambda call: call.settle(input_tokens=400, output_tokens=10, usd="0.01"), CENT, (400, 10), None),
    ],
)
def test_tokens_are_priced_and_what_is_not_told_is_booked_as_it_was_set_aside(settle, nanodollars, usage, estimated):
    with (
        solvent.budget(usd=1) as budget,
        solvent.call(model="gpt-4o", input_tokens=1_000, output_tokens=100) as call,
    ):
        settle(call)
    record = last_call(budget)
    assert (call.cost_nanodollars, record.cost_nanodollars) == (nanodollars, nanodollars)
    assert (record.usage["input_tokens"], record.usage["output_tokens"]) == usage
    assert record.estimated == estimated


def test_a_call_that_fails_is_booked_in_full_and_the_program_goes_on():
    with solvent.budget(usd="0.20") as budget:
        with pytest.raises(KeyError), solvent.call("gpu", usd="0.10"):
            raise KeyError
        assert budget.remaining() == 10 * CENT
        with solvent.call("gpu", usd="0.10") as call:
            call.settle(usd=0)
    assert [entry.call.estimated for entry in entries(budget) if entry.kind == "settle"] == ["failed", None]


def test_a_call_that_fails_after_it_was_settled_is_booked_as_it_was_settled():
    with solvent.budget(usd="0.20") as budget:

        def work():
            with solvent.call("gpu", usd="0.10") as call:
                call.settle(usd="0.01")
                raise KeyError

        with pytest.raises(KeyError):
            work()
        assert budget.remaining() == 19 * CENT


def test_a_call_of_which_nothing_was_made_is_released():
    with solvent.budget(usd="0.10", calls=1) as budget:
        with solvent.call("gpu", usd="0.10") as call:
            call.release()
        assert (budget.remaining(), budget.remaining("calls"), call.cost_nanodollars) == (10 * CENT, 1, 0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda call: call.settle(usd=-1), "usd must be an amount of dollars from 0 up, got -1"),
        (lambda call: call.settle(usd=float("nan")), "usd must be an amount of dollars from 0 up, got nan"),
        (lambda call: call.settle(True), "usd must be an amount of money, got True"),
        (lambda call: call.settle(input_tokens=-1), "input_tokens must be within 0 and 9007199254740991, got -1"),
        (lambda call: call.settle(output_tokens=1.5), "output_tokens must be a whole number, got 1.5"),
        (lambda call: call.settle(tokens=float("inf")), "tokens must be a whole number, got inf"),
        (lambda call: call.settle(output_tokens=6, tokens=5), "output_tokens must not be above tokens, got 6 of 5"),
        (lambda call: call.settle(5, usd=1), "used must be the only amount, got 5 and another one"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_call_is_open_still(bad, message):
    with solvent.budget(usd="0.10") as budget:
        with solvent.call("gpu", usd="0.10") as call:
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                bad(call)
            call.settle(usd="0.01")
        assert budget.remaining() == 9 * CENT


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"usd": -1}, "usd must be an amount of dollars from 0 up, got -1"),
        ({"usd": "1/day"}, "usd must be an amount of dollars such as 2 or 0.50, got '1/day'"),
        ({"input_tokens": True}, "input_tokens must be a whole number, got True"),
        ({"name": ""}, "name must be a text with something in it, got ''"),
        ({"model": 5}, "model must be a text with something in it, got 5"),
        ({"wait": -1}, "wait must be a length of time such as 30s, 10m or 1h30m, got -1"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused_before_anything(given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        solvent.call(**given)


def test_what_a_limit_needs_to_know_has_to_be_said():
    with solvent.budget(usd=1, tokens=100):
        with pytest.raises(Unbounded, match="nothing bounds what it can use"), solvent.call("it"):
            pass
        with pytest.raises(PriceUnknown, match="'no-such-model' has no price"), solvent.call(model="no-such-model"):
            pass
        with pytest.raises(Unbounded, match="say the most that it can use"), solvent.call(model="gpt-4o", usd=1):
            pass
        with solvent.call("gpu", usd=1) as call:  # What is no model uses no tokens.
            call.settle(usd=0)


def test_without_limits_everything_is_recorded_and_nothing_refused():
    with solvent.budget() as budget, solvent.call("it"):
        pass
    assert [entry.kind for entry in entries(budget)] == ["open", "reserve", "settle", "close"]


def test_a_call_is_made_once():
    call = solvent.call("gpu", usd=0)
    with solvent.budget():
        with call:
            pass
        with pytest.raises(RuntimeError, match="the call 'gpu' was made already"), call:
            pass
    with pytest.raises(RuntimeError, match="the call 'gpu' is not open"):
        call.settle(usd=0)


def test_a_decorated_function_is_a_call_each_time():
    @solvent.call("gpu", usd="0.03")
    def render(frame):
        return frame * 2

    with solvent.budget(usd="0.10") as budget:
        assert [render(1), render(2), render(3)] == [2, 4, 6]
        with pytest.raises(BudgetExceeded):
            render(4)
    assert budget.report().total.cost_nanodollars == 9 * CENT


def test_a_call_of_a_budget_is_charged_to_it_wherever_it_is_made():
    with solvent.budget("outer", usd=1) as outer, solvent.agent("inner", usd="0.01") as inner:
        with outer.call("gpu", usd="0.50") as call:
            call.settle(usd="0.50")
        assert (outer.remaining(), inner.remaining()) == (50 * CENT, 1 * CENT)


def test_calls_inside_a_call_do_not_wait_for_it():
    with (
        solvent.budget(usd="0.10", parallel=1),
        solvent.call("outer", usd="0.10"),
        pytest.raises(BudgetExceeded) as refused,
        solvent.call("inner", usd="0.10", wait="20s"),
    ):
        pass
    assert not refused.value.held


def test_an_async_call_is_ended_at_its_deadline_and_booked():
    async def main():
        async with solvent.budget(usd=1, seconds=1) as budget:
            with pytest.raises(DeadlinePassed, match="the call was ended"):
                async with solvent.call("slow", usd="0.10"):
                    await asyncio.Event().wait()
            return budget

    budget = asyncio.run(main())
    assert budget.remaining() == 90 * CENT
    assert last_call(budget).estimated == "failed"


def test_a_cancelled_call_is_booked_in_full():
    async def main():
        async with solvent.budget(usd=1) as budget:
            begun = asyncio.Event()

            async def work():
                async with solvent.call("slow", usd="0.10"):
                    begun.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(work())
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await budget.aremaining() == 90 * CENT

    asyncio.run(main())


@pytest.mark.usefixtures("eager_switching")
def test_threads_never_pass_a_limit_together():
    barrier, made = threading.Barrier(16), []

    def work(_):
        barrier.wait()
        for _ in range(4):
            try:
                with budget.call("step", usd="0.03", wait=0) as call:
                    made.append(1)
                    call.settle(usd="0.03")
            except BudgetExceeded:
                pass

    with solvent.budget(usd="1.00") as budget:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(work, range(16)))
        assert (len(made), budget.remaining()) == (33, 1 * CENT)


def test_a_decision_says_whether_a_call_would_be_admitted_and_changes_nothing():
    with solvent.budget("triage", usd="0.10", calls=5) as budget:
        with solvent.call("gpu", usd="0.06") as call:
            call.settle(usd="0.06")
        before = entries(budget)
        fits, over = budget.check(usd="0.04"), solvent.check(usd="0.05")
        assert (bool(fits), str(fits), fits.amounts["usd"]) == (True, "allowed", 4 * CENT)
        assert (over.allowed, over.scope, over.meter, over.limit, over.spent, over.requested, over.remaining) == (
            False,
            str(budget.scope),
            "usd",
            10 * CENT,
            6 * CENT,
            5 * CENT,
            4 * CENT,
        )
        assert over.reason == str(over) == f"{budget.scope} has $0.04 left of $0.10; this call needs up to $0.05."
        assert over.source == "budget('triage')"
        assert over == solvent.check(usd="0.05")
        assert entries(budget) == before
        assert asyncio.run(budget.acheck(usd="0.05")) == asyncio.run(solvent.acheck(usd="0.05")) == over


def test_a_decision_knows_prices_bounds_time_and_depth():
    with solvent.budget(usd="0.001"):
        assert solvent.check(model="gpt-4o", input_tokens=100, output_tokens=10)
        assert solvent.check(model="gpt-4o", input_tokens=1_000, output_tokens=10).meter == "usd"
        unknown = solvent.check(model="no-such-model", input_tokens=1, output_tokens=1)
        assert isinstance(unknown.error, PriceUnknown)
        assert isinstance(solvent.check("it").error, Unbounded)
    with solvent.budget(calls=0):
        assert solvent.check(usd=0).meter == "calls"


def test_room_that_open_calls_hold_is_told_apart():
    with solvent.budget(usd="0.10") as budget, solvent.call("gpu", usd="0.06"):
        inside = solvent.check(usd="0.05")
        outside = contextvars.Context().run(budget.check, usd="0.05")
    assert (inside.error.held, outside.error.held) == (False, True)  # A call does not wait for itself.
    assert inside.reserved == outside.reserved == 6 * CENT


def test_a_refusal_carries_its_history_through_a_pickle():
    with solvent.budget(usd="0.10") as budget:
        with solvent.call("gpu", usd="0.06") as call:
            call.settle(usd="0.06")
        with pytest.raises(BudgetExceeded) as refused, solvent.call("gpu", usd="0.06"):
            pass
    twin = pickle.loads(pickle.dumps(refused.value))
    assert str(twin) == str(refused.value)
    assert twin.report.total == budget.report().total
    assert twin.report.total.cost_nanodollars == 6 * CENT
    assert twin.results == {}


def test_results_that_cannot_be_pickled_stay_behind():
    def work(n):
        if n:
            with solvent.call("gpu", usd=1):
                pass
        return lambda: n

    with solvent.budget(usd="0.10"), pytest.raises(BudgetExceeded) as refused:
        solvent.fan_out(work, range(2), concurrency=1)
    assert list(refused.value.results) == [0]
    assert pickle.loads(pickle.dumps(refused.value)).results == {}


def test_a_reservation_of_which_nobody_heard_is_released_when_the_ledger_answers_again(monkeypatch):
    with solvent.budget(usd=1) as budget:
        ledger = PROCESS.runtime().ledger
        do = ledger.do

        def answers_in_vain(operation):
            do(operation)
            raise OutcomeUnknown(ledger=ledger.store.url, id="", reason="the line was cut")

        with monkeypatch.context() as broken:
            broken.setattr(ledger, "do", answers_in_vain)
            with pytest.raises(OutcomeUnknown), solvent.call("gpu", usd="0.50"):
                raise AssertionError("it is begun")
        assert budget.remaining() == 50 * CENT
        PROCESS.runtime().guard.drain()
        assert budget.remaining() == 100 * CENT
