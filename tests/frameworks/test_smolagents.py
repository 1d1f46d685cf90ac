"""
What smolagents alone has: agents that write code, managed agents, streamed runs, a last answer when its steps have run
out, models that try again.
"""

import gc
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from doc_programs import run_programs
from fw_smolagents import agent, researcher
from journal import CALLS, RESEARCHER, calls_of
from msgspec.structs import replace
from scenario import ANSWER, SCRIPT, SHORT, Framework, Models, ToolCall, Turn, task
from smolagents import CodeAgent, FinalAnswerStep
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_smolagents"))
MODELS = FRAMEWORK.models
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "smolagents.md"
MANAGED = f"{RESEARCHER}/step:helper/agent:helper"


@pytest.fixture
def world(aimock, guarded):
    return World(aimock, guarded)


class World:
    """
    The server, what an agent is built from, and the books of the last budget.
    """

    def __init__(self, aimock, guarded):
        self.aimock, self.guarded = aimock, guarded
        self.task = task(aimock.url, MODELS)
        self.scope = None

    def plays(self, script):
        self.aimock.plays(FRAMEWORK.fixtures(script))

    def run(self, made, name="scenario", **limits):
        """
        Have an agent run in a budget.
        """
        with solvent.budget(name, **limits) as budget:
            self.scope = str(budget.scope)
            return made.run(self.task.prompt)

    def refused(self, made, **limits):
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.run(made, **limits)
        assert CURRENT.get() is None
        assert OPEN.blocks() == []
        return refused.value

    def stream(self, made, **limits):
        """
        Have an agent's steps taken in a budget.
        """
        with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            steps = [*made.run(self.task.prompt, stream=True)]
        assert isinstance(steps[-1], FinalAnswerStep)
        return steps[-1].output

    def managing(self, **options):
        """
        An agent that manages the helper.
        """
        helper = agent(self.task, "helper", [self.task.lookup])
        return agent(self.task, "researcher", [self.task.search], managed_agents=[helper], **options)

    def limit(self, scope, amount):
        """
        So many calls for a scope, by the policy.
        """
        limited = (scope, Limit(meter="calls", amount=amount, source="solvent.yaml:3"))
        PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, budgets=(limited,)))

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


def code(*lines):
    return Turn(text="\n".join(["<code>", *lines, "</code>"]))


@pytest.mark.parametrize("stream_outputs", [False, True], ids=["by steps", "by words"])
def test_a_streamed_run_is_booked_alike(stream_outputs, world):
    world.plays(SCRIPT)
    assert world.stream(researcher(world.task, stream_outputs=stream_outputs)) == ANSWER
    assert world.calls == CALLS


@pytest.mark.parametrize("stream_outputs", [False, True], ids=["by steps", "by words"])
@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7, 12])
def test_a_refusal_comes_out_of_the_stream_of_a_run(limit, stream_outputs, world):
    world.plays(SCRIPT)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        world.stream(researcher(world.task, stream_outputs=stream_outputs), calls=limit)
    assert refused.value.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("events", [0, 1, 5])
def test_a_stream_that_is_left_leaves_no_scope_open(events, world):
    world.plays(SCRIPT)
    with solvent.budget("scenario") as budget:
        steps = researcher(world.task, stream_outputs=True).run(world.task.prompt, stream=True)
        for _ in range(events):
            next(steps)
            assert solvent.current_budget() is budget
        with suppress(RuntimeError):  # It goes on when it is told to end.
            steps.close()
        assert solvent.current_budget() is budget
    del steps
    gc.collect()
    world.guarded.at_rest()
    assert OPEN.blocks() == []


CODE = {
    "researcher": (
        code("print(search('the Elbe'))"),
        code("found = helper('What is an estuary?')", "print(fetch('x'))", "print(found)"),
        code("final_answer('done')"),
    ),
    "helper": (calls("lookup", term="estuary"), Turn(text="Where a river meets the sea.")),
}


def test_tools_and_agents_that_code_calls_have_their_scopes(world):
    world.plays(CODE)
    made = world.managing(kind=CodeAgent)
    made.tools["fetch"] = made.tools["search"]
    assert world.run(made) == ANSWER
    assert world.scopes == [RESEARCHER, RESEARCHER, MANAGED, MANAGED, RESEARCHER]
    tools = [f"{RESEARCHER}/step:search", f"{MANAGED}/step:lookup", f"{RESEARCHER}/step:search"]
    assert [ran.scope for ran in world.task.ran] == tools


@pytest.mark.parametrize("limit", range(5))
def test_code_that_catches_a_refusal_gets_no_further(limit, world):
    catches = code("try:", "    print(helper('What?'))", "except Exception as error:", "    print(error)")
    world.plays(CODE | {"researcher": (CODE["researcher"][0], catches, CODE["researcher"][2])})
    refusal = world.refused(world.managing(kind=CodeAgent), calls=limit)
    assert refusal.scope == world.scope
    assert world.scopes == [RESEARCHER, RESEARCHER, MANAGED, MANAGED, RESEARCHER][:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_an_answer_stays_where_the_code_that_gives_it_caught_the_refusal_of_another_agent(world):
    world.limit("agent:helper", 1)
    answers = code("try:", "    helper('What?')", "except Exception:", "    final_answer('done')")
    world.plays(CODE | {"researcher": (answers,)})
    assert world.run(world.managing(kind=CodeAgent)) == ANSWER
    assert world.scopes == [RESEARCHER, MANAGED]


def test_an_answer_stays_where_the_code_that_gives_it_caught_the_refusal_of_a_tool(world):
    world.limit("step:search", 0)
    helper = agent(world.task, "helper", [])

    def search(query: str) -> str:
        """
        Search.

        Args:
            query: What for.
        """
        return helper.model.generate([{"role": "user", "content": query}]).content

    answers = code("try:", "    search('What?')", "except Exception:", "    final_answer('done')")
    world.plays({"researcher": (answers,)})
    assert world.run(agent(world.task, "researcher", [search], kind=CodeAgent)) == ANSWER
    assert world.scopes == [RESEARCHER]
    assert world.guarded.count("refuse") == 1


MANAGING = {
    "researcher": (calls("helper", task="What is an estuary?"), calls("search", query="x"), Turn(text=ANSWER)),
    "helper": CODE["helper"],
}
MANAGING_SCOPES = [RESEARCHER, MANAGED, MANAGED, RESEARCHER, RESEARCHER]


def test_a_managed_agent_stands_below_the_call_that_a_model_asked_for(world):
    world.plays(MANAGING)
    assert world.run(world.managing()) == ANSWER
    assert world.scopes == MANAGING_SCOPES


@pytest.mark.parametrize("limit", range(5))
def test_a_refusal_in_a_managed_agent_ends_the_run(limit, world):
    world.plays(MANAGING)
    assert world.refused(world.managing(), calls=limit).scope == world.scope
    assert world.scopes == MANAGING_SCOPES[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_limit_of_a_managed_agent_stops_that_one_alone(world):
    world.limit("agent:helper", 1)
    world.plays(MANAGING)
    assert world.run(world.managing()) == ANSWER
    assert world.scopes == [RESEARCHER, MANAGED, RESEARCHER, RESEARCHER]


def test_no_error_is_an_answer_when_the_steps_have_run_out(world):
    world.plays(SCRIPT)
    assert world.refused(researcher(world.task, max_steps=3), calls=3).scope == world.scope
    assert world.calls == CALLS[:3]
    assert len(world.aimock.heard()) == 3


def test_a_refused_plan_ends_the_run(world):
    world.plays({"researcher": (Turn(text="First search."), *SHORT["researcher"])})
    world.refused(researcher(world.task, planning_interval=1), calls=0)
    assert world.aimock.heard() == []


def test_an_agent_without_a_name_has_that_of_its_class(world):
    world.plays(SHORT)
    made = researcher(world.task, name=None)
    assert world.run(made) == ANSWER
    assert world.scopes == ["agent:ToolCallingAgent"] * 2


def test_a_refusal_is_not_tried_again_for_what_its_text_has_in_it(world, monkeypatch):
    slept = []
    monkeypatch.setattr("smolagents.utils.time.sleep", slept.append)
    world.plays(SCRIPT)
    refusal = world.refused(researcher(world.task), name="rivers-429", calls=2)
    assert "429" in str(refusal)
    assert slept == []
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_each_try_of_a_model_is_a_call(limit, world):
    world.plays({"researcher": (*[Turn(status=429)] * 2, Turn(text=ANSWER))})
    made = agent(world.task, "researcher", [], client={"max_retries": 0})
    made.model.retryer.wait_seconds = 0
    if limit == 3:
        assert world.run(made, calls=3) == ANSWER
    else:
        world.refused(made, calls=limit)
    assert [call.status for call in world.calls] == ["429", "429", "200"][:limit]
    assert len(world.aimock.heard()) == limit


def test_the_programs_of_the_guide_print_what_is_shown(aimock, guarded, monkeypatch):
    asks = code("helper('What is the North Sea?')")
    answers = code("final_answer('In the North Sea.')")
    explains = calls("final_answer", answer="A sea.")
    told = SimpleNamespace(run=None, run_limited=None, OWN_LIMIT="", MODELS=Models("gpt-5-mini", "gpt-5-nano"))
    script = {"researcher": (asks, answers, asks), "helper": (explains, explains)}
    aimock.plays(Framework(told).fixtures(script, output_tokens=100))
    monkeypatch.setenv("OPENAI_BASE_URL", f"{aimock.url}/v1")
    PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, prices={}))
    text = GUIDE.read_text()
    run = run_programs(text)["budget"].scope
    made = Counter(call.scope for call in calls_of(entries_of(guarded), str(run), told.MODELS))
    shown = re.findall(r"^run:rivers-01J9ZK…/(\S+) +(\d+) calls?$", text, flags=re.M)
    assert {scope: int(count) for scope, count in shown} == made
