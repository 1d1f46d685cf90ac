from collections.abc import Iterator
from pathlib import Path

import pytest
from clocks import ManualClock
from golden_ledger import Golden, golden
from run_journal import START, RunJournal

from solvent.report import Report, summarize
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return golden(tmp_path_factory.mktemp("golden") / "golden.db")


@pytest.fixture
def store(made: Golden) -> Iterator[SQLiteStore]:
    store = made.open()
    yield store
    store.close()


@pytest.fixture
def whole(store: SQLiteStore, made: Golden) -> Report:
    return summarize(store, None, clock=made.clock)
