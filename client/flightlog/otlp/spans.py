"""Spans to events.

| in OpenTelemetry | event |
|---|---|
| a trace | an execution with the trace's id, unless `flightlog.execution_id` names another |
| the span without a parent | `execution.started` and `execution.ended` of that execution, and a task |
| a span | `task.ended` with its beginning: task and attempt are its `span_id`, `parent_task_id` its parent |
| status ERROR, the event `exception` | `outcome` failed, `error` with type, message and stack |
| another event of a span | `log` of the task |
| links | `inputs["otel.links"]`; the first is the `causation_id` |
| attributes | `inputs`; those of responses, outputs and usage `outputs` |

Each event has a key made of the span, so that a span told twice is stored once.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from flightlog.importing.shorten import cut_text, cut_value
from flightlog.otlp.execution import EXECUTION_ID, Executions, service_of
from flightlog.otlp.genai import OPERATION, TOOL, Agents
from flightlog.otlp.model import KINDS, STATUS_ERROR, Attributes, Span, SpanEvent
from flightlog.outcome import MESSAGE_LIMIT_CHARS, STACK_LIMIT_CHARS
from flightlog_schemas.events import (
    ErrorInfo,
    Event,
    ExecutionEnded,
    ExecutionStarted,
    Log,
    Runner,
    TaskEnded,
    TaskStarted,
)

TEXT_LIMIT_CHARS: Final = 20_000
"""Most of one attribute's text."""
VALUE_LIMIT_CHARS: Final = 60_000
"""Most of all attributes of a span or a record: with JSON's escapes they must fit into a line."""
NAME_LIMIT_CHARS: Final = 1_000

EXCEPTION: Final = "exception"
LINKS: Final = "otel.links"

_OUTPUTS: Final = ("gen_ai.output.", "gen_ai.usage.", "gen_ai.response.", "gen_ai.tool.call.result")
_RESPONSE: Final = ".response."
_TOOL_VALUES: Final = ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result")


def events_of_spans(spans: list[Span], default: str | None = None) -> Iterator[tuple[int, Event]]:
    """Yield the events of a batch of spans, each with the index of its span.

    Args:
        spans: The spans, in any order.
        default: The execution of those that name none; None: each trace is one.
    """
    executions = Executions(default)
    agents = Agents({(span.trace_id, span.span_id): span for span in spans})
    roots: list[tuple[int, Span]] = []
    # A trace's first span ends last, and says when the execution began: that is told before the rest.
    for index, span in enumerate(spans):
        if executions.named(span.attributes, span.origin) is None:
            for created in executions.announce(span.trace_id, span.origin, _micros(span.start_ns)):
                yield index, created
            if span.parent_span_id is None:
                roots.append((index, span))
                yield index, _started(span)
    for index, span in sorted(enumerate(spans), key=lambda numbered: numbered[1].start_ns):
        execution_id = executions.named(span.attributes, span.origin) or span.trace_id
        for event in _events_of(span, execution_id, agents):
            yield index, event
    for index, span in roots:
        if span.end_ns:
            yield index, _ended(span)


def key_of(trace_id: str, span_id: str) -> str:
    """Return the key of the event that tells of a span."""
    return f"otel:{trace_id}:{span_id}"


def _micros(time_ns: int) -> int:
    return time_ns // 1_000


def _started(span: Span) -> ExecutionStarted:
    return ExecutionStarted(
        execution_id=span.trace_id,
        trace_id=span.trace_id,
        span_id=span.span_id,
        time=_micros(span.start_ns),
        id=f"{key_of(span.trace_id, span.span_id)}:started",
        name=cut_text(span.name, NAME_LIMIT_CHARS),
    )


def _ended(span: Span) -> ExecutionEnded:
    error = _error_of(span)
    return ExecutionEnded(
        execution_id=span.trace_id,
        trace_id=span.trace_id,
        span_id=span.span_id,
        time=_micros(span.end_ns),
        id=f"{key_of(span.trace_id, span.span_id)}:ended",
        outcome="succeeded" if error is None else "failed",
        error=error,
        duration_us=max(0, _micros(span.end_ns - span.start_ns)),
    )


def _events_of(span: Span, execution_id: str, agents: Agents) -> Iterator[Event]:
    key, error, raised = key_of(span.trace_id, span.span_id), _error_of(span), _raised(span)
    head: dict[str, Any] = {
        "execution_id": execution_id,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "task_id": span.span_id,
        "agent_id": agents.of(span),
    }
    for number, event in enumerate(span.events):
        if error is None or event is not raised:
            yield _line_of(event, head, f"{key}:{number}", span)
    yield from agents.events(span, execution_id, None if error is None else error.message)
    yield _task_of(span, head, key, error)


def _raised(span: Span) -> SpanEvent | None:
    """Return the last exception that was recorded, of which a span fails if it does."""
    return next((event for event in reversed(span.events) if event.name == EXCEPTION), None)


def _task_of(span: Span, head: dict[str, Any], key: str, error: ErrorInfo | None) -> Event:
    operation = span.attributes.get(OPERATION)
    kind = KINDS[span.kind] if 0 <= span.kind < len(KINDS) else KINDS[0]
    task_type = "tool" if operation == TOOL else operation if isinstance(operation, str) else kind
    tool = span.attributes.get("gen_ai.tool.name")
    name = cut_text(span.name, NAME_LIMIT_CHARS)
    inputs, outputs = _values_of(span)
    begun = {
        **head,
        "name": name,
        "slug": tool if operation == TOOL and isinstance(tool, str) else name,
        "task_type": task_type,
        "parent_task_id": span.parent_span_id,
        "causation_id": key_of(span.links[0].trace_id, span.links[0].span_id) if span.links else None,
        "inputs": inputs or None,
        "runner": _runner(span.origin.resource),
    }
    if not span.end_ns:
        return TaskStarted(**begun, time=_micros(span.start_ns), id=f"{key}:begun")
    return TaskEnded(
        **begun,
        time=_micros(span.end_ns),
        id=key,
        outcome="succeeded" if error is None else "failed",
        error=error,
        outputs=outputs or None,
        started_at=_micros(span.start_ns),
        duration_us=max(0, _micros(span.end_ns - span.start_ns)),
    )


def _error_of(span: Span) -> ErrorInfo | None:
    if span.status_code != STATUS_ERROR:
        return None
    raised = _raised(span)
    found = exception_of({} if raised is None else raised.attributes)
    kind = found["type"] or span.attributes.get("error.type")
    message = (
        span.status_message or found["message"] or str(kind or "") or "it failed and said nothing of why"
    )
    return ErrorInfo(
        message=cut_text(message, MESSAGE_LIMIT_CHARS),
        type=cut_text(str(kind), NAME_LIMIT_CHARS) if kind else None,
        stack=found["stack"],
    )


def _line_of(event: SpanEvent, head: dict[str, Any], key: str, span: Span) -> Log:
    level, message, fields = "INFO", event.name, kept(event.attributes)
    if event.name == EXCEPTION:
        found = exception_of(event.attributes)
        level, message = "ERROR", ": ".join(filter(None, (found["type"], found["message"]))) or event.name
        fields = {name: value for name, value in fields.items() if not name.startswith("exception.")}
        fields["exception"] = found
    return Log(
        **head,
        time=_micros(event.time_ns),
        id=key,
        message=message,
        level=level,
        source=span.origin.scope or service_of(span.origin),
        fields=fields or None,
    )


def exception_of(attributes: Attributes) -> dict[str, str | None]:
    """Return an exception as a field, as a handler of logging writes it; of a long stack the end."""
    kind, message, stack = (
        value if isinstance(value := attributes.get(f"exception.{name}"), str) and value else None
        for name in ("type", "message", "stacktrace")
    )
    return {
        "type": kind,
        "message": None if message is None else cut_text(message, MESSAGE_LIMIT_CHARS),
        "stack": None if stack is None else stack[-STACK_LIMIT_CHARS:],
    }


def kept(attributes: Attributes) -> dict[str, Any]:
    """Return attributes as a line can hold them; which execution it is of has a place of its own there."""
    told = {name: value for name, value in attributes.items() if name != EXECUTION_ID}
    found: dict[str, Any] = cut_value(told, TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS)
    return found


def _values_of(span: Span) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what it worked on, and what came of it."""
    inputs: dict[str, Any] = {}
    outputs: dict[str, Any] = {}
    for name, value in kept({name: _opened(name, value) for name, value in span.attributes.items()}).items():
        (outputs if name.startswith(_OUTPUTS) or _RESPONSE in name else inputs)[name] = value
    if span.links:
        inputs[LINKS] = cut_value(msgspec.to_builtins(span.links), TEXT_LIMIT_CHARS, VALUE_LIMIT_CHARS)
    return inputs, outputs


def _opened(name: str, value: Any) -> Any:
    """Return what a tool was given or gave, which comes as JSON in a text, as what that says."""
    if name in _TOOL_VALUES and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return value
    return value


def _runner(resource: Attributes) -> Runner | None:
    found = {
        "name": resource.get("service.name"),
        "version": resource.get("service.version"),
        "pid": resource.get("process.pid"),
        "host": resource.get("host.name"),
    }
    try:
        runner = msgspec.convert({name: value for name, value in found.items() if value is not None}, Runner)
    except msgspec.ValidationError:  # a resource may call anything so
        return None
    return runner if runner != Runner() else None
