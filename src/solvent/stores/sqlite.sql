-- The ledger's tables, version 1. One INSERT INTO entry is one operation of the ledger: its trigger writes the balances
-- and the reservation, so that no client, ours or not, can write half of it.

CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    meter TEXT NOT NULL,
    window TEXT NOT NULL,
    override INTEGER CHECK (override BETWEEN 0 AND 9007199254740991),
    UNIQUE (scope, meter, window)
);

CREATE TABLE bucket (
    account INTEGER NOT NULL REFERENCES account (id),
    number INTEGER NOT NULL,
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
    overrun INTEGER NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    topped_up INTEGER NOT NULL DEFAULT 0 CHECK (topped_up >= 0),
    PRIMARY KEY (account, number)
) WITHOUT ROWID;

-- postings: [[account, bucket, reserved, spent, overrun, limit, first bucket that counts], …], amounts as changes.
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('close', 'correct', 'expire', 'open', 'opening_balance', 'refuse', 'release',
                                       'reserve', 'set_limit', 'settle', 'top_up')),
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    postings TEXT NOT NULL,
    run_total_nanodollars INTEGER,
    provider TEXT,
    format TEXT,
    model_asked TEXT,
    model_used TEXT,
    tier TEXT,
    stream INTEGER,
    usage TEXT,
    bound_nanodollars INTEGER,
    bound_parts TEXT,
    cost_nanodollars INTEGER,
    price_source TEXT,
    estimated TEXT,
    decision TEXT CHECK (decision IN ('admitted', 'refused')),
    reason TEXT,
    rungs TEXT,
    parent_id TEXT,
    attempt INTEGER,
    fingerprint TEXT,
    started INTEGER,
    ended INTEGER,
    status TEXT,
    -- Of a reservation only: what a repeated id must agree on, and whose it is until when.
    contents TEXT,
    owner TEXT,
    deadline INTEGER
);
CREATE INDEX entry_scope ON entry (scope, seq);
CREATE INDEX entry_open ON entry (seq) WHERE kind = 'open';

CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;

-- owner: boot id, process id and its start. deadline: uptime in nanoseconds, of that boot. closing: the last entry.
CREATE TABLE reservation (
    id TEXT PRIMARY KEY,
    contents TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'released', 'expired', 'corrected')),
    owner TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    so_far TEXT NOT NULL DEFAULT '{}',
    reserving INTEGER NOT NULL REFERENCES entry (seq),
    closing INTEGER REFERENCES entry (seq)
) WITHOUT ROWID;
CREATE INDEX reservation_open ON reservation (deadline) WHERE state = 'open';

CREATE TRIGGER entry_reserves AFTER INSERT ON entry WHEN NEW.kind = 'reserve' BEGIN
    SELECT RAISE (ABORT, 'a limit would be passed') FROM json_each(NEW.postings) AS posting
        JOIN account ON account.id = posting.value ->> 0
        WHERE coalesce(account.override, posting.value ->> 5) IS NOT NULL
        AND (posting.value ->> 2) + (
            SELECT coalesce(sum(reserved + spent - topped_up), 0) FROM bucket
            WHERE bucket.account = account.id AND number BETWEEN posting.value ->> 6 AND posting.value ->> 1
        ) > coalesce(account.override, posting.value ->> 5);
    INSERT INTO bucket (account, number, reserved)
        SELECT posting.value ->> 0, posting.value ->> 1, posting.value ->> 2
        FROM json_each(NEW.postings) AS posting WHERE true
        ON CONFLICT (account, number) DO UPDATE SET reserved = reserved + excluded.reserved;
    INSERT INTO reservation (id, contents, state, owner, deadline, reserving)
        VALUES (NEW.id, NEW.contents, 'open', NEW.owner, NEW.deadline, NEW.seq);
END;

-- The insert always finds its row and adds to it: UPDATE … FROM makes a temporary table, for more than all the rest.
CREATE TRIGGER entry_closes AFTER INSERT ON entry WHEN NEW.kind IN ('settle', 'release', 'expire') BEGIN
    SELECT RAISE (ABORT, 'a reservation closes once')
        WHERE (SELECT state FROM reservation WHERE id = NEW.id) IS NOT 'open';
    INSERT INTO bucket (account, number, reserved, spent, overrun)
        SELECT posting.value ->> 0, posting.value ->> 1, -(posting.value ->> 2), posting.value ->> 3, posting.value ->> 4
        FROM json_each(NEW.postings) AS posting WHERE true
        ON CONFLICT (account, number) DO UPDATE SET reserved = reserved - excluded.reserved,
        spent = spent + excluded.spent, overrun = overrun + excluded.overrun;
    UPDATE reservation SET closing = NEW.seq, state = CASE NEW.kind
        WHEN 'settle' THEN 'settled' WHEN 'release' THEN 'released' ELSE 'expired' END
        WHERE id = NEW.id;
END;

-- Amounts of a correction may be negative, which no insert may be.
CREATE TRIGGER entry_corrects AFTER INSERT ON entry WHEN NEW.kind = 'correct' BEGIN
    SELECT RAISE (ABORT, 'a reservation closes once')
        WHERE (SELECT state FROM reservation WHERE id = NEW.id) IS NOT 'expired';
    UPDATE bucket SET reserved = bucket.reserved + (posting.value ->> 2), spent = bucket.spent + (posting.value ->> 3),
        overrun = bucket.overrun + (posting.value ->> 4)
        FROM json_each(NEW.postings) AS posting
        WHERE bucket.account = posting.value ->> 0 AND bucket.number = posting.value ->> 1;
    UPDATE reservation SET closing = NEW.seq, state = 'corrected' WHERE id = NEW.id;
END;

CREATE TRIGGER entry_notes AFTER INSERT ON entry WHEN NEW.kind IN ('refuse', 'open', 'close') BEGIN
    SELECT RAISE (ABORT, 'a note changes no balance') FROM json_each(NEW.postings) AS posting
        WHERE posting.value ->> 2 <> 0 OR posting.value ->> 3 <> 0 OR posting.value ->> 4 <> 0;
END;
