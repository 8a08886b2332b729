"""Executions: one row each, as its events left it."""

from collections.abc import Sequence
from typing import Any, Final

import apsw
import msgspec
from msgspec import Struct

from flightlog_schemas.events import (
    QUIET_TYPES,
    BootClock,
    ExecutionAdopted,
    ExecutionAdvanced,
    ExecutionChanged,
    ExecutionCounted,
    ExecutionCreated,
    ExecutionEnded,
    ExecutionLost,
    ExecutionStarted,
    Owner,
)
from flightlog_schemas.limits import INT64_MAX, INT64_MIN
from flightlog_schemas.stacks import with_stack_hash
from flightlogd.lifecycle import State, duration_of, is_lifecycle, judge
from flightlogd.projections.quiet import Quiet
from flightlogd.recorded import Recorded
from flightlogd.store.rows import insert_rows

NAME: Final = "execution"
VERSION: Final = 3
TABLES: Final = {"execution": ("execution_id",)}
TOTALS: Final = None
SCHEMA: Final = """
CREATE TABLE execution (
    execution_id     TEXT PRIMARY KEY,
    parent_id        TEXT,
    name             TEXT,
    trigger          TEXT,
    tool             TEXT,
    tool_version     TEXT,
    args             TEXT,                 -- JSON array
    project          TEXT,
    goal             TEXT,
    status           TEXT    NOT NULL,
    announced        INTEGER NOT NULL,     -- 0: a placeholder, mentioned and never announced
    outcome_reason   TEXT,
    owner            TEXT,                 -- JSON {pid, start_time, boot_id, pid_namespace}
    owner_seq        INTEGER,              -- the event that named it
    owner_peer_pid   INTEGER,              -- the process that named it, by the kernel
    provenance       TEXT,                 -- of its announcement: only a live one has its owner here
    producer         TEXT,                 -- whose word on its end is final
    phase            TEXT,
    phases           TEXT,                 -- JSON array
    complexity       INTEGER,
    auto_advance     INTEGER,
    force_full       INTEGER,
    labels           TEXT    NOT NULL,     -- JSON object
    counts           TEXT    NOT NULL,     -- JSON object
    error            TEXT,                 -- JSON {type, message, stack, stack_hash}
    exit_status      INTEGER,
    deadline         INTEGER,
    clock            TEXT,                 -- JSON {boot_id, uptime_us} of its start
    begun_at         INTEGER NOT NULL,     -- when announced, else first mentioned: what lists are sorted by
    started_at       INTEGER,
    finished_at      INTEGER,
    duration_us      INTEGER,
    first_seq        INTEGER NOT NULL,
    last_seq         INTEGER NOT NULL,
    state_seq        INTEGER NOT NULL,
    uid              INTEGER,
    pid              INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX execution_begun ON execution (begun_at, first_seq);
CREATE INDEX execution_status ON execution (status, begun_at, first_seq);
CREATE INDEX execution_project ON execution (project, begun_at, first_seq);
CREATE INDEX execution_name ON execution (name, begun_at, first_seq);
CREATE INDEX execution_parent ON execution (parent_id, begun_at, first_seq) WHERE parent_id IS NOT NULL;
-- What executions of another log end with.
CREATE INDEX execution_mark ON execution (substr(execution_id, -13), begun_at, first_seq)
    WHERE substr(execution_id, -13, 1) = '~';
CREATE INDEX execution_active ON execution (begun_at, first_seq)
    WHERE status IN ('pending', 'running', 'waiting');
CREATE INDEX execution_active_project ON execution (project, begun_at, first_seq)
    WHERE status IN ('pending', 'running', 'waiting');
CREATE INDEX execution_active_watched ON execution (execution_id)
    WHERE status IN ('pending', 'running', 'waiting') AND (owner IS NOT NULL OR deadline IS NOT NULL);
"""

_ANNOUNCED: Final = (
    "parent_id",
    "name",
    "trigger",
    "tool",
    "tool_version",
    "args",
    "project",
    "goal",
    "owner",
    "deadline",
    "phases",
    "complexity",
    "auto_advance",
    "force_full",
)
"""Fields of an announcement that become columns of the same name."""


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Apply an event to its execution's row; one that nobody announced gets a placeholder."""
    apply_all(db, [recorded])


def apply_all(db: apsw.Connection, singles: Sequence[Recorded]) -> None:
    """Apply events in their order; what only mentions executions is added up first."""
    mentioned: dict[str, _Mentioned] = {}
    for recorded in singles:
        event = recorded.event
        if event.execution_id is None or type(event) in QUIET_TYPES:
            continue
        known = mentioned.get(event.execution_id)
        if known is None:
            mentioned[event.execution_id] = _Mentioned(recorded.time, recorded.seq, recorded.seq)
        else:
            known.time = min(known.time, recorded.time)
            known.last_seq = recorded.seq
        if is_lifecycle(event):
            _settle(db, event.execution_id, mentioned.pop(event.execution_id), recorded)
    for execution_id, known in mentioned.items():
        _settle(db, execution_id, known)


class _Mentioned(Struct, gc=False):
    """How events mention an execution: the earliest time, the first position, the last."""

    time: int
    first_seq: int
    last_seq: int


def _settle(db: apsw.Connection, execution_id: str, known: _Mentioned, last: Recorded | None = None) -> None:
    """Write how events mention an execution, and what the last of them changes if it is of its life cycle."""
    _mention(db, [(execution_id, known.time, known.first_seq)])
    changes: dict[str, Any] = {"last_seq": known.last_seq, "state_seq": known.last_seq}
    if last is not None:
        changes |= _lifecycle_changes(db, last)
    assignments = ", ".join(f"{column} = ?" for column in changes)
    db.execute(
        f"update execution set {assignments} where execution_id = ?", (*changes.values(), execution_id)
    )


def apply_quiet(db: apsw.Connection, quiet: Sequence[Quiet]) -> None:
    """Give executions that only log lines mention their placeholder."""
    if not _are_known(db, quiet):
        _mention(db, [(entry.execution_id, entry.first_time, entry.first_seq) for entry in quiet])


def _are_known(db: apsw.Connection, quiet: Sequence[Quiet]) -> bool:
    """Say whether all have their row and none begins it earlier: mostly so, and cheaper to see than try."""
    known = db.execute(
        "select count(*) from json_each(?) cross join execution on execution_id = value"
        " where first_seq <= ? and (announced or begun_at <= ?)",
        (
            _json([entry.execution_id for entry in quiet]),
            min(entry.first_seq for entry in quiet),
            min(entry.first_time for entry in quiet),
        ),
    ).get
    return bool(known == len(quiet))


def _mention(db: apsw.Connection, mentions: Sequence[tuple[str, int, int]]) -> None:
    """Make sure that a row exists and begins no later than this; the order of calls does not matter.

    Args:
        db: The connection.
        mentions: (execution_id, time, seq) of each.
    """
    insert_rows(
        db,
        "execution (execution_id, status, announced, labels, counts, begun_at, first_seq, last_seq,"
        " state_seq)",
        [(execution_id, "pending", 0, "{}", "{}", time, seq, seq, 0) for execution_id, time, seq in mentions],
        "on conflict (execution_id) do update set first_seq = min(first_seq, excluded.first_seq),"
        " begun_at = iif(announced, begun_at, min(begun_at, excluded.begun_at))"
        " where excluded.first_seq < first_seq or (not announced and excluded.begun_at < begun_at)",
    )


def _lifecycle_changes(db: apsw.Connection, recorded: Recorded) -> dict[str, Any]:
    """Return the columns that an `execution.*` event sets."""
    event = recorded.event
    [row] = db.execute(
        "select status, announced, uid, producer, started_at, clock, phase, phases, labels, counts"
        " from execution where execution_id = ?",
        (event.execution_id,),
    )
    status, announced, uid, producer, started_at, clock, phase, phases, labels, counts = row
    state = State(
        status=status,
        announced=bool(announced),
        uid=uid,
        producer=producer,
        started_at=started_at,
        clock=None if clock is None else msgspec.json.decode(clock, type=BootClock),
        phase=phase,
        phases=None if phases is None else tuple(msgspec.json.decode(phases)),
    )
    verdict = judge(state, recorded)
    if not verdict.accepted:
        return {}
    after = verdict.state
    changes: dict[str, Any] = {
        "status": after.status,
        "producer": after.producer,
        "started_at": after.started_at,
        "phase": after.phase,
    }
    if after.clock != state.clock:
        changes["clock"] = _json(after.clock)
    match event:
        case ExecutionCreated() | ExecutionStarted():
            changes |= _announcement(db, recorded, state, labels)
        case ExecutionEnded():
            changes |= _ending(recorded, event, state, counts)
        case ExecutionLost():
            changes |= {"finished_at": recorded.time, "outcome_reason": event.reason}
            if started_at is not None:
                changes["duration_us"] = max(0, recorded.time - started_at)
        case ExecutionChanged():
            for name in ("complexity", "auto_advance", "force_full"):
                if (value := getattr(event, name)) is not None:
                    changes[name] = value
            if event.labels:
                changes["labels"] = _json(msgspec.json.decode(labels) | event.labels)
        case ExecutionCounted():
            changes["counts"] = _add_counts(counts, event.counts)
        case ExecutionAdvanced() if after.status != state.status:
            changes |= {
                "finished_at": max(recorded.time, state.started_at or 0),
                "duration_us": duration_of(state, recorded, event),
            }
        case ExecutionAdopted():
            changes |= _owned(recorded, event.owner)
            if not after.announced:
                # Nobody has announced it yet: that this process is here is all there is to go by.
                changes["provenance"] = recorded.provenance
        case _:
            pass
    return changes


def _announcement(db: apsw.Connection, recorded: Recorded, before: State, labels: str) -> dict[str, Any]:
    """Return what an announcement sets; a start fills only what an earlier one left open."""
    event = recorded.event
    assert isinstance(event, ExecutionCreated | ExecutionStarted)
    changes: dict[str, Any] = {}
    if not before.announced:
        changes |= {
            "announced": 1,
            "uid": recorded.uid,
            "pid": recorded.pid,
            "begun_at": recorded.time,
            "provenance": recorded.provenance,
        }
    open_columns = dict.fromkeys(_ANNOUNCED)
    if before.announced:
        columns = ", ".join(_ANNOUNCED)
        [found] = db.execute(
            f"select {columns} from execution where execution_id = ?",
            (event.execution_id,),
        )
        open_columns = {name: None for name, value in zip(_ANNOUNCED, found, strict=True) if value is None}
    for name in open_columns:
        value = getattr(event, name)
        if value is None:
            continue
        if isinstance(value, Owner):
            changes |= _owned(recorded, value)
        else:
            changes[name] = value if isinstance(value, str | int) else _json(value)
    if event.labels:
        changes["labels"] = _json(event.labels | msgspec.json.decode(labels))
    return changes


def _owned(recorded: Recorded, owner: Owner) -> dict[str, Any]:
    return {"owner": _json(owner), "owner_seq": recorded.seq, "owner_peer_pid": recorded.pid}


def _ending(recorded: Recorded, event: ExecutionEnded, before: State, counts: str) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "finished_at": recorded.time if before.started_at is None else max(recorded.time, before.started_at),
        "duration_us": duration_of(before, recorded, event),
        "outcome_reason": event.reason,
        "exit_status": event.exit_status,
        "error": None if event.error is None else _json(with_stack_hash(event.error)),
    }
    if event.counts:
        changes["counts"] = _add_counts(counts, event.counts)
    return changes


def _add_counts(stored: str, more: dict[str, int]) -> str:
    counts: dict[str, int] = msgspec.json.decode(stored)
    for name, number in more.items():
        # A counter stops at the end of 64 bits: no producer can break the read model by counting.
        counts[name] = max(INT64_MIN, min(INT64_MAX, counts.get(name, 0) + number))
    return _json(counts)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
