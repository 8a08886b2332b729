"""Tasks: one row for each attempt, whatever order its events come in.

An attempt goes by its span. Events without one are of the task's only attempt. An execution that ends takes
its open tasks with it; that is an inference, which a task's own ending replaces.
"""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.events import (
    ExecutionCreated,
    ExecutionStarted,
    TaskCreated,
    TaskEnded,
    TaskResumed,
    TaskStarted,
    TaskWaiting,
)
from flightlog_schemas.limits import ID_LIMIT_CHARS
from flightlog_schemas.stacks import with_stack_hash
from flightlog_schemas.statuses import TERMINAL
from flightlogd.lifecycle import LIFECYCLE_TYPES, State, judge
from flightlogd.projections import task_stats
from flightlogd.projections.attempts import Attempt
from flightlogd.projections.task_run import Run, Standing, is_open
from flightlogd.projections.totals import Totals
from flightlogd.recorded import Recorded

NAME: Final = "task"
VERSION: Final = 9
TABLES: Final = {"task_execution": ("execution_id",), "task": ("seq",)} | task_stats.TABLES
TOTALS: Final = Totals(tuple(task_stats.TABLES), task_stats.settle)
SCHEMA: Final = (
    """
-- How each execution stands, by the rules of its life cycle.
CREATE TABLE task_execution (
    execution_id TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    ended_at     INTEGER,
    project      TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
    seq            INTEGER PRIMARY KEY,    -- of the first event that mentions it: the order of lists
    execution_id   TEXT    NOT NULL,
    task_id        TEXT    NOT NULL,
    span_id        TEXT    NOT NULL,       -- '' where events give none
    trace_id       TEXT,
    attempt        INTEGER NOT NULL,
    retry_of       TEXT,
    parent_task_id TEXT,
    agent_id       TEXT,
    causation_id   TEXT,                   -- the event that caused it
    slug           TEXT,
    name           TEXT,
    task_type      TEXT,
    project        TEXT,                   -- of its execution
    status         TEXT    NOT NULL,
    inferred       INTEGER NOT NULL,       -- 1: it ended with its execution and said nothing itself
    reason         TEXT,
    created_at     INTEGER NOT NULL,
    scheduled_at   INTEGER,
    started_at     INTEGER,
    finished_at    INTEGER,
    ended_seq      INTEGER,                -- the event that ended it, its own or its execution's
    duration_us    INTEGER,
    config_digest  TEXT,
    inputs         TEXT,                   -- JSON, as all below
    outputs        TEXT,
    error          TEXT,
    stack_hash     TEXT,                   -- of the error, for an index; cut if it is no hash of ours
    retrieval      TEXT,
    runner         TEXT,
    io             TEXT,
    provenance     TEXT    NOT NULL,
    scrubbed       INTEGER
) STRICT;
CREATE UNIQUE INDEX task_attempt ON task (execution_id, task_id, span_id);
CREATE INDEX task_execution_order ON task (execution_id, seq);
CREATE INDEX task_open ON task (execution_id, seq)
    WHERE inferred OR status = 'pending' OR status = 'running' OR status = 'waiting';
CREATE INDEX task_by_mark ON task (substr(execution_id, -13), seq) WHERE substr(execution_id, -13, 1) = '~';
CREATE INDEX task_by_id ON task (task_id, seq);
CREATE INDEX task_by_slug ON task (slug, seq) WHERE slug IS NOT NULL;
CREATE INDEX task_by_trace ON task (trace_id, seq) WHERE trace_id IS NOT NULL;
CREATE INDEX task_by_status ON task (status, seq);
CREATE INDEX task_by_provenance ON task (provenance, seq) WHERE provenance <> 'live';
-- Few beside those that succeeded, and what people look for. OR, for an IN (...) of more than two would be a
-- temporary table, made anew for each row that is written: twenty times slower (measured).
CREATE INDEX task_unsuccessful_by_id ON task (task_id, status, seq)
    WHERE (status = 'failed' OR status = 'cancelled' OR status = 'timed_out' OR status = 'lost');
CREATE INDEX task_unsuccessful_by_slug ON task (slug, status, seq)
    WHERE (status = 'failed' OR status = 'cancelled' OR status = 'timed_out' OR status = 'lost')
    AND slug IS NOT NULL;
CREATE INDEX task_failed ON task (status, finished_at)
    WHERE (status = 'failed' OR status = 'timed_out' OR status = 'lost');
CREATE INDEX task_failed_by_id ON task (task_id, status, finished_at)
    WHERE (status = 'failed' OR status = 'timed_out' OR status = 'lost');
CREATE INDEX task_failed_by_slug ON task (slug, status, finished_at)
    WHERE (status = 'failed' OR status = 'timed_out' OR status = 'lost') AND slug IS NOT NULL;
CREATE INDEX task_failed_by_project ON task (project, status, finished_at)
    WHERE (status = 'failed' OR status = 'timed_out' OR status = 'lost') AND project IS NOT NULL;
CREATE INDEX task_failed_by_mark ON task (substr(execution_id, -13), status, finished_at)
    WHERE (status = 'failed' OR status = 'timed_out' OR status = 'lost')
    AND substr(execution_id, -13, 1) = '~';
CREATE INDEX task_by_end ON task (ended_seq) WHERE ended_seq IS NOT NULL;
CREATE INDEX task_by_stack ON task (stack_hash, finished_at) WHERE stack_hash IS NOT NULL;
CREATE INDEX task_by_stack_end ON task (stack_hash, ended_seq) WHERE stack_hash IS NOT NULL;
"""
    + task_stats.SCHEMA
)

apply_quiet: Final = None
"""Log lines are no work."""

_WITH_EXECUTION: Final = {"cancelled": "cancelled", "timed_out": "timed_out", "lost": "lost"}
"""How open tasks end with an execution; with any other ending they were cut short: cancelled."""

_OPEN_COLUMNS: Final = ("name", "slug", "task_type", "parent_task_id")
"""What several events may tell of a task."""

_OURS: Final = LIFECYCLE_TYPES | {TaskCreated, TaskStarted, TaskWaiting, TaskResumed, TaskEnded}


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Apply an event to its attempt, or to all open attempts of an execution that ends."""
    apply_all(db, [recorded])


def apply_all(db: apsw.Connection, singles: Sequence[Recorded]) -> None:
    """Apply events in their order; their attempts are written together."""
    ours = [recorded for recorded in singles if type(recorded.event) in _OURS]
    run = Run(db, ours)
    for recorded in ours:
        _apply(run, recorded)
    run.write()


def _apply(run: Run, recorded: Recorded) -> None:
    match recorded.event:
        case TaskStarted() as event:
            _start(run, recorded, event)
            _end_late(run, recorded, event)
        case TaskEnded() as event:
            _end(run, recorded, event)
        case TaskCreated() as event:
            _create(run, recorded, event)
            _end_late(run, recorded, event)
        case TaskWaiting() as event:
            _move(run, recorded, "running", "waiting", event.reason)
        case TaskResumed() as event:
            _move(run, recorded, "waiting", "running", event.reason)
        case _:
            _follow(run, recorded)


def _follow(run: Run, recorded: Recorded) -> None:
    """Keep up with an execution's state; when it ends, or ends in another way after all, so do its tasks."""
    event = recorded.event
    execution_id = event.execution_id
    assert execution_id is not None
    state, ended_at, project = run.executions[execution_id]
    verdict = judge(state or State(), recorded)
    if verdict.accepted and isinstance(event, ExecutionCreated | ExecutionStarted) and project is None:
        project = event.project
    after = verdict.state
    ends = after.status in TERMINAL and (state is None or after.status != state.status)
    if ends:
        ended_at = recorded.time
    run.stand(execution_id, Standing(after, ended_at, project))
    if ends:
        _end_with_execution(run, recorded.seq, after.status, recorded.time, execution_id)


def _end_with_execution(
    run: Run, seq: int, status: str, ended_at: int, execution_id: str, task_id: str | None = None
) -> None:
    """End what is open of an execution, or of one task in it, as the end of the execution makes it."""
    run.write(execution_id)
    ends_as = _WITH_EXECUTION.get(status, "cancelled")
    run.db.execute(
        "update task set ended_seq = iif(inferred and status = ?, ended_seq, ?),"
        " status = ?, inferred = 1, reason = ?,"
        " finished_at = max(?, coalesce(started_at, 0)),"
        " duration_us = iif(started_at is null, null, max(0, ? - started_at))"
        " where execution_id = ?"
        " and (inferred or status = 'pending' or status = 'running' or status = 'waiting')"
        + ("" if task_id is None else " and task_id = ?"),
        (
            ends_as,
            seq,
            ends_as,
            f"its execution ended: {status}",
            ended_at,
            ended_at,
            execution_id,
            *(() if task_id is None else (task_id,)),
        ),
    )


def _end_late(run: Run, recorded: Recorded, event: TaskCreated | TaskStarted) -> None:
    """End what is heard of only after its execution ended, as if it had been heard of before."""
    state, ended_at, _ = run.executions[event.execution_id]
    if state is not None and ended_at is not None:
        _end_with_execution(run, recorded.seq, state.status, ended_at, event.execution_id, event.task_id)


def _create(run: Run, recorded: Recorded, event: TaskCreated) -> None:
    """Note a task that has not begun; where it has, what was not known of it is filled in."""
    columns = {name: getattr(event, name) for name in _OPEN_COLUMNS}
    if not run.attempts.any_of(event.execution_id, event.task_id):
        _add(run, recorded, event.task_id).set(columns)
        return
    run.write(event.execution_id)
    run.db.execute(
        f"update task set {', '.join(f'{name} = coalesce({name}, ?)' for name in columns)}"
        " where execution_id = ? and task_id = ?",
        (*columns.values(), event.execution_id, event.task_id),
    )


def _start(run: Run, recorded: Recorded, event: TaskStarted) -> None:
    """Begin an attempt; the first record stands. Its end may have come before."""
    attempt = _attempt(run, recorded, event.task_id)
    if attempt.values["started_at"] is None:
        _begin(attempt, recorded, recorded.time, event)


def _begin(attempt: Attempt, recorded: Recorded, started_at: int, event: TaskStarted | TaskEnded) -> None:
    """Note what an event says of the beginning of an attempt that was not known to have begun."""
    known = attempt.values
    columns = {
        "trace_id": event.trace_id,
        "attempt": event.attempt,
        "retry_of": event.retry_of,
        "agent_id": event.agent_id,
        "causation_id": event.causation_id,
        "scheduled_at": event.scheduled_at,
        "started_at": started_at,
        "config_digest": event.config_digest,
        "inputs": _json_or_none(event.inputs),
        "retrieval": _json_or_none(event.retrieval),
        "runner": _json_or_none(event.runner),
        "provenance": recorded.provenance,
    }
    for name in _OPEN_COLUMNS:
        if (value := getattr(event, name)) is not None:
            columns[name] = value
    if event.scrubbed is not None:
        columns["scrubbed"] = max(known["scrubbed"] or 0, event.scrubbed)
    if known["status"] == "pending":
        columns["status"] = "running"
    finished_at = known["finished_at"]
    if finished_at is not None:
        columns["finished_at"] = max(finished_at, started_at)
        if known["duration_us"] is None:
            columns["duration_us"] = max(0, finished_at - started_at)
    attempt.set(columns)


def _move(run: Run, recorded: Recorded, source: str, target: str, reason: str | None) -> None:
    task_id = recorded.event.task_id
    assert task_id is not None
    attempt = _attempt(run, recorded, task_id)
    if attempt.values["status"] == source:
        attempt.set({"status": target, "reason": reason})


def _end(run: Run, recorded: Recorded, event: TaskEnded) -> None:
    """End an attempt; the first ending of its own stands. Its beginning may come with it, or later."""
    attempt = _attempt(run, recorded, event.task_id)
    known = attempt.values
    if event.started_at is not None and known["started_at"] is None:
        _begin(attempt, recorded, event.started_at, event)
    if not is_open(attempt):
        return
    error = None if event.error is None else with_stack_hash(event.error)
    started_at, duration_us = known["started_at"], event.duration_us
    if duration_us is None and started_at is not None:
        duration_us = max(0, recorded.time - started_at)
    columns = {
        "status": event.outcome,
        "inferred": 0,
        "reason": event.reason,
        "ended_seq": recorded.seq,
        "error": _json_or_none(error),
        "stack_hash": None if error is None or not error.stack_hash else error.stack_hash[:ID_LIMIT_CHARS],
        "outputs": _json_or_none(event.outputs),
        "io": _json_or_none(event.io),
        "finished_at": max(recorded.time, started_at or 0),
        "duration_us": duration_us,
    }
    if known["trace_id"] is None:
        columns["trace_id"] = event.trace_id
    if event.scrubbed is not None:
        columns["scrubbed"] = max(known["scrubbed"] or 0, event.scrubbed)
    attempt.set(columns)


def _attempt(run: Run, recorded: Recorded, task_id: str) -> Attempt:
    """Return the attempt that an event is of; it is made where it is missing."""
    return run.attempts.of(recorded) or _add(run, recorded, task_id)


def _add(run: Run, recorded: Recorded, task_id: str) -> Attempt:
    event = recorded.event
    assert event.execution_id is not None
    return run.attempts.add(
        {
            "seq": recorded.seq,
            "execution_id": event.execution_id,
            "task_id": task_id,
            "span_id": event.span_id or "",
            "trace_id": event.trace_id,
            "attempt": 1,
            "agent_id": event.agent_id,
            "status": "pending",
            "inferred": 0,
            "created_at": recorded.time,
            "provenance": recorded.provenance,
            "project": run.executions[event.execution_id].project,
        }
    )


def _json_or_none(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
