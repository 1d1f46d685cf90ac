"""
What Agno alone has: runs that are streamed or awaited, teams, tools that yield, retries of models and agents, models to
fall back to, runs that wait for a confirmation, workflows.
"""

import asyncio
import gc
import re
from collections import Counter
from pathlib import Path
from types import FunctionType, SimpleNamespace

import agno.agent._run
import agno.team._run
import pytest
import wrapt
from agno.agent import Agent
from agno.db.in_memory import InMemoryDb
from agno.models.base import Model
from agno.models.fallback import FallbackConfig
from agno.models.message import Message
from agno.team import Team
from agno.tools import tool
from agno.tools.function import Function, FunctionCall
from agno.workflow import Parallel, Workflow
from doc_programs import run_programs
from fw_agno import agent, model, researcher
from journal import CALLS, HELPER, RESEARCHER, calls_of
from msgspec.structs import replace
from scenario import ANSWER, SCRIPT, SHORT, Framework, Models, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_agno"))
MODELS = FRAMEWORK.models
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "agno.md"
LEADER = "agent:leader"
MEMBER = f"{LEADER}/step:delegate_task_to_member/agent:helper"


@pytest.fixture
def world(aimock, guarded):
    return World(aimock, guarded)


def run(made, prompt):
    return made.run(prompt).content


def awaited(made, prompt):
    async def main():
        return (await made.arun(prompt)).content

    return asyncio.run(main())


def streamed(made, prompt):
    return [*made.run(prompt, stream=True, stream_events=True)][-1].content


def awaited_stream(made, prompt):
    async def main():
        return [event async for event in made.arun(prompt, stream=True, stream_events=True)][-1].content

    return asyncio.run(main())


WAYS = pytest.mark.parametrize("way", [run, awaited, streamed, awaited_stream])


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

    def answer(self, made, way=run, **limits):
        """
        Have an agent or a team run in a budget.
        """
        with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            return way(made, self.task.prompt)

    def refused(self, made, way=run, **limits):
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.answer(made, way, **limits)
        assert CURRENT.get() is None
        assert OPEN.blocks() == []
        return refused.value

    def team(self, **options):
        given = {"name": "leader", "members": [agent(self.task, "helper", [self.task.lookup])], **options}
        return Team(model=model(self.task, "researcher"), telemetry=False, **given)

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


def test_every_hook_is_put_on_once_and_taken_off():
    def wrapped():
        owners = (FunctionCall, Model, Workflow, agno.agent._run, agno.team._run)
        values = [value for owner in owners for value in vars(owner).values()]
        return [type(value.__wrapped__) for value in values if isinstance(value, wrapt.FunctionWrapper)]

    assert wrapped() == []
    solvent.install()
    try:
        assert wrapped() == [FunctionType] * (2 + 1 + 8 + 8 + 8)
    finally:
        solvent.uninstall()
    assert wrapped() == []


@WAYS
def test_every_way_of_running_is_booked_alike(way, world):
    world.plays(SCRIPT)
    assert world.answer(researcher(world.task), way) == ANSWER
    assert world.calls == CALLS
    assert world.guarded.count("refuse") == 0


@WAYS
@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7, 12])
def test_a_refusal_comes_out_of_every_way_of_running(limit, way, world):
    world.plays(SCRIPT)
    assert world.refused(researcher(world.task), way, calls=limit).scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_refusal_comes_out_of_what_prints_an_answer(world, capsys):
    world.plays(SCRIPT)
    world.refused(researcher(world.task), lambda made, prompt: made.print_response(prompt), calls=3)
    assert world.calls == CALLS[:3]


@pytest.mark.parametrize("events", [0, 1, 9])
def test_a_stream_that_is_left_leaves_no_scope_open(events, world):
    world.plays(SCRIPT)
    with solvent.budget("scenario") as budget:
        steps = researcher(world.task).run(world.task.prompt, stream=True, stream_events=True)
        for _ in range(events):
            next(steps)
            assert solvent.current_budget() is budget
        steps.close()
        assert solvent.current_budget() is budget
    del steps
    gc.collect()
    world.guarded.at_rest()
    assert OPEN.blocks() == []


@pytest.mark.parametrize("events", [0, 1, 9])
def test_an_awaited_stream_that_is_left_leaves_no_scope_open(events, world):
    async def main():
        async with solvent.budget("scenario") as budget:
            steps = researcher(world.task).arun(world.task.prompt, stream=True, stream_events=True)
            for _ in range(events):
                await anext(steps)
                assert solvent.current_budget() is budget
            await steps.aclose()
            assert solvent.current_budget() is budget

    world.plays(SCRIPT)
    asyncio.run(main())
    gc.collect()
    world.guarded.at_rest()
    assert OPEN.blocks() == []


DELEGATED = {
    "researcher": (
        calls("delegate_task_to_member", member_id="helper", task="What is an estuary?"),
        calls("delegate_task_to_member", member_id="helper", task="And a delta?"),
        Turn(text=ANSWER),
    ),
    "helper": (calls("lookup", term="estuary"), Turn(text="A mouth."), Turn(text="One more.")),
}
DELEGATED_SCOPES = [LEADER, MEMBER, MEMBER, LEADER, MEMBER, LEADER]


@WAYS
def test_a_member_stands_below_the_tool_by_which_its_team_gives_it_a_task(way, world):
    world.plays(DELEGATED)
    assert world.answer(world.team(), way) == ANSWER
    assert world.scopes == DELEGATED_SCOPES
    assert [ran.scope for ran in world.task.ran] == [f"{MEMBER}/step:lookup"]


@WAYS
@pytest.mark.parametrize("limit", range(6))
def test_a_refusal_ends_a_team_wherever_it_is(limit, way, world):
    world.plays(DELEGATED)
    assert world.refused(world.team(), way, calls=limit).scope == world.scope
    assert world.scopes == DELEGATED_SCOPES[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


@WAYS
def test_a_limit_of_a_member_stops_that_one_alone(way, world):
    world.limit("agent:helper", 1)
    world.plays(DELEGATED)
    assert world.answer(world.team(), way) == ANSWER
    assert world.scopes == [LEADER, MEMBER, LEADER, LEADER]
    assert world.guarded.count("refuse") == 2


@pytest.mark.parametrize("way", [run, awaited])
@pytest.mark.parametrize("limit", range(6))
def test_members_that_work_at_once_share_the_budget(limit, way, world):
    world.plays(
        {
            "researcher": (calls("delegate_task_to_members", task="What is an estuary?"), Turn(text=ANSWER)),
            "helper": (Turn(text="A mouth."),) * 3,
        }
    )
    names = ("first", "second", "third")
    members = [agent(world.task, "helper", [], name=name) for name in names]
    team = world.team(members=members, delegate_to_all_members=True)
    if limit == 5:
        assert world.answer(team, way, calls=limit) == ANSWER
        below = f"{LEADER}/step:delegate_task_to_members"
        assert sorted(world.scopes) == sorted([LEADER, LEADER, *[f"{below}/agent:{name}" for name in names]])
    else:
        assert world.refused(team, way, calls=limit).scope == world.scope
    assert len(world.aimock.heard()) == limit


@WAYS
@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "async generator"])
def test_a_tool_of_every_kind_has_its_scope_while_it_runs(kind, way, world):
    seen = []

    def here():
        seen.append(str(solvent.current_budget().scope))
        return "nothing"

    def plain(query: str) -> str:
        return here()

    async def coroutine(query: str) -> str:
        await asyncio.sleep(0)
        return here()

    def generator(query: str):
        yield here()
        yield here()

    async def async_generator(query: str):
        yield here()
        yield here()

    if kind in ("coroutine", "async generator") and way in (run, streamed):
        pytest.skip("such a tool is not for it")
    made = {"plain": plain, "coroutine": coroutine, "generator": generator, "async generator": async_generator}[kind]
    made.__name__ = "search"
    world.plays(SHORT)
    assert world.answer(agent(world.task, "researcher", [made]), way) == ANSWER
    assert set(seen) == {f"{world.scope}/{RESEARCHER}/step:search"}
    assert world.scopes == [RESEARCHER] * 2


@WAYS
def test_a_refusal_in_a_tool_that_yields_ends_the_run(way, world):
    helper = agent(world.task, "helper", [])

    def search(query: str):
        """
        Search.
        """
        yield "Well: "
        yield helper.run(query).content

    world.plays(SHORT | {"helper": (Turn(text="A mouth."),)})
    assert world.refused(agent(world.task, "researcher", [search]), way, calls=1).scope == world.scope
    assert world.scopes == [RESEARCHER]
    assert world.guarded.count("refuse") == 1


@pytest.fixture
def slept(monkeypatch):
    """
    How long it was waited before another try.
    """
    seconds = []

    async def sleep(delay, *_):
        seconds.append(delay)

    monkeypatch.setattr("agno.models.base.sleep", seconds.append)
    monkeypatch.setattr("agno.agent._run.time.sleep", seconds.append)
    monkeypatch.setattr("agno.models.base.asyncio.sleep", sleep)
    return seconds


@WAYS
@pytest.mark.parametrize("whose", ["the agent's", "the model's"])
def test_a_refusal_is_not_tried_again(whose, way, world, slept):
    world.plays(SCRIPT)
    made = researcher(world.task, retries=3 if whose == "the agent's" else 0)
    made.model.retries = 3 if whose == "the model's" else 0
    assert world.refused(made, way, calls=2).scope == world.scope
    assert world.guarded.count("refuse") == 1
    assert slept == []


@pytest.mark.parametrize("way", [run, awaited])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_each_try_of_a_model_is_a_call(limit, way, world, slept):
    world.plays({"researcher": (*[Turn(status=503)] * 2, Turn(text=ANSWER))})
    made = agent(world.task, "researcher", [])
    made.model.retries, made.model.max_retries = 3, 0
    if limit == 3:
        assert world.answer(made, way, calls=3) == ANSWER
    else:
        world.refused(made, way, calls=limit)
    assert [call.status for call in world.calls] == ["503", "503", "200"][:limit]
    assert len(world.aimock.heard()) == limit


@WAYS
def test_no_model_is_fallen_back_to_at_a_refusal(way, world):
    world.limit("agent:researcher", 0)
    world.plays({"helper": (Turn(text=ANSWER),)})
    fallback = FallbackConfig(on_error=[model(world.task, "helper")])
    world.refused(agent(world.task, "researcher", [], fallback_config=fallback), way)
    assert world.aimock.heard() == []
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("retries", [0, 3])
def test_a_model_that_is_called_without_an_agent_raises_the_refusal(retries, world, slept):
    made = model(world.task, "researcher", retries=retries)
    with solvent.budget("scenario", calls=0), pytest.raises(solvent.BudgetExceeded):
        made.response([Message(role="user", content="x")])
    assert world.guarded.count("refuse") == 1
    assert slept == []


def test_an_error_of_a_model_is_what_it_was(world):
    world.plays({"researcher": (Turn(status=400),)})
    with solvent.budget("scenario"):
        answer = agent(world.task, "researcher", []).run(world.task.prompt)
    assert answer.status == "ERROR"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("is_awaited", [False, True], ids=["called", "awaited"])
def test_a_run_that_waited_for_a_confirmation_goes_on_as_its_agent(is_awaited, is_streamed, world):
    seen = []

    @tool(requires_confirmation=True)
    def search(query: str) -> str:
        """
        Search.
        """
        seen.append(str(solvent.current_budget().scope))
        return query

    async def confirmed(made, paused):
        for each in paused.active_requirements:
            each.confirm()
        known = {"run_id": paused.run_id, "requirements": paused.requirements, "session_id": paused.session_id}
        if is_awaited and is_streamed:
            return [event async for event in made.acontinue_run(**known, stream=True, stream_events=True)]
        if is_awaited:
            return [await made.acontinue_run(**known)]
        return (
            [*made.continue_run(**known, stream=True, stream_events=True)]
            if is_streamed
            else [made.continue_run(**known)]
        )

    def goes_on(made, prompt):
        return asyncio.run(confirmed(made, made.run(prompt)))[-1].content

    world.plays(SHORT)
    made = agent(world.task, "researcher", [search], db=InMemoryDb())
    assert world.answer(made, goes_on) == ANSWER
    assert seen == [f"{world.scope}/{RESEARCHER}/step:search"]
    assert world.scopes == [RESEARCHER] * 2
    world.plays(SHORT)
    assert world.refused(made, goes_on, calls=1).scope == world.scope


def test_a_tool_that_a_program_made_stays_as_it_was(world):
    made = Function.from_callable(world.task.search)
    entrypoint = made.entrypoint
    call = FunctionCall(function=made, arguments={"query": "x"})
    with solvent.budget("scenario"):
        assert [call.execute().status for _ in range(2)] == ["success", "success"]
    assert [ran.scope for ran in world.task.ran] == ["step:search", "step:search"]
    assert made.entrypoint is entrypoint


FLOW = ["agent:flow/agent:first", "agent:flow/agent:second", "agent:flow/agent:third"]


@WAYS
@pytest.mark.parametrize("limit", range(4))
def test_a_refusal_ends_a_workflow_whose_steps_would_be_tried_again_and_skipped(limit, way, world):
    world.plays({"researcher": (Turn(text="A."), Turn(text="B."), Turn(text=ANSWER))})
    first, second, third = (agent(world.task, "researcher", [], name=name) for name in ("first", "second", "third"))
    flow = Workflow(name="flow", steps=[first, second, third], telemetry=False)
    if limit == 3:
        assert world.answer(flow, way, calls=limit) == ANSWER
    else:
        assert world.refused(flow, way, calls=limit).scope == world.scope
        assert world.guarded.count("refuse") == 1
    assert world.scopes == FLOW[:limit]
    assert len(world.aimock.heard()) == limit


@pytest.mark.parametrize("way", [run, awaited])
@pytest.mark.parametrize("limit", [2, 3])
def test_steps_of_a_workflow_that_run_at_once_share_the_budget(limit, way, world):
    world.plays({"researcher": (Turn(text="A."), Turn(text="B."), Turn(text="C."))})
    steps = [agent(world.task, "researcher", [], name=name) for name in ("first", "second", "third")]
    flow = Workflow(name="flow", steps=[Parallel(*steps)], telemetry=False)
    if limit == 3:
        world.answer(flow, way, calls=limit)
        assert sorted(world.scopes) == FLOW
    else:
        assert world.refused(flow, way, calls=limit).scope == world.scope
    assert len(world.aimock.heard()) == limit


@pytest.mark.parametrize("way", [run, awaited])
def test_a_refused_summary_ends_the_run(way, world):
    world.plays({"researcher": (Turn(text=ANSWER),)})
    made = agent(world.task, "researcher", [], db=InMemoryDb(), enable_session_summaries=True)
    assert world.refused(made, way, calls=1).scope == world.scope
    assert len(world.aimock.heard()) == 1


def test_an_agent_without_a_name_has_that_of_its_class(world):
    world.plays(SHORT)
    assert world.answer(agent(world.task, "researcher", [world.task.search], name=None)) == ANSWER
    assert world.scopes == [f"agent:{Agent.__name__}"] * 2


def test_a_sub_agent_in_a_tool_stands_below_it(world):
    world.plays(SCRIPT)
    world.answer(researcher(world.task), awaited)
    assert HELPER in world.scopes


def test_the_programs_of_the_guide_print_what_is_shown(aimock, guarded, monkeypatch):
    asks = calls("delegate_task_to_member", member_id="helper", task="What is the North Sea?")
    answers, explains = Turn(text="In the North Sea."), Turn(text="A sea.")
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
