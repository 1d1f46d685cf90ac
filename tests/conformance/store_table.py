"""
Every store that there is, and its URL in an empty folder. A new store is one line.
"""

from collections.abc import Callable
from pathlib import Path

STORES: dict[str, Callable[[Path], str]] = {
    "memory": lambda _: "memory://",
    "sqlite": lambda folder: f"sqlite:///{folder}/ledger.db",
    "sqlite-normal": lambda folder: f"sqlite:///{folder}/ledger.db?synchronous=normal",
}
