"""
Spans as OpenTelemetry's own.
"""

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from solvent.export._otel_spans import Said


def emit(tracer: Tracer, span: Said, parent: Context | None) -> Span:
    """
    A span that began and ended when it did.
    """
    kind = SpanKind.CLIENT if span.is_call else SpanKind.INTERNAL
    made = tracer.start_span(span.name, parent, kind=kind, attributes=span.attributes, start_time=span.started)
    if span.error is not None:
        made.set_status(Status(StatusCode.ERROR, span.why))
    made.end(span.ended)
    return made
