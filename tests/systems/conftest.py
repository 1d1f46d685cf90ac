"""
Each test has a user of its own, and nothing of another test's in reach.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from users import User

import solvent

OWN = ("SOLVENT_GATEWAY", "SOLVENT_LEDGER", "SOLVENT_POLICY", "SOLVENT_SCOPE")


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    user = User(tmp_path)
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    # For what asks for no ledger: the process's own would be kept from the first test on.
    monkeypatch.setenv("XDG_STATE_HOME", user.env["XDG_STATE_HOME"])
    monkeypatch.chdir(user.folder)
    return user


@pytest.fixture
def hooked() -> Iterator[None]:
    """
    ``solvent.install()``, and taken off again.
    """
    solvent.install()
    yield
    solvent.uninstall()
