"""W3C trace context in the environment: what a program was started within, and what it starts. Pure."""

import re
from typing import Final, NamedTuple

from flightlog.ids import new_span_id, new_trace_id

VARIABLE: Final = "TRACEPARENT"

_FORM: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?"
)


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
    match = None if traceparent is None else _FORM.fullmatch(traceparent)
    return None if match is None else Trace(match[1], new_span_id(), match[2])
