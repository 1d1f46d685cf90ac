BEGIN TRANSACTION;
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    meter TEXT NOT NULL,
    window TEXT NOT NULL,
    override INTEGER CHECK (override BETWEEN 0 AND 9007199254740991),
    UNIQUE (scope, meter, window)
);
INSERT INTO "account" VALUES(1,'org:acme','usd','day@Europe/Berlin',NULL);
INSERT INTO "account" VALUES(2,'org:acme','calls','minute',NULL);
INSERT INTO "account" VALUES(3,'org:acme','calls','hour@UTC',NULL);
INSERT INTO "account" VALUES(4,'org:acme/run:triage','usd','',NULL);
INSERT INTO "account" VALUES(5,'org:acme/run:triage','calls','',NULL);
INSERT INTO "account" VALUES(6,'org:acme/run:triage','parallel','',NULL);
INSERT INTO "account" VALUES(7,'org:acme/run:triage','tool_calls','',NULL);
CREATE TABLE bucket (
    account INTEGER NOT NULL REFERENCES account (id),
    number INTEGER NOT NULL,
    reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0),
    overrun INTEGER NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    topped_up INTEGER NOT NULL DEFAULT 0 CHECK (topped_up >= 0),
    PRIMARY KEY (account, number)
) WITHOUT ROWID;
INSERT INTO "bucket" VALUES(1,739676,40,540,80,0);
INSERT INTO "bucket" VALUES(2,1000000,0,4,0,0);
INSERT INTO "bucket" VALUES(2,1000020,1,0,0,0);
INSERT INTO "bucket" VALUES(3,17752236,1,4,0,0);
INSERT INTO "bucket" VALUES(4,0,40,540,80,0);
INSERT INTO "bucket" VALUES(5,0,1,4,0,0);
INSERT INTO "bucket" VALUES(6,0,1,0,0,0);
INSERT INTO "bucket" VALUES(7,0,0,2,0,0);
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
INSERT INTO "entry" VALUES(1,1772366400000000000,'open','o1','org:acme/run:triage','[[1,739676,0,0,0,5000,739676],[2,1000000,0,0,0,9,999940],[3,17752236,0,0,0,90,17752236],[4,0,0,0,0,1000,0],[5,0,0,0,0,null,0],[6,0,0,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entry" VALUES(2,1772366400000000000,'reserve','settled','org:acme/run:triage','[[1,739676,100,0,0,5000,739676],[2,1000000,1,0,0,9,999940],[3,17752236,1,0,0,90,17752236],[4,0,100,0,0,1000,0],[5,0,1,0,0,null,0],[6,0,1,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'55cd218e86e30a226f26a1e8','boot-1/10966/1436405',1000120000000000);
INSERT INTO "entry" VALUES(3,1772366400000000000,'settle','settled','org:acme/run:triage','[[1,739676,-100,60,0,5000,739676],[2,1000000,-1,1,0,9,1000000],[3,17752236,-1,1,0,90,17752236],[4,0,-100,60,0,1000,0],[5,0,-1,1,0,null,0],[6,0,-1,0,0,4,0],[7,0,0,2,0,40,0]]',60,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entry" VALUES(4,1772366400000000000,'reserve','over','org:acme/run:triage','[[1,739676,100,0,0,5000,739676],[2,1000000,1,0,0,9,999940],[3,17752236,1,0,0,90,17752236],[4,0,100,0,0,1000,0],[5,0,1,0,0,null,0],[6,0,1,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'55cd218e86e30a226f26a1e8','boot-1/10966/1436405',1000120000000000);
INSERT INTO "entry" VALUES(5,1772366400000000000,'settle','over','org:acme/run:triage','[[1,739676,-100,130,30,5000,739676],[2,1000000,-1,1,0,9,1000000],[3,17752236,-1,1,0,90,17752236],[4,0,-100,130,30,1000,0],[5,0,-1,1,0,null,0],[6,0,-1,0,0,4,0],[7,0,0,0,0,40,0]]',190,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entry" VALUES(6,1772366400000000000,'reserve','released','org:acme/run:triage','[[1,739676,100,0,0,5000,739676],[2,1000000,1,0,0,9,999940],[3,17752236,1,0,0,90,17752236],[4,0,100,0,0,1000,0],[5,0,1,0,0,null,0],[6,0,1,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'55cd218e86e30a226f26a1e8','boot-1/10966/1436405',1000120000000000);
INSERT INTO "entry" VALUES(7,1772366400000000000,'release','released','org:acme/run:triage','[[1,739676,-100,0,0,5000,739676],[2,1000000,-1,0,0,9,1000000],[3,17752236,-1,0,0,90,17752236],[4,0,-100,0,0,1000,0],[5,0,-1,0,0,null,0],[6,0,-1,0,0,4,0],[7,0,0,0,0,40,0]]',190,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'not_sent',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entry" VALUES(8,1772366400000000000,'reserve','expired','org:acme/run:triage','[[1,739676,100,0,0,5000,739676],[2,1000000,1,0,0,9,999940],[3,17752236,1,0,0,90,17752236],[4,0,100,0,0,1000,0],[5,0,1,0,0,null,0],[6,0,1,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'55cd218e86e30a226f26a1e8','boot-1/10966/1436405',1000005000000000);
INSERT INTO "entry" VALUES(9,1772366400000000000,'reserve','corrected','org:acme/run:triage','[[1,739676,200,0,0,5000,739676],[2,1000000,1,0,0,9,999940],[3,17752236,1,0,0,90,17752236],[4,0,200,0,0,1000,0],[5,0,1,0,0,null,0],[6,0,1,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'a91eaa7e00b2786238755dcf','boot-1/10966/1436405',1000005000000000);
INSERT INTO "entry" VALUES(10,1772366420000000000,'expire','corrected','org:acme/run:triage','[[1,739676,-200,200,0,5000,739676],[2,1000000,-1,1,0,9,1000000],[3,17752236,-1,1,0,90,17752236],[4,0,-200,200,0,1000,0],[5,0,-1,1,0,null,0],[6,0,-1,0,0,4,0],[7,0,0,0,0,40,0]]',390,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',100,NULL,'expired','admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,1772366420000000000,'expired',NULL,NULL,NULL);
INSERT INTO "entry" VALUES(11,1772366420000000000,'expire','expired','org:acme/run:triage','[[1,739676,-100,100,0,5000,739676],[2,1000000,-1,1,0,9,1000000],[3,17752236,-1,1,0,90,17752236],[4,0,-100,100,0,1000,0],[5,0,-1,1,0,null,0],[6,0,-1,0,0,4,0],[7,0,0,0,0,40,0]]',490,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',100,NULL,'expired','admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,1772366420000000000,'expired',NULL,NULL,NULL);
INSERT INTO "entry" VALUES(12,1772366420000000000,'correct','corrected','org:acme/run:triage','[[1,739676,0,50,50,5000,739676],[2,1000000,0,0,0,9,1000000],[3,17752236,0,0,0,90,17752236],[4,0,0,50,50,1000,0],[5,0,0,0,0,null,0],[6,0,0,0,0,4,0],[7,0,0,0,0,40,0]]',540,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entry" VALUES(13,1772366420000000000,'refuse','refused','org:acme/run:triage','[[4,0,0,0,0,1000,0]]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'refused','too little',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "entry" VALUES(14,1772366420000000000,'reserve','open','org:acme/run:triage','[[1,739676,40,0,0,5000,739676],[2,1000020,1,0,0,9,999960],[3,17752236,1,0,0,90,17752236],[4,0,40,0,0,1000,0],[5,0,1,0,0,null,0],[6,0,1,0,0,4,0],[7,0,0,0,0,40,0]]',NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'99cc13e118f66ca3d52c87e5','boot-1/10966/1436405',1000140000000000);
INSERT INTO "entry" VALUES(15,1772366420000000000,'close','c1','org:acme/run:triage','[]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'exited',NULL,NULL,NULL,NULL,NULL,NULL,'0',NULL,NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('fingerprint_key',X'540CF3BFE6CCED95F15C5A792E4B25CCA94EB2C966DBF01AE4E938F8924782DB');
INSERT INTO "meta" VALUES('ledger_id','241f389263de36fd');
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
INSERT INTO "reservation" VALUES('corrected','a91eaa7e00b2786238755dcf','corrected','boot-1/10966/1436405',1000005000000000,'{}',9,12);
INSERT INTO "reservation" VALUES('expired','55cd218e86e30a226f26a1e8','expired','boot-1/10966/1436405',1000005000000000,'{}',8,11);
INSERT INTO "reservation" VALUES('open','99cc13e118f66ca3d52c87e5','open','boot-1/10966/1436405',1000140000000000,'{"usd":7}',14,NULL);
INSERT INTO "reservation" VALUES('over','55cd218e86e30a226f26a1e8','settled','boot-1/10966/1436405',1000120000000000,'{}',4,5);
INSERT INTO "reservation" VALUES('released','55cd218e86e30a226f26a1e8','released','boot-1/10966/1436405',1000120000000000,'{}',6,7);
INSERT INTO "reservation" VALUES('settled','55cd218e86e30a226f26a1e8','settled','boot-1/10966/1436405',1000120000000000,'{}',2,3);
CREATE INDEX entry_scope ON entry (scope, seq);
CREATE INDEX entry_open ON entry (seq) WHERE kind = 'open';
CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;
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
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('entry',15);
COMMIT;
PRAGMA application_id=1397705814;
PRAGMA user_version=1;
