"""
An export of ten times as many calls takes no more memory.
"""

import io
import tracemalloc
from pathlib import Path

import pytest
from run_journal import CENT

from solvent._operations import Operation, Reserve, Settle
from solvent._records import Account, CallRecord, Terms
from solvent.export import FORMATS, Source
from solvent.stores.sqlite import SQLiteStore


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def ledger(path: Path, calls: int) -> SQLiteStore:
    store = SQLiteStore(path, synchronous="OFF")
    for first in range(0, calls, 500):
        operations: list[Operation] = []
        for number in range(first, first + 500):
            scope = f"run:{number % 50}"
            terms, amounts = Terms.of({Account(scope, "usd"): None}), {"usd": CENT, "calls": 1}
            usage = {"input_tokens": 900 + number, "output_tokens": 70}
            cost = usage["input_tokens"] * 150 + 70 * 600
            call = CallRecord(provider="openai", model_asked="gpt-4o-mini", usage=usage, cost_nanodollars=cost)
            operations.append(Reserve(id=f"c{number}", scope=scope, terms=terms, amounts=amounts))
            operations.append(Settle(id=f"c{number}", actual={"usd": cost, "calls": 1}, call=call))
        store.apply(operations)
    return store


@pytest.mark.long
@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_grow_with_the_journal(format: str, tmp_path: Path) -> None:
    peaks = []
    for calls in (1_000, 3_000, 30_000):  # The first one fills what is kept of scopes, prices and modules.
        store = ledger(tmp_path / f"{calls}.db", calls)
        tracemalloc.start()
        written = FORMATS[format](Source(store=store), _Nowhere())  # type: ignore[arg-type]  # All that it writes to.
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        store.close()
        assert written.entries == calls

    assert peaks[2] < peaks[1] * 1.1
