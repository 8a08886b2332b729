"""W3C trace context: what is recorded belongs to the trace around, and what is started goes on with it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Span, Tracer, format_span_id, format_trace_id

from flightlog import Client
from support.daemon import Daemon, clean_environment
from support.programs import events

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

TASK = """
import flightlog
with flightlog.execution("e") as run, run.task("t") as task:
    print(task.environment()["TRACEPARENT"])
"""


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    """Give a tracer of the real SDK, which exports nothing."""
    provider = TracerProvider(shutdown_on_exit=False)
    yield provider.get_tracer("test")
    provider.shutdown()


def ids(span: Span) -> tuple[str, str]:
    """Return the ids of a span of OpenTelemetry as they are written."""
    context = span.get_span_context()
    return format_trace_id(context.trace_id), format_span_id(context.span_id)


@pytest.mark.covers("P10")
def test_what_is_recorded_bears_the_span_around(daemon: Daemon, client: Client, tracer: Tracer) -> None:
    """Lines, artifacts and usage have trace and span of the span around; outside of any they have none."""
    with client.execution() as run, run.agent("a") as agent:
        run.info("outside")
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner") as inner:
            run.info("inside")
            run.artifact("/nowhere", digest=False)
            agent.usage(input_tokens=1)
        run.info("after")

    assert client.flush()
    said = events(daemon, type=["log", "artifact.", "agent.usage"])
    assert [(one.get("trace_id"), one.get("span_id")) for one in said] == [
        (None, None),
        *[ids(inner)] * 3,
        (None, None),
    ]


@pytest.mark.covers("P10", "S2.1")
def test_a_task_joins_the_trace_around(daemon: Daemon, client: Client, tracer: Tracer) -> None:
    """A task within a span is of its trace, with a span of its own; its retry outside stays in that trace."""
    with client.execution() as run:
        with tracer.start_as_current_span("outer") as outer, run.task("t") as first:
            pass
        with run.task("t", retry_of=first) as second:
            pass
        with run.task("t") as other:
            pass

    trace_id, span_id = ids(outer)
    assert first.trace_id == second.trace_id == trace_id != other.trace_id
    assert span_id != first.span_id != second.span_id


@pytest.mark.covers("P10")
def test_processes_go_on_with_the_trace(daemon: Daemon, client: Client, tracer: Tracer) -> None:
    """A child's environment names the span around its start, within a task the task; else it names none."""
    with client.execution() as run:
        assert "TRACEPARENT" not in run.environment({})
        with tracer.start_as_current_span("outer") as outer:
            inherited = run.environment({})["TRACEPARENT"]
            with run.task("t") as task:
                own = task.environment({})["TRACEPARENT"]

    trace_id, span_id = ids(outer)
    assert inherited == f"00-{trace_id}-{span_id}-{outer.get_span_context().trace_flags:02x}"
    assert own == f"00-{trace_id}-{task.span_id}-01"


@pytest.mark.covers("P10")
@pytest.mark.parametrize(
    ("traceparent", "joined"),
    [(f"00-{TRACE}-{SPAN}-01", True), (f"00-{'0' * 32}-{SPAN}-01", False), ("nonsense", False)],
)
def test_a_program_joins_the_trace_of_its_environment(daemon: Daemon, traceparent: str, joined: bool) -> None:
    """A task of a program that was started within a trace is of that trace; what is no trace is none."""
    environment = clean_environment(FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir), TRACEPARENT=traceparent)
    done = subprocess.run(
        [sys.executable, "-P", "-c", TASK], capture_output=True, text=True, check=True, env=environment
    )

    _, trace_id, span_id, flags = done.stdout.strip().split("-")
    assert (trace_id == TRACE) is joined
    assert span_id != SPAN
    assert flags == "01"
    assert [one["trace_id"] for one in events(daemon, type=["task.started"])] == [trace_id]
