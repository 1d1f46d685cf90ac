"""
What Pydantic AI alone has: five ways to run an agent, streams, retries that tools ask for, toolsets, output functions.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest
from fw_pydantic_ai import researcher
from guides import follow
from journal import CALLS, HELPER, RESEARCHER, calls_of
from msgspec.structs import replace
from openai import AsyncOpenAI
from pydantic_ai import Agent, FunctionToolset, ModelRetry
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from scenario import ANSWER, SCRIPT, SHORT, Framework, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_pydantic_ai"))
MODELS = FRAMEWORK.models


@pytest.fixture
def world(aimock, guarded):
    yield World(aimock, guarded)
    guarded.at_rest()
    assert OPEN.blocks() == []
    assert CURRENT.get() is None


class World:
    """
    The server, what agents are built from, and the books of the last budget.
    """

    def __init__(self, aimock, guarded):
        self.aimock, self.guarded = aimock, guarded
        self.task = task(aimock.url, MODELS)
        self.scope = None

    def plays(self, script):
        self.aimock.plays(FRAMEWORK.fixtures(script))

    def model(self, role, client):
        return OpenAIChatModel(getattr(MODELS, role), provider=OpenAIProvider(openai_client=client))

    @asynccontextmanager
    async def client(self, **limits):
        """
        In a budget.
        """
        client = AsyncOpenAI(base_url=f"{self.task.url}/v1", api_key="sk-test")
        async with client, solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            yield client

    def run(self, do, **limits):
        """
        What becomes of the researcher of the scenario, in a budget.
        """

        async def main():
            async with self.client(**limits) as client:
                return await do(researcher(self.task, client))

        return asyncio.run(main())

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


async def streamed(agent):
    async with agent.run_stream("Find out.") as result:
        return await result.get_output()


async def by_events(agent):
    async with agent.run_stream_events("Find out.") as events:
        *_, last = [event async for event in events]
    return last.result.output


async def by_a_handler(agent):
    async def hear(ctx, events):
        async for _ in events:
            pass

    return (await agent.run("Find out.", event_stream_handler=hear)).output


async def step_by_step(agent):
    async with agent.iter("Find out.") as run:
        async for _ in run:
            pass
    return run.result.output


async def step_by_step_streamed(agent):
    async with agent.iter("Find out.") as run:
        async for node in run:
            if Agent.is_model_request_node(node) or Agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    async for _ in events:
                        pass
    return run.result.output


WAYS = pytest.mark.parametrize("way", [streamed, by_events, by_a_handler, step_by_step, step_by_step_streamed])


@WAYS
def test_every_way_to_run_an_agent_is_booked_alike(way, world):
    world.plays(SCRIPT)
    assert world.run(way) == ANSWER
    assert world.calls == CALLS


@WAYS
@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7, 12])
def test_a_refusal_comes_out_of_every_way_to_run_an_agent(way, limit, world):
    world.plays(SCRIPT)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        world.run(way, calls=limit)
    assert refused.value.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_run_over_the_responses_format_is_booked_alike(world):
    async def main():
        async with world.client() as client:
            agent = researcher(world.task, client, OpenAIResponsesModel)
            return (await agent.run("Find out.")).output

    world.plays(SCRIPT)
    assert asyncio.run(main()) == ANSWER
    assert world.calls == CALLS


@pytest.mark.parametrize("is_streamed", [False, True], ids=["awaited", "streamed"])
def test_a_run_of_a_synchronous_program_is_booked_alike(is_streamed, world):
    client = AsyncOpenAI(base_url=f"{world.task.url}/v1", api_key="sk-test")

    def run(**limits):
        world.plays(SCRIPT)
        with solvent.budget("scenario", **limits) as budget:
            world.scope = str(budget.scope)
            agent = researcher(world.task, client)
            if not is_streamed:
                return agent.run_sync("Find out.").output
            with agent.run_stream_sync("Find out.") as result:
                return result.get_output()

    assert run() == ANSWER
    assert world.calls == CALLS
    with pytest.raises(solvent.BudgetExceeded):
        run(calls=7)
    assert world.calls == CALLS[:7]
    assert len(world.aimock.heard()) == 7
    asyncio.get_event_loop_policy().get_event_loop().close()


@pytest.mark.parametrize("ends", ["a break", "an error", "a task that is cancelled"])
@pytest.mark.parametrize("way", ["run_stream", "run_stream_events", "iter"])
def test_a_stream_that_is_left_leaves_no_scope_open(way, ends, world):
    async def leave(agent):
        async with getattr(agent, way)("Find out.") as run:
            assert str(solvent.current_budget().scope) in (world.scope, f"{world.scope}/{RESEARCHER}")
            async for _ in run.stream_text() if way == "run_stream" else run:
                if ends == "an error":
                    raise KeyError("mine")
                if ends == "a task that is cancelled":
                    asyncio.current_task().cancel()
                    await asyncio.sleep(0)
                break

    async def main(agent):
        before = CURRENT.get()
        await asyncio.gather(left := asyncio.create_task(leave(agent)), return_exceptions=True)
        assert CURRENT.get() is before
        return None if left.cancelled() else left.exception()

    world.plays(SCRIPT)
    error = world.run(main)
    assert isinstance(error, KeyError) == (ends == "an error")


def test_what_a_program_does_between_the_steps_of_a_run_is_in_its_scope_until_its_end(world):
    seen = []

    async def see():
        seen.append(str(solvent.current_budget().scope))

    async def main(agent):
        async with agent.iter("Find out.") as run:
            await asyncio.create_task(see())
            async for _ in run:
                pass
            inner = solvent.budget("mine").__enter__()
        await asyncio.create_task(see())
        inner.__exit__(None, None, None)
        await asyncio.create_task(see())
        return str(inner.scope)

    world.plays(SCRIPT)
    mine = world.run(main)
    assert seen == [f"{world.scope}/{RESEARCHER}", mine, world.scope]


def test_an_agent_is_called_by_the_name_that_it_has_in_the_framework(world):
    async def main():
        async with world.client() as client:
            oder = Agent(world.model("researcher", client))
            await oder.run("Find out.")
            await Agent(world.model("researcher", client)).run("Find out.")
            async with (elbe := [Agent(world.model("researcher", client))])[0].iter("Find out.") as run:
                async for _ in run:
                    pass
            return oder.name, elbe[0].name

    world.plays({"researcher": (Turn(text=ANSWER),) * 3})
    assert asyncio.run(main()) == ("oder", None)
    assert world.scopes == ["agent:oder", "agent:agent", "agent:agent"]


def test_a_tool_that_asks_for_a_retry_is_run_again_below_its_agent(world):
    seen = []

    def search(query: str) -> str:
        seen.append(str(solvent.current_budget().scope))
        if len(seen) == 1:
            raise ModelRetry("Another river, please.")
        return query

    async def main():
        async with world.client() as client:
            tools = FunctionToolset([search]).prefixed("rivers")
            agent = Agent(world.model("researcher", client), name="researcher", toolsets=[tools])
            return (await agent.run("Find out.")).output

    search_rivers = calls("rivers_search", query="Elbe")
    world.plays({"researcher": (search_rivers, search_rivers, Turn(text=ANSWER))})
    assert asyncio.run(main()) == ANSWER
    assert seen == [f"{world.scope}/{RESEARCHER}/step:rivers_search"] * 2
    assert world.scopes == [RESEARCHER] * 3


def test_an_agent_that_an_output_function_hands_over_to_stands_below_the_first_one(world):
    async def main():
        async with world.client() as client:
            helper = Agent(world.model("helper", client), name="helper")

            async def hand_over(question: str) -> str:
                return (await helper.run(question)).output

            agent = Agent(world.model("researcher", client), name="researcher", output_type=hand_over)
            return (await agent.run("Find out.")).output

    world.plays({"researcher": (calls("final_result", question="What?"),), "helper": (Turn(text=ANSWER),)})
    assert asyncio.run(main()) == ANSWER
    assert world.scopes == [RESEARCHER, f"{RESEARCHER}/agent:helper"]


@pytest.mark.parametrize("limits", [{"calls": 6}, {}], ids=["of the run", "of the sub-agent"])
def test_without_a_hook_for_errors_a_sub_agent_s_refusal_ends_the_run(limits, world):
    if not limits:
        none = ("agent:helper", Limit(meter="calls", amount=0, source="solvent.yaml:3"))
        PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, budgets=(none,)))

    async def main():
        async with world.client(**limits) as client:
            helper = Agent(world.model("helper", client), name="helper")

            async def ask_helper(question: str) -> str:
                return (await helper.run(question)).output

            def broken(item: str) -> str:
                raise ModelRetry("no such thing")

            tools = [world.task.search, world.task.fetch, broken, ask_helper]
            agent = Agent(world.model("researcher", client), name="researcher", tools=tools)
            await agent.run("Find out.")

    world.plays(SCRIPT)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(main())
    assert refused.value.scope == (world.scope if limits else f"{world.scope}/{HELPER}")
    assert len(world.aimock.heard()) == 6
    assert world.guarded.count("refuse") == 1


def test_a_refusal_is_no_reason_to_try_another_model(world):
    async def main():
        async with world.client(calls=1) as client:
            models = FallbackModel(world.model("researcher", client), world.model("helper", client))
            await Agent(models, name="researcher", tools=[world.task.search]).run("Find out.")

    world.plays(SHORT | {"helper": (Turn(text=ANSWER),)})
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main())
    assert world.scopes == [RESEARCHER]
    assert len(world.aimock.heard()) == 1


def test_agents_that_run_at_once_have_each_their_own_scope(world):
    async def main():
        async with world.client() as client:
            oder, elbe = (Agent(world.model(role, client), name=role) for role in ("researcher", "helper"))
            await asyncio.gather(oder.run("Find out."), elbe.run("Find out."))

    world.plays({"researcher": (Turn(text=ANSWER),), "helper": (Turn(text=ANSWER),)})
    asyncio.run(main())
    assert sorted(world.scopes) == ["agent:helper", RESEARCHER]


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path):
    researcher = (calls("ask_helper", question="What is an estuary?"), Turn(text="In the North Sea."))
    helper = (Turn(text="Where a river meets the sea."),)
    script = {"researcher": researcher * 2, "helper": helper * 2}
    follow("pydantic-ai.md", Framework(__import__("fw_pydantic_ai")), script, aimock, tmp_path)
    asyncio.get_event_loop_policy().get_event_loop().close()
