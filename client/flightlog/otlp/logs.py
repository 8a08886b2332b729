"""Log records to lines.

| in OpenTelemetry | in the line |
|---|---|
| `severity_number` | `level`; without one `severity_text`, else INFO |
| `body` | `message`; what is no text as JSON, and as the field `body` |
| attributes | `fields`; `exception.*` as the field `exception` |
| `event_name` | the field `event.name` |
| trace and span | `trace_id`, `span_id`; the span is the task |
| scope, else service | `source` |
"""

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, Final

import msgspec

from flightlog.importing.keys import digest
from flightlog.importing.shorten import cut_value
from flightlog.otlp.execution import Executions, resource_id, service_of
from flightlog.otlp.model import LogRecord
from flightlog.otlp.spans import TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS, exception_of, kept
from flightlog_schemas.events import Event, Log
from flightlog_schemas.levels import level_number

_BODY: Final = "body"
_EVENT_NAME: Final = "event.name"


def events_of_records(
    records: list[LogRecord], now_us: int, default: str | None = None, *, repeated: bool = False
) -> Iterator[tuple[int, Event]]:
    """Yield the events of a batch of log records, each with the index of its record.

    Args:
        records: The records, in their order.
        now_us: The time of those that have none.
        default: The execution of those that name none; None: that of the trace, else of the resource.
        repeated: The same batch may be told again: lines get keys made of what they say.
    """
    executions = Executions(default)
    keys: Iterable[str | None] = _keys(records) if repeated else repeat(None, len(records))
    for index, (record, key) in enumerate(zip(records, keys, strict=True)):
        time_us = record.time_ns // 1_000 or now_us
        execution_id = executions.named(record.attributes, record.origin)
        if execution_id is None:
            execution_id = record.trace_id or resource_id(record.origin)
            name = None if record.trace_id else service_of(record.origin)
            for event in executions.announce(execution_id, record.origin, time_us, name):
                yield index, event
        yield index, _line(record, execution_id, time_us, key)


def _line(record: LogRecord, execution_id: str, time_us: int, key: str | None) -> Log:
    fields: dict[str, Any] = kept(record.attributes)
    if any(name.startswith("exception.") for name in fields):
        fields = {name: value for name, value in fields.items() if not name.startswith("exception.")}
        fields["exception"] = exception_of(record.attributes)
    if record.event_name:
        fields.setdefault(_EVENT_NAME, record.event_name)
    message = record.body
    if not isinstance(message, str):
        if message is not None:
            fields.setdefault(_BODY, cut_value(message, TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS))
        message = record.event_name if message is None else msgspec.json.encode(message).decode()
    return Log(
        execution_id=execution_id,
        time=time_us,
        id=key,
        task_id=record.span_id,
        trace_id=record.trace_id,
        span_id=record.span_id,
        message=message,
        level=level_number(record.severity_number) or level_number(record.severity_text) or "INFO",
        source=record.origin.scope or service_of(record.origin),
        fields=fields or None,
    )


def _keys(records: list[LogRecord]) -> Iterator[str | None]:
    """Yield a key for each record, the same whenever the batch is told; None for one without a time."""
    seen: dict[str, int] = {}
    for record in records:
        if not record.time_ns:
            yield None
            continue
        content = digest(msgspec.json.encode(record, order="deterministic").decode())
        seen[content] = seen.get(content, 0) + 1
        yield f"otel:{content}:{seen[content]}"
