"""
The tables of an SQLite ledger. One ``INSERT INTO entry`` is one operation: its trigger writes the balances and the
reservation, so that no client, ours or not, can write half of it or reserve above a limit.
"""

from solvent._limits import METERS, ROLLING_SECONDS
from solvent._records import CallRecord

VERSION = 3
CALL_COLUMNS = CallRecord.__struct_fields__


def each(template: str, separator: str = ", ") -> str:
    """
    ``template`` for every meter, ``{m}`` being its name.
    """
    return separator.join(template.format(m=meter) for meter in METERS)


SUMS = ("reserved", "spent", "overrun", "topped_up")  # Of a bucket, a column for each meter.
CHANGES = SUMS[:3]  # Of an entry, added to each of its buckets; a top-up has its meter and amount instead.

_TYPES = {
    **dict.fromkeys(("stream", "bound_nanodollars", "cost_nanodollars", "attempt", "started", "ended"), "INTEGER"),
    "decision": "TEXT CHECK (decision IN ('admitted', 'refused'))",
}
ONCE_KINDS = (
    "kind IN ('open', 'close', 'refuse', 'top_up', 'set_limit')"  # Repeated, they are counted once by their ids.
)
ONCE = f"ON CONFLICT (id, kind) WHERE {ONCE_KINDS} DO NOTHING"

_IN_THESE_BUCKETS = "id IN (SELECT value FROM json_each(NEW.buckets))"
_LIMIT = "coalesce(place.limit_{m}, line.limit_{m})"
_PASSED = each(f"bucket.reserved_{{m}} + bucket.spent_{{m}} - bucket.topped_up_{{m}} > {_LIMIT}", " OR ")
_PASSED_IN_RING = each(f"sum(ring.reserved_{{m}} + ring.spent_{{m}} - ring.topped_up_{{m}}) > {_LIMIT}", " OR ")

TABLES = f"""
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- A scope and a window kind. limit_*: set in place of those that come with charges.
CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    window TEXT NOT NULL,
    {each("limit_{m} INTEGER CHECK (limit_{m} BETWEEN 0 AND 9007199254740991)")},
    UNIQUE (scope, window)
);

CREATE TABLE bucket (
    id INTEGER PRIMARY KEY,
    place INTEGER NOT NULL REFERENCES place (id),
    number INTEGER NOT NULL,
    {", ".join(each(f"{part}_{{m}} INTEGER NOT NULL DEFAULT 0 CHECK ({part}_{{m}} >= 0)") for part in SUMS)},
    UNIQUE (place, number)
);

-- The accounts and limits of a path, as JSON: [[scope, meter, window, limit], …]; and the same by place.
CREATE TABLE terms (id INTEGER PRIMARY KEY, contents TEXT NOT NULL UNIQUE);
CREATE TABLE line (
    terms INTEGER NOT NULL REFERENCES terms (id),
    place INTEGER NOT NULL REFERENCES place (id),
    {each("limit_{m} INTEGER")},
    PRIMARY KEY (terms, place)
) WITHOUT ROWID;

-- buckets: ids, one for each place of the terms in their order; all of them change alike.
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,  -- Without gaps: entries are never deleted.
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('close', 'correct', 'expire', 'open', 'opening_balance', 'refuse', 'release',
                                       'reserve', 'set_limit', 'settle', 'top_up')),
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    terms INTEGER REFERENCES terms (id),
    buckets TEXT,
    {", ".join(each(f"{part}_{{m}} INTEGER NOT NULL DEFAULT 0") for part in CHANGES)},
    meter TEXT,  -- Of a top-up and of a limit that is set, with its amount.
    amount INTEGER,
    run_total_nanodollars INTEGER,
    {", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in CALL_COLUMNS)},
    overruns TEXT,  -- Of a closing: all that is above the reservation, by meter.
    -- Of a reservation: what a repeated id must agree on, and whose it is until when.
    amounts TEXT,
    owner TEXT,  -- Boot id, process id and its start.
    deadline INTEGER
);
CREATE INDEX entry_scope ON entry (scope, seq);
CREATE INDEX entry_open ON entry (seq) WHERE kind = 'open';
CREATE UNIQUE INDEX entry_once ON entry (id, kind) WHERE {ONCE_KINDS};

-- Small, for it is written twice. reserving: the entry that says whose it is and what it holds; closing: the last one.
-- deadline: uptime in nanoseconds, of the owner's boot.
CREATE TABLE reservation (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'released', 'expired', 'corrected')),
    deadline INTEGER NOT NULL,
    so_far TEXT NOT NULL DEFAULT '{{}}',
    reserving INTEGER NOT NULL REFERENCES entry (seq),
    closing INTEGER REFERENCES entry (seq)
) WITHOUT ROWID;
CREATE INDEX reservation_open ON reservation (id) WHERE state = 'open';
"""

NOTES = frozenset({"close", "open", "set_limit", "top_up"})
NOTED = "kind IN ('close', 'open', 'set_limit', 'top_up')"  # In these words, for the planner compares words.

# What people ask of a journal, without reading it: its digest (_sqlite_digest), and the entries that are no calls.
DIGEST = f"""
CREATE TABLE digest (
    scope TEXT NOT NULL,
    hour INTEGER NOT NULL,  -- Since 1970, UTC.
    facts TEXT NOT NULL,  -- JSON: what the calls of a group have in common.
    sums TEXT NOT NULL,  -- JSON: what they add up to.
    PRIMARY KEY (scope, hour, facts)
) WITHOUT ROWID;
CREATE INDEX line_place ON line (place, terms);
CREATE INDEX entry_noted ON entry (seq, scope, kind) WHERE {NOTED};
"""

TRIGGERS = f"""
CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;

CREATE TRIGGER entry_closes AFTER INSERT ON entry WHEN NEW.kind IN ('settle', 'release', 'expire', 'correct') BEGIN
    SELECT RAISE (ABORT, 'a reservation closes once') WHERE (SELECT state FROM reservation WHERE id = NEW.id)
        IS NOT iif(NEW.kind = 'correct', 'expired', 'open');
    UPDATE bucket SET {", ".join(each(f"{part}_{{m}} = {part}_{{m}} + NEW.{part}_{{m}}") for part in CHANGES)}
        WHERE {_IN_THESE_BUCKETS};
    UPDATE reservation SET closing = NEW.seq, state = CASE NEW.kind WHEN 'settle' THEN 'settled'
        WHEN 'release' THEN 'released' WHEN 'expire' THEN 'expired' ELSE 'corrected' END WHERE id = NEW.id;
END;

CREATE TRIGGER entry_tops_up AFTER INSERT ON entry WHEN NEW.kind = 'top_up' BEGIN
    UPDATE bucket SET {each("topped_up_{m} = topped_up_{m} + iif(NEW.meter = '{m}', NEW.amount, 0)")}
        WHERE {_IN_THESE_BUCKETS};
END;

CREATE TRIGGER entry_sets_limit AFTER INSERT ON entry WHEN NEW.kind = 'set_limit' BEGIN
    UPDATE place SET {each("limit_{m} = iif(NEW.meter = '{m}', NEW.amount, limit_{m})")}
        WHERE id = (SELECT place FROM bucket WHERE {_IN_THESE_BUCKETS});
END;

CREATE TRIGGER entry_notes AFTER INSERT ON entry
WHEN NEW.kind IN ('close', 'open', 'opening_balance', 'refuse', 'set_limit', 'top_up') BEGIN
    SELECT RAISE (ABORT, 'a note changes no balance') WHERE {each("NEW.reserved_{m} <> 0", " OR ")}
        OR {each("NEW.spent_{m} <> 0", " OR ")} OR {each("NEW.overrun_{m} <> 0", " OR ")};
END;
"""

# What an older version let in is not asked again, so a migration makes it without its check first.
_FITS = f"""
    SELECT RAISE (ABORT, 'a limit would be passed') FROM json_each(NEW.buckets) AS asked
        JOIN bucket ON bucket.id = asked.value
        JOIN place ON place.id = bucket.place
        JOIN line ON line.terms = NEW.terms AND line.place = bucket.place
        WHERE iif(place.window = 'minute', EXISTS (
            SELECT 1 FROM bucket AS ring
                WHERE ring.place = place.id AND ring.number BETWEEN bucket.number - {ROLLING_SECONDS} AND bucket.number
                GROUP BY ring.place HAVING {_PASSED_IN_RING}
        ), {_PASSED});"""


def reserving_trigger(*, checked: bool = True) -> str:
    return f"""
CREATE TRIGGER entry_reserves AFTER INSERT ON entry WHEN NEW.kind = 'reserve' BEGIN
    UPDATE bucket SET {each("reserved_{m} = reserved_{m} + NEW.reserved_{m}")} WHERE {_IN_THESE_BUCKETS};
    INSERT INTO reservation (id, state, deadline, reserving) VALUES (NEW.id, 'open', NEW.deadline, NEW.seq);
    {_FITS if checked else ""}
END;
"""
