"""
A store whose server is not there.
"""

import os
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """
    Skip this store alone; with ``REQUIRE_STORES=all`` in the environment, as in CI, fail instead.
    """
    if os.environ.get("REQUIRE_STORES") == "all":
        pytest.fail(f"REQUIRE_STORES=all, and {reason}")
    pytest.skip(reason)
