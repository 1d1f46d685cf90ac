import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "instrument"))

from inprocess import guarded, ledger, policy  # noqa: F401  # Found by the line above; fixtures of these tests.
from matrix import server  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Each environment has one SDK; in the project's own there is nothing to do.
    """
    if not os.environ.get("SOLVENT_SDK"):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="needs an environment of its own: make test-sdks"))
