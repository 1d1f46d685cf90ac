"""
Reservations of an SQLite ledger, as its file has them.
"""

from collections.abc import Mapping

import msgspec

from solvent._records import State, Terms
from solvent.stores._lanes import pack
from solvent.stores._sqlite_file import SQLiteFile
from solvent.stores._sqlite_rows import Names, read_terms

_KNOWN = (
    "SELECT state, so_far, amounts, scope, contents, buckets, reserving, closing FROM reservation "
    "JOIN entry ON seq = reserving JOIN terms ON terms.id = entry.terms WHERE reservation.id = ?"
)


class Reservation:
    """
    A reservation as the file has it, or as this process has just made it.
    """

    __slots__ = ("amounts", "buckets", "closing", "held", "numbers", "reserving", "scope", "so_far", "state", "terms")

    def __init__(
        self, scope: str, terms: Terms, amounts: Mapping[str, int], numbers: tuple[int, ...], buckets: str
    ) -> None:
        self.state: State = "open"
        self.scope = scope
        self.terms = terms
        self.amounts = amounts
        self.numbers = numbers
        self.buckets = buckets
        self.held = pack(amounts)
        self.so_far: Mapping[str, int] = {}
        self.reserving: int | None = None
        self.closing: int | None = None


def find(file: SQLiteFile, id: str) -> Reservation | None:
    row = file.row(_KNOWN, id) if id.isprintable() else None  # The driver could not even ask for some others.
    if row is None:
        return None
    state, so_far, amounts, scope, contents, buckets, reserving, closing = row
    numbers = Names(file.rows).numbers(buckets)
    found = Reservation(scope, read_terms(contents), msgspec.json.decode(amounts), numbers, buckets)
    found.state = state
    found.so_far, found.reserving, found.closing = msgspec.json.decode(so_far), reserving, closing
    return found
