from collections.abc import Iterator

import pytest
from golden_ledger import Golden, golden

from solvent.stores.sqlite import SQLiteStore


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    return golden(tmp_path_factory.mktemp("golden") / "ledger.db")


@pytest.fixture
def store(ledger: Golden) -> Iterator[SQLiteStore]:
    store = ledger.open()
    yield store
    store.close()
