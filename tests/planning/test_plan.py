"""Plans of a few tasks, trap by trap."""

import pytest

from flightlog_schemas.events.task import Dependency
from flightlog_schemas.plans import EpicDependency, PlanTask, TaskDependency
from flightlogd.planning import build_plan
from support.plans import epic, ids_of, plan_of, task


@pytest.mark.covers("S4.2")
def test_levels() -> None:
    """A task is in the batch behind what it depends on; order is by priority, then id; soft never delays."""
    plan = plan_of(
        task("c"),
        task("b", priority=1),
        task("a", soft=["c"]),
        task("d", after=["a"]),
        task("e", after=["d", "b"], soft=["x"]),
    )

    assert ids_of(plan.batches) == [["b", "a", "c"], ["d"], ["e"]]
    assert [batch.depends_on for batch in plan.batches] == [[], [1], [1, 2]]
    assert [batch.can_parallel for batch in plan.batches] == [True, False, False]
    assert plan.metadata.missing == [TaskDependency(task_id="e", depends_on="x")]


@pytest.mark.covers("S4.2")
@pytest.mark.parametrize(
    ("tasks", "reason"),
    [
        ([], "no tasks are declared"),
        ([task("a", finished=True), task("b", finished=True)], "all 2 tasks are finished"),
        (
            [task("a", after=["a"])],
            "all 1 open tasks are in a cycle of dependencies, or wait for one that is",
        ),
    ],
)
def test_empty_plans(tasks: list[PlanTask], reason: str) -> None:
    """A plan without tasks says why."""
    plan = plan_of(*tasks)

    assert (plan.batches, plan.worktree_assignments, plan.tasks) == ([], [], [])
    assert plan.metadata.reason == reason
    assert plan.metadata.warnings == []


@pytest.mark.covers("S4.2")
def test_cycles() -> None:
    """All cycles are reported, self-dependency too; what hangs on them is left out, the rest planned."""
    plan = plan_of(
        task("a", after=["b"]),
        task("b", after=["a"]),
        task("c", after=["d", "gone"]),
        task("d", after=["e"]),
        task("e", after=["c"]),
        task("self", after=["self"]),
        task("hanging", after=["a"]),
        task("further", after=["hanging", "fine"]),
        task("fine"),
        task("soft", soft=["a", "soft"]),
    )

    assert plan.metadata.cycles == [["a", "b"], ["c", "d", "e"], ["self"]]
    assert plan.metadata.excluded == ["a", "b", "c", "d", "e", "further", "hanging", "self"]
    assert ids_of(plan.batches) == [["fine", "soft"]]
    assert plan.metadata.missing == [TaskDependency(task_id="c", depends_on="gone")]


@pytest.mark.covers("S4.2")
def test_finished_dependencies() -> None:
    """Nobody waits for what is finished, and a cycle through it is none."""
    plan = plan_of(task("a", after=["b"], finished=True), task("b", after=["a"]), task("c", after=["b"]))

    assert ids_of(plan.batches) == [["b"], ["c"]]
    assert plan.metadata.cycles == []
    assert plan.metadata.finished_tasks == 1
    assert plan.metadata.finished_dependencies == [TaskDependency(task_id="b", depends_on="a")]


@pytest.mark.covers("S4.2")
def test_epics() -> None:
    """Tasks wait for all tasks of the epics that theirs depends on, also through one without tasks."""
    plan = plan_of(
        task("a1", epic="a"),
        task("a2", epic="a", after=["a1"]),
        task("c1", epic="c"),
        task("free"),
        task("z", epic="undeclared"),
        epics=[epic("c", "b", "nowhere"), epic("b", "a")],
    )

    assert ids_of(plan.batches) == [["a1", "free", "z"], ["a2"], ["c1"]]
    assert plan.batches[2].depends_on == [2]
    assert plan.metadata.missing_epics == [EpicDependency(epic="c", depends_on="nowhere")]


@pytest.mark.covers("S4.2")
def test_cycles_of_epics() -> None:
    """Epics that wait for each other are reported, without their tasks, which are left out."""
    plan = plan_of(
        task("a1", epic="a"),
        task("b1", epic="b"),
        task("c1", epic="c"),
        task("d1", epic="d", after=["e1"]),
        task("d2", epic="d"),
        task("e1", epic="e"),
        epics=[epic("a", "b"), epic("b", "a"), epic("c", "c"), epic("e", "d")],
    )

    assert plan.metadata.epic_cycles == [["a", "b"], ["c"]]
    assert plan.metadata.cycles == [["d1", "e1"]]
    assert ids_of(plan.batches) == [["d2"]]


@pytest.mark.covers("S4.2")
def test_odd_declarations() -> None:
    """Nothing, twice the same, hard and soft at once, and one id twice are understood."""
    nothing = PlanTask(task_id="n", depends_on=None)
    twice = PlanTask(
        task_id="t",
        depends_on=(
            None,
            Dependency(task_id="n", kind="soft"),
            Dependency(task_id="n"),
            Dependency(task_id="n"),
        ),
    )
    plan = plan_of(task("t", after=["t"]), nothing, twice)

    assert ids_of(plan.batches) == [["n"], ["t"]]
    assert plan.metadata.warnings == ["1 declarations have the id of a later one, which counts"]


@pytest.mark.covers("S4.3", "S4.4")
def test_conflicts_split_batches() -> None:
    """Tasks that name one file come after each other; one that shares nothing keeps its place."""
    plan = plan_of(
        task("a", "edit `src/x.py`"),
        task("b", "edit src/x.py and src/y.py"),
        task("c", "edit src/y.py"),
        task("d", "edit other/x.py"),
        task("e", "edit src/y.py", after=["a"]),
    )

    assert ids_of(plan.batches) == [["a", "c", "d"], ["b"], ["e"]]
    assert [batch.depends_on for batch in plan.batches] == [[], [1], [1, 2]]
    assert [(some.kind, some.path, some.task_ids) for some in plan.predicted_conflicts] == [
        ("same_file", "src/x.py", ["a", "b"]),
        ("same_file", "src/y.py", ["b", "c", "e"]),
        ("same_directory", "src", ["a", "b", "c", "e"]),
    ]
    assert {one.task_id: one.predicted_files for one in plan.tasks}["b"] == ["src/x.py", "src/y.py"]
    assert plan.metadata.conflict_rate == 0.8
    assert plan.metadata.warnings == [
        "80% of the tasks name a file that another names: little can run at once"
    ]


@pytest.mark.covers("S4.3")
def test_weaker_conflicts() -> None:
    """Tasks of an epic or module may meet if one of them names no file; they still run at once."""
    plan = plan_of(
        task("a", "the auth module", epic="x"),
        task("b", "edit lib/one.py of the auth module", epic="x"),
        task("c", "edit lib/two.py", epic="y"),
        task("d", "edit other/two.py", epic="y"),
    )

    assert [(some.kind, some.path or some.hint, some.task_ids) for some in plan.predicted_conflicts] == [
        ("same_directory", "lib", ["b", "c"]),
        ("potential", "epic:x", ["a", "b"]),
        ("potential", "module:auth", ["a", "b"]),
    ]
    assert [batch.can_parallel for batch in plan.batches] == [True]


@pytest.mark.covers("S4.5")
def test_worktrees() -> None:
    """The largest epics have a worktree each, the others join the smallest; names are of batch and epic."""
    sizes = {"Big Epic": 4, "middle": 3, "small": 2, "tiny": 1, None: 1}
    tasks = [task(f"{name}-{number}", epic=name) for name, size in sizes.items() for number in range(size)]
    plan = plan_of(*tasks, max_worktrees=3)

    assert [(some.worktree, some.epics, len(some.task_ids)) for some in plan.worktree_assignments] == [
        ("worktree-batch1-epicbig-epic", ["Big Epic"], 4),
        ("worktree-batch1-epicmiddle", ["middle"], 4),
        ("worktree-batch1-epicsmall", ["small", "tiny"], 3),
    ]
    assert plan_of(*tasks, max_worktrees=0).metadata.warnings == ["max_worktrees was 0: there is 1"]


@pytest.mark.covers("S4.5")
def test_epics_that_would_be_called_alike() -> None:
    """Long names that are cut, and names that differ in case or signs alone, have a digest behind them."""
    long = "a very long name of an epic that goes on and on "
    epics = [long + "1", long + "2", "Ä", "x y", "X-Y"]
    plan = plan_of(*(task(name[-3:].strip(), epic=name) for name in epics), max_worktrees=9)

    names = [some.worktree for some in plan.worktree_assignments]
    assert len(set(names)) == 5
    assert max(map(len, names)) < 80
    assert sum(name.startswith("worktree-batch1-epica-very-long-name") for name in names) == 2
    assert sum(name.startswith("worktree-batch1-epicx-y-") for name in names) == 2


@pytest.mark.covers("S4.6")
def test_estimates() -> None:
    """A batch that runs at once takes as long as its longest task, a plan as all its batches."""
    plan = build_plan(
        "/p",
        [
            task("a", typical_duration_us=3_000_000),
            task("b", typical_duration_us=5_000_000),
            task("unknown"),
            task("c", after=["a"], typical_duration_us=1_500_000),
            task("d", after=["c"]),
        ],
        plan_id="p1",
        created_at=7,
    )

    assert [batch.estimated_duration_s for batch in plan.batches] == [5.0, 1.5, None]
    assert plan.metadata.estimated_duration_s == 6.5
    assert (plan.plan_id, plan.project, plan.created_at) == ("p1", "/p", 7)
    assert (plan.metadata.total_tasks, plan.metadata.total_batches) == (5, 3)


def test_many() -> None:
    """Neither a chain of thousands, nor thousands that name one file, nor thousands of epics are too much."""
    chain = plan_of(*(task(f"t{number}", after=[f"t{number - 1}"]) for number in range(1, 5_000)))
    crowd = plan_of(*(task(f"t{number:04}", "edit src/one.py") for number in range(2_000)))

    assert chain.metadata.total_batches == 4_999
    assert ids_of(crowd.batches)[-1] == ["t1999"]
    assert crowd.batches[-1].depends_on == [1_999]
    assert crowd.metadata.conflicts == 1

    empty = [epic("e0", "first"), *(epic(f"e{number}", f"e{number - 1}") for number in range(1, 2_000))]
    waiting = [epic(f"x{number}", "e1999") for number in range(2_000)]
    behind = plan_of(
        task("a", epic="first"),
        *(task(f"t{number}", epic=f"x{number}") for number in range(2_000)),
        epics=[*empty, *waiting],
    )

    assert [len(batch.task_ids) for batch in behind.batches] == [1, 2_000]
    assert behind.batches[1].depends_on == [1]
