"""
Rows of an SQLite ledger's tables, and what they say.
"""

import functools
import operator
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from solvent._ledger import postings
from solvent._limits import METERS
from solvent._records import Account, CallRecord, Change, Entry, Posting, Terms
from solvent.stores._lanes import LANE_BITS
from solvent.stores._sqlite_schema import CALL_COLUMNS, CHANGES, ONCE, each

Rows = Callable[..., list[tuple[Any, ...]]]  # Runs a statement with its bindings.

_JSON_COLUMNS = frozenset({"bound_parts", "rungs", "usage"})
_JSON = tuple(position for position, name in enumerate(CALL_COLUMNS) if name in _JSON_COLUMNS)
_STREAM = CALL_COLUMNS.index("stream")
_METERS = len(METERS)
_LANES = struct.Struct("<" + f"Q{LANE_BITS // 8 - 8}x" * _METERS)  # Of a packed integer: 64 bits hold any real sum.

_BIAS_OF_LANE = 1 << 62
_BIAS = sum(_BIAS_OF_LANE << (position * LANE_BITS) for position in range(_METERS))

_call_values = operator.attrgetter(*CALL_COLUMNS)
_encoder = msgspec.json.Encoder()

_CALL = ", ".join(CALL_COLUMNS)
_HEAD = ("at", "kind", "id", "scope", "terms", "buckets")
_SUMS = [each(f"{part}_{{m}}") for part in CHANGES]

SELECT_ENTRY = (
    f"SELECT seq, at, kind, id, scope, terms, buckets, meter, amount, run_total_nanodollars, "
    f"{', '.join(_SUMS)}, {_CALL} FROM entry"
)


BELOW = "(scope = ?1 OR (scope > ?1 || '/' AND scope < ?1 || '0'))"  # '0' is the character after '/'.


def _insert(*columns: str) -> str:
    names = ", ".join(columns)
    return f"INSERT INTO entry ({names}) VALUES ({', '.join('?' * len(names.split(',')))})"


# Each with the columns that its kinds have; the columns of the call are the last.
INSERT_RESERVE = _insert(*_HEAD, _SUMS[0], "amounts", "owner", "deadline", _CALL)
INSERT_CLOSING = _insert(*_HEAD, *_SUMS, "run_total_nanodollars", "overruns", _CALL)
INSERT_NOTE = f"{_insert(*_HEAD, 'meter', 'amount', _CALL)} {ONCE}"


def json_text(value: object) -> str:
    return _encoder.encode(value).decode()


def call_row(call: CallRecord) -> list[Any]:
    row = list(_call_values(call))
    for position in _JSON:
        if row[position] is not None:
            row[position] = json_text(row[position])
    return row


def columns_of(packed: int) -> list[int]:
    """
    A packed integer as the columns of one part; its lanes may be negative.
    """
    lanes = _LANES.unpack((packed + _BIAS).to_bytes(_LANES.size, "little"))
    return [value - _BIAS_OF_LANE for value in lanes]


def packed(columns: Sequence[int]) -> int:
    """
    The columns of one part as one integer; they are not negative.
    """
    return int.from_bytes(_LANES.pack(*columns), "little")


def read_entry(row: Sequence[Any], names: "Names") -> Entry:
    fields = list(row[10 + len(CHANGES) * _METERS :])
    for position in _JSON:
        if fields[position] is not None:
            fields[position] = msgspec.json.decode(fields[position])
    if fields[_STREAM] is not None:
        fields[_STREAM] = bool(fields[_STREAM])
    return Entry(
        seq=row[0],
        at=row[1],
        kind=row[2],
        id=row[3],
        scope=row[4],
        postings=_postings(row, names),
        run_total_nanodollars=row[9],
        call=CallRecord(**dict(zip(CALL_COLUMNS, fields, strict=True))),
    )


def _postings(row: Sequence[Any], names: "Names") -> tuple[Posting, ...]:
    kind, terms, buckets, meter, amount = row[2], row[5], row[6], row[7], row[8]
    if terms is None:
        return ()
    found = names.terms(terms)
    numbers = names.numbers(buckets) if buckets else (0,) * len(found.places)
    parts: list[dict[str, int]] = [
        {name: value for name, value in zip(METERS, row[at : at + _METERS], strict=True) if value}
        for at in range(10, 10 + len(CHANGES) * _METERS, _METERS)
    ]
    topped_up = {meter: amount} if kind == "top_up" else {}
    return postings(found, numbers, Change(reserved=parts[0], spent=parts[1], overrun=parts[2], topped_up=topped_up))


def rows_of(connection: Any) -> Rows:
    return lambda sql, *bindings: connection.execute(sql, bindings).fetchall()


class Names:
    """
    What the numbers in entries stand for; what is committed in these tables never changes.

    Args:
        rows: Runs a statement with its bindings.
    """

    def __init__(self, rows: Callable[..., Sequence[Any]]) -> None:
        self._rows = rows
        self.terms: Callable[[int], Terms] = functools.lru_cache(4_096)(self._terms)
        self.numbers: Callable[[str], tuple[int, ...]] = functools.lru_cache(4_096)(self._numbers)

    def _terms(self, id: int) -> Terms:
        [(contents,)] = self._rows("SELECT contents FROM terms WHERE id = ?", id)
        return read_terms(contents)

    def _numbers(self, buckets: str) -> tuple[int, ...]:
        rows = self._rows(
            "SELECT number FROM json_each(?) AS asked JOIN bucket ON bucket.id = asked.value ORDER BY asked.key",
            buckets,
        )
        return tuple(number for (number,) in rows)


def terms_text(terms: Terms) -> str:
    lines = zip(terms.accounts, terms.limits, strict=True)
    return json_text([[account.scope, account.meter, account.window, limit] for account, limit in lines])


def read_terms(contents: str) -> Terms:
    return Terms.of({Account(*name): limit for *name, limit in msgspec.json.decode(contents)})


def limits_by_place(terms: Terms) -> Iterable[Mapping[str, int | None]]:
    limits: dict[tuple[str, str], dict[str, int | None]] = {place: {} for place in terms.places}
    for account, limit in zip(terms.accounts, terms.limits, strict=True):
        limits[account.place][account.meter] = limit
    return limits.values()
