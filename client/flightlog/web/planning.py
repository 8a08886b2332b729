"""Events about plans under the names that clients of a WebSocket know, without the plan itself."""

from typing import Any, Final

import msgspec

from flightlog.web.follow import Message
from flightlog_schemas.projects import project_id_of

_EVENTS: Final = {
    "plan.requested": "execution_plan_progress",
    "plan.adjusted": "execution_plan_progress",
    "plan.built": "execution_plan_ready",
    "plan.failed": "execution_plan_error",
}
_FIELDS: Final = {
    "execution_plan_progress": ("id", "plan_id", "reason"),
    "execution_plan_ready": (
        "plan_id",
        "causation_id",
        "batches",
        "total_tasks",
        "parallel_batches",
        "conflicts",
    ),
    "execution_plan_error": ("causation_id", "error"),
}
_MARK: Final = b'"plan.'


def planned(message: Message) -> tuple[str, bytes] | None:
    """Return what a recorded event tells of a plan, and under which name; None where it is about none."""
    # Most events are log lines: those without the mark need no look inside.
    if message.event != "tail" or _MARK not in message.data:
        return None
    event: dict[str, Any] = msgspec.json.decode(message.data)["event"]
    name = _EVENTS.get(event.get("type", ""))
    if name is None:
        return None
    project = event["project"]
    told = {
        "state": event["type"].partition(".")[2],
        "project": project,
        "project_id": project_id_of(project),
    }
    told |= {field: event.get(field) for field in _FIELDS[name]}
    return name, msgspec.json.encode(told)
