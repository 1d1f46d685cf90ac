"""
One budget over threads, tasks, processes, programs in other languages and services: the provider counts what all of
them together had.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fake_provider import Answer, Fake, Rates, Seen
from npm import packages
from servers import Gate, server_process
from solvent_run import DOLLAR, PATIENCE_SECONDS, PROGRAMS, Desk, python

import solvent
from solvent._runtime import PROCESS
from solvent.stores import open_store

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

# A call of 100 tokens is three cents.
CENTS, RATES = 3, Rates(input=0, output=300_000)
POLICY = "prices: {m: {input: 0, output: 300}}\nwait: 0s\n"
ALONE = ("threads", "tasks", "children", "pool", "programs", "hops")


@pytest.fixture
def fake(desk: Desk, fake_provider: Fakes) -> Fake:
    fake = fake_provider(Answer(output_tokens=500))
    desk.providers_at(fake.url)
    (desk.folder / "solvent.yaml").write_text(POLICY)
    desk.env |= {"PYTHONPATH": str(PROGRAMS), "SOLVENT_POLICY": str(desk.folder / "solvent.yaml")}
    return fake


@pytest.fixture
def service(desk: Desk, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """
    A service in a process of its own, which has this machine's ledger.
    """
    assert fake.seen == []
    with serving(desk, monkeypatch, "-m", "uvicorn", "--port", "0", "service:app") as url:
        desk.env["SERVICE"] = url
        yield url


def serving(desk: Desk, monkeypatch: pytest.MonkeyPatch, *words: str) -> AbstractContextManager[str]:
    for name, value in desk.env.items():
        monkeypatch.setenv(name, value)
    return server_process([sys.executable, *words], ready="running on ")


@pytest.fixture(scope="session")
def node_packages() -> Path:
    return packages()


def go(desk: Desk, ways: str, count: int, **limits: object) -> tuple[str, Counter[str]]:
    """
    What became of so many calls of each way in one budget, whose scope comes first.
    """
    words = python("ways.py", json.dumps(limits), ways, str(count))
    done = subprocess.run(
        words, env=desk.env, cwd=desk.folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    return told["scope"], Counter(end.partition(" ")[0] for end in told["said"])


# Beside all of them at once, which the next one shows, each takes as long.
LONG = ("children", "hops", "pool", "programs")


@pytest.mark.parametrize("way", [pytest.param(way, marks=pytest.mark.long) if way in LONG else way for way in ALONE])
def test_of_64_calls_of_three_cents_33_pass_under_a_dollar(
    way: str, desk: Desk, fake: Fake, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("service" if way == "hops" else "fake")
    scope, ends = go(desk, way, 64, usd="1.00")
    assert ends == {"answered": 33, "BudgetExceeded": 31}
    assert fake.billed(RATES) == desk.spent(scope, "usd") == 99 * DOLLAR // 100
    desk.balanced()


@pytest.mark.usefixtures("service")
def test_all_ways_at_once_spend_99_cents_of_a_dollar(desk: Desk, fake: Fake, node_packages: Path) -> None:
    desk.env["NODE_PACKAGES"] = str(node_packages)
    scope, ends = go(desk, "threads,tasks,children,pool,programs,node,hops", 8, usd="1.00")
    assert ends["answered"] == len(fake.seen) == 33
    assert fake.billed(RATES) == desk.spent(scope, "usd") == 99 * DOLLAR // 100
    desk.balanced()


@pytest.mark.usefixtures("fake")
def test_a_call_of_a_child_that_is_killed_is_charged_in_full(desk: Desk, fake_provider: Fakes) -> None:
    gate = Gate()

    def answer(_: Seen) -> Answer:
        if not (desk.folder / "begun").exists():
            (desk.folder / "begun").touch()
            return Answer(output_tokens=500, hold=gate)
        return Answer(output_tokens=500)

    slow = fake_provider(answer)
    desk.providers_at(slow.url)
    scope, ends = go(desk, "killed", 4, usd="0.10")
    assert ends == {"answered": 2, "BudgetExceeded": 2}
    store = open_store(desk.ledger)
    assert store.expire() == 1
    store.close()
    assert desk.spent(scope, "usd") == 9 * DOLLAR // 100
    desk.balanced()


# Fewer than 20 of all of them are refused, or the run would be ended for it.
@pytest.mark.parametrize(
    ("ways", "count"),
    [("curl", 0), pytest.param("programs", 16, marks=pytest.mark.long), ("threads,children,pool,node", 8)],
)
def test_in_a_run_what_a_budget_starts_is_held_to_it_and_to_the_run(
    ways: str, count: int, desk: Desk, fake: Fake, node_packages: Path
) -> None:
    desk.env["NODE_PACKAGES"] = str(node_packages)
    words = python("ways.py", json.dumps({"usd": "0.30"}), ways, str(count))
    ran = desk.run("--usd", "1.00", "--name", "outer", command=words)
    assert ran.said["scope"].startswith("run:outer/step:job-")
    assert Counter(ran.said["said"])["answered"] == len(fake.seen) == 10
    assert desk.spent(ran.said["scope"], "usd") == desk.spent("run:outer", "usd") == fake.billed(RATES)


@pytest.fixture
def job(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[solvent.Budget]:
    """
    A budget of two calls, of this process, which installs nothing.
    """
    monkeypatch.setenv("SOLVENT_LEDGER", desk.ledger)
    PROCESS.close()
    with solvent.budget("job", calls=2) as budget:
        yield budget
    PROCESS.close()


def post(url: str, headers: Any) -> tuple[int, Any]:
    reply = httpx2.post(url, headers=headers, timeout=60)
    return reply.status_code, reply.json()


def test_a_service_holds_what_it_is_asked_to_the_budget_and_to_its_own_limits(
    service: str, job: solvent.Budget, desk: Desk, fake: Fake
) -> None:
    status, ends = post(f"{service}/further", job.carry().headers)
    assert (status, sorted(str(end).split(" ")[0] for end in ends)) == (200, ["BudgetExceeded", "answered"])
    assert post(f"{service}/sync", job.carry().headers) == (200, "answered")
    assert post(f"{service}/sync", job.carry().headers) == (200, f"BudgetExceeded {job.scope} calls")
    assert len(fake.seen) == desk.spent(str(job.scope), "calls") == 2
    assert desk.spent(f"{job.scope}/step:further", "calls") == 1


def test_a_service_of_the_older_kind_does_so_as_well(
    job: solvent.Budget, desk: Desk, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(desk, monkeypatch, str(PROGRAMS / "wsgi_service.py")) as url:
        said = [post(url, job.carry().headers)[1] for _ in range(3)]
    assert said == ["answered", "answered", f"BudgetExceeded {job.scope} calls"]
    assert len(fake.seen) == 2


def test_a_service_spends_nothing_for_what_carries_no_budget(service: str, job: solvent.Budget, fake: Fake) -> None:
    text = str(job.carry())
    for headers, said in (
        ({}, "ValueError: no budget is carried in it"),
        ({"x-solvent-budget": "garbage"}, "ValueError: "),
        ({"x-solvent-budget": text.partition(";")[0]}, "has what carry() gives"),
        ({"x-solvent-budget": text.replace("job", "jab")}, "UnknownBudget: "),
        ({"x-solvent-budget": text, "solvent_ledger": "memory://", "X-Solvent-Budget": text}, "2 times"),
        ({"SOLVENT_SCOPE": text}, "ValueError: no budget is carried in it"),
    ):
        status, answer = post(f"{service}/async", httpx2.Headers(list(headers.items())))
        assert (status, said in str(answer)) == (400, True), answer
    assert fake.seen == []


RESUMED = """
import gc, threading, solvent
from calls import *
from solvent._runtime import PROCESS

def left():
    # Until the gateway has forgotten what the block put in force.
    gc.collect()
    done = threading.Event()
    PROCESS.runtime().later(done.set)
    done.wait(30)

def first():
    with solvent.budget("job", calls=3, seconds=3600) as budget:
        return call(), str(budget.carry())

answered, carrier = first()
left()
with solvent.resume(carrier) as again, solvent.agent("inner"):
    ends = [answered, call(), call(past=True), call()]
left()
say([ends, str(again.scope)])
"""


@pytest.mark.parametrize("installed", [False, True])
def test_in_a_run_a_budget_that_is_resumed_holds_at_the_gateway(installed: bool, desk: Desk, fake: Fake) -> None:
    desk.env["PAST_THE_GATEWAY"] = fake.url
    text = f"import solvent; solvent.install()\n{RESUMED}" if installed else RESUMED.replace("past=True", "")
    ran = desk.run("--calls", "9", "--name", "outer", command=[sys.executable, "-c", text])
    ends, scope = ran.said
    assert [end.split(" ")[0] for end in ends] == ["answered"] * 3 + [
        "BudgetExceeded" if installed else "APIStatusError"
    ]
    assert scope.startswith("run:outer/step:job-")
    assert desk.spent(scope, "calls") == len(fake.seen) == 3


def test_in_a_run_processes_of_a_program_that_installs_nothing_are_held_too(desk: Desk, fake: Fake) -> None:
    text = """
import multiprocessing, solvent
from calls import *
spawn = multiprocessing.get_context("spawn")
with spawn.Pool(1) as pool, solvent.budget("job", calls=3) as budget:
    ends = [pool.apply(call), pool.apply(call)]
    for _ in range(2):
        process = spawn.Process(target=call)
        process.start()
        process.join()
    say([[*ends, pool.apply(call)], str(budget.scope)])
"""
    ran = desk.run("--calls", "9", "--name", "outer", command=[sys.executable, "-c", text])
    ends, scope = ran.said
    assert ends == ["answered", "answered", "APIStatusError"]
    assert desk.spent(scope, "calls") == len(fake.seen) == 3


def test_in_a_run_the_way_in_of_a_child_is_closed_with_its_budget(desk: Desk, fake: Fake) -> None:
    text = (
        RESUMED.partition("def first")[0]
        + """
import os, subprocess
ask = ["sh", "-c", "curl -s -o answer -w '%{http_code} %{url_effective}' ${WAY:-$SOLVENT_GATEWAY}/solvent/state"]

def inside():
    with solvent.budget("job", calls=1):
        return subprocess.check_output(ask, text=True), subprocess.check_output(ask, text=True)

one, other = [said.split() for said in inside()]
left()
left()
gone = subprocess.check_output(ask, text=True, env={**os.environ, "WAY": one[1].removesuffix("/solvent/state")})
say([one[0], one == other, gone.split()[0], os.environ["SOLVENT_GATEWAY"] in one[1]])
"""
    )
    ran = desk.run("--name", "outer", command=[sys.executable, "-c", text])
    assert ran.said == ["200", True, "403", False]
    assert fake.seen == []


def test_node_in_a_budget_is_a_step_of_it(desk: Desk, fake: Fake, node_packages: Path) -> None:
    desk.env["NODE_PACKAGES"] = str(node_packages)
    scope, ends = go(desk, "node", 0, calls=4)
    assert ends == {"answered": 4, "budget_exceeded": 1}
    assert desk.spent(scope, "calls") == len(fake.seen) == 4
