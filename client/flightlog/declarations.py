"""Declarations of tasks and epics in a file: JSON, or a JSON object on each line. Pure.

    {"tasks": [{"task_id": "schema", "description": "write `db/schema.sql`", "epic": "store"},
               {"task_id": "api", "depends_on": ["schema", {"task_id": "docs", "kind": "soft"}]}],
     "epics": [{"epic": "store"}, {"epic": "web", "depends_on": ["store"]}]}

A list of tasks alone will do, and of lines those with an `epic` and no `task_id` are epics.
"""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from flightlog.errors import UsageError
from flightlog_schemas.events.plan import PlanEpicDeclared
from flightlog_schemas.events.task import Dependency, TaskDeclared
from flightlog_schemas.limits import Id


class _Task(Struct, forbid_unknown_fields=True):
    task_id: Id
    description: str | None = None
    action: str | None = None
    epic: Id | None = None
    priority: Annotated[int, Meta(ge=0, le=999)] = 999
    depends_on: list[Id | Dependency] = []


class _Epic(Struct, forbid_unknown_fields=True):
    epic: Id
    name: str | None = None
    depends_on: list[Id] = []


class Declarations(Struct):
    """What is declared of a project, in the order in which it was written."""

    tasks: list[TaskDeclared]
    epics: list[PlanEpicDeclared]


_HINT: Final = (
    'a task is {"task_id": ..., "description": ..., "epic": ..., "priority": 0..999, "depends_on": [...]}'
)


def read_declarations(data: bytes, project: str) -> Declarations:
    """Return what a file declares of a project.

    Raises:
        UsageError: it is no JSON, or something in it is no declaration; the place is named.
    """
    try:
        whole = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        found = _lines(data, error)
    else:
        found = _whole(whole)
    declared = Declarations([], [])
    for place, value in found:
        try:
            if isinstance(value, dict) and "task_id" not in value and "epic" in value:
                declared.epics.append(_epic(msgspec.convert(value, _Epic), project))
            else:
                declared.tasks.append(_task(msgspec.convert(value, _Task), project))
        except msgspec.ValidationError as error:
            raise UsageError(f"{place}: {error}", _HINT) from None
    return declared


def _lines(data: bytes, error: Exception) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for number, line in enumerate(data.splitlines(), 1):
        if line.strip():
            try:
                found.append((f"line {number}", msgspec.json.decode(line)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as own_error:
                told = own_error if found else error
                raise UsageError(f"neither JSON nor lines of it: line {number}: {told}", _HINT) from None
    return found


def _whole(whole: Any) -> list[tuple[str, Any]]:
    if isinstance(whole, dict) and not whole.keys() <= {"tasks", "epics"}:
        whole = [whole]  # a file of one line
    parts = {"tasks": whole} if isinstance(whole, list) else whole
    if not isinstance(parts, dict) or not all(isinstance(part, list) for part in parts.values()):
        raise UsageError("expected a list of tasks, or an object with `tasks` and `epics`", _HINT)
    return [(f"{name}[{at}]", value) for name, part in parts.items() for at, value in enumerate(part)]


def _task(task: _Task, project: str) -> TaskDeclared:
    return TaskDeclared(
        task_id=task.task_id,
        project=project,
        description=task.description,
        action=task.action,
        epic=task.epic,
        priority=task.priority,
        depends_on=tuple(Dependency(task_id=one) if isinstance(one, str) else one for one in task.depends_on),
    )


def _epic(epic: _Epic, project: str) -> PlanEpicDeclared:
    return PlanEpicDeclared(
        project=project, epic=epic.epic, name=epic.name, depends_on=tuple(epic.depends_on)
    )
