"""
The places that keep a ledger, by the scheme of their URL.
"""

import os
from collections.abc import Callable
from pathlib import Path

from solvent._clock import Clock
from solvent.errors import SettingsError
from solvent.stores._protocol import Store


def _memory(_: str, clock: Clock | None) -> Store:
    from solvent.stores.memory import MemoryStore

    return MemoryStore(clock=clock)


def _sqlite(rest: str, clock: Clock | None) -> Store:
    from solvent.stores.sqlite import SQLiteStore

    path, _, option = rest.partition("?")
    if not path.startswith("/") or path == "/":
        expected = "sqlite:///relative/path.db or sqlite:////absolute/path.db"
        raise SettingsError(where="ledger", expected=expected, got=f"sqlite://{rest}")
    if option not in _SYNCHRONOUS:
        expected = "no option, ?synchronous=full or ?synchronous=normal (a power cut may lose the last seconds)"
        raise SettingsError(where="ledger", expected=expected, got=f"?{option}")
    # Absolute, for a program may change its folder and start another one in it.
    return SQLiteStore(Path(path[1:]).absolute(), clock=clock, synchronous=_SYNCHRONOUS[option])


_SYNCHRONOUS = {"": "FULL", "synchronous=full": "FULL", "synchronous=normal": "NORMAL"}

STORES: dict[str, Callable[[str, Clock | None], Store]] = {
    "memory": _memory,
    "sqlite": _sqlite,
}


def open_store(url: str, *, clock: Clock | None = None) -> Store:
    """
    The store that a ledger's URL names: ``memory://``, ``sqlite:///path`` (four slashes: absolute); or a path to a
    ``.db`` file. SQLite takes ``?synchronous=normal``: faster, and a power cut may lose the last seconds.

    Raises:
        SettingsError: The URL names no store.
        StoreUnavailable: The store did not answer.
        LedgerCorrupt: What is there is no ledger.
    """
    scheme, separator, rest = spelled_out(url).partition("://")
    if not separator or scheme not in STORES:
        expected = "a file that ends in .db, or a URL such as sqlite:////absolute/path.db"
        raise SettingsError(where="ledger", expected=expected, got=repr(url))
    return STORES[scheme](rest, clock)


def spelled_out(url: str) -> str:
    """
    A ledger's URL; a path to a ``.db`` file says as much. ``~`` is the home folder, which no shell says within quotes.
    """
    if "://" not in url and url.endswith(".db"):
        url = f"sqlite:///{url}"
    scheme, is_sqlite, path = url.partition("sqlite:///")
    return f"sqlite:///{os.path.expanduser(path)}" if is_sqlite and not scheme else url


def is_shared(url: str) -> bool:
    """
    Whether other processes find the same ledger by this URL.
    """
    return not url.startswith("memory:")


def default_url() -> str:
    """
    The ledger in the user's state folder.
    """
    import platformdirs

    return f"sqlite:///{platformdirs.user_state_path('solvent') / 'ledger.db'}"
