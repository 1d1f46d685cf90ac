"""
What CrewAI alone has: agents that are kicked off by themselves, flows, streams, managers that delegate, plans, tools
that are called by text, work that is begun anew.
"""

import asyncio
import gc
import json

import pytest
from crewai import Agent, Crew, Process
from crewai import Task as CrewTask
from crewai.agent.planning_config import PlanningConfig
from crewai.events import event_context
from crewai.events.event_context import EventContextConfig, MismatchBehavior
from crewai.flow import Flow, start
from crewai.tools import tool
from fw_crewai import _agent, _llm, crew, researcher
from guides import follow
from journal import CALLS, HELPER, RESEARCHER, calls_of
from msgspec.structs import replace
from scenario import ANSWER, SCRIPT, Framework, Task, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_crewai"))
MODELS = FRAMEWORK.models
DELEGATED = "agent:Crew Manager/step:delegate_work_to_coworker/agent:helper"


class World:
    """
    The server, what agents are built from, and the books of the last budget.
    """

    def __init__(self, aimock, guarded):
        self.aimock, self.guarded = aimock, guarded
        self.task = task(aimock.url, MODELS)
        self.scope = ""

    def plays(self, script):
        self.aimock.plays(FRAMEWORK.fixtures(script))

    def run(self, made, **limits):
        """
        Call what runs an agent, in a budget.
        """
        with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            return str(made())

    def refused(self, made, **limits):
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.run(made, **limits)
        assert CURRENT.get() is None
        assert OPEN.blocks() == []
        return refused.value

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


@pytest.fixture
def world(aimock, guarded):
    return World(aimock, guarded)


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


async def kicked_off_in_a_loop(asked):
    return await researcher(asked).kickoff(asked.prompt)


def by_a_flow(asked):
    class Rivers(Flow):
        @start()
        def find(self):
            return crew(asked).kickoff().raw

    return Rivers().kickoff()


def by_an_async_flow(asked):
    class Rivers(Flow):
        @start()
        async def find(self):
            return await researcher(asked).kickoff(asked.prompt)

    return Rivers().kickoff()


def streamed(asked):
    made = crew(asked)
    made.stream = True
    stream = made.kickoff()
    assert list(stream)
    return stream.result.raw


def within_a_time(asked):
    return crew(asked, max_execution_time=60).kickoff().raw


WAYS = {
    "Agent.kickoff": lambda asked: researcher(asked).kickoff(asked.prompt),
    "Agent.kickoff in a loop": lambda asked: asyncio.run(kicked_off_in_a_loop(asked)),
    "Agent.kickoff_async": lambda asked: asyncio.run(researcher(asked).kickoff_async(asked.prompt)),
    "Agent.message": lambda asked: researcher(asked).message(asked.prompt),
    "Crew.akickoff": lambda asked: asyncio.run(crew(asked).akickoff()).raw,
    "Crew.kickoff_async": lambda asked: asyncio.run(crew(asked).kickoff_async()).raw,
    "a flow": by_a_flow,
    "an async flow": by_an_async_flow,
    "a stream": streamed,
    "max_execution_time": within_a_time,
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_an_agent_is_booked_alike(way, world):
    world.plays(SCRIPT)
    assert world.run(lambda: WAYS[way](world.task)) == ANSWER
    assert world.calls == CALLS
    assert OPEN.blocks() == []


@pytest.mark.parametrize("limit", [3, 7])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_an_agent_ends_at_its_first_refusal(way, limit, world):
    world.plays(SCRIPT)
    refusal = world.refused(lambda: WAYS[way](world.task), calls=limit)
    assert refusal.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_stream_that_is_left_leaves_no_scope_open(world):
    world.plays(SCRIPT)
    with solvent.budget("scenario") as budget:
        world.scope = str(budget.scope)
        made = crew(world.task)
        made.stream = True
        stream = made.kickoff()
        next(iter(stream))
        assert solvent.current_budget() is budget
        stream.close()
        assert solvent.current_budget() is budget
    del stream
    gc.collect()
    assert CURRENT.get() is None


def managed(asked: Task) -> Crew:
    """
    A manager who has the helper do the work.
    """
    helper = _agent("helper", "Look it up.", _llm(asked, MODELS.helper), [asked.lookup])
    wanted = CrewTask(description=asked.prompt, expected_output="What you found.")
    manager = _llm(asked, MODELS.researcher)
    return Crew(agents=[helper], tasks=[wanted], process=Process.hierarchical, manager_llm=manager)


DELEGATING = {
    "researcher": (
        calls("delegate_work_to_coworker", task="Look up estuary.", context="Rivers.", coworker="helper"),
        Turn(text=ANSWER),
    ),
    "helper": (calls("lookup", term="estuary"), Turn(text="Where a river meets the sea.")),
}


def test_what_a_manager_delegates_is_below_it(world):
    world.plays(DELEGATING)
    assert world.run(lambda: managed(world.task).kickoff().raw) == ANSWER
    assert world.scopes == ["agent:Crew Manager", DELEGATED, DELEGATED, "agent:Crew Manager"]
    assert [ran.scope for ran in world.task.ran] == [f"{DELEGATED}/step:lookup"]


@pytest.mark.parametrize("limit", [1, 2])
def test_a_refusal_of_what_was_delegated_ends_the_manager_too(limit, world):
    world.plays(DELEGATING)
    assert world.refused(lambda: managed(world.task).kickoff(), calls=limit).scope == world.scope
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_limit_of_the_agent_that_is_delegated_to_stops_that_one_alone(world):
    world.plays(DELEGATING)
    world.limit("agent:helper", 1)
    assert world.run(lambda: managed(world.task).kickoff().raw) == ANSWER
    assert world.scopes == ["agent:Crew Manager", DELEGATED, "agent:Crew Manager"]


def step(number, *needs):
    return {"step_number": number, "description": "Search.", "tool_to_use": "search", "depends_on": [*needs]}


def planning(*steps):
    arguments = json.dumps({"plan": "Search.", "steps": [*steps], "ready": True})
    plan = Turn(calls=(ToolCall("create_reasoning_plan", json.loads(arguments)),))
    return {"researcher": (plan, *[calls("search", query="the Elbe"), Turn(text="Nothing.")] * len(steps))}


@pytest.mark.parametrize(
    ("steps", "at_once"), [((step(1), step(2, 1)), 1), ((step(1), step(2)), 2)], ids=["in turn", "at once"]
)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_refusal_in_a_step_of_a_plan_ends_the_run(limit, steps, at_once, world):
    world.plays(planning(*steps))
    world.refused(lambda: planned(world.task, "low").kickoff(), calls=limit)
    assert world.scopes == [RESEARCHER] * limit
    assert len(world.aimock.heard()) == limit
    assert 1 <= world.guarded.count("refuse") <= at_once


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
@pytest.mark.parametrize("limit", [0, 3])
def test_a_refusal_around_a_plan_is_no_answer(limit, effort, world):
    world.plays(planning(step(1), step(2)))
    world.refused(lambda: planned(world.task, effort).kickoff(), calls=limit)
    assert len(world.aimock.heard()) == limit


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
def test_what_the_steps_of_a_plan_came_to_is_kept_where_it_cannot_be_summed_up(effort, world):
    world.plays(planning(step(1), step(2)))
    with solvent.budget("scenario", calls=5):
        assert planned(world.task, effort).kickoff().raw
    assert len(world.aimock.heard()) == 5


def planned(asked, effort):
    return crew(asked, planning_config=PlanningConfig(reasoning_effort=effort, max_attempts=1))


def by_text(name, **arguments):
    return Turn(text=f"Thought: I need it.\nAction: {name}\nAction Input: {json.dumps(arguments)}")


BY_TEXT = {
    "researcher": (
        by_text("search", query="the Elbe"),
        by_text("ask_helper", question="What is an estuary?"),
        Turn(text=f"Thought: I know it.\nFinal Answer: {ANSWER}"),
    ),
    "helper": (
        by_text("lookup", term="estuary"),
        Turn(text="Thought: I know it.\nFinal Answer: Where a river meets the sea."),
    ),
}
BY_TEXT_SCOPES = [RESEARCHER, RESEARCHER, HELPER, HELPER, RESEARCHER]


@pytest.fixture
def text_only(monkeypatch, world):
    """
    Models that know no tools, and are told of them in words.
    """
    kind = type(_llm(world.task, MODELS.researcher))
    monkeypatch.setattr(kind, "supports_function_calling", lambda _: False)


@pytest.mark.usefixtures("text_only")
@pytest.mark.parametrize("way", ["Agent.kickoff", "Crew.akickoff", "Crew.kickoff_async"])
def test_tools_that_are_called_by_text_have_their_scopes(way, world):
    world.plays(BY_TEXT)
    assert world.run(lambda: WAYS[way](world.task)) == ANSWER
    assert world.scopes == BY_TEXT_SCOPES
    assert [ran.scope for ran in world.task.ran] == [f"{RESEARCHER}/step:search", f"{HELPER}/step:lookup"]


@pytest.mark.usefixtures("text_only")
@pytest.mark.parametrize("limit", [2, 3])
def test_a_tool_that_is_tried_again_makes_no_more_calls_than_allowed(limit, world):
    world.plays(BY_TEXT)
    world.refused(lambda: crew(world.task).kickoff(), calls=limit)
    assert world.scopes == BY_TEXT_SCOPES[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


AT_ONCE = [("researcher", "search", {"query": "the Elbe"}), ("helper", "lookup", {"term": "estuary"})]


def test_agents_that_work_at_once_have_each_its_own_scope(world):
    world.plays({role: (calls(name, **given), Turn(text=ANSWER)) for role, name, given in AT_ONCE})
    asked = world.task
    agents = [
        _agent("researcher", asked.instructions, _llm(asked, MODELS.researcher), [asked.search]),
        _agent("helper", "Look it up.", _llm(asked, MODELS.helper), [asked.lookup]),
    ]
    tasks = [
        CrewTask(
            description=asked.prompt, expected_output="An answer.", agent=agent, async_execution=agent is agents[0]
        )
        for agent in agents
    ]
    assert world.run(lambda: Crew(agents=agents, tasks=tasks).kickoff().tasks_output[0].raw) == ANSWER
    assert (
        sorted((call.scope, call.model) for call in world.calls)
        == [("agent:helper", "helper")] * 2 + [(RESEARCHER, "researcher")] * 2
    )
    assert {ran.scope for ran in asked.ran} == {f"{RESEARCHER}/step:search", "agent:helper/step:lookup"}


def test_a_tool_goes_by_the_name_that_the_model_calls(world):
    world.plays({"researcher": (calls("look_it_up", word="estuary"), Turn(text=ANSWER))})
    found = []

    @tool("Look it up!")
    def look(word: str) -> str:
        """
        Look a word up.
        """
        found.append(str(solvent.current_budget().scope).removeprefix(f"{world.scope}/"))
        return word

    agent = Agent(role="The\nResearcher", goal="", backstory="", llm=_llm(world.task, MODELS.researcher), tools=[look])
    with solvent.budget("scenario") as budget:
        world.scope = str(budget.scope)
        agent.kickoff(world.task.prompt)
    assert found == ["agent:The Researcher/step:look_it_up"]


def test_a_tool_that_is_awaited_has_its_scope(world):
    @tool
    def look(word: str) -> str:
        """
        Look a word up.
        """
        return str(solvent.current_budget().scope).removeprefix(f"{world.scope}/")

    structured = look.to_structured_tool()
    assert world.run(lambda: asyncio.run(structured.ainvoke({"word": "estuary"}))) == "step:look"


def fails(*_, **__):
    raise RuntimeError("of a callback")


@pytest.mark.parametrize("callback", ["step_callback", "task_callback"])
def test_a_callback_that_raises_leaves_nothing_open(callback, world):
    world.plays(SCRIPT)
    made = crew(world.task, max_retry_limit=0)
    setattr(made, callback, fails)
    with pytest.raises(Exception, match="of a callback"):
        world.run(made.kickoff)
    assert world.calls == CALLS[: len(world.calls)] != []
    assert OPEN.blocks() == []
    assert CURRENT.get() is None


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path, monkeypatch):
    monkeypatch.setattr(event_context, "_default_config", EventContextConfig(mismatch_behavior=MismatchBehavior.SILENT))
    asks = (calls("ask_helper", question="What is an estuary?"), Turn(text="In the North Sea."))
    helps = (Turn(text="Where a river meets the sea."),)
    script = {"researcher": asks * 2, "helper": helps * 2}
    follow("crewai.md", Framework(__import__("fw_crewai")), script, aimock, tmp_path)
