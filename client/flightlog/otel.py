"""Exporters for OpenTelemetry's SDK: spans as tasks, log records as lines.

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from flightlog.otel import FlightlogSpanExporter

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(FlightlogSpanExporter()))

They write with a client of flightlog, which never waits for the daemon and keeps what it cannot deliver yet.
docs/opentelemetry.md says what becomes of what. Needs opentelemetry-sdk (the extra `otel`).
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

import flightlog
from flightlog import context
from flightlog.client import Client
from flightlog.clock import now_us
from flightlog.otlp import model
from flightlog.otlp.execution import EXECUTION_ID
from flightlog.otlp.genai import AGENT_ID, AGENT_NAME
from flightlog.otlp.logs import events_of_records
from flightlog.otlp.spans import events_of_spans
from flightlog_schemas.events.envelope import Event

_HANDED_DOWN = (EXECUTION_ID, AGENT_ID, AGENT_NAME)


class _Writer:
    """What both exporters do: write with a client.

    Args:
        client: The client to write with; None takes the process's own, whichever that is at the time.
        execution_id: The execution of what names none; None: the one that the process was started inside, if
            any.
    """

    def __init__(self, client: Client | None = None, *, execution_id: str | None = None) -> None:
        self._client = client
        self._execution_id = execution_id or context.inherited_execution_id()

    def _write(self, events: Iterable[tuple[int, Event]]) -> None:
        emit: Callable[[Event], None] = flightlog.emit if self._client is None else self._client.emit
        for _, event in events:
            emit(event)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all that was exported is on disk and readable; False when the time ran out first."""
        flush = flightlog.flush if self._client is None else self._client.flush
        return flush(timeout_millis / 1_000)

    def shutdown(self) -> None:
        """Have what is left delivered (called by the SDK); the client stays open for others."""
        self.force_flush(2_000)


class FlightlogSpanExporter(_Writer, SpanExporter):
    """Writes spans that have ended: each is a task, a trace is an execution.

    Args:
        client: The client to write with; None takes the process's own, whichever that is at the time.
        execution_id: The execution of spans that name none; None: the one that the process was started
            inside, else each trace is one.
    """

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write a batch (called by the SDK)."""
        self._write(events_of_spans([_span(span) for span in spans], self._execution_id))
        return SpanExportResult.SUCCESS


class FlightlogLogExporter(_Writer, LogRecordExporter):
    """Writes log records as lines of the execution that they belong to.

    Args:
        client: The client to write with; None takes the process's own, whichever that is at the time.
        execution_id: The execution of records that name none; None: the one that the process was started
            inside, else that of the record's trace, else one of the resource's own.
    """

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Write a batch (called by the SDK)."""
        records = [_record(record) for record in batch]
        self._write(events_of_records(records, now_us(), self._execution_id))
        return LogRecordExportResult.SUCCESS


class FlightlogSpanProcessor(SpanProcessor):
    """Notes on each span, as it begins, what it is part of; put it before the one that exports.

    A span that begins within an execution of flightlog, as `with flightlog.execution(...)` makes one, belongs
    to that. What is said of the agent on the span above holds for those below, too.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note it (called by the SDK)."""
        given: Mapping[str, Any] = span.attributes or {}
        above = get_current_span(parent_context)
        found = {}
        if isinstance(above, ReadableSpan):
            found = {name: value for name in _HANDED_DOWN if (value := (above.attributes or {}).get(name))}
        if AGENT_ID in given or AGENT_NAME in given:
            found = {name: value for name, value in found.items() if name == EXECUTION_ID}
        scope = context.get_current()
        if scope is not None:
            found[EXECUTION_ID] = scope.execution_id
        span.set_attributes({name: value for name, value in found.items() if name not in given})


class FlightlogLogProcessor(LogRecordProcessor):
    """Notes on each log record which execution its caller is in; put it before the one that exports.

    That is the one of flightlog around, else the one that the span around belongs to.
    """

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Note it (called by the SDK)."""
        scope, span = context.get_current(), get_current_span()
        execution_id: object = None if scope is None else scope.execution_id
        if execution_id is None and isinstance(span, ReadableSpan):
            execution_id = (span.attributes or {}).get(EXECUTION_ID)
        attributes = log_record.log_record.attributes
        if isinstance(attributes, MutableMapping) and isinstance(execution_id, str):
            attributes.setdefault(EXECUTION_ID, execution_id)

    def shutdown(self) -> None:
        """Do nothing: it keeps nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  # as the SDK calls it
        """Do nothing, likewise."""
        return True


def _span(span: ReadableSpan) -> model.Span:
    own = span.get_span_context()
    assert own is not None, "a span that ended has a context"
    return model.Span(
        trace_id=format_trace_id(own.trace_id),
        span_id=format_span_id(own.span_id),
        parent_span_id=None if span.parent is None else format_span_id(span.parent.span_id),
        name=span.name,
        kind=span.kind.value + 1,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=_attributes(span.attributes),
        events=[
            model.SpanEvent(event.timestamp, event.name, _attributes(event.attributes))
            for event in span.events
        ],
        links=[
            model.Link(
                format_trace_id(link.context.trace_id),
                format_span_id(link.context.span_id),
                _attributes(link.attributes),
            )
            for link in span.links
        ],
        status_code=span.status.status_code.value,
        status_message=span.status.description or "",
        origin=_origin(span.resource, span.instrumentation_scope),
    )


def _record(readable: ReadableLogRecord) -> model.LogRecord:
    record = readable.log_record
    return model.LogRecord(
        time_ns=record.timestamp or record.observed_timestamp or 0,
        severity_number=0 if record.severity_number is None else record.severity_number.value,
        severity_text=record.severity_text or "",
        body=_plain(record.body),
        attributes=_attributes(record.attributes),
        trace_id=format_trace_id(record.trace_id) if record.trace_id else None,
        span_id=format_span_id(record.span_id) if record.span_id else None,
        event_name=record.event_name or "",
        origin=_origin(readable.resource, readable.instrumentation_scope),
    )


def _origin(resource: Resource, scope: InstrumentationScope | None) -> model.Origin:
    return model.Origin(_attributes(resource.attributes), "" if scope is None else scope.name)


def _attributes(attributes: Mapping[str, Any] | None) -> model.Attributes:
    return {name: _plain(value) for name, value in (attributes or {}).items()}


def _plain(value: Any) -> Any:
    """Return a value with lists and dicts for what the SDK has instead."""
    if isinstance(value, Mapping):
        return _attributes(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(one) for one in value]
    return value
