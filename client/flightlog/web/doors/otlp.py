"""OTLP over HTTP, protobuf and JSON: `/v1/traces` and `/v1/logs`.

What OpenTelemetry's specification asks for: 200 once it is stored, with how many were not and why; 503 with
`Retry-After` where it is worth trying again, which is safe, for everything told has a key; what went wrong as
a google.rpc.Status, in the encoding of the request.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import msgspec

from flightlog.otlp import otlp_json
from flightlog.otlp.ids import span_id_of, trace_id_of
from flightlog.otlp.logs import events_of_records
from flightlog.otlp.model import Span
from flightlog.otlp.spans import events_of_spans
from flightlog.web.doors.door import Batch, Door, Outcome, Posted, Reply
from flightlog.web.problem import Problem

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_MESSAGE_FIELD: Final = 2
"""Of google.rpc.Status: its number."""

_REASONS_LIMIT: Final = 3
"""How many of the reasons are told."""


def _protobuf() -> ModuleType:
    """Return what reads protobuf.

    Raises:
        Problem: it is not installed.
    """
    try:
        from flightlog.otlp import otlp_protobuf  # an extra of its own
    except ModuleNotFoundError:
        raise Problem(
            415,
            "unsupported_media_type",
            "opentelemetry-proto is not installed here",
            "pip install 'flightlog[otel]', or send JSON: OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
        ) from None
    return otlp_protobuf


def _form(posted: Posted) -> Any:
    """Return the module that reads what was posted.

    Raises:
        Problem: there is none.
    """
    if posted.kind == PROTOBUF:
        return _protobuf()
    if posted.kind == JSON:
        return otlp_json
    reason = f"no such type: {posted.kind or 'none'}"
    raise Problem(415, "unsupported_media_type", reason, f"{PROTOBUF} or {JSON}")


def _read_spans(posted: Posted) -> Batch:
    spans: list[Span] = _form(posted).spans_of(posted.body)
    refused = {
        index: "it has no trace_id and span_id that are ones"
        for index, span in enumerate(spans)
        if trace_id_of(span.trace_id) is None or span_id_of(span.span_id) is None
    }
    kept = [index for index in range(len(spans)) if index not in refused]
    told = ((kept[number], event) for number, event in events_of_spans([spans[index] for index in kept]))
    return Batch(len(spans), told, refused)


def _read_records(posted: Posted) -> Batch:
    records = _form(posted).records_of(posted.body)
    return Batch(len(records), events_of_records(records, posted.now_us, repeated=True))


def _answer(name: str, write: Callable[[Any], Callable[[int, str], bytes]]) -> Callable[..., Reply]:
    def answer(posted: Posted, outcome: Outcome) -> Reply:
        rejected, reason = len(outcome.refused), _reason(outcome)
        if posted.kind == PROTOBUF:
            return Reply(PROTOBUF, write(_protobuf())(rejected, reason))
        partial = {name: str(rejected), "errorMessage": reason}
        return Reply(JSON, msgspec.json.encode({"partialSuccess": partial} if rejected else {}))

    return answer


def _reason(outcome: Outcome) -> str:
    reasons = [f"[{item}] {reason}" for item, reason in list(outcome.refused.items())[:_REASONS_LIMIT]]
    return "; ".join(reasons)


def _problem(kind: str, problem: Problem) -> Reply:
    """Return a google.rpc.Status with its `message`; who posts goes by the status code of HTTP."""
    error = problem.error
    message = f"{error.code}: {error.reason}" + (f" ({error.hint})" if error.hint else "")
    if kind == PROTOBUF:
        return Reply(PROTOBUF, _text_field(_MESSAGE_FIELD, message), problem.status)
    return Reply(JSON, msgspec.json.encode({"message": message}), problem.status)


def _text_field(number: int, text: str) -> bytes:
    """Return a text as a field of protobuf: one field is no reason for one more dependency."""
    data = text.encode()
    head = bytearray([number << 3 | 2])
    size = len(data)
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + data


DOORS: Final = (
    Door(
        path="/v1/traces",
        title="Spans by OTLP",
        about="Each trace is an execution, each span a task; docs/opentelemetry.md says more.",
        kinds=(PROTOBUF, JSON),
        read=_read_spans,
        answer=_answer("rejectedSpans", lambda protobuf: protobuf.traces_answer),
        problem=_problem,
    ),
    Door(
        path="/v1/logs",
        title="Log records by OTLP",
        about="Each record is a line of its trace's execution, or of its resource's.",
        kinds=(PROTOBUF, JSON),
        read=_read_records,
        answer=_answer("rejectedLogRecords", lambda protobuf: protobuf.logs_answer),
        problem=_problem,
    ),
)
