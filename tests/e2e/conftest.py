from pathlib import Path

import pytest
from solvent_run import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """
    A machine with a ledger of its own, from which only what the test names is in reach.
    """
    return Desk(tmp_path)
