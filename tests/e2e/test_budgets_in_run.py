"""
Budgets that a Python program opens inside a ``solvent run``: the run's limits and theirs hold to the call, whichever
way the calls go, and the provider counts what the journal has, call by call.
"""

import sys
from collections import Counter
from collections.abc import Callable

import pytest
from fake_provider import Answer, Fake, Rates
from servers import Gate
from solvent_run import DOLLAR, PROGRAMS, Desk, Ran

from solvent.stores import open_store

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

# A call of 100 tokens is a cent.
CENT = DOLLAR // 100
PRICE, RATES = ("--price", "m=0/100"), Rates(input=0, output=100_000)
BEGIN = "import asyncio, os, solvent, sys; from calls import *\n"
INSTALL = "solvent.install()\n"


@pytest.fixture
def fake(desk: Desk, fake_provider: Fakes) -> Fake:
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    desk.env |= {"PAST_THE_GATEWAY": fake.url, "PYTHONPATH": str(PROGRAMS)}
    return fake


def run(desk: Desk, *options: str, text: str, installed: bool = True) -> Ran:
    program = BEGIN + (INSTALL if installed else "") + text
    return desk.run(*options, *PRICE, "--name", "outer", "--wait", "0s", command=[sys.executable, "-c", program])


def booked(desk: Desk) -> Counter[str]:
    """
    How many calls the journal has of each scope, without what makes a name unique.
    """
    store = open_store(desk.ledger)
    try:
        settled = [entry for entry in store.entries() if entry.kind == "settle"]
        assert len({entry.id for entry in settled}) == len(settled)
        return Counter(bare(entry.scope or "") for entry in settled)
    finally:
        store.close()


def bare(text: str) -> str:
    return " ".join("/".join(part.partition("-")[0] for part in word.split("/")) for word in text.split(" "))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_budget_and_its_run_both_stop_exactly(stream: bool, desk: Desk, fake: Fake) -> None:
    text = f"""
with solvent.budget("triage", calls=3) as budget:
    inside = [call(stream={stream}) for _ in range(5)]
    left = budget.remaining("calls")
outside = [call(stream={stream}) for _ in range(9)]
say([inside, outside, left])
"""
    ran = run(desk, "--calls", "10", text=text)
    inside, outside, left = ran.said
    assert list(map(bare, inside)) == ["answered"] * 3 + ["BudgetExceeded run:outer/step:triage calls"] * 2
    assert outside == ["answered"] * 7 + ["BudgetExceeded run:outer calls"] * 2
    assert left == 0
    assert booked(desk) == {"run:outer/step:triage": 3, "run:outer": 7}
    assert len(fake.seen) == desk.spent("run:outer", "calls") == 10
    assert fake.billed(RATES) == desk.spent("run:outer", "usd")
    assert ran.refused == 4


def test_a_program_that_installs_nothing_sees_what_its_sdk_makes_of_refusals(desk: Desk, fake: Fake) -> None:
    text = """
with solvent.budget("triage", calls=3):
    inside = [call() for _ in range(4)]
say([inside, [call() for _ in range(2)], call(past=True)])
"""
    ran = run(desk, "--calls", "4", text=text, installed=False)
    assert ran.said == [["answered"] * 3 + ["APIStatusError"], ["answered", "APIStatusError"], "answered"]
    assert booked(desk) == {"run:outer/step:triage": 3, "run:outer": 1}
    assert len(fake.seen) == 5  # Nobody sees the call that does not pass the gateway.


def test_what_was_uninstalled_makes_no_errors_and_budgets_hold_all_the_same(desk: Desk, fake: Fake) -> None:
    text = """
solvent.uninstall()
with solvent.budget("triage", calls=1):
    say([call() for _ in range(2)])
"""
    assert run(desk, text=text).said == ["answered", "APIStatusError"]
    assert len(fake.seen) == 1


def test_calls_past_the_gateway_are_held_to_the_limits_of_the_run(desk: Desk, fake: Fake) -> None:
    text = "say([[call(past=True), call(past=False)] for _ in range(4)])"
    ran = run(desk, "--usd", "0.05", text=text)
    refused = "BudgetExceeded run:outer usd"
    assert ran.said == [["answered"] * 2] * 2 + [["answered", refused], [refused] * 2]
    assert fake.billed(RATES) == desk.spent("run:outer", "usd") == 5 * CENT
    assert booked(desk) == {"run:outer": 5}


def test_calls_past_the_gateway_are_held_to_budgets_that_are_opened_there(desk: Desk, fake: Fake) -> None:
    text = """
with solvent.budget("outside", calls=4):
    with solvent.budget("inside", calls=3, wait="1s"):
        inside = [call(past=number % 2 == 0) for number in range(5)]
    say([inside, [call(past=number % 2 == 0) for number in range(3)]])
"""
    inside, outside = run(desk, "--calls", "10", text=text).said
    assert list(map(bare, inside)) == ["answered"] * 3 + ["BudgetExceeded run:outer/step:outside/step:inside calls"] * 2
    assert list(map(bare, outside)) == ["answered"] + ["BudgetExceeded run:outer/step:outside calls"] * 2
    assert len(fake.seen) == 4
    assert booked(desk) == {"run:outer/step:outside/step:inside": 3, "run:outer/step:outside": 1}


def test_64_tasks_at_once_on_both_ways_stop_at_the_call(desk: Desk, fake: Fake) -> None:
    text = """
async def main():
    async with solvent.budget("crowd", usd="0.20") as budget:
        inside = await crowd(64)
    say([inside, await crowd(64)])
asyncio.run(main())
"""
    inside, outside = run(desk, "--usd", "0.33", text=text).said
    assert (inside.count("answered"), outside.count("answered")) == (20, 13)
    assert {bare(end) for end in inside} == {"answered", "BudgetExceeded run:outer/step:crowd usd"}
    assert {bare(end) for end in outside} == {"answered", "BudgetExceeded run:outer usd"}
    assert len(fake.seen) == 33
    assert fake.billed(RATES) == desk.spent("run:outer", "usd") == 33 * CENT
    assert booked(desk) == {"run:outer/step:crowd": 20, "run:outer": 13}


def test_each_task_is_charged_to_the_budget_that_it_is_in(desk: Desk, fake: Fake) -> None:
    text = """
async def one(number):
    async with solvent.budget(f"task{number}", calls=number):
        return [await acall(past=past) for past in (True, False) * 3].count("answered")

async def main():
    say(await asyncio.gather(*(one(number) for number in range(6))))

asyncio.run(main())
"""
    assert run(desk, text=text).said == [0, 1, 2, 3, 4, 5]
    assert booked(desk) == {f"run:outer/step:task{number}": number for number in range(1, 6)}
    assert len(fake.seen) == 15


def test_threads_and_pools_say_whose_their_calls_are(desk: Desk, fake: Fake) -> None:
    text = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool, solvent.budget("one", calls=2), solvent.budget("two", calls=9):
    say(sorted(pool.map(lambda number: call(past=number % 2 == 0), range(8))))
"""
    ended = run(desk, text=text, installed=True).said
    assert list(map(bare, ended)) == ["BudgetExceeded run:outer/step:one calls"] * 6 + ["answered"] * 2
    assert len(fake.seen) == 2


def test_names_of_any_letters_reach_the_gateway(desk: Desk, fake: Fake) -> None:
    text = """
with solvent.budget("Prüfung 1/2: 100%", calls=1) as budget:
    say([call(), call().split()[0], str(budget.scope)])
"""
    answered, refused, scope = run(desk, text=text).said
    assert (answered, refused) == ("answered", "BudgetExceeded")
    assert scope.startswith("run:outer/step:Prüfung 1%2F2%3A 100%25-")
    assert len(fake.seen) == 1


def test_a_header_of_the_programs_own_adds_below_its_budget(desk: Desk, fake: Fake) -> None:
    text = """
def named(name):
    with openai.OpenAI(default_headers={"x-solvent-scope": name}) as client:
        client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=100)
named("agent:a")
with solvent.budget("triage"):
    named("agent:b/step:c")
"""
    run(desk, text=text)
    assert booked(desk) == {"run:outer/agent:a": 1, "run:outer/step:triage/agent:b/step:c": 1}
    assert len(fake.seen) == 2
    assert not [name for seen in fake.seen for name in seen.headers if name.startswith("x-solvent")]


def test_one_request_that_is_sent_in_two_budgets_is_charged_to_each(desk: Desk, fake: Fake) -> None:
    text = """
import httpx
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
with httpx.Client() as client:
    request = client.build_request("POST", url, json={"model": "m", "messages": MESSAGES, "max_tokens": 100})
    for name in ("one", "two"):
        with solvent.budget(name):
            client.send(request)
    client.send(request)
"""
    run(desk, text=text)
    assert booked(desk) == {"run:outer/step:one": 1, "run:outer/step:two": 1, "run:outer": 1}
    assert len(fake.seen) == 3


def test_the_fallback_and_the_wait_of_a_budget_hold_at_the_gateway(desk: Desk, fake: Fake) -> None:
    text = """
with solvent.budget("triage", usd="0.015", fallback=["m", "cheap"]):
    say([call(past=False), call(past=True), call(past=False)])
"""
    ran = desk.run(
        *PRICE, "--price", "cheap=0/10", "--name", "outer", "--wait", "0s",
        command=[sys.executable, "-c", BEGIN + INSTALL + text],
    )  # fmt: skip
    assert ran.said == ["answered"] * 3
    assert [seen.body["model"] for seen in fake.seen] == ["m", "cheap", "cheap"]


def test_a_budget_that_waits_lets_a_call_through_when_another_has_ended(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=30))
    desk.providers_at(fake.url)
    desk.env["PYTHONPATH"] = str(PROGRAMS)
    text = """
async def main():
    async with solvent.budget("triage", usd="0.016", wait="30s"):
        say(await asyncio.gather(*(acall() for _ in range(3))))
asyncio.run(main())
"""
    assert run(desk, text=text).said == ["answered"] * 3  # Under the run's own wait of 0 s two would be refused.
    assert len(fake.seen) == 3


def test_a_ledger_that_only_the_gateway_has_refuses_what_does_not_pass_it(desk: Desk, fake: Fake) -> None:
    text = """
with solvent.budget("triage", calls=2) as budget:
    ends = [call(), call(past=True), call(), call()]
    try:
        budget.remaining("calls")
    except solvent.SettingsError as error:
        say([ends, str(error)])
"""
    program = [sys.executable, "-c", BEGIN + INSTALL + text]
    with desk.running(["--ledger", "memory://", *PRICE, "--name", "outer", "--wait", "0s"], program) as running:
        ended, told = running.wait().said
    triage = "BudgetExceeded run:outer/step:triage calls"
    assert list(map(bare, ended)) == ["answered", "SettingsError", "answered", triage]
    assert told.startswith("--ledger: expected one that the processes of a run share")
    assert told.endswith(
        "To go on: give `solvent run` a file, or call an address of the gateway (OPENAI_BASE_URL and its kin)."
    )
    assert len(fake.seen) == 2


def test_a_budget_with_a_ledger_of_its_own_is_held_there_and_its_calls_by_the_run_too(desk: Desk, fake: Fake) -> None:
    text = f"""
with solvent.budget("own", calls=2, ledger="{desk.folder}/own.db", run="one"):
    own = [call(), call(), call()]
say([own, call(), call()])
"""
    own, *rest = run(desk, "--calls", "3", text=text).said
    assert own == ["answered"] * 2 + ["BudgetExceeded run:one calls"]
    assert rest == ["answered", "BudgetExceeded run:outer calls"]
    assert booked(desk) == {"run:outer": 3}
    assert len(fake.seen) == 3


def test_a_budget_inside_an_inner_run_is_a_step_below_it(desk: Desk, fake: Fake) -> None:
    text = """
with solvent.budget("triage", calls=9):
    say([call(past=number % 2 == 0) for number in range(4)])
"""
    inner = [sys.executable, "-m", "solvent", "run", "--calls", "3", "--name", "inner", "--quiet", "--"]
    command = [*inner, sys.executable, "-c", BEGIN + INSTALL + text]
    ran = desk.run("--calls", "10", *PRICE, "--name", "outer", "--wait", "0s", command=command)
    assert ran.said == ["answered"] * 3 + ["BudgetExceeded run:outer/step:inner calls"]
    assert booked(desk) == {"run:outer/step:inner/step:triage": 3}
    assert len(fake.seen) == 3


def test_a_forked_child_goes_on_in_its_parents_budget(desk: Desk, fake: Fake) -> None:
    text = """
import gc, threading
from solvent._runtime import PROCESS
budget = solvent.budget("triage", calls=3)
with budget:
    first = call(past=True)
    pid = os.fork()
    if pid == 0:
        call(), call(past=True)
    else:
        os.waitpid(pid, 0)
        say([first, call()])
if pid == 0:  # It has done with the budget, and its parent has not.
    del budget
    gc.collect()
    done = threading.Event()
    PROCESS.runtime().later(done.set)
    done.wait(30)
    os._exit(0)
"""
    first, last = run(desk, text=text).said
    assert (first, bare(last)) == ("answered", "BudgetExceeded run:outer/step:triage calls")
    assert len(fake.seen) == 3


def test_a_program_that_is_killed_leaves_nothing_uncounted(desk: Desk, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=500, hold_after=(4, Gate())))
    desk.providers_at(fake.url)
    desk.env |= {"PAST_THE_GATEWAY": fake.url, "PYTHONPATH": str(PROGRAMS)}
    text = """
import signal
async def main():
    async with solvent.budget("triage", usd="0.05"):
        streams = [await begun(past=past) for past in (True, False)]
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ran = run(desk, "--usd", "0.10", text=text)
    assert ran.code == 128 + 9
    assert fake.billed(RATES) == desk.spent("run:outer", "usd") == 2 * CENT
