"""Lifecycle events as log lines of source `daemon`: no second event is written for them. Pure."""

from typing import Any, Final

import msgspec

from flightlog_schemas import levels
from flightlog_schemas.events import (
    AgentAdded,
    AgentUpdated,
    ArtifactAdded,
    Event,
    ExecutionAdopted,
    ExecutionAdvanced,
    ExecutionBlocked,
    ExecutionChanged,
    ExecutionCreated,
    ExecutionEnded,
    ExecutionLost,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionWaiting,
    PlanAdjusted,
    PlanBuilt,
    PlanFailed,
    PlanRequested,
    ProducerDropped,
    TaskEnded,
    TaskResumed,
    TaskStarted,
    TaskWaiting,
)
from flightlog_schemas.times import duration_text

SOURCE: Final = "daemon"

_VALUE_LIMIT_CHARS: Final = 200
"""More of a task's inputs or outputs is in the line's fields, not in its text."""

END_LEVELS: Final = {
    "succeeded": levels.INFO,
    "partial": levels.WARN,
    "cancelled": levels.WARN,
    "failed": levels.ERROR,
    "timed_out": levels.ERROR,
    "lost": levels.ERROR,
}
"""Of an ending, by how it was."""


def lifecycle_line(event: Event) -> tuple[int, str] | None:
    """Return (severity number, message) of a lifecycle event, or None for one that is not shown in logs."""
    match event:
        case ExecutionCreated():
            return levels.INFO, f"execution created{_named(event.name)}"
        case ExecutionStarted():
            return levels.INFO, f"execution started{_named(event.name)}"
        case ExecutionWaiting():
            return levels.INFO, f"execution waiting{_because(event.reason)}"
        case ExecutionResumed():
            return levels.INFO, f"execution resumed{_because(event.reason)}"
        case ExecutionAdvanced():
            return levels.INFO, f"phase {event.from_phase or '?'} → {event.to_phase}{_because(event.reason)}"
        case ExecutionBlocked():
            return levels.WARN, f"phase {event.from_phase or '?'} kept{_because(event.reason)}"
        case AgentAdded():
            return levels.INFO, f"agent added: {event.name or event.agent_id} ({event.agent_type})"
        case AgentUpdated() if event.status is not None:
            level = levels.ERROR if event.status == "failed" else levels.INFO
            return level, f"agent {event.agent_id} {event.status}{_because(event.reason)}"
        case ArtifactAdded():
            return levels.INFO, f"artifact added: {event.path}"
        case ExecutionAdopted():
            return levels.INFO, f"execution adopted by process {event.owner.pid}"
        case ExecutionChanged():
            return levels.INFO, f"execution changed{_because(event.reason)}"
        case ExecutionEnded():
            return END_LEVELS[event.outcome], _ended("execution", event)
        case ExecutionLost():
            return levels.ERROR, f"execution lost{_because(event.reason)}"
        case TaskStarted():
            again = f" (attempt {event.attempt}{_because(event.reason)})" if event.attempt > 1 else ""
            return levels.INFO, f"task started{_named(event.name)}{again}{_with('inputs', event.inputs)}"
        case TaskWaiting():
            return levels.INFO, f"task waiting{_because(event.reason)}"
        case TaskResumed():
            return levels.INFO, f"task resumed{_because(event.reason)}"
        case TaskEnded():
            said = f"{_with('inputs', event.inputs)}{_with('outputs', event.outputs)}"
            return END_LEVELS[event.outcome], f"{_ended('task', event)}{said}"
        case PlanRequested():
            return levels.INFO, f"plan requested{_because(event.reason)}"
        case PlanBuilt():
            return levels.INFO, (
                f"plan {event.plan_id} built: {event.total_tasks} tasks in {event.batches} batches,"
                f" {event.parallel_batches} parallel, {event.conflicts} conflicts"
            )
        case PlanAdjusted():
            return levels.INFO, f"plan {event.plan_id} adjusted"
        case PlanFailed():
            return levels.ERROR, f"plan not built: {event.error.message}"
        case ProducerDropped():
            return levels.WARN, f"the producer dropped {event.count} events{_because(event.reason)}"
        case _:
            return None


def lifecycle_fields(event: Event) -> dict[str, Any] | None:
    """Return what an event says beyond its line, whole: a task's inputs or outputs."""
    match event:
        case TaskStarted(inputs=inputs) if inputs:
            return {"inputs": inputs}
        case TaskEnded(inputs=inputs, outputs=outputs) if inputs or outputs:
            return {name: value for name, value in (("inputs", inputs), ("outputs", outputs)) if value}
        case _:
            return None


def _with(name: str, value: dict[str, Any] | None) -> str:
    """Return inputs or outputs for a person, cut where they are long."""
    if not value:
        return ""
    text = msgspec.json.encode(value).decode()
    shown = text if len(text) <= _VALUE_LIMIT_CHARS else f"{text[: _VALUE_LIMIT_CHARS - 1]}…"
    return f"; {name} {shown}"


def _named(name: str | None) -> str:
    return f": {name}" if name else ""


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _ended(what: str, event: ExecutionEnded | TaskEnded) -> str:
    after = f" after {duration_text(event.duration_us)}" if event.duration_us is not None else ""
    cause = event.reason or (event.error.message if event.error is not None else None)
    name = f" {event.name}" if isinstance(event, TaskEnded) and event.name else ""
    return f"{what}{name} {event.outcome.replace('_', ' ')}{after}{_because(cause)}"
