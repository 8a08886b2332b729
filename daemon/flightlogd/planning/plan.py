"""A plan from the tasks of a project: read what they name, order them, spread them, say what is odd. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from flightlog_schemas.plans import Plan, PlanBatch, PlanEpic, PlanMetadata, PlannedTask, PlanTask
from flightlogd.planning.batches import batches_before, estimate_s, levels_of, shares_file, split_level
from flightlogd.planning.check import broken_rules, shape_warnings
from flightlogd.planning.conflicts import conflict_rate, predict_conflicts
from flightlogd.planning.files import FILES_LIMIT, names_in
from flightlogd.planning.ordering import Ordering, order_tasks
from flightlogd.planning.worktrees import assign_worktrees, epic_names

DEFAULT_MAX_WORKTREES: Final = 4


def build_plan(
    project: str,
    tasks: Iterable[PlanTask],
    epics: Iterable[PlanEpic] = (),
    *,
    plan_id: str,
    created_at: int,
    max_worktrees: int = DEFAULT_MAX_WORKTREES,
) -> Plan:
    """Return the plan of a project; whatever the tasks say, there is one, and the same for any order of them.

    Args:
        project: Its root.
        tasks: All that are declared; of several with one id the last counts.
        epics: All that are declared, likewise.
        plan_id: What the plan is called.
        created_at: Microseconds since the Unix epoch.
        max_worktrees: Most worktrees for a batch; at least one is used.
    """
    ordering = order_tasks(tasks, epics)
    named = [names_in(f"{task.description or ''}\n{task.action or ''}") for task in ordering.tasks]
    planned = {
        task.task_id: PlannedTask(
            task_id=task.task_id,
            epic=task.epic,
            priority=task.priority,
            depends_on=sorted(ordering.tasks[other].task_id for other in ordering.hard[number]),
            predicted_files=named[number].files,
            estimated_duration_s=(
                None if task.typical_duration_us is None else task.typical_duration_us / 1_000_000
            ),
        )
        for number, task in enumerate(ordering.tasks)
        if number not in ordering.excluded
    }
    files = [some.files for some in named]
    split = [
        [ordering.tasks[number].task_id for number in batch]
        for level in levels_of(ordering.graph, len(ordering.tasks), ordering.excluded)
        for batch in split_level(level, files)
    ]
    problems = broken_rules(split, planned, ordering.epics)
    assert not problems, problems
    batches = make_batches(split, planned, ordering.epics)
    warnings = list(ordering.warnings)
    if max_worktrees < 1:
        warnings.append(f"max_worktrees was {max_worktrees}: there is 1")
        max_worktrees = 1
    if crowded := [one for one, task in planned.items() if len(task.predicted_files) == FILES_LIMIT]:
        warnings.append(
            f"{len(crowded)} tasks name {FILES_LIMIT} files or more, {min(crowded)} the first: no more count"
        )
    names = epic_names(task.epic for task in planned.values())
    modules = {task.task_id: some.modules for task, some in zip(ordering.tasks, named, strict=True)}
    conflicts = predict_conflicts(list(planned.values()), modules)
    plan = Plan(
        plan_id=plan_id,
        project=project,
        created_at=created_at,
        batches=batches,
        worktree_assignments=[
            assignment
            for batch in batches
            for assignment in assign_worktrees(
                batch.batch_id, [planned[task_id] for task_id in batch.task_ids], names, max_worktrees
            )
        ],
        predicted_conflicts=conflicts,
        tasks=[planned[task_id] for task_id in sorted(planned)],
        epics=ordering.epics,
        metadata=PlanMetadata(
            total_tasks=len(planned),
            total_batches=0,
            parallel_batches=0,
            conflicts=len(conflicts),
            conflict_rate=conflict_rate(conflicts, len(planned)),
            estimated_duration_s=None,
            finished_tasks=ordering.finished_tasks,
            cycles=ordering.cycles,
            epic_cycles=ordering.epic_cycles,
            excluded=sorted(
                ordering.tasks[node].task_id for node in ordering.excluded if node < len(ordering.tasks)
            ),
            missing=ordering.missing,
            missing_epics=ordering.missing_epics,
            finished_dependencies=ordering.finished_dependencies,
            reason=None if planned else _empty_reason(ordering),
            warnings=warnings,
            manually_modified=False,
            max_worktrees=max_worktrees,
        ),
    )
    return summed_up(plan)


def make_batches(
    batches: Sequence[Sequence[str]], tasks: Mapping[str, PlannedTask], epics: Iterable[PlanEpic]
) -> list[PlanBatch]:
    """Return batches, from 1, with what follows of the tasks that are in them."""
    made = []
    before = batches_before(batches, tasks, epics)
    for batch_id, (ids, earlier) in enumerate(zip(batches, before, strict=True), 1):
        held = [tasks[task_id] for task_id in ids]
        parallel = len(held) > 1 and not shares_file(held)
        made.append(
            PlanBatch(
                batch_id=batch_id,
                task_ids=list(ids),
                can_parallel=parallel,
                depends_on=earlier,
                estimated_duration_s=estimate_s(
                    (task.estimated_duration_s for task in held), parallel=parallel
                ),
            )
        )
    return made


def summed_up(plan: Plan) -> Plan:
    """Return a plan with the counts of its batches, and the warnings of their shape behind those it has."""
    return replace(
        plan,
        metadata=replace(
            plan.metadata,
            total_batches=len(plan.batches),
            parallel_batches=sum(batch.can_parallel for batch in plan.batches),
            estimated_duration_s=estimate_s(
                (batch.estimated_duration_s for batch in plan.batches), parallel=False
            ),
            warnings=[*plan.metadata.warnings, *shape_warnings(plan)],
        ),
    )


def _empty_reason(ordering: Ordering) -> str:
    if ordering.tasks:
        return f"all {len(ordering.tasks)} open tasks are in a cycle of dependencies, or wait for one that is"
    if ordering.finished_tasks:
        return f"all {ordering.finished_tasks} tasks are finished"
    return "no tasks are declared"
