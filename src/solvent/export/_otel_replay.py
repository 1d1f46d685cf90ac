"""
A journal as traces: a run is one, with spans of its agents and steps around those of their calls.

The same journal makes the same traces again, ids included: what is sent twice can be seen to be the same.

Source:
    OpenTelemetry's specification of the SDK's environment variables (``OTEL_TRACES_EXPORTER``,
    ``OTEL_EXPORTER_OTLP_PROTOCOL``, ``OTEL_SERVICE_NAME``), read 2026-11-22.
"""

import os
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from importlib.metadata import entry_points

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from solvent._ledger import booked
from solvent._records import BRANCHES, Entry
from solvent.errors import SettingsError
from solvent.export import _otel_names as names
from solvent.export._otel_emit import emit
from solvent.export._otel_spans import Closing, Said, said, scope_said

BATCH = 512  # Spans that are sent at once.


def send(entries: Iterable[Entry], exporter: SpanExporter, key: bytes) -> int:
    """
    As ``otel.replay`` promises.
    """
    sent = _Sent(exporter)
    try:
        _Replay(sent, key).tell(entries)
        sent.flush()
    finally:
        exporter.shutdown()
    return sent.count


def exporter_of_environment(environment: Mapping[str, str]) -> SpanExporter:
    """
    The exporter that the variables ``OTEL_…`` configure: OTLP over HTTP to this machine unless they say otherwise.

    Raises:
        SettingsError: They name one that is not installed.
    """
    name = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name == "otlp":
        protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
            "OTEL_EXPORTER_OTLP_PROTOCOL"
        )
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for found in entry_points(group="opentelemetry_traces_exporter", name=name):
        exporter: SpanExporter = found.load()()
        return exporter
    raise SettingsError(
        where="OTEL_TRACES_EXPORTER",
        expected="the name of an exporter that is installed",
        got=name,
        hint="pip install 'solvent[otel]', which brings otlp over HTTP, or install the one that is meant",
    )


class _Sent(SpanProcessor):
    """
    Sends spans in batches, one after the other, and loses none without a word.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self.count = 0
        self._exporter = exporter
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)

    def flush(self, least: int = 1) -> None:
        """
        Raises:
            SettingsError: They are not taken.
        """
        if len(self._spans) < least:
            return
        if self._exporter.export(self._spans) is not SpanExportResult.SUCCESS:
            raise SettingsError(
                where="OpenTelemetry",
                expected=f"{type(self._exporter).__name__} to take spans",
                got=f"a failure after {self.count:,} of them",
                hint="see that a collector listens where OTEL_EXPORTER_OTLP_ENDPOINT says",
            )
        self.count += len(self._spans)
        self._spans = []


class _Ids(IdGenerator):
    """
    The ids that the next span gets.
    """

    trace = span = 1

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Replay:
    def __init__(self, sent: _Sent, key: bytes) -> None:
        self._sent = sent
        self._key = key[:64]
        self._ids = _Ids()
        provider = TracerProvider(
            sampler=ALWAYS_ON, resource=_resource(), id_generator=self._ids, shutdown_on_exit=False
        )
        provider.add_span_processor(sent)
        self._tracer = provider.get_tracer(names.TRACER, schema_url=names.SCHEMA_URL)
        self._times: dict[str, tuple[int, int]] = {}  # Of runs, agents and steps: from when until when.
        self._expired: dict[str, Entry] = {}

    def tell(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.kind != "refuse" and entry.call.format == BRANCHES:
                continue  # The branches of a fan-out are no calls; the calls in them have entries of their own.
            if entry.kind == "release" and entry.call.format is None:
                continue  # Of a caller that went away before it was known what it would send.
            if entry.kind == "expire":  # A correction may come.
                self._expired[entry.id] = entry
            elif entry.kind in ("open", "close"):
                self._spread(entry.scope, _at(entry), _at(entry))
            else:
                self._call(entry, self._expired.pop(entry.id, None) if entry.kind == "correct" else None)
            self._sent.flush(BATCH)
        for entry in self._expired.values():
            self._call(entry, None)
            self._sent.flush(BATCH)
        for scope, (started, ended) in self._times.items():
            self._emit(scope_said(scope, started, ended), _around(scope), scope)
            self._sent.flush(BATCH)

    def _call(self, entry: Entry, expired: Entry | None) -> None:
        span = said(_closing(entry, expired))
        self._spread(entry.scope, span.started, span.ended)
        # Several refusals may have one id, for none of them took it.
        name = f"{entry.id} {entry.seq}" if entry.kind == "refuse" else entry.id
        self._emit(span, _spanned(entry.scope), name)

    def _spread(self, scope: str, started: int, ended: int) -> None:
        around = _spanned(scope)
        while around is not None:
            first, last = self._times.get(around, (started, ended))
            self._times[around] = min(first, started), max(last, ended)
            around = _around(around)

    def _emit(self, span: Said, around: str | None, name: str) -> None:
        self._ids.span = self._id(name, 8)
        parent = Context()
        if around is None:
            self._ids.trace = self._id(f"trace {name}", 16)
        else:
            trace = self._id(f"trace {_top(around)}", 16)
            above = SpanContext(trace, self._id(around, 8), is_remote=False, trace_flags=TraceFlags(1))
            parent = set_span_in_context(NonRecordingSpan(above), parent)
        emit(self._tracer, span, parent)

    def _id(self, name: str, size: int) -> int:
        return int.from_bytes(blake2b(name.encode(), key=self._key, digest_size=size).digest()) or 1


def _spanned(scope: str) -> str | None:
    """
    The scope itself, where it is one that has a span around its calls.
    """
    return scope if scope.rpartition("/")[2].startswith(("run:", "agent:", "step:")) else None


def _around(scope: str) -> str | None:
    """
    The scope whose span is around this one's.
    """
    return _spanned(scope.rpartition("/")[0])


def _top(scope: str) -> str:
    above = _around(scope)
    return scope if above is None else _top(above)


def _at(entry: Entry) -> int:
    return entry.call.started or entry.at if entry.kind == "open" else entry.call.ended or entry.at


def _closing(entry: Entry, expired: Entry | None) -> Closing:
    """
    Args:
        expired: What a correction puts right.
    """
    both = (entry,) if expired is None else (expired, entry)
    # A correction whose expiry was not asked for books a difference; the call itself did cost what its record says.
    is_whole = entry.kind != "correct" or expired is not None
    costs = [cost for cost in (map(booked, both) if is_whole else (entry.call.cost_nanodollars,)) if cost is not None]
    blocking = entry.postings[0] if entry.kind == "refuse" and entry.postings else None
    return Closing(
        id=entry.id,
        scope=entry.scope,
        call=entry.call,
        at=entry.at,
        cost=sum(costs) if costs and entry.kind != "refuse" else None,
        overrun=sum(map(_overrun, both)),
        run_total=entry.run_total_nanodollars,
        account=blocking.account if blocking else None,
        limit=blocking.limit if blocking else None,
    )


def _overrun(entry: Entry) -> int:
    return next((posting.overrun for posting in entry.postings if posting.account.meter == "usd"), 0)


def _resource() -> Resource:
    is_named = "OTEL_SERVICE_NAME" in os.environ or SERVICE_NAME in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if is_named else {SERVICE_NAME: "solvent"})
