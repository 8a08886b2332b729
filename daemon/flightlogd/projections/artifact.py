"""Artifacts: one row for each time that a file was written."""

from typing import Final

import apsw

from flightlog_schemas.events import ArtifactAdded
from flightlogd.recorded import Recorded

NAME: Final = "artifact"
VERSION: Final = 1
TABLES: Final = {"artifact": ("seq",)}
TOTALS: Final = None
SCHEMA: Final = """
CREATE TABLE artifact (
    seq           INTEGER PRIMARY KEY,
    execution_id  TEXT    NOT NULL,
    artifact_id   TEXT    NOT NULL,
    phase         TEXT,
    path          TEXT    NOT NULL,
    artifact_type TEXT    NOT NULL,
    agent_id      TEXT,
    task_id       TEXT,
    size_bytes    INTEGER,
    sha256        TEXT,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX artifact_execution ON artifact (execution_id, seq);
CREATE INDEX artifact_phase ON artifact (execution_id, phase, seq);
CREATE INDEX artifact_path ON artifact (path, seq);
"""

apply_all: Final = None
"""They are few."""

apply_quiet: Final = None
"""Log lines are no files."""


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Add the artifact that an event tells of; one without an id goes by its position."""
    event = recorded.event
    if not isinstance(event, ArtifactAdded):
        return
    db.execute(
        "insert into artifact values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recorded.seq,
            event.execution_id,
            event.artifact_id or str(recorded.seq),
            event.phase,
            event.path,
            event.artifact_type,
            event.agent_id,
            event.task_id,
            event.size_bytes,
            event.sha256,
            recorded.time,
        ),
    )
