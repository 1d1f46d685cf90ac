"""
Limits over loops and parallel branches: what users of such a system can do, in Solvent.
"""

import asyncio
import json
import pickle

import driven
import pytest
from fake_provider import Answer
from users import CENT

import solvent
from solvent import BudgetExceeded

# With gpt-4o, at $2.50 and $10.00 per million tokens: 8 tokens read and so many written.
THREE_CENTS, TEN_CENTS = 2_998, 9_998
IN = 8
MINI = IN * 150 + TEN_CENTS * 600  # What gpt-4o-mini costs for as much as ten cents are with gpt-4o.


def answer(output_tokens):
    return Answer(input_tokens=IN, output_tokens=output_tokens)


def request(output_tokens, model="gpt-4o"):
    messages = [{"role": "user", "content": "hi"}]
    return {"model": model, "max_tokens": output_tokens, "messages": messages}


def bill(fake):
    """
    What the provider's own bill comes to, in nanodollars.
    """
    prices = {"gpt-4o": (2_500, 10_000), "gpt-4o-mini": (150, 600)}
    return sum(one.input_tokens * prices[one.model][0] + one.output_tokens * prices[one.model][1] for one in fake.bill)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
@pytest.mark.parametrize("limit", [{"usd": "1.00"}, {"tokens": 100_000}], ids=["cost", "tokens"])
def test_f1_64_branches_of_a_workflow_spend_99_cents_of_a_dollar(user, fake_provider, limit):
    fake = fake_provider(answer(THREE_CENTS))

    async def workflow():
        async with user.async_client(fake) as client:

            async def branch(_):
                return await client.chat.completions.create(**request(THREE_CENTS))

            async with solvent.budget("workflow", **limit, ledger=user.ledger) as budget:
                with pytest.raises(BudgetExceeded) as refused:
                    await solvent.fan_out(branch, range(64), concurrency=64)
                return budget, refused.value

    budget, error = asyncio.run(workflow())
    assert (len(fake.bill), bill(fake)) == (33, 99 * CENT)
    assert len(error.results) == 33
    assert not error.held
    total = budget.report().total
    assert (total.cost_nanodollars, sum(total.tokens.values())) == (99 * CENT, 33 * (IN + THREE_CENTS))


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_f2_a_loop_is_halted_after_2_turns_at_20_cents_of_25_and_the_third_is_never_sent(user, fake_provider):
    fake, turns = fake_provider(answer(TEN_CENTS)), []
    client = user.client(fake)

    def refine():
        for turn in solvent.loop("refine"):
            with turn:
                client.chat.completions.create(**request(TEN_CENTS))
                turns.append(turn.number)

    with solvent.budget("loop", usd="0.25", ledger=user.ledger) as budget, pytest.raises(BudgetExceeded):
        refine()
    assert turns == [0, 1]
    assert (len(fake.seen), bill(fake)) == (2, 20 * CENT)
    assert budget.report().total.cost_nanodollars == 20 * CENT
    assert budget.remaining() == 5 * CENT


@pytest.mark.parametrize("free_seconds", [0, 0.05], ids=["at once", "after 50 ms"])
def test_f3_a_breach_cancels_slow_siblings_at_once_and_what_they_used_is_booked(free_seconds):
    seen = []

    async def cheap():
        async with solvent.call("cheap", usd="0.01"):
            seen.append(("cheap begins", driven.now()))
            try:
                await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                seen.append(("cheap is cancelled", driven.now()))
                raise

    async def dear():
        await asyncio.sleep(free_seconds)
        async with solvent.call("dear", usd="0.15"):
            seen.append(("dear begins", driven.now()))

    async def run(branch):
        await branch()

    async def parallel():
        async with solvent.budget("parallel", usd="0.10", ledger="memory://") as budget:
            with pytest.raises(BudgetExceeded) as refused:
                await solvent.fan_out(run, [cheap, dear], on_refusal="cancel")
            seen.append(("it is over", driven.now()))
            return budget, refused.value

    budget, error = driven.run(parallel())
    assert seen == [("cheap begins", 0), ("cheap is cancelled", free_seconds), ("it is over", free_seconds)]
    assert (error.requested, error.held) == (15 * CENT, False)
    assert (budget.report().total.cost_nanodollars, budget.remaining()) == (1 * CENT, 9 * CENT)


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_f3_a_siblings_request_that_is_under_way_is_cut_at_the_breach(user, fake_provider):
    fake = fake_provider(Answer(hangs=True))

    async def parallel():
        async with user.async_client(fake) as client:

            async def run(number):
                if number == 0:
                    await client.chat.completions.create(**request(500))
                await asyncio.to_thread(fake.wait_until, lambda: fake.open_count == 1)
                async with solvent.call("dear", usd="0.15"):
                    pass

            async with solvent.budget("parallel", usd="0.10", ledger=user.ledger) as budget:
                with pytest.raises(BudgetExceeded):
                    await solvent.fan_out(run, range(2), on_refusal="cancel")
                return budget

    budget = asyncio.run(parallel())
    fake.wait_until(lambda: fake.left_count == 1)
    report = budget.report()
    assert (report.total.calls, report.open.count) == (1, 0)
    assert report.total.cost_nanodollars >= bill(fake) > 0  # The reply that nobody saw is booked at its most.


@pytest.mark.parametrize("wait", [None, 0], ids=["waiting for the sibling", "refused beside it"])
def test_f4_an_endless_loop_of_two_parallel_steps_makes_exactly_5_calls_for_50_cents(user, wait):
    made = []

    async def step(number):
        async with solvent.call("step", usd="0.10"):
            await asyncio.sleep(0)
            made.append(number)

    async def endless():
        async for turn in solvent.loop("endless"):
            async with turn:
                await solvent.fan_out(step, range(2))

    async def main():
        async with solvent.budget("nested", usd="0.50", wait=wait, ledger=user.ledger) as budget:
            with pytest.raises(BudgetExceeded) as refused:
                await endless()
            return budget, refused.value

    budget, error = asyncio.run(main())
    assert (len(made), len(error.results)) == (5, 1)
    assert (budget.report().total.cost_nanodollars, budget.remaining()) == (50 * CENT, 0)


@pytest.mark.usefixtures("hooked")
def test_f4_so_it_does_in_threads(user):
    made = []

    def step(number):
        with solvent.call("step", usd="0.10"):
            made.append(number)

    def endless():
        for turn in solvent.loop("endless"):
            with turn:
                solvent.fan_out(step, range(2))

    with solvent.budget("nested", usd="0.50", ledger=user.ledger) as budget:
        with pytest.raises(BudgetExceeded):
            endless()
        assert (len(made), budget.remaining()) == (5, 0)


def test_f5_the_error_has_the_history_the_totals_and_the_partial_results(user):
    def write(usd):
        with solvent.call("write", usd=usd):
            return f"chapter for {usd}"

    with solvent.budget("book", usd="0.50", calls=10, ledger=user.ledger) as budget:
        with solvent.call("plan", usd="0.10"):
            pass
        with pytest.raises(BudgetExceeded) as refused:
            solvent.fan_out(write, ["0.10", "0.20", "0.30", "0.05"], concurrency=1)
    error = refused.value
    assert error.results == {0: "chapter for 0.10", 1: "chapter for 0.20"}
    assert (error.limit, error.spent, error.requested) == (50 * CENT, 40 * CENT, 30 * CENT)
    report = error.report
    assert report is not None
    assert (report.scope, report.total.calls, report.total.cost_nanodollars) == (str(budget.scope), 3, 40 * CENT)
    assert {one.model: (one.use.calls, one.use.cost_nanodollars) for one in report.models} == {
        "plan": (1, 10 * CENT),
        "write": (2, 30 * CENT),
    }
    assert [(one.code, one.count) for one in report.refused] == [("budget_exceeded", 1)]
    assert {each.account.meter: (each.spent, each.limit) for each in report.limits} == {
        "usd": (40 * CENT, 50 * CENT),
        "calls": (3, 10),
    }
    again = pickle.loads(pickle.dumps(error))  # As from another process.
    assert (again.results, again.report.total, str(again)) == (error.results, report.total, str(error))


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_f6_a_cheaper_workflow_goes_on_after_a_breach(user, fake_provider):
    fake = fake_provider(answer(TEN_CENTS))
    client = user.client(fake)

    def workflow(model):
        for _ in range(3):
            client.chat.completions.create(**request(TEN_CENTS, model))
        return model

    with solvent.budget("job", usd="0.30", ledger=user.ledger) as budget:
        try:
            with solvent.step("good", usd="0.21"):
                done = workflow("gpt-4o")
        except BudgetExceeded:
            with solvent.step("cheap"):
                done = workflow("gpt-4o-mini")
    assert done == "gpt-4o-mini"
    assert [one.model for one in fake.bill] == ["gpt-4o"] * 2 + ["gpt-4o-mini"] * 3
    assert budget.report().total.cost_nanodollars == bill(fake) == 20 * CENT + 3 * MINI


@pytest.mark.slow
@pytest.mark.usefixtures("hooked")
def test_f6_and_by_fallback_before_it(user, fake_provider):
    fake = fake_provider(answer(TEN_CENTS))
    client = user.client(fake)
    fallback = ["gpt-4o", "gpt-4o-mini"]
    with solvent.budget("job", usd="0.25", fallback=fallback, ledger=user.ledger) as budget:
        for _ in range(10):
            client.chat.completions.create(**request(TEN_CENTS))
        with pytest.raises(BudgetExceeded):
            client.chat.completions.create(**request(TEN_CENTS))
    assert [seen.body["model"] for seen in fake.seen] == ["gpt-4o"] * 2 + ["gpt-4o-mini"] * 8
    assert budget.report().total.cost_nanodollars == bill(fake) == 20 * CENT + 8 * MINI


PATTERNS = """\
budgets:
  run:*: {usd: 1.00}
  run:triage-*: {usd: 0.50}
  agent:researcher: {usd: 0.20}
  agent:*: {usd: 1.00}
"""
BREACHES = """
import json, solvent

def until_refused():
    try:
        while True:
            with solvent.call("work", usd="0.10"):
                pass
    except solvent.BudgetExceeded as error:
        return [error.scope, error.source.rpartition(":")[2], error.spent]

with solvent.budget("triage") as triage:
    with solvent.agent("researcher") as researcher:
        found = [until_refused()]
    found.append(until_refused())
with solvent.budget("other"):
    found.append(until_refused())
print(json.dumps([str(researcher.scope), found]))
"""


@pytest.mark.slow
def test_f7_budgets_by_name_pattern_hold_and_explain_names_the_line_that_a_limit_came_from(user):
    user.policy(PATTERNS)
    scope, found = user.runs(BREACHES)
    run = scope.partition("/")[0]
    assert found[:2] == [[scope, "4", 20 * CENT], [run, "3", 50 * CENT]]
    other, line, spent = found[2]
    assert (other.startswith("run:other-"), line, spent) == (True, "2", 100 * CENT)

    explained = json.loads(user.solvent("check", "--explain", scope, "--json"))
    limits = [(one["scope"], one["pattern"], one["limit"], one["state"]) for one in explained["limits"]]
    assert limits == [
        (run, "run:*", str(100 * CENT), "never"),
        (run, "run:triage-*", str(50 * CENT), "holds"),
        (scope, "agent:researcher", str(20 * CENT), "decides"),
        (scope, "agent:*", str(100 * CENT), "never"),
    ]
    assert [one["source"].rpartition(":")[2] for one in explained["limits"]] == ["2", "3", "4", "5"]


RESUMED = """
import json, sys, solvent

with solvent.resume(sys.argv[1]) as budget:
    before = budget.remaining()
    with solvent.call("work", usd="0.10"):
        pass
    print(json.dumps([str(budget.scope), before, budget.remaining()]))
"""


@pytest.mark.slow
def test_f8_a_resumed_run_goes_on_with_what_is_left_and_a_new_one_starts_afresh(user):
    def work():
        with solvent.call("work", usd="0.10"):
            pass

    with solvent.budget("job", usd="0.50", ledger=user.ledger) as budget:
        work()
        carrier = budget.carry()
    assert user.runs(RESUMED, str(carrier)) == [str(budget.scope), 40 * CENT, 30 * CENT]
    assert user.runs(RESUMED, str(budget.scope)) == [str(budget.scope), 30 * CENT, 20 * CENT]

    for given in (carrier, budget.scope):
        with solvent.resume(given, ledger=user.ledger) as again:
            work()
    assert (again.scope, again.remaining()) == (budget.scope, 0)
    with solvent.resume(carrier, ledger=user.ledger) as over, pytest.raises(BudgetExceeded) as refused:
        work()
    assert (refused.value.limit, refused.value.spent) == (50 * CENT, 50 * CENT)
    assert over.report().total.calls == 5

    with solvent.budget("job", usd="0.50", ledger=user.ledger) as new:
        assert (new.scope != budget.scope, new.remaining()) == (True, 50 * CENT)
