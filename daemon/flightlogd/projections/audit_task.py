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
from flightlog_schemas.statuses import ACTIVE
from flightlogd.projections.attempts import Attempt, Attempts, Table
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


class TaskEntry(Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the audit trail about one attempt."""

    type: TaskEntryType
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    detail: dict[str, Any]


def _is_open(attempt: Attempt) -> bool:
    return bool(attempt.values["inferred"]) or attempt.values["state"] in ACTIVE


_COLUMNS: Final = ("execution_id", "task_id", "span_id", "seq", "attempt", "state", "inferred", "started_at")
TASK: Final = Table("audit_task", columns=_COLUMNS, read=_COLUMNS, is_open=_is_open)


def follow_task(attempts: Attempts, recorded: Recorded) -> list[TaskEntry]:
    """Note what an event does to its attempt, and return the entries that it leaves."""
    match recorded.event:
        case TaskCreated() as event:
            return _create(attempts, recorded, event)
        case TaskStarted() as event:
            return _start(attempts, recorded, event)
        case TaskWaiting() as event:
            return _move(attempts, recorded, event, "running", "waiting")
        case TaskResumed() as event:
            return _move(attempts, recorded, event, "waiting", "running")
        case TaskEnded() as event:
            return _end(attempts, recorded, event)
        case _:
            return []


def end_with_execution(
    db: apsw.Connection,
    attempts: Attempts,
    recorded: Recorded,
    place: int,
    status: str,
    task_id: str | None = None,
) -> int:
    """Write that what is open of an execution, or of one task in it, ends with it.

    Args:
        db: The connection.
        attempts: Those in memory; they are written first.
        recorded: The event that ended the execution, or that came too late for it.
        place: Of the first entry among those that the event leaves.
        status: How the execution ended.
        task_id: Of this task only.

    Returns:
        How many entries that were.
    """
    attempts.write(recorded.event.execution_id)
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
    entered = db.changes()
    db.execute(f"update audit_task set state = :state, inferred = 1 where {open_here}", values)
    return entered


def _create(attempts: Attempts, recorded: Recorded, event: TaskCreated) -> list[TaskEntry]:
    if attempts.any_of(event.execution_id, event.task_id):
        return []
    _add(attempts, recorded, event)
    detail = {"name": event.name, "type": event.task_type, "parent_task_id": event.parent_task_id}
    return [TaskEntry(type="TASK_CREATED", to_state="pending", detail=_known(detail))]


def _start(attempts: Attempts, recorded: Recorded, event: TaskStarted) -> list[TaskEntry]:
    found = attempts.of(recorded) or _add(attempts, recorded, event)
    if found.values["started_at"] is not None:
        return [_anomaly(recorded, found, "this attempt was started before; the first record stands")]
    before, ended_first = found.values["state"], not _is_open(found)
    state = "running" if before == "pending" else before
    found.set({"attempt": event.attempt, "started_at": recorded.time, "state": state})
    detail = _begun(event)
    return [
        TaskEntry(
            type="TASK_RETRIED" if event.attempt > 1 or event.retry_of else "TASK_STARTED",
            from_state=None if ended_first else before,
            to_state=None if ended_first else state,
            reason="its end came before" if ended_first else event.reason,
            detail=_known(detail),
        )
    ]


def _begun(event: TaskStarted | TaskEnded) -> dict[str, Any]:
    """Return what an event says of a beginning."""
    return {
        "name": event.name,
        "type": event.task_type,
        "span_id": event.span_id,
        "attempt": event.attempt,
        "retry_of": event.retry_of,
        "agent_id": event.agent_id,
        **_value("inputs", event.inputs),
    }


def _move(
    attempts: Attempts, recorded: Recorded, event: TaskWaiting | TaskResumed, source: str, target: str
) -> list[TaskEntry]:
    found = attempts.of(recorded) or _add(attempts, recorded, event)
    state = found.values["state"]
    if state != source:
        return [_anomaly(recorded, found, f"it is {state}, not {source}")]
    found.set({"state": target})
    return [
        TaskEntry(
            type="TASK_STATE_CHANGE",
            from_state=source,
            to_state=target,
            reason=event.reason,
            detail=_about(found),
        )
    ]


def _end(attempts: Attempts, recorded: Recorded, event: TaskEnded) -> list[TaskEntry]:
    found = attempts.of(recorded)
    before = None if found is None else found.values["state"]
    if found is None:
        found = _add(attempts, recorded, event)
    elif not _is_open(found):
        return [_anomaly(recorded, found, f"it has ended already ({before})")]
    begun = {}
    if event.started_at is not None and found.values["started_at"] is None:
        found.set({"attempt": event.attempt, "started_at": event.started_at})
        begun = _begun(event)
    started_at, duration_us = found.values["started_at"], event.duration_us
    if duration_us is None and started_at is not None:
        duration_us = max(0, recorded.time - started_at)
    found.set({"state": event.outcome, "inferred": 0})
    detail = {
        **begun,
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


def _add(attempts: Attempts, recorded: Recorded, event: TaskEvent) -> Attempt:
    return attempts.add(
        {
            "execution_id": event.execution_id,
            "task_id": event.task_id,
            "span_id": event.span_id or "",
            "seq": recorded.seq,
            "attempt": 1,
            "state": "pending",
            "inferred": 0,
        }
    )


def _anomaly(recorded: Recorded, found: Attempt, reason: str) -> TaskEntry:
    detail = {"event": type_of(recorded.event), **_about(found)}
    return TaskEntry(type="ANOMALY", from_state=found.values["state"], reason=reason, detail=detail)


def _about(found: Attempt) -> dict[str, Any]:
    return _known({"span_id": found.values["span_id"] or None, "attempt": found.values["attempt"]})


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
