"""Attempts at tasks: by execution, task, slug, trace, status, provenance and time; and as they end."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events import ErrorInfo, Retrieval, Runner, TaskIO
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.stats import Completion
from flightlog_schemas.statuses import ACTIVE
from flightlog_schemas.wire.query import Completions, Tasks
from flightlog_schemas.wire.request import PAGE_LIMIT
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.of_host import host_condition, marks_of, name_hosts
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
    "causation_id",
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
COLUMNS: Final = (*_PLAIN, *_JSON)
"""Columns of `task` that make an attempt."""

_WINDOW_POSITIONS: Final = 20_000
"""Positions looked at in one read of completions."""

_OPEN: Final = frozenset(ACTIVE)
_UNSUCCESSFUL: Final = (
    "(status = 'failed' or status = 'cancelled' or status = 'timed_out' or status = 'lost')"
)
"""As the partial indexes have it, to the letter: SQLite uses them for nothing else."""


def task_page(db: apsw.Connection, request: Tasks) -> tuple[list[TaskAttempt], int | None]:
    """Return a page of attempts and the `after` or `before` of the next page if there is one.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "task", "execution")
    marks = marks_of(db, request.host)
    execution_id = request.execution_id
    if execution_id is not None:
        execution_id = find_execution(db, execution_id, request.host)
    # Positions rise with time, so that a time is a position.
    since_seq = None if request.since is None else first_received_since(db, request.since)
    if request.since is not None and since_seq is None:
        return [], None
    sql, values = list_sql(request, execution_id, since_seq, marks)
    rows = list(db.execute(sql, values))
    more = rows[request.limit - 1][0] if 0 < request.limit < len(rows) else None
    return [attempt_of(row) for row in rows[: request.limit]], more


def list_sql(
    request: Tasks, execution_id: str | None, since_seq: int | None, marks: Sequence[str] | None
) -> tuple[str, list[Any]]:
    """Return the SQL and values of one index walk over attempts.

    Args:
        request: Which.
        execution_id: Of this execution, by its full id.
        since_seq: From this position on.
        marks: Only of these logs.
    """
    conditions: list[str] = []
    values: list[Any] = []

    def narrow(condition: str, value: object) -> None:
        if value is not None:
            conditions.append(condition)
            values.append(value)

    # Few are open at any time: those of a task are found among all of these, not among all of the task.
    plus = "+" if request.status in _OPEN and execution_id is None and request.trace_id is None else ""
    narrow("execution_id = ?", execution_id)
    narrow("trace_id = ?", request.trace_id)
    narrow(f"{plus}task_id = ?", request.task_id)
    narrow(f"{plus}slug = ?", request.slug)
    narrow("status = ?", request.status)
    narrow(f"{plus}provenance = ?", request.provenance)
    if request.status is not None and request.status not in {*_OPEN, "succeeded"}:
        conditions.append(_UNSUCCESSFUL)
    if request.provenance not in (None, "live"):
        conditions.append("provenance <> 'live'")
    narrow("seq >= ?", since_seq)
    narrow("seq > ?", request.after)
    narrow("seq < ?", request.before)
    if execution_id is None:
        of_hosts, of_values = host_condition(marks)
        conditions += of_hosts
        values += of_values
    where = f" where {' and '.join(conditions)}" if conditions else ""
    order = "asc" if request.oldest_first else "desc"
    sql = f"select {', '.join(COLUMNS)} from task{where} order by seq {order} limit ?"
    return sql, [*values, request.limit + 1]


def attempt_of(row: Sequence[Any]) -> TaskAttempt:
    """Return an attempt from a row of `COLUMNS`."""
    return TaskAttempt(**_fields(row))


def _fields(row: Sequence[Any]) -> dict[str, Any]:
    found = dict(zip(COLUMNS, row, strict=True))
    for name, kind in _JSON.items():
        if found[name] is not None:
            found[name] = msgspec.json.decode(found[name], type=kind)
    found["type"] = found.pop("task_type")
    found["span_id"] = found["span_id"] or None
    found["inferred"] = bool(found["inferred"])
    found["scrubbed"] = None if found["scrubbed"] is None else bool(found["scrubbed"])
    return found


def completion_page(
    db: apsw.Connection, request: Completions, after: tuple[int, int], until: int
) -> tuple[list[Completion], tuple[int, int]]:
    """Return attempts in the order in which they ended, and where the next page begins.

    Args:
        db: A connection that reads.
        request: Which.
        after: Position of the event that ended the last one before, and that one's own `seq`.
        until: Position of the last event that is looked at.

    Raises:
        QuestionError: `projection_broken`.
    """
    require(db, "task")
    # A window of positions bounds what one read looks at, however few match.
    until = min(until, after[0] + _WINDOW_POSITIONS)
    sql, values = completion_sql(request, after, until)
    rows: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
    found = [Completion(ended_seq=row[-2], novel=bool(row[-1]), **_fields(row[:-2])) for row in rows]
    name_hosts(db, found)
    full = len(rows) == PAGE_LIMIT
    return found, (rows[-1][-2], rows[-1][0]) if full else (until, INT64_MAX)


def completion_sql(request: Completions, after: tuple[int, int], until: int) -> tuple[str, dict[str, Any]]:
    """Return the SQL and values of a walk along the ends of attempts."""
    conditions = [
        "ended_seq >= :after and (ended_seq, seq) > (:after, :after_seq)",
        "ended_seq <= :until",
    ]
    values: dict[str, Any] = {"after": after[0], "after_seq": after[1], "until": until}
    for column in ("execution_id", "task_id", "slug", "provenance"):
        if (value := getattr(request, column)) is not None:
            conditions.append(f"+{column} = :{column}")
            values[column] = value
    if request.status:
        marks = [f":status{at}" for at in range(len(request.status))]
        conditions.append(f"+status in ({', '.join(marks)})")
        values |= {f"status{at}": status for at, status in enumerate(request.status)}
    if request.novel_only:
        conditions.append("novel")
    # Which was the first with a stack is a fact of the log: later ones do not change the answer.
    novel = (
        "stack_hash is not null and"
        " ended_seq = (select min(ended_seq) from task as first where first.stack_hash = task.stack_hash)"
    )
    sql = (
        f"select {', '.join(COLUMNS)}, ended_seq, {novel} as novel from task"
        f" where {' and '.join(conditions)} order by ended_seq, seq limit {PAGE_LIMIT}"
    )
    return sql, values
