"""
Entries of the journal as rows of a table, and back.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from solvent._ledger import Account, CallRecord, Entry, Posting

CALL_COLUMNS = tuple(CallRecord.__struct_fields__)
_JSON_COLUMNS = frozenset({"bound_parts", "rungs", "usage"})
_JSON = tuple(position for position, name in enumerate(CALL_COLUMNS) if name in _JSON_COLUMNS)
_STREAM = CALL_COLUMNS.index("stream")

SELECT = f"SELECT seq, at, kind, id, scope, postings, run_total_nanodollars, {', '.join(CALL_COLUMNS)} FROM entry"
ENTRY_COLUMNS = (  # All that an entry is written with.
    *("at", "kind", "id", "scope", "postings", "run_total_nanodollars"),
    *CALL_COLUMNS,
    *("contents", "owner", "deadline"),
)

_values = operator.attrgetter(*CALL_COLUMNS)
_encoder = msgspec.json.Encoder()


def json_text(value: object) -> str:
    return _encoder.encode(value).decode()


def call_row(call: CallRecord) -> list[Any]:
    row = list(_values(call))
    for position in _JSON:
        if row[position] is not None:
            row[position] = json_text(row[position])
    return row


def read_entry(row: Sequence[Any], *, account_of: Callable[[int], Account]) -> Entry:
    fields = list(row[7:])
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
        postings=read_postings(row[5], account_of=account_of),
        run_total_nanodollars=row[6],
        call=CallRecord(**dict(zip(CALL_COLUMNS, fields, strict=True))),
    )


def read_postings(text: str, *, account_of: Callable[[int], Account]) -> tuple[Posting, ...]:
    return tuple(
        Posting(account_of(account), bucket, reserved, spent, overrun, limit)
        for account, bucket, reserved, spent, overrun, limit, _ in msgspec.json.decode(text)
    )
