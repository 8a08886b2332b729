"""Tasks, epics and plans in few words."""

from collections.abc import Iterable
from typing import Any

from flightlog_schemas.events.task import Dependency
from flightlog_schemas.plans import Plan, PlanBatch, PlanEpic, PlanTask
from flightlogd.planning import build_plan


def task(
    task_id: str, text: str = "", *, after: Iterable[str] = (), soft: Iterable[str] = (), **more: Any
) -> PlanTask:
    """Return a task: what it says, hard and soft dependencies, and other fields as they are called."""
    dependencies = [Dependency(task_id=other) for other in after]
    dependencies += [Dependency(task_id=other, kind="soft") for other in soft]
    return PlanTask(task_id=task_id, description=text, depends_on=tuple(dependencies), **more)


def epic(name: str, *after: str) -> PlanEpic:
    """Return an epic that depends on others."""
    return PlanEpic(epic=name, depends_on=after)


def plan_of(*tasks: PlanTask, epics: Iterable[PlanEpic] = (), max_worktrees: int = 4) -> Plan:
    """Return the plan of some tasks."""
    return build_plan("/p", tasks, epics, plan_id="plan-1", created_at=1, max_worktrees=max_worktrees)


def ids_of(batches: Iterable[PlanBatch]) -> list[list[str]]:
    """Return the tasks of each batch."""
    return [batch.task_ids for batch in batches]
