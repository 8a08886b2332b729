"""Requests of OTLP to spans and log records: one walk, for messages have the same names in each encoding."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from flightlog.otlp.ids import span_id_of, trace_id_of
from flightlog.otlp.model import Attributes, Link, LogRecord, Origin, Span, SpanEvent


class Encoding(Struct, frozen=True):
    """What differs between encodings.

    Attributes:
        hex_of: Returns the hex digits of an id.
        value_of: Returns what an AnyValue holds, as JSON can say it.
    """

    hex_of: Callable[[Any], str]
    value_of: Callable[[Any], Any]

    def attributes(self, pairs: Iterable[Any]) -> Attributes:
        """Return names and values."""
        return {pair.key: None if pair.value is None else self.value_of(pair.value) for pair in pairs}

    def spans(self, request: Any) -> list[Span]:
        """Return the spans of a request.

        Raises:
            ValueError: a number in it is none.
        """
        return [
            self._span(span, origin)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for origin in [self._origin(resource.resource, scope.scope)]
            for span in scope.spans
        ]

    def records(self, request: Any) -> list[LogRecord]:
        """Return the log records of a request.

        Raises:
            ValueError: a number in it is none.
        """
        return [
            self._record(record, origin)
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for origin in [self._origin(resource.resource, scope.scope)]
            for record in scope.log_records
        ]

    def _origin(self, resource: Any, scope: Any) -> Origin:
        attributes = {} if resource is None else self.attributes(resource.attributes)
        return Origin(attributes, "" if scope is None else scope.name)

    def _span(self, span: Any, origin: Origin) -> Span:
        return Span(
            trace_id=self.hex_of(span.trace_id),
            span_id=self.hex_of(span.span_id),
            parent_span_id=span_id_of(self.hex_of(span.parent_span_id)),
            name=span.name,
            kind=span.kind,
            start_ns=int(span.start_time_unix_nano),
            end_ns=int(span.end_time_unix_nano),
            attributes=self.attributes(span.attributes),
            events=[
                SpanEvent(int(event.time_unix_nano), event.name, self.attributes(event.attributes))
                for event in span.events
            ],
            links=[
                Link(trace_id, span_id, self.attributes(link.attributes))
                for link in span.links
                if (trace_id := trace_id_of(self.hex_of(link.trace_id)))
                and (span_id := span_id_of(self.hex_of(link.span_id)))
            ],
            status_code=0 if span.status is None else span.status.code,
            status_message="" if span.status is None else span.status.message,
            origin=origin,
        )

    def _record(self, record: Any, origin: Origin) -> LogRecord:
        return LogRecord(
            time_ns=int(record.time_unix_nano) or int(record.observed_time_unix_nano),
            severity_number=record.severity_number,
            severity_text=record.severity_text,
            body=None if record.body is None else self.value_of(record.body),
            attributes=self.attributes(record.attributes),
            trace_id=trace_id_of(self.hex_of(record.trace_id)),
            span_id=span_id_of(self.hex_of(record.span_id)),
            event_name=record.event_name,
            origin=origin,
        )
