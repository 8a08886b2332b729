"""What is declared of a project: its tasks and epics. Part of the read model of plans.

The last declaration wins. Each execution that declares a task keeps its own row, so that what is left when an
execution leaves is what the others said; declarations without one have ''.
"""

from typing import Final

import apsw
import msgspec

from flightlog_schemas.events import PlanEpicDeclared, TaskDeclared
from flightlogd.recorded import Recorded

TABLES: Final = {
    "declared_task": ("project", "task_id", "execution_id"),
    "declared_epic": ("project", "epic", "execution_id"),
}
SCHEMA: Final = """
CREATE TABLE declared_task (
    project      TEXT    NOT NULL,
    task_id      TEXT    NOT NULL,
    execution_id TEXT    NOT NULL,         -- who declared it; '' is nobody's
    seq          INTEGER NOT NULL,
    description  TEXT,
    action       TEXT,
    epic         TEXT,
    priority     INTEGER NOT NULL,
    depends_on   TEXT    NOT NULL,         -- JSON array of {task_id, kind}
    PRIMARY KEY (project, task_id, execution_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX declared_task_execution ON declared_task (execution_id) WHERE execution_id <> '';

CREATE TABLE declared_epic (
    project      TEXT    NOT NULL,
    epic         TEXT    NOT NULL,
    execution_id TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    name         TEXT,
    depends_on   TEXT    NOT NULL,         -- JSON array of epics
    PRIMARY KEY (project, epic, execution_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX declared_epic_execution ON declared_epic (execution_id) WHERE execution_id <> '';
"""


def declare_task(db: apsw.Connection, recorded: Recorded) -> None:
    """Note a task, in the place of what the same execution said of it before."""
    event = recorded.event
    assert isinstance(event, TaskDeclared)
    db.execute(
        "insert or replace into declared_task values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.project,
            event.task_id,
            event.execution_id or "",
            recorded.seq,
            event.description,
            event.action,
            event.epic,
            event.priority,
            _json(event.depends_on),
        ),
    )


def declare_epic(db: apsw.Connection, recorded: Recorded) -> None:
    """Note an epic likewise."""
    event = recorded.event
    assert isinstance(event, PlanEpicDeclared)
    db.execute(
        "insert or replace into declared_epic values (?, ?, ?, ?, ?, ?)",
        (
            event.project,
            event.epic,
            event.execution_id or "",
            recorded.seq,
            event.name,
            _json(event.depends_on),
        ),
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
