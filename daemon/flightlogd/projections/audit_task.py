"""Entries that the audit trail has of tasks: begun, tried again, waiting, ended, ended with their execution.

The trail keeps its own small state of each attempt, for it reads nobody else's tables. What ends with an
execution is written and noted by two statements, however many tasks that are.
"""

from typing import Any, Final, Literal

import apsw
import msgspec
from msgspec import Struct

from flightlog_schemas.events import (
    ErrorInfo,
    TaskCreated,
    TaskEnded,
    TaskResumed,
    TaskStarted,
    TaskWaiting,
    type_of,
)
from flightlog_schemas.stacks import with_stack_hash
from flightlogd.recorded import Recorded

TaskEvent = TaskCreated | TaskStarted | TaskWaiting | TaskResumed | TaskEnded

TaskEntryType = Literal[
    "TASK_CREATED",
    "TASK_STARTED",
    "TASK_RETRIED",
    "TASK_STATE_CHANGE",
    "TASK_COMPLETED",
    "TASK_FAILED",
    "TASK_CANCELLED",
    "TASK_TIMEOUT",
    "TASK_LOST",
    "ANOMALY",
]

SCHEMA: Final = """
-- How each attempt at a task stands.
CREATE TABLE audit_task (
    execution_id TEXT    NOT NULL,
    task_id      TEXT    NOT NULL,
    span_id      TEXT    NOT NULL,       -- '' where events give none
    seq          INTEGER NOT NULL,       -- of the first event that mentions it
    attempt      INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    inferred     INTEGER NOT NULL,       -- 1: it ended with its execution and said nothing itself
    started_at   INTEGER,
    PRIMARY KEY (execution_id, task_id, span_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_task_open ON audit_task (execution_id, seq)
    WHERE inferred OR state IN ('pending', 'running', 'waiting');
"""

_OPEN: Final = ("pending", "running", "waiting")
_OPEN_SQL: Final = "(inferred or state in ('pending', 'running', 'waiting'))"

_END_TYPES: Final[dict[str, TaskEntryType]] = {
    "succeeded": "TASK_COMPLETED",
    "failed": "TASK_FAILED",
    "cancelled": "TASK_CANCELLED",
    "timed_out": "TASK_TIMEOUT",
    "lost": "TASK_LOST",
}

_WITH_EXECUTION: Final = ("cancelled", "timed_out", "lost")
"""Endings of an execution that its open tasks share; with any other they were cut short: cancelled."""

VALUE_LIMIT_BYTES: Final = 4096
"""Larger inputs and outputs are named by their size here; the read model of tasks has them whole."""

_TEXT_LIMIT_CHARS: Final = 1000


class TaskEntry(Struct, frozen=True, kw_only=True):
    """An entry of the audit trail about one attempt."""

    type: TaskEntryType
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    detail: dict[str, Any]


class _Attempt(Struct):
    span_id: str
    attempt: int
    state: str
    inferred: bool
    started_at: int | None


def follow_task(db: apsw.Connection, recorded: Recorded) -> list[TaskEntry]:
    """Note what an event does to its attempt, and return the entries that it leaves."""
    match recorded.event:
        case TaskCreated() as event:
            return _create(db, recorded, event)
        case TaskStarted() as event:
            return _start(db, recorded, event)
        case TaskWaiting() as event:
            return _move(db, recorded, event, "running", "waiting")
        case TaskResumed() as event:
            return _move(db, recorded, event, "waiting", "running")
        case TaskEnded() as event:
            return _end(db, recorded, event)
        case _:
            return []


def end_with_execution(
    db: apsw.Connection, recorded: Recorded, place: int, status: str, task_id: str | None = None
) -> None:
    """Write that what is open of an execution, or of one task in it, ends with it.

    Args:
        db: The connection.
        recorded: The event that ended the execution, or that came too late for it.
        place: Of the first entry among those that the event leaves.
        status: How the execution ended.
        task_id: Of this task only.
    """
    becomes = status if status in _WITH_EXECUTION else "cancelled"
    of_task = "" if task_id is None else " and task_id = :task_id"
    values = {
        "seq": recorded.seq,
        "place": place - 1,
        "time": recorded.time,
        "execution_id": recorded.event.execution_id,
        "task_id": task_id,
        "type": _END_TYPES[becomes],
        "state": becomes,
        "reason": f"its execution ended: {status}",
        "uid": recorded.uid,
        "pid": recorded.pid,
    }
    open_here = f"execution_id = :execution_id and {_OPEN_SQL} and state <> :state{of_task}"
    db.execute(
        "insert into audit select :seq, :place + row_number() over (order by seq, task_id), :time,"
        " execution_id, task_id, :type, state, :state, :reason, :uid, :pid,"
        " json_object('span_id', nullif(span_id, ''), 'attempt', attempt, 'duration_us',"
        " iif(started_at is null, null, max(0, :time - started_at)), 'inferred', json('true'))"
        f" from audit_task where {open_here}",
        values,
    )
    db.execute(f"update audit_task set state = :state, inferred = 1 where {open_here}", values)


def _create(db: apsw.Connection, recorded: Recorded, event: TaskCreated) -> list[TaskEntry]:
    known = "select 1 from audit_task where execution_id = ? and task_id = ? limit 1"
    if db.execute(known, (event.execution_id, event.task_id)).get is not None:
        return []
    _save(db, recorded, _Attempt(event.span_id or "", 1, "pending", False, None))
    detail = {"name": event.name, "type": event.task_type, "parent_task_id": event.parent_task_id}
    return [TaskEntry(type="TASK_CREATED", to_state="pending", detail=_known(detail))]


def _start(db: apsw.Connection, recorded: Recorded, event: TaskStarted) -> list[TaskEntry]:
    found = _find(db, recorded) or _Attempt(event.span_id or "", event.attempt, "pending", False, None)
    if found.started_at is not None:
        return [_anomaly(recorded, found, "this attempt was started before; the first record stands")]
    before, ended_first = found.state, found.state not in _OPEN and not found.inferred
    found.attempt, found.started_at = event.attempt, recorded.time
    if found.state == "pending":
        found.state = "running"
    _save(db, recorded, found)
    detail = {
        "name": event.name,
        "type": event.task_type,
        "span_id": event.span_id,
        "attempt": event.attempt,
        "retry_of": event.retry_of,
        "agent_id": event.agent_id,
        **_value("inputs", event.inputs),
    }
    return [
        TaskEntry(
            type="TASK_RETRIED" if event.attempt > 1 or event.retry_of else "TASK_STARTED",
            from_state=None if ended_first else before,
            to_state=None if ended_first else found.state,
            reason="its end came before" if ended_first else event.reason,
            detail=_known(detail),
        )
    ]


def _move(
    db: apsw.Connection, recorded: Recorded, event: TaskWaiting | TaskResumed, source: str, target: str
) -> list[TaskEntry]:
    found = _find(db, recorded) or _Attempt(event.span_id or "", 1, "pending", False, None)
    if found.state != source:
        _save(db, recorded, found)
        return [_anomaly(recorded, found, f"it is {found.state}, not {source}")]
    found.state = target
    _save(db, recorded, found)
    return [
        TaskEntry(
            type="TASK_STATE_CHANGE",
            from_state=source,
            to_state=target,
            reason=event.reason,
            detail=_about(found),
        )
    ]


def _end(db: apsw.Connection, recorded: Recorded, event: TaskEnded) -> list[TaskEntry]:
    found = _find(db, recorded)
    if found is not None and found.state not in _OPEN and not found.inferred:
        return [_anomaly(recorded, found, f"it has ended already ({found.state})")]
    before = None if found is None else found.state
    found = found or _Attempt(event.span_id or "", 1, "pending", False, None)
    duration_us = event.duration_us
    if duration_us is None and found.started_at is not None:
        duration_us = max(0, recorded.time - found.started_at)
    found.state, found.inferred = event.outcome, False
    _save(db, recorded, found)
    detail = {
        **_about(found),
        "duration_us": duration_us,
        **_value("outputs", event.outputs),
        "error": None if event.error is None else _error(event.error),
    }
    return [
        TaskEntry(
            type=_END_TYPES[event.outcome],
            from_state=before,
            to_state=event.outcome,
            reason=event.reason,
            detail=_known(detail),
        )
    ]


def _find(db: apsw.Connection, recorded: Recorded) -> _Attempt | None:
    """Return the attempt that an event is of; one that was created and has not begun becomes it."""
    event = recorded.event
    key = (event.execution_id, event.task_id)
    columns = "select span_id, attempt, state, inferred, started_at from audit_task"
    if event.span_id is None and not isinstance(event, TaskStarted):
        # Of the newest attempt: a shell script that says nothing of spans has one at a time.
        newest = f"{columns} where execution_id = ? and task_id = ? order by seq desc limit 1"
        row = db.execute(newest, key).fetchone()
    else:
        this = f"{columns} where execution_id = ? and task_id = ? and span_id = ?"
        row = db.execute(this, (*key, event.span_id or "")).fetchone()
    if row is None:
        waiting = (
            f"{columns} where execution_id = ? and task_id = ? and span_id = ''"
            " and started_at is null and (inferred or state in ('pending', 'running', 'waiting'))"
        )
        row = db.execute(waiting, key).fetchone()
        if row is not None:
            db.execute(
                "update audit_task set span_id = ? where execution_id = ? and task_id = ? and span_id = ''",
                (event.span_id or "", *key),
            )
            row = (event.span_id or "", *row[1:])
    return None if row is None else _Attempt(row[0], row[1], row[2], bool(row[3]), row[4])


def _save(db: apsw.Connection, recorded: Recorded, found: _Attempt) -> None:
    event = recorded.event
    db.execute(
        "insert into audit_task values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set"
        " attempt = excluded.attempt, state = excluded.state, inferred = excluded.inferred,"
        " started_at = excluded.started_at",
        (
            event.execution_id,
            event.task_id,
            found.span_id,
            recorded.seq,
            found.attempt,
            found.state,
            int(found.inferred),
            found.started_at,
        ),
    )


def _anomaly(recorded: Recorded, found: _Attempt, reason: str) -> TaskEntry:
    detail = {"event": type_of(recorded.event), **_about(found)}
    return TaskEntry(type="ANOMALY", from_state=found.state, reason=reason, detail=detail)


def _about(found: _Attempt) -> dict[str, Any]:
    return _known({"span_id": found.span_id or None, "attempt": found.attempt})


def _known(detail: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in detail.items() if value is not None}


def _value(name: str, value: dict[str, Any] | None) -> dict[str, Any]:
    """Return inputs or outputs under their name, or the size of those that are large."""
    if value is None:
        return {}
    size = len(msgspec.json.encode(value))
    return {name: value} if size <= VALUE_LIMIT_BYTES else {f"{name}_bytes": size}


def _error(error: ErrorInfo) -> dict[str, Any]:
    hashed = with_stack_hash(error)
    message = hashed.message
    if len(message) > _TEXT_LIMIT_CHARS:
        message = f"{message[:_TEXT_LIMIT_CHARS]}… [{len(message) - _TEXT_LIMIT_CHARS:,} more characters cut]"
    return _known({"type": hashed.type, "message": message, "stack_hash": hashed.stack_hash})
