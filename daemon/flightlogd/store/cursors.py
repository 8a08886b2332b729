"""Named positions of readers: the only SQL on `cursor`. They belong to a user."""

from collections.abc import Iterator

import apsw
from msgspec import Struct


class StoredCursor(Struct, frozen=True):
    """One row: up to where a reader has confirmed, and when it last did (microseconds since the epoch)."""

    uid: int
    name: str
    seq: int
    moved_at: int


def find_cursor(db: apsw.Connection, uid: int, name: str) -> StoredCursor | None:
    """Return a user's cursor, None where there is none of that name."""
    row = db.execute(
        "select uid, name, seq, moved_at from cursor where uid = ? and name = ?", (uid, name)
    ).fetchone()
    return None if row is None else StoredCursor(*row)


def put_cursor(db: apsw.Connection, cursor: StoredCursor) -> None:
    """Store a cursor, new or moved, in the caller's transaction."""
    db.execute(
        "insert into cursor (uid, name, seq, moved_at) values (?, ?, ?, ?)"
        " on conflict (uid, name) do update set seq = excluded.seq, moved_at = excluded.moved_at",
        (cursor.uid, cursor.name, cursor.seq, cursor.moved_at),
    )


def drop_cursor(db: apsw.Connection, uid: int, name: str) -> None:
    """Remove a cursor, in the caller's transaction."""
    db.execute("delete from cursor where uid = ? and name = ?", (uid, name))


def list_cursors(db: apsw.Connection, uid: int | None, skip: int, limit: int) -> Iterator[StoredCursor]:
    """Yield a user's cursors by name, or those of all users, from the `skip`th on."""
    where = "" if uid is None else "where uid = ?3"
    values = (limit, skip) if uid is None else (limit, skip, uid)
    for row in db.execute(
        f"select uid, name, seq, moved_at from cursor {where} order by uid, name limit ?1 offset ?2", values
    ):
        yield StoredCursor(*row)


def count_cursors(db: apsw.Connection, uid: int) -> int:
    """Return how many cursors a user has."""
    return int(db.execute("select count(*) from cursor where uid = ?", (uid,)).get)


def sum_up_cursors(db: apsw.Connection) -> tuple[int, int | None]:
    """Return how many cursors there are, and the position of the hindmost; None with none."""
    [(count, seq)] = db.execute("select count(*), min(seq) from cursor")
    return count, seq
