"""W3C trace context: what a program is started within, what it starts, the span of OpenTelemetry around."""

import sys
from typing import Final, NamedTuple

from flightlog.ids import new_span_id, new_trace_id
from flightlog_schemas.regex import compiled

VARIABLE: Final = "TRACEPARENT"
"""What hands on the trace to processes, as OpenTelemetry has it."""

_FORM: Final = r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"


class Trace(NamedTuple):
    """A span of a trace."""

    trace_id: str
    span_id: str
    flags: str

    @property
    def parent(self) -> str:
        """The span as `traceparent` of what it starts."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def next_span(traceparent: str | None) -> Trace:
    """Return a new span of the trace that `traceparent` names, of a new trace where it names none."""
    return span_within(traceparent) or Trace(new_trace_id(), new_span_id(), "01")


def span_within(traceparent: str | None) -> Trace | None:
    """Return a new span of the trace that `traceparent` names, None where it names none."""
    match = None if traceparent is None else compiled(_FORM).fullmatch(traceparent)
    return None if match is None else Trace(match[1], new_span_id(), match[2])


def current_span() -> Trace | None:
    """Return the span of OpenTelemetry that the caller is in; None where there is none.

    A program that has not imported OpenTelemetry is in none: it is not imported for this.
    """
    get_current_span = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    if get_current_span is None:
        return None
    found = get_current_span().get_span_context()
    if not found.is_valid:
        return None
    return Trace(f"{found.trace_id:032x}", f"{found.span_id:016x}", f"{found.trace_flags:02x}")
