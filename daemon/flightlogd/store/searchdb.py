"""search.db: a full-text index over the log's lines, derived from the log and worth nothing without it.

The index holds no text, only which words are in which line, by position; what is found is read from the log.
Beside the words of a message it has a line's facts as words of their own, so that filters are answered by
the index, too. What is wrong with the file in any way is answered by making it anew.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas import levels
from flightlog_schemas.answers import LogLine
from flightlogd.store.database import begin, commit
from flightlogd.store.rows import insert_rows

SEARCH_DATABASE: Final = "search.db"

_APPLICATION_ID: Final = 0x666C6F73
"""`flos`, in the file's header."""
_VERSION: Final = 1
"""Raised when the index of before does not answer what is asked now."""

_TOKENIZER: Final = ("unicode61", "remove_diacritics", "2")
"""Words are letters and digits, in any case, with or without accents: `id` is found in `user_id`, and
`/var/log/x.log` is four words in a row."""

_SCHEMA: Final = f"""
CREATE VIRTUAL TABLE line USING fts5(
    message, facts, content = '', contentless_delete = 1, tokenize = '{" ".join(_TOKENIZER)}'
);
-- Where to look for lines of a time: runs of positions in their order, and the times in them.
CREATE TABLE span (
    first_seq INTEGER PRIMARY KEY,
    last_seq  INTEGER NOT NULL,
    min_time  INTEGER NOT NULL,
    max_time  INTEGER NOT NULL
) STRICT;
-- What this is an index of, and how far it is.
CREATE TABLE indexed (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    log_id       TEXT    NOT NULL,
    position     INTEGER NOT NULL,      -- everything up to here is indexed
    row_seq      INTEGER NOT NULL,      -- first_seq of the last row of the log in it, 0 for none
    chain        BLOB    NOT NULL,      -- and that row's chain, so that another log is not taken for it
    tombstone_id INTEGER NOT NULL       -- what governance took up to here is not in it
) STRICT;
"""

_SCRATCH: Final = """
CREATE TABLE temp.scratch (
    seq INTEGER PRIMARY KEY, time INTEGER, message TEXT, facts TEXT, event TEXT
);
CREATE TABLE temp.level (name TEXT PRIMARY KEY, fact TEXT NOT NULL) WITHOUT ROWID;
"""

# One pass over the JSON of a row, without the GIL. What is no plain log line is left to Python.
_TAKE_APART: Final = """
INSERT INTO temp.scratch
SELECT
    ?1 + l.key,
    coalesce(l.value ->> '$.time', ?2),
    l.value ->> '$.message',
    'x' || hex(l.value ->> '$.execution_id')
    || ' ' || coalesce((
        SELECT fact FROM temp.level
        WHERE name = CASE WHEN json_type(l.value, '$.level') IN ('text', 'integer')
            THEN upper(l.value ->> '$.level') END
    ), ?4)
    || coalesce(' s' || hex(l.value ->> '$.source'), '')
    || coalesce(' t' || hex(l.value ->> '$.task_id'), ''),
    CASE WHEN l.value ->> '$.type' <> 'log' OR l.value ->> '$.v' IS NOT NULL THEN json(l.value) END
FROM jsonb_each(CAST(?3 AS TEXT)) AS l
WHERE l.type = 'object'
"""

_SPAN_LINES: Final = 4096
"""Positions in a span before the next one begins: a hundred million lines are some ten thousand spans."""


class Row(Struct):
    """A row of the log."""

    first_seq: int
    last_seq: int
    received: int
    lines: bytes


class Indexed(Struct):
    """What an index is of, and how far it is; see the table `indexed`."""

    log_id: str
    position: int
    row_seq: int
    chain: bytes
    tombstone_id: int


def open_index(path: Path, log_id: str) -> apsw.Connection:
    """Open the index, made anew where there is none, or one that is damaged or of another log or version."""
    if path.exists():
        db = None
        try:
            db = _connect(path)
            known = (db.pragma("application_id"), db.pragma("user_version")) == (_APPLICATION_ID, _VERSION)
            if known and read_indexed(db).log_id == log_id:
                return db
        except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError, ValueError):
            pass  # whatever is in there, it is no index of ours that can be read
        if db is not None:
            db.close()
    discard_index(path)
    db = _connect(path)
    begin(db)
    db.execute(_SCHEMA)
    db.execute(f"pragma application_id = {_APPLICATION_ID}")
    db.execute(f"pragma user_version = {_VERSION}")
    db.execute("insert into indexed values (1, ?, 0, 0, x'', 0)", (log_id,))
    commit(db)
    return db


def discard_index(path: Path) -> None:
    """Throw the index away; nobody may have it open."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm", f"{path.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)


def _connect(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    try:
        # Before the first table: what governance takes out of the index goes back to the file system.
        db.execute("pragma auto_vacuum = incremental")
        # Questions go on while it is written.
        db.execute("pragma journal_mode = wal")
        # A power cut may cost the newest commits, which are made again, and leaves the file whole.
        db.execute("pragma synchronous = normal")
        db.execute("pragma busy_timeout = 5000")
        # What a merge of the index wrote there is given back.
        db.execute("pragma journal_size_limit = 16777216")
        db.execute("pragma cache_size = -2048")
        db.execute("pragma temp_store = memory")
        db.execute(_SCRATCH)
        names = {name: number for name in _LEVEL_NAMES if (number := levels.level_number(name)) is not None}
        insert_rows(db, "temp.level", [(name, level_fact(number)) for name, number in names.items()])
    except BaseException:
        db.close()
        raise
    return db


_LEVEL_NAMES: Final = (
    *levels.SPELLINGS,
    *(f"{number:{width}}" for number in range(1, 25) for width in ("", "02")),
)


def read_indexed(db: apsw.Connection) -> Indexed:
    """Return what an index is of, and how far it is.

    Raises:
        ValueError: that is not in it.
    """
    [row] = db.execute("select log_id, position, row_seq, chain, tombstone_id from indexed")
    return Indexed(*row)


def save_indexed(db: apsw.Connection, indexed: Indexed) -> None:
    """Note how far the index is, in the transaction that brought it there."""
    db.execute(
        "update indexed set position = ?, row_seq = ?, chain = ?, tombstone_id = ?",
        (indexed.position, indexed.row_seq, indexed.chain, indexed.tombstone_id),
    )


def take_apart(db: apsw.Connection, rows: Iterable[Row]) -> list[tuple[int, int, bytes]]:
    """Make ready to index these rows; return (seq, received, line) of what is no plain log line."""
    db.execute("delete from temp.scratch")
    others: list[tuple[int, int, bytes]] = []
    for row in rows:
        db.execute(_TAKE_APART, (row.first_seq, row.received, row.lines, level_fact(levels.INFO)))
        others += [
            (seq, row.received, event.encode())
            for seq, event in db.execute(
                "select seq, event from temp.scratch where seq between ? and ? and event is not null",
                (row.first_seq, row.last_seq),
            )
        ]
    return others


def add_lines(db: apsw.Connection, others: Sequence[LogLine]) -> None:
    """Index the plain log lines made ready, and the others as lines of a log."""
    db.execute(
        "insert into line (rowid, message, facts)"
        " select seq, message, facts from temp.scratch where event is null order by seq"
    )
    insert_rows(
        db, "line (rowid, message, facts)", [(line.seq, line.message, _facts(line)) for line in others]
    )
    found = db.execute("select min(seq), max(seq), min(time), max(time) from temp.scratch").fetchone()
    if found is not None and found[0] is not None:
        _extend_span(db, *found)


def _extend_span(db: apsw.Connection, first_seq: int, last_seq: int, min_time: int, max_time: int) -> None:
    db.execute(
        "update span set last_seq = ?1, min_time = min(min_time, ?2), max_time = max(max_time, ?3)"
        " where first_seq = (select max(first_seq) from span) and ?1 - first_seq < ?4",
        (last_seq, min_time, max_time, _SPAN_LINES),
    )
    if not db.changes():
        db.execute("insert into span values (?, ?, ?, ?)", (first_seq, last_seq, min_time, max_time))


def forget_lines(db: apsw.Connection, first_seq: int, last_seq: int, rows: Iterable[Row], limit: int) -> bool:
    """Take out of the index what the log no longer has between two positions.

    Args:
        db: The index.
        first_seq: The range's beginning.
        last_seq: Its end.
        rows: What the log has there now.
        limit: Most lines to take out at once.

    Returns:
        False when there is more to take out.
    """
    db.execute("delete from temp.scratch")
    for row in rows:
        db.execute(
            "insert or ignore into temp.scratch (seq)"
            " select ?1 + key from jsonb_each(CAST(?2 AS TEXT)) where type = 'object'",
            (row.first_seq, row.lines),
        )
    gone = [
        (seq,)
        for (seq,) in db.execute(
            "select id from line_docsize where id between ? and ?"
            " and id not in (select seq from temp.scratch) limit ?",
            (first_seq, last_seq, limit),
        )
    ]
    db.executemany("delete from line where rowid = ?", gone)
    return len(gone) < limit


def _facts(line: LogLine) -> str:
    facts = [fact("x", line.execution_id), level_fact(levels.level_number(line.level) or levels.INFO)]
    if line.source is not None:
        facts.append(fact("s", line.source))
    if line.task_id is not None:
        facts.append(fact("t", line.task_id))
    return " ".join(facts)


def fact(kind: str, value: str) -> str:
    """Return what is indexed of a line with this value: x an execution, s a source, t a task."""
    return kind + value.encode().hex()


def level_fact(number: int) -> str:
    """Return what is indexed of a line of this level's range."""
    return f"l{(number - 1) // 4}"


def tokens(db: apsw.Connection, text: str) -> list[str]:
    """Return the words that a text is to the index."""
    tokenizer = db.fts5_tokenizer(_TOKENIZER[0], list(_TOKENIZER[1:]))
    found = tokenizer(
        text.encode(), apsw.FTS5_TOKENIZE_QUERY, None, include_offsets=False, include_colocated=False
    )
    return [str(token) for token in found]


def find_lines(
    db: apsw.Connection, expression: str, since: int | None, until: int | None, before: int, limit: int
) -> list[int]:
    """Return positions of lines, newest first.

    Args:
        db: The index.
        expression: What FTS5 is asked.
        since: Lines before this time may be left out.
        until: Lines at or after this time may be left out.
        before: Only positions below this one.
        limit: How many.
    """
    first, last = 0, before - 1
    if since is not None or until is not None:
        bounds = db.execute(_BOUNDS, (since, until)).fetchone()
        if bounds is None or bounds[0] is None:
            return []
        first, last = bounds[0], min(last, bounds[1])
    return [seq for (seq,) in db.execute(_FIND, (expression, first, last, limit))]


_BOUNDS: Final = (
    "select min(first_seq), max(last_seq) from span"
    " where (?1 is null or max_time >= ?1) and (?2 is null or min_time < ?2)"
)
_FIND: Final = (
    "select rowid from line where line match ? and rowid between ? and ? order by rowid desc limit ?"
)
