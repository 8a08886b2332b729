"""Keys of rows, kept in tables of their own: rows to be looked at, and rows that a connection changes.

The tables live in the scratch file of a rebuild, or in the TEMP database of the writer's connection: the
log's own file knows nothing of them then, and a crash leaves nothing behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import apsw

Values = tuple[Any, ...]
"""Of the columns of a row, or of its key."""

Key = tuple[str, Values]
"""Which row: its table, and its key."""

_EVERY: Final = -1
"""No limit, to SQLite."""


class Keys:
    """A set of keys for each of some tables; what an earlier one of the same name left is dropped.

    Args:
        db: The connection, in no transaction.
        schema: Where the sets are kept: in the connection's file, or in its TEMP database.
        name: What the names of the sets' tables begin with.
        tables: The tables, with the columns of their keys.
    """

    def __init__(
        self,
        db: apsw.Connection,
        schema: Literal["main", "temp"],
        name: str,
        tables: Mapping[str, Sequence[str]],
    ) -> None:
        self._db = db
        self._schema = schema
        self._name = name
        self._tables = tables
        self.close()
        for table, columns in tables.items():
            key = ", ".join(columns)
            db.execute(f"create table {self._set(table)} ({key}, primary key ({key})) without rowid")

    def add(self, keys: Iterable[Key]) -> None:
        """Add keys; those that are there already stay."""
        for table, values in keys:
            marks = ", ".join("?" * len(values))
            self._db.execute(f"insert or ignore into {self._set(table)} values ({marks})", values)

    def take(self, limit: int = _EVERY) -> list[Key]:
        """Remove and return so many keys, in the order of the tables and of their keys."""
        found: list[Key] = []
        for table, columns in self._tables.items():
            left = _EVERY if limit == _EVERY else limit - len(found)
            key = ", ".join(columns)
            rows = self._db.execute(f"select {key} from {self._set(table)} order by {key} limit ?", (left,))
            taken = rows.fetchall()
            if taken:
                marks = ", ".join("?" * len(columns))
                self._db.execute(f"delete from {self._set(table)} where ({key}) <= ({marks})", taken[-1])
            found += [(table, values) for values in taken]
        return found

    def forget(self) -> None:
        """Remove all keys."""
        for table in self._tables:
            self._db.execute(f"delete from {self._set(table)}")

    def close(self) -> None:
        """Drop the sets."""
        for table in self._tables:
            self._db.execute(f"drop table if exists {self._set(table)}")

    def _set(self, table: str) -> str:
        return f"{self._schema}.{self._name}_{table}"


class Touched(Keys):
    """The keys of all rows that a connection inserts, changes or deletes in its file, from now on.

    By triggers: SQLite's update hook is silent for tables without rowid, and what is rolled back is forgotten
    with the rows. Arguments as for `Keys`.
    """

    def __init__(
        self, db: apsw.Connection, schema: Literal["main", "temp"], tables: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__(db, schema, "touched", tables)
        for table, columns in tables.items():
            old, new = (_note(table, row, columns) for row in ("old", "new"))
            for act, notes in {"insert": new, "update": old + new, "delete": old}.items():
                trigger = f"{schema}.touched_{table}_{act}"
                db.execute(f"create trigger {trigger} after {act} on {table} begin {notes} end")

    def close(self) -> None:
        """Look no longer, and drop the sets."""
        for table in self._tables:
            for act in ("insert", "update", "delete"):
                self._db.execute(f"drop trigger if exists {self._schema}.touched_{table}_{act}")
        super().close()


def _note(table: str, row: str, columns: Sequence[str]) -> str:
    # OR IGNORE would not do: the conflict clause of the statement that fires a trigger holds in there, too.
    key = ", ".join(f"{row}.{column}" for column in columns)
    same = " and ".join(f"{column} = {row}.{column}" for column in columns)
    return (
        f"insert into touched_{table} select {key}"
        f" where not exists (select 1 from touched_{table} where {same});"
    )
