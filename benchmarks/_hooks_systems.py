"""
The systems that hooks are compared with: how each is switched on in a process, and how many calls it says it saw.
"""

import contextlib
import io
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

Seen = Callable[[], int]  # How many calls a system counted until now, by its own books.

CALLS_MAX = 10**9
USD_MAX = 1_000_000


def _bare(_: Path) -> Seen:
    return lambda: 0


def _solvent(ledger: str) -> Seen:
    import solvent

    solvent.install()
    budget = solvent.budget("bench", usd=USD_MAX, calls=CALLS_MAX, ledger=ledger)
    budget.__enter__()

    def seen() -> int:
        left = budget.remaining("calls")
        assert left is not None
        assert (budget.remaining("usd") or 0) < USD_MAX * 10**9 or left == CALLS_MAX, "calls that cost nothing"
        return CALLS_MAX - left

    return seen


def _solvent_memory(_: Path) -> Seen:
    return _solvent("memory://")


def _solvent_sqlite(folder: Path) -> Seen:
    return _solvent(f"sqlite:///{folder / 'ledger.db'}")


def _aegis(folder: Path, guardrails: str) -> Seen:
    """
    Its audit log goes to a file of SQLite in the working folder.
    """
    os.chdir(folder)
    from aegis.instrument import auto_instrument

    with contextlib.redirect_stderr(io.StringIO()):
        auto_instrument(guardrails=guardrails)

    def seen() -> int:
        with contextlib.closing(sqlite3.connect(next(folder.glob("*.db")))) as audit:
            (count,) = audit.execute("SELECT count(*) FROM audit_log").fetchone()
        return int(count)

    return seen


def _aegis_full(folder: Path) -> Seen:
    return _aegis(folder, "default")


def _aegis_audit(folder: Path) -> Seen:
    return _aegis(folder, "none")


def _agentbudget(_: Path) -> Seen:
    import agentbudget

    # As it comes it takes the tenth call of a minute for a loop; and it looks at all calls of the window each time.
    agentbudget.init(budget=USD_MAX, max_repeated_calls=CALLS_MAX, loop_window_seconds=1)

    def seen() -> int:
        report = agentbudget.report()
        assert report is not None
        return int(report["breakdown"]["llm"]["calls"])

    return seen


def _opentelemetry(_: Path) -> Seen:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    count = 0

    class Counter(SpanExporter):
        def export(self, spans):  # type: ignore[no-untyped-def]  # Its types are not there where this is checked.
            nonlocal count
            count += len(spans)
            return SpanExportResult.SUCCESS

    traces, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    traces.add_span_processor(BatchSpanProcessor(Counter()))
    OpenAIInstrumentor().instrument(tracer_provider=traces, meter_provider=meters)

    def seen() -> int:
        traces.force_flush()
        return count

    return seen


BARE = "bare"
MEMORY, SQLITE = "Solvent, memory://", "Solvent, SQLite"
PEERS: dict[str, Callable[[Path], Seen]] = {
    "agent-aegis": _aegis_full,
    "agent-aegis, audit alone": _aegis_audit,
    "agentbudget": _agentbudget,
    "opentelemetry": _opentelemetry,
}
SYSTEMS: dict[str, Callable[[Path], Seen]] = {BARE: _bare, MEMORY: _solvent_memory, SQLITE: _solvent_sqlite, **PEERS}
