"""OTLP as JSON, both ways: names in lowerCamelCase, ids in hex, whole numbers of 64 bits as text.

What is unknown is passed over, as OTLP asks for.
"""

from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.otlp.ids import span_id_of, trace_id_of
from flightlog.otlp.model import Attributes, Link, LogRecord, Origin, Span, SpanEvent


class _Wire(Struct, rename="camel", omit_defaults=True, kw_only=True):
    """A message of OTLP."""


class AnyValue(_Wire):
    """One value: one of these."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: "ArrayValue | None" = None
    kvlist_value: "KeyValues | None" = None
    bytes_value: str | None = None


class ArrayValue(_Wire):
    """Several values."""

    values: list[AnyValue] = []


class KeyValue(_Wire):
    """A name and its value."""

    key: str = ""
    value: AnyValue | None = None


class KeyValues(_Wire):
    """Names and values."""

    values: list[KeyValue] = []


class Resource(_Wire):
    """What ran."""

    attributes: list[KeyValue] = []


class Scope(_Wire):
    """The library that made it."""

    name: str = ""


class WireEvent(_Wire):
    """What happened at a moment of a span."""

    time_unix_nano: int | str = 0
    name: str = ""
    attributes: list[KeyValue] = []


class WireLink(_Wire):
    """Another span."""

    trace_id: str = ""
    span_id: str = ""
    attributes: list[KeyValue] = []


class Status(_Wire):
    """How a span went."""

    code: int = 0
    message: str = ""


class WireSpan(_Wire):
    """A span."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: int = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[KeyValue] = []
    events: list[WireEvent] = []
    links: list[WireLink] = []
    status: Status | None = None


class WireRecord(_Wire):
    """A log record."""

    time_unix_nano: int | str = 0
    observed_time_unix_nano: int | str = 0
    severity_number: int = 0
    severity_text: str = ""
    body: AnyValue | None = None
    attributes: list[KeyValue] = []
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class ScopeSpans(_Wire):
    """Spans of one library."""

    scope: Scope | None = None
    spans: list[WireSpan] = []


class ScopeLogs(_Wire):
    """Records of one library."""

    scope: Scope | None = None
    log_records: list[WireRecord] = []


class ResourceSpans(_Wire):
    """Spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] = []


class ResourceLogs(_Wire):
    """Records of one resource."""

    resource: Resource | None = None
    scope_logs: list[ScopeLogs] = []


class TracesRequest(_Wire):
    """What is posted to /v1/traces."""

    resource_spans: list[ResourceSpans] = []


class LogsRequest(_Wire):
    """What is posted to /v1/logs."""

    resource_logs: list[ResourceLogs] = []


_decode_traces: Final = msgspec.json.Decoder(TracesRequest).decode
_decode_logs: Final = msgspec.json.Decoder(LogsRequest).decode


def spans_of(body: bytes) -> list[Span]:
    """Return the spans of a request.

    Raises:
        ValueError: it is none.
    """
    return [
        _span(span, origin)
        for resource in _decode_traces(body).resource_spans
        for scope in resource.scope_spans
        if (origin := _origin(resource.resource, scope.scope))
        for span in scope.spans
    ]


def records_of(body: bytes) -> list[LogRecord]:
    """Return the log records of a request.

    Raises:
        ValueError: it is none.
    """
    return [
        _record(record, origin)
        for resource in _decode_logs(body).resource_logs
        for scope in resource.scope_logs
        if (origin := _origin(resource.resource, scope.scope))
        for record in scope.log_records
    ]


def _origin(resource: Resource | None, scope: Scope | None) -> Origin:
    attributes = {} if resource is None else _attributes(resource.attributes)
    return Origin(attributes, "" if scope is None else scope.name)


def _span(span: WireSpan, origin: Origin) -> Span:
    status = span.status or Status()
    return Span(
        trace_id=span.trace_id.lower(),
        span_id=span.span_id.lower(),
        parent_span_id=span_id_of(span.parent_span_id),
        name=span.name,
        kind=span.kind,
        start_ns=int(span.start_time_unix_nano),
        end_ns=int(span.end_time_unix_nano),
        attributes=_attributes(span.attributes),
        events=[
            SpanEvent(int(event.time_unix_nano), event.name, _attributes(event.attributes))
            for event in span.events
        ],
        links=[
            Link(trace_id, span_id, _attributes(link.attributes))
            for link in span.links
            if (trace_id := trace_id_of(link.trace_id)) and (span_id := span_id_of(link.span_id))
        ],
        status_code=status.code,
        status_message=status.message,
        origin=origin,
    )


def _record(record: WireRecord, origin: Origin) -> LogRecord:
    return LogRecord(
        time_ns=int(record.time_unix_nano) or int(record.observed_time_unix_nano),
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        body=None if record.body is None else _value(record.body),
        attributes=_attributes(record.attributes),
        trace_id=trace_id_of(record.trace_id),
        span_id=span_id_of(record.span_id),
        event_name=record.event_name,
        origin=origin,
    )


def _attributes(pairs: list[KeyValue]) -> Attributes:
    return {pair.key: None if pair.value is None else _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.array_value is not None:
        return [_value(one) for one in value.array_value.values]
    if value.kvlist_value is not None:
        return _attributes(value.kvlist_value.values)
    plain = (value.string_value, value.bool_value, value.bytes_value)
    return next((one for one in plain if one is not None), None)


def any_value(value: Any) -> AnyValue:
    """Return a value that JSON can say as one of OTLP."""
    match value:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=str(value))
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=b64encode(value).decode())
        case dict():
            return AnyValue(kvlist_value=KeyValues(values=key_values(value)))
        case _:
            return AnyValue(array_value=ArrayValue(values=[any_value(one) for one in value]))


def key_values(attributes: Attributes) -> list[KeyValue]:
    """Return attributes as OTLP has them."""
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]
