"""
What the OpenAI Agents SDK alone has: streamed runs, handoffs, runs that wait for an approval, tools made by hand.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from types import ModuleType

import pytest
from agents import (
    Agent,
    FunctionTool,
    GuardrailFunctionOutput,
    InputGuardrail,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunHooks,
    Runner,
    UserError,
    function_tool,
)
from fw_openai_agents import researcher
from guides import follow
from journal import CALLS, RESEARCHER, calls_of
from openai import AsyncOpenAI
from scenario import ANSWER, SCRIPT, SHORT, Framework, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent.instrument.openai_agents import _tool, hook

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_openai_agents"))
MODELS = FRAMEWORK.models


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

    @asynccontextmanager
    async def client(self):
        async with AsyncOpenAI(base_url=f"{self.task.url}/v1", api_key="sk-test") as client:
            yield client

    @asynccontextmanager
    async def researcher(self, **limits):
        """
        The agent of the scenario, in a budget.
        """
        async with self.client() as client, solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            yield researcher(self.task, client)
        assert CURRENT.get() is None

    def agent(self, client, name, **more):
        return Agent(name=name, model=OpenAIChatCompletionsModel(getattr(MODELS, name, "gpt-4o"), client), **more)

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


async def answer_of(streamed):
    async for _ in streamed.stream_events():
        pass
    return streamed.final_output


def test_a_run_over_the_responses_format_is_booked_alike(world):
    async def main(**limits):
        async with world.client() as client, solvent.budget("scenario", **limits) as budget:
            world.scope = str(budget.scope)
            agent = researcher(world.task, client, OpenAIResponsesModel)
            return (await Runner.run(agent, "Find out.", max_turns=20)).final_output

    world.plays(SCRIPT)
    assert asyncio.run(main()) == ANSWER
    assert world.calls == CALLS
    world.plays(SCRIPT)
    with pytest.raises(solvent.BudgetExceeded, match="calls left of 7 calls"):
        asyncio.run(main(calls=7))
    assert world.calls == CALLS[:7]
    assert len(world.aimock.heard()) == 7


def test_a_run_of_a_synchronous_program_is_booked_alike(world):
    world.plays(SCRIPT)
    client = AsyncOpenAI(base_url=f"{world.task.url}/v1", api_key="sk-test")
    with solvent.budget("scenario") as budget:
        world.scope = str(budget.scope)
        assert Runner.run_sync(researcher(world.task, client), "Find out.", max_turns=20).final_output == ANSWER
    assert world.calls == CALLS
    asyncio.get_event_loop_policy().get_event_loop().close()


def test_a_streamed_run_is_booked_alike(world):
    async def main():
        async with world.researcher() as agent:
            return await answer_of(Runner.run_streamed(agent, "Find out.", max_turns=20))

    world.plays(SCRIPT)
    assert asyncio.run(main()) == ANSWER
    assert world.calls == CALLS


@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7, 12])
def test_a_refusal_comes_out_of_the_stream_of_a_run(limit, world):
    async def main():
        async with world.researcher(calls=limit) as agent:
            await answer_of(Runner.run_streamed(agent, "Find out.", max_turns=20))

    world.plays(SCRIPT)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(main())
    assert refused.value.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("leaves", ["at once", "after an event", "by cancel"])
def test_a_stream_that_is_left_leaves_no_scope_open(leaves, world):
    async def main():
        async with world.researcher() as agent:
            streamed = Runner.run_streamed(agent, "Find out.", max_turns=20)
            if leaves != "at once":
                async for _ in streamed.stream_events():
                    break
            if leaves == "by cancel":
                streamed.cancel()
                await asyncio.gather(streamed.run_loop_task, return_exceptions=True)

    world.plays(SCRIPT)
    asyncio.run(main())
    world.guarded.at_rest()
    assert OPEN.blocks() == []


def handing(world, client):
    """
    Two agents that hand over to each other.
    """
    world.plays(
        {
            "researcher": (calls("search", query="Elbe"), calls("transfer_to_helper"), Turn(text=ANSWER)),
            "helper": (calls("lookup", term="Elbe"), calls("transfer_to_researcher")),
        }
    )
    helper = world.agent(client, "helper", tools=[function_tool(world.task.lookup)])
    first = world.agent(client, "researcher", tools=[function_tool(world.task.search)], handoffs=[helper])
    helper.handoffs = [first]
    return first


HANDED = [RESEARCHER, RESEARCHER, "agent:helper", "agent:helper", RESEARCHER]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["awaited", "streamed"])
def test_turns_after_a_handoff_are_those_of_the_agent_that_took_over(is_streamed, world):
    async def main(**limits):
        async with world.client() as client, solvent.budget("scenario", **limits) as budget:
            world.scope = str(budget.scope)
            agent = handing(world, client)
            if is_streamed:
                return await answer_of(Runner.run_streamed(agent, "Find out."))
            return (await Runner.run(agent, "Find out.")).final_output

    assert asyncio.run(main()) == ANSWER
    assert world.scopes == HANDED
    for limit in range(5):
        with pytest.raises(solvent.BudgetExceeded):
            asyncio.run(main(calls=limit))
        assert world.scopes == HANDED[:limit]
        assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 5
    assert OPEN.blocks() == []


@pytest.mark.usefixtures("helper_limited")
@pytest.mark.parametrize("is_streamed", [False, True], ids=["awaited", "streamed"])
def test_the_limit_of_an_agent_that_took_over_ends_the_run(is_streamed, world):
    async def main():
        async with world.client() as client, solvent.budget("scenario") as budget:
            world.scope = str(budget.scope)
            agent = handing(world, client)
            if is_streamed:
                return await answer_of(Runner.run_streamed(agent, "Find out."))
            return (await Runner.run(agent, "Find out.")).final_output

    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(main())
    assert refused.value.scope == f"{world.scope}/agent:helper"
    assert world.scopes == HANDED[:3]


def test_tools_after_a_handoff_stand_below_the_agent_that_took_over(world):
    seen = []

    async def main():
        async with world.client() as client, solvent.budget("scenario") as budget:
            world.scope = str(budget.scope)
            agent = handing(world, client)

            @function_tool
            def lookup(term: str) -> str:
                seen.append(str(solvent.current_budget().scope))
                return term

            agent.handoffs[0].tools = [lookup]
            await Runner.run(agent, "Find out.")

    asyncio.run(main())
    assert seen == [f"{world.scope}/agent:helper/step:lookup"]


@pytest.mark.parametrize("ends", ["by a message", "by an error"])
def test_a_refusal_in_a_streamed_sub_agent_ends_the_run(ends, world):
    async def main():
        async with world.researcher(calls=6) as agent:
            helper = world.agent(agent.model._client, "helper", tools=[function_tool(world.task.lookup)])
            more = {"failure_error_function": None} if ends == "by an error" else {}
            agent.tools[-1] = helper.as_tool("ask_helper", "Asks.", on_stream=lambda _: None, **more)
            await Runner.run(agent, "Find out.", max_turns=20)

    script = SCRIPT["researcher"]
    world.plays(SCRIPT | {"researcher": (*script[:5], calls("ask_helper", input="What?"), *script[6:])})
    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(main())
    assert refused.value.scope == world.scope
    assert world.calls == CALLS[:6]
    assert len(world.aimock.heard()) == 6
    assert world.guarded.count("refuse") == 1


def test_a_tool_made_by_hand_has_its_name(world):
    seen = []

    async def search(context, arguments):
        seen.append(str(solvent.current_budget().scope))
        return json.loads(arguments)["query"]

    async def main():
        async with world.client() as client, solvent.budget("scenario") as budget:
            world.scope = str(budget.scope)
            schema = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
            tool = FunctionTool("search", "Searches.", schema, search, strict_json_schema=False)
            await Runner.run(world.agent(client, "researcher", tools=[tool]), "Find out.")

    world.plays(SHORT)
    asyncio.run(main())
    assert seen == [f"{world.scope}/{RESEARCHER}/step:search"]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["awaited", "streamed"])
def test_a_run_that_waited_for_an_approval_goes_on_as_the_agent_that_asked_for_it(is_streamed, world):
    seen = []

    @function_tool(needs_approval=True)
    def lookup(term: str) -> str:
        seen.append(str(solvent.current_budget().scope))
        return term

    async def main():
        async with world.client() as client, solvent.budget("scenario") as budget:
            world.scope = str(budget.scope)
            agent = handing(world, client)
            agent.handoffs[0].tools = [lookup]
            state = (await Runner.run(agent, "Find out.")).to_state()
            state.approve(state.get_interruptions()[0])
            if is_streamed:
                return await answer_of(Runner.run_streamed(agent, state))
            return (await Runner.run(agent, state)).final_output

    assert asyncio.run(main()) == ANSWER
    assert seen == [f"{world.scope}/agent:helper/step:lookup"]
    assert world.scopes == HANDED


def test_a_guardrail_s_agent_stands_below_the_agent_that_it_guards(world):
    async def main():
        async with world.client() as client, solvent.budget("scenario") as budget:
            world.scope = str(budget.scope)
            guard = world.agent(client, "helper")

            async def check(context, agent, given):
                await Runner.run(guard, given)
                return GuardrailFunctionOutput(None, tripwire_triggered=False)

            rails = [InputGuardrail(guardrail_function=check, run_in_parallel=False)]
            await Runner.run(world.agent(client, "researcher", input_guardrails=rails), "Find out.")

    world.plays({"researcher": (Turn(text=ANSWER),), "helper": (Turn(text="It is about rivers."),)})
    asyncio.run(main())
    assert world.scopes == [f"{RESEARCHER}/agent:helper", RESEARCHER]


class Hanging(RunHooks):
    """
    Callbacks of which one never returns.
    """

    def __init__(self, name):
        self.reached = asyncio.Event()
        setattr(self, name, self.hang)

    async def hang(self, *_):
        self.reached.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("name", ["on_agent_start", "on_llm_start", "on_llm_end", "on_tool_start", "on_tool_end"])
def test_a_callback_that_hangs_leaves_nothing_open_when_its_run_is_given_up(name, world):
    async def main():
        async with world.researcher(calls=5) as agent:
            hanging = Hanging(name)
            run = asyncio.create_task(Runner.run(agent, "Find out.", max_turns=20, hooks=hanging))
            await hanging.reached.wait()
            assert world.guarded.reserved() == 0
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            assert solvent.current_budget().scope.parts[-1][0] == "run"
        return len(OPEN.blocks())

    world.plays(SCRIPT)
    assert asyncio.run(main()) == 0
    assert len(world.calls) == len(world.aimock.heard())


@pytest.mark.parametrize("name", ["on_agent_start", "on_llm_start", "on_llm_end", "on_tool_start", "on_tool_end"])
def test_a_callback_that_raises_ends_the_run_as_it_does_without_solvent(name, world):
    class Raising(RunHooks):
        async def fail(self, *_):
            raise KeyError("of its own")

    async def main():
        async with world.researcher(calls=5) as agent:
            hooks = Raising()
            setattr(hooks, name, hooks.fail)
            with pytest.raises((KeyError, UserError), match="of its own"):
                await Runner.run(agent, "Find out.", max_turns=20, hooks=hooks)
        return len(OPEN.blocks())

    world.plays(SCRIPT)
    assert asyncio.run(main()) == 0
    assert world.guarded.reserved() == 0


def test_another_module_of_that_name_is_left_alone():
    assert hook(ModuleType("agents.run")) == []


def test_a_tool_that_another_version_calls_otherwise_is_called_all_the_same():
    assert _tool(lambda given: given, object(), (7,), {}) == 7


def test_what_another_version_lacks_goes_unnamed_and_is_counted_all_the_same(world, monkeypatch):
    async def main():
        async with world.researcher(calls=8) as agent:
            await answer_of(Runner.run_streamed(agent, "Find out.", max_turns=20))

    solvent.uninstall()
    hidden = {"start_streaming": "agents.run", "_FailureHandlingFunctionToolInvoker": "agents.tool"}
    with monkeypatch.context() as context:
        for name, module in hidden.items():
            context.delattr(f"{module}.{name}")
        solvent.install()
    world.plays(SCRIPT)
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main())
    assert len(world.aimock.heard()) == 8


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path):
    researcher = (calls("ask_helper", input="What is an estuary?"), Turn(text="In the North Sea."))
    helper = (Turn(text="Where a river meets the sea."),)
    script = {"researcher": researcher * 2, "helper": helper * 2}
    follow("openai-agents.md", Framework(__import__("fw_openai_agents")), script, aimock, tmp_path)
    asyncio.get_event_loop_policy().get_event_loop().close()
