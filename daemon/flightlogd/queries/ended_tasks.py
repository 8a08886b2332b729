"""Tasks that ended with their execution, as the execution's last line tells of them.

No event of theirs says so, and none is written: one event has one line. That of the execution names them; for
whoever asks for the lines of one task it is that task's.
"""

from typing import Final

import apsw
from msgspec.structs import replace

from flightlog_schemas.answers import LogLine
from flightlog_schemas.events import Event, ExecutionAdvanced, ExecutionEnded, ExecutionLost
from flightlog_schemas.levels import level_name
from flightlog_schemas.times import duration_text
from flightlogd.queries.lifecycle_lines import END_LEVELS

ENDS_TASKS: Final = (ExecutionEnded, ExecutionLost, ExecutionAdvanced)
"""Events by which tasks may end."""

_NAMED_LIMIT: Final = 5
"""So many tasks are named; of more only the number is told. The audit trail has each."""

_ENDED_HERE: Final = (
    "from audit where seq = ? and task_id is not null and event_type in"
    " ('TASK_CANCELLED', 'TASK_TIMEOUT', 'TASK_LOST')"
)


def with_ended_tasks(db: apsw.Connection, line: LogLine, event: Event, task_id: str | None) -> LogLine:
    """Return a line with the tasks that ended by its event.

    Args:
        db: The connection.
        line: The event as a line.
        event: The event.
        task_id: The lines of this task are asked for: return its end instead, where it ended here.
    """
    if not isinstance(event, ENDS_TASKS):
        return line
    if task_id is not None:
        row = db.execute(
            f"select to_state, reason, detail ->> 'duration_us' {_ENDED_HERE} and +task_id = ? limit 1",
            (line.seq, task_id),
        ).fetchone()
        if row is None:
            return line
        status, reason, duration_us = row
        after = "" if duration_us is None else f" after {duration_text(duration_us)}"
        return replace(
            line,
            task_id=task_id,
            level=level_name(END_LEVELS[status]),
            message=f"task {status.replace('_', ' ')}{after}: {reason}",
        )
    count = db.execute(f"select count(*) {_ENDED_HERE}", (line.seq,)).get
    if not count:
        return line
    names = db.execute(f"select task_id {_ENDED_HERE} order by place limit ?", (line.seq, _NAMED_LIMIT))
    named = ", ".join(row[0] for row in names) + (", ..." if count > _NAMED_LIMIT else "")
    tasks = "1 open task" if count == 1 else f"{count:,} open tasks"
    return replace(line, message=f"{line.message} (with {tasks}: {named})")
