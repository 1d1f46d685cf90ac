"""
``solvent export``: the calls of a journal for spreadsheets, scripts and FinOps tools.
"""

import difflib
import io
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, fail, opened, policy_to_look
from solvent.cli._files import check_file, replacing, with_progress
from solvent.cli._ledger_options import AsJson, Ledger, OnlyScope, existing, scope_option
from solvent.cli._settings import moment
from solvent.export import FORMATS, Source, Written
from solvent.policy._find import PolicyFiles
from solvent.prices import Prices
from solvent.report._json import SCHEMA_VERSION
from solvent.stores._protocol import Store

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def export(
    format: Annotated[str, typer.Argument(metavar="FORMAT", help=f"{', '.join(FORMATS)}.", show_default=False)],
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; without it, standard output.")] = None,
    scope: OnlyScope = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only calls that ended then or later: 2026-03-01, in UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only calls that ended before.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Write the calls of a ledger for spreadsheets, scripts and FinOps tools.

    csv and jsonl have a line for each call; focus, in the columns of FOCUS 1.3, one for each kind of token that it paid
    for. FILE is there when all of it is written, or not at all, and only its owner can read it; --json then says in
    JSON what was written.

    Example: solvent export focus march.csv --since 2026-03-01 --until 2026-04-01
    """
    if format not in FORMATS:
        raise typer.BadParameter(_no_format(format), param_hint="FORMAT")
    only, begin, end, url = scope_option(scope), _time(since, "--since"), _time(until, "--until"), existing(ledger)
    if begin is not None and end is not None and begin >= end:
        raise typer.BadParameter("it is not after --since", param_hint="--until")

    def source(store: Store, is_watched: bool) -> Source:
        watched = with_progress if is_watched else iter
        return Source(store=store, scope=only, since=begin, until=end, prices=_prices, watched=watched)

    if file is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # As in a file, whatever the terminal's is.
        with opened(url) as store:
            store.expire()  # So that what a killed run left open is charged and told.
            written = FORMATS[format](source(store, not sys.stdout.isatty()), sys.stdout)
        _say_unpriced(written)
        return
    path = Path(os.path.realpath(file))
    check_file(file, path, url, force)
    try:
        with opened(url) as store, replacing(path) as out:
            store.expire()
            written = FORMATS[format](source(store, True), out)
    except OSError as error:
        fail(f"{printable(str(file))} cannot be written: {error.strerror}.", EXIT_FAILED)
    _say(written, file, as_json)


def _no_format(format: str) -> str:
    close = difflib.get_close_matches(format, FORMATS, n=1)
    near = f"; did you mean {close[0]}?" if close else ""
    return f"expected one of {', '.join(FORMATS)}, otel, prometheus, got {format!r}{near}"


def _time(text: str | None, flag: str) -> int | None:
    """
    Nanoseconds since 1970.
    """
    return None if text is None else (moment(text, flag) - _EPOCH) // timedelta(microseconds=1) * 1_000


def _prices() -> Prices:
    return Prices.load(policy_to_look(PolicyFiles.of()).prices)


def _say(written: Written, file: Path, as_json: bool) -> None:
    if as_json:
        said = {"file": str(file), "entries": written.entries, "rows": written.rows, "unpriced": written.unpriced}
        print(json.dumps({"schema_version": SCHEMA_VERSION, **said}, indent=2))
        return
    print(f"{written.rows:,} rows of {written.entries:,} entries in {printable(str(file))}")
    _say_unpriced(written)


def _say_unpriced(written: Written) -> None:
    if written.unpriced:
        calls = "1 call" if written.unpriced == 1 else f"{written.unpriced:,} calls"
        print(f"solvent: left out: {calls} of unknown cost", file=sys.stderr)
