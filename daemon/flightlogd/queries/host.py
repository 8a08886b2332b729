"""Machines: how much of what is here each has recorded, and how its executions stand."""

from typing import Any, Final

import apsw

from flightlog_schemas.answers import Host
from flightlog_schemas.wire.query import HostsRequest
from flightlogd.batch import decode_spans, origin_of
from flightlogd.queries.find import require
from flightlogd.queries.of_host import MARK, OF_OTHERS, marks_of
from flightlogd.store.eventlog import read_head

_LOOKED_AT: Final = 200
"""Batches at the end of the log in which the newest of this log is looked for."""


def host_page(db: apsw.Connection, request: HostsRequest) -> tuple[list[Host], str | None]:
    """Return a page of logs, this one first, then by host; and the `after` of the next page if there is one.

    Raises:
        QuestionError: `not_found` or `projection_broken`.
    """
    require(db, "execution")
    marks = marks_of(db, request.host)
    host, _, mark = request.after.rpartition("/")
    rows = db.execute(
        "select mark, log_id, host, events, seq, first_at, last_at, received from origin"
        " where (mark <> '', host, mark) > (?, ?, ?)"
        + ("" if marks is None else f" and mark in ({', '.join('?' * len(marks))})")
        + " order by mark <> '', host, mark limit ?",
        (int(mark != "") if request.after else -1, host, mark, *(marks or ()), request.limit + 1),
    ).fetchall()
    more = 0 < request.limit < len(rows)
    rows = rows[: request.limit]
    counts = _executions(db)
    found = [_host(db, row, counts.get(str(row[0]), {})) for row in rows]
    return found, f"{rows[-1][2]}/{rows[-1][0]}" if more else None


def _executions(db: apsw.Connection) -> dict[str, dict[str, int]]:
    """Return how many executions each log has, by status: from an index that holds all that is asked."""
    found: dict[str, dict[str, int]] = {}
    for mark, status, count in db.execute(
        f"select iif(execution_id glob ?, {MARK}, '') as mark, status, count(*)"
        " from execution indexed by execution_status group by 1, 2",
        (OF_OTHERS,),
    ):
        found.setdefault(mark, {})[status] = count
    return found


def _host(db: apsw.Connection, row: tuple[Any, ...], counts: dict[str, int]) -> Host:
    mark, log_id, host, events, seq, first_at, last_at, received_at = row
    lag_us = max(0, received_at - last_at) if mark else None
    if not mark:
        seq, events, first_at, last_at = _here(db)
        received_at = last_at
    return Host(
        host=host,
        log_id=log_id,
        mark=mark,
        here=not mark,
        events=events,
        executions=sum(counts.values()),
        running=counts.get("running", 0),
        failed=sum(counts.get(status, 0) for status in ("failed", "timed_out", "lost")),
        last_seq=seq,
        first_at=first_at,
        last_at=last_at,
        received_at=received_at,
        lag_us=lag_us,
    )


def _here(db: apsw.Connection) -> tuple[int, int, int | None, int | None]:
    """Return of this log its head, how many lines came of no other, and when its first and last came."""
    head = read_head(db)
    others = int(db.execute("select total(events) from origin").get)
    first_at = db.execute("select received from event_batch order by first_seq limit 1").get
    newest = db.execute(
        "select received, spans from event_batch order by first_seq desc limit ?", (_LOOKED_AT,)
    )
    last_at = next(
        (
            received
            for received, spans in newest
            if any(origin_of(span) is None for span in decode_spans(spans))
        ),
        None,
    )
    return head.seq, head.seq - others, first_at, last_at
