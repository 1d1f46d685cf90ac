"""
Every store, under the same promises.
"""

import pytest
from store_table import STORES

from solvent.stores import open_store as open_by_url
from solvent.testing import ManualClock


@pytest.fixture(autouse=True)
def digest_in_small_parts(monkeypatch):
    """
    So that what a test writes is folded, and not only what a thousand calls do.
    """
    monkeypatch.setattr("solvent.stores._sqlite_digest.FOLDED_AT_ONCE", 3)
    monkeypatch.setattr("solvent.stores._sqlite_digest._BEHIND", 5)
    monkeypatch.setattr("solvent.stores._sqlite_digest._STEP", 2)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=STORES)
def open_store(request, tmp_path):
    """
    Opens new, empty stores.
    """
    count = iter(range(100))

    def open(clock):
        folder = tmp_path / str(next(count))
        folder.mkdir()
        return open_by_url(STORES[request.param](folder), clock=clock)

    return open


@pytest.fixture
def store(open_store, clock):
    opened = open_store(clock)
    yield opened
    assert opened.verify() is None  # Sums over the journal equal the balances, whatever a test did.
    opened.close()
