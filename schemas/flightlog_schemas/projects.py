"""Projects, and how each stands with its plan: what queries answer. Times are integer microseconds."""

import hashlib

from msgspec import Struct

from flightlog_schemas.plans import Plan, PlanScore

PROJECT_ID_CHARS = 12


def project_id_of(root: str) -> str:
    """Return a project's id for URLs: the first 12 hex digits of the SHA-256 of its root."""
    return hashlib.sha256(root.encode("utf-8", "surrogatepass")).hexdigest()[:PROJECT_ID_CHARS]


class Project(Struct, kw_only=True):
    """A project that an execution, a declaration or a plan names. `tasks` are those that are declared."""

    project_id: str
    project: str
    executions: int
    active: int
    tasks: int
    plans: int
    last_plan_id: str | None


class PlanRecord(Struct, kw_only=True):
    """One plan of a project, by its counts; `seq` is where in the log it is."""

    plan_id: str
    project_id: str
    project: str
    execution_id: str | None
    created_at: int
    batches: int
    total_tasks: int
    parallel_batches: int
    conflicts: int
    adjustments: int
    seq: int


class PlanAdjustment(Struct, kw_only=True):
    """A change of a plan by hand: its event and key, who made it, why it does not count (None: it does)."""

    seq: int
    id: str | None
    time: int
    uid: int
    refused: str | None


class PlanFailure(Struct, kw_only=True):
    """A plan that could not be built, and why."""

    seq: int
    time: int
    execution_id: str | None
    reason: str


class ProjectPlan(Struct, kw_only=True):
    """A plan as it stands after its adjustments, and how its project stands with it.

    `seen_seq` is the position of its last change: what an adjustment names as what it saw. `pending` is how
    many requests for a newer plan are not answered yet, `failure` the last that failed after this was built.
    `actual` is there where it was asked for.
    """

    plan_id: str
    project_id: str
    project: str
    execution_id: str | None
    seq: int
    seen_seq: int
    plan: Plan
    adjustments: list[PlanAdjustment]
    pending: int
    failure: PlanFailure | None
    actual: PlanScore | None
