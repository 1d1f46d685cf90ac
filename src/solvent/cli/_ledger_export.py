"""
``solvent ledger export``: the journal as JSON lines.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from solvent._printable import printable
from solvent._records import Entry
from solvent.cli._common import EXIT_FAILED, fail, opened
from solvent.cli._files import check_file, replacing, with_progress
from solvent.cli._journal_json import entry_json
from solvent.cli._ledger_options import AsJson, Ledger, OnlyScope, existing, scope_option
from solvent.report._json import SCHEMA_VERSION

_SEQ_MAX = 2**63 - 1


def export(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Where to; without it, standard output.")] = None,
    scope: OnlyScope = None,
    after: Annotated[
        str, typer.Option(metavar="SEQ", help="Only what came after this entry.", show_default=False)
    ] = "0",
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    ledger: Ledger = None,
    as_json: AsJson = False,
) -> None:
    """
    Write the journal as JSON lines, one entry a line.

    Amounts are strings (nanodollars for usd), times UTC. FILE is there when all of it is written, or not at all, and
    only its owner can read it; --json then says in JSON what was written.

    Example: solvent ledger export --scope run:triage journal.jsonl
    """
    only, url, number = scope_option(scope), existing(ledger), _seq(after)
    if file is None:
        _to_standard_output(url, only, number)
        return
    path = Path(os.path.realpath(file))
    check_file(file, path, url, force)
    count, last = 0, number
    try:
        with opened(url) as store, replacing(path) as out:
            for entry in with_progress(store.entries(scope=only, after=number)):
                out.write(_line(entry))
                count, last = count + 1, entry.seq
    except OSError as error:
        fail(f"{printable(str(file))} cannot be written: {error.strerror}.", EXIT_FAILED)
    if as_json:
        said = {"file": str(file), "entries": count, "last_seq": last}
        print(json.dumps({"schema_version": SCHEMA_VERSION, **said}, indent=2))
    else:
        print(f"{count:,} entries in {printable(str(file))}; what comes later: --after {last}")


def _seq(text: str) -> int:
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) > _SEQ_MAX:
        raise typer.BadParameter(f"expected the number of an entry, from 0 up, got {text!r}", param_hint="--after")
    return int(text)


def _to_standard_output(url: str, scope: str | None, after: int) -> None:
    with opened(url) as store:
        entries = store.entries(scope=scope, after=after)
        for entry in entries if sys.stdout.isatty() else with_progress(entries):
            sys.stdout.write(_line(entry))


def _line(entry: Entry) -> str:
    return json.dumps(entry_json(entry), separators=(",", ":")) + "\n"
