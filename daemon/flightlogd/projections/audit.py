"""The audit trail: who did what to which execution when, in the transaction of the change."""

from collections.abc import Sequence
from typing import Final

import apsw

from flightlog_schemas.events import (
    AgentAdded,
    AgentUpdated,
    AgentUsage,
    ArtifactAdded,
    AuditRecorded,
    DaemonPruned,
    DaemonRebuilt,
    DaemonStarted,
    DaemonStopped,
    DaemonSuppressed,
    ProducerDropped,
    TaskCreated,
    TaskEnded,
    TaskResumed,
    TaskStarted,
    TaskWaiting,
    type_of,
)
from flightlog_schemas.statuses import TERMINAL
from flightlogd.lifecycle import Finding, State, is_lifecycle, judge
from flightlogd.projections import audit_task
from flightlogd.projections.audit_task import TaskEvent
from flightlogd.projections.audit_trail import Trail
from flightlogd.recorded import Recorded

NAME: Final = "audit"
VERSION: Final = 5
TABLES: Final = {
    "audit": ("seq", "place"),
    "audit_state": ("execution_id",),
    "audit_agent": ("execution_id", "agent_id"),
    "audit_task": ("execution_id", "task_id", "span_id"),
}
TOTALS: Final = None
SCHEMA: Final = (
    """
CREATE TABLE audit (
    seq          INTEGER NOT NULL,
    place        INTEGER NOT NULL,      -- an event may leave several entries
    time         INTEGER NOT NULL,
    execution_id TEXT,
    task_id      TEXT,                  -- the task that it is about
    event_type   TEXT    NOT NULL,
    from_state   TEXT,
    to_state     TEXT,
    reason       TEXT,
    uid          INTEGER NOT NULL,
    pid          INTEGER NOT NULL,
    detail       TEXT,
    PRIMARY KEY (seq, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_execution ON audit (execution_id, seq, place);
CREATE INDEX audit_of_task ON audit (task_id, seq, place) WHERE task_id IS NOT NULL;
CREATE INDEX audit_type ON audit (event_type, seq, place);
CREATE INDEX audit_mark ON audit (substr(execution_id, -13), seq, place)
    WHERE substr(execution_id, -13, 1) = '~';
CREATE INDEX audit_anomaly ON audit (execution_id, reason) WHERE event_type = 'ANOMALY';

-- What the rules of the life cycle need to know; the audit trail reads nobody else's tables.
CREATE TABLE audit_state (
    execution_id TEXT PRIMARY KEY,
    state        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Agents that were added.
CREATE TABLE audit_agent (
    execution_id TEXT NOT NULL,
    agent_id     TEXT NOT NULL,
    PRIMARY KEY (execution_id, agent_id)
) STRICT, WITHOUT ROWID;
"""
    + audit_task.SCHEMA
)

_UNANNOUNCED: Final = "it was never announced, and things happen in it"


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Write the entries that one event leaves."""
    apply_all(db, [recorded])


def apply_all(db: apsw.Connection, singles: Sequence[Recorded]) -> None:
    """Write the entries that events leave, all together."""
    trail = Trail(db, singles)
    for recorded in singles:
        _apply(trail, recorded)
    trail.write()


def _apply(trail: Trail, recorded: Recorded) -> None:
    event = recorded.event
    if is_lifecycle(event):
        assert event.execution_id is not None
        state = trail.state(event.execution_id) or State()
        verdict = judge(state, recorded)
        trail.stand(event.execution_id, verdict.state)
        for place, finding in enumerate(verdict.findings):
            trail.enter(recorded, place, finding.type, finding)
        if verdict.state.status in TERMINAL and verdict.state.status != state.status:
            audit_task.end_with_execution(
                trail.db, trail.attempts, recorded, len(verdict.findings), verdict.state.status
            )
        return
    match event:
        case TaskCreated() | TaskStarted() | TaskWaiting() | TaskResumed() | TaskEnded():
            _follow_task(trail, recorded, event)
        case AgentAdded() | AgentUpdated() | AgentUsage() | ArtifactAdded():
            _look_for_anomalies(trail, recorded, event)
        case AuditRecorded():
            detail = {"target": event.target, **(event.detail or {})} if event.target else event.detail
            trail.enter(
                recorded, 0, event.action, Finding(type="CHANGED", reason=event.reason, detail=detail)
            )
        case ProducerDropped():
            detail = {"count": event.count, "by_level": event.by_level, "producer": recorded.producer}
            trail.enter(recorded, 0, "DROPPED", Finding(type="CHANGED", reason=event.reason, detail=detail))
        case DaemonStarted():
            detail = {"version": event.version, "recovered_seq": event.recovered_seq}
            trail.enter(recorded, 0, "DAEMON_STARTED", Finding(type="CHANGED", detail=detail))
        case DaemonStopped():
            trail.enter(recorded, 0, "DAEMON_STOPPED", Finding(type="CHANGED", reason=event.reason))
        case DaemonRebuilt():
            detail = {"projections": list(event.projections), "differences": event.differences}
            trail.enter(recorded, 0, "REBUILT", Finding(type="CHANGED", reason=event.reason, detail=detail))
        case DaemonPruned():
            detail = {"lines": event.lines, **(event.detail or {})}
            trail.enter(recorded, 0, "PRUNED", Finding(type="CHANGED", reason=event.cause, detail=detail))
        case DaemonSuppressed():
            detail = {"uid": event.peer_uid, "lines": event.lines, "by_level": event.by_level}
            trail.enter(
                recorded, 0, "SUPPRESSED", Finding(type="CHANGED", reason=event.reason, detail=detail)
            )
        case _:
            pass


apply_quiet: Final = None
"""Log lines are no acts."""


def _follow_task(trail: Trail, recorded: Recorded, event: TaskEvent) -> None:
    """Write what happens to a task; what is heard of only after its execution ended, ends with it at once."""
    state = trail.state(event.execution_id) or State()
    entries = audit_task.follow_task(trail.attempts, recorded)
    for place, entry in enumerate(entries):
        trail.enter(recorded, place, entry.type, entry)
    place = len(entries)
    if state.status in TERMINAL and isinstance(event, TaskCreated | TaskStarted):
        place += audit_task.end_with_execution(
            trail.db, trail.attempts, recorded, place, state.status, event.task_id
        )
    if not state.announced:
        _note_anomalies(trail, recorded, place, [_UNANNOUNCED])


def _look_for_anomalies(
    trail: Trail, recorded: Recorded, event: AgentAdded | AgentUpdated | AgentUsage | ArtifactAdded
) -> None:
    """Note what cannot be: things in an execution nobody announced, an agent twice, or one never added."""
    execution_id = event.execution_id
    reasons: list[str] = []
    if not (trail.state(execution_id) or State()).announced:
        reasons.append(_UNANNOUNCED)
    if isinstance(event, AgentAdded):
        trail.db.execute(
            "insert into audit_agent values (?, ?) on conflict do nothing", (execution_id, event.agent_id)
        )
        if not trail.db.changes():
            reasons.append(f"agent {event.agent_id} was added before; the first record stands")
    elif not isinstance(event, ArtifactAdded):
        key = (execution_id, event.agent_id)
        known = "select 1 from audit_agent where execution_id = ? and agent_id = ?"
        if trail.db.execute(known, key).get is None:
            reasons.append(f"agent {event.agent_id} was never added")
    _note_anomalies(trail, recorded, 0, reasons)


def _note_anomalies(trail: Trail, recorded: Recorded, place: int, reasons: list[str]) -> None:
    """Write those of an execution's anomalies that were not written before."""
    for here, reason in enumerate(reasons, place):
        if not trail.is_noted(recorded.event.execution_id, reason):
            detail = {"event": type_of(recorded.event)}
            finding = Finding(type="ANOMALY", reason=reason, detail=detail)
            trail.enter(recorded, here, finding.type, finding)
