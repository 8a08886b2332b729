"""Which execution a span or a log record belongs to, and what announces it."""

from collections.abc import Iterator
from typing import Final

import msgspec

from flightlog.importing.keys import as_id, digest
from flightlog.otlp.model import Attributes, Origin
from flightlog_schemas.events import ExecutionCreated

EXECUTION_ID: Final = "flightlog.execution_id"
"""The attribute, of a span, a record or a resource, that names an execution."""

_LABEL_LIMIT_CHARS: Final = 1_000
_LABELS_LIMIT: Final = 64


class Executions:
    """The executions of one batch.

    What names none belongs to that of its trace, whose id is the trace's; a record outside of any trace to
    that of its resource. Those two are announced, for nobody else does.

    Args:
        default: The execution of what names none.
    """

    def __init__(self, default: str | None = None) -> None:
        self._default = default
        self._announced: set[str] = set()

    def named(self, attributes: Attributes, origin: Origin) -> str | None:
        """Return the execution that is named, None where none is."""
        named = attributes.get(EXECUTION_ID) or origin.resource.get(EXECUTION_ID)
        return as_id(named) if isinstance(named, str) and named else self._default

    def announce(
        self, execution_id: str, origin: Origin, time_us: int, name: str | None = None
    ) -> Iterator[ExecutionCreated]:
        """Yield what announces an execution that flightlog knows of by telemetry alone; once in a batch.

        Args:
            execution_id: Its id.
            origin: Who told of it first.
            time_us: When that was, microseconds since the epoch.
            name: Its name; None where the first span of its trace will say it: what is said first stands.
        """
        if execution_id in self._announced:
            return
        self._announced.add(execution_id)
        service = service_of(origin)
        yield ExecutionCreated(
            execution_id=execution_id,
            time=time_us,
            id=f"otel:{digest(execution_id, 'created')}",
            name=name,
            tool=service,
            tool_version=_text(origin.resource.get("service.version")),
            labels={
                name: text[:_LABEL_LIMIT_CHARS]
                for name, value in list(origin.resource.items())[:_LABELS_LIMIT]
                if (text := _text(value)) is not None
            },
        )


def service_of(origin: Origin) -> str | None:
    """Return the name of the service."""
    return _text(origin.resource.get("service.name"))


def resource_id(origin: Origin) -> str:
    """Return the id of the execution of what a resource tells outside of any trace."""
    return f"otel-{digest(msgspec.json.encode(origin.resource, order='deterministic').decode())}"


def _text(value: object) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
