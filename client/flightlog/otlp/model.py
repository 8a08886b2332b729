"""Spans and log records with the names of OpenTelemetry's data model; ids in lower-case hex, times in ns."""

from typing import Any, Final

from msgspec import Struct

STATUS_ERROR: Final = 2
"""Of a span; 0 is unset, 1 ok."""

KIND_CLIENT: Final = 3
KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
"""What a span is, by number."""

Attributes = dict[str, Any]
"""Names and values; what JSON can say."""


class Origin(Struct, frozen=True):
    """Who told it.

    Attributes:
        resource: What ran: service, host, process.
        scope: The library that made it.
    """

    resource: Attributes
    scope: str = ""


class SpanEvent(Struct):
    """Something that happened at a moment of a span."""

    time_ns: int
    name: str
    attributes: Attributes


class Link(Struct):
    """Another span that a span has to do with."""

    trace_id: str
    span_id: str
    attributes: Attributes


class Span(Struct, kw_only=True):
    """One operation.

    Attributes:
        end_ns: 0 where it has not ended.
        status_code: As `STATUS_ERROR` says.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    name: str = ""
    kind: int = 0
    start_ns: int = 0
    end_ns: int = 0
    attributes: Attributes = {}
    events: list[SpanEvent] = []
    links: list[Link] = []
    status_code: int = 0
    status_message: str = ""
    origin: Origin


class LogRecord(Struct, kw_only=True):
    """One record.

    Attributes:
        time_ns: When it happened, or else was seen; 0 where nobody knows.
        severity_number: 1 to 24; 0 where none is given.
        body: What JSON can say.
    """

    time_ns: int = 0
    severity_number: int = 0
    severity_text: str = ""
    body: Any = None
    attributes: Attributes = {}
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str = ""
    origin: Origin
