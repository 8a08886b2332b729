"""What a plan must never be, and what somebody should look at. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from flightlog_schemas.plans import Plan, PlanEpic, PlannedTask, WorktreeAssignment
from flightlogd.planning.batches import shares_file
from flightlogd.planning.waiting import bottom_up

CONFLICT_RATE_LIMIT: Final = 0.5
"""Above this share of tasks in a same-file conflict, a plan gains little over one after the other."""


def broken_rules(
    batches: Sequence[Sequence[str]], tasks: Mapping[str, PlannedTask], epics: Iterable[PlanEpic]
) -> list[str]:
    """Return what is wrong with batches: tasks not in exactly one, or not after what they wait for.

    Args:
        batches: Task ids, of the batches from 1.
        tasks: By id, all that the plan holds.
        epics: By which tasks wait for tasks of other epics.
    """
    times = Counter(task_id for ids in batches for task_id in ids)
    problems = [f"no such task in this plan: {task_id}" for task_id in sorted(times.keys() - tasks.keys())]
    problems += [f"{task_id} is named twice" for task_id, count in sorted(times.items()) if count > 1]
    problems += [f"{task_id} is in no batch" for task_id in sorted(tasks.keys() - times.keys())]
    return problems or [*_early_tasks(batches, tasks), *_early_epics(batches, tasks, epics)]


def _early_tasks(batches: Sequence[Sequence[str]], tasks: Mapping[str, PlannedTask]) -> Iterator[str]:
    batch_of = {task_id: batch for batch, ids in enumerate(batches, 1) for task_id in ids}
    for task_id, batch in batch_of.items():
        for other in tasks[task_id].depends_on:
            if batch_of[other] >= batch:
                yield f"{task_id} (batch {batch}) depends on {other} (batch {batch_of[other]})"


def _early_epics(
    batches: Sequence[Sequence[str]], tasks: Mapping[str, PlannedTask], epics: Iterable[PlanEpic]
) -> Iterator[str]:
    first: dict[str, tuple[int, str]] = {}
    last: dict[str, tuple[int, str]] = {}
    for batch, ids in enumerate(batches, 1):
        for task_id in ids:
            if (epic := tasks[task_id].epic) is not None:
                first.setdefault(epic, (batch, task_id))
                last[epic] = batch, task_id
    waits = {epic.epic: epic.depends_on for epic in epics}
    # An epic with tasks waits for those behind it by itself.
    beyond = {name: others for name, others in waits.items() if name not in last}
    for epic, (batch, task_id) in sorted(first.items()):
        for other in waits.get(epic, ()):
            for one in bottom_up(other, beyond, last):
                last[one] = max((last[behind] for behind in beyond.get(one, ())), default=(0, ""))
            last_batch, last_task = last[other]
            if last_batch >= batch:
                yield (
                    f"{task_id} (batch {batch}) is of epic {epic}, which depends on epic {other}: "
                    f"{last_task} (batch {last_batch})"
                )


def shape_warnings(plan: Plan) -> list[str]:
    """Return what somebody should look at in the batches, worktrees and conflicts of a plan, in words."""
    tasks = {task.task_id: task for task in plan.tasks}
    warnings = []
    for batch in plan.batches:
        if not batch.task_ids:
            warnings.append(f"batch {batch.batch_id} is empty")
        if shares_file(tasks[task_id] for task_id in batch.task_ids):
            warnings.append(f"batch {batch.batch_id} has tasks that name the same file")
    unassigned = tasks.keys() - {one for some in plan.worktree_assignments for one in some.task_ids}
    if unassigned:
        warnings.append(f"{len(unassigned)} tasks have no worktree, {min(unassigned)} the first")
    warnings += _crowds(plan.worktree_assignments, plan.metadata.max_worktrees)
    rate = plan.metadata.conflict_rate
    if rate > CONFLICT_RATE_LIMIT:
        warnings.append(f"{rate:.0%} of the tasks name a file that another names: little can run at once")
    return warnings


def _crowds(assignments: Iterable[WorktreeAssignment], max_worktrees: int) -> Iterator[str]:
    for batch_id, count in sorted(Counter(some.batch_id for some in assignments).items()):
        if count > max_worktrees:
            yield f"batch {batch_id} has {count} worktrees, more than {max_worktrees}"
