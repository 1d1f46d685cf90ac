"""
What an SQLite ledger is asked beside operations: balances, the journal, and whether the two agree.
"""

from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from solvent._limits import METERS
from solvent._records import Account, Balance, Entry, Kind
from solvent.stores._audit import first_difference, held_difference, limit_difference, limits_set, rebuild
from solvent.stores._books import Tally, balances_of
from solvent.stores._sqlite_digest import ILLEGIBLE
from solvent.stores._sqlite_digest import first_difference as digest_difference
from solvent.stores._sqlite_file import SQLiteFile
from solvent.stores._sqlite_mirror import load
from solvent.stores._sqlite_rows import BELOW, SELECT_ENTRY, Names, Rows, json_text, read_entry, rows_of
from solvent.stores._sqlite_schema import NOTED, NOTES, SUMS, each

SEQ_MAX = 2**63 - 1
FEW = 50_000
PAGE = 1_000  # Entries that are read at once.
_ALL_BUCKETS = (
    f"SELECT scope, window, number, {', '.join(each(f'{part}_{{m}}') for part in SUMS)} "
    "FROM bucket JOIN place ON place.id = bucket.place"
)
_ALL_LIMITS = f"SELECT scope, window, {each('limit_{m}')} FROM place WHERE coalesce({each('limit_{m}')}) IS NOT NULL"
_HELD = (
    "SELECT scope, window, number, amounts "
    "FROM (SELECT amounts, buckets FROM reservation JOIN entry ON seq = reserving WHERE state = 'open'), "
    "json_each(buckets) AS at "
    "JOIN bucket ON bucket.id = at.value JOIN place ON place.id = bucket.place"
)


def balances(file: SQLiteFile, scope: str | None, below: bool, *, now_ns: int, full_until_ns: int) -> list[Balance]:
    # In one state of the file: a path that is made between two statements would be seen in part.
    if below and (scope is None or not _is_within_run(scope)):  # Thousands of runs: no call is to wait for them.
        with file.reader() as reader:
            reader.execute("BEGIN")
            tallies = _tallies(rows_of(reader), scope, below, now_ns)
    else:
        with file.snapshot():
            tallies = _tallies(file.rows, scope, below, now_ns)
    for tally in tallies:
        tally.move(now_ns, full_until_ns)
    return balances_of(tallies)


def _is_within_run(scope: str) -> bool:
    return any(segment.startswith("run:") for segment in scope.split("/"))


def _tallies(rows: Rows, scope: str | None, below: bool, now_ns: int) -> list[Tally]:
    where = "" if scope is None else f"WHERE {BELOW if below else 'scope = ?1'}"
    bindings = () if scope is None else (scope,)
    tallies = []
    for id, *place in rows(f"SELECT id, scope, window FROM place {where}", *bindings):
        tally = Tally((place[0], place[1]))
        tally.key = id
        tallies.append(tally)
    load(rows, tallies, now_ns)
    return tallies


def entries(file: SQLiteFile, scope: str | None, after: int, kinds: Collection[Kind] | None) -> Iterator[Entry]:
    names, last = Names(file.rows), after
    of_kinds, index = "true", ""
    if kinds is not None:
        of_kinds = f"kind IN ({', '.join(repr(str(kind)) for kind in sorted(kinds))})"
        if NOTES.issuperset(kinds):
            of_kinds += f" AND {NOTED}"
            index = "INDEXED BY entry_noted "  # Which the planner would pass over, for it cannot know how few they are.
    if scope is not None and not index:
        last, few = _few(file, scope, after)
        for at in range(0, len(few), PAGE):
            chosen = json_text(few[at : at + PAGE])
            page = f"{SELECT_ENTRY} WHERE seq IN (SELECT value FROM json_each(?)) AND {of_kinds} ORDER BY seq"
            yield from (read_entry(row, names) for row in file.rows(page, chosen))
    # In pages, for a statement that is left half read would keep its state of the file for as long.
    below = "" if scope is None else f"{BELOW} AND "
    select = f"{SELECT_ENTRY} {index}WHERE {below}seq > ?2 AND {of_kinds} ORDER BY seq LIMIT {PAGE}"
    while rows := file.rows(select, scope, last):
        yield from (read_entry(row, names) for row in rows)
        last = rows[-1][0]


def _few(file: SQLiteFile, scope: str, after: int) -> tuple[int, list[int]]:
    """
    The entries of a scope after one, where they are few, and up to which one that is all of them: among many others
    they are found by their index, which has them in another order.
    """
    with file.snapshot():
        rows = file.rows(
            f"SELECT seq FROM entry INDEXED BY entry_scope WHERE {BELOW} AND seq > ?2 LIMIT {FEW + 1}", scope, after
        )
        [(last,)] = file.rows("SELECT coalesce(max(seq), 0) FROM entry")
    return (max(last, after), sorted(seq for (seq,) in rows)) if len(rows) <= FEW else (after, [])


def limits(file: SQLiteFile, scope: str | None) -> dict[Account, int]:
    where = "" if scope is None else f"AND {BELOW}"
    rows = file.rows(
        f"SELECT scope, window, {each('line.limit_{m}')} FROM place JOIN line ON line.place = place.id "
        f"WHERE line.terms = (SELECT max(terms) FROM line AS newest WHERE newest.place = place.id) {where}",
        *([] if scope is None else [scope]),
    )
    return {
        Account(of, meter, window): limit
        for of, window, *limits in rows
        for meter, limit in zip(METERS, limits, strict=True)
        if limit is not None
    }


def held(file: SQLiteFile, scope: str | None) -> list[Entry]:
    where = f"{BELOW} AND " if scope is not None else ""
    made = "seq IN (SELECT reserving FROM reservation WHERE state = 'open')"
    names = Names(file.rows)
    rows = file.rows(f"{SELECT_ENTRY} WHERE {where}{made} ORDER BY seq", *([] if scope is None else [scope]))
    return [read_entry(row, names) for row in rows]


def last_seen(file: SQLiteFile, scope: str, before: int | None) -> int | None:
    select = f"SELECT at FROM entry WHERE {BELOW} AND kind <> 'expire' AND seq < ?2 ORDER BY seq DESC LIMIT 1"
    row = file.row(select, scope, SEQ_MAX if before is None else before)
    return None if row is None else row[0]


def last_opened(file: SQLiteFile, scope: str | None) -> Entry | None:
    select = f"{SELECT_ENTRY} WHERE kind = 'open' AND coalesce(scope = ?, true) ORDER BY seq DESC LIMIT 1"
    row = file.row(select, scope)
    return None if row is None else read_entry(row, Names(file.rows))


def verify(file: SQLiteFile) -> str | None:
    """
    Rebuild every account from the journal; the first difference in words.
    """
    with file.reader() as reader:
        reader.execute("BEGIN")  # One state of the file, however long it takes; nobody has to wait for it.
        try:
            return _damage(reader) or _difference(reader) or digest_difference(rows_of(reader))
        except ILLEGIBLE as error:
            return f"a record cannot be read ({error})"


def _damage(reader: Any) -> str | None:
    damage = reader.execute("PRAGMA quick_check(1)").get
    if damage != "ok":
        return f"the file is damaged: {damage}"
    missing = reader.execute("SELECT coalesce(max(seq), 0) - count(*) FROM entry").get
    return f"{missing:,} entries of the journal are missing" if missing else None


def _difference(reader: Any) -> str | None:
    names = Names(rows_of(reader))
    journal = (read_entry(row, names) for row in reader.execute(f"{SELECT_ENTRY} ORDER BY seq"))
    set_by_journal: dict[Account, int] = {}
    rebuilt = rebuild(posting for entry in limits_set(journal, set_by_journal) for posting in entry.postings)
    kept = {}
    for scope, window, number, *columns in reader.execute(_ALL_BUCKETS):
        for position, meter in enumerate(METERS):
            amounts = tuple(columns[position :: len(METERS)])
            if any(amounts):
                kept[Account(scope, meter, window), number] = amounts
    return (
        first_difference(rebuilt, kept)
        or limit_difference(set_by_journal, _limits(reader))
        or held_difference(_held(reader), kept)
    )


def _limits(reader: Any) -> dict[Account, int]:
    return {
        Account(scope, meter, window): limit
        for scope, window, *limits in reader.execute(_ALL_LIMITS)
        for meter, limit in zip(METERS, limits, strict=True)
        if limit is not None
    }


def _held(reader: Any) -> dict[tuple[Account, int], int]:
    """
    What open reservations hold, by account and bucket.
    """
    held: dict[tuple[Account, int], int] = {}
    for scope, window, number, amounts in reader.execute(_HELD):
        for meter, amount in msgspec.json.decode(amounts).items():
            key = Account(scope, meter, window), number
            held[key] = held.get(key, 0) + amount
    return held
