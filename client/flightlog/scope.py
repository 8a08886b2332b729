"""Something that can be logged to: an execution, or a task or an agent of one."""

import os
from collections.abc import Mapping, Sequence
from contextvars import Token
from typing import TYPE_CHECKING, Any, Self

from flightlog import context
from flightlog.clock import now_us
from flightlog.encode import encode_line, text
from flightlog.ids import new_id
from flightlog.overflow import EVENT
from flightlog.trace import VARIABLE, current_span
from flightlog_schemas.cuts import OUTPUT_LIMIT_BYTES
from flightlog_schemas.events.envelope import Event
from flightlog_schemas.events.log import Log

if TYPE_CHECKING:
    from flightlog.capture.run import Captured
    from flightlog.client import Client


class Scope:
    """What executions, tasks and agents have in common. Logging never waits and never raises.

    Attributes:
        execution_id: The execution.
        task_id: The task, None outside of any.
        agent_id: The agent, None where none is at work.
    """

    def __init__(
        self, client: "Client", execution_id: str, task_id: str | None, agent_id: str | None = None
    ) -> None:
        self.execution_id = execution_id
        self.task_id = task_id
        self.agent_id = agent_id
        self._client = client
        self._token: Token[Scope | None] | None = None

    def log(
        self,
        message: object,
        level: object = "INFO",
        *,
        source: str | None = None,
        agent_id: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Write one log line.

        Args:
            message: The text; what is no string is written as `str` says.
            level: A name in any case or an OpenTelemetry number 1..24; anything else is read as INFO.
            source: What wrote it, such as a module's name.
            agent_id: Which agent of the execution, if not the one at work here.
            fields: Structured data beside the text; what JSON cannot say is written as its text.
        """
        said = Log(
            execution_id=self.execution_id,
            time=now_us(),
            task_id=self.task_id,
            agent_id=agent_id or self.agent_id,
            message=message if type(message) is str else text(message),
            level=level,
            source=source,
            fields=fields,
        )
        self._put(said, level)

    def debug(self, message: object, **fields: Any) -> None:
        """Write a DEBUG line; keyword arguments are its fields."""
        self.log(message, "DEBUG", fields=fields or None)

    def info(self, message: object, **fields: Any) -> None:
        """Write an INFO line; keyword arguments are its fields."""
        self.log(message, "INFO", fields=fields or None)

    def warning(self, message: object, **fields: Any) -> None:
        """Write a WARN line; keyword arguments are its fields."""
        self.log(message, "WARN", fields=fields or None)

    def error(self, message: object, **fields: Any) -> None:
        """Write an ERROR line; keyword arguments are its fields."""
        self.log(message, "ERROR", fields=fields or None)

    def artifact(
        self,
        path: str | os.PathLike[str],
        *,
        artifact_type: str = "file",
        phase: str | None = None,
        artifact_id: str | None = None,
        digest: bool = True,
    ) -> str:
        """Say that a file was written, and return the artifact's id. It takes as long as reading the file.

        A file that is written again is said again. One that cannot be read has neither size nor digest.

        Args:
            path: The file; kept absolute and normalised, links not followed.
            artifact_type: What kind of file.
            phase: The phase that it belongs to, where the execution has a chain.
            artifact_id: Its id; default: a new one.
            digest: False: do not read the file for its size and SHA-256.
        """
        from flightlog.files import contents, normal_path  # here, because many programs only log
        from flightlog_schemas.events.artifact import ArtifactAdded

        held = contents(path) if digest else None
        chosen = artifact_id or new_id()
        self._put(
            ArtifactAdded(
                execution_id=self.execution_id,
                time=now_us(),
                task_id=self.task_id,
                agent_id=self.agent_id,
                path=normal_path(path),
                artifact_id=chosen,
                artifact_type=artifact_type,
                phase=phase,
                size_bytes=None if held is None else held.size_bytes,
                sha256=None if held is None else held.sha256,
            )
        )
        return chosen

    def capture(
        self,
        command: Sequence[str],
        *,
        source: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        check: bool = False,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> "Captured":
        """Run a command, log what it prints line by line, and return how it ended; waits for its end.

        Of stdout and stderr nothing else is kept; a line that is a JSON object with `level` and `message`
        becomes a structured entry. A daemon that is away or slow does not block the command. What interrupts
        the wait (Ctrl-C) kills the command. It finds the execution in $FLIGHTLOG_EXECUTION_ID.

        Args:
            command: The program, looked up in PATH, and its arguments.
            source: What the lines name as their source, such as `plugin:NAMESPACE/PLUGIN.ACTION`; default:
                `exec:` and the command's own name.
            env: All of its environment; default: ours.
            timeout_s: End it after this many seconds: SIGTERM, then SIGKILL.
            check: Raise where it ends with anything but 0.
            limit_bytes: Most of its output that is logged; then one warning, and the rest is counted.

        Raises:
            OSError: there is no such command, or it cannot be executed.
            subprocess.CalledProcessError: with `check`.
        """
        from flightlog.capture.run import run  # most programs never need it

        captured = run(
            self,
            self._client,
            command,
            source=source or f"exec:{os.path.basename(command[0])}",  # noqa: PTH119  # also of a path that ends in /
            environment=self.environment(env),
            timeout_s=timeout_s,
            limit_bytes=limit_bytes,
        )
        if check and captured.exit_status:
            from subprocess import CalledProcessError

            raise CalledProcessError(captured.exit_status, list(command))
        return captured

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a process that is started in here: ours, where that is, and the trace.

            subprocess.run(["./load.py"], env=run.environment())

        Args:
            env: The rest of it; default: ours.
        """
        inside = context.inside(os.environ if env is None else env, self.execution_id, self.task_id)
        traceparent = self._traceparent()
        return inside if traceparent is None else inside | {VARIABLE: traceparent}

    def _traceparent(self) -> str | None:
        """Return the W3C trace context of what is started in here, where there is any."""
        span = current_span()
        return None if span is None else span.parent

    def _put(self, event: Event, level: object = EVENT) -> None:
        """Emit an event of the execution that is in no hurry; `level` is that of a log line."""
        span = current_span()
        if span is not None:
            event.trace_id, event.span_id = span.trace_id, span.span_id
        line = encode_line(event)
        if line is None:
            self._client.producer.drop("unencodable", level, self.execution_id)
        else:
            self._client.producer.put(line, level, self.execution_id)

    def _enter(self) -> Self:
        self._token = context.enter(self)
        return self

    def _leave(self) -> None:
        if self._token is not None:
            token, self._token = self._token, None
            context.leave(token)
