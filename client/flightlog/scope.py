"""Something that can be logged to: an execution, or a task of one."""

from contextvars import Token
from typing import TYPE_CHECKING, Any, Self

from flightlog import context
from flightlog.clock import now_us
from flightlog.encode import encode_line, text
from flightlog_schemas.events.log import Log

if TYPE_CHECKING:
    from flightlog.client import Client


class Scope:
    """What executions and tasks have in common. Logging never waits and never raises.

    Attributes:
        execution_id: The execution.
        task_id: The task, None in the execution itself.
    """

    def __init__(self, client: "Client", execution_id: str, task_id: str | None) -> None:
        self.execution_id = execution_id
        self.task_id = task_id
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
            agent_id: Which agent of the execution.
            fields: Structured data beside the text; what JSON cannot say is written as its text.
        """
        line = encode_line(
            Log(
                execution_id=self.execution_id,
                time=now_us(),
                task_id=self.task_id,
                agent_id=agent_id,
                message=message if type(message) is str else text(message),
                level=level,
                source=source,
                fields=fields,
            )
        )
        if line is None:
            self._client.producer.drop("unencodable", level, self.execution_id)
        else:
            self._client.producer.put(line, level, self.execution_id)

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

    def _enter(self) -> Self:
        self._token = context.enter(self)
        return self

    def _leave(self) -> None:
        if self._token is not None:
            token, self._token = self._token, None
            context.leave(token)
