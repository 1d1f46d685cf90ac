"""
What Haystack alone has: agents outside of pipelines and as tools, streams, pipelines that run agents side by side.
"""

import asyncio
import gc

import pytest
from fw_haystack import generator, helper, pipeline, researcher
from guides import follow
from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.core.errors import PipelineRuntimeError
from haystack.dataclasses import ChatMessage
from haystack.tools import AgentTool, Tool, create_tool_from_function
from haystack.tools.errors import ToolInvocationError
from journal import CALLS, RESEARCHER, calls_of
from scenario import ANSWER, SCRIPT, SHORT, Framework, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_haystack"))
MODELS = FRAMEWORK.models
ASKED = [ChatMessage.from_user("Find out.")]


@pytest.fixture
def world(aimock, guarded):
    return World(aimock, guarded)


class World:
    """
    The server, what agents are built from, and the books of the last budget.
    """

    def __init__(self, aimock, guarded):
        self.aimock, self.guarded = aimock, guarded
        self.task = task(aimock.url, MODELS)
        self.scope = None

    def plays(self, **script):
        self.aimock.plays(FRAMEWORK.fixtures(script or SCRIPT))

    def agent(self, role="researcher", **more):
        return Agent(chat_generator=generator(self.task, getattr(MODELS, role)), **more)

    def runs(self, what, *args, **limits):
        """
        What it returns in a budget, awaited where it is a coroutine's function.
        """

        async def main():
            async with solvent.budget("scenario", **limits) as budget:
                self.scope = str(budget.scope)
                return await what(*args)

        try:
            if asyncio.iscoroutinefunction(what):
                return asyncio.run(main())
            with solvent.budget("scenario", **limits) as budget:
                self.scope = str(budget.scope)
                return what(*args)
        finally:
            assert CURRENT.get() is None
            assert OPEN.blocks() == []

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


def says(text=ANSWER):
    return Turn(text=text)


def in_pipeline(task):
    return {"researcher": {"messages": ASKED}}


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_an_agent_outside_of_a_pipeline_has_the_name_of_its_class(way, world):
    world.plays(**SHORT)
    agent = world.agent(tools=[create_tool_from_function(world.task.search)])
    assert world.runs(getattr(agent, way), ASKED)["last_message"].text == ANSWER
    assert world.scopes == ["agent:agent"] * 2


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_an_agent_that_is_a_tool_has_the_tool_s_name(way, world):
    script = {
        "researcher": (calls("ask", messages=[{"role": "user", "content": "What?"}]), says()),
        "helper": (calls("lookup", term="Elbe"), says("A river.")),
    }

    def run(**limits):
        world.plays(**script)
        agent = world.agent(tools=[AgentTool(helper(world.task), name="ask", description="Ask.")])
        return world.runs(getattr(agent, way), ASKED, **limits)

    run()
    assert world.scopes == ["agent:agent", *["agent:agent/step:ask/agent:ask"] * 2, "agent:agent"]
    with pytest.raises(solvent.BudgetExceeded) as refused:
        run(depth=2)
    assert (refused.value.meter, len(world.aimock.heard()), world.guarded.count("refuse")) == ("depth", 1, 1)


@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7, 12, 13])
def test_a_pipeline_that_is_awaited_is_booked_and_stopped_alike(limit, world):
    world.plays()
    outer = pipeline(world.task)
    if limit == len(CALLS):
        world.runs(outer.run_async, in_pipeline(world.task), calls=limit)
    else:
        with pytest.raises(solvent.BudgetExceeded) as refused:
            world.runs(outer.run_async, in_pipeline(world.task), calls=limit)
        assert refused.value.scope == world.scope
        assert world.guarded.count("refuse") == 1
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit


async def texts_of(handle):
    return "".join([chunk.content async for chunk in handle])


@pytest.mark.parametrize("limit", [0, 3, 6, 7, 13])
def test_a_pipeline_that_is_streamed_is_booked_and_stopped_alike(limit, world):
    async def stream():
        return await texts_of(pipeline(world.task).stream(in_pipeline(world.task)))

    world.plays()
    if limit == len(CALLS):
        assert world.runs(stream, calls=limit).endswith(ANSWER)
    else:
        with pytest.raises(solvent.BudgetExceeded) as refused:
            world.runs(stream, calls=limit)
        assert refused.value.scope == world.scope
        assert world.guarded.count("refuse") == 1
    assert world.calls == CALLS[:limit]


@pytest.mark.parametrize("way", ["stream", "run_async_generator"])
def test_a_pipeline_that_is_left_leaves_no_scope_open(way, world):
    async def leave():
        outer = pipeline(world.task)
        outer.add_component("helper", helper(world.task))
        asked = in_pipeline(world.task) | {"helper": {"messages": ASKED}}
        async for _ in getattr(outer, way)(asked):
            break
        gc.collect()
        await asyncio.sleep(0)

    world.plays()
    world.runs(leave)


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_agents_of_a_pipeline_share_the_run_s_budget(way, world):
    def both():
        outer = pipeline(world.task)
        outer.add_component("helper", helper(world.task))
        return outer

    asked = {name: {"messages": ASKED} for name in ("researcher", "helper")}
    script = {"researcher": (calls("search", query="Elbe"), says()), "helper": (calls("lookup", term="Elbe"), says())}
    world.plays(**script)
    world.runs(getattr(both(), way), asked)
    assert sorted(world.scopes) == ["agent:helper"] * 2 + [RESEARCHER] * 2
    world.plays(**script)
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(getattr(both(), way), asked, calls=3)
    assert len(world.aimock.heard()) == 3


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_a_refusal_in_a_tool_whose_errors_are_raised_comes_out_as_itself(way, world):
    script = SCRIPT["researcher"]
    world.plays(**SCRIPT | {"researcher": (*script[:2], *script[3:])})
    agent = researcher(world.task, raise_on_tool_invocation_failure=True)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        world.runs(getattr(agent, way), ASKED, calls=5)
    assert refused.value.scope == world.scope
    assert len(world.aimock.heard()) == 5
    assert world.guarded.count("refuse") == 1


@pytest.mark.usefixtures("helper_limited")
def test_a_limit_of_the_sub_agent_stops_that_one_alone_where_all_is_awaited(world):
    message = {"role": "user", "content": "What?"}
    world.plays(
        researcher=(calls("helper", messages=[message]), says()),
        helper=(calls("lookup", term="Elbe"), says("A river.")),
    )
    agent = world.agent(tools=[AgentTool(helper(world.task), name="helper", description="Ask.")])
    assert world.runs(agent.run_async, ASKED)["last_message"].text == ANSWER
    assert world.scopes == ["agent:agent", "agent:agent/step:helper/agent:helper", "agent:agent"]


@pytest.mark.usefixtures("helper_limited")
@pytest.mark.parametrize("way", ["run", "run_async"])
def test_a_limit_of_the_sub_agent_ends_an_agent_whose_tools_raise(way, world):
    script = SCRIPT["researcher"]
    world.plays(**SCRIPT | {"researcher": (*script[:2], *script[3:])})
    agent = researcher(world.task, raise_on_tool_invocation_failure=True)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        world.runs(getattr(agent, way), ASKED)
    assert refused.value.scope.endswith("/agent:helper")


@pytest.mark.parametrize("way", ["run", "run_async"])
def test_a_tool_s_own_error_is_what_haystack_makes_of_it(way, world):
    world.plays()
    agent = researcher(world.task, raise_on_tool_invocation_failure=True)
    with pytest.raises(ToolInvocationError) as failed:
        world.runs(getattr(agent, way), ASKED, calls=13)
    assert isinstance(failed.value.__cause__, ValueError)
    assert world.scopes == ["agent:agent"] * 3


def test_a_component_s_own_error_is_what_haystack_makes_of_it(world):
    outer = Pipeline()
    agent = researcher(world.task, raise_on_tool_invocation_failure=True)
    outer.add_component("researcher", agent)
    world.plays()
    with pytest.raises(PipelineRuntimeError, match="Component name: 'researcher'") as failed:
        world.runs(outer.run, in_pipeline(world.task))
    assert isinstance(failed.value.__cause__, ToolInvocationError)


def test_a_streamed_reply_is_booked_alike(world):
    heard = []
    world.plays()
    world.runs(lambda: researcher(world.task).run(ASKED, streaming_callback=heard.append))
    assert heard[-1].finish_reason == "stop"
    assert [call._replace(scope=call.scope.replace("agent:agent", RESEARCHER)) for call in world.calls] == CALLS


def test_a_callback_that_raises_breaks_no_budget(world):
    def fails(chunk):
        raise LookupError("a fault of its own")

    world.plays()
    with pytest.raises(LookupError, match="a fault of its own"):
        world.runs(lambda: researcher(world.task).run(ASKED, streaming_callback=fails), calls=3)
    assert len(world.aimock.heard()) == 1
    gc.collect()
    world.guarded.at_rest()
    assert world.guarded.reserved() == 0


def test_every_kind_of_tool_has_its_name(world):
    seen = []

    def sync() -> str:
        seen.append(str(solvent.current_budget().scope))
        return ""

    async def later() -> str:
        return sync()

    asked = Turn(calls=(ToolCall("sync", {}), ToolCall("later", {})))
    world.plays(researcher=(asked, says()))
    agent = world.agent(tools=[create_tool_from_function(each, description="Says.") for each in (sync, later)])
    world.runs(agent.run_async, ASKED)
    assert sorted(seen) == [f"{world.scope}/agent:agent/step:{name}" for name in ("later", "sync")]


def test_what_another_version_lacks_goes_unnamed_and_is_counted_all_the_same(world, monkeypatch):
    solvent.uninstall()
    with monkeypatch.context() as context:
        context.delattr(Tool, "invoke")
        solvent.install()
    world.plays()
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(pipeline(world.task).run, in_pipeline(world.task), calls=8)
    assert world.scopes == [*[RESEARCHER] * 6, *[f"{RESEARCHER}/agent:helper"] * 2]


def test_the_guide_prints_what_it_shows(aimock, tmp_path):
    asks = calls("helper", messages=[{"role": "user", "content": "What is the Rhine?"}])
    script = {"researcher": (asks, says("In the North Sea.")) * 2, "helper": (says("A river."),) * 2}
    follow("haystack.md", Framework(__import__("fw_haystack")), script, aimock, tmp_path)
