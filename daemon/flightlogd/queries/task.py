"""Attempts at tasks: by execution, task, slug, trace, status, provenance and time."""

from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events import ErrorInfo, Retrieval, Runner, TaskIO
from flightlog_schemas.wire.query import Tasks
from flightlogd.queries.find import find_execution, require
from flightlogd.store.eventlog import first_received_since

_PLAIN: Final = (
    "seq",
    "execution_id",
    "task_id",
    "slug",
    "name",
    "task_type",
    "parent_task_id",
    "agent_id",
    "status",
    "inferred",
    "reason",
    "attempt",
    "trace_id",
    "span_id",
    "retry_of",
    "created_at",
    "scheduled_at",
    "started_at",
    "finished_at",
    "duration_us",
    "config_digest",
    "provenance",
    "scrubbed",
)
_JSON: Final[dict[str, Any]] = {
    "inputs": dict[str, Any],
    "outputs": dict[str, Any],
    "error": ErrorInfo,
    "retrieval": Retrieval,
    "runner": Runner,
    "io": TaskIO,
}
_COLUMNS: Final = (*_PLAIN, *_JSON)

_EQUAL: Final = ("task_id", "slug", "trace_id", "status", "provenance")


def task_page(db: apsw.Connection, request: Tasks) -> tuple[list[TaskAttempt], int | None]:
    """Return a page of attempts and the `after` or `before` of the next page if there is one.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "task", "execution")
    execution_id = None if request.execution_id is None else find_execution(db, request.execution_id)
    # Positions rise with time, so that a time is a position.
    since_seq = None if request.since is None else first_received_since(db, request.since)
    if request.since is not None and since_seq is None:
        return [], None
    sql, values = list_sql(request, execution_id, since_seq)
    rows = list(db.execute(sql, values))
    more = rows[request.limit - 1][0] if 0 < request.limit < len(rows) else None
    return [_attempt(row) for row in rows[: request.limit]], more


def list_sql(request: Tasks, execution_id: str | None, since_seq: int | None) -> tuple[str, list[Any]]:
    """Return the SQL and values of one index walk over attempts."""
    conditions: list[str] = []
    values: list[Any] = []

    def narrow(condition: str, value: object) -> None:
        if value is not None:
            conditions.append(condition)
            values.append(value)

    narrow("execution_id = ?", execution_id)
    for column in _EQUAL:
        narrow(f"{column} = ?", getattr(request, column))
    narrow("seq >= ?", since_seq)
    narrow("seq > ?", request.after)
    narrow("seq < ?", request.before)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    order = "asc" if request.oldest_first else "desc"
    sql = f"select {', '.join(_COLUMNS)} from task{where} order by seq {order} limit ?"
    return sql, [*values, request.limit + 1]


def _attempt(row: tuple[Any, ...]) -> TaskAttempt:
    found = dict(zip(_COLUMNS, row, strict=True))
    for name, kind in _JSON.items():
        if found[name] is not None:
            found[name] = msgspec.json.decode(found[name], type=kind)
    found["type"] = found.pop("task_type")
    found["span_id"] = found["span_id"] or None
    found["inferred"] = bool(found["inferred"])
    found["scrubbed"] = None if found["scrubbed"] is None else bool(found["scrubbed"])
    return TaskAttempt(**found)
