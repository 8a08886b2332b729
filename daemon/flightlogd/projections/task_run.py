"""Some events on their way into the read model of tasks: what they need to know of it, in memory."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import apsw
import msgspec

from flightlog_schemas.statuses import ACTIVE
from flightlogd.lifecycle import State
from flightlogd.projections import task_stats
from flightlogd.projections.attempts import Attempt, Attempts, Table
from flightlogd.recorded import Recorded
from flightlogd.store.rows import select_rows

_STATE: Final = msgspec.json.Decoder(State)


def is_open(attempt: Attempt) -> bool:
    """Say whether an attempt has not ended by a word of its own."""
    return bool(attempt.values["inferred"]) or attempt.values["status"] in ACTIVE


_TASK: Final = Table(
    "task",
    columns=(
        *("seq", "execution_id", "task_id", "span_id", "trace_id", "attempt", "retry_of", "parent_task_id"),
        *(
            "agent_id",
            "causation_id",
            "slug",
            "name",
            "task_type",
            "project",
            "status",
            "inferred",
            "reason",
            "created_at",
        ),
        *("scheduled_at", "started_at", "finished_at", "ended_seq", "duration_us", "config_digest", "inputs"),
        *("outputs", "error", "stack_hash", "retrieval", "runner", "io", "provenance", "scrubbed"),
    ),
    read=(
        *("execution_id", "task_id", "span_id", "seq", "trace_id", "parent_task_id", "slug", "name"),
        *("task_type", "status", "inferred", "started_at", "finished_at", "duration_us", "scrubbed"),
    ),
    is_open=is_open,
)


class Standing(NamedTuple):
    """How an execution stands, None while nothing was said of that; when it ended; its project."""

    state: State | None = None
    ended_at: int | None = None
    project: str | None = None


class _Executions(dict[str, Standing]):
    """What `task_execution` has, in memory."""

    def __init__(self, db: apsw.Connection, singles: Sequence[Recorded]) -> None:
        self._db = db
        ids = dict.fromkeys(recorded.event.execution_id for recorded in singles)
        self._load([(execution_id,) for execution_id in ids if execution_id is not None])

    def __missing__(self, execution_id: str) -> Standing:
        self._load([(execution_id,)])
        return self[execution_id]

    def _load(self, keys: Sequence[tuple[str]]) -> None:
        self.update((execution_id, Standing()) for (execution_id,) in keys)
        sql = "select execution_id, state, ended_at, project from task_execution where (execution_id)"
        for execution_id, state, ended_at, project in select_rows(self._db, sql, keys):
            self[execution_id] = Standing(_STATE.decode(state), ended_at, project)


class Run:
    """Some consecutive events being applied.

    Args:
        db: The connection.
        singles: The events.
    """

    def __init__(self, db: apsw.Connection, singles: Sequence[Recorded]) -> None:
        self.db = db
        self.attempts = Attempts(db, _TASK, singles)
        self.executions = _Executions(db, singles)

    def write(self, execution_id: str | None = None) -> None:
        """Bring the tables level, of one execution or of all."""
        task_stats.note_added(self.db, self.attempts.write(execution_id))

    def stand(self, execution_id: str, standing: Standing) -> None:
        """Note how an execution stands from now on; the first project that it has is its tasks', too."""
        before = self.executions[execution_id]
        if standing == before:
            return
        self.executions[execution_id] = standing
        self.db.execute(
            "insert into task_execution values (?, ?, ?, ?) on conflict do update set"
            " state = excluded.state, ended_at = excluded.ended_at, project = excluded.project",
            (
                execution_id,
                msgspec.json.encode(standing.state).decode(),
                standing.ended_at,
                standing.project,
            ),
        )
        if standing.project != before.project:
            self.write(execution_id)
            self.db.execute(
                "update task set project = ? where execution_id = ?", (standing.project, execution_id)
            )
