"""Plans of projects: what was asked for, built, adjusted, and what failed.

A row says where in the log a plan or a change of it is; the plan itself is read from there. What is pending
are requests, and initialisers, that the daemon has not answered yet.
"""

from collections.abc import Callable, Sequence
from typing import Final

import apsw

from flightlog_schemas.events import (
    Event,
    ExecutionChanged,
    ExecutionCreated,
    ExecutionStarted,
    PlanAdjusted,
    PlanBuilt,
    PlanEpicDeclared,
    PlanFailed,
    PlanRequested,
    TaskDeclared,
)
from flightlogd.projections import plan_declared
from flightlogd.recorded import DAEMON_PRODUCER, Recorded

NAME: Final = "plan"
VERSION: Final = 2
TABLES: Final = {
    "plan": ("seq",),
    "plan_adjustment": ("seq",),
    "plan_failure": ("seq",),
    "plan_pending": ("seq",),
    "plan_initializer": ("execution_id",),
} | plan_declared.TABLES
TOTALS: Final = None
SCHEMA: Final = (
    """
CREATE TABLE plan (
    seq              INTEGER PRIMARY KEY,  -- of plan.built, which holds it
    plan_id          TEXT    NOT NULL,     -- where two have the same, the first one has it
    project          TEXT    NOT NULL,
    execution_id     TEXT,                 -- which asked for it
    cause            TEXT,                 -- the request, by its id or position
    built_at         INTEGER NOT NULL,
    batches          INTEGER NOT NULL,
    total_tasks      INTEGER NOT NULL,
    parallel_batches INTEGER NOT NULL,
    conflicts        INTEGER NOT NULL
) STRICT;
CREATE INDEX plan_by_id ON plan (plan_id, seq);
CREATE INDEX plan_project ON plan (project, seq);
CREATE INDEX plan_execution ON plan (execution_id) WHERE execution_id IS NOT NULL;

CREATE TABLE plan_adjustment (
    seq          INTEGER PRIMARY KEY,
    plan_id      TEXT    NOT NULL,
    execution_id TEXT
) STRICT;
CREATE INDEX plan_adjustment_plan ON plan_adjustment (plan_id, seq);
CREATE INDEX plan_adjustment_execution ON plan_adjustment (execution_id) WHERE execution_id IS NOT NULL;

CREATE TABLE plan_failure (
    seq          INTEGER PRIMARY KEY,
    project      TEXT    NOT NULL,
    execution_id TEXT,
    cause        TEXT,
    failed_at    INTEGER NOT NULL,
    message      TEXT    NOT NULL
) STRICT;
CREATE INDEX plan_failure_project ON plan_failure (project, seq);
CREATE INDEX plan_failure_execution ON plan_failure (execution_id) WHERE execution_id IS NOT NULL;

-- Requests that the daemon has not answered.
CREATE TABLE plan_pending (
    seq           INTEGER PRIMARY KEY,
    project       TEXT    NOT NULL,
    execution_id  TEXT,
    request_id    TEXT,
    max_worktrees INTEGER
) STRICT;
CREATE INDEX plan_pending_project ON plan_pending (project, seq);
CREATE INDEX plan_pending_execution ON plan_pending (execution_id) WHERE execution_id IS NOT NULL;

-- Executions that were called initialisers.
CREATE TABLE plan_initializer (
    execution_id TEXT    PRIMARY KEY,
    asked        INTEGER NOT NULL          -- 1: the daemon has asked for a plan
) STRICT, WITHOUT ROWID;
CREATE INDEX plan_initializer_open ON plan_initializer (execution_id) WHERE NOT asked;
"""
    + plan_declared.SCHEMA
)

REQUEST_KEY: Final = "plan-requested"
"""Before the position in the key of a request that the daemon makes itself."""

ANSWER_KEY: Final = "plan"
"""Before the request's position in the key of its answer."""

ROLE: Final = ("role", "initializer")
"""The label of an execution whose success asks for a plan."""

apply_quiet: Final = None
"""Log lines plan nothing."""


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Apply one event."""
    rule = _RULES.get(type(recorded.event))
    if rule is not None:
        rule(db, recorded)


def apply_all(db: apsw.Connection, singles: Sequence[Recorded]) -> None:
    """Apply events one by one: few are of concern, and all others pass at once."""
    for recorded in singles:
        rule = _RULES.get(type(recorded.event))
        if rule is not None:
            rule(db, recorded)


def is_initializer(event: Event) -> bool:
    """Say whether an event calls its execution an initialiser."""
    if not isinstance(event, ExecutionCreated | ExecutionStarted | ExecutionChanged):
        return False
    name, value = ROLE
    return event.labels is not None and event.labels.get(name) == value


def _note_initializer(db: apsw.Connection, recorded: Recorded) -> None:
    if is_initializer(recorded.event):
        db.execute("insert or ignore into plan_initializer values (?, 0)", (recorded.event.execution_id,))


def _request(db: apsw.Connection, recorded: Recorded) -> None:
    event = recorded.event
    assert isinstance(event, PlanRequested)
    if recorded.producer == DAEMON_PRODUCER and event.execution_id is not None:
        db.execute("update plan_initializer set asked = 1 where execution_id = ?", (event.execution_id,))
    if recorded.provenance == "live":
        db.execute(
            "insert into plan_pending values (?, ?, ?, ?, ?)",
            (recorded.seq, event.project, event.execution_id, event.id, event.max_worktrees),
        )


def _build(db: apsw.Connection, recorded: Recorded) -> None:
    event = recorded.event
    assert isinstance(event, PlanBuilt)
    if event.plan is None:
        # An answer that names a plan which another one holds.
        _answered(db, recorded)
        return
    db.execute(
        "insert into plan values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recorded.seq,
            event.plan_id,
            event.project,
            event.execution_id,
            event.causation_id,
            recorded.time,
            event.batches,
            event.total_tasks,
            event.parallel_batches,
            event.conflicts,
        ),
    )
    _answered(db, recorded)


def _fail(db: apsw.Connection, recorded: Recorded) -> None:
    event = recorded.event
    assert isinstance(event, PlanFailed)
    db.execute(
        "insert into plan_failure values (?, ?, ?, ?, ?, ?)",
        (
            recorded.seq,
            event.project,
            event.execution_id,
            event.causation_id,
            recorded.time,
            event.error.message,
        ),
    )
    _answered(db, recorded)


def _answered(db: apsw.Connection, recorded: Recorded) -> None:
    """Take a request from what is pending; only the daemon's own answer counts, by its key."""
    key = recorded.event.id
    if recorded.producer != DAEMON_PRODUCER or key is None:
        return
    reaction, _, seq = key.partition(":")
    if reaction == ANSWER_KEY:
        db.execute("delete from plan_pending where seq = ?", (int(seq),))


def _adjust(db: apsw.Connection, recorded: Recorded) -> None:
    event = recorded.event
    assert isinstance(event, PlanAdjusted)
    db.execute(
        "insert into plan_adjustment values (?, ?, ?)", (recorded.seq, event.plan_id, event.execution_id)
    )


_RULES: Final[dict[type[Event], Callable[[apsw.Connection, Recorded], None]]] = {
    TaskDeclared: plan_declared.declare_task,
    PlanEpicDeclared: plan_declared.declare_epic,
    PlanRequested: _request,
    PlanBuilt: _build,
    PlanFailed: _fail,
    PlanAdjusted: _adjust,
    ExecutionCreated: _note_initializer,
    ExecutionStarted: _note_initializer,
    ExecutionChanged: _note_initializer,
}
