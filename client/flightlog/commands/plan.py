"""Commands on the plan of a project: declare its tasks, ask for a plan, wait for it, look at it, adjust it.

A plan is built by the daemon, behind everybody's back: asking returns at once, and who wants to wait for the
answer does so by the request.
"""

import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from flightlog.clock import now_us
from flightlog.daemon import Daemon
from flightlog.errors import PlanConflict, Refusal, UsageError
from flightlog.ids import new_id
from flightlog_schemas.events.plan import (
    PlanAdjusted,
    PlanBuilt,
    PlanEpicDeclared,
    PlanFailed,
    PlanRequested,
)
from flightlog_schemas.events.task import TaskDeclared
from flightlog_schemas.projects import ProjectPlan
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.lines import Tail
from flightlog_schemas.wire.query import Plan
from flightlog_schemas.wire.reply import Recorded

MAX_WORKTREES_LIMIT: Final = 64


class RequestedPlan(Struct, frozen=True):
    """A request for a plan.

    Attributes:
        project: Root of the project.
        request_id: Its key, which the answer names as its cause.
        seq: A position of the log that includes it, and not its answer.
    """

    project: str
    request_id: str
    seq: int


def declare_tasks(
    tasks: Sequence[TaskDeclared], epics: Sequence[PlanEpicDeclared] = (), *, daemon: Daemon | None = None
) -> int:
    """Declare tasks and epics of a project; the last declaration of each counts.

    Args:
        tasks: Each with its project.
        epics: Likewise.
        daemon: Where; default: the one that the environment names.

    Returns:
        A position of the log that includes them.

    Raises:
        UsageError: nothing to declare, or one task or epic twice.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    if not tasks and not epics:
        raise UsageError("nothing to declare")
    _must_differ("task", [(task.project, task.task_id) for task in tasks])
    _must_differ("epic", [(epic.project, epic.epic) for epic in epics])
    now = now_us()
    return (daemon or Daemon()).write(*(replace(event, time=now) for event in (*epics, *tasks)))


def request_plan(
    project: str,
    *,
    max_worktrees: int | None = None,
    reason: str | None = None,
    execution_id: str | None = None,
    trace_id: str | None = None,
    span_id: str | None = None,
    daemon: Daemon | None = None,
) -> RequestedPlan:
    """Ask for a plan of a project, and return without waiting for it.

    Args:
        project: Root of the project.
        max_worktrees: Most worktrees for a batch; default: 4.
        reason: Why, in a word or a sentence.
        execution_id: The execution that asks, if any: the answer is shown among its log lines.
        trace_id: The trace that this belongs to, if any.
        span_id: The span of that trace.
        daemon: Where; default: the one that the environment names.

    Raises:
        UsageError: a number of worktrees that makes no sense.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    if max_worktrees is not None and not 1 <= max_worktrees <= MAX_WORKTREES_LIMIT:
        raise UsageError(f"max_worktrees is 1 to {MAX_WORKTREES_LIMIT}, not {max_worktrees}")
    request_id = new_id()
    seq = (daemon or Daemon()).write(
        PlanRequested(
            id=request_id,
            time=now_us(),
            execution_id=execution_id,
            trace_id=trace_id,
            span_id=span_id,
            project=project,
            reason=reason,
            max_worktrees=max_worktrees,
        )
    )
    return RequestedPlan(project, request_id, seq)


def await_plan(
    requested: RequestedPlan, *, timeout_s: float | None = None, daemon: Daemon | None = None
) -> ProjectPlan:
    """Wait until a request is answered, and return the plan.

    Args:
        requested: What `request_plan` returned.
        timeout_s: Longest wait in seconds; None: any time.
        daemon: Where; default: the one that the environment names.

    Raises:
        Refusal: the plan could not be built, or the time was up.
        DaemonAway: the daemon went away; the request stands, and is answered when it is back.
    """
    daemon = daemon or Daemon()
    # Answers come after the request, in a commit of their own.
    tail = Tail(after=requested.seq, type=("plan.built", "plan.failed"))
    connection = daemon.ask(patient=True, wait=_until(timeout_s, requested))
    with connection:
        for recorded in connection.tail(tail):
            if not isinstance(recorded, Recorded):
                continue
            event = _answer(recorded)
            if event is None or event.causation_id != requested.request_id:
                continue
            if isinstance(event, PlanFailed):
                raise Refusal(f"no plan was built: {event.error.message}")
            return show_plan(plan_id=event.plan_id, min_seq=recorded.seq, daemon=daemon)
    raise AssertionError("a tail that follows has no end")


def show_plan(
    project: str | None = None,
    *,
    plan_id: str | None = None,
    actual: bool = False,
    min_seq: int = 0,
    daemon: Daemon | None = None,
) -> ProjectPlan:
    """Return the latest plan of a project, or one by its id.

    Args:
        project: Root of the project, or its id.
        plan_id: This plan.
        actual: Also how it went.
        min_seq: Position of the log that the answer must include.
        daemon: Where; default: the one that the environment names.

    Raises:
        QueryFailed: there is no such project, or no such plan.
        DaemonAway: nobody answers.
    """
    with (daemon or Daemon()).ask() as connection:
        return connection.one(
            Plan(project=project, plan_id=plan_id, actual=actual, min_seq=min_seq), ProjectPlan
        )


def adjust_plan(
    project: str | None = None,
    *,
    plan_id: str | None = None,
    worktree_assignments: Mapping[str, Any] | None = None,
    batch_overrides: Mapping[str, Any] | None = None,
    seen_seq: int | None = None,
    daemon: Daemon | None = None,
) -> ProjectPlan:
    """Change a plan by hand, and return it as it is then; what is left out stays.

    Args:
        project: Root of the project, or its id: its latest plan.
        plan_id: This plan.
        worktree_assignments: By worktree, the tasks that move there.
        batch_overrides: By batch id, as text, its tasks and whether they may run at once.
        seen_seq: The `seen_seq` of the plan that this was made of; default: the plan as it is now.
        daemon: Where; default: the one that the environment names.

    Raises:
        UsageError: nothing to change.
        QueryFailed: there is no such plan; `invalid`: it names what there is not, or would break the plan.
        PlanConflict: somebody else changed the plan in the meantime.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    if not worktree_assignments and not batch_overrides:
        raise UsageError("nothing to change")
    daemon = daemon or Daemon()
    tried = Plan(
        project=project,
        plan_id=plan_id,
        worktree_assignments=dict(worktree_assignments) if worktree_assignments else None,
        batch_overrides=dict(batch_overrides) if batch_overrides else None,
    )
    if seen_seq is not None:
        # First of all: what made sense of the plan as it was seen may make none of the plan as it is.
        now = show_plan(project, plan_id=plan_id, daemon=daemon)
        if now.seen_seq != seen_seq:
            raise PlanConflict(now.plan_id, f"its last change was at {now.seen_seq}, not at {seen_seq}")
    with daemon.ask() as connection:
        found = connection.one(tried, ProjectPlan)
    event = PlanAdjusted(
        id=new_id(),
        time=now_us(),
        project=found.project,
        plan_id=found.plan_id,
        seen_seq=found.seen_seq if seen_seq is None else seen_seq,
        worktree_assignments=tried.worktree_assignments,
        batch_overrides=tried.batch_overrides,
    )
    seq = daemon.write(event)
    after = show_plan(plan_id=found.plan_id, min_seq=seq, daemon=daemon)
    refused = next((one.refused for one in after.adjustments if one.id == event.id), "it is one too many")
    if refused is not None:
        raise PlanConflict(found.plan_id, refused)
    return after


def _answer(recorded: Recorded) -> PlanBuilt | PlanFailed | None:
    from flightlog_schemas.codec import decode_stored  # here, for it takes a while to be made

    event = decode_stored(bytes(recorded.event))
    return event if isinstance(event, PlanBuilt | PlanFailed) else None


def _until(timeout_s: float | None, requested: RequestedPlan) -> Callable[[int], None] | None:
    """Return what waits for a descriptor to be readable, until the time is up."""
    if timeout_s is None:
        return None
    deadline = time.monotonic() + timeout_s

    def wait(descriptor: int) -> None:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise Refusal(
                f"no plan within {duration_text(round(timeout_s * 1e6))}; it is still being built",
                f"flightlog plan show --project {requested.project}",
            )

    return wait


def _must_differ(what: str, keys: Sequence[tuple[str, str]]) -> None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        if key in seen:
            raise UsageError(f"the {what} {key[1]} is declared twice")
        seen.add(key)
