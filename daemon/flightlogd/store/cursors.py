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


def list_cursors(
    db: apsw.Connection, uid: int | None, name: str | None, skip: int, limit: int
) -> Iterator[StoredCursor]:
    """Yield cursors by user and name, from the `skip`th on: of one user or of all, of one name or of all."""
    for row in db.execute(
        "select uid, name, seq, moved_at from cursor where (?1 is null or uid = ?1)"
        " and (?2 is null or name = ?2) order by uid, name limit ?3 offset ?4",
        (uid, name, limit, skip),
    ):
        yield StoredCursor(*row)


def count_cursors(db: apsw.Connection, uid: int) -> int:
    """Return how many cursors a user has."""
    return int(db.execute("select count(*) from cursor where uid = ?", (uid,)).get)


def cursors_below(db: apsw.Connection, seq: int, limit: int) -> list[StoredCursor]:
    """Return cursors that stand below a position, the hindmost first."""
    return [
        StoredCursor(*row)
        for row in db.execute(
            "select uid, name, seq, moved_at from cursor where seq < ? order by seq, uid, name limit ?",
            (seq, limit),
        )
    ]


def cursors_named(db: apsw.Connection, prefix: str, limit: int) -> list[StoredCursor]:
    """Return cursors whose name begins so, the hindmost first."""
    return [
        StoredCursor(*row)
        for row in db.execute(
            "select uid, name, seq, moved_at from cursor where substr(name, 1, length(?1)) = ?1"
            " order by seq, uid, name limit ?2",
            (prefix, limit),
        )
    ]


def sum_up_cursors(db: apsw.Connection) -> tuple[int, int | None]:
    """Return how many cursors there are, and the position of the hindmost; None with none."""
    [(count, seq)] = db.execute("select count(*), min(seq) from cursor")
    return count, seq
