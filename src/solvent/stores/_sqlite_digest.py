"""
The digest that an SQLite ledger keeps of its journal: sums of all entries up to one of them, in the table ``digest``.

Whoever writes folds new entries into it, a thousand at a time, and whoever reads adds those that came since. It is made
of the journal alone and holds nothing else.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec.structs import replace

from solvent._digest import CALL_FIELDS, DIGESTED, Digest, Facts, Groups, Hours, Line, Sums, within
from solvent.errors import LedgerCorrupt
from solvent.stores._protocol import Told
from solvent.stores._sqlite_file import SQLiteFile
from solvent.stores._sqlite_rows import BELOW, Names, Rows, rows_of

_log = logging.getLogger("solvent")

FOLDED_AT_ONCE = 1_024  # Entries: some milliseconds for the writer whose turn it is.
_BEHIND = 16_384  # Entries: a reader who finds more than that, in a ledger that had no digest, catches up.
_STEP = 4_096  # Entries at once, for writers wait meanwhile.
_KEY = "digested"
ILLEGIBLE = (ArithmeticError, AttributeError, TypeError, ValueError, msgspec.MsgspecError)  # What a bad record raises.

_KINDS = ", ".join(f"'{kind}'" for kind in sorted(DIGESTED))
_COLUMNS = (
    f"at, kind, id, scope, {', '.join(CALL_FIELDS)}, "
    "spent_usd, spent_input_tokens, spent_output_tokens, spent_calls, overrun_usd, iif(kind = 'refuse', terms, NULL)"
)
_LINES = f"SELECT seq, {_COLUMNS} FROM entry WHERE seq > ?1 AND seq <= ?2 AND kind IN ({_KINDS})"
_EXPIRY = (
    f"SELECT {_COLUMNS} FROM entry WHERE scope = ?1 AND kind = 'expire' AND id = ?2 "
    "AND seq > (SELECT reserving FROM reservation WHERE id = ?2) "
    # A correction comes last, and mostly soon: from it back there are fewer entries than from the reservation on.
    "AND seq < (SELECT closing FROM reservation WHERE id = ?2) ORDER BY seq DESC LIMIT 1"
)
_UPSERT = "INSERT INTO digest VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sums = excluded.sums"
_RUNGS = 4 + CALL_FIELDS.index("rungs")
_USAGE = 4 + CALL_FIELDS.index("usage")

_usage = msgspec.json.Decoder(dict[str, int]).decode
_sums = msgspec.json.Decoder(Sums).decode
_encoder = msgspec.json.Encoder()


def digested(rows: Rows) -> int:
    """
    The last entry that is in the digest.
    """
    found = rows(f"SELECT value FROM meta WHERE key = '{_KEY}'")
    return int(found[0][0]) if found else 0


def fold_when_due(connection: Any) -> int:
    """
    Take new entries into the digest, inside a transaction, where there are many; the entry to look again at.

    A ledger that had no digest is behind by more than a writer should wait for: it gains on it by a thousand at a time,
    or a reader does.
    """
    rows = rows_of(connection)
    done, last = digested(rows), _last(rows)
    if last - done < FOLDED_AT_ONCE:
        return done + FOLDED_AT_ONCE
    try:
        _fold(rows, done, min(last, done + 2 * FOLDED_AT_ONCE))
    except ILLEGIBLE:
        # A record that cannot be read keeps reports from being made, and must not keep calls from being booked.
        _log.exception("the digest of the ledger cannot be brought up to date")
    return last + FOLDED_AT_ONCE


def _fold(rows: Rows, first: int, last: int) -> int:
    """
    Take these entries into the digest. What cannot be read is met before anything is written.
    """
    folded = []
    for facts, sums in _added(rows, first, last).items():
        key = facts.scope, facts.hour, _facts_text(facts)
        known = rows("SELECT sums FROM digest WHERE scope = ? AND hour = ? AND facts = ?", *key)
        if known:
            joined = _sums(known[0][0])
            joined.join(sums)
            sums = joined
        folded.append((*key, _encoder.encode(sums).decode()))
    for group in folded:
        rows(_UPSERT, *group)
    rows("INSERT OR REPLACE INTO meta VALUES (?, ?)", _KEY, last)
    return last


def groups(
    file: SQLiteFile,
    scope: str | None,
    hours: Hours | None,
    after: int,
    told: Told | None,
) -> Groups:
    if after:
        with _legible(file):
            return within(_added(file.rows, after, _last(file.rows), scope), hours)
    _catch_up(file, told)
    with _legible(file), file.reader() as reader:  # Calls go on meanwhile, in this process, too.
        reader.execute("BEGIN")
        rows = rows_of(reader)
        found = dict(_kept(rows, scope, hours))
        added = _added(rows, digested(rows), _last(rows), scope)
    for facts, sums in within(added, hours).items():
        if facts in found:
            found[facts].join(sums)
        else:
            found[facts] = sums
    return found


@contextmanager
def _legible(file: SQLiteFile) -> Iterator[None]:
    try:
        yield
    except ILLEGIBLE as error:
        found = f"a record cannot be read ({error})"
        raise LedgerCorrupt(ledger=str(file.path), found=found, remedy="run `solvent ledger verify`") from error


def first_difference(rows: Rows) -> str | None:
    """
    The first group of the digest that is not what the journal adds up to, in words.
    """
    done = digested(rows)
    by_journal = _added(rows, 0, done)
    _added(rows, done, _last(rows))  # That it can be read, too.
    kept = dict(_kept(rows, None, None))
    for facts in sorted(by_journal.keys() | kept.keys(), key=repr):
        if by_journal.get(facts) != kept.get(facts):
            return f"the digest of {facts.scope} is not what the journal adds up to"
    return None


def _catch_up(file: SQLiteFile, told: Told | None) -> None:
    """
    Fold what writers have left, where that is much: an older version's, or a ledger's that was made without a digest.
    """
    done, last = digested(file.rows), _last(file.rows)
    if last - done <= _BEHIND:
        return
    while done < last:
        with _legible(file), file.transaction():
            done = digested(file.rows)  # Somebody else may be at it, too.
            done = _fold(file.rows, done, min(_last(file.rows), done + _STEP))
        if told is not None:
            told(done, last)


def _last(rows: Rows) -> int:
    return int(rows("SELECT coalesce(max(seq), 0) FROM entry")[0][0])


def _kept(rows: Rows, scope: str | None, hours: Hours | None) -> Iterator[tuple[Facts, Sums]]:
    conditions = [BELOW] if scope is not None else []
    conditions += ["hour >= ?2 AND hour < ?3"] if hours is not None else []
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    select = f"SELECT scope, hour, facts, sums FROM digest {where}"
    for of, hour, facts, sums in rows(select, *_bindings(scope, hours)):
        yield replace(_facts_in(facts), scope=of, hour=hour), _sums(sums)


def _bindings(scope: str | None, hours: Hours | None) -> tuple[object, ...]:
    if hours is None:
        return () if scope is None else (scope,)
    return (scope, *hours)


def _added(rows: Rows, first: int, last: int, scope: str | None = None) -> dict[Facts, Sums]:
    """
    What entries above ``first`` and up to ``last`` add up to.
    """
    names = Names(rows)

    def expiry(of_id: str, of_scope: str) -> Line | None:
        return next((_line(row, names) for row in rows(_EXPIRY, of_scope, of_id)), None)

    digest = Digest(expiry)
    below = "" if scope is None else f" AND {BELOW.replace('?1', '?3')}"
    bindings = () if scope is None else (scope,)
    while first < last:
        page = min(first + _STEP, last)
        for seq, *row in rows(f"{_LINES}{below} ORDER BY seq", first, page, *bindings):
            try:
                digest.add(_line(row, names))
            except ILLEGIBLE as error:
                raise ValueError(f"entry {seq}: {error}") from error
        first = page
    return digest.groups


def _line(row: Sequence[Any], names: Names) -> Line:
    fields = list(row)
    if fields[_RUNGS] is not None:
        fields[_RUNGS] = _rungs(fields[_RUNGS])
    if fields[_USAGE] is not None:
        fields[_USAGE] = _usage(fields[_USAGE])
    terms = fields.pop()
    if terms is not None:
        found = names.terms(terms)
        fields += [found.accounts[0], found.limits[0]]
    return Line(*fields)


@functools.lru_cache(maxsize=4_096)
def _rungs(text: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text))


def _facts_text(facts: Facts) -> str:
    """
    All but the scope and the hour, which have columns of their own.
    """
    return _encoder.encode(replace(facts, scope="", hour=0)).decode()


@functools.lru_cache(maxsize=4_096)
def _facts_in(text: str) -> Facts:
    return msgspec.json.decode(text, type=Facts)
