"""Batches: levels over who waits for whom, split so that no two tasks of one name the same file. Pure."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import chain

from flightlog_schemas.plans import PlanEpic, PlannedTask
from flightlogd.planning.waiting import Graph, bottom_up


def levels_of(graph: Graph, task_count: int, without: Container[int]) -> list[list[int]]:
    """Return the tasks of a graph without cycles in levels, each as early as what it waits for allows.

    Args:
        graph: Its first `task_count` nodes are tasks; beginnings and ends of epics take no time.
        task_count: How many tasks there are.
        without: Nodes to leave out; what waits for one of them is one as well.
    """
    sorter = TopologicalSorter(
        {node: others for node, others in enumerate(graph) if node not in without},
    )
    sorter.prepare()
    levels = []
    while sorter.is_active():
        level: list[int] = []
        ready = sorter.get_ready()
        while ready:
            gates: list[int] = []
            for node in ready:
                (level if node < task_count else gates).append(node)
            # A gate opens at once: what waits for it alone belongs to this level.
            sorter.done(*gates)
            ready = sorter.get_ready()
        sorter.done(*level)
        if level:
            levels.append(sorted(level))
    return levels


class _Taken:
    """The places that tasks of one file have: all below `first_free`, and the set bits of `beyond`."""

    __slots__ = ("beyond", "first_free")

    def __init__(self) -> None:
        self.first_free = 0
        self.beyond = 0

    def take(self, place: int) -> None:
        self.beyond |= 1 << (place - self.first_free)
        run = _lowest_zero(self.beyond)
        self.first_free += run
        self.beyond >>= run


def _lowest_zero(bits: int) -> int:
    return (~bits & (bits + 1)).bit_length() - 1


def split_level(level: Sequence[int], files: Sequence[Sequence[str]]) -> list[list[int]]:
    """Return the tasks of a level in as many lists as it takes for no file to be in one twice.

    Each task takes the first list without any of its files; order decides who comes first. A set of bits
    for each file keeps this fast where thousands name the same.
    """
    lists: list[list[int]] = []
    taken: dict[str, _Taken] = defaultdict(_Taken)
    for task in level:
        mine = [taken[path] for path in files[task]]
        first = max((some.first_free for some in mine), default=0)
        bits = 0
        for some in mine:
            bits |= some.beyond >> (first - some.first_free)
        place = first + _lowest_zero(bits)
        for some in mine:
            some.take(place)
        if place == len(lists):
            lists.append([])
        lists[place].append(task)
    return lists


def batches_before(
    batches: Sequence[Sequence[str]], tasks: Mapping[str, PlannedTask], epics: Iterable[PlanEpic]
) -> list[list[int]]:
    """Return for each batch those (from 1, sorted) that must be over before it begins.

    They hold what a task of it depends on, or the last task before it that names one of its files. Of an
    epic that it waits for, those are left out that another of the same epic waits for.

    Args:
        batches: Task ids, in an order in which they could be run.
        tasks: By id, all that are in a batch.
        epics: By which tasks wait for tasks of other epics.
    """
    batch_of = {task_id: batch for batch, ids in enumerate(batches, 1) for task_id in ids}
    of_epic: dict[str, set[int]] = defaultdict(set)
    for task in tasks.values():
        if task.epic is not None and task.task_id in batch_of:
            of_epic[task.epic].add(batch_of[task.task_id])
    waits = {epic.epic: epic.depends_on for epic in epics}
    # An epic with tasks waits for those behind it by itself.
    beyond = {name: others for name, others in waits.items() if name not in of_epic}
    last_with: dict[str, int] = {}
    before: list[list[int]] = []
    last_of: dict[str, list[int]] = {}
    for batch, ids in enumerate(batches, 1):
        found = {batch_of[other] for task_id in ids for other in tasks[task_id].depends_on}
        paths = {path for task_id in ids for path in tasks[task_id].predicted_files}
        found.update(last_with[path] for path in paths if path in last_with)
        last_with.update(dict.fromkeys(paths, batch))
        epics_here = {epic for task_id in ids if (epic := tasks[task_id].epic) is not None}
        for other in {other for epic in epics_here for other in waits.get(epic, ())}:
            for one in bottom_up(other, beyond, last_of):
                # All batches of an epic that somebody waits for here lie before this one.
                some = of_epic.get(one) or {
                    last for behind in beyond.get(one, ()) for last in last_of[behind]
                }
                last_of[one] = sorted(some.difference(*(before[last - 1] for last in some)))
            found.update(last_of[other])
        before.append(sorted(found - {batch}))
    return before


def estimate_s(durations_s: Iterable[float | None], *, parallel: bool) -> float | None:
    """Return how long tasks take: at once, or one after the other; None if nothing is known."""
    known = [duration for duration in durations_s if duration is not None]
    if not known:
        return None
    return round(max(known) if parallel else sum(known), 6)


def shares_file(tasks: Iterable[PlannedTask]) -> bool:
    """Say whether any two of some tasks name the same file."""
    paths = list(chain.from_iterable(task.predicted_files for task in tasks))
    return len(set(paths)) < len(paths)
