"""The standard library's logging, recorded: a handler.

    import logging
    from flightlog.logging import FlightlogHandler

    logging.getLogger().addHandler(FlightlogHandler())

Each record becomes a log line of the execution (and task) that its caller is in. What belongs to none is
counted and declared, as with `flightlog.log`. Handling a record never waits and never raises.
"""

import logging
from typing import Any, Final

import flightlog
from flightlog.client import Client
from flightlog.encode import text
from flightlog.outcome import describe
from flightlog_schemas.events.envelope import ErrorInfo

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
"""What every record has (logging.LogRecord); the rest came by `extra`."""

_NAMES: Final = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "FATAL",
}


class FlightlogHandler(logging.Handler):
    """Writes records to an execution's log.

    The logger's name is the line's source. `extra` becomes fields, an exception the field `exception` with
    type, message and stack. Formatters are not used: what they add has a place of its own in a line.

    Args:
        client: The client to write with; None takes the process's own, whichever that is at the time.
        level: Records below are left out.
        execution_id: The execution, where it is not that which the caller is in.
        location: Also say where each record was made, by the names of OpenTelemetry's semantic conventions
            (`code.file.path`, `code.line.number`, `code.function.name`).
    """

    def __init__(
        self,
        client: Client | None = None,
        level: int | str = logging.NOTSET,
        *,
        execution_id: str | None = None,
        location: bool = False,
    ) -> None:
        super().__init__(level)
        self._log = flightlog.log if client is None else client.log
        self._execution_id = execution_id
        self._location = location

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record (called by logging)."""
        fields = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if self._location:
            fields["code.file.path"] = record.pathname
            fields["code.line.number"] = record.lineno
            fields["code.function.name"] = record.funcName
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = exception_field(describe(record.exc_info[1]))
        if record.stack_info:
            fields["stack"] = record.stack_info
        self._log(
            self._message(record, fields),
            severity(record.levelno),
            execution_id=self._execution_id,
            source=record.name,
            fields=fields or None,
        )

    def _message(self, record: logging.LogRecord, fields: dict[str, Any]) -> str:
        """Return the text; arguments that do not fit their format are kept beside it."""
        try:
            return record.getMessage()
        except Exception as error:  # a wrong format string costs the program nothing, and the line neither
            fields["logging_error"] = text(error)
            fields["args"] = text(record.args)
            return text(record.msg)


def severity(levelno: int) -> str | int:
    """Return the level of a number of logging: a name, or for those between an OpenTelemetry number 1..24."""
    return _NAMES.get(levelno) or max(1, min(24, 1 + levelno * 4 // 10))


def exception_field(error: ErrorInfo) -> dict[str, str | None]:
    """Return an exception as a field."""
    return {"type": error.type, "message": error.message, "stack": error.stack}
