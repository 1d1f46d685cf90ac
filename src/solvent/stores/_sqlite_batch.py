"""
What one write transaction of an SQLite ledger has read and is going to write.

Nobody else writes until it ends, so what was read holds, and is kept in step here with what waits to be written. Each
statement gives up the interpreter's lock, and to get it back can cost more than the statement, so there are few.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from solvent import _ledger
from solvent._ledger import Account, Balance
from solvent.stores._journal import ENTRY_COLUMNS, json_text
from solvent.stores._sqlite_file import SQLiteFile

Row = tuple[int, int, int, int, int, int | None, int]  # As sqlite.sql says of ``postings``.

# With the postings of the entry that it was closed by, or while it is open of the one that made it.
_RESERVATIONS = (
    "SELECT json_group_array(json_array("
    "reservation.id, reservation.contents, state, entry.scope, postings, run_total_nanodollars)) "
    "FROM json_each(?) AS asked JOIN reservation ON reservation.id = asked.value "
    "JOIN entry ON seq = coalesce(closing, reserving)"
)
_SUMS = (
    "SELECT coalesce(sum(reserved), 0), coalesce(sum(spent), 0), coalesce(sum(overrun), 0), "
    "coalesce(sum(topped_up), 0), (SELECT override FROM account WHERE id = ?1) "
    "FROM bucket WHERE account = ?1 AND number BETWEEN ?2 AND ?3"
)
_INSERT = f"INSERT INTO entry ({', '.join(ENTRY_COLUMNS)}) VALUES ({', '.join('?' * len(ENTRY_COLUMNS))})"


class Reservation(NamedTuple):
    """
    A reservation as the file has it.
    """

    contents: str
    state: _ledger.State
    scope: str
    postings: str
    run_total_nanodollars: int | None


class Sums(Struct):
    """
    What the buckets of one account hold together, from the first that counts to the last.
    """

    first: int
    last: int
    reserved: int
    spent: int
    overrun: int
    topped_up: int
    override: int | None

    def balance(self, account: Account, limit: int | None) -> Balance:
        return Balance(
            account=account,
            limit=_ledger.limit_in_force(limit, override=self.override, topped_up=self.topped_up),
            spent=self.spent,
            reserved=self.reserved,
            overrun=self.overrun,
        )


class Batch:
    """
    The reservations and sums that a transaction has read, and the entries that wait to be written.
    """

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file
        self._reservations: dict[str, Reservation] = {}
        self._sums: dict[int, Sums] = {}
        self._entries: list[Sequence[Any]] = []
        self._written: set[str] = set()  # Reservations that an entry of this transaction made or closed.

    def begin(self, ids: Iterable[str] = ()) -> None:
        """
        Begin anew: others may have written since. The reservations of these ids are read at once.
        """
        self._sums.clear()
        self._entries.clear()
        self._written.clear()
        self._reservations = self._read(ids)

    def reservation(self, id: str) -> Reservation | None:
        if id in self._written:
            return self._read([id]).get(id)
        return self._reservations.get(id)

    def sums(self, account: int, first: int, last: int) -> Sums:
        """
        The sums of an account's buckets from ``first`` to ``last``.
        """
        sums = self._sums.get(account)
        if sums is None or sums.first != first or sums.last != last:
            self.flush()
            row = self._file.row(_SUMS, account, first, last)
            assert row is not None
            sums = self._sums[account] = Sums(first, last, *row)
        return sums

    def add(self, id: str, entry: Sequence[Any], rows: Iterable[Row]) -> None:
        """
        Take in an entry, with the postings that it holds.
        """
        self._entries.append(entry)
        self._written.add(id)
        for account, bucket, reserved, spent, overrun, _, _ in rows:
            sums = self._sums.get(account)
            if sums is not None and sums.first <= bucket <= sums.last:
                sums.reserved += reserved
                sums.spent += spent
                sums.overrun += overrun

    def flush(self) -> None:
        """
        Write what waits; to be called before anything else is read or written, and at the end.
        """
        if self._entries:
            self._file.connection.executemany(_INSERT, self._entries)
            self._entries.clear()

    def _read(self, ids: Iterable[str]) -> dict[str, Reservation]:
        self.flush()
        row = self._file.row(_RESERVATIONS, json_text(list(ids)))
        assert row is not None
        return {id: Reservation(*fields) for id, *fields in msgspec.json.decode(row[0])}
