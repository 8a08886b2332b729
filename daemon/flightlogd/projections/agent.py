"""Agents: one row each, and what they used by model."""

from typing import Any, Final

import apsw

from flightlog_schemas.events import AgentAdded, AgentUpdated, AgentUsage
from flightlog_schemas.limits import INT64_MAX
from flightlogd.recorded import Recorded

NAME: Final = "agent"
VERSION: Final = 1
TABLES: Final = {"agent_execution": ("execution_id",), "agent": ("execution_id", "agent_id")}
TOTALS: Final = None
SCHEMA: Final = """
-- What all agents of an execution come to.
CREATE TABLE agent_execution (
    execution_id  TEXT    PRIMARY KEY,
    agents        INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd      REAL    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    execution_id    TEXT    NOT NULL REFERENCES agent_execution,
    agent_id        TEXT    NOT NULL,
    added_seq       INTEGER NOT NULL,     -- when it was first heard of: the order of lists
    announced       INTEGER NOT NULL,     -- 0: a placeholder, mentioned and never added
    agent_type      TEXT    NOT NULL,
    name            TEXT,
    status          TEXT    NOT NULL CHECK (status IN ('active', 'completed', 'failed')),
    dispatch_id     TEXT,
    parent_agent_id TEXT,
    model           TEXT,
    input_tokens    INTEGER NOT NULL,
    output_tokens   INTEGER NOT NULL,
    cost_usd        REAL    NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (execution_id, agent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX agent_added ON agent (execution_id, added_seq);
CREATE INDEX agent_status ON agent (execution_id, status, added_seq);
"""

apply_all: Final = None
"""They are few."""

apply_quiet: Final = None
"""Log lines are nobody's work."""


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Apply an event to its agent's row; one that nobody added gets a placeholder."""
    event = recorded.event
    match event:
        case AgentAdded():
            _add(db, recorded, event)
        case AgentUpdated():
            changes = {
                name: value
                for name in ("status", "name", "dispatch_id", "model")
                if (value := getattr(event, name)) is not None
            }
            _update(db, recorded, event.agent_id, changes)
        case AgentUsage():
            _update(db, recorded, event.agent_id, {} if event.model is None else {"model": event.model})
            _use(db, event)
        case _:
            pass


def _add(db: apsw.Connection, recorded: Recorded, event: AgentAdded) -> None:
    """Add an agent; the first record stands, and fills a placeholder's blanks."""
    _mention(db, recorded, event.agent_id)
    db.execute(
        "update agent set announced = 1, agent_type = ?, name = coalesce(name, ?),"
        " dispatch_id = coalesce(dispatch_id, ?), parent_agent_id = ?, model = coalesce(model, ?)"
        " where execution_id = ? and agent_id = ? and not announced",
        (
            event.agent_type,
            event.name,
            event.dispatch_id,
            event.parent_agent_id,
            event.model,
            event.execution_id,
            event.agent_id,
        ),
    )


def _mention(db: apsw.Connection, recorded: Recorded, agent_id: str) -> None:
    """Make sure that an agent has a row."""
    execution_id = recorded.event.execution_id
    key = (execution_id, agent_id)
    if db.execute("select 1 from agent where execution_id = ? and agent_id = ?", key).get is not None:
        return
    db.execute(
        "insert into agent_execution values (?, 1, 0, 0, 0) on conflict do update set agents = agents + 1",
        (execution_id,),
    )
    db.execute(
        "insert into agent values (?, ?, ?, 0, 'claude', null, 'active', null, null, null, 0, 0, 0, ?, ?)",
        (execution_id, agent_id, recorded.seq, recorded.time, recorded.time),
    )


def _update(db: apsw.Connection, recorded: Recorded, agent_id: str, changes: dict[str, Any]) -> None:
    _mention(db, recorded, agent_id)
    assignments = "".join(f", {column} = ?" for column in changes)
    db.execute(
        f"update agent set updated_at = max(updated_at, ?){assignments}"
        " where execution_id = ? and agent_id = ?",
        (recorded.time, *changes.values(), recorded.event.execution_id, agent_id),
    )


# A sum stops at a bound: no producer can break the read model by counting.
_SUMS: Final = (
    f"input_tokens = iif(input_tokens > {INT64_MAX} - ?1, {INT64_MAX}, input_tokens + ?1),"
    f" output_tokens = iif(output_tokens > {INT64_MAX} - ?2, {INT64_MAX}, output_tokens + ?2),"
    " cost_usd = max(-1e300, min(cost_usd + ?3, 1e300))"
)


def _use(db: apsw.Connection, event: AgentUsage) -> None:
    used = (event.input_tokens, event.output_tokens, event.cost_usd)
    db.execute(f"update agent_execution set {_SUMS} where execution_id = ?4", (*used, event.execution_id))
    db.execute(
        f"update agent set {_SUMS} where execution_id = ?4 and agent_id = ?5",
        (*used, event.execution_id, event.agent_id),
    )
