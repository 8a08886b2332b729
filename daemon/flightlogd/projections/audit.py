"""The audit trail: who did what to which execution when, in the transaction of the change."""

from typing import Any, Final

import apsw
import msgspec

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
    ProducerDropped,
    type_of,
)
from flightlogd.lifecycle import Finding, State, is_lifecycle, judge
from flightlogd.recorded import Recorded

NAME: Final = "audit"
VERSION: Final = 2
TABLES: Final = {
    "audit": ("seq", "place"),
    "audit_state": ("execution_id",),
    "audit_agent": ("execution_id", "agent_id"),
}
SCHEMA: Final = """
CREATE TABLE audit (
    seq          INTEGER NOT NULL,
    place        INTEGER NOT NULL,      -- an event may leave several entries
    time         INTEGER NOT NULL,
    execution_id TEXT,
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

_STATE: Final = msgspec.json.Decoder(State)


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Write the entries that one event leaves."""
    event = recorded.event
    if is_lifecycle(event):
        assert event.execution_id is not None
        row = db.execute("select state from audit_state where execution_id = ?", (event.execution_id,)).get
        state = State() if row is None else _STATE.decode(row)
        verdict = judge(state, recorded)
        if verdict.state != state or row is None:
            db.execute(
                "insert into audit_state values (?, ?) on conflict do update set state = excluded.state",
                (event.execution_id, msgspec.json.encode(verdict.state).decode()),
            )
        for place, finding in enumerate(verdict.findings):
            _write(db, recorded, place, finding.type, finding)
        return
    match event:
        case AgentAdded() | AgentUpdated() | AgentUsage() | ArtifactAdded():
            _look_for_anomalies(db, recorded, event)
        case AuditRecorded():
            detail = {"target": event.target, **(event.detail or {})} if event.target else event.detail
            _write(db, recorded, 0, event.action, Finding(type="CHANGED", reason=event.reason, detail=detail))
        case ProducerDropped():
            detail = {"count": event.count, "by_level": event.by_level, "producer": recorded.producer}
            _write(db, recorded, 0, "DROPPED", Finding(type="CHANGED", reason=event.reason, detail=detail))
        case DaemonStarted():
            detail = {"version": event.version, "recovered_seq": event.recovered_seq}
            _write(db, recorded, 0, "DAEMON_STARTED", Finding(type="CHANGED", detail=detail))
        case DaemonStopped():
            _write(db, recorded, 0, "DAEMON_STOPPED", Finding(type="CHANGED", reason=event.reason))
        case DaemonRebuilt():
            detail = {"projections": list(event.projections), "differences": event.differences}
            _write(db, recorded, 0, "REBUILT", Finding(type="CHANGED", reason=event.reason, detail=detail))
        case DaemonPruned():
            detail = {"lines": event.lines, **(event.detail or {})}
            _write(db, recorded, 0, "PRUNED", Finding(type="CHANGED", reason=event.cause, detail=detail))
        case _:
            pass


apply_quiet: Final = None
"""Log lines are no acts."""


def _look_for_anomalies(
    db: apsw.Connection, recorded: Recorded, event: AgentAdded | AgentUpdated | AgentUsage | ArtifactAdded
) -> None:
    """Note what cannot be: things in an execution nobody announced, an agent twice, or one never added."""
    execution_id = event.execution_id
    reasons: list[str] = []
    state = db.execute("select state from audit_state where execution_id = ?", (execution_id,)).get
    if state is None or not _STATE.decode(state).announced:
        reasons.append("it was never announced, and things happen in it")
    if isinstance(event, AgentAdded):
        db.execute(
            "insert into audit_agent values (?, ?) on conflict do nothing", (execution_id, event.agent_id)
        )
        if not db.changes():
            reasons.append(f"agent {event.agent_id} was added before; the first record stands")
    elif not isinstance(event, ArtifactAdded):
        key = (execution_id, event.agent_id)
        known = "select 1 from audit_agent where execution_id = ? and agent_id = ?"
        if db.execute(known, key).get is None:
            reasons.append(f"agent {event.agent_id} was never added")
    for place, reason in enumerate(reasons):
        noted = "select 1 from audit where execution_id = ? and event_type = 'ANOMALY' and reason = ?"
        if db.execute(noted, (execution_id, reason)).get is None:
            finding = Finding(type="ANOMALY", reason=reason, detail={"event": type_of(event)})
            _write(db, recorded, place, finding.type, finding)


def _write(db: apsw.Connection, recorded: Recorded, place: int, event_type: str, finding: Finding) -> None:
    detail: dict[str, Any] | None = finding.detail
    db.execute(
        "insert into audit values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recorded.seq,
            place,
            recorded.time,
            recorded.event.execution_id,
            event_type,
            finding.from_state,
            finding.to_state,
            finding.reason,
            recorded.uid,
            recorded.pid,
            None if detail is None else msgspec.json.encode(detail).decode(),
        ),
    )
