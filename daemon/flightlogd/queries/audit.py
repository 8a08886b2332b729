"""The audit trail, of one execution or of the whole log."""

import apsw
import msgspec

from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.wire.query import Audit
from flightlogd.queries.find import find_execution, require


def audit_entries(db: apsw.Connection, request: Audit) -> tuple[list[AuditEntry], int | None]:
    """Return a page of entries, oldest first, and the `after` of the next page if there is one.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "audit", "execution")
    sql = (
        "select seq, time, execution_id, event_type, from_state, to_state, reason, uid, pid, detail"
        " from audit where seq > ?"
    )
    values: list[int | str] = [request.after]
    if request.execution_id is not None:
        sql += " and execution_id = ?"
        values.append(find_execution(db, request.execution_id))
    rows = list(db.execute(f"{sql} order by seq, place limit ?", (*values, request.limit + 1)))
    after: int | None = None
    if len(rows) > request.limit:
        rows, after = _whole_events(rows[: request.limit], rows[request.limit][0])
    entries = [
        AuditEntry(
            seq=row[0],
            time=row[1],
            execution_id=row[2],
            event_type=row[3],
            from_state=row[4],
            to_state=row[5],
            reason=row[6],
            uid=row[7],
            pid=row[8],
            detail=None if row[9] is None else msgspec.json.decode(row[9]),
        )
        for row in rows
    ]
    return entries, after


def _whole_events(rows: list[tuple[int, ...]], next_seq: int) -> tuple[list[tuple[int, ...]], int]:
    """Cut a page between events, so that the next page's `after` loses none of an event's entries."""
    while len(rows) > 1 and rows[-1][0] == next_seq and rows[0][0] != next_seq:
        rows.pop()
    return rows, rows[-1][0]
