"""A plan of how a project's tasks should be run: what it is built from, the plan, how it went.

Answers, HTTP and the event `plan.built` carry these. Times and durations that end in `_us` are integer
microseconds, those in `_s` seconds. Lists of ids are sorted unless it says otherwise.
"""

from typing import Literal

from msgspec import Struct

from flightlog_schemas.events.task import Dependency

ConflictKind = Literal[
    "same_file",  # their texts name one file
    "same_directory",  # they name files of one directory, and no one file that all share
    "potential",  # an epic with tasks that name no file, or a module that several speak of
]

# What a plan is built from.


class PlanTask(Struct, kw_only=True, frozen=True, gc=False):
    """A task as it was declared last, and what the log knows of it.

    `finished`: a run of it in this project succeeded. `typical_duration_us` is how long such tasks took, None
    where nothing is known. None for, or within, `depends_on` is nothing.
    """

    task_id: str
    description: str | None = None
    action: str | None = None
    epic: str | None = None
    priority: int = 999
    depends_on: tuple[Dependency | None, ...] | None = ()
    finished: bool = False
    typical_duration_us: int | None = None


class PlanEpic(Struct, kw_only=True, frozen=True, gc=False):
    """A group of tasks; they all wait for all tasks of the epics that it depends on."""

    epic: str
    name: str | None = None
    depends_on: tuple[str, ...] = ()


# The plan.


class PlannedTask(Struct, kw_only=True, frozen=True, gc=False):
    """A task that the plan holds, in what the plan took into account of it.

    `depends_on` are the hard dependencies among the tasks of the plan, those of its epic left out.
    `predicted_files` are the paths that its text names.
    """

    task_id: str
    epic: str | None
    priority: int
    depends_on: list[str]
    predicted_files: list[str]
    estimated_duration_s: float | None


class PlanBatch(Struct, kw_only=True, frozen=True, gc=False):
    """Tasks that wait for none of each other, and share no predicted file.

    `task_ids` in the order of priority, then id. `depends_on` are the batches that must be over before this
    one begins: they hold a dependency, or a task with the same file. `can_parallel` says whether its tasks
    may run at once: there are several, without a same-file conflict. The estimate counts tasks whose
    duration is known, None where no one's is.
    """

    batch_id: int
    task_ids: list[str]
    can_parallel: bool
    depends_on: list[int]
    estimated_duration_s: float | None


class WorktreeAssignment(Struct, kw_only=True, frozen=True, gc=False):
    """The tasks of one batch that run in one worktree, whose name is a valid name of a branch.

    `epics` are those of its tasks, none where they have none; `task_ids` in the order of the batch.
    """

    worktree: str
    batch_id: int
    epics: list[str]
    task_ids: list[str]


class PredictedConflict(Struct, kw_only=True, frozen=True, gc=False):
    """Two or more tasks that may get in each other's way: one entry for each path or hint, not for each pair.

    `path` is the file or directory; `hint` is `epic:NAME` or `module:NAME` for a potential one.
    """

    kind: ConflictKind
    task_ids: list[str]
    path: str | None
    hint: str | None


class TaskDependency(Struct, kw_only=True, frozen=True, gc=False):
    """A task and one that it depends on."""

    task_id: str
    depends_on: str


class EpicDependency(Struct, kw_only=True, frozen=True, gc=False):
    """An epic and one that it depends on."""

    epic: str
    depends_on: str


class PlanMetadata(Struct, kw_only=True, frozen=True, gc=False):
    """What is to know about a plan as a whole.

    Attributes:
        total_tasks: Tasks that it holds.
        total_batches: Batches.
        parallel_batches: Batches whose tasks may run at once.
        conflicts: Predicted conflicts of all kinds.
        conflict_rate: Share of its tasks that are in a same-file conflict, 0..1.
        estimated_duration_s: The batches one after the other; None where nothing is known.
        finished_tasks: Tasks that are declared and finished; they are not planned again.
        cycles: Tasks that wait for each other, or for themselves: each list is one knot of them. Those that
            do only because their epics do are not named here.
        epic_cycles: Epics that wait for each other, or for themselves.
        excluded: Tasks that are left out: members of a cycle, and what hangs on them.
        missing: Hard and soft dependencies that nobody declared; the tasks are planned all the same.
        missing_epics: Dependencies of epics that nobody declared and no task has.
        finished_dependencies: Hard dependencies that are finished, so that nobody waits for them.
        reason: Why the plan is empty; None where it is not.
        warnings: What somebody should look at, in words.
        manually_modified: Somebody adjusted it.
        max_worktrees: How many worktrees a batch may have.
    """

    total_tasks: int
    total_batches: int
    parallel_batches: int
    conflicts: int
    conflict_rate: float
    estimated_duration_s: float | None
    finished_tasks: int
    cycles: list[list[str]]
    epic_cycles: list[list[str]]
    excluded: list[str]
    missing: list[TaskDependency]
    missing_epics: list[EpicDependency]
    finished_dependencies: list[TaskDependency]
    reason: str | None
    warnings: list[str]
    manually_modified: bool
    max_worktrees: int


class Plan(Struct, kw_only=True, frozen=True, gc=False):
    """How the tasks of a project should be run: batch after batch, each spread over worktrees.

    `tasks` and `epics` are what it was built from, by id, so that it can be checked and adjusted without
    asking again; epics are those that have a task here or lie between such.
    """

    plan_id: str
    project: str
    created_at: int
    batches: list[PlanBatch]
    worktree_assignments: list[WorktreeAssignment]
    predicted_conflicts: list[PredictedConflict]
    tasks: list[PlannedTask]
    epics: list[PlanEpic]
    metadata: PlanMetadata


# What somebody may change by hand: an object of each, by batch id (as text) and by worktree.


class BatchOverride(Struct, kw_only=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """What becomes of a batch: all its tasks, in their order, or whether they may run at once."""

    task_ids: list[str] | None = None
    can_parallel: bool | None = None


class WorktreeOverride(Struct, kw_only=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """The tasks, all of one batch, that move to a worktree; a name that is new makes one."""

    task_ids: list[str]


# How it went.


class TaskSpan(Struct, kw_only=True, frozen=True, gc=False):
    """An attempt at a task after the plan was built; `finished_at` is None while it runs."""

    task_id: str
    started_at: int
    finished_at: int | None


class FileWrite(Struct, kw_only=True, frozen=True, gc=False):
    """A task wrote a file; `path` as it was recorded, absolute or relative to the project."""

    task_id: str
    path: str


class PlanFacts(Struct, kw_only=True, frozen=True, gc=False):
    """What happened to the tasks of a plan, in any order; what is of other tasks is passed over."""

    spans: list[TaskSpan] = []
    writes: list[FileWrite] = []


class FileScore(Struct, kw_only=True, frozen=True, gc=False):
    """A file that was predicted or written: by which tasks it should have been, by which it was."""

    path: str
    predicted: list[str]
    actual: list[str]


class ConflictScore(Struct, kw_only=True, frozen=True, gc=False):
    """Files that several tasks should have written, and files that several wrote.

    `precision` is the share of predicted that happened, `recall` the share of happened that was predicted;
    None where there are none. `predicted` leaves out files that nobody wrote.
    """

    predicted: list[str]
    happened: list[str]
    both: list[str]
    precision: float | None
    recall: float | None


class DurationScore(Struct, kw_only=True, frozen=True, gc=False):
    """How long a batch (None: the whole plan) should have taken and took, first start to last end."""

    batch_id: int | None
    estimated_s: float | None
    actual_s: float | None


class PlanScore(Struct, kw_only=True, frozen=True, gc=False):
    """A plan against what happened.

    `parallelism` is the sum of what the tasks took, divided by the time from the first start to the last
    end. `score`, 0..1, is the mean of those of `files_f1`, `conflicts_f1`, `duration_accuracy` and `pace`
    that are known; None where none is. docs/plans.md has their formulas.
    """

    plan_id: str
    finished_tasks: int
    total_tasks: int
    files: list[FileScore]
    conflicts: ConflictScore
    whole: DurationScore
    batches: list[DurationScore]
    parallelism: float | None
    files_f1: float | None
    conflicts_f1: float | None
    duration_accuracy: float | None
    pace: float | None
    score: float | None
