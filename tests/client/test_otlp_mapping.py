"""Whatever spans and records say becomes events that the daemon stores. Pure."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightlog.encode import encode_line
from flightlog.otlp.logs import events_of_records
from flightlog.otlp.model import Link, LogRecord, Origin, Span, SpanEvent
from flightlog.otlp.spans import events_of_spans
from flightlog_schemas.codec import decode_line

NAMES = [
    "gen_ai.operation.name",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.tool.name",
    "gen_ai.tool.call.arguments",
    "error.type",
    "exception.type",
    "exception.message",
    "exception.stacktrace",
    "flightlog.execution_id",
    "service.name",
    "service.version",
    "process.pid",
    "host.name",
    "body",
    "x",
]
WORDS = st.sampled_from(
    ["chat", "invoke_agent", "execute_tool", "a b", "", "{", '{"a":1}', "é", "\x00", "x" * 300]
)
SCALARS = WORDS | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=4,
)
ATTRIBUTES = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), VALUES, max_size=6)
TRACES = st.sampled_from(["1" * 32, "2" * 32])
SPANS = st.sampled_from(["1" * 16, "2" * 16, "3" * 16])
TIMES = st.integers(0, 2**64 - 1)
ORIGINS = st.builds(Origin, ATTRIBUTES, WORDS)

span_lists = st.lists(
    st.builds(
        Span,
        trace_id=TRACES,
        span_id=SPANS,
        parent_span_id=SPANS | st.none(),
        name=WORDS,
        kind=st.integers(-1, 7),
        start_ns=TIMES,
        end_ns=TIMES | st.just(0),
        attributes=ATTRIBUTES,
        events=st.lists(st.builds(SpanEvent, TIMES, WORDS | st.just("exception"), ATTRIBUTES), max_size=2),
        links=st.lists(st.builds(Link, TRACES, SPANS, ATTRIBUTES), max_size=2),
        status_code=st.integers(0, 3),
        status_message=WORDS,
        origin=ORIGINS,
    ),
    max_size=4,
)
record_lists = st.lists(
    st.builds(
        LogRecord,
        time_ns=TIMES,
        severity_number=st.integers(-1, 30),
        severity_text=WORDS,
        body=VALUES,
        attributes=ATTRIBUTES,
        trace_id=TRACES | st.none(),
        span_id=SPANS | st.none(),
        event_name=WORDS,
        origin=ORIGINS,
    ),
    max_size=4,
)


slow_to_draw = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""What OpenTelemetry can say is deeply nested; a busy machine takes a while to think of it."""


def stored(events: Any) -> list[bytes]:
    """Return the lines of events, each of which a daemon takes."""
    lines = [encode_line(event) for _, event in events]
    for line in lines:
        assert line is not None
        decode_line(line)
    return [line for line in lines if line is not None]


@pytest.mark.slow
@pytest.mark.covers("P9", "D5")
@given(span_lists)
@slow_to_draw
def test_any_spans(spans: list[Span]) -> None:
    """Spans of any attributes, parents and times are events that are stored, the same whenever told."""
    assert stored(events_of_spans(spans)) == stored(events_of_spans(spans))


@pytest.mark.covers("P9", "D5")
@given(record_lists)
@slow_to_draw
def test_any_records(records: list[LogRecord]) -> None:
    """Records of any body and attributes are lines that are stored, each with a key where it has a time."""
    lines = stored(events_of_records(records, 17, repeated=True))
    told = [line for line in lines if b'"type":"log"' in line]
    assert [b'"id":"otel:' in line for line in told] == [record.time_ns > 0 for record in records]
