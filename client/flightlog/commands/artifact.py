"""The command that adds a file to what an execution produced."""

import os

from flightlog.clock import now_us
from flightlog.commands.repeat import until_settled
from flightlog.daemon import Daemon
from flightlog.files import contents, normal_path
from flightlog.ids import new_id
from flightlog_schemas.events.artifact import ArtifactAdded


def add_artifact(
    execution_id: str,
    path: str | os.PathLike[str],
    *,
    artifact_id: str | None = None,
    artifact_type: str = "file",
    phase: str | None = None,
    agent_id: str | None = None,
    task_id: str | None = None,
    daemon: Daemon | None = None,
) -> ArtifactAdded:
    """Add a file to what an execution produced, with size and digest where it can be read.

    Args:
        execution_id: Id of the execution or the beginning of one.
        path: The file; kept absolute and normalised, links not followed.
        artifact_id: The id to go by; default: a new one.
        artifact_type: What kind of file.
        phase: The phase that it belongs to; default: the one that the execution is in.
        agent_id: The agent that wrote it.
        task_id: The task that wrote it.
        daemon: Where; default: the one that the environment names.

    Returns:
        What was recorded.

    Raises:
        Conflict: others changed the execution so often that its phase could not be told.
        QueryFailed: there is no such execution.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    daemon = daemon or Daemon()
    found = daemon.execution(execution_id)  # first of all: reading a large file takes its time
    held = contents(path)
    event = ArtifactAdded(
        execution_id=found.execution_id,
        artifact_id=artifact_id or new_id(),
        path=normal_path(path),
        artifact_type=artifact_type,
        phase=phase,
        agent_id=agent_id,
        task_id=task_id,
        size_bytes=None if held is None else held.size_bytes,
        sha256=None if held is None else held.sha256,
    )

    def attempt() -> ArtifactAdded:
        if phase is None:
            # The phase is the one at this position of the log, or somebody came between.
            now = daemon.execution(found.execution_id)
            event.phase, event.expect_seq = now.phase, now.state_seq
        event.time = now_us()
        daemon.write(event)
        return event

    return until_settled(attempt)
