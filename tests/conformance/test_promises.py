"""
The promises of ``solvent.testing``, kept by every store of the table, through each of its faces.
"""

import pytest

from solvent.testing import StorePromises


class TestStore(StorePromises):
    @pytest.fixture
    def open_store(self, open_store):
        return open_store
