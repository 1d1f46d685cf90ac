"""
Every store, under the same promises.
"""

import pytest
from clocks import ManualClock

from solvent.stores import open_store

STORES = ("memory", "sqlite")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=STORES)
def store(request, tmp_path, clock):
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/ledger.db"
    opened = open_store(url, clock=clock)
    yield opened
    assert opened.verify() is None  # Sums over the journal equal the balances, whatever a test did.
    opened.close()
