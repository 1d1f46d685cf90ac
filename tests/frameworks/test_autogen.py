"""
What AutoGen alone has: agents that are asked by four methods, answers made of what tools came to, agents and teams as
tools, and teams, whose runtime makes a text of every error.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    SocietyOfMindAgent,
)
from autogen_agentchat.agents._message_filter_agent import MessageFilterConfig
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat, Swarm
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.models import UserMessage
from fw_autogen import client, researcher
from guides import follow
from journal import CALLS, HELPER, RESEARCHER, calls_of
from msgspec.structs import replace
from scenario import ANSWER, SCRIPT, Framework, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_autogen"))
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

    def says_always(self, text):
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        self.aimock.plays([{"match": {}, "response": {"content": text, "usage": usage}}])

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
    async def clients(self):
        async with client(self.task, MODELS.researcher) as own, client(self.task, MODELS.helper) as helpers:
            yield own, helpers

    def answer(self, build, **limits):
        """
        What came of a run of what was built from the two models.
        """

        async def main():
            async with self.clients() as clients, self.budget(**limits):
                return (await asyncio.wait_for(build(*clients).run(task="Find out."), 30)).messages[-1].to_text()

        return asyncio.run(main())

    def refused(self, build, **limits):
        """
        What comes out in the place of an answer.
        """
        before = self.guarded.count("refuse")
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.answer(build, **limits)
        assert self.guarded.count("refuse") == before + 1
        assert len(self.aimock.heard()) == len(self.calls)
        return refused.value

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


async def last(steps):
    async for step in steps:
        found = step
    return found.messages[-1] if isinstance(found, TaskResult) else found.chat_message


async def by_run_stream(agent):
    return await last(agent.run_stream(task="Find out."))


async def by_on_messages(agent):
    return (
        await agent.on_messages([TextMessage(content="Find out.", source="user")], CancellationToken())
    ).chat_message


async def by_on_messages_stream(agent):
    return await last(agent.on_messages_stream([TextMessage(content="Find out.", source="user")], CancellationToken()))


async def by_run(agent):
    return (await agent.run(task="Find out.")).messages[-1]


WAYS = [by_run_stream, by_on_messages, by_on_messages_stream]


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("way", WAYS)
def test_a_run_by_any_method_is_booked_alike(way, is_streamed, world):
    async def main():
        async with researcher(world.task, model_client_stream=is_streamed) as agent, world.budget():
            return (await way(agent)).to_text()

    world.plays(**SCRIPT)
    assert asyncio.run(main()) == ANSWER
    assert world.calls == CALLS


@pytest.mark.parametrize("limit", [0, 3, 6, 7])
@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_comes_out_of_any_method(way, limit, world):
    async def main():
        async with researcher(world.task, model_client_stream=True) as agent, world.budget(calls=limit):
            await way(agent)

    world.plays(**SCRIPT)
    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(main())
    assert refused.value.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("steps_taken", [1, 3])
def test_a_stream_that_is_left_leaves_no_scope_open(steps_taken, world):
    async def main():
        async with researcher(world.task) as agent, world.budget():
            steps = agent.run_stream(task="Find out.")
            for _ in range(steps_taken):
                await anext(steps)
            here = solvent.current_budget()
            assert str(here.scope) == world.scope
            del steps

    world.plays(**SCRIPT)
    asyncio.run(main())


@pytest.mark.parametrize("way", WAYS)
def test_what_tools_came_to_is_no_answer_after_a_refusal(way, world):
    async def main():
        async with researcher(world.task, 1) as agent, world.budget(calls=2):
            await way(agent)

    world.plays(researcher=(calls("ask_helper", question="What?"),), helper=SCRIPT["helper"])
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main())
    assert world.scopes == [RESEARCHER, HELPER]


def with_agent_tool(world):
    world.plays(
        researcher=(calls("search", query="Elbe"), calls("helper", task="What?"), Turn(text=ANSWER)),
        helper=SCRIPT["helper"],
    )

    def build(own, helpers):
        helper = AssistantAgent("helper", helpers, tools=[world.task.lookup], max_tool_iterations=9)
        tools = [world.task.search, AgentTool(helper)]
        return AssistantAgent("researcher", own, tools=tools, max_tool_iterations=9)

    return build


AS_TOOL = f"{RESEARCHER}/step:helper/agent:helper"


def test_an_agent_as_a_tool_stands_below_it(world):
    build = with_agent_tool(world)
    assert world.answer(build) == ANSWER
    assert world.scopes == [RESEARCHER] * 2 + [AS_TOOL] * 2 + [RESEARCHER]
    assert [ran.scope for ran in world.task.ran] == [f"{RESEARCHER}/step:search", f"{AS_TOOL}/step:lookup"]


@pytest.mark.parametrize("limit", range(5))
def test_a_refusal_in_an_agent_as_a_tool_ends_the_run(limit, world):
    assert world.refused(with_agent_tool(world), calls=limit).scope == world.scope
    assert world.scopes == ([RESEARCHER] * 2 + [AS_TOOL] * 2 + [RESEARCHER])[:limit]


def test_a_limit_of_an_agent_as_a_tool_stops_that_one_alone(world):
    world.limits_helper()
    assert world.answer(with_agent_tool(world)) == ANSWER
    assert world.scopes == [RESEARCHER] * 2 + [AS_TOOL, RESEARCHER]


def members(own, helpers, *, tools=()):
    return [AssistantAgent("researcher", own, tools=[*tools]), AssistantAgent("helper", helpers)]


def round_robin(own, helpers):
    return RoundRobinGroupChat(members(own, helpers), max_turns=4)


def talk(world):
    world.plays(researcher=(Turn(text="Well?"), Turn(text="Why?")), helper=(Turn(text="No."), Turn(text=ANSWER)))


TALK = [RESEARCHER, "agent:helper"] * 2


def test_members_of_a_team_stand_beside_each_other(world):
    talk(world)
    assert world.answer(round_robin) == ANSWER
    assert world.scopes == TALK


@pytest.mark.parametrize("limit", range(4))
def test_a_refusal_comes_out_of_a_team(limit, world):
    talk(world)
    assert world.refused(round_robin, calls=limit).scope == world.scope
    assert world.scopes == TALK[:limit]


def test_a_refusal_comes_out_of_the_stream_of_a_team(world):
    async def main():
        async with world.clients() as clients, world.budget(calls=3):
            return [step async for step in round_robin(*clients).run_stream(task="Find out.")]

    talk(world)
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main())
    assert world.scopes == TALK[:3]


def test_the_stream_of_a_team_that_is_left_leaves_no_scope_open(world):
    async def main():
        async with world.clients() as clients, world.budget():
            team = round_robin(*clients)
            steps = team.run_stream(task="Find out.")
            await anext(steps)
            await steps.aclose()
            return (await team.run(task="Find out.")).messages[-1].to_text()

    world.says_always(ANSWER)
    assert asyncio.run(main()) == ANSWER


def test_the_limit_of_a_member_ends_the_team(world):
    talk(world)
    world.limits_helper()
    assert world.refused(round_robin).scope == f"{world.scope}/agent:helper"
    assert world.scopes == TALK[:3]


def test_a_team_in_a_runtime_of_the_program_s_own_ends_alike(world):
    async def main(**limits):
        async with world.clients() as clients, world.budget(**limits):
            runtime = SingleThreadedAgentRuntime()
            runtime.start()
            try:
                await RoundRobinGroupChat(members(*clients), max_turns=4, runtime=runtime).run(task="Find out.")
            finally:
                await runtime.stop()

    talk(world)
    asyncio.run(main())
    assert world.scopes == TALK
    talk(world)
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main(calls=2))
    assert world.scopes == TALK[:2]


def test_a_runtime_that_was_started_before_the_budget_is_held_to_it(world):
    async def main():
        runtime = SingleThreadedAgentRuntime()
        runtime.start()
        try:
            async with world.clients() as clients, world.budget(calls=2):
                await RoundRobinGroupChat(members(*clients), max_turns=4, runtime=runtime).run(task="Find out.")
        finally:
            await runtime.stop()

    talk(world)
    with pytest.raises(solvent.BudgetExceeded):
        asyncio.run(main())
    assert len(world.aimock.heard()) == len(world.calls) == 2


def test_teams_beside_each_other_have_each_its_own_error(world):
    async def one(clients, **limits):
        async with solvent.budget("team", **limits):
            try:
                return (await round_robin(*clients).run(task="Find out.")).messages[-1].to_text()
            except solvent.BudgetExceeded as refusal:
                return refusal.scope

    async def main():
        async with world.clients() as clients:
            return await asyncio.gather(*[one(clients, calls=limit) for limit in (1, 4, 3)])

    world.says_always(ANSWER)
    first, second, third = asyncio.run(main())
    assert second == ANSWER
    assert first != third
    assert len(world.aimock.heard()) == 8


def test_the_choice_of_a_speaker_is_the_run_s(world):
    def build(own, helpers):
        return SelectorGroupChat(members(own, helpers), own, max_turns=2, allow_repeated_speaker=True)

    def choose():
        picks = (Turn(text="helper"), Turn(text="researcher"), Turn(text=ANSWER))
        world.plays(researcher=picks, helper=(Turn(text="No."),))

    choose()
    assert world.answer(build) == ANSWER
    chosen = ["", "agent:helper", "", RESEARCHER]
    assert world.scopes == chosen
    for limit in range(4):
        choose()
        world.refused(build, calls=limit)
        assert world.scopes == chosen[:limit]


def handing(own, helpers):
    first = AssistantAgent("researcher", own, handoffs=["helper"])
    return Swarm([first, AssistantAgent("helper", helpers, handoffs=["researcher"])], max_turns=3)


@pytest.mark.parametrize("limit", [None, 0, 1, 2])
def test_turns_after_a_handoff_are_those_of_the_agent_that_took_over(limit, world):
    world.plays(
        researcher=(calls("transfer_to_helper"), Turn(text=ANSWER)),
        helper=(calls("transfer_to_researcher"),),
    )
    handed = [RESEARCHER, "agent:helper", RESEARCHER]
    if limit is None:
        assert world.answer(handing) == ANSWER
    else:
        world.refused(handing, calls=limit)
    assert world.scopes == handed[:limit]


def test_a_handoff_is_no_step_that_a_limit_could_keep_waiting(world):
    world.plays(researcher=(calls("transfer_to_helper"),), helper=(Turn(text=ANSWER),))
    assert world.refused(handing, tool_calls=0).meter == "tool_calls"
    assert world.scopes == [RESEARCHER]


class Own(BaseChatAgent):
    """
    An agent of a program's own class.
    """

    produced_message_types = (TextMessage,)

    def __init__(self, name, model):
        super().__init__(name, "Does it all by itself.")
        self.model = model

    async def on_messages(self, messages, cancellation_token):
        return [step async for step in self.on_messages_stream(messages, cancellation_token)][-1]

    async def on_messages_stream(self, _messages, _cancellation_token):
        try:
            result = await self.model.create([UserMessage(content="Go on.", source="user")])
        except solvent.BudgetExceeded as refusal:
            raise ValueError("no model") from refusal
        yield Response(chat_message=TextMessage(content=result.content, source=self.name))

    async def on_reset(self, cancellation_token):
        pass


@pytest.mark.parametrize("limit", [None, 0, 1, 2, 3])
def test_a_member_of_any_class_has_its_name_and_ends_by_the_refusal_that_it_wraps(limit, world):
    def build(own, helpers):
        return RoundRobinGroupChat([Own("researcher", own), AssistantAgent("helper", helpers)], max_turns=4)

    talk(world)
    if limit is None:
        assert world.answer(build) == ANSWER
    else:
        world.refused(build, calls=limit)
    assert world.scopes == TALK[:limit]


def one_in_another(own, helpers):
    return SocietyOfMindAgent("researcher", RoundRobinGroupChat([AssistantAgent("helper", helpers)], max_turns=1), own)


def executor(own, helpers):
    return CodeExecutorAgent("researcher", object(), model_client=own)


@pytest.mark.parametrize(
    ("build", "ways"),
    [(lambda own, _: Own("researcher", own), [by_run, by_run_stream]), (one_in_another, WAYS), (executor, WAYS)],
    ids=["of a program's own class", "with a team in it", "that runs code"],
)
def test_an_agent_has_its_name_by_any_method(build, ways, world):
    async def main(way, **limits):
        async with world.clients() as clients, world.budget(**limits):
            return (await way(build(*clients))).to_text()

    for way in ways:
        world.plays(researcher=(Turn(text=ANSWER),), helper=(Turn(text="No."),))
        assert asyncio.run(main(way)) == ANSWER
        assert world.scopes[-1] == RESEARCHER
        assert set(world.scopes[:-1]) <= {f"{RESEARCHER}/agent:helper"}
        with pytest.raises(solvent.BudgetExceeded):
            asyncio.run(main(way, calls=0))


def test_what_else_ends_a_team_is_told_as_before(world):
    class Broken(Own):
        async def on_messages_stream(self, _messages, _cancellation_token):
            raise ValueError("out of order")
            yield

    with pytest.raises(RuntimeError, match="ValueError: out of order"):
        world.answer(lambda own, _: RoundRobinGroupChat([Broken("researcher", own)], max_turns=1))


def test_an_agent_that_filters_for_another_has_no_scope_of_its_own(world):
    def build(own, helpers):
        first, second = members(own, helpers)
        return RoundRobinGroupChat([MessageFilterAgent("filter", first, MessageFilterConfig(per_source=[])), second])

    world.plays(researcher=(Turn(text="Well?"),), helper=())
    world.refused(build, calls=1)
    assert world.scopes == [RESEARCHER]


def test_a_team_within_a_team_has_no_scope_and_ends_with_it(world):
    def build(own, helpers):
        inner = RoundRobinGroupChat([AssistantAgent("helper", helpers)], name="inner", max_turns=1)
        return RoundRobinGroupChat([AssistantAgent("researcher", own), inner], max_turns=4)

    talk(world)
    assert world.answer(build) == ANSWER
    assert world.scopes == TALK
    for limit in range(4):
        talk(world)
        world.refused(build, calls=limit)
        assert world.scopes == TALK[:limit]


def as_tool(own, helpers):
    team = RoundRobinGroupChat([AssistantAgent("helper", helpers)], max_turns=2)
    tool = TeamTool(team, "ask_team", "Asks them.")
    return AssistantAgent("researcher", own, tools=[tool], max_tool_iterations=9)


def as_agent(own, helpers):
    return SocietyOfMindAgent("researcher", RoundRobinGroupChat([AssistantAgent("helper", helpers)], max_turns=2), own)


IN_TOOL = [RESEARCHER, *[f"{RESEARCHER}/step:ask_team/agent:helper"] * 2, RESEARCHER]
IN_AGENT = [*[f"{RESEARCHER}/agent:helper"] * 2, RESEARCHER]


@pytest.mark.parametrize(
    ("build", "turns", "scopes"),
    [(as_tool, (calls("ask_team", task="?"), Turn(text=ANSWER)), IN_TOOL), (as_agent, (Turn(text=ANSWER),), IN_AGENT)],
)
def test_a_team_within_an_agent_stands_below_it_and_ends_with_it(build, turns, scopes, world):
    script = {"researcher": turns, "helper": (Turn(text="No."), Turn(text="Yes."))}
    world.plays(**script)
    assert world.answer(build) == ANSWER
    assert world.scopes == scopes
    for limit in range(len(scopes)):
        world.plays(**script)
        world.refused(build, calls=limit)
        assert world.scopes == scopes[:limit]


def test_what_another_version_lacks_goes_unnamed_and_is_counted_all_the_same(world, monkeypatch):
    solvent.uninstall()
    hidden = ("agents.SocietyOfMindAgent", "teams._group_chat._events.SerializableException", "agents.AssistantAgent")
    with monkeypatch.context() as context:
        for name in hidden:
            context.delattr(f"autogen_agentchat.{name}")
        solvent.install()
    talk(world)
    with pytest.raises(RuntimeError, match="BudgetExceeded"):
        world.answer(round_robin, calls=3)
    assert len(world.aimock.heard()) == 3
    assert world.scopes == TALK[:3]


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path):
    researcher = (calls("helper", task="What is an estuary?"), Turn(text="In the North Sea."))
    helper = (Turn(text="Where a river meets the sea."),)
    follow(
        "autogen.md",
        Framework(__import__("fw_autogen")),
        {"researcher": researcher * 2, "helper": helper * 2},
        aimock,
        tmp_path,
    )
