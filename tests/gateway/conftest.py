"""
The fixture that plays scenes against a gateway.
"""

import pytest
import worlds


@pytest.fixture
def play():
    return worlds.run
