"""OTLP as protobuf: requests to spans and records, and answers. Needs opentelemetry-proto."""

from base64 import b64encode
from typing import Any, Final

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from flightlog.otlp.model import LogRecord, Span
from flightlog.otlp.requests import Encoding


def spans_of(body: bytes) -> list[Span]:
    """Return the spans of a request.

    Raises:
        ValueError: it is none.
    """
    return _ENCODING.spans(_decoded(ExportTraceServiceRequest, body))


def records_of(body: bytes) -> list[LogRecord]:
    """Return the log records of a request.

    Raises:
        ValueError: it is none.
    """
    return _ENCODING.records(_decoded(ExportLogsServiceRequest, body))


def _decoded(kind: type[Message], body: bytes) -> Message:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise ValueError(str(error)) from None


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


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _ENCODING.attributes(value.kvlist_value.values)
        case "bytes_value":
            return b64encode(value.bytes_value).decode()
        case kind:
            return getattr(value, kind)


_ENCODING: Final = Encoding(hex_of=bytes.hex, value_of=_value)
