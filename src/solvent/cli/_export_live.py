"""
``solvent export otel`` and ``solvent export prometheus``: the exports that are no file of calls.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from solvent._digest import DIGESTED
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, fail, opened
from solvent.cli._files import with_progress
from solvent.cli._ledger_options import Ledger, OnlyScope, existing, scope_option
from solvent.cli._settings import moment
from solvent.errors import SettingsError
from solvent.export import Source

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class ExportCommand(TyperCommand):
    """
    ``export``, of which some formats have options of their own.
    """

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:  # As typer's is.
        commands = typer.main.get_group(app).commands
        if args and args[0] in commands:
            return commands[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent=parent, **extra)
        return super().make_context(info_name, args, parent=parent, **extra)


@app.command()
def otel(
    scope: OnlyScope = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only calls that ended then or later: 2026-03-01, in UTC.")
    ] = None,
    ledger: Ledger = None,
) -> None:
    """
    Send the calls of a ledger to OpenTelemetry as spans: a run is a trace.

    The variables OTEL_... say where to; without any it is a collector on this machine (OTLP over HTTP, port 4318). The
    same ledger makes the same traces again.

    Example: OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 solvent export otel
    """
    only, url = scope_option(scope), existing(ledger)
    begin = None if since is None else (moment(since, "--since") - _EPOCH) // timedelta(microseconds=1) * 1_000
    with opened(url) as store:
        from solvent.export.otel import replay

        store.expire()
        source = Source(store=store, scope=only, since=begin, watched=with_progress)
        try:
            count = replay(source.entries(DIGESTED | {"open", "close"}), key=store.fingerprint_key())
        except SettingsError as error:
            fail(error, EXIT_FAILED)
    print(f"{count:,} spans sent")


@app.command()
def prometheus(
    serve: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Serve them over HTTP until Ctrl-C.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="H", help="At which address: others than 127.0.0.1 let other machines ask.")
    ] = "127.0.0.1",
    ledger: Ledger = None,
) -> None:
    """
    Print the sums and budgets of a ledger in Prometheus's text format, or serve them.

    Example: solvent export prometheus --serve 9464
    """
    with opened(existing(ledger)) as store:
        from solvent.export import prometheus as metrics

        try:
            if serve is None:
                print(metrics.text(store), end="")
                return
            thread = metrics.serve(store, serve, host)
        except SettingsError as error:
            fail(error, EXIT_FAILED)
        except OSError as error:
            fail(f"{printable(host)}:{serve} cannot be served: {error.strerror or error}.", EXIT_FAILED)
        print(f"http://{host}:{serve}/metrics", flush=True)
        with suppress(KeyboardInterrupt):
            thread.join()
