"""Many rows in few statements.

SQLite gives up the GIL for each statement that it runs, and a thread that decodes may take it meanwhile:
with a statement for each row the writer waits for its turn as often as it has rows. With many rows in one
statement it waits a few times in a commit.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain

import apsw

_LARGEST = 128
"""Rows in one statement; with 11 columns far below SQLite's limit of 32,766 parameters."""


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
    start, size = 0, _LARGEST
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        group = rows[start : start + size]
        db.execute(_statement(table, len(group[0]), size, on_conflict), tuple(chain.from_iterable(group)))
        start += size


@cache
def _statement(table: str, width: int, count: int, on_conflict: str) -> str:
    row = f"({', '.join('?' * width)})"
    return f"insert into {table} values {', '.join([row] * count)} {on_conflict}"
