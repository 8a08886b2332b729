"""Many rows in few statements.

SQLite gives up the GIL for each statement that it runs, and a thread that decodes may take it meanwhile:
with a statement for each row the writer waits for its turn as often as it has rows. With many rows in one
statement it waits a few times in a commit.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import apsw

_EXACT = 32
"""Rows up to which each number has a statement of its own."""

_LARGEST = 128
"""Rows in one statement; with 33 columns far below SQLite's limit of 32,766 parameters."""


def insert_rows(
    db: apsw.Connection, table: str, rows: Sequence[tuple[object, ...]], on_conflict: str = ""
) -> None:
    """Insert rows, all columns given.

    Args:
        db: The writer's connection, in its transaction.
        table: Where; may name its columns, as in `t (a, b)`.
        rows: The values, all of one width.
        on_conflict: An upsert clause to put behind the values.
    """
    for group in _groups(rows):
        sql = f"insert into {table} values {_marks(len(group[0]), len(group))} {on_conflict}"
        db.execute(sql, tuple(chain.from_iterable(group)))


def select_rows(
    db: apsw.Connection, select: str, keys: Sequence[tuple[object, ...]]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that have one of some keys, in no order.

    Args:
        db: The connection; nothing may be written to it meanwhile.
        select: A query up to the columns of the key, as in `select c from t where (a, b)`; an index has them.
        keys: Values of these columns, each key once.
    """
    for group in _groups(keys):
        sql = f"{select} in (values {_marks(len(group[0]), len(group))})"
        yield from db.execute(sql, tuple(chain.from_iterable(group)))


def _groups(rows: Sequence[tuple[object, ...]]) -> Iterator[Sequence[tuple[object, ...]]]:
    """Yield the rows in groups of few sizes: each size is a statement to be prepared."""
    start, size = 0, _LARGEST
    while start < len(rows):
        left = len(rows) - start
        while size > max(left, _EXACT):
            size //= 2
        size = min(size, left)
        yield rows[start : start + size]
        start += size


@cache
def _marks(width: int, count: int) -> str:
    return ", ".join([f"({', '.join('?' * width)})"] * count)
