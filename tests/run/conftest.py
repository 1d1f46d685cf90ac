from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """
    A machine on which nothing is left running.
    """
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.close()
