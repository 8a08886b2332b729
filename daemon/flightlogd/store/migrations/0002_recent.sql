-- Where an execution's newest lines are. In order of position, so that a commit touches the last page or two of
-- this table, not a page of execution_batch for each execution in it; moved over there many at a time.
CREATE TABLE execution_batch_recent (
    execution_id TEXT    NOT NULL,
    first_seq    INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    state_count  INTEGER NOT NULL,
    levels       INTEGER NOT NULL,
    min_time     INTEGER NOT NULL,
    max_time     INTEGER NOT NULL,
    offsets      BLOB,
    PRIMARY KEY (first_seq, execution_id)
) STRICT, WITHOUT ROWID;

-- `received` never steps back, so a position is found by it in the primary key's order.
DROP INDEX event_batch_received;
