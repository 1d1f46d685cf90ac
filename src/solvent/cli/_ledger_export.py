"""
``solvent ledger export``: the journal as JSON lines.
"""

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from solvent._printable import printable
from solvent._records import Entry
from solvent.cli._common import EXIT_FAILED, fail, opened
from solvent.cli._journal_json import entry_json
from solvent.cli._ledger_options import AsJson, Ledger, OnlyScope, existing, scope_option
from solvent.report._json import SCHEMA_VERSION

_SEQ_MAX = 2**63 - 1
_QUIET_SECONDS = 1  # Before a word about progress, and between two.


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
    _check_file(file, path, url, force)
    count, last = 0, number
    try:
        with opened(url) as store, _replacing(path) as out:
            for entry in _with_progress(store.entries(scope=only, after=number)):
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
        for entry in entries if sys.stdout.isatty() else _with_progress(entries):
            sys.stdout.write(_line(entry))


def _line(entry: Entry) -> str:
    return json.dumps(entry_json(entry), separators=(",", ":")) + "\n"


def _check_file(file: Path, path: Path, url: str, force: bool) -> None:
    own = Path(os.path.realpath(url.partition(":///")[2]))
    if path == own or (path.parent == own.parent and path.name.startswith(f"{own.name}-")):
        raise typer.BadParameter("it belongs to the ledger itself", param_hint="FILE")
    if not path.exists():
        return
    shown = printable(str(file))
    if not path.is_file():
        raise typer.BadParameter(f"{shown} is no file", param_hint="FILE")
    if not force:
        raise typer.BadParameter(f"{shown} is there already; --force replaces it", param_hint="FILE")


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """
    A file that takes the place of ``path`` when all is written, and is gone if anything fails before.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _with_progress(entries: Iterator[Entry]) -> Iterator[Entry]:
    """
    The entries; where a person waits for many of them, standard error says how far they are.
    """
    said_at, said = time.monotonic(), False
    for count, entry in enumerate(entries, 1):
        yield entry
        if not count % 1_000 and time.monotonic() - said_at > _QUIET_SECONDS and sys.stderr.isatty():
            print(f"\r{count:,} entries", end="", file=sys.stderr, flush=True)
            said_at, said = time.monotonic(), True
    if said:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
