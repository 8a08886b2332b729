"""A copy of the log while it grows: in short reads, so that no reader keeps the WAL from being reused.

Rows of the log never change but by governance, which a daemon holds off meanwhile. So the copy is the log up
to the position where the copying began, with what belongs to it. Read models are not copied: they are
computed from the log when a daemon first opens the copy.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import apsw

from flightlogd.errors import StartError
from flightlogd.store.database import (
    DAMAGE_HINT,
    begin,
    commit,
    is_damage,
    is_storage_error,
    open_reader,
    open_writer,
    rollback,
)
from flightlogd.store.eventlog import INDEX_COLUMNS, read_head
from flightlogd.store.schema import migrate

_SLICE_BYTES: Final = 4 * 1024 * 1024
_SLICE_ROWS: Final = 20_000

_SMALL: Final = (
    "cold_dictionary",
    "log_head",
    "producer",
    "line_gap",
    "refused",
    "tombstone",
    "tombstone_log",
    "removal",
    "cursor",
    "execution_batch_recent",
    "event_key_recent",
)
"""Copied at once, at the position where the copying begins."""

_LARGE: Final = {
    "execution_batch": ("execution_id, first_seq", "first_seq"),
    "event_key": ("uid, key_digest", "seq"),
}
"""Copied in slices: the columns of the key, and that of the position."""

Say = Callable[[int, int], None]


def back_up(database: Path, target: Path, say: Say) -> int:
    """Copy the log into a new file, and return the position up to which it goes.

    Args:
        database: The log, which a daemon may be writing; nothing is governed meanwhile.
        target: Where to; it appears there only when it is whole and on disk.
        say: Told how far it is: positions copied, and of how many.

    Raises:
        StartError: the target is there already, or cannot be written, or the log cannot be read.
    """
    if target.exists():
        raise StartError(f"{target}: is there already", "name a file that is not")
    partial = target.with_name(f"{target.name}.part")
    try:
        with suppress(FileNotFoundError):
            partial.unlink()
        copy = open_writer(partial)
        source = open_reader(database)
        try:
            migrate(copy, partial)
            seq = _copy(source, copy, say)
            copy.execute("pragma journal_mode = delete")
        finally:
            source.close()
            copy.close()
        _sync(partial)
        partial.rename(target)
        _sync(target.parent)
    except (apsw.Error, OSError) as error:
        for left in target.parent.glob(f"{partial.name}*"):
            with suppress(OSError):
                left.unlink()
        if isinstance(error, apsw.Error) and not is_storage_error(error):
            raise
        hint = "name a place with room, where you may write, on a disk that works"
        raise StartError(
            f"{target}: {str(error) or type(error).__name__}", DAMAGE_HINT if is_damage(error) else hint
        ) from None
    return seq


def _copy(source: apsw.Connection, copy: apsw.Connection, say: Say) -> int:
    source.execute("begin")
    seq = read_head(source).seq
    with _transaction(copy):
        for table in _SMALL:
            copy.execute(f"delete from {table}")
            _insert(copy, table, list(source.execute(f"select * from {table}")))
    source.execute("rollback")
    # What says where the log ends comes last, for nothing can be put at or below its end.
    [head] = copy.execute("select log_id, seq, chain, received from log_head").fetchall()
    with _transaction(copy):
        copy.execute("update log_head set seq = 0")
    for rows in _log_rows(source, seq):
        with _transaction(copy):
            _insert(copy, "event_batch", rows)
        say(rows[-1][1], seq)
    for table, (key, position) in _LARGE.items():
        for rows in _slices(source, table, key, position, seq):
            with _transaction(copy):
                _insert(copy, table, rows, "on conflict do nothing")
    with _transaction(copy):
        # Rows that were recent when this began may have been merged, and copied, since.
        copy.execute(
            f"insert into execution_batch select {INDEX_COLUMNS} from execution_batch_recent where true"
            " on conflict do nothing"
        )
        copy.execute("delete from execution_batch_recent")
        copy.execute("insert into event_key select * from event_key_recent where true on conflict do nothing")
        copy.execute("delete from event_key_recent")
        copy.execute("update log_head set log_id = ?, seq = ?, chain = ?, received = ?", head)
    return seq


def _log_rows(source: apsw.Connection, until: int) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of the log up to a position, some megabytes at a time."""
    after = 0
    while True:
        rows: list[tuple[Any, ...]] = []
        size = 0
        for row in source.execute(
            "select * from event_batch where first_seq > ? and first_seq <= ? order by first_seq",
            (after, until),
        ):
            rows.append(row)
            size += len(row[-1])
            if size >= _SLICE_BYTES:
                break
        if not rows:
            return
        yield rows
        after = rows[-1][0]


def _slices(
    source: apsw.Connection, table: str, key: str, position: str, until: int
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows of a table that belong to positions up to one, some thousands at a time."""
    width = key.count(",") + 1
    last: tuple[Any, ...] | None = None
    while True:
        where = "" if last is None else f" and ({key}) > ({', '.join('?' * width)})"
        rows = source.execute(
            f"select * from {table} where {position} <= ?{where} order by {key} limit {_SLICE_ROWS}",
            (until, *(last or ())),
        ).fetchall()
        if not rows:
            return
        yield rows
        last = tuple(rows[-1][:width])


def _insert(copy: apsw.Connection, table: str, rows: list[tuple[Any, ...]], on_conflict: str = "") -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        copy.executemany(f"insert into {table} values ({marks}) {on_conflict}", rows)


@contextmanager
def _transaction(copy: apsw.Connection) -> Iterator[None]:
    begin(copy)
    try:
        yield
        commit(copy)
    except BaseException:
        rollback(copy)
        raise


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
