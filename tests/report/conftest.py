from collections.abc import Iterator
from pathlib import Path

import pytest
from clocks import ManualClock
from run_journal import START, RunJournal

from solvent.stores.memory import MemoryStore
from solvent.stores.sqlite import SQLiteStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(params=["memory", "sqlite"])
def journal(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Iterator[RunJournal]:
    """
    The journal of ``run:triage``, limited to $1.00 and 200 calls, in every store.
    """
    store = (
        MemoryStore(clock=clock)
        if request.param == "memory"
        else SQLiteStore(tmp_path / "ledger.db", clock=clock, synchronous="OFF")
    )
    yield RunJournal(store)
    store.close()
