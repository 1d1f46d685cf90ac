"""
A journal as traces, read back by OpenTelemetry's own SDK, and what a collector gets over the wire.
"""

import os
import sys
from collections import defaultdict
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import golden_ledger
import pytest
from golden_ledger import BANNER, COST, MIXER, PAINTER, RESEARCHER, SEARCH, TRIAGE, WRITER, golden
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from typer.testing import CliRunner

from solvent._digest import DIGESTED
from solvent.cli import app
from solvent.errors import SettingsError
from solvent.export import _otel_replay, otel
from solvent.export._otel_spans import scope_said

# By the clock on the wall the call that is open in that ledger has expired.
COST_NOW = COST + golden_ledger.OPEN_RESERVED
COST_SINCE = golden_ledger.BANNER_COST + golden_ledger.OPEN_RESERVED  # The second day's, and what expired now.
COSTS = "solvent.cost.nanodollars"
SCOPES = {TRIAGE, RESEARCHER, SEARCH, WRITER, BANNER, PAINTER, MIXER, golden_ledger.LONELY}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def made(tmp_path):
    return golden(tmp_path / "golden.db")


class Kept(InMemorySpanExporter):
    """
    Keeps spans also when it is shut down.
    """

    def shutdown(self):
        self.is_shut = True


def replayed(store, key=b"key"):
    kept = Kept()
    count = otel.replay(store.entries(kinds=DIGESTED | {"open", "close"}), kept, key=key)
    spans = kept.get_finished_spans()
    assert (count, kept.is_shut) == (len(spans), True)
    return spans


def calls_of(spans):
    return [span for span in spans if span.kind is SpanKind.CLIENT and span.attributes["solvent.decision"] != "deny"]


def test_the_spans_of_the_golden_ledger_cost_what_is_written_down(made):
    spans = replayed(made.open())
    calls = calls_of(spans)
    assert len(calls) == golden_ledger.CALLS
    assert [span.attributes["solvent.scope"] for span in calls if COSTS not in span.attributes] == [
        golden_ledger.LONELY
    ]
    assert sum(span.attributes.get(COSTS, 0) for span in calls) == COST
    by_scope = defaultdict(int)
    for span in calls:
        by_scope[span.attributes["solvent.scope"]] += span.attributes.get(COSTS, 0)
    assert sum(cost for scope, cost in by_scope.items() if scope.startswith(TRIAGE)) == golden_ledger.TRIAGE_COST
    assert by_scope[WRITER] == golden_ledger.WRITER_COST
    assert not [span for span in spans if span.name == "enter fan_out"]
    refusals = [span for span in spans if span.attributes.get("solvent.decision") == "deny"]
    assert len(refusals) == golden_ledger.REFUSALS
    assert {span.status.status_code for span in refusals} == {StatusCode.ERROR}
    assert sum(span.attributes.get("solvent.overrun.nanodollars", 0) for span in calls) == golden_ledger.OVERRUN


def test_a_run_is_a_trace_in_which_each_call_stands_below_its_agent_and_step(made):
    spans = replayed(made.open())
    by_id = {span.context.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    around = {span.attributes["solvent.scope"]: span for span in spans if span.name.startswith(("invoke_", "step "))}
    assert around.keys() == SCOPES
    assert {around[scope].name for scope in (TRIAGE, RESEARCHER, SEARCH)} == {
        "invoke_workflow triage",
        "invoke_agent researcher",
        "step search",
    }
    assert around[MIXER].parent.span_id == around[PAINTER].context.span_id
    assert len({span.context.trace_id for span in spans}) == 3
    assert [span for span in spans if span.parent is None] == [
        around[run] for run in (TRIAGE, BANNER, "user:ann/run:lonely")
    ]
    for span in spans:
        if span.parent is not None:
            above = by_id[span.parent.span_id]
            assert above.context.trace_id == span.context.trace_id
            assert above.start_time <= span.start_time <= span.end_time <= above.end_time
            if above.attributes["solvent.scope"] != span.attributes["solvent.scope"]:
                assert span is around[span.attributes["solvent.scope"]]


def test_a_run_is_named_without_its_id():
    span = scope_said("team:search/run:triage-01M81GDGVS6TGD82JRDV72TM8Z", 1, 2)
    assert (span.name, span.attributes["gen_ai.workflow.name"]) == ("invoke_workflow triage", "triage")
    assert span.attributes["solvent.run"] == "triage-01M81GDGVS6TGD82JRDV72TM8Z"


def test_a_call_that_expired_and_was_corrected_is_one_span_at_its_true_cost(made):
    store = made.open()
    (corrected,) = (entry for entry in store.entries() if entry.kind == "correct")
    (span,) = (span for span in replayed(store) if span.attributes.get("solvent.call.id") == corrected.id)
    assert span.attributes[COSTS] == golden_ledger.CACHED_COST
    assert "solvent.estimated" not in span.attributes
    alone = Kept()
    otel.replay([corrected], alone)  # As after a `--since` that left out its expiry.
    (span, *_) = alone.get_finished_spans()
    assert span.attributes[COSTS] == golden_ledger.CACHED_COST


def test_the_same_journal_is_the_same_traces_again_and_another_ledgers_are_others(made):
    def ids(key):
        return [(span.context.trace_id, span.context.span_id) for span in replayed(made.open(), key)]

    assert ids(b"a") == ids(b"a")
    assert not set(ids(b"a")) & set(ids(b"b"))


def test_spans_are_sent_in_batches_and_all_of_them(made, monkeypatch):
    monkeypatch.setattr(_otel_replay, "BATCH", 5)
    sizes = []

    class Sizes(Kept):
        def export(self, spans):
            sizes.append(len(spans))
            return super().export(spans)

    kept = Sizes()
    count = otel.replay(made.open().entries(kinds=DIGESTED), kept)
    assert sum(sizes) == count == len(kept.get_finished_spans()) > 25
    assert max(sizes) == 5


def test_what_is_not_taken_is_said_and_ends_it(made):
    class Refusing(SpanExporter):
        def export(self, _):
            return SpanExportResult.FAILURE

    with pytest.raises(SettingsError, match="Refusing to take spans, got a failure after 0 of them"):
        otel.replay(made.open().entries(kinds=DIGESTED), Refusing())


class Collector(BaseHTTPRequestHandler):
    """
    Takes what OTLP sends.
    """

    def do_POST(self):
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, request))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_): ...


@contextmanager
def collector():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def costs_of(request):
    spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
    return [each.value.int_value for span in spans for each in span.attributes if each.key == COSTS]


@pytest.mark.slow
def test_the_command_sends_them_where_the_environment_says(made):
    with collector() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_RESOURCE_ATTRIBUTES": "team=search"}
        ran = CliRunner().invoke(app, ["export", "otel", "--ledger", made.url], env=environment)
    assert ran.exit_code == 0, ran.output
    ((path, request),) = server.taken
    assert path == "/v1/traces"
    (resource,) = request.resource_spans
    about = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (about["service.name"], about["team"]) == ("solvent", "search")
    (scope,) = resource.scope_spans
    assert (scope.scope.name, scope.schema_url) == ("solvent", "https://opentelemetry.io/schemas/1.41.0")
    assert sum(costs_of(request)) == COST_NOW
    assert ran.stdout == f"{len(scope.spans)} spans sent\n"


@pytest.mark.slow
def test_the_command_sends_one_scope_and_what_came_since(made):
    for more, cost in ((["--scope", BANNER], golden_ledger.BANNER_COST), (["--since", "2026-03-02"], COST_SINCE)):
        with collector() as server:
            environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}"}
            ran = CliRunner().invoke(app, ["export", "otel", *more, "--ledger", made.url], env=environment)
        assert ran.exit_code == 0, ran.output
        assert sum(costs_of(server.taken[0][1])) == cost
    ran = CliRunner().invoke(app, ["export", "otel", "--since", "yesterday", "--ledger", made.url])
    assert ran.exit_code == 2
    assert "got 'yesterday'" in ran.stderr


@pytest.mark.slow
def test_the_command_says_that_nobody_takes_them(made):
    with collector() as server:
        port = server.server_port
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.1"}
    ran = CliRunner().invoke(app, ["export", "otel", "--ledger", made.url], env=environment)
    assert ran.exit_code == 1
    assert "expected OTLPSpanExporter to take spans" in ran.stderr
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in ran.stderr


def test_an_exporter_that_is_not_installed_is_named(made):
    ran = CliRunner().invoke(
        app, ["export", "otel", "--ledger", made.url], env={"OTEL_TRACES_EXPORTER": "carrier-pigeon"}
    )
    assert ran.exit_code == 1
    assert "got carrier-pigeon" in ran.stderr
    assert "pip install 'solvent[otel]'" in ran.stderr


def test_without_opentelemetry_the_command_names_the_extra(made, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("solvent.export._otel_replay")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    ran = CliRunner().invoke(app, ["export", "otel", "--ledger", made.url])
    assert ran.exit_code == 1
    assert "pip install 'solvent[otel]'" in ran.stderr


@pytest.mark.parametrize("format", ["otel", "prometheus"])
def test_the_help_of_each_is_whole_at_80_columns(format):
    texts = [
        CliRunner().invoke(app, ["export", format, flag], env={"COLUMNS": "80"}).stdout for flag in ("-h", "--help")
    ]
    assert texts[0] == texts[1]
    assert texts[0].startswith(f"Usage: solvent export {format} [OPTIONS]") or f"export {format} [OPTIONS]" in texts[0]
    assert not [line for line in texts[0].splitlines() if len(line) > 80 or line.endswith("...")]
