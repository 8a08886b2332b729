"""A plan against what happened: files, conflicts, durations, how much ran at once. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from flightlog_schemas.plans import (
    ConflictScore,
    DurationScore,
    FileScore,
    FileWrite,
    Plan,
    PlanFacts,
    PlanScore,
    TaskSpan,
)


def score(plan: Plan, facts: PlanFacts) -> PlanScore:
    """Return how near a plan came to what happened to its tasks; facts of other tasks are passed over."""
    ids = {task.task_id for task in plan.tasks}
    spans: dict[str, list[TaskSpan]] = defaultdict(list)
    for span in facts.spans:
        if span.task_id in ids and span.finished_at is not None:
            spans[span.task_id].append(span)
    writers = _writers(plan, facts.writes, ids)
    predicted = _predicted(plan)
    conflicts = _conflicts(predicted, writers)
    # Of tasks that never ran nobody can say whether their prediction was right.
    ran = {span.task_id for span in facts.spans} | {one for some in writers.values() for one in some}
    pairs = {(path, one) for path, some in predicted.items() for one in some if one in ran}
    real = {(path, one) for path, some in writers.items() for one in some}
    whole = DurationScore(
        batch_id=None,
        estimated_s=plan.metadata.estimated_duration_s,
        actual_s=_wall_s(span for some in spans.values() for span in some),
    )
    work_s = sum(_length_s(span) for some in spans.values() for span in some)
    files_f1 = _f1(len(pairs & real), len(pairs), len(real)) if real else None
    conflicts_f1 = _f1(len(conflicts.both), len(conflicts.predicted), len(conflicts.happened))
    accuracy = _accuracy(whole) if spans.keys() == ids else None
    parallelism = round(work_s / whole.actual_s, 4) if whole.actual_s else None
    pace = _pace(plan, spans, whole.actual_s)
    known = [part for part in (files_f1, conflicts_f1, accuracy, pace) if part is not None]
    return PlanScore(
        plan_id=plan.plan_id,
        finished_tasks=len(spans),
        total_tasks=len(ids),
        files=[
            FileScore(
                path=path, predicted=sorted(predicted.get(path, ())), actual=sorted(writers.get(path, ()))
            )
            for path in sorted(predicted.keys() | writers.keys())
        ],
        conflicts=conflicts,
        whole=whole,
        batches=[
            DurationScore(
                batch_id=batch.batch_id,
                estimated_s=batch.estimated_duration_s,
                actual_s=_wall_s(span for one in batch.task_ids for span in spans.get(one, ())),
            )
            for batch in plan.batches
        ],
        parallelism=parallelism,
        files_f1=files_f1,
        conflicts_f1=conflicts_f1,
        duration_accuracy=accuracy,
        pace=pace,
        score=round(sum(known) / len(known), 4) if known else None,
    )


def _predicted(plan: Plan) -> dict[str, set[str]]:
    """Return for each predicted file the tasks that name it."""
    predicted: dict[str, set[str]] = defaultdict(set)
    for task in plan.tasks:
        for path in task.predicted_files:
            predicted[path].add(task.task_id)
    return predicted


def _writers(plan: Plan, writes: Iterable[FileWrite], ids: set[str]) -> dict[str, set[str]]:
    """Return for each file, by its path within the project or a worktree, the tasks that wrote it."""
    root = plan.project.rstrip("/") + "/"
    worktrees = {some.worktree for some in plan.worktree_assignments}
    writers: dict[str, set[str]] = defaultdict(set)
    for write in writes:
        if write.task_id in ids:
            path = write.path.removeprefix(root).removeprefix("./")
            parts = path.split("/")
            # A worktree lies wherever somebody put it; the file is where it will be after the merge.
            inside = next((place for place, part in enumerate(parts[:-1], 1) if part in worktrees), 0)
            writers["/".join(parts[inside:])].add(write.task_id)
    return writers


def _conflicts(predicted: Mapping[str, set[str]], writers: Mapping[str, set[str]]) -> ConflictScore:
    expected = {path for path, ids in predicted.items() if len(ids) > 1 and path in writers}
    happened = {path for path, ids in writers.items() if len(ids) > 1}
    both = expected & happened
    return ConflictScore(
        predicted=sorted(expected),
        happened=sorted(happened),
        both=sorted(both),
        precision=round(len(both) / len(expected), 4) if expected else None,
        recall=round(len(both) / len(happened), 4) if happened else None,
    )


def _f1(right: int, expected: int, happened: int) -> float | None:
    """Return the harmonic mean of precision and recall; None where nothing was expected or happened."""
    return round(2 * right / (expected + happened), 4) if expected + happened else None


def _accuracy(duration: DurationScore) -> float | None:
    """Return the shorter of two durations as a share of the longer."""
    if not duration.estimated_s or not duration.actual_s:
        return None
    pair = duration.estimated_s, duration.actual_s
    return round(min(pair) / max(pair), 4)


def _pace(plan: Plan, spans: Mapping[str, Sequence[TaskSpan]], wall_s: float | None) -> float | None:
    """Return how long the finished tasks had to take in these batches, as a share of how long they took."""
    if not wall_s:
        return None
    needed_s = 0.0
    for batch in plan.batches:
        lengths = [sum(map(_length_s, spans[one])) for one in batch.task_ids if one in spans]
        if lengths:
            needed_s += max(lengths) if batch.can_parallel else sum(lengths)
    return round(min(1.0, needed_s / wall_s), 4)


def _length_s(span: TaskSpan) -> float:
    assert span.finished_at is not None
    return max(0, span.finished_at - span.started_at) / 1_000_000


def _wall_s(spans: Iterable[TaskSpan]) -> float | None:
    """Return the time from the first start to the last end; None where nothing ran."""
    every = [(span.started_at, span.finished_at) for span in spans if span.finished_at is not None]
    if not every:
        return None
    return max(0, max(end for _, end in every) - min(start for start, _ in every)) / 1_000_000
