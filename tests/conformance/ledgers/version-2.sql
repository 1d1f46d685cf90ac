BEGIN TRANSACTION;
CREATE TABLE bucket (
    id INTEGER PRIMARY KEY,
    place INTEGER NOT NULL REFERENCES place (id),
    number INTEGER NOT NULL,
    reserved_usd INTEGER NOT NULL DEFAULT 0 CHECK (reserved_usd >= 0), reserved_tokens INTEGER NOT NULL DEFAULT 0 CHECK (reserved_tokens >= 0), reserved_input_tokens INTEGER NOT NULL DEFAULT 0 CHECK (reserved_input_tokens >= 0), reserved_output_tokens INTEGER NOT NULL DEFAULT 0 CHECK (reserved_output_tokens >= 0), reserved_calls INTEGER NOT NULL DEFAULT 0 CHECK (reserved_calls >= 0), reserved_branches INTEGER NOT NULL DEFAULT 0 CHECK (reserved_branches >= 0), reserved_parallel INTEGER NOT NULL DEFAULT 0 CHECK (reserved_parallel >= 0), reserved_tool_calls INTEGER NOT NULL DEFAULT 0 CHECK (reserved_tool_calls >= 0), reserved_retries INTEGER NOT NULL DEFAULT 0 CHECK (reserved_retries >= 0), spent_usd INTEGER NOT NULL DEFAULT 0 CHECK (spent_usd >= 0), spent_tokens INTEGER NOT NULL DEFAULT 0 CHECK (spent_tokens >= 0), spent_input_tokens INTEGER NOT NULL DEFAULT 0 CHECK (spent_input_tokens >= 0), spent_output_tokens INTEGER NOT NULL DEFAULT 0 CHECK (spent_output_tokens >= 0), spent_calls INTEGER NOT NULL DEFAULT 0 CHECK (spent_calls >= 0), spent_branches INTEGER NOT NULL DEFAULT 0 CHECK (spent_branches >= 0), spent_parallel INTEGER NOT NULL DEFAULT 0 CHECK (spent_parallel >= 0), spent_tool_calls INTEGER NOT NULL DEFAULT 0 CHECK (spent_tool_calls >= 0), spent_retries INTEGER NOT NULL DEFAULT 0 CHECK (spent_retries >= 0), overrun_usd INTEGER NOT NULL DEFAULT 0 CHECK (overrun_usd >= 0), overrun_tokens INTEGER NOT NULL DEFAULT 0 CHECK (overrun_tokens >= 0), overrun_input_tokens INTEGER NOT NULL DEFAULT 0 CHECK (overrun_input_tokens >= 0), overrun_output_tokens INTEGER NOT NULL DEFAULT 0 CHECK (overrun_output_tokens >= 0), overrun_calls INTEGER NOT NULL DEFAULT 0 CHECK (overrun_calls >= 0), overrun_branches INTEGER NOT NULL DEFAULT 0 CHECK (overrun_branches >= 0), overrun_parallel INTEGER NOT NULL DEFAULT 0 CHECK (overrun_parallel >= 0), overrun_tool_calls INTEGER NOT NULL DEFAULT 0 CHECK (overrun_tool_calls >= 0), overrun_retries INTEGER NOT NULL DEFAULT 0 CHECK (overrun_retries >= 0), topped_up_usd INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_usd >= 0), topped_up_tokens INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_tokens >= 0), topped_up_input_tokens INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_input_tokens >= 0), topped_up_output_tokens INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_output_tokens >= 0), topped_up_calls INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_calls >= 0), topped_up_branches INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_branches >= 0), topped_up_parallel INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_parallel >= 0), topped_up_tool_calls INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_tool_calls >= 0), topped_up_retries INTEGER NOT NULL DEFAULT 0 CHECK (topped_up_retries >= 0),
    UNIQUE (place, number)
);
INSERT INTO bucket VALUES(1,1,739676,40,0,0,0,1,0,1,0,0,540,0,0,0,4,0,0,2,0,80,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0);
INSERT INTO bucket VALUES(2,2,1772366400,0,0,0,0,0,0,0,0,0,540,0,0,0,4,0,0,2,0,80,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0);
INSERT INTO bucket VALUES(3,3,1969296,40,0,0,0,1,0,1,0,0,540,0,0,0,4,0,0,2,0,80,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0);
INSERT INTO bucket VALUES(4,4,0,40,0,0,0,1,0,1,0,0,540,0,0,0,4,0,0,2,0,80,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0);
INSERT INTO bucket VALUES(5,2,1772366420,40,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0);
CREATE TABLE entry (
    seq INTEGER PRIMARY KEY,  -- Without gaps: entries are never deleted.
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('close', 'correct', 'expire', 'open', 'opening_balance', 'refuse', 'release',
                                       'reserve', 'set_limit', 'settle', 'top_up')),
    id TEXT NOT NULL,
    scope TEXT NOT NULL,
    terms INTEGER REFERENCES terms (id),
    buckets TEXT,
    reserved_usd INTEGER NOT NULL DEFAULT 0, reserved_tokens INTEGER NOT NULL DEFAULT 0, reserved_input_tokens INTEGER NOT NULL DEFAULT 0, reserved_output_tokens INTEGER NOT NULL DEFAULT 0, reserved_calls INTEGER NOT NULL DEFAULT 0, reserved_branches INTEGER NOT NULL DEFAULT 0, reserved_parallel INTEGER NOT NULL DEFAULT 0, reserved_tool_calls INTEGER NOT NULL DEFAULT 0, reserved_retries INTEGER NOT NULL DEFAULT 0, spent_usd INTEGER NOT NULL DEFAULT 0, spent_tokens INTEGER NOT NULL DEFAULT 0, spent_input_tokens INTEGER NOT NULL DEFAULT 0, spent_output_tokens INTEGER NOT NULL DEFAULT 0, spent_calls INTEGER NOT NULL DEFAULT 0, spent_branches INTEGER NOT NULL DEFAULT 0, spent_parallel INTEGER NOT NULL DEFAULT 0, spent_tool_calls INTEGER NOT NULL DEFAULT 0, spent_retries INTEGER NOT NULL DEFAULT 0, overrun_usd INTEGER NOT NULL DEFAULT 0, overrun_tokens INTEGER NOT NULL DEFAULT 0, overrun_input_tokens INTEGER NOT NULL DEFAULT 0, overrun_output_tokens INTEGER NOT NULL DEFAULT 0, overrun_calls INTEGER NOT NULL DEFAULT 0, overrun_branches INTEGER NOT NULL DEFAULT 0, overrun_parallel INTEGER NOT NULL DEFAULT 0, overrun_tool_calls INTEGER NOT NULL DEFAULT 0, overrun_retries INTEGER NOT NULL DEFAULT 0,
    meter TEXT,  -- Of a top-up and of a limit that is set, with its amount.
    amount INTEGER,
    run_total_nanodollars INTEGER,
    provider TEXT, format TEXT, model_asked TEXT, model_used TEXT, tier TEXT, stream INTEGER, usage TEXT, bound_nanodollars INTEGER, bound_parts TEXT, cost_nanodollars INTEGER, price_source TEXT, estimated TEXT, decision TEXT CHECK (decision IN ('admitted', 'refused')), reason TEXT, rungs TEXT, parent_id TEXT, attempt INTEGER, fingerprint TEXT, started INTEGER, ended INTEGER, status TEXT,
    overruns TEXT,  -- Of a closing: all that is above the reservation, by meter.
    -- Of a reservation: what a repeated id must agree on, and whose it is until when.
    amounts TEXT,
    owner TEXT,  -- Boot id, process id and its start.
    deadline INTEGER
);
INSERT INTO entry VALUES(1,1772366400000000000,'open','o1','org:acme/run:triage',1,NULL,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO entry VALUES(2,1772366400000000000,'reserve','settled','org:acme/run:triage',1,'[1,2,3,4]',100,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,'{"usd":100,"calls":1,"parallel":1,"tool_calls":0}','boot-1/10966/1436405',1000120000000000);
INSERT INTO entry VALUES(3,1772366400000000000,'settle','settled','org:acme/run:triage',1,'[1,2,3,4]',-100,0,0,0,-1,0,-1,0,0,60,0,0,0,1,0,0,2,0,0,0,0,0,0,0,0,0,0,NULL,NULL,60,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO entry VALUES(4,1772366400000000000,'reserve','over','org:acme/run:triage',1,'[1,2,3,4]',100,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,'{"usd":100,"calls":1,"parallel":1,"tool_calls":0}','boot-1/10966/1436405',1000120000000000);
INSERT INTO entry VALUES(5,1772366400000000000,'settle','over','org:acme/run:triage',1,'[1,2,3,4]',-100,0,0,0,-1,0,-1,0,0,130,0,0,0,1,0,0,0,0,30,0,0,0,0,0,0,0,0,NULL,NULL,190,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'{"usd":30}',NULL,NULL,NULL);
INSERT INTO entry VALUES(6,1772366400000000000,'reserve','released','org:acme/run:triage',1,'[1,2,3,4]',100,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,'{"usd":100,"calls":1,"parallel":1,"tool_calls":0}','boot-1/10966/1436405',1000120000000000);
INSERT INTO entry VALUES(7,1772366400000000000,'release','released','org:acme/run:triage',1,'[1,2,3,4]',-100,0,0,0,-1,0,-1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,190,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'not_sent',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO entry VALUES(8,1772366400000000000,'reserve','expired','org:acme/run:triage',1,'[1,2,3,4]',100,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,'{"usd":100,"calls":1,"parallel":1,"tool_calls":0}','boot-1/10966/1436405',1000005000000000);
INSERT INTO entry VALUES(9,1772366400000000000,'reserve','corrected','org:acme/run:triage',1,'[1,2,3,4]',200,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,'{"usd":200,"calls":1,"parallel":1,"tool_calls":0}','boot-1/10966/1436405',1000005000000000);
INSERT INTO entry VALUES(10,1772366420000000000,'expire','corrected','org:acme/run:triage',1,'[1,2,3,4]',-200,0,0,0,-1,0,-1,0,0,200,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,390,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',100,NULL,'expired','admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,1772366420000000000,'expired',NULL,NULL,NULL,NULL);
INSERT INTO entry VALUES(11,1772366420000000000,'expire','expired','org:acme/run:triage',1,'[1,2,3,4]',-100,0,0,0,-1,0,-1,0,0,100,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,490,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',100,NULL,'expired','admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,1772366420000000000,'expired',NULL,NULL,NULL,NULL);
INSERT INTO entry VALUES(12,1772366420000000000,'correct','corrected','org:acme/run:triage',1,'[1,2,3,4]',0,0,0,0,0,0,0,0,0,50,0,0,0,0,0,0,0,0,50,0,0,0,0,0,0,0,0,NULL,NULL,540,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,'{"usd":50}',NULL,NULL,NULL);
INSERT INTO entry VALUES(13,1772366420000000000,'refuse','refused','org:acme/run:triage',2,NULL,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'refused','too little',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO entry VALUES(14,1772366420000000000,'reserve','open','org:acme/run:triage',1,'[1,5,3,4]',40,0,0,0,1,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,'openai','openai-chat','gpt-4o',NULL,NULL,1,'{"input_tokens":3,"output_tokens":4}',100,'[{"name":"input","tokens":3,"nanodollars":null,"reason":"bytes"}]',NULL,NULL,NULL,'admitted',NULL,'["prefix"]',NULL,0,NULL,NULL,NULL,NULL,NULL,'{"usd":40,"calls":1,"parallel":1,"tool_calls":0}','boot-1/10966/1436405',1000140000000000);
INSERT INTO entry VALUES(15,1772366420000000000,'close','c1','org:acme/run:triage',NULL,NULL,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'exited',NULL,NULL,NULL,NULL,NULL,NULL,'0',NULL,NULL,NULL,NULL);
CREATE TRIGGER entry_closes AFTER INSERT ON entry WHEN NEW.kind IN ('settle', 'release', 'expire', 'correct') BEGIN
    SELECT RAISE (ABORT, 'a reservation closes once') WHERE (SELECT state FROM reservation WHERE id = NEW.id)
        IS NOT iif(NEW.kind = 'correct', 'expired', 'open');
    UPDATE bucket SET reserved_usd = reserved_usd + NEW.reserved_usd, reserved_tokens = reserved_tokens + NEW.reserved_tokens, reserved_input_tokens = reserved_input_tokens + NEW.reserved_input_tokens, reserved_output_tokens = reserved_output_tokens + NEW.reserved_output_tokens, reserved_calls = reserved_calls + NEW.reserved_calls, reserved_branches = reserved_branches + NEW.reserved_branches, reserved_parallel = reserved_parallel + NEW.reserved_parallel, reserved_tool_calls = reserved_tool_calls + NEW.reserved_tool_calls, reserved_retries = reserved_retries + NEW.reserved_retries, spent_usd = spent_usd + NEW.spent_usd, spent_tokens = spent_tokens + NEW.spent_tokens, spent_input_tokens = spent_input_tokens + NEW.spent_input_tokens, spent_output_tokens = spent_output_tokens + NEW.spent_output_tokens, spent_calls = spent_calls + NEW.spent_calls, spent_branches = spent_branches + NEW.spent_branches, spent_parallel = spent_parallel + NEW.spent_parallel, spent_tool_calls = spent_tool_calls + NEW.spent_tool_calls, spent_retries = spent_retries + NEW.spent_retries, overrun_usd = overrun_usd + NEW.overrun_usd, overrun_tokens = overrun_tokens + NEW.overrun_tokens, overrun_input_tokens = overrun_input_tokens + NEW.overrun_input_tokens, overrun_output_tokens = overrun_output_tokens + NEW.overrun_output_tokens, overrun_calls = overrun_calls + NEW.overrun_calls, overrun_branches = overrun_branches + NEW.overrun_branches, overrun_parallel = overrun_parallel + NEW.overrun_parallel, overrun_tool_calls = overrun_tool_calls + NEW.overrun_tool_calls, overrun_retries = overrun_retries + NEW.overrun_retries
        WHERE id IN (SELECT value FROM json_each(NEW.buckets));
    UPDATE reservation SET closing = NEW.seq, state = CASE NEW.kind WHEN 'settle' THEN 'settled'
        WHEN 'release' THEN 'released' WHEN 'expire' THEN 'expired' ELSE 'corrected' END WHERE id = NEW.id;
END;
CREATE TRIGGER entry_kept BEFORE DELETE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;
CREATE TRIGGER entry_notes AFTER INSERT ON entry
WHEN NEW.kind IN ('close', 'open', 'opening_balance', 'refuse', 'set_limit', 'top_up') BEGIN
    SELECT RAISE (ABORT, 'a note changes no balance') WHERE NEW.reserved_usd <> 0 OR NEW.reserved_tokens <> 0 OR NEW.reserved_input_tokens <> 0 OR NEW.reserved_output_tokens <> 0 OR NEW.reserved_calls <> 0 OR NEW.reserved_branches <> 0 OR NEW.reserved_parallel <> 0 OR NEW.reserved_tool_calls <> 0 OR NEW.reserved_retries <> 0
        OR NEW.spent_usd <> 0 OR NEW.spent_tokens <> 0 OR NEW.spent_input_tokens <> 0 OR NEW.spent_output_tokens <> 0 OR NEW.spent_calls <> 0 OR NEW.spent_branches <> 0 OR NEW.spent_parallel <> 0 OR NEW.spent_tool_calls <> 0 OR NEW.spent_retries <> 0 OR NEW.overrun_usd <> 0 OR NEW.overrun_tokens <> 0 OR NEW.overrun_input_tokens <> 0 OR NEW.overrun_output_tokens <> 0 OR NEW.overrun_calls <> 0 OR NEW.overrun_branches <> 0 OR NEW.overrun_parallel <> 0 OR NEW.overrun_tool_calls <> 0 OR NEW.overrun_retries <> 0;
END;
CREATE UNIQUE INDEX entry_once ON entry (id, kind) WHERE kind IN ('open', 'close', 'refuse', 'top_up', 'set_limit');
CREATE INDEX entry_open ON entry (seq) WHERE kind = 'open';
CREATE TRIGGER entry_reserves AFTER INSERT ON entry WHEN NEW.kind = 'reserve' BEGIN
    UPDATE bucket SET reserved_usd = reserved_usd + NEW.reserved_usd, reserved_tokens = reserved_tokens + NEW.reserved_tokens, reserved_input_tokens = reserved_input_tokens + NEW.reserved_input_tokens, reserved_output_tokens = reserved_output_tokens + NEW.reserved_output_tokens, reserved_calls = reserved_calls + NEW.reserved_calls, reserved_branches = reserved_branches + NEW.reserved_branches, reserved_parallel = reserved_parallel + NEW.reserved_parallel, reserved_tool_calls = reserved_tool_calls + NEW.reserved_tool_calls, reserved_retries = reserved_retries + NEW.reserved_retries WHERE id IN (SELECT value FROM json_each(NEW.buckets));
    INSERT INTO reservation (id, state, deadline, reserving) VALUES (NEW.id, 'open', NEW.deadline, NEW.seq);
    SELECT RAISE (ABORT, 'a limit would be passed') FROM json_each(NEW.buckets) AS asked
        JOIN bucket ON bucket.id = asked.value
        JOIN place ON place.id = bucket.place
        JOIN line ON line.terms = NEW.terms AND line.place = bucket.place
        WHERE iif(place.window = 'minute', EXISTS (
            SELECT 1 FROM bucket AS ring
                WHERE ring.place = place.id AND ring.number BETWEEN bucket.number - 60 AND bucket.number
                GROUP BY ring.place HAVING sum(ring.reserved_usd + ring.spent_usd - ring.topped_up_usd) > coalesce(place.limit_usd, line.limit_usd) OR sum(ring.reserved_tokens + ring.spent_tokens - ring.topped_up_tokens) > coalesce(place.limit_tokens, line.limit_tokens) OR sum(ring.reserved_input_tokens + ring.spent_input_tokens - ring.topped_up_input_tokens) > coalesce(place.limit_input_tokens, line.limit_input_tokens) OR sum(ring.reserved_output_tokens + ring.spent_output_tokens - ring.topped_up_output_tokens) > coalesce(place.limit_output_tokens, line.limit_output_tokens) OR sum(ring.reserved_calls + ring.spent_calls - ring.topped_up_calls) > coalesce(place.limit_calls, line.limit_calls) OR sum(ring.reserved_branches + ring.spent_branches - ring.topped_up_branches) > coalesce(place.limit_branches, line.limit_branches) OR sum(ring.reserved_parallel + ring.spent_parallel - ring.topped_up_parallel) > coalesce(place.limit_parallel, line.limit_parallel) OR sum(ring.reserved_tool_calls + ring.spent_tool_calls - ring.topped_up_tool_calls) > coalesce(place.limit_tool_calls, line.limit_tool_calls) OR sum(ring.reserved_retries + ring.spent_retries - ring.topped_up_retries) > coalesce(place.limit_retries, line.limit_retries)
        ), bucket.reserved_usd + bucket.spent_usd - bucket.topped_up_usd > coalesce(place.limit_usd, line.limit_usd) OR bucket.reserved_tokens + bucket.spent_tokens - bucket.topped_up_tokens > coalesce(place.limit_tokens, line.limit_tokens) OR bucket.reserved_input_tokens + bucket.spent_input_tokens - bucket.topped_up_input_tokens > coalesce(place.limit_input_tokens, line.limit_input_tokens) OR bucket.reserved_output_tokens + bucket.spent_output_tokens - bucket.topped_up_output_tokens > coalesce(place.limit_output_tokens, line.limit_output_tokens) OR bucket.reserved_calls + bucket.spent_calls - bucket.topped_up_calls > coalesce(place.limit_calls, line.limit_calls) OR bucket.reserved_branches + bucket.spent_branches - bucket.topped_up_branches > coalesce(place.limit_branches, line.limit_branches) OR bucket.reserved_parallel + bucket.spent_parallel - bucket.topped_up_parallel > coalesce(place.limit_parallel, line.limit_parallel) OR bucket.reserved_tool_calls + bucket.spent_tool_calls - bucket.topped_up_tool_calls > coalesce(place.limit_tool_calls, line.limit_tool_calls) OR bucket.reserved_retries + bucket.spent_retries - bucket.topped_up_retries > coalesce(place.limit_retries, line.limit_retries));
END;
CREATE INDEX entry_scope ON entry (scope, seq);
CREATE TRIGGER entry_sets_limit AFTER INSERT ON entry WHEN NEW.kind = 'set_limit' BEGIN
    UPDATE place SET limit_usd = iif(NEW.meter = 'usd', NEW.amount, limit_usd), limit_tokens = iif(NEW.meter = 'tokens', NEW.amount, limit_tokens), limit_input_tokens = iif(NEW.meter = 'input_tokens', NEW.amount, limit_input_tokens), limit_output_tokens = iif(NEW.meter = 'output_tokens', NEW.amount, limit_output_tokens), limit_calls = iif(NEW.meter = 'calls', NEW.amount, limit_calls), limit_branches = iif(NEW.meter = 'branches', NEW.amount, limit_branches), limit_parallel = iif(NEW.meter = 'parallel', NEW.amount, limit_parallel), limit_tool_calls = iif(NEW.meter = 'tool_calls', NEW.amount, limit_tool_calls), limit_retries = iif(NEW.meter = 'retries', NEW.amount, limit_retries)
        WHERE id = (SELECT place FROM bucket WHERE id IN (SELECT value FROM json_each(NEW.buckets)));
END;
CREATE TRIGGER entry_tops_up AFTER INSERT ON entry WHEN NEW.kind = 'top_up' BEGIN
    UPDATE bucket SET topped_up_usd = topped_up_usd + iif(NEW.meter = 'usd', NEW.amount, 0), topped_up_tokens = topped_up_tokens + iif(NEW.meter = 'tokens', NEW.amount, 0), topped_up_input_tokens = topped_up_input_tokens + iif(NEW.meter = 'input_tokens', NEW.amount, 0), topped_up_output_tokens = topped_up_output_tokens + iif(NEW.meter = 'output_tokens', NEW.amount, 0), topped_up_calls = topped_up_calls + iif(NEW.meter = 'calls', NEW.amount, 0), topped_up_branches = topped_up_branches + iif(NEW.meter = 'branches', NEW.amount, 0), topped_up_parallel = topped_up_parallel + iif(NEW.meter = 'parallel', NEW.amount, 0), topped_up_tool_calls = topped_up_tool_calls + iif(NEW.meter = 'tool_calls', NEW.amount, 0), topped_up_retries = topped_up_retries + iif(NEW.meter = 'retries', NEW.amount, 0)
        WHERE id IN (SELECT value FROM json_each(NEW.buckets));
END;
CREATE TRIGGER entry_unchanged BEFORE UPDATE ON entry BEGIN
    SELECT RAISE (ABORT, 'the journal is append-only');
END;
CREATE TABLE line (
    terms INTEGER NOT NULL REFERENCES terms (id),
    place INTEGER NOT NULL REFERENCES place (id),
    limit_usd INTEGER, limit_tokens INTEGER, limit_input_tokens INTEGER, limit_output_tokens INTEGER, limit_calls INTEGER, limit_branches INTEGER, limit_parallel INTEGER, limit_tool_calls INTEGER, limit_retries INTEGER,
    PRIMARY KEY (terms, place)
) WITHOUT ROWID;
INSERT INTO line VALUES(1,1,5000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO line VALUES(1,2,NULL,NULL,NULL,NULL,9,NULL,NULL,NULL,NULL);
INSERT INTO line VALUES(1,3,NULL,NULL,NULL,NULL,90,NULL,NULL,NULL,NULL);
INSERT INTO line VALUES(1,4,1000,NULL,NULL,NULL,NULL,NULL,4,40,NULL);
INSERT INTO line VALUES(2,4,1000,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES('anchor','{"boot_id":"boot-1","offset_ns":1771366460000000000,"full_until_ns":0}');
INSERT INTO meta VALUES('fingerprint_key',X'540CF3BFE6CCED95F15C5A792E4B25CCA94EB2C966DBF01AE4E938F8924782DB');
INSERT INTO meta VALUES('ledger_id','241f389263de36fd');
CREATE TABLE place (
    id INTEGER PRIMARY KEY,
    scope TEXT NOT NULL,
    window TEXT NOT NULL,
    limit_usd INTEGER CHECK (limit_usd BETWEEN 0 AND 9007199254740991), limit_tokens INTEGER CHECK (limit_tokens BETWEEN 0 AND 9007199254740991), limit_input_tokens INTEGER CHECK (limit_input_tokens BETWEEN 0 AND 9007199254740991), limit_output_tokens INTEGER CHECK (limit_output_tokens BETWEEN 0 AND 9007199254740991), limit_calls INTEGER CHECK (limit_calls BETWEEN 0 AND 9007199254740991), limit_branches INTEGER CHECK (limit_branches BETWEEN 0 AND 9007199254740991), limit_parallel INTEGER CHECK (limit_parallel BETWEEN 0 AND 9007199254740991), limit_tool_calls INTEGER CHECK (limit_tool_calls BETWEEN 0 AND 9007199254740991), limit_retries INTEGER CHECK (limit_retries BETWEEN 0 AND 9007199254740991),
    UNIQUE (scope, window)
);
INSERT INTO place VALUES(1,'org:acme','day@Europe/Berlin',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO place VALUES(2,'org:acme','minute',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO place VALUES(3,'org:acme','hour@UTC',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO place VALUES(4,'org:acme/run:triage','',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE reservation (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'settled', 'released', 'expired', 'corrected')),
    deadline INTEGER NOT NULL,
    so_far TEXT NOT NULL DEFAULT '{}',
    reserving INTEGER NOT NULL REFERENCES entry (seq),
    closing INTEGER REFERENCES entry (seq)
) WITHOUT ROWID;
INSERT INTO reservation VALUES('corrected','corrected',1000005000000000,'{}',9,12);
INSERT INTO reservation VALUES('expired','expired',1000005000000000,'{}',8,11);
INSERT INTO reservation VALUES('open','open',1000140000000000,'{"usd":7}',14,NULL);
INSERT INTO reservation VALUES('over','settled',1000120000000000,'{}',4,5);
INSERT INTO reservation VALUES('released','released',1000120000000000,'{}',6,7);
INSERT INTO reservation VALUES('settled','settled',1000120000000000,'{}',2,3);
CREATE INDEX reservation_open ON reservation (id) WHERE state = 'open';
CREATE TABLE terms (id INTEGER PRIMARY KEY, contents TEXT NOT NULL UNIQUE);
INSERT INTO terms VALUES(1,'[["org:acme","usd","day@Europe/Berlin",5000],["org:acme","calls","minute",9],["org:acme","calls","hour@UTC",90],["org:acme/run:triage","usd","",1000],["org:acme/run:triage","calls","",null],["org:acme/run:triage","parallel","",4],["org:acme/run:triage","tool_calls","",40]]');
INSERT INTO terms VALUES(2,'[["org:acme/run:triage","usd","",1000]]');
pragma user_version=2;
pragma application_id=1397705814;
COMMIT TRANSACTION;
