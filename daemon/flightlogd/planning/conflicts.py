"""Which tasks may get in each other's way, and over what. Pure, in time linear in what the tasks name.

One conflict stands for all tasks that name a file, a directory or a hint: pairs of them would be fifty
million for ten thousand tasks that name one file.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from flightlog_schemas.plans import PlannedTask, PredictedConflict
from flightlogd.planning.files import directory_of


def predict_conflicts(tasks: Sequence[PlannedTask], modules: dict[str, list[str]]) -> list[PredictedConflict]:
    """Return the conflicts of tasks, worst kind first, then by path or hint.

    Tasks of different batches count as well: they are on branches that must be merged.

    Args:
        tasks: All of a plan.
        modules: The modules that each task's text names, by task id.
    """
    return [*_same_file(tasks), *_same_directory(tasks), *_potential(tasks, modules)]


def conflict_rate(conflicts: Iterable[PredictedConflict], task_count: int) -> float:
    """Return the share of tasks that are in a same-file conflict, 0..1."""
    held = {task_id for some in conflicts if some.kind == "same_file" for task_id in some.task_ids}
    return round(len(held) / max(task_count, 1), 4)


def _same_file(tasks: Sequence[PlannedTask]) -> Iterator[PredictedConflict]:
    naming: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        for path in task.predicted_files:
            naming[path].append(task.task_id)
    for path, ids in sorted(naming.items()):
        if len(ids) > 1:
            yield PredictedConflict(kind="same_file", task_ids=sorted(ids), path=path, hint=None)


def _same_directory(tasks: Sequence[PlannedTask]) -> Iterator[PredictedConflict]:
    naming: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for task in tasks:
        for path in task.predicted_files:
            if directory := directory_of(path):
                naming[directory][path].add(task.task_id)
    for directory, by_path in sorted(naming.items()):
        ids = set().union(*by_path.values())
        # Where all share a file, that is said already.
        if len(ids) > 1 and all(len(some) < len(ids) for some in by_path.values()):
            yield PredictedConflict(kind="same_directory", task_ids=sorted(ids), path=directory, hint=None)


def _potential(tasks: Sequence[PlannedTask], modules: dict[str, list[str]]) -> Iterator[PredictedConflict]:
    sharing: dict[str, list[PlannedTask]] = defaultdict(list)
    for task in tasks:
        if task.epic is not None:
            sharing[f"epic:{task.epic}"].append(task)
        for module in modules.get(task.task_id, ()):
            sharing[f"module:{module}"].append(task)
    for hint, group in sorted(sharing.items()):
        # Where all of them name files, the files decide.
        if len(group) > 1 and not all(task.predicted_files for task in group):
            ids = sorted(task.task_id for task in group)
            yield PredictedConflict(kind="potential", task_ids=ids, path=None, hint=hint)
