-- Lines leave the log by governance alone: it puts a row here and takes it away again within one transaction.
-- Outside of such a one this table is empty, and the triggers below refuse what they always refused.
CREATE TABLE governance (
    id INTEGER PRIMARY KEY CHECK (id = 1)
) STRICT;

DROP TRIGGER event_batch_immutable;
DROP TRIGGER event_batch_permanent;
CREATE TRIGGER event_batch_immutable BEFORE UPDATE ON event_batch
WHEN NOT EXISTS (SELECT 1 FROM governance)
BEGIN SELECT RAISE(ABORT, 'the event log is immutable: no UPDATE'); END;
CREATE TRIGGER event_batch_permanent BEFORE DELETE ON event_batch
WHEN NOT EXISTS (SELECT 1 FROM governance)
BEGIN SELECT RAISE(ABORT, 'the event log is immutable: no DELETE'); END;
-- What is sealed stays as it is even then: only the lines may leave.
CREATE TRIGGER event_batch_sealed
BEFORE UPDATE OF first_seq, last_seq, received, spans, digest, chain ON event_batch
BEGIN SELECT RAISE(ABORT, 'the event log is immutable: only lines leave it, by governance'); END;

-- The chain at the end of a range whose rows are gone: the next row's chain goes on from it.
-- NULL: the row is there, some of its lines are `null` or masked.
ALTER TABLE tombstone ADD COLUMN chain BLOB;
-- 1: a `daemon.pruned` event in the chain holds the digest of this row.
ALTER TABLE tombstone ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tombstone_hole ON tombstone (first_seq) WHERE chain IS NOT NULL;
CREATE INDEX tombstone_unsealed ON tombstone (tombstone_id) WHERE NOT sealed;

-- What was taken of an execution's log, so that its counters never shrink and a rebuild comes to the same
-- rows: how many lines of each level range, the positions of the first and the last, the earliest time.
CREATE TABLE tombstone_log (
    execution_id TEXT    NOT NULL,
    tombstone_id INTEGER NOT NULL REFERENCES tombstone (tombstone_id),
    trace        INTEGER NOT NULL,
    debug        INTEGER NOT NULL,
    info         INTEGER NOT NULL,
    warn         INTEGER NOT NULL,
    error        INTEGER NOT NULL,
    fatal        INTEGER NOT NULL,
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    first_time   INTEGER NOT NULL,
    PRIMARY KEY (execution_id, tombstone_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_log_tombstone ON tombstone_log (tombstone_id);

-- Executions that are being removed whole: what they said up to here counts as never said. A row is there from
-- when the read models forgot them until their last line has left the log.
CREATE TABLE removal (
    execution_id TEXT    PRIMARY KEY,
    until_seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
