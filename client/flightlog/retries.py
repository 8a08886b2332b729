"""Attempts that go on where another process stopped: which was the last one, and what is said of it."""

import os
from typing import TYPE_CHECKING, Final

from flightlog.clock import now_us
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.events.task import TaskEnded

if TYPE_CHECKING:
    from flightlog_schemas.answers import TaskAttempt

_OPEN: Final = frozenset({"pending", "running", "waiting"})


def last_attempt(
    task_id: str,
    *,
    execution_id: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    timeout_s: float = 5.0,
) -> "TaskAttempt | None":
    """Ask the daemon for the newest attempt at a task, for `retry_of`; None where it knows of none.

    Args:
        task_id: Its whole id.
        execution_id: The execution that it is of; default: any.
        directory: Directory of the daemon's sockets; default: where all find it.
        timeout_s: Longest silence of the daemon, in seconds.

    Raises:
        DaemonAway: nobody answers.
        QueryFailed: the daemon cannot tell, or the execution is given by a beginning that fits several.
    """
    # Here, for a program that only emits needs no answers.
    from pathlib import Path

    from flightlog.errors import QueryFailed
    from flightlog.paths import query_socket, runtime_dir
    from flightlog.query import Connection
    from flightlog_schemas.answers import TaskAttempt
    from flightlog_schemas.wire.query import Tasks

    path = query_socket(runtime_dir(None if directory is None else Path(directory)))
    with Connection(path, timeout_s) as connection:
        try:
            found = list(
                connection.all(Tasks(task_id=task_id, execution_id=execution_id, limit=1), TaskAttempt)
            )
        except QueryFailed as error:
            if error.code == "not_found":
                return None
            raise
    return found[0] if found else None


def given_up(attempt: "TaskAttempt") -> TaskEnded | None:
    """Return the end of an attempt that is tried again before it has told its own; None where it has one.

    Whoever goes on says that it is over: the process that could have told may have been killed.
    """
    if attempt.status not in _OPEN:
        return None
    return TaskEnded(
        execution_id=attempt.execution_id,
        task_id=attempt.task_id,
        time=now_us(),
        trace_id=attempt.trace_id,
        span_id=attempt.span_id,
        outcome="failed",
        error=ErrorInfo(type="GivenUp", message="it was tried again, and had not told how it ended"),
    )
