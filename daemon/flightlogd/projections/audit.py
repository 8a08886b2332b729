"""The audit trail: who did what to which execution when, in the transaction of the change."""

from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.events import (
    AuditRecorded,
    DaemonPruned,
    DaemonRebuilt,
    DaemonStarted,
    DaemonStopped,
    ProducerDropped,
)
from flightlogd.lifecycle import Finding, State, is_lifecycle, judge
from flightlogd.recorded import Recorded

NAME: Final = "audit"
VERSION: Final = 1
TABLES: Final = {"audit": ("seq", "place"), "audit_state": ("execution_id",)}
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
