"""`plan.*`: how the declared tasks of a project should be run. These need no execution."""

from typing import Any

from flightlog_schemas.events.envelope import ErrorInfo, Event
from flightlog_schemas.limits import Count, Id


class PlanEpicDeclared(Event, kw_only=True, tag="plan.epic_declared"):
    """A group of tasks, which may depend on other groups."""

    project: str
    epic: Id
    name: str | None = None
    depends_on: tuple[Id, ...] = ()


class PlanRequested(Event, kw_only=True, tag="plan.requested"):
    """Somebody wants the project's plan built."""

    project: str
    reason: str | None = None
    max_worktrees: Count | None = None


class PlanBuilt(Event, kw_only=True, tag="plan.built"):
    """A plan was built; the four counts, and the plan itself, unless another event holds it."""

    project: str
    plan_id: Id
    batches: Count
    total_tasks: Count
    parallel_batches: Count
    conflicts: Count
    plan: dict[str, Any] | None = None


class PlanAdjusted(Event, kw_only=True, tag="plan.adjusted"):
    """Somebody changed a plan by hand.

    `seen_seq` is the position of the plan's last change as they saw it, `plan.built` at first. Where another
    change came between, this one counts for nothing: of two at the same time one wins.
    """

    project: str
    plan_id: Id
    seen_seq: Count | None = None
    worktree_assignments: dict[str, Any] | None = None
    batch_overrides: dict[str, Any] | None = None


class PlanFailed(Event, kw_only=True, tag="plan.failed"):
    """A plan could not be built; the execution that asked goes on."""

    project: str
    error: ErrorInfo
