-- The log. One row per batch committed together: the unit of durability is the unit of storage.
CREATE TABLE event_batch (
    first_seq INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL CHECK (last_seq >= first_seq),
    received  INTEGER NOT NULL,          -- microseconds since the epoch, by the daemon; never steps back
    spans     TEXT    NOT NULL,          -- JSON [[index, producer, first_line, count, uid, pid], ...]
    digest    BLOB    NOT NULL,          -- SHA-256 of the lines as first stored
    chain     BLOB    NOT NULL,          -- SHA-256 over the previous chain, the columns above and digest
    codec     INTEGER NOT NULL DEFAULT 0, -- 0: a plain JSON array
    lines     BLOB    NOT NULL
) STRICT;

-- Where an execution's lines are.
CREATE TABLE execution_batch (
    execution_id TEXT    NOT NULL,
    first_seq    INTEGER NOT NULL,
    count        INTEGER NOT NULL,       -- its lines in the batch
    state_count  INTEGER NOT NULL,       -- how many of them move its state_seq
    levels       INTEGER NOT NULL,       -- one bit for each level range among its log lines, TRACE lowest
    min_time     INTEGER NOT NULL,
    max_time     INTEGER NOT NULL,
    offsets      BLOB,                   -- start << 11 | index, 32 bits each; NULL: every line of the batch
    PRIMARY KEY (execution_id, first_seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX execution_batch_state ON execution_batch (execution_id, first_seq) WHERE state_count > 0;
CREATE INDEX event_batch_received ON event_batch (received);

-- Keys of events that carry one; a row outlives its event.
CREATE TABLE event_key (
    uid         INTEGER NOT NULL,
    key_digest  BLOB    NOT NULL,        -- SHA-256 of the key, first 16 bytes
    seq         INTEGER NOT NULL,
    line_digest BLOB    NOT NULL,        -- SHA-256 of the line, first 16 bytes
    PRIMARY KEY (uid, key_digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE producer (
    producer   TEXT    PRIMARY KEY,
    uid        INTEGER NOT NULL,         -- the uid that first used it; it belongs to no other
    pid        INTEGER NOT NULL,
    line       INTEGER NOT NULL,         -- lines up to here are settled
    last_seq   INTEGER NOT NULL,
    bye_lines  INTEGER,                  -- its clean end
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Lines that have a number and no position: never sent, refused, or known by their key.
CREATE TABLE line_gap (
    producer   TEXT    NOT NULL,
    first_line INTEGER NOT NULL,
    last_line  INTEGER NOT NULL,
    cause      TEXT    NOT NULL CHECK (cause IN ('missing', 'refused', 'duplicate')),
    received   INTEGER NOT NULL,
    PRIMARY KEY (producer, first_line)
) STRICT, WITHOUT ROWID;

-- The newest refused lines: their bytes (cut) and the reason.
CREATE TABLE refused (
    refused_id INTEGER PRIMARY KEY,
    producer   TEXT    NOT NULL,
    line       INTEGER NOT NULL,
    uid        INTEGER NOT NULL,
    pid        INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    code       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    bytes      BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX refused_line ON refused (producer, line);

-- What governance took away: the range, how much, why, and the digest of what is there now.
CREATE TABLE tombstone (
    tombstone_id INTEGER PRIMARY KEY,
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    lines        INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    cause        TEXT    NOT NULL,
    digest       BLOB    NOT NULL,
    detail       TEXT,
    pruned_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX tombstone_range ON tombstone (first_seq, last_seq);

-- The end of the log, stored and never derived, so that a truncated table shows.
CREATE TABLE log_head (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    log_id   TEXT    NOT NULL,           -- this log among all logs
    seq      INTEGER NOT NULL,
    chain    BLOB    NOT NULL,
    received INTEGER NOT NULL
) STRICT;

-- Named positions of readers.
CREATE TABLE cursor (
    name     TEXT    NOT NULL,
    uid      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    moved_at INTEGER NOT NULL,
    PRIMARY KEY (uid, name)
) STRICT, WITHOUT ROWID;

-- How far each read model is, in the transaction of its rows.
CREATE TABLE projection (
    name      TEXT    PRIMARY KEY,
    version   INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    broken_at INTEGER,
    error     TEXT
) STRICT, WITHOUT ROWID;

-- No event is ever changed. Governance drops these triggers inside its own transaction.
CREATE TRIGGER event_batch_immutable BEFORE UPDATE ON event_batch
BEGIN SELECT RAISE(ABORT, 'the event log is immutable: no UPDATE'); END;
CREATE TRIGGER event_batch_permanent BEFORE DELETE ON event_batch
BEGIN SELECT RAISE(ABORT, 'the event log is immutable: no DELETE'); END;
-- INSERT OR REPLACE slips past a DELETE trigger, so a position at or below the head is refused as well.
CREATE TRIGGER event_batch_append_only BEFORE INSERT ON event_batch
WHEN NEW.first_seq <= (SELECT seq FROM log_head)
BEGIN SELECT RAISE(ABORT, 'the event log is append-only: first_seq is not above the head'); END;

-- One row per event, for whole scans with a SQLite shell.
CREATE VIEW event AS
SELECT
    b.first_seq + l.key AS seq,
    b.received AS received,
    s.value ->> 4 AS uid,
    s.value ->> 5 AS pid,
    s.value ->> 1 AS producer,
    (s.value ->> 2) + l.key - (s.value ->> 0) AS line,
    l.value ->> '$.type' AS type,
    l.value ->> '$.execution_id' AS execution_id,
    coalesce(l.value ->> '$.time', b.received) AS time,
    l.value AS event
FROM event_batch AS b, json_each(CAST(b.lines AS TEXT)) AS l, json_each(b.spans) AS s
WHERE l.type = 'object'
  AND l.key >= s.value ->> 0
  AND l.key < (s.value ->> 0) + (s.value ->> 3);
