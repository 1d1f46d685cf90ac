"""
Calls as OpenTelemetry spans and metrics: those of this process while they are made, and those of a journal.

    from solvent.export import otel

    otel.install()

Needs ``pip install 'solvent[otel]'``. Names are in ``_otel_names``, what a span says in ``_otel_spans``.
"""

import atexit
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from solvent._clock import Clock, SystemClock
from solvent._courier import EXIT_SECONDS
from solvent._listening import Listening
from solvent._records import Account, Balance, Entry
from solvent.errors import BudgetExceeded
from solvent.events import EVERYWHERE, CallAdmitted, CallClosed, CallRefused, Event
from solvent.export import _otel_names as names
from solvent.export._extras import missing
from solvent.export._otel_spans import Closing, Said, said

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import TracerProvider

    from solvent.export._otel_metrics import Metrics

OPEN_MAX = 100_000  # Calls under way whose place in a trace is remembered.


def install(
    tracer_provider: "TracerProvider | None" = None,
    meter_provider: "MeterProvider | None" = None,
    *,
    clock: Clock | None = None,
) -> "Installed":
    """
    Tell OpenTelemetry of every call of this process that is closed or refused from now on, whatever budget and ledger
    it is of. That is done in a thread of its own: what spans and metrics go to can neither break nor delay a call.

    Args:
        tracer_provider, meter_provider: The global ones unless given. Set them up before: when the program ends, what
            waits is handed to them, and only then they end.
        clock: Tells when a budget's window is over.

    Returns:
        What ends it.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import context, metrics, trace

        from solvent.export._otel_emit import emit
        from solvent.export._otel_metrics import Metrics
    except ImportError as error:
        raise missing("otel", error) from error
    tracer = trace.get_tracer(names.TRACER, tracer_provider=tracer_provider, schema_url=names.SCHEMA_URL)
    meter = metrics.get_meter(names.TRACER, meter_provider=meter_provider, schema_url=names.SCHEMA_URL)
    return Installed(partial(emit, tracer), Metrics(meter, clock or SystemClock()), context.get_current)


def replay(entries: Iterable[Entry], exporter: "SpanExporter | None" = None, *, key: bytes = b"") -> int:
    """
    Send the calls and refusals of a journal as spans, with the times that they had: a run is a trace, with spans of its
    agents and steps around those of their calls.

    Args:
        entries: In the order of the journal; closings, corrections, refusals, and the openings and ends of runs.
        exporter: Where to; the one that the variables ``OTEL_…`` configure unless given. It is shut down in the end.
        key: Of the ledger: equal names in two ledgers are two traces.

    Returns:
        How many spans were taken.

    Raises:
        SettingsError: OpenTelemetry or the exporter is not installed, or some spans were not taken; what came after
            them was not sent.
    """
    try:
        from solvent.export._otel_replay import exporter_of_environment, send
    except ImportError as error:
        raise missing("otel", error) from error
    return send(entries, exporter or exporter_of_environment(os.environ), key)


class Installed:
    """
    Remembers where in a trace calls are made, which is known only there, and tells of them when they are over.
    """

    def __init__(
        self,
        emit: "Callable[[Said, Context | None], object]",
        metrics: "Metrics",
        current: "Callable[[], Context]",
    ) -> None:
        self._emit = emit
        self._metrics = metrics
        self._current = current
        self._parents: dict[str, Context] = {}
        EVERYWHERE.add(self._remember)  # Before the other one, which takes what this one keeps.
        self._listening = Listening(self._hear)
        atexit.register(self.uninstall)  # What is registered last is done first: before the providers end.

    def uninstall(self) -> None:
        """
        Tell of no more calls. What happened until now is still handed over; for that it waits at most five seconds.
        """
        EVERYWHERE.remove(self._remember)
        self._listening.stop()
        self._metrics.stop()
        atexit.unregister(self.uninstall)

    def flush(self, timeout_seconds: float = EXIT_SECONDS) -> bool:
        """
        Wait until all that happened before now is handed over; whether it is.
        """
        return self._listening.flush(timeout_seconds)

    def _remember(self, event: Event) -> None:
        if isinstance(event, CallAdmitted | CallRefused):
            if len(self._parents) >= OPEN_MAX:  # Of calls whose end nobody told, for the ledger was away.
                self._parents.clear()
            self._parents[event.id] = self._current()

    def _hear(self, event: Event) -> None:
        if isinstance(event, CallClosed | CallRefused):
            closing, parent = closing_of(event), self._parents.pop(event.id, None)
            balances = event.balances if isinstance(event, CallClosed) else ()
            self._metrics.tell(closing, balances, parent)
            self._emit(said(closing), parent)


def closing_of(event: CallClosed | CallRefused) -> Closing:
    call = event.call
    if isinstance(event, CallClosed):
        return Closing(
            id=event.id,
            scope=event.scope,
            call=call,
            at=call.ended or 0,
            cost=call.cost_nanodollars,
            overrun=event.overrun_nanodollars,
            run_total=event.run_total_nanodollars,
            remaining=_least_left(event.balances),
        )
    account = limit = None
    if isinstance(event.error, BudgetExceeded):
        account, limit = Account(event.error.scope, event.error.meter, event.error.window), event.error.limit
    return Closing(id=event.id, scope=event.scope, call=call, at=call.ended or 0, account=account, limit=limit)


def _least_left(balances: Sequence[Balance]) -> int | None:
    left = [balance.remaining for balance in balances if balance.account.meter == "usd"]
    return min((amount for amount in left if amount is not None), default=None)
