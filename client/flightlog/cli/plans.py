"""A plan as a person reads it: what it is as a whole, its tasks, its conflicts, how it went."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from flightlog.cli.output import Output, shown
from flightlog.cli.tables import Column
from flightlog.cli.text import counted, cut, one_line, tsv
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.plans import FileScore, Plan, PlanScore, PredictedConflict
from flightlog_schemas.projects import PlanRecord, Project, ProjectPlan
from flightlog_schemas.times import duration_text

SHOWN_LIMIT: Final = 12
"""Conflicts, cycles and warnings of each kind that a person is shown; all of them are in the JSON."""

_NAMED_LIMIT: Final = 5
"""Tasks and warnings that one line names."""

_WARNING_LIMIT_CHARS: Final = 200

Facts = Iterator[tuple[str, str | None]]


class TaskRow(Struct):
    """A task of a plan, with where it is to run."""

    task_id: str
    batch_id: int
    worktree: str | None
    epic: str | None
    depends_on: list[str]
    predicted_files: list[str]
    estimated_duration_s: float | None


def plan_json(found: ProjectPlan) -> dict[str, Any]:
    """Return a plan as it stands for programs, in one object, with times as RFC 3339."""
    told: dict[str, Any] = msgspec.to_builtins(found)
    shown(told["plan"])
    for adjustment in told["adjustments"]:
        shown(adjustment)
    if told["failure"] is not None:
        shown(told["failure"])
    return {"schema_version": SCHEMA_VERSION, **told}


def task_rows(plan: Plan) -> list[TaskRow]:
    """Return the tasks of a plan in the order of its batches."""
    worktrees = {task_id: some.worktree for some in plan.worktree_assignments for task_id in some.task_ids}
    tasks = {task.task_id: task for task in plan.tasks}
    rows = []
    for batch in plan.batches:
        for task_id in batch.task_ids:
            task = tasks.get(task_id)  # a plan that was too large for a line holds none
            rows.append(
                TaskRow(
                    task_id=task_id,
                    batch_id=batch.batch_id,
                    worktree=worktrees.get(task_id),
                    epic=None if task is None else task.epic,
                    depends_on=[] if task is None else task.depends_on,
                    predicted_files=[] if task is None else task.predicted_files,
                    estimated_duration_s=None if task is None else task.estimated_duration_s,
                )
            )
    return rows


TASK_COLUMNS: Final[list[Column[TaskRow]]] = [
    Column(head="BATCH", value=lambda row: str(row.batch_id), right=True),
    Column(head="TASK", value=lambda row: row.task_id, wraps=True),
    Column(head="EPIC", value=lambda row: row.epic, spare=3),
    Column(head="WORKTREE", value=lambda row: row.worktree, spare=1),
    Column(head="AFTER", value=lambda row: " ".join(row.depends_on) or None, wraps=True),
    Column(head="FILES", value=lambda row: " ".join(row.predicted_files) or None, wraps=True),
    Column(
        head="ABOUT",
        value=lambda row: _plain(row.estimated_duration_s),
        seen=lambda row: seconds_text(row.estimated_duration_s),
        right=True,
        spare=2,
    ),
]

PROJECT_COLUMNS: Final[list[Column[Project]]] = [
    Column(head="ID", value=lambda one: one.project_id),
    Column(head="EXECUTIONS", value=lambda one: str(one.executions), right=True),
    Column(head="ACTIVE", value=lambda one: str(one.active), right=True, spare=1),
    Column(head="TASKS", value=lambda one: str(one.tasks), right=True),
    Column(head="PLANS", value=lambda one: str(one.plans), right=True),
    Column(head="PROJECT", value=lambda one: one.project, wraps=True),
]


def record_columns(output: Output) -> list[Column[PlanRecord]]:
    """Return the columns of a list of plans."""
    return [
        Column(head="PLAN", value=lambda one: one.plan_id),
        Column(head="BUILT", value=lambda one: output.time(one.created_at)),
        Column(head="TASKS", value=lambda one: str(one.total_tasks), right=True),
        Column(head="BATCHES", value=lambda one: str(one.batches), right=True),
        Column(head="PARALLEL", value=lambda one: str(one.parallel_batches), right=True, spare=2),
        Column(head="CONFLICTS", value=lambda one: str(one.conflicts), right=True, spare=1),
        Column(head="CHANGES", value=lambda one: str(one.adjustments), right=True, spare=3),
        Column(head="PROJECT", value=lambda one: one.project, wraps=True),
    ]


def file_columns() -> list[Column[FileScore]]:
    """Return the columns of files that were predicted or written."""
    return [
        Column(head="FILE", value=lambda one: one.path, wraps=True),
        Column(head="PREDICTED", value=lambda one: " ".join(one.predicted) or None, wraps=True),
        Column(
            head="WRITTEN BY",
            value=lambda one: " ".join(one.actual) or None,
            style=lambda one: "yellow" if set(one.actual) - set(one.predicted) else None,
            wraps=True,
        ),
    ]


def show_facts(output: Output, facts: Facts) -> None:
    """Write names and values, aligned for a person, tab-separated for a program."""
    for name, value in facts:
        if value is None:
            continue
        if output.terminal:
            output.line(f"{output.paint(f'{name:<9}', 'dim')}  {output.wrapped(value, 11)}")
        else:
            output.line(tsv([name, value]))


def overview(output: Output, found: ProjectPlan) -> Facts:
    """Yield what there is to say of a plan as a whole."""
    about = found.plan.metadata
    yield "plan", found.plan_id
    yield "project", f"{found.project} ({found.project_id})"
    changes = sum(one.refused is None for one in found.adjustments)
    yield (
        "built",
        output.time(found.plan.created_at)
        + (f", changed {counted(changes, 'time')} since" if changes else ""),
    )
    batches = f"{about.total_batches} {'batch' if about.total_batches == 1 else 'batches'}"
    yield "tasks", f"{about.total_tasks} in {batches}, {about.parallel_batches} parallel"
    yield "about", seconds_text(about.estimated_duration_s)
    yield "empty", about.reason
    yield "finished", str(about.finished_tasks) if about.finished_tasks else None
    for name, texts in (
        ("conflict", [conflict_text(one) for one in found.plan.predicted_conflicts]),
        ("cycle", [_cycle("task", knot) for knot in about.cycles]),
        ("cycle", [_cycle("epic", knot) for knot in about.epic_cycles]),
        ("left out", [", ".join(some) for some in (about.excluded[:SHOWN_LIMIT],) if some]),
        ("missing", [_missing(one.depends_on, f"task {one.task_id}") for one in about.missing]),
        ("missing", [_missing(one.depends_on, f"epic {one.epic}") for one in about.missing_epics]),
        ("warning", about.warnings),
    ):
        for text in texts[:SHOWN_LIMIT]:
            yield name, text
        if len(texts) > SHOWN_LIMIT:
            yield name, f"and {len(texts) - SHOWN_LIMIT} more: --json has them all"
    if found.pending:
        yield "pending", f"{counted(found.pending, 'request')} for a newer plan"
    if found.failure is not None:
        yield "failed", f"a newer plan, {output.time(found.failure.time)}: {found.failure.reason}"


def concern(plan: Plan) -> str | None:
    """Return in a line what is wrong with a plan, for who sees no more of it; None where nothing is."""
    about = plan.metadata
    parts = []
    if about.reason is not None:
        parts.append(f"the plan is empty: {about.reason}")
    elif about.excluded:
        parts.append(f"{counted(about.total_tasks, 'task')} planned")
    if about.excluded:
        some = listed(about.excluded, _NAMED_LIMIT)
        parts.append(f"{len(about.excluded)} left out, in a cycle or waiting for one: {some}")
    missing = {one.depends_on for one in about.missing} | {one.depends_on for one in about.missing_epics}
    if missing:
        parts.append(f"not declared: {listed(sorted(missing), _NAMED_LIMIT)}")
    parts += [cut(one_line(warning), _WARNING_LIMIT_CHARS) for warning in about.warnings[:_NAMED_LIMIT]]
    if len(about.warnings) > _NAMED_LIMIT:
        parts.append(counted(len(about.warnings) - _NAMED_LIMIT, "more warning"))
    return "; ".join(parts) or None


def _cycle(kind: str, knot: Sequence[str]) -> str:
    return f"{kind}{'' if len(knot) == 1 else 's'} {' → '.join([*knot, knot[0]])}"


def _missing(name: str, of: str) -> str:
    # Soft or hard: what nobody declared delays nothing.
    return f"{name}, which {of} names: nobody declared it, nothing waits for it"


def conflict_text(conflict: PredictedConflict) -> str:
    """Return a conflict in a line."""
    where = conflict.path or conflict.hint or "?"
    some = conflict.task_ids[:SHOWN_LIMIT]
    more = f" and {len(conflict.task_ids) - len(some)} more" if len(conflict.task_ids) > len(some) else ""
    return f"{conflict.kind.replace('_', ' ')} {where}: {', '.join(some)}{more}"


def went(actual: PlanScore) -> Facts:
    """Yield how a plan went."""
    yield "plan", actual.plan_id
    yield "finished", f"{actual.finished_tasks} of {counted(actual.total_tasks, 'task')}"
    yield "score", _share(actual.score)
    yield "files", _share(actual.files_f1)
    conflicts = actual.conflicts
    if conflicts.predicted or conflicts.happened:
        yield (
            "conflicts",
            f"{len(conflicts.predicted)} predicted, {len(conflicts.happened)} happened,"
            f" {len(conflicts.both)} of both",
        )
    for part in (actual.whole, *actual.batches):
        name = "took" if part.batch_id is None else f"batch {part.batch_id}"
        if part.actual_s is not None:
            expected = seconds_text(part.estimated_s)
            yield (
                name,
                f"{seconds_text(part.actual_s)}, "
                + (f"about {expected} expected" if expected else "no estimate"),
            )
    yield "at once", None if actual.parallelism is None else f"{actual.parallelism:.2f} tasks on average"
    yield "pace", _share(actual.pace)


def seconds_text(seconds: float | None) -> str | None:
    """Return a duration in seconds as a person reads it."""
    return None if seconds is None else duration_text(round(seconds * 1_000_000))


def listed(task_ids: Sequence[str], limit: int) -> str:
    """Return some tasks in a line, and how many more there are."""
    text = ", ".join(map(one_line, task_ids[:limit]))
    return text if len(task_ids) <= limit else f"{text} and {len(task_ids) - limit} more"


def _plain(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:g}"


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
