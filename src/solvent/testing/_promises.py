"""
The promises of a store, as one suite.
"""

import sys
from collections.abc import Callable, Iterator

import pytest

from solvent.stores._protocol import Store
from solvent.testing._clock import ManualClock
from solvent.testing._closing import Closing
from solvent.testing._faces import FACES, Face, StoreFace
from solvent.testing._input import BadInput
from solvent.testing._journal import Journal
from solvent.testing._limits import Limits
from solvent.testing._reserving import Reserving
from solvent.testing._together import Together
from solvent.testing._windows import Windows

OpenStore = Callable[[ManualClock], Store]


class StorePromises(Reserving, Closing, Limits, Windows, Journal, BadInput, Together):
    """
    Subclass it with a fixture ``open_store``: a function that opens a new, empty store which goes by the clock it is
    given. After each test ``verify()`` has to find nothing.
    """

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError("give your class a fixture open_store: from a clock to a new, empty store")

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def opened(self, open_store: OpenStore) -> Iterator[Callable[[ManualClock], Face]]:
        """
        Opens new stores, as many as a test needs.
        """
        faces: list[Face] = []

        def open(clock: ManualClock) -> Face:
            faces.append(StoreFace(open_store(clock)))
            return faces[-1]

        yield open
        for face in faces:
            assert face.store.verify() is None
            face.close()

    @pytest.fixture(params=FACES)
    def ledger(self, request: pytest.FixtureRequest, open_store: OpenStore, clock: ManualClock) -> Iterator[Face]:
        """
        A new store, through each of its faces.
        """
        face = FACES[request.param](open_store(clock))
        yield face
        assert face.store.verify() is None  # Sums over the journal equal the balances, whatever a test did.
        face.close()

    @pytest.fixture
    def eager_switching(self) -> Iterator[None]:
        """
        Let threads take turns a thousand times as often as usual.
        """
        usual = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(usual)
