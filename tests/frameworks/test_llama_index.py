"""
What LlamaIndex alone has: handlers and their events, teams and handoffs, agents that call tools by text, tools of many
kinds, workflows around agents that try again.
"""

import asyncio
import gc
import json

import pytest
from fw_llama_index import llm_of, researcher
from guides import follow
from journal import CALLS, HELPER, RESEARCHER, calls_of
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool, ToolMetadata, ToolOutput
from llama_index.core.workflow import Context, StartEvent, StopEvent, Workflow, step
from msgspec.structs import replace
from scenario import ANSWER, SCRIPT, SHORT, Framework, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.
from workflows.retry_policy import ConstantDelayRetryPolicy

import solvent
from solvent._block import CURRENT, OPEN
from solvent._limits import Limit
from solvent._runtime import PROCESS

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_llama_index"))
MODELS = FRAMEWORK.models


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

    def run(self, run, **limits):
        """
        Run a coroutine function in a budget.
        """

        async def main():
            with solvent.budget("scenario", **limits) as budget:
                self.scope = str(budget.scope)
                answer = str(await run())
                assert solvent.current_budget() is budget
                return answer

        return asyncio.run(main())

    def refused(self, run, **limits):
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.run(run, **limits)
        assert CURRENT.get() is None
        assert OPEN.blocks() == []
        return refused.value

    def limit(self, scope, amount):
        """
        So many calls for a scope, by the policy.
        """
        limited = (scope, Limit(meter="calls", amount=amount, source="solvent.yaml:3"))
        PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, budgets=(limited,)))

    def agent(self, role, *tools, kind=FunctionAgent, **options):
        llm = llm_of(self.task, getattr(MODELS, role))
        return kind(name=role, description=f"The {role}.", llm=llm, tools=[*tools], **options)

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


async def alone(asked):
    return await researcher(asked).run(asked.prompt)


async def not_streamed(asked):
    agent = researcher(asked)
    agent.streaming = False
    return await agent.run(asked.prompt)


async def by_its_events(asked):
    handler = researcher(asked).run(asked.prompt)
    names = [type(event).__name__ async for event in handler.stream_events()]
    assert names[0] == "AgentInput"
    return await handler


async def in_a_team(asked):
    return await AgentWorkflow(agents=[researcher(asked)]).run(asked.prompt)


async def in_a_workflow(asked):
    class Rivers(Workflow):
        @step
        async def find(self, _: StartEvent) -> StopEvent:
            return StopEvent(result=await researcher(asked).run(asked.prompt))

    return await Rivers(timeout=None).run()


WAYS = (alone, not_streamed, by_its_events, in_a_team, in_a_workflow)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_an_agent_is_booked_alike(way, world):
    world.plays(SCRIPT)
    assert world.run(lambda: way(world.task)) == ANSWER
    assert world.calls == CALLS
    assert OPEN.blocks() == []


@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7])
@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_an_agent_ends_at_its_first_refusal(way, limit, world):
    world.plays(SCRIPT)
    assert world.refused(lambda: way(world.task), calls=limit).scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_limit_of_the_sub_agent_stops_that_one_alone_however_it_is_run(way, world):
    world.plays(SCRIPT)
    world.limit("agent:helper", 1)
    assert world.run(lambda: way(world.task)) == ANSWER
    assert world.calls == CALLS[:7] + CALLS[8:]


@pytest.mark.parametrize("events", [0, 1, 12])
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["left", "cancelled"])
def test_a_run_that_is_left_leaves_no_scope_open(is_cancelled, events, world):
    world.plays(SCRIPT)

    async def main():
        with solvent.budget("scenario") as budget:
            handler = researcher(world.task).run(world.task.prompt)
            stream = handler.stream_events()
            for _ in range(events):
                await anext(stream)
                assert solvent.current_budget() is budget
            await stream.aclose()
            if is_cancelled:
                await handler.cancel_run()
            assert solvent.current_budget() is budget

    asyncio.run(main())  # Its end cancels what goes on.
    gc.collect()
    world.guarded.at_rest()
    assert OPEN.blocks() == []


HANDED_OVER = {
    "researcher": (
        calls("search", query="the Elbe"),
        calls("handoff", to_agent="helper", reason="It knows words."),
    ),
    "helper": (calls("lookup", term="estuary"), Turn(text=ANSWER)),
}
IN_TURNS = [RESEARCHER, RESEARCHER, "agent:helper", "agent:helper"]


def team(world, **options):
    agents = [world.agent("researcher", world.task.search), world.agent("helper", world.task.lookup)]
    return AgentWorkflow(agents=agents, root_agent="researcher", **options)


def test_turns_after_a_handoff_are_those_of_the_agent_that_took_over(world):
    world.plays(HANDED_OVER)
    assert world.run(lambda: team(world).run(world.task.prompt)) == ANSWER
    assert world.scopes == IN_TURNS
    assert [ran.scope for ran in world.task.ran] == ["agent:researcher/step:search", "agent:helper/step:lookup"]


@pytest.mark.parametrize("limit", range(4))
def test_agents_of_a_team_share_the_run_s_budget(limit, world):
    world.plays(HANDED_OVER)
    assert world.refused(lambda: team(world).run(world.task.prompt), calls=limit).scope == world.scope
    assert world.scopes == IN_TURNS[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


def test_a_limit_of_the_agent_that_took_over_ends_the_run(world):
    world.plays(HANDED_OVER)
    world.limit("agent:helper", 1)
    assert world.refused(lambda: team(world).run(world.task.prompt)).scope == f"{world.scope}/agent:helper"
    assert world.scopes == IN_TURNS[:3]


@pytest.mark.parametrize("team_of", [team, lambda world, **_: world.agent("researcher", world.task.search)])
def test_a_last_answer_when_turns_run_out_is_the_agent_s(team_of, world):
    world.plays(SHORT | {"researcher": (calls("search", query="the Elbe"), Turn(text=ANSWER))})
    made = team_of(world, early_stopping_method="generate")
    answer = world.run(lambda: made.run(user_msg=world.task.prompt, max_iterations=1, early_stopping_method="generate"))
    assert answer == ANSWER
    assert world.scopes == [RESEARCHER] * 2


def by_text(name, **arguments):
    return Turn(text=f"Thought: I need it.\nAction: {name}\nAction Input: {json.dumps(arguments)}")


BY_TEXT = {
    "researcher": (
        by_text("search", query="the Elbe"),
        by_text("broken", item="the Elbe"),
        by_text("ask_helper", question="What is an estuary?"),
        Turn(text=f"Thought: I know it.\nAnswer: {ANSWER}"),
    ),
    "helper": (Turn(text="Thought: I know it.\nAnswer: Where a river meets the sea."),),
}
BY_TEXT_SCOPES = [RESEARCHER, RESEARCHER, RESEARCHER, HELPER, RESEARCHER]


def by_words(world):
    helper = world.agent("helper", kind=ReActAgent)

    async def ask_helper(question: str) -> str:
        return str(await helper.run(question))

    return world.agent("researcher", world.task.search, world.task.broken, ask_helper, kind=ReActAgent)


@pytest.mark.parametrize("is_team", [False, True], ids=["alone", "in a team"])
def test_agents_that_call_tools_by_text_have_their_scopes(is_team, world):
    world.plays(BY_TEXT)
    made = AgentWorkflow(agents=[by_words(world)]) if is_team else by_words(world)
    assert world.run(lambda: made.run(world.task.prompt)) == ANSWER
    assert world.scopes == BY_TEXT_SCOPES
    assert [ran.scope for ran in world.task.ran] == [f"{RESEARCHER}/step:{name}" for name in ("search", "broken")]


@pytest.mark.parametrize("limit", [2, 3])
def test_agents_that_call_tools_by_text_end_at_their_first_refusal(limit, world):
    world.plays(BY_TEXT)
    world.refused(lambda: by_words(world).run(world.task.prompt), calls=limit)
    assert world.scopes == BY_TEXT_SCOPES[:limit]
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("is_team", [False, True], ids=["alone", "in a team"])
def test_code_of_an_agent_that_writes_code_is_a_tool(is_team, world):
    world.plays({"researcher": (Turn(text="<execute>\nprint(1)\n</execute>"), Turn(text=ANSWER))})
    found = []

    def execute(code: str) -> str:
        found.append(place())
        return "1"

    agent = world.agent("researcher", world.task.search, kind=CodeActAgent, code_execute_fn=execute)
    made = AgentWorkflow(agents=[agent]) if is_team else agent
    assert world.run(lambda: made.run(world.task.prompt)) == ANSWER
    assert world.scopes == [RESEARCHER] * 2
    assert found == [f"{RESEARCHER}/step:execute"]


def place():
    return str(solvent.current_budget().scope).partition("/")[2]


class Own(AsyncBaseTool):
    metadata = ToolMetadata(name="look", description="Look.")

    def call(self, **given):
        raise NotImplementedError

    async def acall(self, **given):
        return ToolOutput(content=place(), tool_name="look", raw_input=given, raw_output=place())


class Plain(BaseTool):
    metadata = ToolMetadata(name="look", description="Look.")

    def __call__(self, _):
        return ToolOutput(content=place(), tool_name="look", raw_input={}, raw_output=place())


async def look_about(context: Context) -> str:
    await context.store.get("state", default=None)
    return place()


TOOLS = {
    "a function": (FunctionTool.from_defaults(place, name="look"), {}),
    "a function with a context": (FunctionTool.from_defaults(async_fn=look_about, name="look"), {}),
    "a tool of one's own": (Own(), {"input": "x"}),
    "a synchronous tool of one's own": (Plain(), {"input": "x"}),
}


@pytest.mark.parametrize("kind", TOOLS)
@pytest.mark.parametrize("is_team", [False, True], ids=["alone", "in a team"])
def test_tools_of_every_kind_have_their_scope(is_team, kind, world):
    made, arguments = TOOLS[kind]
    world.plays({"researcher": (calls("look", **arguments), Turn(text=ANSWER))})
    agent = world.agent("researcher", made)
    made = AgentWorkflow(agents=[agent]) if is_team else agent
    outputs = []

    async def main():
        handler = made.run(world.task.prompt)
        outputs.extend(
            [event.tool_output.content async for event in handler.stream_events() if hasattr(event, "tool_output")]
        )
        return await handler

    assert world.run(main) == ANSWER
    assert outputs == [f"{RESEARCHER}/step:look"]


def test_a_workflow_that_tries_a_step_again_makes_no_more_calls_than_allowed(world):
    world.plays(SCRIPT)

    class Rivers(Workflow):
        @step(retry_policy=ConstantDelayRetryPolicy(maximum_attempts=3, delay=0))
        async def find(self, _: StartEvent) -> StopEvent:
            return StopEvent(result=await researcher(world.task).run(world.task.prompt))

    assert world.refused(lambda: Rivers(timeout=None).run(), calls=3).scope == world.scope
    assert len(world.aimock.heard()) == 3


class Fails(BaseEventHandler):
    def handle(self, _, **__):
        raise RuntimeError("of a handler")


@pytest.fixture
def failing_handler():
    dispatcher = get_dispatcher()
    before = [*dispatcher.event_handlers]
    dispatcher.add_event_handler(Fails())
    yield
    dispatcher.event_handlers = before


@pytest.mark.usefixtures("failing_handler")
@pytest.mark.parametrize("limit", [3, 13])
def test_an_event_handler_that_raises_changes_nothing(limit, world):
    world.plays(SCRIPT)
    if limit == 13:
        assert world.run(lambda: alone(world.task), calls=limit) == ANSWER
    else:
        world.refused(lambda: alone(world.task), calls=limit)
    assert world.calls == CALLS[:limit]


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_BASE", f"{aimock.url}/v1")
    asks = (calls("ask_helper", question="What is an estuary?"), Turn(text="In the North Sea."))
    helps = (Turn(text="Where a river meets the sea."),)
    script = {"researcher": asks * 2, "helper": helps * 2}
    follow("llama-index.md", Framework(__import__("fw_llama_index")), script, aimock, tmp_path)
