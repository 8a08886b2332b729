"""OTLP as JSON, both ways: names in lowerCamelCase, ids in hex, whole numbers of 64 bits as text.

What is unknown is passed over, as OTLP asks for.
"""

from base64 import b64encode
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.otlp.model import Attributes, LogRecord, Span
from flightlog.otlp.requests import Encoding


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
    return _ENCODING.spans(_decode_traces(body))


def records_of(body: bytes) -> list[LogRecord]:
    """Return the log records of a request.

    Raises:
        ValueError: it is none.
    """
    return _ENCODING.records(_decode_logs(body))


def _value(value: AnyValue) -> Any:
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.array_value is not None:
        return [_value(one) for one in value.array_value.values]
    if value.kvlist_value is not None:
        return _ENCODING.attributes(value.kvlist_value.values)
    plain = (value.string_value, value.bool_value, value.bytes_value)
    return next((one for one in plain if one is not None), None)


_ENCODING: Final = Encoding(hex_of=str.lower, value_of=_value)


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
