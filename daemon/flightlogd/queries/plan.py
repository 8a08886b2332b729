"""Plans: the latest of a project or one by its id, as its adjustments left it; and which there are.

A plan is read from the log, where `plan.built` holds it, and its adjustments are applied to it one after the
other. One that came too late, or that cannot be, counts for nothing and says why.
"""

import time
from collections.abc import Iterator
from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.codec import decode_stored
from flightlog_schemas.events import PlanAdjusted, PlanBuilt
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.plans import Plan
from flightlog_schemas.projects import (
    PlanAdjustment,
    PlanFailure,
    PlanRecord,
    ProjectPlan,
    project_id_of,
)
from flightlog_schemas.wire import query as wire
from flightlogd.errors import QuestionError
from flightlogd.planning import AdjustmentError, apply_adjustment, score
from flightlogd.queries.find import require
from flightlogd.queries.plan_facts import plan_facts
from flightlogd.queries.plan_tasks import with_tasks
from flightlogd.queries.project import find_project
from flightlogd.store.eventlog import read_line

ADJUSTMENTS_LIMIT: Final = 250
"""Most changes of one plan, each applied whenever it is asked for: 4 ms for a thousand tasks (measured)."""

_ADJUSTMENTS_BYTES: Final = 8 * 1024 * 1024
"""Most that the events of these may have together."""

_LOOKED_AT: Final = 20
"""Newest plans of a project of which the first that can be read is its plan: others may write any."""

_REASON_LIMIT_CHARS: Final = 1000
"""Of why an adjustment is refused: it may name thousands of tasks."""

_COLUMNS: Final = (
    "seq, plan_id, project, execution_id, built_at, batches, total_tasks, parallel_batches, conflicts"
)


def project_plan(db: apsw.Connection, request: wire.Plan, *, timeout_s: float = float("inf")) -> ProjectPlan:
    """Return a plan as it stands.

    Args:
        db: A connection that reads.
        request: Which plan.
        timeout_s: Longest that its adjustments may take.

    Raises:
        QuestionError: `not_found`, with what to do; `invalid` for neither a project nor a plan, or for an
            adjustment that cannot be; `deadline`; `projection_broken`.
    """
    deadline = time.monotonic() + timeout_s
    require(db, "execution", "plan")
    if request.project is None and request.plan_id is None:
        raise QuestionError("invalid", "the plan of what?", "give a project, a plan_id, or both")
    project = None if request.project is None else find_project(db, request.project)
    seq, execution_id, plan = _find(db, project, request.plan_id)
    plan, seen_seq, adjustments = _adjusted(db, plan, seq, deadline)
    if request.worktree_assignments or request.batch_overrides:
        plan = _tried(with_tasks(db, plan, seq), request, len(adjustments))
    actual = None
    if request.actual:
        require(db, "task", "artifact")
        plan = with_tasks(db, plan, seq)
        actual = score(plan, plan_facts(db, plan, seq))
    return ProjectPlan(
        plan_id=plan.plan_id,
        project_id=project_id_of(plan.project),
        project=plan.project,
        execution_id=execution_id,
        seq=seq,
        seen_seq=seen_seq,
        plan=plan,
        adjustments=adjustments,
        pending=_pending(db, plan.project),
        failure=_failure(db, plan.project, seq),
        actual=actual,
    )


def plan_page(db: apsw.Connection, request: wire.Plans) -> tuple[list[PlanRecord], int | None]:
    """Return a page of plans, newest first, and the `before` of the next page if there is one.

    Raises:
        QuestionError: `not_found` or `projection_broken`.
    """
    require(db, "execution", "plan")
    sql, values = list_sql(request, None if request.project is None else find_project(db, request.project))
    rows: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
    before = rows[request.limit - 1][0] if 0 < request.limit < len(rows) else None
    return [_record(db, row) for row in rows[: request.limit]], before


def list_sql(request: wire.Plans, project: str | None) -> tuple[str, list[Any]]:
    """Return the SQL and values of one index walk over plans, newest first."""
    condition = "seq < ?" if project is None else "project = ? and seq < ?"
    values: list[Any] = [] if project is None else [project]
    values += [INT64_MAX if request.before is None else request.before, request.limit + 1]
    return f"select {_COLUMNS} from plan where {condition} order by seq desc limit ?", values


def _record(db: apsw.Connection, row: tuple[Any, ...]) -> PlanRecord:
    seq, plan_id, project, execution_id, built_at, batches, total_tasks, parallel_batches, conflicts = row
    sql = "select count(*) from plan_adjustment where plan_id = ? and seq > ?"
    return PlanRecord(
        plan_id=plan_id,
        project_id=project_id_of(project),
        project=project,
        execution_id=execution_id,
        created_at=built_at,
        batches=batches,
        total_tasks=total_tasks,
        parallel_batches=parallel_batches,
        conflicts=conflicts,
        adjustments=int(db.execute(sql, (plan_id, seq)).get),
        seq=seq,
    )


def _find(db: apsw.Connection, project: str | None, plan_id: str | None) -> tuple[int, str | None, Plan]:
    """Return the position of the plan that is meant, who asked for it, and the plan as it was built."""
    for seq, execution_id in _candidates(db, project, plan_id):
        plan = _read(db, seq)
        if plan is not None and project in (None, plan.project):
            return seq, execution_id, plan
    if plan_id is not None:
        where = "" if project is None else f" of {project}"
        raise QuestionError("not_found", f"no such plan{where}: {plan_id}", "flightlog plan list shows them")
    assert project is not None
    reason = f"{project} has no plan"
    failure = _failure(db, project, 0)
    if failure is not None:
        reason += f"; the last attempt failed: {failure.reason}"
    elif _pending(db, project):
        reason += " yet; one is being built"
    raise QuestionError("not_found", reason, f"flightlog plan build --project {project}")


def _candidates(
    db: apsw.Connection, project: str | None, plan_id: str | None
) -> Iterator[tuple[int, str | None]]:
    if plan_id is not None:
        return db.execute(
            "select seq, execution_id from plan where plan_id = ? order by seq limit 1", (plan_id,)
        )
    return db.execute(
        "select seq, execution_id from plan where project = ? order by seq desc limit ?",
        (project, _LOOKED_AT),
    )


def _read(db: apsw.Connection, seq: int) -> Plan | None:
    """Return the plan that an event of the log holds, None where that is none."""
    found = read_line(db, seq)
    event = None if found is None else decode_stored(found[-1])
    if not isinstance(event, PlanBuilt) or event.plan is None:
        return None
    try:
        plan = msgspec.convert(event.plan, Plan)
    except msgspec.ValidationError:
        return None
    same = (plan.plan_id, plan.project) == (event.plan_id, event.project)
    return plan if same and _is_whole(plan) else None


def _is_whole(plan: Plan) -> bool:
    """Say whether a plan names no task that it does not hold: anybody may write one."""
    ids = [task_id for batch in plan.batches for task_id in batch.task_ids]
    held = {task.task_id for task in plan.tasks} or set(ids)  # one that was too large holds none
    assigned = {task_id for some in plan.worktree_assignments for task_id in some.task_ids}
    return len(ids) == len(set(ids)) and held == set(ids) and assigned <= held


def _adjusted(
    db: apsw.Connection, plan: Plan, seq: int, deadline: float
) -> tuple[Plan, int, list[PlanAdjustment]]:
    """Return a plan as its adjustments left it, the position of its last change, and what became of each."""
    seen_seq = seq
    adjustments: list[PlanAdjustment] = []
    rows: list[tuple[Any, ...]] = db.execute(
        "select seq from plan_adjustment where plan_id = ? and seq > ? order by seq limit ?",
        (plan.plan_id, seq, ADJUSTMENTS_LIMIT),
    ).fetchall()
    if rows:
        plan = with_tasks(db, plan, seq)
    left_bytes = _ADJUSTMENTS_BYTES
    for (at,) in rows:
        if time.monotonic() > deadline:
            raise QuestionError(
                "deadline", f"the {len(rows)} adjustments of {plan.plan_id} take too long", "build a new plan"
            )
        found = read_line(db, at)
        if found is None:
            continue
        received, span, _, line = found
        left_bytes -= len(line)
        if left_bytes < 0:
            break
        event = decode_stored(line)
        assert isinstance(event, PlanAdjusted), at
        refused = None
        if event.project != plan.project:
            refused = f"the plan is of {plan.project}, not of {event.project}"
        elif event.seen_seq not in (None, seen_seq):
            refused = f"the plan's last change was at {seen_seq}, not at {event.seen_seq}"
        else:
            try:
                plan = _with(plan, event)
                seen_seq = at
            except AdjustmentError as error:
                refused = _cut(str(error))
        told_at = received if event.time is None else event.time
        adjustments.append(PlanAdjustment(seq=at, id=event.id, time=told_at, uid=span.uid, refused=refused))
    return plan, seen_seq, adjustments


def _tried(plan: Plan, request: wire.Plan, adjustments: int) -> Plan:
    """Return a plan as it would be with one more adjustment."""
    if adjustments >= ADJUSTMENTS_LIMIT:
        raise QuestionError(
            "invalid", f"{plan.plan_id} has {adjustments} adjustments, it takes no more", "build a new plan"
        )
    try:
        return _with(plan, request)
    except AdjustmentError as error:
        raise QuestionError("invalid", _cut(str(error)), "nothing was changed") from None


def _with(plan: Plan, change: PlanAdjusted | wire.Plan) -> Plan:
    if not plan.tasks and plan.batches:
        raise AdjustmentError(
            ["too large to hold its tasks, and they were declared anew since: build it again"]
        )
    return apply_adjustment(plan, change.worktree_assignments, change.batch_overrides)


def _cut(text: str) -> str:
    """Return a reason at a length that a person reads."""
    return text if len(text) <= _REASON_LIMIT_CHARS else f"{text[:_REASON_LIMIT_CHARS]}..."


def _pending(db: apsw.Connection, project: str) -> int:
    return int(db.execute("select count(*) from plan_pending where project = ?", (project,)).get)


def _failure(db: apsw.Connection, project: str, after: int) -> PlanFailure | None:
    row = db.execute(
        "select seq, failed_at, execution_id, message from plan_failure where project = ? and seq > ?"
        " order by seq desc limit 1",
        (project, after),
    ).fetchone()
    return None if row is None else PlanFailure(seq=row[0], time=row[1], execution_id=row[2], reason=row[3])
