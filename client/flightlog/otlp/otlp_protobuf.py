"""OTLP as protobuf: requests to spans and records, and answers. Needs opentelemetry-proto."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from flightlog.otlp.ids import span_id_of, trace_id_of
from flightlog.otlp.model import Attributes, Link, LogRecord, Origin, Span, SpanEvent


def spans_of(body: bytes) -> list[Span]:
    """Return the spans of a request.

    Raises:
        ValueError: it is none.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    return [
        _span(span, origin)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        if (origin := _origin(resource.resource, scope.scope))
        for span in scope.spans
    ]


def records_of(body: bytes) -> list[LogRecord]:
    """Return the log records of a request.

    Raises:
        ValueError: it is none.
    """
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    return [
        _record(record, origin)
        for resource in request.resource_logs
        for scope in resource.scope_logs
        if (origin := _origin(resource.resource, scope.scope))
        for record in scope.log_records
    ]


def traces_answer(rejected: int, reason: str) -> bytes:
    """Return the answer to spans; all were taken where the reason is empty."""
    answer = ExportTraceServiceResponse()
    if reason:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = reason
    return answer.SerializeToString()


def logs_answer(rejected: int, reason: str) -> bytes:
    """Return the answer to log records; all were taken where the reason is empty."""
    answer = ExportLogsServiceResponse()
    if reason:
        answer.partial_success.rejected_log_records = rejected
        answer.partial_success.error_message = reason
    return answer.SerializeToString()


def _origin(resource: Resource, scope: InstrumentationScope) -> Origin:
    return Origin(_attributes(resource.attributes), scope.name)


def _span(span: trace_pb2.Span, origin: Origin) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span_id_of(span.parent_span_id.hex()),
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=[
            SpanEvent(event.time_unix_nano, event.name, _attributes(event.attributes))
            for event in span.events
        ],
        links=[
            Link(trace_id, span_id, _attributes(link.attributes))
            for link in span.links
            if (trace_id := trace_id_of(link.trace_id.hex())) and (span_id := span_id_of(link.span_id.hex()))
        ],
        status_code=span.status.code,
        status_message=span.status.message,
        origin=origin,
    )


def _record(record: logs_pb2.LogRecord, origin: Origin) -> LogRecord:
    return LogRecord(
        time_ns=record.time_unix_nano or record.observed_time_unix_nano,
        severity_number=record.severity_number,
        severity_text=record.severity_text,
        body=_value(record.body),
        attributes=_attributes(record.attributes),
        trace_id=trace_id_of(record.trace_id.hex()),
        span_id=span_id_of(record.span_id.hex()),
        event_name=record.event_name,
        origin=origin,
    )


def _attributes(pairs: Iterable[KeyValue]) -> Attributes:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case kind:
            return getattr(value, kind)
