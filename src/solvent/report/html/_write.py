"""
The page as a file, which is there whole or not at all.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from solvent._clock import Clock
from solvent.report._records import Report
from solvent.report.html._page import page
from solvent.stores._protocol import Store, Told


def write_page(
    store: Store,
    report: Report,
    path: Path,
    *,
    force: bool = False,
    clock: Clock | None = None,
    told: Told | None = None,
) -> None:
    """
    Write the page of a report.

    Args:
        store: That the report was made from; its journal tells of single calls.
        force: Replace a file that is there.
        clock: Tells when the page was made.
        told: Is handed how many calls were read, and of how many, where many have to be.

    Raises:
        FileExistsError: A file is there, and ``force`` was not asked for. It is untouched.
        OSError: The file cannot be written. What was there is untouched.
        StoreUnavailable: The store did not answer.
    """
    write_whole(path, lambda: page(store, report, clock=clock, told=told), force=force)


def write_whole(path: Path, made: Callable[[], str], *, force: bool) -> None:
    """
    Write a text that is not made before it is known that it may be written.

    Raises:
        FileExistsError: A file is there, and ``force`` was not asked for. It is untouched.
        OSError: The file cannot be written. What was there is untouched.
    """
    if path.exists() and not (force and path.is_file()):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    text = made()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
