"""
Imports files into a ledger, and tells what is in it then.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from solvent._estimate import Estimator
from solvent._limits import Scope
from solvent._records import Entry
from solvent.imports import FORMATS, Imported, Intake, Writer, find_files
from solvent.prices import Prices
from solvent.stores._protocol import Store

PRICES = Prices.load()


def import_files(
    store: Store,
    format: str,
    *paths: Path,
    under: str | None = None,
    skip_bad: bool = False,
    sessions: bool = False,
    now_ns: int | None = None,
) -> tuple[Imported, Intake]:
    """
    Args:
        now_ns: An hour from now, unless it is given: none of these calls is under way any more.
    """
    now_ns = time.time_ns() + 3_600 * 10**9 if now_ns is None else now_ns
    intake = Intake(now_ns=now_ns, skip_bad=skip_bad, sessions=sessions)
    below = None if under is None else Scope.parse(under)
    writer = Writer(store, Estimator(PRICES), begins=PRICES.card.begins, under=below)
    writer.book(FORMATS[format].calls(find_files(paths, format, FORMATS), intake), intake)
    return writer.imported, intake


def settled(store: Store) -> dict[str, Entry]:
    """
    The calls of a ledger by their ids, each of which closes once.
    """
    entries = [entry for entry in store.entries() if entry.kind == "settle"]
    found = {entry.id: entry for entry in entries}
    assert len(found) == len(entries)
    return found


def state(store: Store) -> tuple[list[Entry], list[Any]]:
    return [*store.entries()], [(balance.account, balance.spent, balance.reserved) for balance in store.balances()]


def facts(store: Store) -> dict[str, tuple[Any, ...]]:
    """
    What is known of each call, whenever it was written.
    """
    return {id: (entry.scope, entry.postings, entry.call) for id, entry in settled(store).items()}


def written(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path
