"""
What Semantic Kernel alone has: agents that are invoked by three methods, agents as plugins, chat services and prompts
without an agent, which wrap every error, and orchestrations, whose runtime keeps it.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest
from fw_semantic_kernel import made, researcher
from guides import follow
from journal import CALLS, RESEARCHER, calls_of
from msgspec.structs import replace
from openai import AsyncOpenAI
from scenario import ANSWER, SCRIPT, SHORT, Framework, ToolCall, Turn, task
from semantic_kernel import Kernel
from semantic_kernel.agents import (
    ChatCompletionAgent,
    HandoffOrchestration,
    OpenAIResponsesAgent,
    OrchestrationHandoffs,
    SequentialOrchestration,
)
from semantic_kernel.agents.runtime import InProcessRuntime
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory
from semantic_kernel.exceptions import KernelInvokeException
from semantic_kernel.functions import KernelFunctionFromPrompt, KernelPlugin, kernel_function
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_semantic_kernel"))
MODELS = FRAMEWORK.models


@pytest.fixture
def world(aimock, guarded):
    yield World(aimock, guarded)
    guarded.at_rest()
    assert OPEN.blocks() == []


class World:
    """
    The server, what agents are built from, and the books of the last budget.
    """

    def __init__(self, aimock, guarded):
        self.aimock, self.guarded = aimock, guarded
        self.task = task(aimock.url, MODELS)
        self.scope = None

    def plays(self, **script):
        self.aimock.plays(FRAMEWORK.fixtures(script))

    def limits_helper(self):
        """
        To one call, by the policy.
        """
        limited = ("agent:helper", Limit(meter="calls", amount=1, source="solvent.yaml:3"))
        PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, budgets=(limited,)))

    @asynccontextmanager
    async def budget(self, **limits):
        async with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            yield
        assert CURRENT.get() is None

    @asynccontextmanager
    async def client(self):
        async with AsyncOpenAI(base_url=f"{self.task.url}/v1", api_key="sk-test") as client:
            yield client

    def agent(self, client, name, *tools, plugins=()):
        model = getattr(MODELS, name)
        agent = made(name, client, model, "Go on.", self.task, tools)
        for plugin in plugins:
            agent.kernel.add_plugin(plugin)
        return agent

    def answer(self, run, **limits):
        """
        What came of what was run with a client.
        """

        async def main():
            async with self.client() as client, self.budget(**limits):
                return str(await asyncio.wait_for(run(client), 30))

        return asyncio.run(main())

    def refused(self, run, **limits):
        """
        What comes out in the place of an answer.
        """
        before, heard = self.guarded.count("refuse"), len(self.aimock.heard())
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.answer(run, **limits)
        assert self.guarded.count("refuse") == before + 1
        assert len(self.aimock.heard()) == heard + len(self.calls)
        return refused.value

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


async def by_get_response(agent):
    return (await agent.get_response("Find out.")).content


async def by_invoke(agent):
    return [str(response.content) async for response in agent.invoke("Find out.")][-1]


async def by_invoke_stream(agent):
    return "".join([str(response.content) async for response in agent.invoke_stream("Find out.")])


WAYS = [by_get_response, by_invoke, by_invoke_stream]


@pytest.mark.parametrize("way", WAYS)
def test_a_run_by_any_method_is_booked_alike(way, world):
    async def main():
        async with researcher(world.task) as agent, world.budget():
            return str(await way(agent))

    world.plays(**SCRIPT)
    assert asyncio.run(main()) == ANSWER
    assert world.calls == CALLS


@pytest.mark.parametrize("limit", [0, 3, 6, 7])
@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_comes_out_of_any_method(way, limit, world):
    async def main():
        async with researcher(world.task) as agent, world.budget(calls=limit):
            await way(agent)

    world.plays(**SCRIPT)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(main())
    assert refused.value.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_stream_that_is_left_leaves_no_scope_open(world):
    async def main():
        async with world.client() as client, world.budget():
            async for _ in world.agent(client, "researcher").invoke_stream("Find out."):
                assert str(solvent.current_budget().scope) == world.scope
                break

    world.plays(researcher=(Turn(text=ANSWER),))
    asyncio.run(main())


@pytest.mark.parametrize("way", WAYS)
def test_an_agent_over_the_responses_format_has_its_names(way, world):
    async def run(client):
        agent = OpenAIResponsesAgent(
            ai_model_id=MODELS.researcher,
            client=client,
            name="researcher",
            plugins=[KernelPlugin(name="tools", functions=[kernel_function(world.task.search)])],
        )
        return await way(agent)

    world.plays(**SHORT)
    assert ANSWER in world.answer(run)
    assert world.scopes == [RESEARCHER] * 2
    assert [ran.scope for ran in world.task.ran] == [f"{RESEARCHER}/step:search"]
    world.plays(**SHORT)
    world.refused(run, calls=1)


def test_an_agent_without_a_name_has_that_of_its_class(world):
    async def run(client):
        return await by_get_response(
            ChatCompletionAgent(service=OpenAIChatCompletion(MODELS.helper, async_client=client))
        )

    world.plays(helper=(Turn(text=ANSWER),))
    world.answer(run)
    assert world.scopes == ["agent:ChatCompletionAgent"]


def with_plugin(world):
    world.plays(researcher=(calls("helper-helper", messages="What?"), Turn(text=ANSWER)), helper=SCRIPT["helper"])

    async def run(client):
        helper = world.agent(client, "helper", world.task.lookup)
        return await by_get_response(world.agent(client, "researcher", plugins=[helper]))

    return run


AS_TOOL = f"{RESEARCHER}/step:helper/agent:helper"


def test_an_agent_as_a_plugin_stands_below_the_function_that_it_is(world):
    run = with_plugin(world)
    assert world.answer(run) == ANSWER
    assert world.scopes == [RESEARCHER, AS_TOOL, AS_TOOL, RESEARCHER]
    for limit in range(4):
        world.refused(with_plugin(world), calls=limit)


def test_a_limit_of_an_agent_as_a_plugin_stops_that_one_alone(world):
    world.limits_helper()
    assert world.answer(with_plugin(world)) == ANSWER
    assert world.scopes == [RESEARCHER, AS_TOOL, RESEARCHER]


def service(client):
    return OpenAIChatCompletion(MODELS.researcher, async_client=client)


def asked():
    history = ChatHistory()
    history.add_user_message("Find out.")
    return history, OpenAIChatPromptExecutionSettings()


async def by_service(client):
    return await service(client).get_chat_message_content(*asked())


async def by_streaming_service(client):
    return "".join([str(piece) async for piece in service(client).get_streaming_chat_message_content(*asked())])


async def by_prompt(client):
    kernel = Kernel(services=[service(client)])
    return await kernel.invoke_prompt("Find out.")


@pytest.mark.parametrize("way", [by_service, by_streaming_service, by_prompt])
def test_a_refusal_comes_out_as_itself_where_there_is_no_agent(way, world):
    world.plays(researcher=(Turn(text=ANSWER),))
    assert world.answer(way) == ANSWER
    assert world.scopes == [""]
    world.refused(way, calls=0)


def test_a_service_s_stream_that_is_closed_is_over_at_once(world, caplog):
    async def run(client):
        settings = OpenAIChatPromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto())
        pieces = service(client).get_streaming_chat_message_contents(asked()[0], settings, kernel=Kernel())
        await anext(pieces)
        await pieces.aclose()

    world.plays(researcher=(Turn(text=ANSWER),))
    world.answer(run)
    assert "Failed to detach context" not in caplog.text


def test_another_error_comes_out_as_before(world):
    async def run(client):
        return await Kernel().invoke(
            KernelPlugin("tools", functions=[kernel_function(world.task.broken)])["broken"], item=""
        )

    with pytest.raises(KernelInvokeException):
        world.answer(run)


def test_a_function_that_a_program_invokes_is_no_step(world):
    async def run(client):
        function = KernelFunctionFromPrompt("summarize", plugin_name="writer", prompt="Find out.")
        return await Kernel(services=[service(client)]).invoke(function)

    world.plays(researcher=(Turn(text=ANSWER),))
    assert world.answer(run) == ANSWER
    assert world.scopes == [""]


async def orchestrated(orchestration):
    runtime = InProcessRuntime()
    runtime.start()
    try:
        result = await orchestration.invoke("Find out.", runtime=runtime)
        return await result.get()
    finally:
        await runtime.stop_when_idle()


def test_members_of_an_orchestration_stand_beside_each_other(world):
    async def run(client):
        agents = [world.agent(client, name) for name in ("researcher", "helper")]
        return await orchestrated(SequentialOrchestration(members=agents))

    for limit in (None, 0, 1):
        world.plays(researcher=(Turn(text="Well?"),), helper=(Turn(text=ANSWER),))
        if limit is None:
            assert world.answer(run) == ANSWER
        else:
            world.refused(run, calls=limit)
        assert world.scopes == [RESEARCHER, "agent:helper"][:limit]


@pytest.mark.parametrize("limits", [{}, {"calls": 0}, {"calls": 1}, {"calls": 2}])
def test_turns_after_a_handoff_are_those_of_the_agent_that_took_over(limits, world):
    async def run(client):
        first, second = (world.agent(client, name) for name in ("researcher", "helper"))
        first.description, second.description = "Finds out.", "Helps."
        handoffs = OrchestrationHandoffs().add(first, second).add(second, first)
        return await orchestrated(HandoffOrchestration(members=[first, second], handoffs=handoffs))

    world.plays(
        researcher=(calls("Handoff-transfer_to_helper"), calls("Handoff-complete_task", task_summary=ANSWER)),
        helper=(calls("Handoff-transfer_to_researcher"),),
    )
    if limits:
        world.refused(run, **limits)
    else:
        assert ANSWER in world.answer(run)
    assert world.scopes == [RESEARCHER, "agent:helper", RESEARCHER][: limits.get("calls")]


def test_what_another_version_lacks_goes_unnamed_and_is_counted_all_the_same(world, monkeypatch):
    async def main():
        async with researcher(world.task) as agent, world.budget(calls=8):
            await by_invoke_stream(agent)

    solvent.uninstall()
    with monkeypatch.context() as context:
        context.delattr("semantic_kernel.agents.chat_completion.chat_completion_agent.ChatCompletionAgent")
        context.delattr("semantic_kernel.kernel.Kernel")
        solvent.install()
    world.plays(**SCRIPT)
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main())
    assert len(world.aimock.heard()) == 8


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path):
    researcher = (calls("helper-helper", messages="What is an estuary?"), Turn(text="In the North Sea."))
    helper = (Turn(text="Where a river meets the sea."),)
    script = {"researcher": researcher * 2, "helper": helper * 2}
    follow("semantic-kernel.md", Framework(__import__("fw_semantic_kernel")), script, aimock, tmp_path)
