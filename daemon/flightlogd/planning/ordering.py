"""What a plan has to order: the open tasks, who waits for whom, and what cannot be ordered. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from flightlog_schemas.plans import EpicDependency, PlanEpic, PlanTask, TaskDependency
from flightlogd.planning.waiting import Graph, cycles_of, hanging_on, waiting_graph


class Ordering(Struct, frozen=True):
    """Open tasks and who waits for whom.

    Attributes:
        tasks: Open ones by priority, then id; elsewhere here they are numbers, positions in this list.
        hard: For each task those open ones that it waits for.
        graph: The same with epics, as `waiting` has it.
        excluded: Nodes in a cycle or hanging on one.
        epics: By id, each once, dependencies sorted.
        finished_tasks: How many are finished.
        cycles, epic_cycles, missing, missing_epics, finished_dependencies: As in the plan's metadata.
        warnings: What is odd in the declarations.
    """

    tasks: list[PlanTask]
    hard: list[list[int]]
    graph: Graph
    excluded: set[int]
    epics: list[PlanEpic]
    finished_tasks: int
    cycles: list[list[str]]
    epic_cycles: list[list[str]]
    missing: list[TaskDependency]
    missing_epics: list[EpicDependency]
    finished_dependencies: list[TaskDependency]
    warnings: list[str]


def order_tasks(tasks: Iterable[PlanTask], epics: Iterable[PlanEpic]) -> Ordering:
    """Return the ordering of what is declared; of several tasks or epics with one id the last counts."""
    every = list(tasks)
    by_id = {task.task_id: task for task in every}
    warnings = []
    if len(by_id) < len(every):
        warnings.append(f"{len(every) - len(by_id)} declarations have the id of a later one, which counts")
    open_tasks = sorted(
        (task for task in by_id.values() if not task.finished), key=lambda task: (task.priority, task.task_id)
    )
    number_of = {task.task_id: number for number, task in enumerate(open_tasks)}
    missing, finished, hard = [], [], []
    for task in open_tasks:
        wanted = _dependencies(task)
        missing += [_pair(task, other) for other in wanted if other not in by_id]
        finished += [
            _pair(task, other) for other, is_hard in wanted.items() if is_hard and _done(by_id, other)
        ]
        hard.append(
            sorted(number_of[other] for other, is_hard in wanted.items() if is_hard and other in number_of)
        )
    declared = _declared(epics)
    names = {epic.epic for epic in declared} | {task.epic for task in by_id.values() if task.epic is not None}
    epic_waits = {
        **dict.fromkeys(names, ()),
        **{epic.epic: tuple(other for other in epic.depends_on if other in names) for epic in declared},
    }
    of_epics = [task.epic for task in open_tasks]
    graph = waiting_graph(hard, of_epics, epic_waits)
    knots = cycles_of(graph)
    epic_cycles = _epic_cycles(epic_waits)
    # Tasks that wait for each other only because their epics do are told of by these.
    own_knots = (
        cycles_of(waiting_graph(hard, of_epics, _without(epic_waits, epic_cycles))) if epic_cycles else knots
    )
    return Ordering(
        tasks=open_tasks,
        hard=hard,
        graph=graph,
        excluded=hanging_on(graph, knots),
        epics=declared,
        finished_tasks=len(by_id) - len(open_tasks),
        cycles=sorted(filter(None, (_ids(knot, open_tasks) for knot in own_knots))),
        epic_cycles=epic_cycles,
        missing=sorted(missing, key=_by_id),
        missing_epics=[
            EpicDependency(epic=epic.epic, depends_on=other)
            for epic in declared
            for other in epic.depends_on
            if other not in names
        ],
        finished_dependencies=sorted(finished, key=_by_id),
        warnings=warnings,
    )


def _dependencies(task: PlanTask) -> dict[str, bool]:
    """Return the ids that a task depends on and whether hard; one that is both is hard, None is nothing."""
    wanted: dict[str, bool] = {}
    for dependency in task.depends_on or ():
        if dependency is not None:
            is_hard = dependency.kind == "hard"
            wanted[dependency.task_id] = wanted.get(dependency.task_id, False) or is_hard
    return wanted


def _done(by_id: dict[str, PlanTask], task_id: str) -> bool:
    return task_id in by_id and by_id[task_id].finished


def _pair(task: PlanTask, other: str) -> TaskDependency:
    return TaskDependency(task_id=task.task_id, depends_on=other)


def _by_id(pair: TaskDependency) -> tuple[str, str]:
    return pair.task_id, pair.depends_on


def _declared(epics: Iterable[PlanEpic]) -> list[PlanEpic]:
    last = {epic.epic: epic for epic in epics}
    return [replace(epic, depends_on=tuple(sorted(set(epic.depends_on)))) for _, epic in sorted(last.items())]


def _ids(knot: Sequence[int], tasks: Sequence[PlanTask]) -> list[str]:
    return sorted(tasks[node].task_id for node in knot if node < len(tasks))


def _epic_cycles(waits: dict[str, tuple[str, ...]]) -> list[list[str]]:
    names = sorted(waits)
    number_of = {name: number for number, name in enumerate(names)}
    graph = [[number_of[other] for other in waits[name]] for name in names]
    return [[names[number] for number in knot] for knot in cycles_of(graph)]


def _without(
    waits: dict[str, tuple[str, ...]], cycles: Sequence[Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return which epics wait for which, without the steps within a cycle."""
    cycle_of = {epic: number for number, knot in enumerate(cycles) for epic in knot}
    return {
        epic: tuple(
            other for other in others if epic not in cycle_of or cycle_of.get(other) != cycle_of[epic]
        )
        for epic, others in waits.items()
    }
