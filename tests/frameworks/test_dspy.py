"""
What DSPy alone has: agents that know tools as text, programs of modules, streams of them, an HTTP client of its own
with a cache and retries around it, modules that try again, and many examples at once.
"""

import asyncio
import gc
import json
import time
from contextlib import aclosing

import dspy
import pytest
from dspy._vendor.lm15 import transports
from fake_provider import Answer
from fw_dspy import agent, model
from guides import follow
from journal import RESEARCHER, calls_of
from msgspec.structs import replace
from scenario import ANSWER, Framework, Turn, task
from servers import Gate
from test_frameworks import entries_of, policy  # noqa: F401  # A fixture.

import solvent
from solvent._answers import answer_to
from solvent._block import CURRENT, OPEN, Block
from solvent._limits import Limit, Scope
from solvent._runtime import PROCESS
from solvent.instrument._look import Mode

pytestmark = pytest.mark.slow

FRAMEWORK = Framework(__import__("fw_dspy"))
MODELS = FRAMEWORK.models
HELPED = f"{RESEARCHER}/step:ask_helper/agent:helper"


@pytest.fixture
def world(aimock, guarded, monkeypatch):
    monkeypatch.setattr("dspy.clients.execution._delay", lambda *_: 0)
    return World(aimock, guarded)


class World:
    """
    The server, what agents are built from, and the books of the last budget.
    """

    def __init__(self, aimock, guarded):
        self.aimock, self.guarded = aimock, guarded
        self.task = task(aimock.url, MODELS)
        self.scope = None
        self.says()

    def says(self, researcher=(), helper=(), others=None):
        """
        Have each model answer with these texts, one after the other; where one is a number, with that status.
        """
        turns = [(MODELS.researcher, *turn) for turn in enumerate(researcher)]
        turns += [(MODELS.helper, *turn) for turn in enumerate(helper)]
        played = [
            {"match": {"model": model, "sequenceIndex": index}, "response": _response(said)}
            for model, index, said in turns
        ]
        self.aimock.plays([*played, *([{"match": {}, "response": _response(others)}] if others else [])])

    def run(self, program, **limits):
        """
        Have a program run in a budget.
        """
        with solvent.budget("scenario", **limits) as budget:
            self.scope = str(budget.scope)
            return program()

    def refused(self, program, kind=solvent.BudgetExceeded, **limits):
        with pytest.raises(kind) as refused:
            self.run(program, **limits)
        assert CURRENT.get() is None
        assert OPEN.blocks() == []
        return refused.value

    def limit(self, scope, amount):
        """
        So many calls for a scope, by the policy.
        """
        limited = (scope, Limit(meter="calls", amount=amount, source="solvent.yaml:3"))
        PROCESS.runtime().follow(replace(PROCESS.runtime().guard.policy, budgets=(limited,)))

    def lm(self, **more):
        return model(self.task, "researcher", **more)

    @property
    def calls(self):
        return calls_of(entries_of(self.guarded), self.scope, MODELS)

    @property
    def scopes(self):
        return [call.scope for call in self.calls]


def _response(said):
    if isinstance(said, int):
        return {"error": {"message": "try again", "type": "server_error"}, "status": said}
    usage = {"prompt_tokens": 10, "completion_tokens": 100, "total_tokens": 110}
    return {"content": said, "usage": usage}


def fields(**values):
    return "\n\n".join([f"[[ ## {name} ## ]]\n{value}" for name, value in {**values, "completed": ""}.items()])


def calls(tool, argument="{}"):
    return fields(next_thought="On.", next_tool_name=tool, next_tool_args=argument)


FINISH = (calls("finish"), fields(reasoning="So.", answer=ANSWER))
SUBMITS = fields(next_thought="On.", tool_calls='[{"name": "submit", "args": {"answer": "done"}}]')
REACT = {
    "researcher": (
        calls("search", '{"query": "x"}'),
        calls("broken", '{"item": "x"}'),
        calls("ask_helper", '{"question": "x"}'),
        *FINISH,
    ),
    "helper": (calls("lookup", '{"term": "x"}'), *FINISH),
}
REACT_SCOPES = [*[RESEARCHER] * 3, *[HELPED] * 3, *[RESEARCHER] * 2]


def react(world, awaited):
    """
    A researcher with a helper, both of them agents that know tools as text.
    """
    helper = agent(world.task, "helper", [world.task.lookup], kind=dspy.ReAct)

    def ask_helper(question: str) -> str:
        return str(helper(question=question).answer)

    async def aask_helper(question: str) -> str:
        return str((await helper.acall(question=question)).answer)

    asks = dspy.Tool(aask_helper if awaited else ask_helper, name="ask_helper")
    tools = [world.task.search, world.task.broken, asks]
    made = agent(world.task, "researcher", tools, kind=dspy.ReAct)

    def run():
        asked = {"question": world.task.prompt}
        return (asyncio.run(made.acall(**asked)) if awaited else made(**asked)).answer

    return run


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_an_agent_that_knows_tools_as_text_has_its_scopes(awaited, world):
    world.says(**REACT)
    assert world.run(react(world, awaited)) == ANSWER
    assert world.scopes == REACT_SCOPES
    tools = [f"{RESEARCHER}/step:search", f"{RESEARCHER}/step:broken", f"{HELPED}/step:lookup"]
    assert [ran.scope for ran in world.task.ran] == tools


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
@pytest.mark.parametrize("limit", range(8))
def test_a_refusal_ends_an_agent_that_knows_tools_as_text(limit, awaited, world):
    world.says(**REACT)
    assert world.refused(react(world, awaited), calls=limit).scope == world.scope
    assert world.scopes == REACT_SCOPES[:limit]
    assert len(world.aimock.heard()) == limit
    assert world.guarded.count("refuse") == 1


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_a_limit_of_an_agent_that_is_asked_stops_that_one_alone(awaited, world):
    world.limit("agent:helper", 1)
    world.says(**REACT)
    assert world.run(react(world, awaited)) == ANSWER
    assert world.scopes == [*REACT_SCOPES[:4], *REACT_SCOPES[6:]]


def test_an_agent_without_a_name_has_that_of_its_class(world):
    class Digger(dspy.ReAct):
        pass

    named = dspy.Signature("question -> answer", signature_name="researcher")
    for kind, signature in ((dspy.ReAct, "question -> answer"), (Digger, named)):
        world.says(FINISH)
        made = kind(signature, tools=[])
        made.set_lm(world.lm())
        assert world.run(lambda made=made: made(question="x")).answer == ANSWER
        assert world.scopes == [f"agent:{kind.__name__}"] * 2


def test_saying_that_it_is_done_is_no_tool(world):
    for kind, says in ((dspy.ReAct, FINISH), (dspy.ReActV2, [SUBMITS])):
        world.says(says)
        made = agent(world.task, "researcher", [], kind=kind)
        assert world.run(lambda made=made: made(question="x"), depth=1).answer == ANSWER
        assert {*world.scopes} == {RESEARCHER}


class Part(dspy.Module):
    """
    A part of a program, which asks a model so often.
    """

    def __init__(self, lm, times=1):
        super().__init__()
        self.times, self.ask = times, dspy.Predict("question -> answer")
        self.set_lm(lm)

    def forward(self, question="x"):
        return [self.ask(question=question) for _ in range(self.times)][-1]


class Program(dspy.Module):
    """
    Goes on without its part where that is refused.
    """

    def __init__(self, lm, answer=None):
        super().__init__()
        self.part, self.answer = Part(lm), answer

    def forward(self):
        try:
            return self.part()
        except solvent.BudgetExceeded:
            if self.answer is None:
                raise
            return dspy.Prediction(answer=self.answer)

    async def aforward(self):
        return dspy.Prediction(answer=(await self.part.ask.acall(question="x")).answer)


SAYS = fields(answer=ANSWER)


def test_a_module_of_a_program_is_no_agent_by_its_name(world):
    class ReAct(Part):
        pass

    world.says(others=SAYS)
    world.run(lambda: ReAct(world.lm())())
    assert world.scopes == ["step:ReAct"]


def test_modules_of_a_program_are_steps_of_it(world):
    world.says(others=SAYS)
    assert world.run(Program(world.lm())).answer == ANSWER
    assert world.scopes == ["step:Program/step:Part"]


def test_a_program_may_go_on_where_a_part_of_it_was_refused(world):
    assert world.run(Program(world.lm(), "none"), calls=0).answer == "none"
    assert world.aimock.heard() == []


def test_a_cached_answer_is_no_call(world):
    world.says(others=SAYS)
    lm = world.lm().copy(cache=True)
    question = f"What is new at {time.time_ns()}?"
    for calls in (1, 0):
        assert world.run(lambda: Part(lm)(question=question), calls=calls).answer == ANSWER
        assert len(world.calls) == calls
    assert len(world.aimock.heard()) == 1


@pytest.mark.parametrize("engine", ["lm15", "litellm"])
@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_each_try_of_a_model_is_a_call(limit, awaited, engine, world):
    world.says((503, 503, SAYS))
    lm = world.lm(engine=engine)

    def ask():
        return asyncio.run(lm.acall("x")) if awaited else lm("x")

    assert world.run(ask, calls=3) if limit == 3 else world.refused(ask, calls=limit)
    assert [(call.status, call.retry) for call in world.calls] == [("503", 0), ("503", 1), ("200", 2)][:limit]
    assert len(world.aimock.heard()) == limit


def test_another_candidate_of_an_answer_is_no_retry_of_it(world):
    world.says((503, SAYS, SAYS))
    assert len(world.run(lambda: world.lm()("x", n=2), retries=1)) == 2
    assert [(call.status, call.retry) for call in world.calls] == [("503", 0), ("200", 1), ("200", 0)]


def streamed(program, awaited):
    """
    What comes of a program that is streamed.
    """
    if not awaited:
        return [*dspy.streamify(program, async_streaming=False)()]

    async def pieces():
        return [piece async for piece in dspy.streamify(program, is_async_program=True)()]

    return asyncio.run(pieces())


@pytest.mark.parametrize("awaited", [False, True], ids=["iterated", "awaited"])
def test_a_streamed_program_is_booked_and_refused_alike(awaited, world):
    world.says(others=SAYS)
    program = Program(world.lm())
    *pieces, answer = world.run(lambda: streamed(program, awaited))
    assert (answer.answer, bool(pieces)) == (ANSWER, True)
    assert world.scopes == ["step:Program" if awaited else "step:Program/step:Part"]
    assert world.calls[0].cost == 100 * 10_000
    world.refused(lambda: streamed(program, awaited), calls=0)
    assert len(world.aimock.heard()) == 1


def test_a_stream_that_is_left_leaves_no_scope_open(world):
    world.says(others=SAYS)
    program = Program(world.lm())

    async def leave():
        stream = dspy.streamify(program, is_async_program=True)()
        async with solvent.budget("scenario") as budget, aclosing(stream):
            await anext(stream)
            assert solvent.current_budget() is budget

    asyncio.run(leave())
    gc.collect()
    assert OPEN.blocks() == []
    assert world.guarded.spent("calls") == 1


def test_a_program_that_is_cancelled_leaves_no_scope_open(guarded, fake_provider):
    fake = fake_provider(Answer(hangs=True))
    at = {"api_base": f"{fake.url}/v1", "api_key": "x", "cache": False}
    program = Program(dspy.LM(f"openai/{MODELS.researcher}", max_tokens=100, **at))

    async def cancel():
        async with solvent.budget("scenario") as budget:
            running = asyncio.create_task(program.acall())
            await asyncio.to_thread(fake.wait_until, lambda: fake.seen)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert solvent.current_budget() is budget

    asyncio.run(cancel())
    assert OPEN.blocks() == []
    assert guarded.spent("calls") == len(fake.seen) == 1


@pytest.mark.parametrize("way", ["called", "awaited", "iterated", "streamed"])
def test_a_call_ends_at_its_deadline(way, guarded, fake_provider):
    stalls = {"hold_after": (2, Gate())} if way in ("iterated", "streamed") else {"hangs": True}
    at = {"api_base": f"{fake_provider(Answer(**stalls)).url}/v1", "api_key": "x", "cache": False, "num_retries": 0}
    program = Program(dspy.LM(f"openai/{MODELS.researcher}", max_tokens=100, **at))
    ways = {
        "called": program,
        "awaited": lambda: asyncio.run(program.acall()),
        "iterated": lambda: streamed(program, awaited=False),
        "streamed": lambda: streamed(program, awaited=True),
    }
    with pytest.raises(solvent.DeadlinePassed), solvent.budget(seconds=1):
        ways[way]()
    assert guarded.spent("calls") == 1


@pytest.mark.parametrize("awaited", [False, True], ids=["iterated", "awaited"])
def test_a_reply_that_is_left_is_booked_at_once(awaited, guarded, fake_provider):
    fake = fake_provider(Answer(output_tokens=50, hold_after=(2, Gate())))
    body = {"model": MODELS.researcher, "messages": [], "max_tokens": 50, "stream": True}
    url, headers = f"{fake.url}/v1/chat/completions", [("content-type", "application/json")]
    request = transports.TransportRequest("POST", url, headers, json.dumps(body).encode())

    async def leave():
        async with transports.StdlibAsyncTransport() as transport, transport.stream(request) as reply:
            assert await anext(aiter(reply))
        assert guarded.reserved() == 0

    with solvent.budget("scenario"):
        if awaited:
            asyncio.run(leave())
        else:
            with transports.StdlibTransport() as transport, transport.stream(request) as reply:
                assert next(iter(reply))
            assert guarded.reserved() == 0
    assert guarded.spent() == 50 * 10_000


def reward(_arguments, _answer):
    return 0.0


@pytest.mark.parametrize("kind", [dspy.BestOfN, dspy.Refine])
class TestTriesEnd:
    """
    Modules that try another one over and over, and take what was best.
    """

    def test_where_a_limit_around_them_is_used_up(self, kind, world):
        world.says(others=SAYS)
        lm = world.lm()
        tries = kind(Part(lm, times=2), N=4, reward_fn=reward, threshold=1.0)
        with dspy.context(lm=lm):
            assert world.refused(lambda: tries(question="x"), calls=1).scope == world.scope
        assert len(world.aimock.heard()) == 1
        assert world.guarded.count("refuse") == 1

    @pytest.mark.parametrize("times", [2, 4])
    def test_with_the_refusal_where_no_trial_had_an_answer(self, times, kind, world):
        world.limit("step:Part", 0)
        tries = kind(Part(world.lm()), N=times, reward_fn=reward, threshold=1.0)
        assert world.refused(lambda: tries(question="x")).scope.endswith("/step:Part")
        assert world.aimock.heard() == []

    def test_but_not_where_another_trial_has_a_budget_of_its_own(self, kind, world):
        class Limited(Part):
            def forward(self, question="x"):
                allowed.append(len(allowed))
                with solvent.budget("each", calls=allowed[-1]):
                    return super().forward(question)

        allowed = []
        world.says(others=SAYS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("inspect.getsource", lambda _: "")  # Of a class in a function, which Refine shows a model.
            tries = kind(Limited(world.lm()), N=2, reward_fn=lambda *_: 1.0, threshold=1.0)
        assert world.run(lambda: tries(question="x")).answer == ANSWER
        assert len(allowed) == 2


EXAMPLES = [dspy.Example(question=str(number)).with_inputs("question") for number in range(40)]


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (4, 20)])  # Some begin before they hear of it.
def test_many_examples_end_where_a_limit_around_them_is_used_up(threads, most, world):
    world.says(others=SAYS)
    part = Part(world.lm())
    evaluate = dspy.Evaluate(devset=EXAMPLES, metric=lambda *_: 1.0, num_threads=threads, max_errors=1_000)
    for program in (lambda: part.batch(EXAMPLES, num_threads=threads, max_errors=1_000), lambda: evaluate(part)):
        before = world.guarded.count("refuse")
        assert world.refused(program, calls=3).scope == world.scope
        assert world.scopes == ["step:Part"] * 3
        assert 1 <= world.guarded.count("refuse") - before <= most


def test_examples_with_budgets_of_their_own_do_not_end_the_others(world):
    world.says(others=SAYS)
    part = Part(world.lm())

    class Limited(dspy.Module):
        def forward(self, question):
            with solvent.budget("each", calls=int(question) % 2):
                return part(question=question)

    answers = world.run(lambda: Limited().batch(EXAMPLES[:8], num_threads=2, max_errors=1_000))
    assert [answer is None for answer in answers] == [True, False] * 4


@pytest.fixture
def gateway(fake_provider, guarded, monkeypatch):
    """
    Starts what stands for the gateway of a run around this process; a step of the run is open.
    """
    monkeypatch.setattr("dspy.clients.execution._delay", lambda *_: 0)

    def start(*answers):
        fake = fake_provider([*answers])
        monkeypatch.setenv("SOLVENT_GATEWAY", f"{fake.url}/secret")
        at = {"api_base": f"{fake.url}/secret/v1", "api_key": "x", "cache": False}
        return fake, dspy.LM(f"openai/{MODELS.researcher}", max_tokens=9, **at)

    token = CURRENT.set(Block(None, None, Scope.parse("run:r/step:b"), None, ("step:b",)))
    yield start
    CURRENT.reset(token)
    assert guarded.spent("calls") == 0


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_the_gateway_of_a_run_hears_whose_a_call_is(awaited, gateway):
    fake, lm = gateway(Answer(status=500), Answer())
    assert asyncio.run(lm.acall("x")) if awaited else lm("x")
    assert [seen.headers["x-solvent-scope"] for seen in fake.seen] == ["step:b"] * 2


@pytest.mark.parametrize("awaited", [False, True], ids=["called", "awaited"])
def test_a_refusal_of_the_gateway_of_a_run_is_solvents_own_error(awaited, gateway, monkeypatch):
    refusal = solvent.BudgetExceeded(
        scope="run:r", meter="calls", limit=0, spent=0, reserved=0, requested=1, source="--calls"
    )
    fake, lm = gateway(Answer(status=402, headers=dict(answer_to(refusal).headers)))
    with pytest.raises(solvent.BudgetExceeded) as refused:
        asyncio.run(lm.acall("x")) if awaited else lm("x")
    assert (refused.value.scope, len(fake.seen)) == ("run:r", 1)
    monkeypatch.setattr(Mode, "names_only", True)
    with pytest.raises(dspy.LMBillingError):  # A program that did not ask for Solvent's.
        asyncio.run(lm.acall("x")) if awaited else lm("x")
    assert fake.seen[1].headers["x-solvent-scope"] == "step:b"


def test_the_guide_prints_and_names_what_it_shows(aimock, tmp_path):
    asks = calls("ask_helper", '{"word": "Rhine"}')
    script = {
        "researcher": (asks, calls("finish"), fields(reasoning="So.", answer="In the North Sea."), asks),
        "helper": (calls("finish"), fields(reasoning="So.", meaning="A river."), calls("finish")),
    }
    told = {role: tuple([Turn(text=text) for text in texts]) for role, texts in script.items()}
    follow("dspy.md", Framework(__import__("fw_dspy")), told, aimock, tmp_path)
