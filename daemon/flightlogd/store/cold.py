"""Which rows of the log are stored compressed: the only SQL that makes them so, or not.

What a row says stays the same: its digest is that of its lines, not of how they are stored.
"""

from collections.abc import Sequence
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas.answers import StoredStatus
from flightlogd.store.damage import UNREADABLE, next_readable
from flightlogd.store.packed import LINES

_STEP_ROWS: Final = 2048
"""Rows looked at in one read; most are as they should be."""

_STEP_BYTES: Final = 512 * 1024

_LARGEST_BYTES: Final = 2 * 1024 * 1024
"""A row with a longer line stays as it is: rewriting it would keep commits waiting."""


def stored(db: apsw.Connection) -> StoredStatus:
    """Return how much is stored compressed, and how much is not."""
    [row] = db.execute("select hot_events, hot_bytes, cold_events, cold_bytes from log_head")
    return StoredStatus(hot_events=row[0], hot_bytes=row[1], cold_events=row[2], cold_bytes=row[3])


class Row(Struct):
    """A row, by its first position, and its lines: as they are read, or as they are to be stored."""

    first_seq: int
    lines: bytes


class Found(Struct):
    """Rows that were looked for.

    Attributes:
        rows: Some.
        position: Positions up to here have been looked at.
        done: True when there is nothing more to look at.
    """

    rows: list[Row]
    position: int
    done: bool


def find_hot(db: apsw.Connection, after: int, before_us: int) -> Found:
    """Return the next rows above a position that were received before a time and are not compressed."""
    found = Found([], after, done=True)
    size_bytes = 0
    try:
        for first_seq, last_seq, received, codec, row_bytes in db.execute(
            "select first_seq, last_seq, received, codec, length(lines) from event_batch"
            " where first_seq > ? order by first_seq limit ?",
            (after, _STEP_ROWS),
        ):
            if received >= before_us:
                break
            found.done = False
            if codec == 0 and row_bytes <= _LARGEST_BYTES:
                found.rows.append(Row(first_seq, _lines(db, first_seq)))
                size_bytes += row_bytes
            found.position = last_seq
            if size_bytes >= _STEP_BYTES:
                break
    except UNREADABLE:
        # Whoever reads what is damaged says so; what is behind it can be compressed.
        readable = next_readable(db, found.position)
        return found if readable is None else Found(found.rows, readable - 1, done=False)
    return found


def find_packed(db: apsw.Connection, after: int, codecs: Sequence[int]) -> Found:
    """Return the next rows above a position that are compressed with some dictionaries, as plain lines.

    Raises:
        apsw.CorruptError: one cannot be read.
    """
    found = Found([], after, done=True)
    size_bytes = 0
    for first_seq, last_seq, codec in db.execute(
        "select first_seq, last_seq, codec from event_batch where first_seq > ? order by first_seq limit ?",
        (after, _STEP_ROWS),
    ):
        found.done = False
        if codec in codecs:
            found.rows.append(Row(first_seq, _lines(db, first_seq)))
            size_bytes += len(found.rows[-1].lines)
        found.position = last_seq
        if size_bytes >= _STEP_BYTES:
            break
    return found


def _lines(db: apsw.Connection, first_seq: int) -> bytes:
    return bytes(db.execute(f"select {LINES} from event_batch where first_seq = ?", (first_seq,)).get)


def newest_dictionary(db: apsw.Connection) -> tuple[int, bytes]:
    """Return the number and content of the dictionary made last, (0, b"") where there is none."""
    row = db.execute("select codec, content from cold_dictionary order by codec desc limit 1").fetchone()
    return (0, b"") if row is None else (int(row[0]), bytes(row[1]))


def dictionaries(db: apsw.Connection) -> dict[int, bytes]:
    """Return the contents of all dictionaries that rows may need."""
    return {
        int(codec): bytes(content)
        for codec, content in db.execute("select codec, content from cold_dictionary where content <> x''")
    }


def add_dictionary(db: apsw.Connection, content: bytes, made_at: int) -> int:
    """Store a dictionary, in a transaction of its own, and return its number."""
    db.execute(
        "insert into cold_dictionary select coalesce(max(codec), 0) + 1, ?, ? from cold_dictionary",
        (content, made_at),
    )
    return db.last_insert_rowid()


def forget_dictionaries(db: apsw.Connection, codecs: Sequence[int]) -> None:
    """Empty dictionaries that no row needs any more, in a transaction of its own; numbers are used once."""
    marks = ", ".join("?" * len(codecs))
    db.execute(f"update cold_dictionary set content = x'' where codec in ({marks})", tuple(codecs))


def freeze(db: apsw.Connection, codec: int, row: Row, packed: bytes) -> None:
    """Store a row's lines compressed, in a transaction of `governing`, unless they changed since."""
    db.execute(
        "update event_batch set codec = ?, lines = ? where first_seq = ? and codec = 0 and lines = ?",
        (codec, packed, row.first_seq, row.lines),
    )


def thaw(db: apsw.Connection, row: Row) -> None:
    """Store a row's lines plain again, in a transaction of `governing`."""
    db.execute("update event_batch set codec = 0, lines = ? where first_seq = ?", (row.lines, row.first_seq))
