"""
What Google ADK alone has: runs in a thread or streamed, other sub-agents, transfers, teams, workflows, plugins.
"""

import asyncio
import gc
from contextlib import aclosing

import pytest
from fw_google_adk import config_of, model_of, researcher
from google.adk.agents import LlmAgent, LoopAgent, ParallelAgent, RunConfig, SequentialAgent
from google.adk.agents.run_config import StreamingMode, ToolThreadPoolConfig
from google.adk.apps import App
from google.adk.models import LlmResponse
from google.adk.plugins import BasePlugin, ReflectAndRetryToolPlugin
from google.adk.runners import InMemoryRunner
from google.adk.tools import BaseTool
from google.adk.workflow import RetryConfig, Workflow
from google.genai import types
from guides import follow
from journal import CALLS, RESEARCHER, calls_of
from scenario import ANSWER, SCRIPT, Framework, Models, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_google_adk"))
MODELS = FRAMEWORK.models


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
        self.aimock.plays(FRAMEWORK.fixtures(script))

    def agent(self, name, **more):
        """
        An agent on the model of its name.
        """
        model = model_of(self.task, getattr(MODELS, name, MODELS.helper))
        return LlmAgent(name=name, model=model, generate_content_config=config_of(self.task), **more)

    async def events(self, root, *, plugins=(), config=None, **limits):
        """
        Those of a run in a budget.
        """
        runner = InMemoryRunner(app=App(name="rivers", root_agent=root, plugins=[*plugins]))
        session = await runner.session_service.create_session(app_name="rivers", user_id="user")
        async with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            async with aclosing(
                runner.run_async(
                    user_id="user",
                    session_id=session.id,
                    new_message=types.UserContent("Find out."),
                    run_config=config or RunConfig(),
                )
            ) as events:
                async for event in events:
                    yield event

    def runs(self, root, **more):
        """
        The text of the last event.
        """

        async def main():
            return [event async for event in self.events(root, **more)]

        found = [event for event in asyncio.run(main()) if event.content]
        assert CURRENT.get() is None
        assert OPEN.blocks() == []
        return "".join([part.text or "" for part in found[-1].content.parts])

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


def test_a_run_of_a_synchronous_program_is_booked_alike(world):
    world.plays(**SCRIPT)
    runner = InMemoryRunner(researcher(world.task), app_name="rivers")
    runner.auto_create_session = True
    message = types.UserContent("Find out.")
    with solvent.budget("scenario") as budget:
        *_, last = runner.run(user_id="user", session_id="one", new_message=message)
    assert last.content.parts[0].text == ANSWER
    assert calls_of(entries_of(world.guarded), str(budget.scope), MODELS) == CALLS
    world.plays(**SCRIPT)
    with solvent.budget("scenario", calls=7) as budget, pytest.raises(solvent.BudgetExceeded) as refused:
        list(runner.run(user_id="user", session_id="two", new_message=message))
    assert refused.value.scope == str(budget.scope)
    assert calls_of(entries_of(world.guarded), str(budget.scope), MODELS) == CALLS[:7]


STREAMED = RunConfig(streaming_mode=StreamingMode.SSE)


@pytest.mark.parametrize("limit", [0, 3, 4, 6, 7, 12, 13])
def test_a_streamed_run_is_booked_and_stopped_alike(limit, world):
    world.plays(**SCRIPT)
    if limit == len(CALLS):
        assert world.runs(researcher(world.task), config=STREAMED, calls=limit) == ANSWER
    else:
        with pytest.raises(solvent.BudgetExceeded) as refused:
            world.runs(researcher(world.task), config=STREAMED, calls=limit)
        assert refused.value.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit
    streamed = ["stream" in heard.path for heard in world.aimock.heard() if heard.model == MODELS.researcher]
    assert all(streamed)  # The nested run of an `AgentTool` never is.


@pytest.mark.parametrize("config", [RunConfig(), STREAMED], ids=["whole", "streamed"])
@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "left to the garbage collector"])
def test_a_run_that_is_left_leaves_no_scope_open(config, is_closed, world):
    async def main():
        events = world.events(researcher(world.task), config=config)
        async for event in events:
            if event.get_function_responses():
                break
        if is_closed:
            await events.aclose()
        del events, event
        gc.collect()
        await asyncio.sleep(0)

    world.plays(**SCRIPT)
    asyncio.run(main())
    world.guarded.at_rest()
    assert OPEN.blocks() == []
    assert world.calls == CALLS[:1]


def test_a_sub_agent_of_a_single_turn_is_a_tool(world):
    world.plays(
        researcher=(calls("helper", request="What is an estuary?"), says()),
        helper=(calls("lookup", term="estuary"), says("A mouth.")),
    )
    assert world.runs(single_turn(world)) == ANSWER
    helper = f"{RESEARCHER}/step:helper/agent:helper"
    assert world.scopes == [RESEARCHER, helper, helper, RESEARCHER]
    assert [name for name, _ in world.task.ran] == ["lookup"]


def single_turn(world):
    helper = world.agent("helper", mode="single_turn", tools=[world.task.lookup])
    return world.agent("researcher", sub_agents=[helper])


@pytest.mark.parametrize(("meter", "limit", "made"), [("calls", 1, 1), ("calls", 2, 2), ("depth", 2, 1)])
def test_a_refusal_that_a_single_turn_is_told_as_text_ends_the_run_at_once(meter, limit, made, world):
    world.plays(
        researcher=(calls("helper", request="What?"), says()),
        helper=(calls("lookup", term="estuary"), says("A mouth.")),
    )
    with pytest.raises(solvent.BudgetExceeded) as refused:
        world.runs(single_turn(world), **{meter: limit})
    assert (refused.value.meter, refused.value.scope) == (meter, world.scope)
    assert len(world.aimock.heard()) == made
    assert world.guarded.count("refuse") == 1


@pytest.mark.usefixtures("helper_limited")
def test_a_limit_of_a_single_turn_stops_that_one_alone(world):
    world.plays(
        researcher=(calls("helper", request="What?"), says()),
        helper=(calls("lookup", term="estuary"), says("A mouth.")),
    )
    assert world.runs(single_turn(world)) == ANSWER
    assert world.scopes == [RESEARCHER, f"{RESEARCHER}/step:helper/agent:helper", RESEARCHER]


def test_turns_after_a_transfer_are_those_of_the_agent_that_took_over(world):
    world.plays(
        researcher=(calls("transfer_to_agent", agent_name="helper"), says()),
        helper=(calls("lookup", term="Elbe"), calls("transfer_to_agent", agent_name="researcher")),
    )
    root = world.agent("researcher", sub_agents=[world.agent("helper", tools=[world.task.lookup])])
    assert world.runs(root) == ANSWER
    assert world.scopes == [RESEARCHER, "agent:helper", "agent:helper", RESEARCHER]


def pair(world, kind):
    return kind(name="both", sub_agents=[world.agent("researcher"), world.agent("helper", tools=[world.task.lookup])])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [SequentialAgent, ParallelAgent])
def test_a_team_s_agents_stand_below_it_and_share_the_run_s_budget(kind, world):
    world.plays(researcher=(says("A river."),), helper=(calls("lookup", term="Elbe"), says()))
    world.runs(pair(world, kind))
    assert sorted(world.scopes) == ["agent:both/agent:helper"] * 2 + ["agent:both/agent:researcher"]
    world.plays(researcher=(says("A river."),), helper=(calls("lookup", term="Elbe"), says()))
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(pair(world, kind), calls=2)
    assert len(world.aimock.heard()) == 2
    assert world.guarded.count("refuse") == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_round_of_a_loop_is_counted(world):
    world.plays(helper=(says("one"), says("two"), says("three")))
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(LoopAgent(name="rounds", sub_agents=[world.agent("helper")]), calls=2)
    assert world.scopes == ["agent:rounds/agent:helper"] * 2


def test_agents_of_a_workflow_have_their_names(world):
    async def before(node_input):
        return "The Elbe"

    world.plays(researcher=(says("It flows."),), helper=(calls("lookup", term="Elbe"), says()))
    first, second = world.agent("researcher"), world.agent("helper", tools=[world.task.lookup])
    assert world.runs(Workflow(name="flow", edges=[("START", before, first, second)])) == ANSWER
    assert world.scopes == [RESEARCHER, "agent:helper", "agent:helper"]


def test_a_workflow_that_tries_a_node_again_makes_no_more_calls_than_allowed(world):
    world.plays(helper=(calls("lookup", term="Elbe"), says()))
    helper = world.agent("helper", tools=[world.task.lookup], retry_config=RetryConfig(max_attempts=3, initial_delay=0))
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(Workflow(name="flow", edges=[("START", helper)]), calls=1)
    assert len(world.aimock.heard()) == 1


@pytest.mark.parametrize("limit", [6, 7, 8])
def test_a_plugin_that_answers_for_tools_that_fail_does_not_keep_a_run_alive(limit, world):
    world.plays(**SCRIPT)
    root = researcher(world.task)
    root.on_tool_error_callback = None
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(root, plugins=[ReflectAndRetryToolPlugin(throw_exception_if_retry_exceeded=False)], calls=limit)
    assert world.calls == CALLS[:limit]
    assert world.guarded.count("refuse") == 1


class Faulty(BasePlugin):
    """
    A plugin with one callback, which raises.
    """

    def __init__(self, callback):
        super().__init__("faulty")

        async def fails(**_):
            raise LookupError("a fault of its own")

        setattr(self, callback, fails)


@pytest.mark.parametrize(
    ("callback", "made"), [("before_model_callback", 0), ("after_model_callback", 1), ("before_tool_callback", 1)]
)
def test_a_callback_that_raises_ends_the_run_as_the_framework_says(callback, made, world):
    world.plays(**SCRIPT)
    with pytest.raises(RuntimeError, match="a fault of its own"):
        world.runs(researcher(world.task), plugins=[Faulty(callback)], calls=3)
    assert world.calls == CALLS[:made]


@pytest.mark.parametrize("callback", ["on_model_error_callback", "on_agent_error_callback", "on_run_error_callback"])
def test_a_callback_that_raises_does_not_hide_a_refusal(callback, world):
    world.plays(**SCRIPT)
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(researcher(world.task), plugins=[Faulty(callback)], calls=3)
    assert world.calls == CALLS[:3]


def test_a_tool_s_own_error_ends_the_run_as_itself(world):
    root = researcher(world.task)
    root.on_tool_error_callback = None
    world.plays(**SCRIPT)
    with pytest.raises(ValueError, match="no such thing"):
        world.runs(root, calls=13)
    assert world.calls == CALLS[:3]


class Handmade(BaseTool):
    def _get_declaration(self):
        return types.FunctionDeclaration(name=self.name)

    async def run_async(self, **_):
        return str(solvent.current_budget().scope)


@pytest.mark.parametrize("config", [RunConfig(), RunConfig(tool_thread_pool_config=ToolThreadPoolConfig())])
def test_every_kind_of_tool_has_its_name(config, world):
    def sync():
        """
        Where it runs.
        """
        return str(solvent.current_budget().scope)

    async def later():
        """
        Where it runs.
        """
        return sync()

    async def main():
        tools = [sync, later, Handmade(name="made", description="By hand.")]
        events = world.events(world.agent("researcher", tools=tools), config=config)
        return [answer.response["result"] async for event in events for answer in event.get_function_responses()]

    asked = Turn(calls=tuple([ToolCall(name, {}) for name in ("sync", "later", "made")]))
    world.plays(researcher=(asked, says()))
    assert asyncio.run(main()) == [f"{world.scope}/{RESEARCHER}/step:{name}" for name in ("sync", "later", "made")]


def test_an_answer_of_the_program_s_own_in_the_place_of_a_refusal_stands(world):
    def answers(callback_context, llm_request, error):
        assert isinstance(error, solvent.BudgetExceeded)
        return LlmResponse(content=types.ModelContent("enough"))

    root = researcher(world.task)
    root.on_model_error_callback = answers
    world.plays(**SCRIPT)
    assert world.runs(root, calls=3) == "enough"
    assert world.calls == CALLS[:3]


def test_what_another_version_lacks_goes_unnamed_and_is_counted_all_the_same(world, monkeypatch):
    solvent.uninstall()
    with monkeypatch.context() as context:
        context.delattr("google.adk.flows.llm_flows.tools._caller._call_tool_async")
        context.delattr("google.adk.tools.agent_tool._SingleTurnAgentTool")
        solvent.install()
    world.plays(**SCRIPT)
    with pytest.raises(solvent.BudgetExceeded):
        world.runs(researcher(world.task), calls=8)
    assert world.scopes == [*[RESEARCHER] * 6, *[f"{RESEARCHER}/agent:helper"] * 2]


def test_the_guide_prints_what_it_shows(aimock, tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", aimock.url)
    researcher = (calls("helper", request="What is the Rhine?"), says("In the North Sea."))
    script = {"researcher": researcher * 2, "helper": (says("A river."),) * 2}
    models = Models("gemini-2.5-flash", "gemini-2.5-flash-lite")
    follow("google-adk.md", Framework(__import__("fw_google_adk")), script, aimock, tmp_path, models)
