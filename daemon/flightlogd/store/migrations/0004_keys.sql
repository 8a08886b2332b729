-- The newest keys, so that a commit touches few pages; moved to event_key many at a time.
CREATE TABLE event_key_recent (
    uid         INTEGER NOT NULL,
    key_digest  BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    line_digest BLOB    NOT NULL,
    PRIMARY KEY (uid, key_digest)
) STRICT, WITHOUT ROWID;
