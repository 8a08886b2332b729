"""What a request for a plan is answered with: the plan, or why there is none. Pure.

A plan is one line of the log. One that would be longer than a line may be goes without its tasks' details:
who depends on whom and which files are predicted can be told again from the declarations.
"""

from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct
from msgspec.structs import replace

from flightlog_schemas.codec import encode_event
from flightlog_schemas.events import ErrorInfo, Event, PlanBuilt, PlanFailed
from flightlog_schemas.plans import Plan
from flightlog_schemas.projects import project_id_of
from flightlogd.planning import build_plan
from flightlogd.projections.plan import ANSWER_KEY
from flightlogd.queries.plan_input import PlanInput

logger = structlog.get_logger(__name__)

TASKS_LIMIT: Final = 20_000
"""Most declared tasks that a plan is built from: it takes seconds of a core."""

TEXT_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Most that these may say: it is all in memory while a plan is built."""

WORKTREES: Final = 4
"""Where a request says nothing of them."""


class PlanRequest(Struct, frozen=True):
    """A request that waits for its answer.

    Attributes:
        seq: Its position in the log.
        project: Root of the project.
        execution_id: Which asks, if any: the answer is shown among its log lines.
        request_id: The key of the request, if it has one.
        max_worktrees: Most worktrees of a batch.
    """

    seq: int
    project: str
    execution_id: str | None
    request_id: str | None
    max_worktrees: int | None


def answer(request: PlanRequest, known: PlanInput, now_us: int, limit_bytes: int) -> Event:
    """Return the event that answers a request.

    Args:
        request: What was asked for.
        known: What is known of the project.
        now_us: The plan's time, microseconds since the epoch.
        limit_bytes: Longest line.
    """
    try:
        plan = build_plan(
            request.project,
            known.tasks,
            known.epics,
            plan_id=f"{project_id_of(request.project)}-{request.seq}",
            created_at=now_us,
            max_worktrees=WORKTREES if request.max_worktrees is None else request.max_worktrees,
        )
    except Exception as error:  # a bug of ours must neither stop the daemon nor be met again for ever
        logger.exception("plan not built", project=request.project, request=request.seq)
        reason = f"internal: {type(error).__name__}: {error}; the daemon's log says more"
        return failed(request, reason, now_us)
    size_bytes = 0
    for candidate in (plan, _without_details(plan)):
        event = _built(request, candidate)
        size_bytes = len(encode_event(event))
        if size_bytes <= limit_bytes:
            return event
    return failed(
        request,
        f"a plan of {plan.metadata.total_tasks} tasks takes {size_bytes} bytes,"
        f" and a line has {limit_bytes} at most (line_limit_bytes)",
        now_us,
    )


def failed(request: PlanRequest, reason: str, now_us: int) -> Event:
    """Return the event that says why there is no plan, and when that was found."""
    return PlanFailed(
        id=f"{ANSWER_KEY}:{request.seq}",
        time=now_us,
        execution_id=request.execution_id,
        causation_id=request.request_id or str(request.seq),
        project=request.project,
        error=ErrorInfo(message=reason),
    )


def addressed(event: Event, request: PlanRequest, *, whole: bool) -> Event:
    """Return an answer to one request as that to another one of the same.

    Args:
        event: The answer.
        request: Whom it is for.
        whole: It holds the plan; otherwise it names a plan that another one holds.
    """
    changes: dict[str, Any] = {"plan": None} if isinstance(event, PlanBuilt) and not whole else {}
    return replace(
        event,
        id=f"{ANSWER_KEY}:{request.seq}",
        execution_id=request.execution_id,
        causation_id=request.request_id or str(request.seq),
        **changes,
    )


def _built(request: PlanRequest, plan: Plan) -> Event:
    about = plan.metadata
    return PlanBuilt(
        id=f"{ANSWER_KEY}:{request.seq}",
        time=plan.created_at,
        execution_id=request.execution_id,
        causation_id=request.request_id or str(request.seq),
        project=request.project,
        plan_id=plan.plan_id,
        batches=about.total_batches,
        total_tasks=about.total_tasks,
        parallel_batches=about.parallel_batches,
        conflicts=about.conflicts,
        plan=msgspec.to_builtins(plan),
    )


def _without_details(plan: Plan) -> Plan:
    warning = (
        "too large for one line: what is known of its tasks is left out; it is told again from their"
        " declarations, for changes and comparisons, until one of these is another"
    )
    about = replace(plan.metadata, warnings=[*plan.metadata.warnings, warning])
    return replace(plan, tasks=[], epics=[], metadata=about)
