"""Damaged files: which positions of the log cannot be read, and which tables of read models."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import apsw

from flightlogd.store.database import is_damage
from flightlogd.store.packed import LINES

UNREADABLE: Final = (apsw.CorruptError, apsw.IOError)
"""A page is not what SQLite wrote, or the disk does not give it back."""


class DamagedRangeError(apsw.CorruptError):
    """Positions of the log cannot be read."""

    def __init__(self, first_seq: int, last_seq: int, cause: object) -> None:
        super().__init__(f"positions {first_seq} to {last_seq} of the log are damaged: {cause}")


class DamagedTableError(apsw.CorruptError):
    """A table of a read model is not what SQLite wrote; what was begun has to be rolled back.

    Attributes:
        name: The read model.
    """

    def __init__(self, name: str, cause: object) -> None:
        super().__init__(str(cause))
        self.name = name


def next_readable(db: apsw.Connection, after: int) -> int | None:
    """Return the first position above `after` whose row can be read whole, None where there is none.

    Rows that share a page are damaged together, so it is looked for in growing steps, then between the last
    two. Where there are several such places close to each other they count as one.
    """
    low, step = after, 1
    high = _first_after(db, low)
    end = int(db.execute("select seq from log_head").get)
    while high is None:
        low += step
        step *= 2
        if low >= end:
            high = _reads(db, "where first_seq > ? order by first_seq desc limit 1", after)
            if high is None:
                return None
            low = after
            break
        high = _first_after(db, low)
    # Behind `low` nothing is found, the row at `high` is.
    low = max(after, low - step // 2)
    while high - low > 1:
        middle = (low + high) // 2
        if (found := _first_after(db, middle - 1)) is None:
            low = middle
        else:
            high = found if found < high else middle
    return _first_after(db, high - 1)


def _first_after(db: apsw.Connection, seq: int) -> int | None:
    return _reads(db, "where first_seq > ? order by first_seq limit 1", seq)


def _reads(db: apsw.Connection, where: str, seq: int) -> int | None:
    """Return the position of a row, where it can be read whole."""
    try:
        row = db.execute(
            f"select first_seq, spans, chain, {LINES} from event_batch {where}", (seq,)
        ).fetchone()
    except UNREADABLE:
        return None
    return None if row is None else int(row[0])


def damaged_range(db: apsw.Connection, after: int, cause: object) -> DamagedRangeError:
    """Return what is to be said where the rows right after a position cannot be read."""
    found = next_readable(db, after)
    if found is None:
        found = int(db.execute("select seq from log_head").get) + 1
    return DamagedRangeError(after + 1, max(found - 1, after + 1), cause)


@contextmanager
def naming(first_seq: int, last_seq: int) -> Iterator[None]:
    """Have what cannot be read, or is no line any more, named by its positions."""
    try:
        yield
    except (*UNREADABLE, ValueError, RecursionError) as error:
        raise DamagedRangeError(first_seq, last_seq, error) from error


def damaged_tables(db: apsw.Connection, tables: Iterable[str]) -> list[str]:
    """Return which tables, or their indexes, are not what SQLite wrote."""
    return [table for table in tables if not _is_whole(db, table)]


def _is_whole(db: apsw.Connection, table: str) -> bool:
    try:
        return bool(db.execute(f"pragma integrity_check({table})").get == "ok")
    except apsw.Error as error:
        if not is_damage(error):
            raise
        return False


def lose_table(db: apsw.Connection, table: str) -> None:
    """Forget a table that cannot be dropped, in the caller's transaction; its pages are lost to the file."""
    db.execute("pragma writable_schema = on")
    try:
        db.execute("delete from sqlite_schema where tbl_name = ?", (table,))
    finally:
        db.execute("pragma writable_schema = reset")
