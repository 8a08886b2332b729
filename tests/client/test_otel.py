"""The real SDK of OpenTelemetry with our exporters, and what a real daemon makes of it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord as Record
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, Tracer

from flightlog import Client
from flightlog.otel import (
    FlightlogLogExporter,
    FlightlogLogProcessor,
    FlightlogSpanExporter,
    FlightlogSpanProcessor,
)
from support.daemon import Daemon, clean_environment
from support.peers import QueryPeer
from support.programs import events
from support.source import ROOT

RESOURCE = Resource({"service.name": "shop", "service.version": "1.2", "process.pid": os.getpid()})


@pytest.fixture
def provider(client: Client) -> Iterator[TracerProvider]:
    """Give a provider of tracers whose spans are exported in batches."""
    made = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    made.add_span_processor(FlightlogSpanProcessor())
    made.add_span_processor(BatchSpanProcessor(FlightlogSpanExporter(client)))
    yield made
    made.shutdown()


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    """Give a tracer."""
    return provider.get_tracer("shop.orders")


def flush(client: Client, provider: TracerProvider) -> None:
    """Wait until all spans that ended are on disk: the SDK hands them on, the client has them written."""
    assert provider.force_flush()
    assert client.flush()


def ask(daemon: Daemon, verb: str, noun: str, **request: Any) -> list[dict[str, Any]]:
    """Return what the daemon answers."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask(verb, **request).all(noun)


def of(daemon: Daemon, execution: dict[str, Any], verb: str, noun: str) -> list[dict[str, Any]]:
    """Return what the daemon answers of an execution."""
    return ask(daemon, verb, noun, execution_id=execution["execution_id"])


def anomalies(daemon: Daemon) -> list[dict[str, Any]]:
    """Return what the audit trail calls impossible."""
    return ask(daemon, "audit", "audit", type=["ANOMALY"])


@pytest.mark.covers("P9")
def test_a_trace_is_an_execution_and_its_spans_are_tasks(
    daemon: Daemon, client: Client, provider: TracerProvider, tracer: Tracer
) -> None:
    """Spans have name, kind, parent, attributes, events and times; the first is the execution, too."""
    with (
        tracer.start_as_current_span("POST /orders", kind=SpanKind.SERVER) as root,
        tracer.start_as_current_span("INSERT orders", attributes={"db.system.name": "sqlite"}) as child,
    ):
        child.add_event("committed", {"rows": 3})
        child.set_attribute("db.response.returned_rows", 3)

    flush(client, provider)
    [execution] = ask(daemon, "executions", "execution")
    context = root.get_span_context()
    assert execution["execution_id"] == trace.format_trace_id(context.trace_id)
    assert (execution["name"], execution["tool"], execution["status"]) == (
        "POST /orders",
        "shop",
        "succeeded",
    )
    assert execution["labels"]["service.name"] == "shop"
    tasks = {task["name"]: task for task in of(daemon, execution, "tasks", "task")}
    inner, outer = tasks["INSERT orders"], tasks["POST /orders"]
    assert (outer["type"], inner["type"]) == ("server", "internal")
    assert inner["parent_task_id"] == outer["task_id"] == outer["span_id"]
    assert inner["inputs"] == {"db.system.name": "sqlite"}
    assert inner["outputs"] == {"db.response.returned_rows": 3}
    assert inner["runner"] == {"name": "shop", "version": "1.2", "pid": os.getpid()}
    assert outer["started_at"] <= inner["started_at"] <= inner["finished_at"] <= outer["finished_at"]
    assert inner["duration_us"] <= execution["duration_us"]
    [line] = events(daemon, type=["log"])
    assert (line["message"], line["fields"], line["task_id"]) == ("committed", {"rows": 3}, inner["task_id"])
    assert anomalies(daemon) == []


@pytest.mark.covers("P9", "S2.3")
def test_errors_have_their_stack(
    daemon: Daemon, client: Client, provider: TracerProvider, tracer: Tracer
) -> None:
    """A span that fails has type, message, stack and its hash; an exception that it survives is a line."""
    with suppress(ValueError), tracer.start_as_current_span("work") as span:
        span.record_exception(LookupError("again"))
        raise ValueError("not so")

    flush(client, provider)
    [execution] = ask(daemon, "executions", "execution")
    [task] = of(daemon, execution, "tasks", "task")
    assert execution["status"] == task["status"] == "failed"
    assert (task["error"]["type"], task["error"]["message"]) == ("ValueError", "ValueError: not so")
    assert 'raise ValueError("not so")' in task["error"]["stack"]
    assert len(task["error"]["stack_hash"]) == 64
    [line] = events(daemon, type=["log"])
    assert (line["level"], line["message"]) == ("ERROR", "LookupError: again")
    assert line["fields"]["exception"]["type"] == "LookupError"


@pytest.mark.covers("P9")
def test_links_are_causes(daemon: Daemon, client: Client, provider: TracerProvider, tracer: Tracer) -> None:
    """A span that is linked to another names it as its cause, by the key of that one's event."""
    with tracer.start_as_current_span("produce") as produced:
        pass
    with tracer.start_as_current_span("consume", links=[Link(produced.get_span_context(), {"queue": "q"})]):
        pass

    flush(client, provider)
    ended = {one["name"]: one for one in events(daemon, type=["task.ended"])}
    assert ended["consume"]["causation_id"] == ended["produce"]["id"]
    [link] = ended["consume"]["inputs"]["otel.links"]
    assert link["span_id"] == ended["produce"]["span_id"]
    assert link["attributes"] == {"queue": "q"}


@pytest.mark.covers("P9", "D4")
def test_a_span_told_twice_is_stored_once(daemon: Daemon, client: Client) -> None:
    """Two exporters that get the same spans, one by one or all at once, leave each event once."""
    provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
    for processor in (SimpleSpanProcessor, BatchSpanProcessor):
        provider.add_span_processor(processor(FlightlogSpanExporter(client)))
    tracer = provider.get_tracer("twice")
    with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner") as inner:
        inner.add_event("once")
        inner.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7})

    flush(client, provider)
    provider.shutdown()
    kinds = [one["type"] for one in events(daemon) if not one["type"].startswith("daemon.")]
    assert sorted(kinds) == [
        "agent.added", "agent.updated", "agent.usage", "execution.created", "execution.ended",
        "execution.started", "log", "task.ended", "task.ended",
    ]  # fmt: skip
    assert anomalies(daemon) == []


@pytest.mark.covers("P9", "S3.5")
def test_agents_tools_and_tokens(
    daemon: Daemon, client: Client, provider: TracerProvider, tracer: Tracer
) -> None:
    """Agents nest, have the tokens of their own calls, counted once, and the tools that they called."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "anthropic"}
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.model": "m-1"}
    used = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 4}
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    with tracer.start_as_current_span(
        "invoke_agent planner", attributes={**agent, "gen_ai.agent.name": "the planner", **used}
    ):
        with tracer.start_as_current_span("chat m", kind=SpanKind.CLIENT, attributes={**chat, **used}):
            pass
        with tracer.start_as_current_span(
            "execute_tool search",
            attributes={
                **tool,
                "gen_ai.tool.call.arguments": '{"q": "x"}',
                "gen_ai.tool.call.result": "[1]",
            },
        ):
            pass
        with tracer.start_as_current_span(
            "invoke_agent far",
            kind=SpanKind.CLIENT,
            attributes={**agent, "gen_ai.agent.id": "a-7", **used},
        ) as far:
            far.set_status(trace.StatusCode.ERROR, "no answer")

    flush(client, provider)
    [execution] = ask(daemon, "executions", "execution")
    agents = {one["agent_id"]: one for one in of(daemon, execution, "agents", "agent")}
    assert set(agents) == {"the-planner", "a-7"}
    planner, other = agents["the-planner"], agents["a-7"]
    assert (planner["name"], planner["agent_type"], planner["status"]) == (
        "the planner",
        "anthropic",
        "completed",
    )
    assert (planner["input_tokens"], planner["output_tokens"], planner["model"]) == (10, 4, "m-1")
    assert (other["status"], other["parent_agent_id"], other["input_tokens"]) == ("failed", "the-planner", 10)
    tasks = {one["slug"]: one for one in of(daemon, execution, "tasks", "task")}
    called = tasks["search"]
    assert (called["type"], called["agent_id"]) == ("tool", "the-planner")
    assert called["inputs"]["gen_ai.tool.call.arguments"] == {"q": "x"}
    assert called["outputs"] == {"gen_ai.tool.call.result": [1]}
    assert anomalies(daemon) == []


@pytest.mark.covers("P9", "P10")
def test_spans_within_an_execution_belong_to_it(
    daemon: Daemon, client: Client, provider: TracerProvider, tracer: Tracer
) -> None:
    """Within an execution of flightlog spans are its tasks, records its lines; they begin no other."""
    records = LoggerProvider(shutdown_on_exit=False)
    for processor in (FlightlogLogProcessor(), BatchLogRecordProcessor(FlightlogLogExporter(client))):
        records.add_log_record_processor(processor)
    with (
        client.execution(execution_id="mine"),
        tracer.start_as_current_span("outer"),
        tracer.start_as_current_span("inner"),
    ):
        records.get_logger("t").emit(Record(body="hello"))

    assert records.force_flush()
    flush(client, provider)
    [line] = events(daemon, type=["log"])
    assert (line["execution_id"], line.get("fields")) == ("mine", None)
    assert [one["execution_id"] for one in ask(daemon, "executions", "execution")] == ["mine"]
    assert {one["name"] for one in ask(daemon, "tasks", "task", execution_id="mine")} == {"outer", "inner"}
    records.shutdown()


@pytest.mark.covers("P9", "P10")
def test_a_program_of_an_execution_exports_into_it(
    daemon: Daemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a program that was started inside an execution, spans and records are that execution's."""
    monkeypatch.setenv("FLIGHTLOG_EXECUTION_ID", "around")
    spans = TracerProvider(shutdown_on_exit=False)
    spans.add_span_processor(SimpleSpanProcessor(FlightlogSpanExporter(client)))
    records = LoggerProvider(shutdown_on_exit=False)
    records.add_log_record_processor(SimpleLogRecordProcessor(FlightlogLogExporter(client)))
    with client.execution(execution_id="around"):
        with spans.get_tracer("t").start_as_current_span("work"):
            pass
        records.get_logger("t").emit(Record(body="hello"))

    assert client.flush()
    assert {one["execution_id"] for one in events(daemon, type=["log", "task.", "execution."])} == {"around"}


@pytest.mark.covers("P9")
def test_records_become_lines(
    daemon: Daemon, client: Client, provider: TracerProvider, tracer: Tracer
) -> None:
    """A record has level, message, fields, scope and span; one outside of any is in its resource's log."""
    records = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    records.add_log_record_processor(SimpleLogRecordProcessor(FlightlogLogExporter(client)))
    logger = records.get_logger("shop.db")
    with tracer.start_as_current_span("work") as span:
        logger.emit(
            Record(
                timestamp=1_790_000_000_000_000_123,
                severity_number=SeverityNumber.WARN2,
                body="slow",
                attributes={"ms": 17, "tags": ("a", "b")},
                event_name="db.slow",
            )
        )
        logger.emit(Record(severity_text="error", body={"code": 7}, exception=KeyError("gone")))
    logger.emit(Record(body="alone"))
    logger.emit(Record(body="alone"))

    flush(client, provider)
    slow, failed, *alone = events(daemon, type=["log"])
    context = span.get_span_context()
    trace_id, span_id = trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)
    for line in (slow, failed):
        assert (line["execution_id"], line["trace_id"]) == (trace_id, trace_id)
        assert line["span_id"] == line["task_id"] == span_id
    assert (slow["level"], slow["message"], slow["source"]) == (14, "slow", "shop.db")
    assert slow["time"] == 1_790_000_000_000_000
    assert slow["fields"] == {"ms": 17, "tags": ["a", "b"], "event.name": "db.slow"}
    assert (failed["level"], failed["message"]) == (17, '{"code":7}')
    assert failed["fields"]["body"] == {"code": 7}
    assert failed["fields"]["exception"]["type"] == "KeyError"
    assert [line["message"] for line in alone] == ["alone", "alone"]
    [other] = {line["execution_id"] for line in alone}
    assert ask(daemon, "inspect", "execution", execution_id=other)[0]["name"] == "shop"
    assert anomalies(daemon) == []


@pytest.mark.covers("P9", "D9")
def test_without_a_daemon_exporting_goes_on(client_factory: Any, home: Any) -> None:
    """Where no daemon is, spans are kept for later and nothing is raised, logged or waited for."""
    client = client_factory(home / "nobody", spool=home / "spool")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(FlightlogSpanExporter(client)))
    for number in range(50):
        with provider.get_tracer("t").start_as_current_span(f"work {number}"):
            pass

    assert client.statistics().lines == 200
    assert client.statistics().dropped == 0
    assert not FlightlogSpanExporter(client).force_flush(10)


@pytest.mark.covers("P9", "S1.16")
def test_the_example_of_the_docs(daemon: Daemon) -> None:
    """The program that the docs show runs as it stands, and what it did is in the log at its end."""
    [program] = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "opentelemetry.md").read_text(), re.DOTALL
    )
    environment = clean_environment(FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir))

    subprocess.run([sys.executable, "-P", "-W", "error", "-c", program], check=True, env=environment)

    assert [one["name"] for one in ask(daemon, "executions", "execution")] == ["checkout"]
