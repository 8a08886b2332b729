-- How far each read model is. NULL: level with the log, in the transaction of its rows; so a commit need not say
-- so of each.
CREATE TABLE projection_level (
    name      TEXT    PRIMARY KEY,
    version   INTEGER NOT NULL,
    position  INTEGER,
    broken_at INTEGER,
    error     TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO projection_level SELECT name, version, position, broken_at, error FROM projection;
DROP TABLE projection;
ALTER TABLE projection_level RENAME TO projection;

-- Rows are only ever appended to it: in the order of a rowid a commit touches the last page, and no other. What
-- waits there is moved to its place first.
INSERT INTO execution_batch SELECT * FROM execution_batch_recent;
DROP TABLE execution_batch_recent;
CREATE TABLE execution_batch_recent (
    at_seq       INTEGER PRIMARY KEY,    -- the execution's first line in the batch
    execution_id TEXT    NOT NULL,
    first_seq    INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    state_count  INTEGER NOT NULL,
    levels       INTEGER NOT NULL,
    min_time     INTEGER NOT NULL,
    max_time     INTEGER NOT NULL,
    offsets      BLOB
) STRICT;
