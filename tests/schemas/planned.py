"""Requests for plans, and a plan with everything in it, for golden files."""

from typing import Any, Final

from flightlog_schemas import plans, projects
from flightlog_schemas.wire import query

PLAN_REQUESTS: Final[list[Any]] = [
    query.Projects(),
    query.Projects(project="/p", after="/a", limit=5),
    query.Plan(project="/p"),
    query.Plan(
        project="0123456789ab",
        plan_id="p1",
        actual=True,
        worktree_assignments={"w": {"task_ids": ["a"]}},
        batch_overrides={"1": {"can_parallel": False}},
    ),
    query.Plans(),
    query.Plans(project="/p", before=9, limit=5),
]

PROJECT: Final = projects.Project(
    project_id="0123456789ab", project="/p", executions=3, active=1, tasks=2, plans=1, last_plan_id="p1"
)

PLAN_RECORD: Final = projects.PlanRecord(
    plan_id="p1",
    project_id="0123456789ab",
    project="/p",
    execution_id="e",
    created_at=1,
    batches=1,
    total_tasks=2,
    parallel_batches=1,
    conflicts=0,
    adjustments=2,
    seq=4,
)

PLAN: Final = plans.Plan(
    plan_id="p1",
    project="/p",
    created_at=1,
    batches=[
        plans.PlanBatch(
            batch_id=1, task_ids=["a", "b"], can_parallel=True, depends_on=[], estimated_duration_s=1.5
        )
    ],
    worktree_assignments=[
        plans.WorktreeAssignment(worktree="w", batch_id=1, epics=["x"], task_ids=["a", "b"])
    ],
    predicted_conflicts=[
        plans.PredictedConflict(kind="potential", task_ids=["a", "b"], path=None, hint="epic:x")
    ],
    tasks=[
        plans.PlannedTask(
            task_id=name,
            epic="x",
            priority=1,
            depends_on=[],
            predicted_files=["f"],
            estimated_duration_s=None,
        )
        for name in ("a", "b")
    ],
    epics=[plans.PlanEpic(epic="x")],
    metadata=plans.PlanMetadata(
        total_tasks=2,
        total_batches=1,
        parallel_batches=1,
        conflicts=1,
        conflict_rate=0.0,
        estimated_duration_s=1.5,
        finished_tasks=1,
        cycles=[["c", "d"]],
        epic_cycles=[],
        excluded=["c", "d"],
        missing=[plans.TaskDependency(task_id="a", depends_on="z")],
        missing_epics=[plans.EpicDependency(epic="x", depends_on="y")],
        finished_dependencies=[plans.TaskDependency(task_id="b", depends_on="f")],
        reason=None,
        warnings=["look"],
        manually_modified=True,
        max_worktrees=4,
    ),
)

PROJECT_PLAN: Final = projects.ProjectPlan(
    plan_id="p1",
    project_id="0123456789ab",
    project="/p",
    execution_id=None,
    seq=4,
    seen_seq=6,
    plan=PLAN,
    adjustments=[
        projects.PlanAdjustment(seq=5, id="k", time=2, uid=1000, refused="no such task: z"),
        projects.PlanAdjustment(seq=6, id=None, time=3, uid=0, refused=None),
    ],
    pending=1,
    failure=projects.PlanFailure(seq=7, time=4, execution_id="e", reason="too large"),
    actual=plans.PlanScore(
        plan_id="p1",
        finished_tasks=1,
        total_tasks=2,
        files=[plans.FileScore(path="f", predicted=["a", "b"], actual=["a"])],
        conflicts=plans.ConflictScore(predicted=["f"], happened=[], both=[], precision=0.0, recall=None),
        whole=plans.DurationScore(batch_id=None, estimated_s=1.5, actual_s=2.0),
        batches=[plans.DurationScore(batch_id=1, estimated_s=1.5, actual_s=2.0)],
        parallelism=1.0,
        files_f1=0.5,
        conflicts_f1=None,
        duration_accuracy=0.75,
        pace=None,
        score=0.6,
    ),
)
