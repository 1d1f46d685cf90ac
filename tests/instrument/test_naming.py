"""
What hooks into frameworks stand on: what runs has a scope, and a refusal that was swallowed ends it all the same.
"""

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import Context
from itertools import pairwise
from queue import SimpleQueue
from threading import Barrier

import openai
import pytest
from fake_provider import Answer
from inprocess import PRICE, RATES
from sdk_ways import MESSAGES

import solvent
from solvent._block import innermost
from solvent._runtime import PROCESS
from solvent.instrument._hooks import wrap
from solvent.instrument._naming import refusal_behind, refusal_in, runs
from solvent.policy import Policy

pytestmark = pytest.mark.slow

CAP = 500
COST = 120 * RATES.output


class Tool:
    def __init__(self, name, do):
        self.name, self.do = name, do

    def call(self):
        return self.do()


class Agent:
    """
    Asks a model, runs its tools, and goes on whatever they raise, as agent frameworks do.
    """

    def __init__(self, url, name="worker", tools=()):
        self.url, self.name, self.tools = url, name, tools
        self.seen = []

    def ask(self):
        with openai.OpenAI(api_key="x", base_url=f"{self.url}/v1", max_retries=0) as client:
            return client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=CAP)

    def run(self, turns=1):
        for _ in range(turns):
            self.ask()
            for tool in self.tools:
                try:
                    self.seen.append(tool.call())
                except Exception as error:
                    self.seen.append(error)
        return "done"

    async def arun(self, turns=1):
        return await asyncio.to_thread(self.run, turns)

    def stream(self, turns=1):
        for _ in range(turns):
            yield self.run(1)

    async def astream(self, turns=1):
        for _ in range(turns):
            yield await self.arun(1)

    def wrapping(self):
        try:
            self.ask()
        except Exception as error:
            raise RuntimeError("the agent failed") from error

    def swallowing(self):
        with contextlib.suppress(Exception):
            self.ask()
        return "Sorry"

    def quiet(self):
        return self.swallowing()


def by_name(owner, args, kwargs):
    return owner.name


@pytest.fixture
def policy():
    return Policy(prices={"m": PRICE}, wait_seconds=0)


@pytest.fixture
def fake(fake_provider, guarded):
    methods = ("run", "arun", "stream", "astream", "wrapping", "quiet")
    put_on = [wrap(Agent, name, runs("agent", by_name)) for name in methods]
    put_on.append(wrap(Tool, "call", runs("tool", by_name)))
    yield fake_provider(Answer(output_tokens=120))
    for unhook in put_on:
        unhook()


def scopes():
    """
    Of the calls that were closed, below their run.
    """
    entries = PROCESS.runtime().ledger.store.entries()
    return [entry.scope.partition("/")[2] for entry in entries if entry.kind == "settle"]


async def drained(items):
    return [item async for item in items]


WAYS = {
    "plain": lambda agent: agent.run(),
    "coroutine": lambda agent: asyncio.run(agent.arun()),
    "generator": lambda agent: list(agent.stream()),
    "async generator": lambda agent: asyncio.run(drained(agent.astream())),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_call_is_charged_to_the_agent_that_makes_it_whatever_kind_of_function_runs_it(way, fake):
    with solvent.budget(usd="1.00"):
        assert WAYS[way](Agent(fake.url))
    assert scopes() == ["agent:worker"]


def test_a_sub_agent_is_below_the_tool_that_runs_it(fake):
    helper = Agent(fake.url, "helper")
    with solvent.budget(usd="1.00"):
        Agent(fake.url, tools=[Tool("ask", helper.run)]).run()
    assert scopes() == ["agent:worker", "agent:worker/step:ask/agent:helper"]


def test_an_agent_without_any_budget_is_named_too(fake):
    Agent(fake.url).run()
    assert [scope.rpartition("/")[2] for scope in scopes()] == ["agent:worker"]


def test_a_refusal_that_a_tool_met_ends_the_agent_that_the_limit_is_for(fake, guarded):
    helper = Agent(fake.url, "helper")
    agent = Agent(fake.url, tools=[Tool("ask", lambda: helper.run(3))])
    with solvent.budget(calls=3), pytest.raises(solvent.BudgetExceeded) as refused:
        agent.run(5)
    assert len(fake.seen) == 3
    assert agent.seen == [refused.value]
    assert guarded.count("refuse") == 1  # What the agent tried after it was not asked for.


def test_no_tool_of_an_agent_begins_after_it_was_stopped(fake):
    ran, helper = [], Agent(fake.url, "helper")
    agent = Agent(fake.url, tools=[Tool("ask", lambda: helper.run(3)), Tool("late", lambda: ran.append(1))])
    with solvent.budget(calls=2), pytest.raises(solvent.BudgetExceeded) as refused:
        agent.run()
    assert ran == []
    assert agent.seen == [refused.value, refused.value]


def test_an_agent_that_its_own_limit_stops_leaves_the_one_around_it_running(fake):
    helper = Agent(fake.url, "helper")

    def ask():
        with solvent.agent("helper", calls=1):
            return helper.run(2)

    agent = Agent(fake.url, tools=[Tool("ask", ask)])
    with solvent.budget(calls=10):
        assert agent.run(2) == "done"
    assert [type(each) for each in agent.seen] == [solvent.BudgetExceeded] * 2
    assert len(fake.seen) == 3  # Its limit is for all of its openings in the run.


def test_a_tool_that_is_nested_too_deep_ends_the_agent(fake):
    helper = Agent(fake.url, "helper")
    agent = Agent(fake.url, tools=[Tool("ask", helper.run)])
    with solvent.budget(depth=2), pytest.raises(solvent.BudgetExceeded, match="2 deep at most"):
        agent.run(5)
    assert len(fake.seen) == 1


def test_a_refusal_comes_out_where_the_framework_made_an_error_of_it(fake, guarded):
    with solvent.budget(usd="0.001") as budget, pytest.raises(solvent.BudgetExceeded) as refused:
        Agent(fake.url).wrapping()
    assert refused.value.scope == str(budget.scope)
    assert guarded.count("refuse") == 1


def test_an_answer_in_the_place_of_a_refusal_is_the_programs_own_business(fake):
    with solvent.budget(usd="0.001"):
        assert Agent(fake.url).quiet() == "Sorry"


def test_what_a_tool_raises_of_its_own_is_not_replaced(fake):
    class NoMoney(Exception):
        pass

    def spends():
        try:
            with solvent.budget(usd="0.001"):
                Agent(fake.url).ask()
        except solvent.BudgetExceeded as error:
            raise NoMoney from error

    class Strict(Agent):
        def run(self):
            for tool in self.tools:
                tool.call()

    unhook = wrap(Strict, "run", runs("agent", by_name))
    with solvent.budget(usd="1.00"), pytest.raises(NoMoney):
        Strict(fake.url, tools=[Tool("spend", spends)]).run()
    unhook()


def test_an_error_of_its_own_after_a_refusal_that_was_caught_is_not_replaced(fake):
    class Careful(Agent):
        def run(self):
            with contextlib.suppress(solvent.BudgetExceeded):
                self.ask()
            raise ValueError("of its own")

    unhook = wrap(Careful, "run", runs("agent", by_name))
    with solvent.budget(calls=0), pytest.raises(ValueError, match="of its own"):
        Careful(fake.url).run()
    unhook()


def test_a_refusal_of_a_narrower_budget_is_none_of_the_agents(fake):
    class Swallowing(Agent):
        def run(self):
            with contextlib.suppress(solvent.BudgetExceeded), solvent.budget("side", calls=0):
                self.ask()
            return innermost().refusal

        def spends(self):
            with contextlib.suppress(solvent.BudgetExceeded):
                self.ask()
            return innermost().refusal

    unhooks = [wrap(Swallowing, name, runs("agent", by_name)) for name in ("run", "spends")]
    with solvent.budget(calls=9):
        assert Swallowing(fake.url).run() is None
    with solvent.budget(calls=0) as budget:
        assert Swallowing(fake.url).spends().scope == str(budget.scope)
    for unhook in unhooks:
        unhook()


def test_what_is_wrong_with_one_call_of_a_sub_agent_is_none_of_the_agents(fake):
    class Unpriced(Agent):
        def run(self):
            with openai.OpenAI(api_key="x", base_url=f"{self.url}/v1", max_retries=0) as client:
                client.chat.completions.create(model="unpriced", messages=MESSAGES, max_tokens=CAP)

    class Swallowing(Agent):
        def run(self):
            with contextlib.suppress(solvent.PriceUnknown):
                Unpriced(self.url, "helper").run()
            return innermost().refusal

    unhooks = [wrap(kind, "run", runs("agent", by_name)) for kind in (Unpriced, Swallowing)]
    with solvent.budget(usd="1.00"):
        assert Swallowing(fake.url).run() is None
    for unhook in unhooks:
        unhook()


def test_a_sub_agent_that_is_called_by_no_tool_ends_no_other(fake):
    class Planning(Agent):
        def run(self):
            with contextlib.suppress(solvent.BudgetExceeded):
                Agent(self.url, "planner").run()
            return self.ask()

    dear = wrap(Agent, "ask", dearer_for("planner"))
    unhook = wrap(Planning, "run", runs("agent", by_name))
    with solvent.budget(usd="0.01"):
        assert Planning(fake.url).run()
    unhook()
    dear()
    assert scopes() == ["agent:worker"]


def dearer_for(name):
    def ask(function, agent, args, kwargs):
        if agent.name != name:
            return function(*args, **kwargs)
        with openai.OpenAI(api_key="x", base_url=f"{agent.url}/v1", max_retries=0) as client:
            return client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=10 * CAP)

    return ask


def test_an_error_that_is_made_of_itself_comes_out(fake):
    class Odd(Agent):
        def run(self):
            try:
                raise ValueError("of its own")
            except ValueError as error:
                raise error from error

    unhook = wrap(Odd, "run", runs("agent", by_name))
    with pytest.raises(ValueError, match="of its own") as failed:
        Odd(fake.url).run()
    assert refusal_behind(failed.value) is refusal_in(failed.value) is None
    unhook()


def test_what_tools_at_once_raise_of_their_own_is_not_replaced(fake):
    class NoMoney(Exception):
        pass

    def spends():
        try:
            with solvent.budget(usd="0.001"):
                Agent(fake.url).ask()
        except solvent.BudgetExceeded as error:
            raise NoMoney from error

    class Strict(Agent):
        def run(self):
            with ThreadPoolExecutor(1) as pool:
                failing = pool.submit(self.tools[0].call)
                wait([failing])
                pool.submit(self.tools[1].call).result()
                failing.result()

    unhook = wrap(Strict, "run", runs("agent", by_name))
    with solvent.budget(usd="1.00"), pytest.raises(NoMoney):
        Strict(fake.url, tools=[Tool("spend", spends), Tool("count", lambda: 1)]).run()
    unhook()


def test_a_cheaper_call_after_a_refusal_is_made(fake):
    class Careful(Agent):
        def run(self):
            with contextlib.suppress(solvent.BudgetExceeded), solvent.budget(usd="0.001"):
                self.ask()
            self.ask()
            raise ValueError("of its own")

    unhook = wrap(Careful, "run", runs("agent", by_name))
    with solvent.budget(usd="1.00"), pytest.raises(ValueError, match="of its own"):
        Careful(fake.url).run()
    unhook()
    assert scopes() == ["agent:worker"]


def no_name(owner, args, kwargs):
    raise AttributeError("name")


NAMES = {
    "raises": (no_name, ""),
    "none": (lambda *_: None, ""),
    "blank": (lambda *_: "  ", ""),
    "text of several lines": (lambda *_: " Senior\n  Researcher ", "agent:Senior Researcher"),
    "what a scope is written with": (lambda *_: "a/b:c%", "agent:a%2Fb%3Ac%25"),
    "long": (lambda *_: "é" * 1_000, f"agent:{'é' * 128}"),
    "surrogates": (lambda *_: "a\ud800", "agent:a?"),
    "a number": (lambda *_: 7, "agent:7"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_no_scope_can_have_never_ends_a_run(kind, fake):
    name_of, expected = NAMES[kind]

    class Odd(Agent):
        def run(self):
            return self.ask()

    unhook = wrap(Odd, "run", runs("agent", name_of))
    with solvent.budget(usd="1.00"):
        assert Odd(fake.url).run()
    unhook()
    assert scopes() == [expected]


def own_step():
    with solvent.step("own") as step:
        return str(step.scope).rpartition("/")[2]


def test_agents_nested_deeper_than_any_scope_run_on_without_a_name(fake):
    agents = [Agent(fake.url, f"a{number}") for number in range(20)]
    for outer, inner in pairwise(agents):
        outer.tools = [Tool("ask", inner.run)]
    agents[-1].tools = [Tool("note", own_step)]
    with solvent.budget(usd="1.00"):
        assert agents[0].run() == "done"
    assert len(fake.seen) == 20
    assert agents[-1].seen == ["step:own"]


@pytest.fixture
def elsewhere():
    """
    Does something in a thread that was begun before any budget, and so knows of none.
    """
    asked, done = SimpleQueue(), SimpleQueue()

    def work():
        for do in iter(asked.get, None):
            try:
                done.put((do(), None))
            except Exception as error:
                done.put((None, error))

    thread = threading.Thread(target=work)
    thread.start()

    def do(what):
        asked.put(what)
        result, error = done.get(timeout=30)
        if error is not None:
            raise error
        return result

    yield do
    asked.put(None)
    thread.join()


def test_an_agent_whose_context_was_lost_is_below_the_budget_that_is_open(fake, elsewhere):
    with solvent.budget(calls=3), pytest.raises(solvent.BudgetExceeded):
        elsewhere(lambda: Agent(fake.url).run(5))
    assert len(fake.seen) == 3
    assert scopes() == ["agent:worker"] * 3


def test_an_agent_whose_context_was_lost_among_others_is_where_they_all_are(fake, elsewhere):
    with solvent.budget(calls=3), solvent.agent("one"), pytest.raises(solvent.BudgetExceeded):
        elsewhere(lambda: Agent(fake.url).run(5))
    assert scopes() == ["agent:worker"] * 3


def test_an_agent_whose_context_was_lost_between_two_runs_has_no_name(fake, elsewhere):
    one, two = solvent.budget("one"), solvent.budget("two")
    for enter in (one.__enter__, two.__enter__):
        elsewhere(lambda enter=enter: Context().run(enter))
    elsewhere(lambda: Agent(fake.url).run())
    for budget in (one, two):
        budget.__exit__(None, None, None)
    assert scopes() == [""]


def test_agents_beside_each_other_without_any_budget_do_not_stand_below_one_another(fake):
    async def both():
        await asyncio.gather(Agent(fake.url, "one").arun(), Agent(fake.url, "two").arun())

    asyncio.run(both())
    assert sorted(scope.rpartition("/")[2] for scope in scopes()) == ["agent:one", "agent:two"]
    assert len({scope.count("/") for scope in scopes()}) == 1


def test_an_error_of_an_agent_that_begins_while_a_refusal_is_handled_is_its_own(fake):
    class Failing(Agent):
        def run(self):
            raise ValueError("of its own")

    unhook = wrap(Failing, "run", runs("agent", by_name))
    with solvent.budget(calls=0):
        try:
            Agent(fake.url).run()
        except solvent.BudgetExceeded:
            with pytest.raises(ValueError, match="of its own"):
                Failing(fake.url).run()
    unhook()


def test_a_pause_after_a_refusal_is_no_refusal(fake):
    class Pause(Exception):
        pass

    class Asking(Agent):
        def run(self):
            try:
                self.ask()
            except solvent.BudgetExceeded:
                raise Pause from None

    unhook = wrap(Asking, "run", runs("agent", by_name, signals=(Pause,)))
    with solvent.budget(calls=0), pytest.raises(Pause):
        Asking(fake.url).run()
    unhook()


def test_a_refused_step_is_for_the_program_to_answer(fake):
    class Node(Tool):
        def call(self):
            return self.do()

    unhook = wrap(Node, "call", runs("step", by_name))
    helper = Agent(fake.url, "helper")
    with solvent.budget(calls=1):
        agent = Agent(fake.url, tools=[Node("draft", helper.run)])
        assert agent.run() == "done"
    unhook()
    assert [type(each) for each in agent.seen] == [solvent.BudgetExceeded]


def test_agents_at_once_do_not_mix(fake):
    together = Barrier(8)

    def one(number):
        together.wait()
        with solvent.budget(f"run{number}", calls=3):
            Agent(fake.url, f"a{number}").run(3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    entries = PROCESS.runtime().ledger.store.entries()
    found = [entry.scope for entry in entries if entry.kind == "settle"]
    assert len(found) == 24
    for number in range(8):
        own = [scope for scope in found if f"run:run{number}-" in scope]
        assert len(own) == 3
        assert all(scope.endswith(f"/agent:a{number}") for scope in own)


def test_a_stream_that_nobody_takes_to_its_end_leaves_no_scope_behind(fake):
    with solvent.budget(usd="1.00") as budget:
        steps = Agent(fake.url).stream(3)
        next(steps)
        assert solvent.current_budget() is budget
        steps.close()
        assert solvent.current_budget() is budget
        Agent(fake.url).ask()
    assert scopes() == ["agent:worker", ""]
