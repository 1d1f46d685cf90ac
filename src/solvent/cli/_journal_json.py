"""
The journal's entries as JSON, version 1; ``docs/reference/ledger.md`` tells their fields.

Every entry has all fields, in the same order; unknown is ``null``. Amounts travel as strings, so that no reader rounds
them, and times as UTC to the nanosecond.
"""

from solvent._records import CallRecord, Entry, Posting
from solvent.report._json import Json, account_json, amounts_as_text, time_json

SCHEMA_VERSION = 1


def entry_json(entry: Entry) -> Json:
    return {
        "schema_version": SCHEMA_VERSION,
        "seq": entry.seq,
        "at": time_json(entry.at),
        "kind": entry.kind,
        "id": entry.id,
        "scope": entry.scope,
        "charges": [_charge(posting) for posting in entry.postings],
        "run_total_nanodollars": _text(entry.run_total_nanodollars),
        **{name: _field(name, getattr(entry.call, name)) for name in CallRecord.__struct_fields__},
    }


def _charge(posting: Posting) -> Json:
    return {
        **account_json(posting.account),
        "bucket": posting.bucket,
        "limit": _text(posting.limit),
        "reserved": str(posting.reserved),
        "spent": str(posting.spent),
        "overrun": str(posting.overrun),
        "topped_up": str(posting.topped_up),
    }


def _field(name: str, value: object) -> object:
    if value is None:
        return None
    if name in ("started", "ended"):
        return time_json(value) if isinstance(value, int) else value
    return amounts_as_text(value) if name in _AMOUNTS else value


_AMOUNTS = ("bound_nanodollars", "bound_parts", "cost_nanodollars", "usage")


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)
