"""
Exports the golden ledger, and ledgers of single calls.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from clocks import ManualClock
from run_journal import START, RunJournal

from solvent.export import FORMATS, Source, Written
from solvent.stores._protocol import Store
from solvent.stores.memory import MemoryStore


def journal(scope: str = "run:triage", at: str = START) -> RunJournal:
    return RunJournal(MemoryStore(clock=ManualClock(at)), scope, limits={"usd": 10**15, "calls": 10**9})


def exported(format: str, store: Store, **which: Any) -> tuple[str, Written]:
    out = io.StringIO(newline="")
    written = FORMATS[format](Source(store=store, **which), out)
    return out.getvalue(), written


def rows(format: str, store: Store, **which: Any) -> list[dict[str, Any]]:
    text, written = exported(format, store, **which)
    found: list[dict[str, Any]]
    if format == "jsonl":
        found = [json.loads(line) for line in text.split("\n")[:-1]]
    else:
        found = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert len(found) == written.rows
    return found


def counts(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(count) for name, count in row["usage"].items()}
