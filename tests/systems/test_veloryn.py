"""
A decision between the steps of a program: what users of such a system can do, in Solvent.
"""

import asyncio
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from users import CENT, said

import solvent
from solvent import BudgetExceeded


@pytest.mark.slow
def test_v1_the_same_question_gets_the_same_answer_and_leaves_the_journal_as_it_is_byte_for_byte(user):
    with solvent.budget("pipeline", usd="0.10", ledger=user.ledger) as budget:
        with solvent.call("first step", usd="0.07"):
            pass
        before = user.journal()
        answers = [budget.check("second step", usd="0.04") for _ in range(3)]
        answers += [solvent.check(usd="0.04"), asyncio.run(budget.acheck(usd="0.04"))]
        allowed = budget.check(usd="0.03")
        assert user.journal() == before
    answer = answers[0]
    assert answers == [answer] * 5
    assert (bool(answer), bool(allowed)) == (False, True)
    assert answer.reason == f"{budget.scope} has $0.03 left of $0.10; this call needs up to $0.04."
    assert (answer.scope, answer.meter) == (str(budget.scope), "usd")
    assert (answer.limit, answer.spent, answer.reserved) == (10 * CENT, 7 * CENT, 0)
    assert (answer.requested, answer.remaining) == (4 * CENT, 3 * CENT)
    assert (allowed.reason, allowed.limit) == ("", None)


def test_v1_what_the_answer_says_is_what_the_step_then_gets(user):
    def step(usd):
        with solvent.call("any callable", usd=usd):
            return "done"

    with solvent.budget("pipeline", usd="0.10", ledger=user.ledger) as budget:
        step("0.07")
        no = budget.check(usd="0.04")
        with pytest.raises(BudgetExceeded) as refused:
            step("0.04")
        assert (refused.value.headline(), type(no.error)) == (no.reason, BudgetExceeded)
        assert budget.check(usd="0.03")
        assert step("0.03") == "done"


def test_v2_without_a_limit_everything_is_recorded_and_nothing_blocked_and_a_limit_comes_later(user):
    def work():
        for _ in range(5):
            with solvent.call("step", usd="1.00") as call:
                call.settle(usd="0.02")

    with solvent.budget("work", ledger=user.ledger) as observed:
        work()
        assert observed.check(usd=1_000_000)
    seen = observed.report()
    assert (seen.total.calls, seen.total.cost_nanodollars, seen.refusals) == (5, 10 * CENT, 0)
    assert observed.remaining() is None

    with solvent.budget("work", usd="1.06", ledger=user.ledger) as limited:
        with pytest.raises(BudgetExceeded):
            work()  # After four steps of two cents the fifth could cost a dollar more.
        assert (limited.report().total.calls, limited.remaining()) == (4, 98 * CENT)


def test_v3_a_step_is_wrapped_with_the_usage_that_it_reports(user):
    @solvent.call("search", usd="0.05")
    def search():
        return "found"

    with solvent.budget("task", usd="1.00", ledger=user.ledger) as budget:
        with solvent.call("answer", model="gpt-4o", input_tokens=2_000, output_tokens=1_000) as call:
            reply = {"usage": {"prompt_tokens": 1_200, "completion_tokens": 300, "total_tokens": 1_500}}
            call.settle(reply)
        assert call.cost_nanodollars == 1_200 * 2_500 + 300 * 10_000
        assert search() == "found"
        assert budget.report().total.cost_nanodollars == 6_000_000 + 5 * CENT


def test_v3_a_step_that_fails_is_booked_by_rule_and_the_task_goes_on(user):
    def step(say):
        with solvent.call("step", usd="0.04") as call:
            say(call)
            raise ConnectionError

    with solvent.budget("task", usd="0.10", calls=3, ledger=user.ledger) as budget:
        with pytest.raises(ConnectionError):
            step(lambda _: None)
        assert budget.remaining() == 6 * CENT  # Nobody knows what it came to: all that was set aside.
        with pytest.raises(ConnectionError):
            step(lambda call: call.settle(usd="0.01"))
        assert budget.remaining() == 5 * CENT
        with pytest.raises(ConnectionError):
            step(lambda call: call.release())  # It was never sent.
        assert budget.remaining() == 5 * CENT
        with solvent.call("next", usd="0.05") as call:
            pass
        assert (call.cost_nanodollars, budget.remaining(), budget.remaining("calls")) == (5 * CENT, 0, 0)
    report = budget.report()
    assert (report.total.calls, report.released, report.open.count) == (3, 1, 0)


OWN_PRICES = """
import json, solvent

with solvent.budget("priced", usd="1.00") as budget:
    with solvent.call(model="my-model", input_tokens=1_000, output_tokens=1_000) as call:
        call.settle(input_tokens=500, output_tokens=100)
    refused = None
    try:
        with solvent.call(model="nobody-knows", input_tokens=10, output_tokens=10):
            pass
    except solvent.PriceUnknown as error:
        refused = error.model
    print(json.dumps([call.cost_nanodollars, refused, budget.report().total.calls]))
"""


@pytest.mark.slow
def test_v4_own_prices_count_and_a_model_without_one_is_refused_under_a_limit_in_dollars(user):
    user.policy("prices: {my-model: {input: 3.00, output: 15.00}}\n")
    assert user.runs(OWN_PRICES) == [500 * 3_000 + 100 * 15_000, "nobody-knows", 1]


BORROWED_PRICES = """
import json, solvent
from solvent.events import PriceAssumed

assumed, costs = [], []

def hear(event):
    if isinstance(event, PriceAssumed):
        assumed.append([event.model, event.priced_as])

with solvent.listen(hear), solvent.budget("priced", usd="1.00"):
    for model in ("one", "other", "one", "one", "other"):
        with solvent.call(model=model, input_tokens=1_000, output_tokens=1_000) as call:
            call.settle(input_tokens=100, output_tokens=10)
        costs.append(call.cost_nanodollars)
print(json.dumps([assumed, costs]))
"""


@pytest.mark.slow
def test_v4_a_model_without_a_price_gets_another_ones_if_the_policy_says_so_with_one_event_for_each_model(user):
    user.policy("unpriced: {price_as: gpt-4o}\n")
    assumed, costs = user.runs(BORROWED_PRICES)
    assert assumed == [["one", "gpt-4o"], ["other", "gpt-4o"]]
    assert costs == [100 * 2_500 + 10 * 10_000] * 5


STEPS = """
import solvent

with solvent.budget("steps", usd="0.05"):
    try:
        while True:
            with solvent.call("step", usd="0.02"):
                pass
    except solvent.BudgetExceeded:
        pass
"""


@pytest.mark.slow
def test_v5_the_report_is_true_to_the_journal_and_the_library_prints_nothing(user, capfd):
    with user.starts(STEPS) as program:
        assert program.communicate(timeout=60) == ("", "")
    report = json.loads(user.solvent("report", "--last", "--json"))
    booked = [int(entry["cost_nanodollars"]) for entry in user.entries() if entry["kind"] == "settle"]
    assert booked == [2 * CENT, 2 * CENT]
    assert report["total"]["cost_nanodollars"] == str(sum(booked))
    assert [(one["code"], one["count"]) for one in report["refused"]] == [("budget_exceeded", 1)]
    (limit,) = report["limits"]
    assert (limit["spent"], limit["limit"]) == (str(4 * CENT), str(5 * CENT))
    assert capfd.readouterr() == ("", "")


def test_v5_each_step_says_what_it_cost_and_the_report_what_all_did(user, capfd):
    costs = []
    with solvent.budget("steps", usd="1.00", ledger=user.ledger) as budget:
        for number, usd in enumerate(("0.01", "0.20", "0.03")):
            with solvent.call(f"step {number}", usd="0.30") as call:
                call.settle(usd=usd)
            costs.append(call.cost_nanodollars)
    assert costs == [1 * CENT, 20 * CENT, 3 * CENT]
    report = budget.report()
    assert {one.model: one.use.cost_nanodollars for one in report.models} == {
        "step 0": costs[0],
        "step 1": costs[1],
        "step 2": costs[2],
    }
    assert report.total.cost_nanodollars == sum(costs)
    assert "24 %  $0.24 of $1.00" in str(report)
    assert capfd.readouterr() == ("", "")


SEALED = """
import json, sys

connected = []

def audit(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        connected.append(event)

sys.addaudithook(audit)
import solvent

solvent.install()
with solvent.budget("local", usd="1.00") as budget:
    with solvent.call(model="gpt-4o", input_tokens=1_000, output_tokens=1_000):
        pass
    budget.report()
print(json.dumps(connected))
"""


@pytest.mark.slow
def test_v6_all_stays_on_this_machine_where_its_owner_can_read_it_and_nothing_in_the_current_folder(user):
    del user.env["SOLVENT_LEDGER"]
    assert user.runs(SEALED) == []
    assert list(user.folder.iterdir()) == []
    assert [path.name for path in Path(user.env["XDG_STATE_HOME"]).rglob("*.db")] == ["ledger.db"]
    report = json.loads(user.solvent("report", "--last", "--json"))
    assert (report["scope"].startswith("run:local-"), report["total"]["calls"]) == (True, 1)
    assert [entry["kind"] for entry in user.entries()] == ["open", "reserve", "settle", "close"]


LIMIT, PRICE, TRIES = "1.00", "0.03", 64


def spend() -> str:
    """
    One call of three cents: whether it was made.
    """
    try:
        with solvent.call("agent", usd=PRICE):
            return "made"
    except BudgetExceeded as refused:
        return "held" if refused.held else "refused"


def check(budget, outcomes) -> None:
    assert Counter(outcomes) == {"made": 33, "refused": 31}
    assert (budget.remaining(), budget.remaining("calls")) == (1 * CENT, None)
    report = budget.report()
    assert (report.total.calls, report.total.cost_nanodollars, report.refusals) == (33, 99 * CENT, 31)


def test_v7_a_loop_spends_99_cents_of_a_dollar(user):
    with solvent.budget("loop", usd=LIMIT, ledger=user.ledger) as budget:
        check(budget, [spend() for _ in range(TRIES)])


def test_v7_64_tasks_spend_99_cents_of_a_dollar(user):
    async def agent() -> str:
        try:
            async with solvent.call("agent", usd=PRICE):
                await asyncio.sleep(0)
                return "made"
        except BudgetExceeded as refused:
            return "held" if refused.held else "refused"

    async def main() -> list[str]:
        return await asyncio.gather(*(agent() for _ in range(TRIES)))

    with solvent.budget("tasks", usd=LIMIT, ledger=user.ledger) as budget:
        check(budget, asyncio.run(main()))


@pytest.mark.slow
@pytest.mark.usefixtures("eager_switching", "hooked")
def test_v7_64_threads_spend_99_cents_of_a_dollar(user):
    together = threading.Barrier(TRIES)

    def agent(_) -> str:
        together.wait()
        return spend()

    with solvent.budget("threads", usd=LIMIT, ledger=user.ledger) as budget, ThreadPoolExecutor(TRIES) as pool:
        check(budget, list(pool.map(agent, range(TRIES))))


PROCESS = """
import json, solvent

solvent.check()  # The ledger is open.
wait()
outcomes = []
for _ in range(16):
    try:
        with solvent.call("agent", usd="0.03"):
            outcomes.append("made")
    except solvent.BudgetExceeded as refused:
        outcomes.append("held" if refused.held else "refused")
print(json.dumps(outcomes))
"""


@pytest.mark.slow
def test_v7_4_processes_spend_99_cents_of_a_dollar(user):
    with solvent.budget("processes", usd=LIMIT, ledger=user.ledger) as budget:
        started = user.starts_together(PROCESS, *[budget.carry().environ] * 4)
        check(budget, [outcome for each in started for outcome in said(each)])
