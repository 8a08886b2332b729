"""structlog's events, recorded: a processor.

    import structlog
    from flightlog.structlog import FlightlogProcessor

    structlog.configure(processors=[..., FlightlogProcessor(), structlog.dev.ConsoleRenderer()])

It writes each event to the log of the execution (and task) that its caller is in, and passes it on unchanged.
Put it before the renderer. structlog itself is not imported.
"""

import sys
from collections.abc import Mapping
from typing import Any, Final

import flightlog
from flightlog.client import Client
from flightlog.encode import text
from flightlog.logging import exception_field
from flightlog.outcome import describe

_OWN: Final = frozenset({"event", "level", "timestamp", "logger", "logger_name", "exc_info"})
"""Keys that structlog's processors set, and that a line has a place of its own for."""

_METHODS: Final = {"exception": "ERROR", "msg": "INFO", "warn": "WARN"}
"""Names of methods that are no names of levels."""


class FlightlogProcessor:
    """Writes events to an execution's log.

    The key `event` is the message, `logger` the source, `exc_info` the field `exception` with type, message
    and stack; everything else that is bound is a field.

    Args:
        client: The client to write with; None takes the process's own.
        execution_id: The execution, where it is not that which the caller is in.
    """

    def __init__(self, client: Client | None = None, *, execution_id: str | None = None) -> None:
        self._log = flightlog.log if client is None else client.log
        self._execution_id = execution_id

    def __call__(self, logger: Any, method_name: str, event_dict: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write one event (called by structlog) and return it."""
        fields = {text(key): value for key, value in event_dict.items() if key not in _OWN}
        error = _exception(event_dict.get("exc_info", method_name == "exception"))
        if error is not None:
            fields["exception"] = exception_field(describe(error))
        source = event_dict.get("logger") or event_dict.get("logger_name") or getattr(logger, "name", None)
        self._log(
            event_dict.get("event", ""),
            event_dict.get("level") or _METHODS.get(method_name, method_name),
            execution_id=self._execution_id,
            source=source if isinstance(source, str) else None,
            fields=fields or None,
        )
        return event_dict


def _exception(given: object) -> BaseException | None:
    """Return the exception that `exc_info` means: itself, a tuple that holds it, or the one being handled."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if len(given) > 1 and isinstance(given[1], BaseException) else None
    return sys.exception() if given else None
