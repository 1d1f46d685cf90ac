"""
What LangChain and LangGraph alone have: streams, graphs of a program's own, handovers, middleware that tries again.
"""

import asyncio
from contextlib import suppress
from contextvars import copy_context
from typing import Annotated, Any

import pytest
import wrapt
from fw_langchain import model, researcher
from guides import follow
from journal import CALLS, HELPER, RESEARCHER, calls_of
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    SummarizationMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.tools import BaseTool, InjectedToolCallId, tool
from langchain_openai.chat_models import _client_utils
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.func import task as graph_task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode, create_react_agent
from langgraph.pregel import Pregel
from langgraph.types import Command, RetryPolicy, Send, interrupt
from scenario import ANSWER, SCRIPT, SHORT, Framework, ToolCall, Turn, task
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._block import CURRENT, OPEN
from solvent.instrument.langchain import is_final

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FRAMEWORK = Framework(__import__("fw_langchain"))
MODELS = FRAMEWORK.models
HOURS = 36_000  # What nobody may wait for.
LOOP = asyncio.Runner()  # One for all tests.
ASKED: Any = {"messages": [{"role": "user", "content": "Find out."}]}


@pytest.fixture(autouse=True, scope="module")
def one_loop():
    """
    langchain-openai keeps a client for an address, and with it the loop that was first used.
    """
    _client_utils._cached_async_httpx_client.cache_clear()


@pytest.fixture
def world(aimock, guarded):
    found = World(aimock, guarded)
    yield found
    assert CURRENT.get() is None
    guarded.at_rest()
    assert OPEN.blocks() == []


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

    def run(self, function, **limits):
        """
        What a function returns, or awaits, in a budget.
        """
        with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            result = function()
            return LOOP.run(result, context=copy_context()) if asyncio.iscoroutine(result) else result

    def refuses(self, function, **limits):
        """
        The refusal that comes out, told once.
        """
        before = self.guarded.count("refuse")
        with pytest.raises(solvent.BudgetExceeded) as refused:
            self.run(function, **limits)
        assert self.guarded.count("refuse") == before + 1
        return refused.value

    def model(self, name="gpt-4o"):
        return model(self.task, name)

    def agent(self, name, *tools, **more):
        return create_agent(self.model(getattr(MODELS, name or "", "gpt-4o")), tools=[*tools], name=name, **more)

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def calls(name, **arguments):
    return Turn(calls=(ToolCall(name, arguments),))


def text_of(result):
    return result["messages"][-1].text


def streamed(agent):
    return text_of([*agent.stream(ASKED, stream_mode="values")][-1])


def streamed_by_protocol(agent):
    return text_of(agent.stream_events(ASKED, version="v3").output)


async def awaited(agent):
    return text_of(await agent.ainvoke(ASKED))


async def streamed_async(agent):
    return text_of([part async for part in agent.astream(ASKED, stream_mode="values")][-1])


async def events_async(agent):
    return text_of([event async for event in agent.astream_events(ASKED, version="v2")][-1]["data"]["output"])


async def protocol_async(agent):
    return text_of(await (await agent.astream_events(ASKED, version="v3")).output())


def invoked(agent):
    return text_of(agent.invoke(ASKED))


def batched(agent):
    return text_of(agent.batch([ASKED])[0])


WAYS = pytest.mark.parametrize(
    "way", [awaited, batched, events_async, protocol_async, streamed, streamed_async, streamed_by_protocol]
)


@WAYS
def test_every_way_to_run_an_agent_is_booked_alike(way, world):
    world.plays(SCRIPT)
    assert world.run(lambda: way(researcher(world.task))) == ANSWER
    assert world.calls == CALLS


@WAYS
@pytest.mark.parametrize("limit", [3, 6, 7])
def test_every_way_to_run_an_agent_ends_with_the_refusal(limit, way, world):
    world.plays(SCRIPT)
    refused = world.refuses(lambda: way(researcher(world.task)), calls=limit)
    assert refused.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit


def test_a_stream_that_is_left_leaves_no_scope_open(world):
    world.plays(SCRIPT)

    def run():
        for _ in researcher(world.task).stream(ASKED, stream_mode="updates"):
            assert str(solvent.current_budget().scope) == world.scope  # What takes the parts is not in the agent.
            break
        assert [str(block.scope) for block in OPEN.blocks()] == [world.scope]

    world.run(run)
    assert world.scopes == [RESEARCHER]


def test_an_awaited_stream_that_is_left_leaves_no_scope_open(world):
    world.plays(SCRIPT)

    async def run():
        async for _ in researcher(world.task).astream(ASKED, stream_mode="updates"):
            assert str(solvent.current_budget().scope) == world.scope
            break
        while len(OPEN.blocks()) > 1:  # The loop closes it.
            await asyncio.sleep(0)
        assert [str(block.scope) for block in OPEN.blocks()] == [world.scope]

    world.run(run)
    assert world.scopes == [RESEARCHER]


def test_react_agents_of_langgraph_are_booked_alike(world):
    def react():
        @tool
        def ask_helper(question: str) -> str:
            """Asks the helper."""
            helper = create_react_agent(world.model(MODELS.helper), [tool(world.task.lookup)], name="helper")
            return text_of(helper.invoke(ASKED))

        tools = [*map(tool, (world.task.search, world.task.fetch, world.task.broken)), ask_helper]
        node = ToolNode(tools, handle_tool_errors=True)
        return invoked(create_react_agent(world.model(), node, name="researcher"))

    world.plays(SCRIPT)
    assert world.run(react) == ANSWER
    assert world.calls == CALLS
    for limit in (3, 6, 7, 9):
        world.plays(SCRIPT)
        assert world.refuses(react, calls=limit).scope == world.scope
        assert world.calls == CALLS[:limit]


def test_an_agent_without_a_name_is_called_as_langgraph_calls_it(world):
    world.plays(SHORT)
    assert world.run(lambda: invoked(world.agent(None, tool(world.task.search)))) == ANSWER
    assert world.scopes == ["agent:LangGraph"] * 2


def where(seen):
    """
    A node that notes where it runs.
    """

    def node(state):
        seen.append(str(solvent.current_budget().scope).partition("/")[2])
        return {}

    return node


def graph(nodes, **compiled):
    """
    These nodes, one after the other.
    """
    built = StateGraph(MessagesState)
    for name, node in nodes.items():
        built.add_node(name, node)
    for before, after in zip([START, *nodes], [*nodes, END], strict=True):
        built.add_edge(before, after)
    return built.compile(**compiled)


@pytest.mark.parametrize("way", [invoked, awaited])
def test_nodes_of_a_graph_of_one_s_own_are_steps(way, world):
    seen = []
    ask = {"messages": [AIMessage("", tool_calls=[{"name": "look", "args": {}, "id": "1"}])]}

    @tool
    def look() -> str:
        """Looks."""
        where(seen)(None)
        return ""

    helper = world.agent("helper", tool(world.task.lookup))

    async def later(state):
        return where(seen)(state)

    nodes = {
        "plan": where(seen),
        "later": later if way is awaited else where(seen),
        "researcher": world.agent("researcher", tool(world.task.search)),
        "ask": lambda _: ask,
        "tools": ToolNode([look]),
        "inner": graph({"deep": where(seen)}),
        "helper": lambda _: helper.invoke(ASKED),
        "model": lambda _: {"messages": world.model(MODELS.helper).invoke("Hello.")},
    }
    world.plays(SHORT | {"helper": (Turn(text="A word."), Turn(text="Bye."))})
    assert world.run(lambda: way(graph(nodes))) == "Bye."
    assert seen == ["step:plan", "step:later", "step:look", "step:deep"]
    assert world.scopes == ["agent:researcher"] * 2 + ["step:helper/agent:helper", "step:model"]


def test_a_graph_that_has_a_name_is_an_agent(world):
    seen = []
    inner = graph({"write": where(seen)}, name="writer")
    world.run(lambda: graph({"plan": where(seen), "writer": inner}, name="editor").invoke(ASKED))
    assert seen == ["agent:editor/step:plan", "agent:editor/agent:writer/step:write"]


def test_a_node_that_is_run_for_many_items_is_one_step(world):
    seen = []
    built = StateGraph(MessagesState)
    built.add_node("item", where(seen))
    built.add_conditional_edges(START, lambda _: [Send("item", {"messages": []})] * 3)
    world.run(lambda: built.compile().invoke(ASKED))
    assert seen == ["step:item"] * 3


def test_functions_that_are_workflows_are_steps(world):
    seen = []

    @graph_task
    def look(item):
        return where(seen)(item)

    @entrypoint()
    def work(items):
        return [look(item).result() for item in items]

    world.run(lambda: work.invoke(["a", "b"]))
    assert seen == ["step:work/step:look"] * 2


def test_a_tool_that_a_program_runs_itself_is_a_step(world):
    seen = []

    @tool
    def look(term: str) -> str:
        """Looks."""
        where(seen)(None)
        return term

    world.run(lambda: look.invoke("x"))
    world.run(lambda: look.ainvoke("x"))
    assert seen == ["step:look"] * 2


def handing(world, **more):
    """
    Two agents that hand over to each other.
    """

    def to(name):
        @tool(f"transfer_to_{name}")
        def hand_over(state: Annotated[dict, InjectedState], id: Annotated[str, InjectedToolCallId]) -> Command:
            """Hands over."""
            told = ToolMessage("over", tool_call_id=id)
            return Command(goto=name, graph=Command.PARENT, update={"messages": [*state["messages"], told]})

        return hand_over

    built = StateGraph(MessagesState)
    built.add_node("researcher", world.agent("researcher", tool(world.task.search), to("helper"), **more))
    built.add_node("helper", world.agent("helper", tool(world.task.lookup), to("researcher"), **more))
    built.add_edge(START, "researcher")
    return built.compile()


HANDED = ["agent:researcher", "agent:researcher", "agent:helper", "agent:helper", "agent:researcher"]
HANDING = {
    "researcher": (calls("search", query="Elbe"), calls("transfer_to_helper"), Turn(text=ANSWER)),
    "helper": (calls("lookup", term="Elbe"), calls("transfer_to_researcher")),
}


@pytest.mark.parametrize("way", [invoked, awaited])
def test_turns_after_a_handover_are_those_of_the_agent_that_took_over(way, world):
    world.plays(HANDING)
    assert world.run(lambda: way(handing(world))) == ANSWER
    assert world.scopes == HANDED
    for limit in range(5):
        world.plays(HANDING)
        world.refuses(lambda: way(handing(world)), calls=limit)
        assert world.scopes == HANDED[:limit]


@pytest.mark.usefixtures("helper_limited")
def test_the_limit_of_an_agent_that_took_over_ends_the_run(world):
    world.plays(HANDING)
    refused = world.refuses(lambda: invoked(handing(world)))
    assert refused.scope == f"{world.scope}/agent:helper"
    assert world.scopes == HANDED[:3]


def test_what_middleware_of_one_s_own_does_is_the_agent_s(world):
    seen = []

    class Notes(AgentMiddleware):
        def before_model(self, state, runtime):  # noqa: ARG002  # As it is called.
            where(seen)(state)

    world.plays(SHORT)
    world.run(lambda: invoked(world.agent("researcher", tool(world.task.search), middleware=[Notes()])))
    assert seen == [RESEARCHER] * 2


@pytest.mark.parametrize("kind", ["supervisor", "swarm"])
def test_agents_of_langgraph_s_own_teams_stand_beside_each_other(kind, world):
    teams = pytest.importorskip(f"langgraph_{kind}")
    script = {"researcher": (calls("transfer_to_helper"), Turn(text=ANSWER)), "helper": (Turn(text="A word."),)}

    def team():
        helper = create_react_agent(world.model(MODELS.helper), [], name="helper")
        if kind == "supervisor":
            return teams.create_supervisor([helper], model=world.model(), supervisor_name="researcher").compile()
        tools = [teams.create_handoff_tool(agent_name="helper")]
        researcher = create_react_agent(world.model(), tools, name="researcher")
        return teams.create_swarm([researcher, helper], default_active_agent="researcher").compile()

    world.plays(script)
    world.run(lambda: invoked(team()))
    assert (
        world.scopes
        == {
            "supervisor": ["agent:researcher", "agent:helper", "agent:researcher"],
            "swarm": ["agent:researcher", "agent:helper"],
        }[kind]
    )


TRYING = {
    "model_retry": lambda _: ModelRetryMiddleware(initial_delay=HOURS, max_delay=HOURS),
    "tool_retry": lambda _: ToolRetryMiddleware(
        initial_delay=HOURS, max_delay=HOURS, retry_on=(solvent.BudgetExceeded,)
    ),
}


@pytest.mark.parametrize("way", [invoked, awaited])
@pytest.mark.parametrize("kind", TRYING)
@pytest.mark.parametrize("limit", [3, 6, 7])
def test_what_tries_again_ends_at_once_where_the_run_s_limit_is_used_up(limit, kind, way, world):
    world.plays(SCRIPT)
    refused = world.refuses(lambda: way(researcher(world.task, TRYING[kind](world))), calls=limit)
    assert refused.scope == world.scope
    assert world.calls == CALLS[:limit]
    assert len(world.aimock.heard()) == limit


@pytest.mark.usefixtures("helper_limited")
@pytest.mark.parametrize("way", [invoked, awaited])
def test_what_tries_a_tool_again_tells_the_agent_of_a_limit_of_the_tool_s_agent(way, world):
    world.plays(SCRIPT)
    again = ToolRetryMiddleware(max_retries=1, initial_delay=0)
    assert world.run(lambda: way(researcher(world.task, again))) == ANSWER
    assert world.calls == CALLS[:7] + CALLS[8:]
    assert world.guarded.count("refuse") == 2  # It was tried once more, as it would be for any error.


class Answers(AgentMiddleware):
    """
    Answers for a model that may not be called.
    """

    def wrap_model_call(self, request, handler):
        try:
            return handler(request)
        except solvent.BudgetExceeded as refusal:
            return AIMessage(f"So far: {len(request.messages)} messages; {refusal.meter}.")

    async def awrap_model_call(self, request, handler):
        try:
            return await handler(request)
        except solvent.BudgetExceeded as refusal:
            return AIMessage(f"So far: {len(request.messages)} messages; {refusal.meter}.")


@pytest.mark.parametrize("way", [invoked, awaited, streamed])
@pytest.mark.parametrize("places", ["alone", "inside", "outside"])
def test_middleware_of_a_program_s_own_may_answer_in_the_place_of_a_refusal(places, way, world):
    again = TRYING["model_retry"](world)
    middleware = {"alone": [Answers()], "inside": [again, Answers()], "outside": [Answers(), again]}[places]
    world.plays(SCRIPT)
    answer = world.run(lambda: way(researcher(world.task, *middleware)), calls=2)
    assert answer == "So far: 6 messages; calls."
    assert world.calls == CALLS[:2]
    assert world.guarded.count("refuse") == 1


async def arun(runnable):
    return (await runnable.ainvoke("Hello.")).text


def run(runnable):
    return runnable.invoke("Hello.").text


def run_batch(runnable):
    return runnable.batch(["Hello."])[0].text


def run_stream(runnable):
    return "".join(part.text for part in runnable.stream("Hello."))


RUNS = pytest.mark.parametrize("way", [run, arun, run_batch, run_stream])


def falling_back(world):
    return world.model().with_fallbacks([world.model(MODELS.helper)])


def trying_again(world):
    return world.model().with_retry(exponential_jitter_params={"initial": HOURS, "max": HOURS})


@RUNS
def test_a_runnable_that_would_be_tried_again_ends_with_the_refusal(way, world):
    world.plays(SHORT)
    assert world.refuses(lambda: way(trying_again(world)), calls=0).scope == world.scope
    assert world.aimock.heard() == []


@RUNS
def test_a_fallback_that_a_program_chose_is_made_where_it_fits(way, world):
    world.plays({"helper": (Turn(text=ANSWER),)})
    assert world.run(lambda: way(falling_back(world)), usd="0.30") == ANSWER  # At $0.40 and $0.20 at most.
    assert [call.model for call in world.calls] == ["helper"]


@pytest.mark.parametrize("way", [invoked, awaited])
def test_a_model_that_an_agent_falls_back_on_is_asked_where_it_fits(way, world):
    world.plays({"helper": (Turn(text=ANSWER),)})
    fallback = ModelFallbackMiddleware(world.model(MODELS.helper))
    assert world.run(lambda: way(researcher(world.task, fallback)), usd="0.30") == ANSWER
    assert [call.model for call in world.calls] == ["helper"]


@RUNS
def test_a_runnable_falls_back_for_other_errors(way, world):
    def fails(_):
        raise ValueError("no such thing")

    def after_a_refusal():
        with suppress(solvent.BudgetExceeded), solvent.budget("other", calls=0):
            run(world.model())
        return way(RunnableLambda(fails).with_fallbacks([world.model(MODELS.helper)]))

    world.plays({"helper": (Turn(text=ANSWER),)})
    assert world.run(after_a_refusal) == ANSWER
    assert len(world.calls) == 1


@pytest.mark.parametrize("way", [invoked, awaited])
def test_a_node_is_not_run_again_for_a_limit_that_is_used_up(way, world):
    async def aask(state):
        return {"messages": await world.model().ainvoke("Hello.")}

    def ask(state):
        return {"messages": world.model().invoke("Hello.")}

    built = StateGraph(MessagesState)
    again = RetryPolicy(initial_interval=HOURS, max_interval=HOURS)
    built.add_node("ask", aask if way is awaited else ask, retry_policy=again)
    built.add_edge(START, "ask")
    assert world.refuses(lambda: way(built.compile()), calls=0).scope == world.scope


def test_a_summary_that_may_not_be_made_ends_the_run_at_once(world):
    summary = SummarizationMiddleware(world.model(MODELS.helper), trigger=("messages", 3), keep=("messages", 1))
    world.plays(SCRIPT)
    world.refuses(lambda: invoked(world.agent("researcher", tool(world.task.search), middleware=[summary])), calls=1)
    assert world.scopes == [RESEARCHER]


def test_a_summary_is_a_call_of_the_agent(world):
    summary = SummarizationMiddleware(world.model(MODELS.helper), trigger=("messages", 3), keep=("messages", 1))
    world.plays(SHORT | {"helper": (Turn(text="They looked."),)})
    world.run(lambda: invoked(world.agent("researcher", tool(world.task.search), middleware=[summary])))
    assert world.scopes == [RESEARCHER] * 3


@pytest.mark.parametrize("name", ["researcher", "helper"])
def test_a_run_that_waited_for_an_answer_goes_on_as_its_agent(name, world):
    """
    The answer is asked for by a tool of the agent or of its sub-agent.
    """
    seen = []

    @tool
    def lookup(term: str) -> str:
        """Looks up."""
        where(seen)(None)
        return interrupt(term)

    helper = world.agent("helper", lookup)

    @tool
    def ask_helper(question: str) -> str:
        """Asks the helper."""
        return text_of(helper.invoke(ASKED))

    ask = calls("lookup", term="Elbe") if name == "researcher" else calls("ask_helper", question="What?")
    world.plays({"researcher": (ask, Turn(text=ANSWER)), "helper": SCRIPT["helper"]})
    agent = world.agent("researcher", lookup, ask_helper, checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}

    def run():
        assert "__interrupt__" in agent.invoke(ASKED, config)
        return text_of(agent.invoke(Command(resume="a river"), config))

    assert world.run(run) == ANSWER
    scope = RESEARCHER if name == "researcher" else HELPER
    assert seen == [f"{scope}/step:lookup"] * 2
    assert world.scopes == [RESEARCHER, *([HELPER] * (len(world.calls) - 2)), RESEARCHER]


def test_a_person_may_be_asked_in_the_place_of_a_refusal(world):
    class Asks(AgentMiddleware):
        def wrap_model_call(self, request, handler):
            try:
                return handler(request)
            except solvent.BudgetExceeded:
                interrupt("More?")
                raise

    helper = world.agent("helper", middleware=[Asks()])
    outer = graph({"helper": helper}, checkpointer=InMemorySaver())
    found = world.run(lambda: outer.invoke(ASKED, {"configurable": {"thread_id": "1"}}), calls=0)
    assert found["__interrupt__"][0].value == "More?"


@pytest.mark.parametrize("name", ["editor", None])
def test_a_graph_s_own_answer_to_an_error_of_a_node_is_respected(name, world):
    def ask(state):
        return {"messages": world.model().invoke("Hello.")}

    built = StateGraph(MessagesState)
    built.add_node("ask", ask, error_handler=lambda _: {"messages": AIMessage("So far.")})
    built.add_edge(START, "ask")
    assert world.run(lambda: invoked(built.compile(name=name)), calls=0) == "So far."


def test_agents_side_by_side_have_each_its_own_calls(world):
    async def main():
        agents = [world.agent(name) for name in ("researcher", "helper")]
        await asyncio.gather(*[agent.ainvoke(ASKED) for agent in agents])

    world.plays({"researcher": (Turn(text=ANSWER),), "helper": (Turn(text=ANSWER),)})
    world.run(main)
    assert sorted(world.scopes) == ["agent:helper", "agent:researcher"]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (solvent.BudgetExceeded(scope="run:x", meter="calls", limit=1, spent=1, reserved=0, requested=1), True),
        (
            solvent.BudgetExceeded(scope="run:x", meter="calls", limit=1, spent=0, reserved=1, requested=1, held=True),
            False,
        ),
        (solvent.PriceUnknown(model="m"), True),
        (solvent.StoreUnavailable(ledger="memory://", reason="gone"), False),
        (ValueError("no such thing"), False),
    ],
)
def test_only_what_holds_for_the_next_call_as_well_is_final(error, found):
    assert is_final(error) is found


def test_what_another_version_lacks_goes_unnamed_and_is_counted_all_the_same(world, monkeypatch):
    solvent.uninstall()
    with monkeypatch.context() as context:
        for name in ("langgraph.pregel.main.Pregel.stream", "langchain_core.tools.base.BaseTool"):
            context.delattr(name)
        solvent.install()
    world.plays(SCRIPT)
    assert world.refuses(lambda: invoked(researcher(world.task)), calls=8).scope == world.scope
    assert world.calls == [call._replace(scope="") for call in CALLS[:8]]


@pytest.mark.usefixtures("world")
def test_what_is_not_hooked_is_as_it_was():
    solvent.uninstall()
    hooked = [
        (Pregel, "stream"),
        (BaseTool, "run"),
        (RunnableRetry, "_sync_retrying"),
        (ModelRetryMiddleware, "wrap_model_call"),
    ]
    assert not any(isinstance(vars(owner)[name], wrapt.ObjectProxy) for owner, name in hooked)


def test_the_programs_of_the_guide_print_what_is_shown(aimock, tmp_path):
    asks = (calls("ask_helper", question="What is an estuary?"), Turn(text="In the North Sea."))
    script = {"researcher": asks * 2, "helper": (Turn(text="Where a river meets the sea."),) * 2}
    follow("langchain.md", Framework(__import__("fw_langchain")), script, aimock, tmp_path)


def test_the_programs_of_the_guide_to_graphs_print_what_is_shown(aimock, tmp_path):
    script = {"researcher": (Turn(text="Look at a map."),) * 2, "helper": (Turn(text="In the North Sea."),)}
    follow("langgraph.md", Framework(__import__("fw_langchain")), script, aimock, tmp_path)
