"""
The balances of an SQLite ledger in memory: read once, and as long as nobody else writes kept in step with the file.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from solvent._limits import METERS, span
from solvent._records import Place, Terms
from solvent.stores._books import Books, Plan, Tally
from solvent.stores._sqlite_file import SQLiteFile
from solvent.stores._sqlite_rows import json_text, limits_by_place, packed, terms_text
from solvent.stores._sqlite_schema import SUMS, each

TALLIES_MAX = 16_384  # Places that are remembered; a run is one.
BUCKETS_MAX = 1_024  # Of one place.

_METERS = len(METERS)
_GIVEN, _BY_NAME = each("place.limit_{m}"), each("'{m}', place.limit_{m}")
_LIMITS = f"CASE WHEN coalesce({_GIVEN}) IS NOT NULL THEN json_object({_BY_NAME}) END"
_LOAD = (
    f"SELECT asked.key, {_LIMITS}, bucket.id, number, {', '.join(each(f'{part}_{{m}}') for part in SUMS)} "
    "FROM json_each(?) AS asked JOIN place ON place.id = asked.value ->> 0 "
    "LEFT JOIN bucket ON bucket.place = place.id AND number >= asked.value ->> 1"
)
_LINE = f"INSERT INTO line VALUES (?, ?, {', '.join('?' * _METERS)})"


class Mirror:
    """
    Tallies and plans with the ids of their rows. To be used inside a transaction of the one who writes.
    """

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file
        self._books = Books()
        self._loaded: set[Place] = set()
        self._version: tuple[int, Any] | None = None
        self._texts: dict[tuple[int, tuple[int, ...]], str] = {}

    def begin(self) -> None:
        """
        Find out whether others have written since the last transaction; then what was read no longer holds.
        """
        if len(self._books.tallies) > TALLIES_MAX:
            self.forget()
        version = self._file.generation, self._file.connection.pragma("data_version")
        if version != self._version:
            self._loaded.clear()
            self._version = version

    def forget(self) -> None:
        """
        A transaction was rolled back: nothing is known any more, not even which rows there are.
        """
        self._books.clear()
        self._loaded.clear()
        self._texts.clear()

    def plan(self, terms: Terms, *, now_ns: int, full_until_ns: int) -> Plan:
        plan = self._books.plan(terms)
        if plan.key is None:
            self._register(plan)
        self._load([tally for tally in plan.tallies if tally.place not in self._loaded], now_ns)
        if plan.is_windowed:
            plan.move(now_ns, full_until_ns)
        return plan

    def buckets(self, plan: Plan, numbers: tuple[int, ...]) -> str:
        """
        The ids of the buckets with these numbers, as an entry has them.
        """
        assert plan.key is not None
        text = self._texts.get((plan.key, numbers))
        if text is None:
            if len(self._texts) > 4_096:
                self._texts.clear()
            text = json_text([self.bucket(*pair) for pair in zip(plan.tallies, numbers, strict=True)])
            self._texts[plan.key, numbers] = text
        return text

    def bucket(self, tally: Tally, number: int) -> int:
        id = tally.ids.get(number)
        if id is None:
            id = tally.ids[number] = self._made(
                "INSERT OR IGNORE INTO bucket (place, number) VALUES (?, ?)",
                "SELECT id FROM bucket WHERE (place, number) = (?, ?)",
                (self._key(tally), number),
            )
            if len(tally.ids) > BUCKETS_MAX:  # A rolling minute has a new one every second.
                tally.ids = {at: key for at, key in tally.ids.items() if at >= tally.first}
                tally.buckets = {at: sums for at, sums in tally.buckets.items() if at >= tally.first}
        return id

    def _register(self, plan: Plan) -> None:
        terms, contents = plan.terms, terms_text(plan.terms)
        known: Any = self._file.connection.execute("SELECT id FROM terms WHERE contents = ?", (contents,)).get
        keys = [self._key(tally) for tally in plan.tallies]
        if known is None:
            execute = self._file.connection.execute
            execute("INSERT INTO terms (contents) VALUES (?)", (contents,))
            known = self._file.connection.last_insert_rowid()
            for key, limits in zip(keys, limits_by_place(terms), strict=True):
                execute(_LINE, (known, key, *(limits.get(meter) for meter in METERS)))
        plan.key = known

    def _key(self, tally: Tally) -> int:
        if tally.key is None:
            tally.key = self._made(
                "INSERT OR IGNORE INTO place (scope, window) VALUES (?, ?)",
                "SELECT id FROM place WHERE (scope, window) = (?, ?)",
                tally.place,
            )
        return tally.key

    def _made(self, insert: str, select: str, key: Sequence[Any]) -> int:
        self._file.connection.execute(insert, key)
        id: int = self._file.connection.execute(select, key).get
        return id

    def _load(self, tallies: Sequence[Tally], now_ns: int) -> None:
        if tallies:
            load(self._file.rows, tallies, now_ns)
            self._loaded.update(tally.place for tally in tallies)


def load(rows: Any, tallies: Sequence[Tally], now_ns: int) -> None:
    """
    Read the buckets that count now into tallies whose keys are known.
    """
    asked = json_text([(tally.key, span(tally.window, now_ns)[0]) for tally in tallies])
    found: list[list[tuple[int, int, int, int, int]]] = [[] for _ in tallies]
    overrides: list[dict[str, int]] = [{} for _ in tallies]
    for position, limits, id, number, *columns in rows(_LOAD, asked):
        if limits is not None:
            given = msgspec.json.decode(limits)
            overrides[position] = {meter: limit for meter, limit in given.items() if limit is not None}
        if id is not None:
            tallies[position].ids[number] = id
            reserved, spent, overrun, topped_up = _packed_parts(columns)
            found[position].append((number, reserved + spent, spent, overrun, topped_up))
    for tally, buckets, limits in zip(tallies, found, overrides, strict=True):
        tally.load(buckets, limits)


def _packed_parts(columns: Sequence[int]) -> Iterable[int]:
    return [packed(columns[at : at + _METERS]) for at in range(0, len(columns), _METERS)]
