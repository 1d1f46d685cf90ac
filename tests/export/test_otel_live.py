"""
Calls of real clients as OpenTelemetry tells them: its own SDK takes them, and hands back what it took.
"""

import asyncio
import logging
import subprocess
import sys
import threading
from asyncio import run

import openai
import pytest
from clocks import ManualClock
from fake_provider import Answer
from golden_ledger import DOLLAR
from guard_world import THREE_CENTS, World, chat
from instrument.inprocess import RATES, guarded, ledger, policy  # noqa: F401  # Fixtures.
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import solvent
from solvent._limits import Limit, Scope
from solvent._records import CallRecord
from solvent.errors import BudgetExceeded, SettingsError, Unbounded
from solvent.events import EVERYWHERE, CallAdmitted, CallClosed, CallRefused, Listeners
from solvent.export import otel
from solvent.stores.memory import MemoryStore

PROMPT, KEY, REPLY_CAP = "planted-prompt", "sk-planted-key", 500
PATIENCE_SECONDS = 30


class Told:
    """
    What OpenTelemetry was told.
    """

    def __init__(self, exporter=None, clock=None):
        self.exporter = InMemorySpanExporter() if exporter is None else exporter
        self.reader = InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.tracers.get_tracer("program")
        self.installed = otel.install(self.tracers, self.meters, clock=clock)

    def spans(self):
        assert self.installed.flush(PATIENCE_SECONDS)
        return [span for span in self.exporter.get_finished_spans() if span.instrumentation_scope.name == "solvent"]

    def points(self, name):
        assert self.installed.flush(PATIENCE_SECONDS)
        data = self.reader.get_metrics_data()
        resources = data.resource_metrics if data else ()
        metrics = [metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def close(self):
        self.installed.uninstall()
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
def told():
    told = Told()
    yield told
    told.close()


def ask(url, **more):
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        return client.chat.completions.create(**request(**more))


async def async_ask(url, **more):
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        return await client.chat.completions.create(**request(**more))


def request(**more):
    return {"model": "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": REPLY_CAP, **more}


def in_full(url):
    ask(url)


def in_full_async(url):
    asyncio.run(async_ask(url))


def streamed(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        assert list(client.chat.completions.create(**request(stream=True)))


def streamed_async(url):
    async def read():
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            assert [piece async for piece in await client.chat.completions.create(**request(stream=True))]

    asyncio.run(read())


@pytest.mark.slow
@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("way", [in_full, in_full_async, streamed, streamed_async], ids=lambda way: way.__name__)
def test_a_call_is_a_client_span_below_the_span_that_it_was_made_in(told, fake_provider, way):
    fake = fake_provider(Answer(input_tokens=90, output_tokens=120, cached_tokens=40, reasoning_tokens=30))
    with solvent.budget("planted-run", usd="1.00"), solvent.agent("writer"), told.tracer.start_as_current_span("above"):
        way(fake.url)
    (span,) = told.spans()
    above = next(each for each in told.exporter.get_finished_spans() if each.name == "above")
    assert (span.name, span.kind, span.status.status_code) == ("chat m", SpanKind.CLIENT, StatusCode.UNSET)
    assert (span.context.trace_id, span.parent.span_id) == (above.context.trace_id, above.context.span_id)
    assert above.start_time <= span.start_time < span.end_time <= above.end_time
    cost = fake.billed(RATES)
    about = dict(span.attributes)
    run = about.pop("solvent.run")
    assert run.startswith("planted-run-")
    assert about.pop("solvent.call.id")
    assert about.pop("solvent.bound.nanodollars") == REPLY_CAP * RATES.output
    assert about.pop("gen_ai.response.model")
    assert about == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": way in (streamed, streamed_async),
        "gen_ai.agent.name": "writer",
        "gen_ai.usage.input_tokens": 90,
        "gen_ai.usage.output_tokens": 120,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.reasoning.output_tokens": 30,
        "http.response.status_code": 200,
        "solvent.attempt": 0,
        "solvent.cost.nanodollars": cost,
        "solvent.cost.usd": cost / 10**9,
        "solvent.decision": "allow",
        "solvent.price.source": about["solvent.price.source"],
        "solvent.remaining.nanodollars": 10**9 - cost,
        "solvent.run.total.nanodollars": cost,
        "solvent.scope": f"run:{run}/agent:writer",
    }


@pytest.mark.slow
@pytest.mark.usefixtures("guarded")
def test_a_refusal_is_a_span_with_an_error_and_the_limit(told, fake_provider):
    with (
        solvent.budget("planted-run", usd="0.001"),
        told.tracer.start_as_current_span("above") as above,
        pytest.raises(solvent.BudgetExceeded),
    ):
        ask(fake_provider().url)
    (span,) = told.spans()
    assert span.parent.span_id == above.get_span_context().span_id
    assert span.status.status_code is StatusCode.ERROR
    assert "this call needs up to $0.0050" in span.status.description
    about = dict(span.attributes)
    assert (about["error.type"], about["solvent.decision"]) == ("budget_exceeded", "deny")
    assert about["solvent.limit.scope"] == f"run:{about['solvent.run']}"
    assert (about["solvent.limit.meter"], about["solvent.limit.amount"]) == ("usd", 1_000_000)
    assert not {"solvent.cost.nanodollars", "gen_ai.usage.output_tokens"} & about.keys()
    (point,) = told.points("solvent.decisions")
    assert (point.value, point.attributes["solvent.decision"]) == (1, "deny")
    assert point.attributes["error.type"] == "budget_exceeded"
    assert told.points("solvent.cost") == told.points("gen_ai.client.operation.duration") == []


@pytest.mark.slow
@pytest.mark.usefixtures("guarded")
def test_an_error_of_the_provider_and_a_cut_reply_are_errors_and_count_no_tokens(told, fake_provider):
    fake = fake_provider([Answer(status=429), Answer(cut_after=3)])
    with solvent.budget(usd="1.00"):
        with pytest.raises(openai.RateLimitError):
            ask(fake.url)
        with pytest.raises(Exception):  # noqa: B017, PT011  # Whatever the client makes of it.
            streamed(fake.url)
    refused, cut = told.spans()
    assert refused.attributes["error.type"] == "429"
    assert refused.attributes["http.response.status_code"] == 429
    assert cut.attributes["error.type"] == cut.attributes["solvent.estimated"] == "cut"
    assert cut.attributes["solvent.cost.nanodollars"] == cut.attributes["solvent.bound.nanodollars"]
    assert "gen_ai.usage.output_tokens" not in cut.attributes  # A bound is no count.
    assert told.points("gen_ai.client.token.usage") == []
    errors = {point.attributes["error.type"] for point in told.points("gen_ai.client.operation.duration")}
    assert errors == {"429", "cut"}


@pytest.mark.slow
def test_metrics_add_up_to_the_ledger(told, fake_provider, guarded):  # noqa: F811
    fake = fake_provider(Answer(input_tokens=90, output_tokens=120))
    with solvent.budget("planted-run", usd="1.00"):
        for _ in range(3):
            ask(fake.url)
    (cost,) = told.points("solvent.cost")
    assert cost.value == guarded.spent() == 3 * 120 * RATES.output
    tokens = {point.attributes["gen_ai.token.type"]: point for point in told.points("gen_ai.client.token.usage")}
    assert {kind: (point.sum, point.count) for kind, point in tokens.items()} == {"input": (270, 3), "output": (360, 3)}
    assert tokens["input"].explicit_bounds[:4] == (1, 4, 16, 64)
    (seconds,) = told.points("gen_ai.client.operation.duration")
    assert (seconds.count, seconds.explicit_bounds[:2]) == (3, (0.01, 0.02))
    assert 0 < seconds.sum < PATIENCE_SECONDS
    (decisions,) = told.points("solvent.decisions")
    assert decisions.value == 3


@pytest.mark.slow
@pytest.mark.usefixtures("guarded")
def test_no_prompt_or_key_is_told_and_no_metric_names_a_run_or_an_agent(told, fake_provider):
    fake = fake_provider(Answer(output_tokens=120))
    with solvent.budget("planted-run", usd="0.006"), solvent.agent("planted-agent"):
        reply = ask(fake.url, user="planted-user")
        with pytest.raises(solvent.BudgetExceeded):
            ask(fake.url)
    spans = "".join(span.to_json() for span in told.spans())
    metrics = told.reader.get_metrics_data().to_json()
    assert "planted-agent" in spans
    for secret in (PROMPT, KEY, "planted-user", reply.choices[0].message.content):
        assert secret not in spans + metrics
    for name in ("planted-run", "planted-agent", "run:"):
        assert name not in metrics


def test_budgets_above_runs_are_observed_as_the_last_call_left_them_until_their_window_is_over():
    clock = ManualClock("2026-03-01T09:00:00")
    told = Told(clock=clock)
    day = Limit(meter="usd", amount=DOLLAR, window="day", source="policy")
    life = Limit(meter="usd", amount=DOLLAR // 2, source="policy")
    budgets = (("team:*", day), ("run:*", life))
    world = World(budgets=budgets, clock=clock, store=MemoryStore(clock=clock))
    scope = Scope.parse("team:search/run:test")
    for _ in range(2):
        run(world.settle(run(world.admit(chat(), scope=scope)), output_tokens=THREE_CENTS))
    about = {
        "solvent.budget.scope": "team:search",
        "solvent.budget.meter": "usd",
        "solvent.budget.window": "day@UTC",
    }
    amounts = {part: told.points(f"solvent.budget.{part}") for part in ("limit", "spent", "reserved", "remaining")}
    assert [dict(point.attributes) for (point,) in amounts.values()] == [about] * 4
    cents = DOLLAR // 100
    assert [point.value for (point,) in amounts.values()] == [DOLLAR, 6 * cents, 0, 94 * cents]
    assert [span.attributes["solvent.remaining.nanodollars"] for span in told.spans()] == [47 * cents, 44 * cents]
    clock.advance(seconds=15 * 3_600)
    assert told.points("solvent.budget.spent") == []
    told.close()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["raises", "hangs"])
def test_an_exporter_that_fails_harms_no_call(fake_provider, fault, guarded, caplog):  # noqa: F811
    free, began = threading.Event(), threading.Event()

    class Broken(SpanExporter):
        def export(self, _):
            began.set()
            if fault == "raises":
                raise RuntimeError("planted failure")
            assert free.wait(PATIENCE_SECONDS)
            return SpanExportResult.SUCCESS

    caplog.set_level(logging.CRITICAL)
    told = Told(Broken())
    try:
        fake = fake_provider(Answer(output_tokens=120))
        with solvent.budget(usd="1.00"):
            for _ in range(3):
                assert ask(fake.url).usage.completion_tokens == 120
            assert began.wait(PATIENCE_SECONDS)
            assert guarded.spent() == fake.billed(RATES) == 3 * 120 * RATES.output
    finally:
        free.set()
        told.close()


def test_after_uninstalling_nothing_is_told_and_nothing_is_left(told):
    before = list(EVERYWHERE._listeners)
    other = Told()
    other.close()
    other.installed.uninstall()
    world_with_a_call()
    assert other.spans() == other.points("solvent.decisions") == []
    assert len(told.spans()) == 1
    assert EVERYWHERE._listeners == before


def test_a_hundred_models_have_names_and_the_others_are_one(told):
    for number in range(150):
        Listeners().tell(closed(model=f"m{number}"))
    models = {point.attributes["gen_ai.request.model"]: point.value for point in told.points("solvent.cost")}
    assert len(models) == 101
    assert models["other"] == 50 * 7
    assert {span.attributes["gen_ai.request.model"] for span in told.spans()} == {f"m{n}" for n in range(150)}


def test_what_is_refused_uses_up_no_names(told):
    Listeners().tell(closed(model="known"))
    for number in range(150):
        Listeners().tell(refused(model=f"m{number}"))
    Listeners().tell(refused(model="known"))
    Listeners().tell(closed(model="later"))

    models = {point.attributes["gen_ai.request.model"] for point in told.points("solvent.cost")}
    decided = {
        (point.attributes["solvent.decision"], point.attributes.get("gen_ai.request.model")): point.value
        for point in told.points("solvent.decisions")
    }

    assert models == {"known", "later"}
    assert decided == {("allow", "known"): 1, ("allow", "later"): 1, ("deny", "known"): 1, ("deny", None): 150}


@pytest.mark.parametrize(
    ("rungs", "decision"),
    [
        ((), "allow"),
        (("prefix", "wait 1.2 s"), "allow"),
        (("shrink 513",), "shrink"),
        (("degrade gpt-4o-mini", "shrink 513"), "downgrade"),
    ],
)
def test_a_decision_is_what_changes_a_call_most(told, rungs, decision):
    Listeners().tell(closed(rungs=rungs))
    (span,) = told.spans()
    assert span.attributes["solvent.decision"] == decision
    assert span.attributes.get("solvent.rungs", ()) == rungs


def test_a_stream_that_began_well_and_was_cut_is_an_error(told):
    Listeners().tell(closed(estimated="cut"))
    (span,) = told.spans()
    assert (span.attributes["error.type"], span.attributes["http.response.status_code"]) == ("cut", 200)
    assert span.status.status_code is StatusCode.ERROR


def test_the_providers_and_operations_have_their_names_there(told):
    for provider, format in (("gemini", "gemini-generate"), ("azure", "openai-embeddings"), ("groq", "openai-chat")):
        Listeners().tell(closed(provider=provider, format=format))
    assert [(span.name, span.attributes["gen_ai.provider.name"]) for span in told.spans()] == [
        ("generate_content m", "gcp.gemini"),
        ("embeddings m", "azure.ai.openai"),
        ("chat m", "groq"),
    ]


def test_code_that_is_not_let_in_is_no_call_of_a_model(told):
    world = World(limits=[Limit(meter="depth", amount=1, source="policy")])
    with pytest.raises(BudgetExceeded):
        world.guard.enter(Scope.parse("run:test/agent:a/agent:b"))
    (span,) = told.spans()
    assert (span.name, span.kind, span.status.status_code) == ("enter agent", SpanKind.INTERNAL, StatusCode.ERROR)
    assert not [name for name in span.attributes if name.startswith("gen_ai.") and name != "gen_ai.agent.name"]
    assert told.points("solvent.decisions") == []


def test_what_an_exporter_calls_itself_does_not_come_back_to_it():
    class Asking(InMemorySpanExporter):
        def export(self, spans):
            world_with_a_call()
            return super().export(spans)

    told = Told(Asking())
    world_with_a_call()
    assert len(told.spans()) == 1
    told.close()


def test_calls_whose_end_nobody_told_are_not_remembered_for_ever(told, monkeypatch):
    monkeypatch.setattr(otel, "OPEN_MAX", 10)
    for number in range(25):
        Listeners().tell(CallAdmitted(id=str(number), scope="run:a", call=CallRecord()))
    assert len(told.installed._parents) <= 10


def test_without_opentelemetry_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    before = list(EVERYWHERE._listeners)
    with pytest.raises(SettingsError, match=r"pip install 'solvent\[otel\]'"):
        otel.install()
    assert EVERYWHERE._listeners == before


PROGRAM = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from solvent.export import otel
from solvent._records import CallRecord
from solvent.events import CallClosed, Listeners
class Prints(SpanExporter):
    def export(self, spans):
        print(len(spans), flush=True)
        return SpanExportResult.SUCCESS
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Prints()))
trace.set_tracer_provider(provider)
otel.install()
for number in range(100):
    call = CallRecord(format="openai-chat", started=1, ended=2, status="200")
    Listeners().tell(CallClosed(id=str(number), scope="run:a", call=call))
"""


@pytest.mark.slow
def test_what_waits_when_the_program_ends_is_told():
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert (sum(map(int, ran.stdout.split())), ran.stderr) == (100, "")


def world_with_a_call():
    world = World(usd="1.00")
    run(world.settle(run(world.admit(chat())), output_tokens=THREE_CENTS))


def closed(*, provider="openai", format="openai-chat", model="m", rungs=(), estimated=None):
    call = CallRecord(
        provider=provider,
        format=format,
        model_asked=model,
        cost_nanodollars=7,
        rungs=rungs or None,
        estimated=estimated,
        decision="admitted",
        started=1_000,
        ended=2_000,
        status="200",
    )
    return CallClosed(id="a", scope="run:a", call=call)


def refused(*, model):
    call = CallRecord(
        provider="openai", format="openai-chat", model_asked=model, decision="refused", status="unbounded"
    )
    error = Unbounded(part="output", meter="usd", remedy="give max_tokens")
    return CallRefused(id="a", scope="run:a", call=call, error=error, began=0.0, answered=0.0)
