"""Whatever is declared, a plan keeps what it promises."""

import itertools
import subprocess
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightlog_schemas.events.task import Dependency
from flightlog_schemas.plans import Plan, PlanEpic, PlanTask
from flightlogd.planning.batches import split_level
from flightlogd.planning.worktrees import epic_names, is_branch_name
from support.plans import plan_of

_IDS: Final = [f"t{number}" for number in range(12)]
_EPICS: Final = ["a", "b", "c", "D", "d"]
_TEXTS: Final = ["", "edit src/one.py", "`src/two.py` and src/one.py", "x/a.py", "y/a.py", "the auth module"]

_usual = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine may be slow, and drawing many tasks takes longer than planning them."""


class Declared(NamedTuple):
    """What somebody declared, each id once."""

    tasks: list[PlanTask]
    epics: list[PlanEpic]
    max_worktrees: int


@st.composite
def declarations(draw: st.DrawFn, *, cycles: bool = True) -> Declared:
    """Any tasks and epics; without cycles a task depends on earlier ones, and epics do on none."""
    tasks = []
    ids = draw(st.permutations(_IDS))[: draw(st.integers(0, len(_IDS)))]
    for number, task_id in enumerate(ids):
        others = [*_IDS, "nobody"] if cycles else [*ids[:number], "nobody"]
        dependency = st.builds(
            Dependency, task_id=st.sampled_from(others), kind=st.sampled_from(["hard", "soft"])
        )
        tasks.append(
            PlanTask(
                task_id=task_id,
                description=draw(st.none() | st.sampled_from(_TEXTS)),
                action=draw(st.none() | st.sampled_from(_TEXTS)),
                epic=draw(st.none() | st.sampled_from(_EPICS)),
                priority=draw(st.sampled_from([1, 2, 999])),
                depends_on=draw(st.none() | st.lists(st.none() | dependency, max_size=3).map(tuple)),
                finished=draw(st.integers(0, 5)) == 0,
                typical_duration_us=draw(st.none() | st.integers(0, 10**9)),
            )
        )
    waits = st.lists(st.sampled_from(_EPICS), max_size=2).map(tuple) if cycles else st.just(())
    names = draw(st.lists(st.sampled_from(_EPICS), unique=True))
    epics = [PlanEpic(epic=name, depends_on=draw(waits)) for name in names]
    return Declared(tasks, epics, draw(st.integers(1, 4)))


def planned(declared: Declared) -> Plan:
    """Return the plan of what was declared."""
    return plan_of(*declared.tasks, epics=declared.epics, max_worktrees=declared.max_worktrees)


def epics_before(epics: Sequence[PlanEpic], epic: str | None) -> set[str]:
    """Return the epics that one waits for, however far."""
    waits = {some.epic: some.depends_on for some in epics}
    found: set[str] = set()
    frontier = [epic or ""]
    while frontier:
        fresh = set(waits.get(frontier.pop(), ())) - found
        found |= fresh
        frontier += fresh
    return found


@pytest.mark.covers("S4.2")
@_usual
@given(declarations())
def test_every_dependency_is_earlier(declared: Declared) -> None:
    """What a task or its epic waits for is in an earlier batch, finished, or reported as missing."""
    plan = planned(declared)
    batch_of = {one: batch.batch_id for batch in plan.batches for one in batch.task_ids}
    finished = {task.task_id for task in declared.tasks if task.finished}
    missing = {(some.task_id, some.depends_on) for some in plan.metadata.missing}

    for task in declared.tasks:
        if task.task_id not in batch_of:
            continue
        for dependency in filter(None, task.depends_on or ()):
            if dependency.kind == "hard" and dependency.task_id not in finished:
                known = dependency.task_id in batch_of
                assert known or (task.task_id, dependency.task_id) in missing
                assert not known or batch_of[dependency.task_id] < batch_of[task.task_id]
        for other in declared.tasks:
            if other.epic in epics_before(declared.epics, task.epic) and not other.finished:
                assert batch_of[other.task_id] < batch_of[task.task_id]


@pytest.mark.covers("S4.2")
@_usual
@given(declarations())
def test_every_task_is_somewhere(declared: Declared) -> None:
    """Each task is in exactly one batch and one worktree, finished, or excluded by a cycle."""
    plan = planned(declared)
    finished = [task.task_id for task in declared.tasks if task.finished]
    batched = [one for batch in plan.batches for one in batch.task_ids]
    assigned = [one for some in plan.worktree_assignments for one in some.task_ids]

    assert sorted([*batched, *finished, *plan.metadata.excluded]) == sorted(
        task.task_id for task in declared.tasks
    )
    assert sorted(assigned) == sorted(batched) == [task.task_id for task in plan.tasks]
    assert bool(plan.metadata.excluded) <= bool(plan.metadata.cycles or plan.metadata.epic_cycles)
    assert (plan.metadata.reason is None) == bool(batched)


@pytest.mark.covers("S4.2")
@_usual
@given(declarations(cycles=False))
def test_batches_are_levels(declared: Declared) -> None:
    """Without cycles and shared files, a task's batch is one behind the last that it waits for."""
    bare = [msgspec.structs.replace(task, description=None, action=None) for task in declared.tasks]
    plan = planned(declared._replace(tasks=bare))
    batch_of = {one: batch.batch_id for batch in plan.batches for one in batch.task_ids}

    assert plan.metadata.excluded == []
    for task in plan.tasks:
        assert batch_of[task.task_id] == 1 + max((batch_of[one] for one in task.depends_on), default=0)
    for batch in plan.batches:
        keys = [
            (task.priority, task.task_id) for one in batch.task_ids for task in bare if task.task_id == one
        ]
        assert keys == sorted(keys)


@pytest.mark.covers("S4.4")
@_usual
@given(declarations())
def test_no_batch_has_a_file_twice(declared: Declared) -> None:
    """No two tasks of a batch name one file; batches with a common file wait for each other."""
    plan = planned(declared)
    files = {task.task_id: set(task.predicted_files) for task in plan.tasks}
    behind: dict[int, set[int]] = {}
    for batch in plan.batches:
        assert not any(files[one] & files[other] for one, other in itertools.combinations(batch.task_ids, 2))
        assert batch.can_parallel == (len(batch.task_ids) > 1)
        behind[batch.batch_id] = set(batch.depends_on).union(*(behind[one] for one in batch.depends_on))

    for first, second in itertools.combinations(plan.batches, 2):
        if any(files[one] & files[other] for one in first.task_ids for other in second.task_ids):
            assert first.batch_id in behind[second.batch_id]
    assert plan.metadata.total_batches == len(plan.batches)
    assert plan.metadata.parallel_batches == sum(batch.can_parallel for batch in plan.batches)


@pytest.mark.covers("S4.4")
@_usual
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=2, unique=True), max_size=30))
def test_each_takes_the_first_part_without_its_files(files: list[list[str]]) -> None:
    """A level is split as if each task tried one part after the other."""
    parts: list[list[int]] = []
    for task, mine in enumerate(files):
        free = (part for part in parts if not any(set(files[other]) & set(mine) for other in part))
        part = next(free, None)
        if part is None:
            parts.append([task])
        else:
            part.append(task)

    assert split_level(range(len(files)), files) == parts


@pytest.mark.covers("S4.2", "S4.4")
@_usual
@given(declarations())
def test_batches_wait_for_all_that_their_tasks_wait_for(declared: Declared) -> None:
    """Who runs a batch as soon as those that it depends on are over runs no task too early."""
    plan = planned(declared)
    batch_of = {one: batch.batch_id for batch in plan.batches for one in batch.task_ids}
    epic_of = {task.task_id: task.epic for task in plan.tasks}
    behind: dict[int, set[int]] = {}
    for batch in plan.batches:
        assert all(one < batch.batch_id for one in batch.depends_on)
        behind[batch.batch_id] = set(batch.depends_on).union(*(behind[one] for one in batch.depends_on))

    for task in plan.tasks:
        mine = behind[batch_of[task.task_id]]
        assert {batch_of[one] for one in task.depends_on} <= mine
        before = epics_before(declared.epics, task.epic)
        assert {batch_of[one] for one, name in epic_of.items() if name in before} <= mine


@pytest.mark.covers("S4.2", "S4.5")
@_usual
@given(declarations(), st.randoms())
def test_order_of_input_means_nothing(declared: Declared, chance: object) -> None:
    """The same declarations in another order give the same plan, to the byte."""
    plan = planned(declared)
    shuffle = chance.shuffle  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    shuffle(declared.tasks)
    shuffle(declared.epics)

    assert msgspec.json.encode(planned(declared)) == msgspec.json.encode(plan)
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


@pytest.mark.covers("S4.5")
@_usual
@given(declarations())
def test_worktrees(declared: Declared) -> None:
    """A batch has at most so many worktrees; while there is room each epic has its own; names differ."""
    plan = planned(declared)
    epic_of = {task.task_id: task.epic for task in plan.tasks}
    names = [some.worktree for some in plan.worktree_assignments]

    assert len(set(map(str.casefold, names))) == len(names)
    for batch in plan.batches:
        here = [some for some in plan.worktree_assignments if some.batch_id == batch.batch_id]
        epics = {epic_of[one] for one in batch.task_ids}
        assert len(here) == min(declared.max_worktrees, len(epics))
        for epic in epics:
            assert sum(epic in {epic_of[one] for one in some.task_ids} for some in here) == 1


@pytest.mark.covers("S4.5")
@_usual
@given(
    st.lists(
        st.none() | st.text() | st.sampled_from(["Auth", "auth", "a" * 90, "none", "HEAD", ".lock"]),
        max_size=9,
    )
)
def test_names_of_worktrees(epics: list[str | None]) -> None:
    """Any names of epics make names of branches, no two alike, the same in any order."""
    names = epic_names(epics)

    assert len(set(names.values())) == len(set(epics))
    assert all(is_branch_name(f"worktree-batch1-epic{name}") for name in names.values())
    assert epic_names(reversed(epics)) == names


@pytest.mark.covers("S4.5")
@_usual
@given(
    st.text("aZ0.-_/@{\\ ~^:?*[\x00é", min_size=1, max_size=8) | st.sampled_from(["HEAD", "a.lock", "a..b"])
)
def test_what_is_a_branch_git_takes(name: str) -> None:
    """Git takes each name that we take."""
    if is_branch_name(name):
        assert (
            subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True).returncode == 0
        )
