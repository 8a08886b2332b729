"""Tasks: one row for each attempt, whatever order its events come in.

An attempt goes by its span. Events without one are of the task's only attempt. An execution that ends takes
its open tasks with it; that is an inference, which a task's own ending replaces.
"""

from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.events import (
    Event,
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
from flightlogd.lifecycle import State, is_lifecycle, judge
from flightlogd.projections import task_stats
from flightlogd.projections.totals import Totals
from flightlogd.recorded import Recorded

NAME: Final = "task"
VERSION: Final = 4
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

_STATE: Final = msgspec.json.Decoder(State)


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Apply an event to its attempt, or to all open attempts of an execution that ends."""
    event = recorded.event
    if is_lifecycle(event):
        _follow(db, recorded)
        return
    match event:
        case TaskCreated():
            _create(db, recorded, event)
            _end_late(db, recorded, event)
        case TaskStarted():
            _start(db, recorded, event)
            _end_late(db, recorded, event)
        case TaskWaiting():
            _move(db, recorded, "running", "waiting", event.reason)
        case TaskResumed():
            _move(db, recorded, "waiting", "running", event.reason)
        case TaskEnded():
            _end(db, recorded, event)
        case _:
            pass


def _follow(db: apsw.Connection, recorded: Recorded) -> None:
    """Keep up with an execution's state; when it ends, or ends in another way after all, so do its tasks."""
    execution_id = recorded.event.execution_id
    assert execution_id is not None
    state, ended_at = _state(db, execution_id)
    verdict = judge(state or State(), recorded)
    if verdict.accepted:
        _place(db, recorded.event)
    after = verdict.state
    if after == state:
        return
    ends = after.status in TERMINAL and (state is None or after.status != state.status)
    if ends:
        ended_at = recorded.time
    db.execute(
        "insert into task_execution (execution_id, state, ended_at) values (?, ?, ?)"
        " on conflict do update set state = excluded.state, ended_at = excluded.ended_at",
        (execution_id, _json(after), ended_at),
    )
    if ends:
        _end_with_execution(db, recorded.seq, after.status, recorded.time, execution_id)


def _place(db: apsw.Connection, event: Event) -> None:
    """Note the project of an execution, where an announcement names the first; its tasks have it too."""
    if not isinstance(event, ExecutionCreated | ExecutionStarted) or event.project is None:
        return
    placed = db.execute(
        "insert into task_execution (execution_id, state, project) values (?, ?, ?)"
        " on conflict do update set project = excluded.project where project is null returning 1",
        (event.execution_id, _json(State()), event.project),
    ).get
    if placed:
        db.execute("update task set project = ? where execution_id = ?", (event.project, event.execution_id))


def _state(db: apsw.Connection, execution_id: str) -> tuple[State | None, int | None]:
    """Return how an execution stands and when it ended."""
    sql = "select state, ended_at from task_execution where execution_id = ?"
    row = db.execute(sql, (execution_id,)).fetchone()
    return (None, None) if row is None else (_STATE.decode(row[0]), row[1])


def _end_with_execution(
    db: apsw.Connection, seq: int, status: str, ended_at: int, execution_id: str, task_id: str | None = None
) -> None:
    """End what is open of an execution, or of one task in it, as the end of the execution makes it."""
    ends_as = _WITH_EXECUTION.get(status, "cancelled")
    db.execute(
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


def _end_late(db: apsw.Connection, recorded: Recorded, event: TaskCreated | TaskStarted) -> None:
    """End what is heard of only after its execution ended, as if it had been heard of before."""
    state, ended_at = _state(db, event.execution_id)
    if state is not None and ended_at is not None:
        _end_with_execution(db, recorded.seq, state.status, ended_at, event.execution_id, event.task_id)


def _create(db: apsw.Connection, recorded: Recorded, event: TaskCreated) -> None:
    """Note a task that has not begun; where it has, what was not known of it is filled in."""
    key = (event.execution_id, event.task_id)
    if db.execute("select 1 from task where execution_id = ? and task_id = ? limit 1", key).get is None:
        _insert(db, recorded, event.task_id, recorded.event.span_id or "")
    db.execute(
        "update task set name = coalesce(name, ?), slug = coalesce(slug, ?),"
        " task_type = coalesce(task_type, ?), parent_task_id = coalesce(parent_task_id, ?)"
        " where execution_id = ? and task_id = ?",
        (event.name, event.slug, event.task_type, event.parent_task_id, *key),
    )


def _start(db: apsw.Connection, recorded: Recorded, event: TaskStarted) -> None:
    """Begin an attempt; the first record stands. Its end may have come before."""
    seq = _attempt(db, recorded, event.task_id)
    columns = {
        "trace_id": event.trace_id,
        "attempt": event.attempt,
        "retry_of": event.retry_of,
        "agent_id": event.agent_id,
        "causation_id": event.causation_id,
        "scheduled_at": event.scheduled_at,
        "started_at": recorded.time,
        "config_digest": event.config_digest,
        "inputs": _json_or_none(event.inputs),
        "retrieval": _json_or_none(event.retrieval),
        "runner": _json_or_none(event.runner),
        "provenance": event.provenance,
    }
    open_columns = ("name", "slug", "task_type", "parent_task_id")
    assignments = ", ".join(
        (*(f"{name} = ?" for name in columns), *(f"{name} = coalesce(?, {name})" for name in open_columns))
    )
    db.execute(
        f"update task set status = iif(status = 'pending', 'running', status), {assignments},"
        " scrubbed = coalesce(max(scrubbed, ?), scrubbed, ?) where seq = ? and started_at is null",
        (
            *columns.values(),
            *(getattr(event, name) for name in open_columns),
            *(event.scrubbed, event.scrubbed),
            seq,
        ),
    )
    db.execute(
        "update task set finished_at = max(finished_at, started_at),"
        " duration_us = coalesce(duration_us, max(0, finished_at - started_at))"
        " where seq = ? and finished_at is not null",
        (seq,),
    )


def _move(db: apsw.Connection, recorded: Recorded, source: str, target: str, reason: str | None) -> None:
    task_id = recorded.event.task_id
    assert task_id is not None
    db.execute(
        "update task set status = ?, reason = ? where seq = ? and status = ?",
        (target, reason, _attempt(db, recorded, task_id), source),
    )


def _end(db: apsw.Connection, recorded: Recorded, event: TaskEnded) -> None:
    """End an attempt; the first ending of its own stands. Its beginning may come later."""
    seq = _attempt(db, recorded, event.task_id)
    error = None if event.error is None else with_stack_hash(event.error)
    columns = {
        "status": event.outcome,
        "inferred": 0,
        "reason": event.reason,
        "ended_seq": recorded.seq,
        "error": _json_or_none(error),
        "stack_hash": None if error is None or not error.stack_hash else error.stack_hash[:ID_LIMIT_CHARS],
        "outputs": _json_or_none(event.outputs),
        "io": _json_or_none(event.io),
    }
    assignments = ", ".join(f"{name} = ?" for name in columns)
    db.execute(
        f"update task set {assignments}, trace_id = coalesce(trace_id, ?),"
        " scrubbed = coalesce(max(scrubbed, ?), scrubbed, ?),"
        " finished_at = max(?, coalesce(started_at, 0)),"
        " duration_us = coalesce(?, iif(started_at is null, null, max(0, ? - started_at)))"
        " where seq = ? and (inferred or status = 'pending' or status = 'running' or status = 'waiting')",
        (
            *columns.values(),
            event.trace_id,
            *(event.scrubbed, event.scrubbed),
            recorded.time,
            event.duration_us,
            recorded.time,
            seq,
        ),
    )


def _attempt(db: apsw.Connection, recorded: Recorded, task_id: str) -> int:
    """Return the row of the attempt that an event is of; it is made where it is missing."""
    event = recorded.event
    key = (event.execution_id, task_id)
    if event.span_id is None and not isinstance(event, TaskStarted):
        # Of the newest attempt: a shell script that says nothing of spans has one at a time.
        newest = "select max(seq) from task where execution_id = ? and task_id = ?"
        seq = db.execute(newest, key).get
    else:
        this = "select seq from task where execution_id = ? and task_id = ? and span_id = ?"
        seq = db.execute(this, (*key, event.span_id or "")).get
    if seq is None:
        # A task that was created and has not begun becomes its first attempt.
        waiting = (
            "select seq from task where execution_id = ? and task_id = ? and span_id = ''"
            " and started_at is null and (inferred or finished_at is null)"
        )
        seq = db.execute(waiting, key).get
        if seq is not None:
            db.execute("update task set span_id = ? where seq = ?", (event.span_id or "", seq))
    return _insert(db, recorded, task_id, event.span_id or "") if seq is None else int(seq)


def _insert(db: apsw.Connection, recorded: Recorded, task_id: str, span_id: str) -> int:
    event = recorded.event
    db.execute(
        "insert into task (seq, execution_id, task_id, span_id, trace_id, attempt, agent_id, status,"
        " inferred, created_at, provenance, project) values (?, ?, ?, ?, ?, 1, ?, 'pending', 0, ?, ?,"
        " (select project from task_execution where execution_id = ?))",
        (
            recorded.seq,
            event.execution_id,
            task_id,
            span_id,
            event.trace_id,
            event.agent_id,
            recorded.time,
            event.provenance,
            event.execution_id,
        ),
    )
    return recorded.seq


def _json_or_none(value: Any) -> str | None:
    return None if value is None else _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
