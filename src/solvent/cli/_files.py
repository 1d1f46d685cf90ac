"""
What commands share that write a journal somewhere: a file that is there whole or not at all, and a word about progress.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer

from solvent._printable import printable
from solvent._records import Entry

_QUIET_SECONDS = 1  # Before a word about progress, and between two.


def check_file(file: Path, path: Path, url: str, force: bool) -> None:
    """
    Make sure that a file may be written: it is no part of the ledger, and not there unless it is to be replaced.

    Args:
        file: As it was named.
        path: Where that is.
        url: The ledger's.
    """
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
def replacing(path: Path) -> Iterator[TextIO]:
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


def with_progress(entries: Iterator[Entry]) -> Iterator[Entry]:
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
