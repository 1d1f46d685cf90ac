"""
One framework, in an environment of its own: its calls, costs and stops are those of a plain loop, call by call.
"""

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Barrier

import pytest
from journal import CALLS, HELPER, RAN, RATES, RESEARCHER, Call, calls_of, refusals_of
from msgspec.structs import replace
from scenario import ANSWER, OUTPUT_TOKENS_MAX, SCRIPT, SHORT, Framework, Ran, task

import solvent
from solvent._limits import Limit
from solvent._runtime import PROCESS
from solvent.policy import Policy
from solvent.prices import UserPrice
from solvent.stores import open_store

NAME = os.environ.get("SOLVENT_FRAMEWORK", "reference")
MODULE = f"fw_{NAME.replace('-', '_')}"
FRAMEWORK = Framework(import_module(MODULE))
MODELS = FRAMEWORK.models
CROWD = 64
PROGRAM = Path(__file__).parent / "program.py"


@pytest.fixture
def policy():
    def price(rate):
        return UserPrice.per_million_tokens(
            input="0", output=str(rate // 1_000), output_tokens_max=OUTPUT_TOKENS_MAX, input_tokens_max=1_000_000
        )

    prices = {MODELS.researcher: price(RATES["researcher"]), MODELS.helper: price(RATES["helper"])}
    return Policy(prices=prices, wait_seconds=0)


def entries_of(guarded):
    guarded.at_rest()
    return [*PROCESS.runtime().ledger.store.entries()]


@dataclass(frozen=True, kw_only=True)
class Played:
    """
    What became of a run.

    Attributes:
        run: Its scope.
        error: The refusal that came out of it, in the place of an answer.
        heard: The models that the server was asked for.
        refusals: Where something was refused.
    """

    run: str
    answer: str | None
    error: solvent.BudgetExceeded | None
    ran: list[Ran]
    heard: list[str]
    calls: list[Call]
    refusals: list[str]


@pytest.fixture
def play(aimock, guarded):
    """
    Runs the scenario under a budget.
    """

    def play(**limits):
        aimock.plays(FRAMEWORK.fixtures(SCRIPT))
        asked, answer, error = task(aimock.url, MODELS), None, None
        with solvent.budget("scenario", **limits) as budget:
            try:
                answer = FRAMEWORK.run(asked)
            except solvent.BudgetExceeded as refused:
                error = refused
        entries, run = entries_of(guarded), str(budget.scope)
        return Played(
            run=run,
            answer=answer,
            error=error,
            ran=asked.ran,
            heard=[heard.model for heard in aimock.heard()],
            calls=calls_of(entries, run, MODELS),
            refusals=refusals_of(entries, run),
        )

    return play


def is_stopped(played, meter, made):
    """
    The first so many calls were made, the next one was refused, and that is what came out.
    """
    assert played.error is not None
    assert (played.error.meter, played.error.scope) == (meter, played.run)
    assert played.calls == CALLS[:made]
    assert len(played.heard) == made


@pytest.mark.slow
def test_the_whole_scenario_is_booked_call_by_call(play):
    played = play()
    assert (played.answer, played.error) == (ANSWER, None)
    assert sorted(played.ran) == sorted(RAN)
    assert played.heard == [getattr(MODELS, call.model) for call in CALLS]
    assert played.calls == CALLS
    assert sum(call.cost for call in played.calls) == 10 * 320_000_000 + 2 * 160_000_000
    assert played.refusals == []


@pytest.mark.slow
@pytest.mark.parametrize("calls", range(14))
def test_exactly_as_many_requests_reach_the_server_as_a_budget_allows(calls, play):
    played = play(calls=calls)
    if calls == len(CALLS):
        assert (played.answer, played.calls) == (ANSWER, CALLS)
    else:
        is_stopped(played, "calls", calls)
        assert played.refusals == [CALLS[calls].scope]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("meter", "limit", "made"),
    [("depth", 2, 6), ("output_tokens", "100k", 2), ("retries", 0, 4), ("tokens", "104k", 2), ("usd", "1.00", 2)],
)
def test_every_limit_stops_it_where_it_stops_a_plain_loop(meter, limit, made, play):
    played = play(**{meter: limit})
    is_stopped(played, meter, made)
    assert played.refusals == [CALLS[made].scope]


@pytest.mark.skipif(FRAMEWORK.calls_tools_by_text, reason="it asks for no tool calls that could be counted")
def test_tools_beyond_the_limit_do_not_run(play):
    played = play(tool_calls=2)
    is_stopped(played, "tool_calls", 2)
    assert played.ran == RAN[:1]
    assert set(played.refusals) <= {scope for _, scope in RAN[1:3]}  # Both where both are begun at once.


@pytest.mark.slow
def test_a_limit_of_the_sub_agent_stops_that_one_alone(play):
    guard = PROCESS.runtime().guard
    one_call = ("agent:helper", Limit(meter="calls", amount=1, source="solvent.yaml:3"))
    PROCESS.runtime().follow(replace(guard.policy, budgets=(one_call,)))
    played = play()
    assert (played.answer, played.error) == (ANSWER, None)
    assert played.calls == CALLS[:7] + CALLS[8:]
    assert len(played.heard) == 12
    assert played.refusals == [HELPER]


@pytest.fixture
def crowd(aimock, guarded):
    """
    A task for each of many runs, and what checks their books: each is billed at a price of its own.
    """
    tags = [f"task-{number:03}." for number in range(CROWD)]
    fixtures = [
        fixture
        for number, tag in enumerate(tags)
        for fixture in FRAMEWORK.fixtures(SHORT, tag=tag, output_tokens=100 + number)
    ]
    aimock.plays(fixtures)

    def check(runs, answers):
        assert answers == [ANSWER] * CROWD
        assert len(aimock.heard()) == 2 * CROWD
        entries = entries_of(guarded)
        for number, run in enumerate(runs):
            cost = RATES["researcher"] * (100 + number)
            assert calls_of(entries, run, MODELS) == [Call(RESEARCHER, "researcher", "200", 0, cost)] * 2

    return [task(aimock.url, MODELS, tag) for tag in tags], check


@pytest.mark.slow
def test_many_runs_in_threads_have_each_its_own_calls(crowd):
    tasks, check = crowd
    together = Barrier(CROWD)

    def run(each):
        together.wait()
        with solvent.budget("crowd", calls=2) as budget:
            return str(budget.scope), FRAMEWORK.run(each)

    with ThreadPoolExecutor(CROWD) as pool:
        runs, answers = zip(*pool.map(run, tasks), strict=True)
    check(runs, [*answers])


@pytest.mark.slow
@pytest.mark.skipif(FRAMEWORK.arun is None, reason="has no way to be awaited")
def test_many_runs_in_one_event_loop_have_each_its_own_calls(crowd):
    tasks, check = crowd

    async def run(each):
        async with solvent.budget("crowd", calls=2) as budget:
            return str(budget.scope), await FRAMEWORK.arun(each)

    async def main():
        return await asyncio.gather(*map(run, tasks))

    runs, answers = zip(*asyncio.run(main()), strict=True)
    check(runs, [*answers])


@pytest.mark.slow
@pytest.mark.skipif(NAME == "reference", reason="it names its agents and tools itself")
def test_what_cannot_be_named_runs_and_is_counted_all_the_same(play, monkeypatch, caplog):
    def fails(_text):
        raise AttributeError("moved")

    monkeypatch.setattr("solvent.instrument._naming._fitting", fails)
    played = play()
    assert (played.answer, played.error) == (ANSWER, None)
    assert played.calls == [call._replace(scope="") for call in CALLS]
    assert {scope for _, scope in played.ran} == {""}
    assert "runs without a name: AttributeError('moved')" in caplog.text


@pytest.fixture
def played_as_a_program(aimock, tmp_path):
    """
    Runs the scenario under ``solvent run``, as a program that does not call ``solvent.install()``.
    """
    policy, url = tmp_path / "solvent.yaml", f"sqlite:///{tmp_path}/ledger.db"
    prices = {getattr(MODELS, role): {"input": 0, "output": rate // 1_000} for role, rate in RATES.items()}
    policy.write_text(json.dumps({"prices": prices, "wait": "0s"}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SOLVENT_")}
    led = {"OPENAI_BASE_URL": f"{aimock.url}/v1", "GOOGLE_GEMINI_BASE_URL": aimock.url}

    def play(*limits):
        aimock.plays(FRAMEWORK.fixtures(SCRIPT))
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "solvent", "run", "--policy", str(policy), "--ledger", url, "--keys", "pass"),
                *("--name", "scenario", *limits, "--", sys.executable, str(PROGRAM), MODULE),
            ],
            capture_output=True,
            text=True,
            env={**kept, **led},
            timeout=120,
            check=False,
        )
        with closing(open_store(url)) as store:
            return ran, calls_of(store.entries(), "run:scenario", MODELS)

    return play


@pytest.mark.slow
@pytest.mark.skipif(NAME == "reference", reason="it opens its scopes itself")
def test_under_solvent_run_a_program_that_knows_nothing_of_it_has_the_same_scopes(played_as_a_program):
    ran, calls = played_as_a_program()
    assert ran.stdout.splitlines()[-1:] == [ANSWER], ran.stderr
    assert calls == CALLS


@pytest.mark.slow
@pytest.mark.skipif(NAME == "reference", reason="it opens its scopes itself")
def test_under_solvent_run_no_request_beyond_the_limit_reaches_the_server(played_as_a_program, aimock):
    ran, calls = played_as_a_program("--calls", "3")
    assert len(aimock.heard()) == 3, ran.stderr
    assert calls == CALLS[:3]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [3, 5])
def test_its_own_limit_is_measured_beside_a_budget(limit, aimock, figures, play):
    aimock.plays(FRAMEWORK.fixtures(SCRIPT))
    solvent.uninstall()
    try:
        FRAMEWORK.run_limited(task(aimock.url, MODELS), limit)
        ends = "an answer"
    except Exception as error:  # What the framework makes of it.
        ends = type(error).__name__
    finally:
        solvent.install()
    own = len(aimock.heard())
    solvents = len(play(calls=limit).heard)
    figures[str(limit)] = {"ends": ends, "own": own, "solvent": solvents}
    assert 0 < own < len(CALLS)
    assert solvents == limit
