"""The audit trail, of one execution, one task or the whole log."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.wire.query import Audit
from flightlogd.errors import QuestionError
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.of_host import host_condition, marks_of
from flightlogd.store.eventlog import first_received_since

_COLUMNS: Final = (
    "seq, place, time, execution_id, task_id, event_type, from_state, to_state, reason, uid, pid, detail"
)


def audit_entries(db: apsw.Connection, request: Audit) -> tuple[list[AuditEntry], str | None]:
    """Return a page of entries, oldest first, and the `after` of the next page if there is one.

    Raises:
        QuestionError: `not_found`, `ambiguous`, `projection_broken`, or `invalid`: no `after` of ours.
    """
    require(db, "audit", "execution")
    marks = marks_of(db, request.host)
    execution_id = request.execution_id
    if execution_id is not None:
        execution_id = find_execution(db, execution_id, request.host)
        marks = None
    bounds = _bounds(db, request)
    if bounds is None or request.last == 0:
        return [], None
    if request.last is not None:
        sql, values = list_sql("seq, place", request, execution_id, marks, bounds, newest_first=True)
        first = db.execute(f"{sql} limit 1 offset ?", (*values, request.last - 1)).fetchone()
        if first is not None:
            bounds = max(bounds[0], (first[0], first[1] - 1)), bounds[1]
    sql, values = list_sql(_COLUMNS, request, execution_id, marks, bounds)
    rows = list(db.execute(f"{sql} limit ?", (*values, request.limit + 1)))
    more = 0 < request.limit < len(rows)
    rows = rows[: request.limit]
    return [_entry(row) for row in rows], f"{rows[-1][0]}:{rows[-1][1]}" if more else None


def list_sql(
    columns: str,
    request: Audit,
    execution_id: str | None,
    marks: Sequence[str] | None,
    bounds: tuple[tuple[int, int], int],
    *,
    newest_first: bool = False,
) -> tuple[str, list[Any]]:
    """Return the SQL and values, but for the limit, of one index walk over entries.

    Args:
        columns: Of each entry.
        request: What to look for.
        execution_id: The full id.
        marks: Only of executions of these logs.
        bounds: Entries behind this (position, place), and before this position.
        newest_first: Which way.
    """
    after, before = bounds
    conditions = ["(seq, place) > (?, ?)", "seq < ?"]
    values: list[Any] = [*after, before]
    if execution_id is not None:
        # With a task, the walk is along the task's index: it has fewer entries.
        conditions.append("execution_id = ?" if request.task_id is None else "+execution_id = ?")
        values.append(execution_id)
    if request.task_id is not None:
        conditions.append("task_id = ?")
        values.append(request.task_id)
    of_hosts, of_values = host_condition(marks, walk=request.task_id is None)
    conditions += of_hosts
    values += of_values
    if request.type:
        # Of one type there is an index; several would have to be sorted.
        alone = len(request.type) == 1 and execution_id is None and request.task_id is None and not of_hosts
        conditions.append(
            "event_type = ?" if alone else f"+event_type in ({', '.join('?' * len(request.type))})"
        )
        values += request.type
    order = "desc" if newest_first else "asc"
    sql = f"select {columns} from audit where {' and '.join(conditions)}"
    return f"{sql} order by seq {order}, place {order}", values


def _bounds(db: apsw.Connection, request: Audit) -> tuple[tuple[int, int], int] | None:
    """Return where the entries asked for lie; None where that is nowhere.

    Times are those of the daemon, which rise with positions.
    """
    after, before = _parse_after(request.after), INT64_MAX
    if request.since is not None:
        first_seq = first_received_since(db, request.since)
        if first_seq is None:
            return None
        after = max(after, (first_seq - 1, INT64_MAX))
    if request.until is not None:
        before = first_received_since(db, request.until) or INT64_MAX
    return after, before


def _parse_after(after: int | str) -> tuple[int, int]:
    if isinstance(after, int):
        return after, INT64_MAX
    seq, _, place = after.partition(":")
    try:
        found = int(seq), int(place)
    except ValueError:
        found = (-1, -1)
    if not all(0 <= number <= INT64_MAX for number in found):
        raise QuestionError("invalid", f"after: {after!r} is not the `next` of a page")
    return found


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    return AuditEntry(
        seq=row[0],
        time=row[2],
        execution_id=row[3],
        task_id=row[4],
        event_type=row[5],
        from_state=row[6],
        to_state=row[7],
        reason=row[8],
        uid=row[9],
        pid=row[10],
        detail=None if row[11] is None else msgspec.json.decode(row[11]),
    )
