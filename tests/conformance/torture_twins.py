"""
Stores that are broken on purpose, each in one way: the kill test has to see what it is for.
"""

import random
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

from solvent import _ledger
from solvent._operations import Reserve, Settle
from solvent.stores._books import Plan
from solvent.stores._lanes import pack, pack_settled
from solvent.stores._sqlite_known import find
from solvent.stores._sqlite_rows import columns_of
from solvent.stores._sqlite_schema import each, reserving_trigger
from solvent.stores.sqlite import SQLiteStore


class ChargedInPart(SQLiteStore):
    """
    Counts a reservation in its own scope, and now and then not in those above.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        whole = self._mirror.buckets

        def buckets(plan: Plan, numbers: tuple[int, ...]) -> str:
            told = whole(plan, numbers)
            return f"[{told.rpartition(',')[2]}" if random.random() < 0.05 else told

        self._mirror.buckets = buckets


class ReleasedOnExpiry(SQLiteStore):
    """
    Books nothing for a reservation whose time ran out.
    """

    def __init__(self, path: Path) -> None:
        _ledger.expired = lambda held, _: dict.fromkeys(held, 0)
        super().__init__(path)


class _Unguarded(SQLiteStore):
    """
    A store on a file of which one trigger lets pass what it should not.
    """

    trigger = ""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self._file.transaction():
            connection: Any = self._file.connection
            told = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (self.trigger,)).get
            connection.execute(f"DROP TRIGGER {self.trigger}")
            connection.execute(self.unguarded(told))

    def unguarded(self, told: str) -> str:
        return re.sub(r"SELECT RAISE.*?;", "", told, count=1, flags=re.DOTALL)


class CheckedThenAdded(_Unguarded):
    """
    Looks whether a request fits, and adds it in another transaction.
    """

    trigger = "entry_reserves"

    def unguarded(self, _: str) -> str:
        return reserving_trigger(checked=False)

    def apply(self, operations: Any) -> Any:
        with self._lock, self._file.mapped(), self._transaction():
            self._fitted = {operation.id for operation in operations if self._would_fit(operation)}
        return super().apply(operations)

    def _would_fit(self, operation: Any) -> bool:
        if not isinstance(operation, Reserve):
            return False
        return self._plan(operation.terms, self._now_ns()).fits(pack(operation.amounts))

    def _reserve(self, operation: Reserve) -> Any:
        if operation.id not in self._fitted:
            return super()._reserve(operation)
        with patch.object(Plan, "fits", return_value=True):
            return super()._reserve(operation)


class SettledTwice(_Unguarded):
    """
    Counts each delivery of a settlement.
    """

    trigger = "entry_closes"

    def _close(self, operation: Any) -> Any:
        known = find(self._file, operation.id)
        if known is None or known.state != "settled" or not isinstance(operation, Settle):
            return super()._close(operation)
        booked = pack_settled(known.held, operation.actual)
        return self._close_as("settle", operation.id, known, 0, booked, 0, {}, operation.call)


class Torn(SQLiteStore):
    """
    Books what was spent in one transaction, and frees what was reserved in another.
    """

    def apply(self, operations: Any) -> Any:
        self._left: list[tuple[int, str]] = []
        answers = super().apply(operations)
        for held, buckets in self._left:
            with self._lock, self._file.mapped(), self._transaction():
                changes = each("reserved_{m} = reserved_{m} + ?")
                where = "id IN (SELECT value FROM json_each(?))"
                self._file.connection.execute(
                    f"UPDATE bucket SET {changes} WHERE {where}", (*columns_of(held), buckets)
                )
                self._mirror.forget()
        return answers

    def _close_as(self, kind: Any, id: str, known: Any, reserved: int, *rest: Any) -> Any:
        if kind != "settle":
            return super()._close_as(kind, id, known, reserved, *rest)
        self._left.append((reserved, known.buckets))
        return super()._close_as(kind, id, known, 0, *rest)


TWINS: dict[str, type[SQLiteStore]] = {
    "charged in part": ChargedInPart,
    "checked, then added": CheckedThenAdded,
    "released on expiry": ReleasedOnExpiry,
    "settled twice": SettledTwice,
    "torn": Torn,
}
