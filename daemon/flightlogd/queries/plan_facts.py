"""What happened to the tasks of a plan since it was built: when they ran, which files they wrote."""

from collections.abc import Iterator
from typing import Final

import apsw
import msgspec

from flightlog_schemas.events import TaskIO
from flightlog_schemas.plans import FileWrite, Plan, PlanFacts, TaskSpan

_IO: Final = msgspec.json.Decoder(TaskIO)


def plan_facts(db: apsw.Connection, plan: Plan, seq: int) -> PlanFacts:
    """Return what is known of the tasks of a plan: of attempts in executions of its project that began later.

    Args:
        db: A connection that reads.
        plan: The plan.
        seq: Its position in the log.
    """
    task_ids = {task_id for batch in plan.batches for task_id in batch.task_ids}
    spans: list[TaskSpan] = []
    writes: list[FileWrite] = []
    execution_ids: dict[str, None] = {}
    for task_id in sorted(task_ids):
        for execution_id, started_at, finished_at, io in db.execute(
            "select execution_id, started_at, finished_at, io from task"
            " where task_id = ? and seq > ? and +project = ? order by seq",
            (task_id, seq, plan.project),
        ):
            execution_ids[execution_id] = None
            if started_at is not None:
                spans.append(TaskSpan(task_id=task_id, started_at=started_at, finished_at=finished_at))
            written = None if io is None else _IO.decode(io).files_written
            writes += [FileWrite(task_id=task_id, path=path) for path in written or ()]
    for execution_id in execution_ids:
        writes += [write for write in _artifacts(db, execution_id, seq) if write.task_id in task_ids]
    return PlanFacts(spans=spans, writes=writes)


def _artifacts(db: apsw.Connection, execution_id: str, after: int) -> Iterator[FileWrite]:
    """Yield the files that tasks of an execution are recorded to have written."""
    for task_id, path in db.execute(
        "select task_id, path from artifact where execution_id = ? and seq > ? and task_id is not null",
        (execution_id, after),
    ):
        yield FileWrite(task_id=task_id, path=path)
