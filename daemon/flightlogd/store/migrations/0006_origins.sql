-- The logs whose lines are here, this one among them: what belongs to which is told by what ids of executions
-- end with.
CREATE TABLE origin (
    mark        TEXT    PRIMARY KEY,     -- '' for this log
    log_id      TEXT    NOT NULL,
    host        TEXT    NOT NULL,        -- its machine, as it was called last
    events      INTEGER NOT NULL,        -- of other logs only: this one has what is left
    seq         INTEGER NOT NULL,        -- the highest position there
    first_at    INTEGER NOT NULL,        -- when the first line was received there, and the last
    last_at     INTEGER NOT NULL,
    received    INTEGER NOT NULL         -- when lines came here last
) STRICT, WITHOUT ROWID;
CREATE INDEX origin_host ON origin (host);

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
    l.value AS event,
    s.value ->> '$[6][1]' AS host        -- where it was recorded first, NULL: here
FROM
    event_batch AS b,
    json_each(CAST(iif(b.codec = 0, b.lines, plain_lines(b.codec, b.lines)) AS TEXT)) AS l,
    json_each(b.spans) AS s
WHERE l.type = 'object'
  AND l.key >= s.value ->> 0
  AND l.key < (s.value ->> 0) + (s.value ->> 3);
