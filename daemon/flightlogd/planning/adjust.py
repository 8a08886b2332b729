"""Changes to a plan by hand: merged into it, or refused with every reason. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from flightlog_schemas.plans import (
    BatchOverride,
    Plan,
    PlanBatch,
    PlannedTask,
    WorktreeAssignment,
    WorktreeOverride,
)
from flightlogd.planning.batches import estimate_s
from flightlogd.planning.check import broken_rules, shape_warnings
from flightlogd.planning.plan import make_batches, summed_up
from flightlogd.planning.worktrees import epic_names, is_branch_name, worktree_name

T = TypeVar("T", BatchOverride, WorktreeOverride)


class AdjustmentError(ValueError):
    """A change that a plan cannot take; `problems` has every reason, each naming what it is about."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


def apply_adjustment(
    plan: Plan,
    worktree_assignments: Mapping[str, Any] | None = None,
    batch_overrides: Mapping[str, Any] | None = None,
) -> Plan:
    """Return a plan with changes merged in; what they do not name stays as it is.

    Args:
        plan: It is not changed.
        worktree_assignments: By worktree an object `{task_ids}`: they move there; a new name makes one.
        batch_overrides: By batch id, as text, an object `{task_ids, can_parallel}`. The ids are all of the
            batch, in its order; what comes from another batch leaves that one, and joins the worktree of
            its epic in this batch, else the smallest.

    Raises:
        AdjustmentError: an unknown batch, task or key, a task twice or nowhere, one before what it
            depends on, a worktree over several batches or with a name that git refuses. Nothing is changed.
    """
    by_batch, problems = _converted(batch_overrides, BatchOverride, "batch")
    by_worktree, more = _converted(worktree_assignments, WorktreeOverride, "worktree")
    problems += more
    known = {str(batch.batch_id) for batch in plan.batches}
    problems += [f"no such batch in this plan: {key}" for key in by_batch if key not in known]
    if problems:
        raise AdjustmentError(problems)
    batches = _moved_batches(plan, by_batch)
    assignments = _followed(plan, batches)
    assignments = _moved_worktrees(plan, batches, assignments, by_worktree)
    # Warnings of the old shape go; those of how the plan was built stay.
    old = set(shape_warnings(plan))
    warnings = [warning for warning in plan.metadata.warnings if warning not in old]
    changed = replace(
        plan,
        batches=batches,
        worktree_assignments=assignments,
        metadata=replace(plan.metadata, warnings=warnings, manually_modified=True),
    )
    return summed_up(changed)


def _converted(given: Mapping[str, Any] | None, kind: type[T], what: str) -> tuple[dict[str, T], list[str]]:
    """Return overrides by key, and what is wrong with the others."""
    found: dict[str, T] = {}
    problems = []
    for key, value in (given or {}).items():
        try:
            found[str(key)] = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            problems.append(f"{what} {key}: {error}")
    return found, problems


def _moved_batches(plan: Plan, overrides: Mapping[str, BatchOverride]) -> list[PlanBatch]:
    """Return the batches with tasks moved.

    Raises:
        AdjustmentError: a task is unknown, twice, nowhere, or before what it depends on; or a batch whose
            tasks cannot run at once is said to be parallel.
    """
    tasks = {task.task_id: task for task in plan.tasks}
    wanted = {int(key): some.task_ids for key, some in overrides.items() if some.task_ids is not None}
    named = {task_id for ids in wanted.values() for task_id in ids}
    ids = [
        wanted[batch.batch_id]
        if batch.batch_id in wanted
        else [task_id for task_id in batch.task_ids if task_id not in named]
        for batch in plan.batches
    ]
    problems = broken_rules(ids, tasks, plan.epics)
    if problems:
        raise AdjustmentError(problems)
    batches = []
    for before, after in zip(plan.batches, make_batches(ids, tasks, plan.epics), strict=True):
        override = overrides.get(str(after.batch_id))
        parallel = override.can_parallel if override else None
        if parallel and not after.can_parallel:
            problems.append(f"batch {after.batch_id} cannot be parallel: one task, or several with one file")
        if parallel is None:
            # What somebody decided about a batch holds until its tasks are others.
            same = sorted(before.task_ids) == sorted(after.task_ids)
            parallel = before.can_parallel if same else after.can_parallel
        estimate = estimate_s(
            (tasks[task_id].estimated_duration_s for task_id in after.task_ids), parallel=parallel
        )
        batches.append(replace(after, can_parallel=parallel, estimated_duration_s=estimate))
    if problems:
        raise AdjustmentError(problems)
    return batches


def _followed(plan: Plan, batches: Sequence[PlanBatch]) -> list[WorktreeAssignment]:
    """Return the worktrees with tasks that changed their batch in one of the new batch."""
    tasks = {task.task_id: task for task in plan.tasks}
    batch_of = {task_id: batch.batch_id for batch in batches for task_id in batch.task_ids}
    kept = [
        replace(some, task_ids=[one for one in some.task_ids if batch_of[one] == some.batch_id])
        for some in plan.worktree_assignments
    ]
    of_batch: dict[int, list[WorktreeAssignment]] = defaultdict(list)
    home: dict[tuple[int, str | None], WorktreeAssignment] = {}
    for some in kept:
        of_batch[some.batch_id].append(some)
        home.update({(some.batch_id, tasks[task_id].epic): some for task_id in some.task_ids})
    taken = {some.worktree for some in kept}
    settled = {task_id for some in kept for task_id in some.task_ids}
    names = epic_names(task.epic for task in plan.tasks)
    for batch in batches:
        here = of_batch[batch.batch_id]
        for task_id in batch.task_ids:
            if task_id in settled:
                continue
            epic = tasks[task_id].epic
            if not here:
                name = worktree_name(batch.batch_id, names[epic])
                while name in taken:
                    name += "-2"
                here.append(WorktreeAssignment(worktree=name, batch_id=batch.batch_id, epics=[], task_ids=[]))
            smallest = min(here, key=lambda some: len(some.task_ids))
            home.setdefault((batch.batch_id, epic), smallest).task_ids.append(task_id)
    return _tidy([some for batch in batches for some in of_batch[batch.batch_id]], batches, tasks)


def _moved_worktrees(
    plan: Plan,
    batches: Sequence[PlanBatch],
    assignments: Sequence[WorktreeAssignment],
    overrides: Mapping[str, WorktreeOverride],
) -> list[WorktreeAssignment]:
    """Return the worktrees with tasks moved to those that overrides name; one that is left empty goes.

    Raises:
        AdjustmentError: a task is unknown or twice, a worktree would be of several batches, a name is none.
    """
    tasks = {task.task_id: task for task in plan.tasks}
    batch_of = {task_id: batch.batch_id for batch in batches for task_id in batch.task_ids}
    there = {some.worktree: some for some in assignments}
    times = Counter(task_id for some in overrides.values() for task_id in some.task_ids)
    problems = [f"{task_id} is named twice" for task_id, count in sorted(times.items()) if count > 1]
    problems += [f"no such task in this plan: {task_id}" for task_id in sorted(times.keys() - tasks.keys())]
    result = [
        replace(some, task_ids=[one for one in some.task_ids if one not in times]) for some in assignments
    ]
    by_name = {some.worktree: some for some in result}
    for name, override in overrides.items():
        if name not in there and not is_branch_name(name):
            problems.append(f"worktree {name!r}: no name for a branch (letters, digits, . _ -)")
        found = sorted({batch_of[task_id] for task_id in override.task_ids if task_id in batch_of})
        own = there[name].batch_id if name in there else found[0] if found else None
        if own is None:
            problems.append(f"worktree {name}: it is new and names no task")
        elif any(batch_id != own for batch_id in found):
            problems.append(f"worktree {name} is of batch {own}, its tasks of {', '.join(map(str, found))}")
        else:
            if name not in by_name:
                by_name[name] = WorktreeAssignment(worktree=name, batch_id=own, epics=[], task_ids=[])
                result.append(by_name[name])
            by_name[name].task_ids.extend(override.task_ids)
    if problems:
        raise AdjustmentError(problems)
    return _tidy(result, batches, tasks)


def _tidy(
    assignments: Sequence[WorktreeAssignment], batches: Sequence[PlanBatch], tasks: Mapping[str, PlannedTask]
) -> list[WorktreeAssignment]:
    """Return worktrees by batch, without empty ones, their tasks in the order of the batch."""
    position = {
        task_id: place
        for place, task_id in enumerate(task_id for batch in batches for task_id in batch.task_ids)
    }
    return [
        replace(
            some,
            epics=sorted({epic for one in some.task_ids if (epic := tasks[one].epic) is not None}),
            task_ids=sorted(some.task_ids, key=position.__getitem__),
        )
        for some in sorted(assignments, key=lambda some: some.batch_id)
        if some.task_ids
    ]
