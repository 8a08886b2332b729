-- Rows that nobody wrote to for long are compressed: codec is the dictionary that it takes to read them.
CREATE TABLE cold_dictionary (
    codec   INTEGER PRIMARY KEY,         -- never given twice
    content BLOB NOT NULL,               -- empty: no row needs it any more
    made_at INTEGER NOT NULL             -- microseconds since the epoch
) STRICT;

-- How much of the log is stored how: positions in rows that are there, and bytes of their lines.
ALTER TABLE log_head ADD COLUMN hot_events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN hot_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN cold_events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_head ADD COLUMN cold_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE log_head SET (hot_events, hot_bytes) =
    (SELECT coalesce(sum(last_seq - first_seq + 1), 0), coalesce(sum(length(lines)), 0) FROM event_batch);

-- Appending counts for itself, many rows at once.
CREATE TRIGGER event_batch_counted AFTER UPDATE OF codec, lines ON event_batch
BEGIN
    UPDATE log_head SET
        hot_events = hot_events + (new.last_seq - new.first_seq + 1) * ((new.codec = 0) - (old.codec = 0)),
        cold_events = cold_events + (new.last_seq - new.first_seq + 1) * ((new.codec > 0) - (old.codec > 0)),
        hot_bytes = hot_bytes + iif(new.codec = 0, length(new.lines), 0) - iif(old.codec = 0, length(old.lines), 0),
        cold_bytes = cold_bytes + iif(new.codec > 0, length(new.lines), 0) - iif(old.codec > 0, length(old.lines), 0);
END;
CREATE TRIGGER event_batch_discounted AFTER DELETE ON event_batch
BEGIN
    UPDATE log_head SET
        hot_events = hot_events - (old.last_seq - old.first_seq + 1) * (old.codec = 0),
        cold_events = cold_events - (old.last_seq - old.first_seq + 1) * (old.codec > 0),
        hot_bytes = hot_bytes - iif(old.codec = 0, length(old.lines), 0),
        cold_bytes = cold_bytes - iif(old.codec > 0, length(old.lines), 0);
END;

-- One row per event, for whole scans by `flightlogd sql`, which knows `plain_lines`.
DROP VIEW event;
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
FROM
    event_batch AS b,
    json_each(CAST(iif(b.codec = 0, b.lines, plain_lines(b.codec, b.lines)) AS TEXT)) AS l,
    json_each(b.spans) AS s
WHERE l.type = 'object'
  AND l.key >= s.value ->> 0
  AND l.key < (s.value ->> 0) + (s.value ->> 3);
