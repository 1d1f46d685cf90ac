"""
How ledger files of older versions become those of today, by writing their journal anew.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw
import msgspec

from solvent._limits import METERS, span
from solvent._records import Account, Terms
from solvent.stores._sqlite_rows import json_text, limits_by_place, terms_text
from solvent.stores._sqlite_schema import CALL_COLUMNS, CHANGES, DIGEST, TABLES, TRIGGERS, VERSION, reserving_trigger


def create(connection: apsw.Connection) -> None:
    """
    Make the tables in an empty file.
    """
    connection.execute(TABLES + DIGEST + TRIGGERS + reserving_trigger())


def migrate(connection: apsw.Connection, version: int) -> None:
    """
    Bring a file of an older version up to today's, inside a transaction.
    """
    for step in range(version, VERSION):
        _STEPS[step](connection)


def _from_1(connection: apsw.Connection) -> None:
    """
    Version 1 kept a balance for each account, and what an entry changes as JSON.

    Its buckets of minutes were numbered by uptime. They are numbered anew, by the time of the reservation.
    """
    for kind, name in list(connection.execute("SELECT type, name FROM sqlite_schema WHERE sql IS NOT NULL")):
        if kind in ("trigger", "index"):
            connection.execute(f"DROP {kind} {name}")
    for table in ("account", "bucket", "entry", "reservation"):
        connection.execute(f"ALTER TABLE {table} RENAME TO {table}_1")
    connection.execute(TABLES + TRIGGERS + reserving_trigger(checked=False))
    rewriting = _Rewriting(connection)
    for row in list(connection.execute(f"SELECT seq, {', '.join(_OLD)} FROM entry_1 ORDER BY seq")):
        rewriting.add(row[0], dict(zip(_OLD, row[1:], strict=True)))
    connection.execute(
        "UPDATE reservation SET so_far = old.so_far, deadline = old.deadline "
        "FROM reservation_1 AS old WHERE old.id = reservation.id"
    )
    connection.execute("DROP TRIGGER entry_reserves")
    connection.execute(reserving_trigger())
    for table in ("reservation", "entry", "bucket", "account"):
        connection.execute(f"DROP TABLE {table}_1")


_OLD = (
    *("at", "kind", "id", "scope", "postings", "run_total_nanodollars"),
    *CALL_COLUMNS,
    *("owner", "deadline"),
)
_COLUMNS = (
    *("seq", "at", "kind", "id", "scope", "terms", "buckets"),
    *(f"{part}_{meter}" for part in CHANGES for meter in METERS),
    *("run_total_nanodollars", "overruns", "amounts", "owner", "deadline"),
    *CALL_COLUMNS,
)
_INSERT = f"INSERT INTO entry ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"


class _Rewriting:
    """
    Writes entries of version 1 into the tables of version 2.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._accounts: dict[int, Account] = {
            id: Account(*name) for id, *name in connection.execute("SELECT id, scope, meter, window FROM account_1")
        }
        self._reserved_at: dict[str, int] = {}  # By reservation: all that it changes belongs to that time's buckets.
        self._overruns: dict[str, dict[str, int]] = {}

    def add(self, seq: int, old: Mapping[str, Any]) -> None:
        postings = [(self._accounts[id], amounts) for id, _, *amounts in msgspec.json.decode(old["postings"])]
        kind, id = old["kind"], old["id"]
        if kind == "reserve":
            self._reserved_at[id] = old["at"]
        terms = Terms.of({account: limit for account, (_, _, _, limit, _) in postings}) if postings else None
        changes = [{account.meter: amounts[part] for account, amounts in postings} for part in range(len(CHANGES))]
        overruns = self._overruns.setdefault(id, {})
        for meter, amount in changes[2].items():
            overruns[meter] = overruns.get(meter, 0) + amount
        is_note = kind in ("refuse", "open", "close")
        values = [
            *(seq, old["at"], kind, id, old["scope"]),
            None if terms is None else self._terms(terms),
            None if terms is None or is_note else self._buckets(terms, self._reserved_at[id]),
            *(part.get(meter, 0) for part in changes for meter in METERS),
            old["run_total_nanodollars"],
            json_text({meter: amount for meter, amount in overruns.items() if amount})
            if any(overruns.values())
            else None,
            json_text(changes[0]) if kind == "reserve" else None,
            *(old["owner"], old["deadline"]),
            *(old[name] for name in CALL_COLUMNS),
        ]
        self._connection.execute(_INSERT, values)

    def _terms(self, terms: Terms) -> int:
        contents = terms_text(terms)
        self._connection.execute("INSERT OR IGNORE INTO terms (contents) VALUES (?)", (contents,))
        id: int = self._connection.execute("SELECT id FROM terms WHERE contents = ?", (contents,)).get
        for place, limits in zip(terms.places, limits_by_place(terms), strict=True):
            line = (id, self._row("place", ("scope", "window"), place), *(limits.get(meter) for meter in METERS))
            self._connection.execute(f"INSERT OR IGNORE INTO line VALUES ({', '.join('?' * len(line))})", line)
        return id

    def _buckets(self, terms: Terms, at_ns: int) -> str:
        places = [(self._row("place", ("scope", "window"), place), span(place[1], at_ns)[1]) for place in terms.places]
        return json_text([self._row("bucket", ("place", "number"), bucket) for bucket in places])

    def _row(self, table: str, columns: tuple[str, str], key: Sequence[Any]) -> int:
        names = ", ".join(columns)
        self._connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES (?, ?)", key)
        id: int = self._connection.execute(f"SELECT id FROM {table} WHERE ({names}) = (?, ?)", key).get
        return id


def _from_2(connection: apsw.Connection) -> None:
    """
    Version 2 kept no digest. Whoever first reads one takes the journal into it.
    """
    connection.execute(DIGEST)


_STEPS: Mapping[int, Callable[[apsw.Connection], None]] = {1: _from_1, 2: _from_2}
