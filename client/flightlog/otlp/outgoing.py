"""Events to OTLP: each is a log record, and the ending of what has a span is that span, too. Pure.

| in flightlog | in OpenTelemetry |
|---|---|
| `log` | a record: level, message, fields as attributes |
| any other event | a record whose event name and body are its type, with what it says in `flightlog.event` |
| `task.ended`, `execution.ended` with trace and span | a span as well: from when it began, with its error |

What came from OpenTelemetry by way of `flightlog.otel` or OTLP is not told again: a round trip would not end.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import UNSET

from flightlog.exporting import Log
from flightlog.otlp.ids import span_id_of, trace_id_of
from flightlog.otlp.model import STATUS_ERROR
from flightlog.otlp.otlp_json import (
    LogsRequest,
    Resource,
    ResourceLogs,
    ResourceSpans,
    Scope,
    ScopeLogs,
    ScopeSpans,
    Status,
    TracesRequest,
    WireEvent,
    WireRecord,
    WireSpan,
    any_value,
    key_values,
)
from flightlog_schemas.levels import ERROR, INFO, level_name, level_number
from flightlog_schemas.wire.reply import Recorded

_KEY: Final = "otel:"
_SCOPE: Final = "flightlog"
_INTERNAL: Final = 1
_STATUS_OK: Final = 1
_SPANS: Final = ("task.ended", "execution.ended")
_ENVELOPE: Final = frozenset({"type", "time", "trace_id", "span_id", "v", "expect_seq"})
_BAD: Final = ("failed", "timed_out", "lost")


class Outgoing:
    """Events of one log as requests of OTLP.

    Args:
        log: The log.
    """

    def __init__(self, log: Log) -> None:
        attributes = {"service.name": "flightlog", "host.name": log.host, "flightlog.log_id": log.log_id}
        self._resource = Resource(attributes=key_values(attributes))

    def logs(self, events: list[Recorded]) -> bytes | None:
        """Return the body for `/v1/logs`, in JSON; None where there is nothing to tell."""
        records = [_record(recorded, event) for recorded, event in _decoded(events)]
        scope = ScopeLogs(scope=Scope(name=_SCOPE), log_records=records)
        told = LogsRequest(resource_logs=[ResourceLogs(resource=self._resource, scope_logs=[scope])])
        return msgspec.json.encode(told) if records else None

    def traces(self, events: list[Recorded]) -> bytes | None:
        """Return the body for `/v1/traces`, in JSON; None where there is nothing to tell."""
        ended = [(recorded, event) for recorded, event in _decoded(events) if event["type"] in _SPANS]
        spans = [span for recorded, event in ended if (span := _span(recorded, event)) is not None]
        scope = ScopeSpans(scope=Scope(name=_SCOPE), spans=spans)
        told = TracesRequest(resource_spans=[ResourceSpans(resource=self._resource, scope_spans=[scope])])
        return msgspec.json.encode(told) if spans else None


def _decoded(events: list[Recorded]) -> Iterator[tuple[Recorded, dict[str, Any]]]:
    for recorded in events:
        event = msgspec.json.decode(recorded.event)
        if not str(event.get("id", "")).startswith(_KEY):
            yield recorded, event


def _record(recorded: Recorded, event: dict[str, Any]) -> WireRecord:
    kind = event["type"]
    attributes = _where(recorded, event)
    if kind == "log":
        number = level_number(event.get("level")) or INFO
        body, name = event["message"], ""
        attributes |= event.get("fields") or {}
        if event.get("source"):
            attributes["flightlog.source"] = event["source"]
    else:
        number = ERROR if event.get("outcome") in _BAD or kind == "execution.lost" else INFO
        body = name = kind
        attributes["flightlog.event"] = {key: value for key, value in event.items() if key not in _ENVELOPE}
    return WireRecord(
        time_unix_nano=str(_time_us(recorded, event) * 1_000),
        observed_time_unix_nano=str(recorded.received * 1_000),
        severity_number=number,
        severity_text=level_name(number),
        body=any_value(body),
        attributes=key_values(attributes),
        trace_id=trace_id_of(str(event.get("trace_id"))) or "",
        span_id=span_id_of(str(event.get("span_id"))) or "",
        event_name=name,
    )


def _span(recorded: Recorded, event: dict[str, Any]) -> WireSpan | None:
    trace_id, span_id = trace_id_of(str(event.get("trace_id"))), span_id_of(str(event.get("span_id")))
    if trace_id is None or span_id is None:
        return None
    ended_us = _time_us(recorded, event)
    began_us = event.get("started_at") or max(0, ended_us - (event.get("duration_us") or 0))
    attributes = _where(recorded, event)
    for name in ("inputs", "outputs"):
        attributes |= {f"flightlog.{name}.{key}": value for key, value in (event.get(name) or {}).items()}
    error = event.get("error") or {}
    failed = event["outcome"] in _BAD
    message = error.get("message") or event.get("reason") or event["outcome"]
    return WireSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=span_id_of(str(event.get("parent_task_id"))) or "",
        name=event.get("name") or event.get("task_id") or event["execution_id"],
        kind=_INTERNAL,
        start_time_unix_nano=str(began_us * 1_000),
        end_time_unix_nano=str(ended_us * 1_000),
        attributes=key_values(attributes),
        events=[_exception(error, ended_us)] if error else [],
        status=Status(code=STATUS_ERROR, message=message) if failed else Status(code=_STATUS_OK),
    )


def _exception(error: dict[str, Any], time_us: int) -> WireEvent:
    said = {
        "exception.type": error.get("type"),
        "exception.message": error.get("message"),
        "exception.stacktrace": error.get("stack"),
    }
    attributes = {name: value for name, value in said.items() if value is not None}
    return WireEvent(time_unix_nano=str(time_us * 1_000), name="exception", attributes=key_values(attributes))


def _where(recorded: Recorded, event: dict[str, Any]) -> dict[str, Any]:
    """Return attributes that say what an event belongs to, where it is in the log, and whose it is."""
    names = ("execution_id", "task_id", "agent_id")
    where = {f"flightlog.{name}": event[name] for name in names if event.get(name) is not None}
    if recorded.execution_id is not UNSET:
        where["flightlog.execution_id"] = recorded.execution_id
    if recorded.origin is not UNSET:
        where["host.name"] = recorded.origin.host
    return {"flightlog.seq": recorded.seq, **where}


def _time_us(recorded: Recorded, event: dict[str, Any]) -> int:
    return int(event.get("time") or recorded.received)
