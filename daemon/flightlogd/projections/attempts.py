"""Attempts at tasks in a read model's table: read with few statements, kept in memory, written with few.

A read model that has a row for each attempt reads the rows that some events are of all at once, changes them
event by event in memory, and writes them all at once. What concerns other rows as well it does by SQL, after
`write`.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import apsw
from msgspec import Struct, field

from flightlog_schemas.events import TaskEnded, TaskResumed, TaskStarted, TaskWaiting
from flightlogd.recorded import Recorded
from flightlogd.store.rows import insert_rows, select_rows

Key = tuple[str, str, str]
"""Execution, task and span of an attempt; the span is '' where events give none."""


class Attempt(Struct, gc=False):
    """An attempt.

    Attributes:
        values: What is known of it, by column; of a stored one only what the rules look at, and changes.
        span_stored: Its span in the table, None while it is not there.
        changed: Columns whose values are not in the table yet, where it is there.
    """

    values: dict[str, Any]
    span_stored: str | None = None
    changed: set[str] | None = None

    def set(self, values: dict[str, Any]) -> None:
        """Change columns."""
        self.values.update(values)
        if self.span_stored is not None:
            self.changed = set(values) if self.changed is None else self.changed | values.keys()


class Table(NamedTuple):
    """Where attempts are.

    Attributes:
        name: The table; it has the columns `execution_id`, `task_id`, `span_id`, `seq`, `started_at`.
        columns: All its columns, in order.
        read: Those that the rules look at, the four above first.
        is_open: Says whether an attempt has not ended by a word of its own.
    """

    name: str
    columns: tuple[str, ...]
    read: tuple[str, ...]
    is_open: Callable[[Attempt], bool]


_KEY: Final = ("execution_id", "task_id", "span_id")
_SPANNED: Final = frozenset({TaskStarted, TaskEnded, TaskWaiting, TaskResumed})
"""Events of one attempt."""


class _Known(Struct):
    """What is in memory of one execution: attempts by task and span (None: not there), and by `seq`."""

    by_span: dict[tuple[str, str], Attempt | None] = field(default_factory=dict)
    by_seq: dict[int, Attempt] = field(default_factory=dict)
    new: dict[str, Attempt] = field(default_factory=dict)
    """The newest of a task that is not in the table yet."""


class Attempts:
    """The attempts that some events are of.

    Args:
        db: The connection, in a transaction that lasts longer than this.
        table: Where they are.
        singles: The events; others may be asked for as well.
    """

    def __init__(self, db: apsw.Connection, table: Table, singles: Iterable[Recorded]) -> None:
        self._db = db
        self._table = table
        self._select = f"select {', '.join(table.read)} from {table.name} where"
        self._nothing = dict.fromkeys(table.read)
        self._executions: dict[str, _Known] = {}
        keys: dict[Key, None] = {}
        for recorded in singles:
            event = recorded.event
            if type(event) in _SPANNED and event.span_id:
                assert event.execution_id is not None
                assert event.task_id is not None
                keys[event.execution_id, event.task_id, event.span_id] = None
                keys[event.execution_id, event.task_id, ""] = None
        self._load(keys)

    def of(self, recorded: Recorded) -> Attempt | None:
        """Return the attempt that an event is of; one that was created and has not begun becomes it."""
        event = recorded.event
        execution_id, task_id, span_id = event.execution_id, event.task_id, event.span_id or ""
        assert execution_id is not None
        assert task_id is not None
        if event.span_id is None and not isinstance(event, TaskStarted):
            # Of the newest attempt: a shell script that says nothing of spans has one at a time.
            return self._newest(execution_id, task_id)
        found = self._find((execution_id, task_id, span_id))
        if found is None and span_id:
            found = self._find((execution_id, task_id, ""))
            if found is None or found.values["started_at"] is not None or not self._table.is_open(found):
                return None
            by_span = self._executions[execution_id].by_span
            by_span[task_id, ""], by_span[task_id, span_id] = None, found
            found.set({"span_id": span_id})
        return found

    def any_of(self, execution_id: str, task_id: str) -> bool:
        """Say whether there is an attempt at a task."""
        if task_id in self._known(execution_id).new:
            return True
        sql = f"select 1 from {self._table.name} where execution_id = ? and task_id = ? limit 1"
        return self._db.execute(sql, (execution_id, task_id)).get is not None

    def add(self, values: dict[str, Any]) -> Attempt:
        """Add an attempt that there was none of; what is not given is NULL in the table."""
        attempt = Attempt(self._nothing | values)
        known = self._known(values["execution_id"])
        known.by_span[values["task_id"], values["span_id"]] = attempt
        known.by_seq[values["seq"]] = known.new[values["task_id"]] = attempt
        return attempt

    def write(self, execution_id: str | None = None) -> list[dict[str, Any]]:
        """Bring the table level, and forget what is in memory: it may be changed by SQL then.

        Args:
            execution_id: Of this execution only.

        Returns:
            What was added to the table.
        """
        if execution_id is None:
            written = list(self._executions.values())
            self._executions.clear()
        else:
            written = [self._executions.pop(execution_id, _Known())]
        added: list[dict[str, Any]] = []
        for known in written:
            for attempt in known.by_seq.values():
                if attempt.span_stored is None:
                    added.append(attempt.values)
                elif attempt.changed:
                    self._update(attempt.values, attempt.span_stored, sorted(attempt.changed))
        columns = self._table.columns
        rows = [tuple(map(values.get, columns)) for values in added]
        insert_rows(self._db, self._table.name, rows)
        return added

    def _update(self, values: dict[str, Any], span_stored: str, changed: list[str]) -> None:
        self._db.execute(
            f"update {self._table.name} set {', '.join(f'{column} = ?' for column in changed)}"
            " where execution_id = ? and task_id = ? and span_id = ?",
            (
                *(values[column] for column in changed),
                values["execution_id"],
                values["task_id"],
                span_stored,
            ),
        )

    def _known(self, execution_id: str) -> _Known:
        known = self._executions.get(execution_id)
        if known is None:
            known = self._executions[execution_id] = _Known()
        return known

    def _find(self, key: Key) -> Attempt | None:
        known = self._executions.get(key[0])
        if known is None or key[1:] not in known.by_span:
            self._load([key])
            known = self._executions[key[0]]
        return known.by_span[key[1:]]

    def _newest(self, execution_id: str, task_id: str) -> Attempt | None:
        new = self._known(execution_id).new.get(task_id)
        if new is not None:
            return new
        sql = f"{self._select} execution_id = ? and task_id = ? order by seq desc limit 1"
        row = self._db.execute(sql, (execution_id, task_id)).fetchone()
        return None if row is None else self._take(row)

    def _load(self, keys: Iterable[Key]) -> None:
        wanted = list(keys)
        for execution_id, task_id, span_id in wanted:
            self._known(execution_id).by_span[task_id, span_id] = None
        for row in select_rows(self._db, f"{self._select} ({', '.join(_KEY)})", wanted):
            self._take(row)

    def _take(self, row: tuple[Any, ...]) -> Attempt:
        """Return what a row holds, or what became of it since it was read."""
        execution_id, task_id, span_id, seq = row[:4]
        known = self._known(execution_id)
        found = known.by_seq.get(seq)
        if found is None:
            found = Attempt(dict(zip(self._table.read, row, strict=True)), span_id)
            known.by_seq[seq] = known.by_span[task_id, span_id] = found
        return found
