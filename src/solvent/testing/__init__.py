"""
What tests of a ledger need: the promises that every store keeps, a clock that moves by hand, and recorded histories.

Whoever writes a store of their own runs it through the same suite (``pip install 'solvent[testing]'``)::

    from solvent.testing import StorePromises

    class TestMyStore(StorePromises):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda clock: MyStore(tmp_path / "ledger", clock=clock)

``pytest.register_assert_rewrite("solvent.testing")`` in a ``conftest.py`` makes its failures tell more.
"""

from typing import TYPE_CHECKING

from solvent.testing._clock import ManualClock
from solvent.testing._faces import FACES, AsyncFace, Face, LedgerFace, StoreFace
from solvent.testing._history import History, Recorded, is_linearizable

if TYPE_CHECKING:
    from solvent.testing._absent import absent
    from solvent.testing._promises import StorePromises

__all__ = [
    "FACES",
    "AsyncFace",
    "Face",
    "History",
    "LedgerFace",
    "ManualClock",
    "Recorded",
    "StoreFace",
    "StorePromises",
    "absent",
    "is_linearizable",
]


def __getattr__(name: str) -> object:
    """
    What needs pytest is loaded when somebody asks for it.
    """
    if name == "StorePromises":
        from solvent.testing._promises import StorePromises

        return StorePromises
    if name == "absent":
        from solvent.testing._absent import absent

        return absent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
