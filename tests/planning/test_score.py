"""A plan against what happened."""

import pytest

from flightlog_schemas.plans import FileScore, FileWrite, PlanFacts, TaskSpan
from flightlogd.planning import score
from support.plans import plan_of, task

SECOND = 1_000_000


def span(task_id: str, start_s: float, end_s: float | None) -> TaskSpan:
    """Return an attempt at a task."""
    finished_at = None if end_s is None else int(end_s * SECOND)
    return TaskSpan(task_id=task_id, started_at=int(start_s * SECOND), finished_at=finished_at)


@pytest.mark.covers("S4.8")
def test_files_and_conflicts() -> None:
    """Who wrote a predicted file, by its path in the project or a worktree, and which conflicts happened."""
    plan = plan_of(
        task("a", "edit src/x.py and src/y.py"), task("b", "edit src/x.py"), task("c", "edit src/y.py")
    )
    worktree = plan.worktree_assignments[0].worktree
    writes = [
        FileWrite(task_id="a", path="/p/src/x.py"),
        FileWrite(task_id="b", path=f"/elsewhere/{worktree}/src/x.py"),
        FileWrite(task_id="c", path="src/y.py"),
        FileWrite(task_id="b", path="./src/z.py"),
        FileWrite(task_id="c", path="src/z.py"),
        FileWrite(task_id="stranger", path="src/y.py"),
    ]

    scored = score(plan, PlanFacts(writes=writes))

    assert scored.files == [
        FileScore(path="src/x.py", predicted=["a", "b"], actual=["a", "b"]),
        FileScore(path="src/y.py", predicted=["a", "c"], actual=["c"]),
        FileScore(path="src/z.py", predicted=[], actual=["b", "c"]),
    ]
    assert scored.conflicts.predicted == ["src/x.py", "src/y.py"]
    assert scored.conflicts.happened == ["src/x.py", "src/z.py"]
    assert scored.conflicts.both == ["src/x.py"]
    assert (scored.conflicts.precision, scored.conflicts.recall) == (0.5, 0.5)
    assert scored.files_f1 == round(2 * 3 / (4 + 5), 4)
    assert scored.score == round((scored.files_f1 + 0.5) / 2, 4)


@pytest.mark.covers("S4.8")
def test_durations() -> None:
    """Estimates stand beside what it took; parallelism and pace tell how much ran at once."""
    plan = plan_of(
        task("a", typical_duration_us=4 * SECOND),
        task("b", typical_duration_us=2 * SECOND),
        task("c", after=["a"], typical_duration_us=2 * SECOND),
    )
    spans = [span("a", 0, 4), span("b", 1, 3), span("c", 5, 8), span("stranger", 0, 99)]

    scored = score(plan, PlanFacts(spans=spans))

    assert [(one.batch_id, one.estimated_s, one.actual_s) for one in (scored.whole, *scored.batches)] == [
        (None, 6.0, 8.0),
        (1, 4.0, 4.0),
        (2, 2.0, 3.0),
    ]
    assert scored.parallelism == 9 / 8
    assert scored.duration_accuracy == 0.75
    assert scored.pace == 0.875
    assert scored.score == round((0.75 + 0.875) / 2, 4)
    assert (scored.finished_tasks, scored.total_tasks) == (3, 3)


@pytest.mark.covers("S4.8")
def test_nothing_happened() -> None:
    """Where nothing is known, nothing is claimed."""
    for plan in (plan_of(), plan_of(task("a", "edit src/x.py"))):
        scored = score(plan, PlanFacts(spans=[span("a", 1, None)]))

        assert scored.score is scored.parallelism is scored.pace is scored.files_f1 is None
        assert scored.whole.actual_s is scored.conflicts.recall is None
        assert scored.finished_tasks == 0


def test_a_task_that_never_ran_predicted_nothing_wrong() -> None:
    """Files of tasks that never ran are not held against the plan, those of tasks that ran are."""
    plan = plan_of(task("a", "edit src/x.py"), task("b", "edit src/y.py"), task("c", "edit src/z.py"))
    facts = PlanFacts(spans=[span("b", 0, 1)], writes=[FileWrite(task_id="a", path="src/x.py")])

    assert score(plan, facts).files_f1 == round(2 * 1 / (2 + 1), 4)


def test_half_way() -> None:
    """Before all tasks have ended the whole estimate is not held against them; odd times do no harm."""
    plan = plan_of(task("a", typical_duration_us=SECOND), task("b", typical_duration_us=SECOND))

    scored = score(plan, PlanFacts(spans=[span("a", 5, 5), span("b", 7, None)]))
    backwards = score(plan, PlanFacts(spans=[span("a", 9, 5), span("b", 1, 2)]))

    assert scored.duration_accuracy is scored.score is None
    assert backwards.score is None or 0 <= backwards.score <= 1
