"""What `stats` and `completions` answer with. Times and durations are integer microseconds."""

from msgspec import Struct

from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.statuses import TaskStatus


class Durations(Struct, kw_only=True):
    """How long attempts took: `avg_us` is exact, all others are within 2 %; None where nothing is known."""

    count: int
    min_us: int | None
    avg_us: int | None
    p50_us: int | None
    p95_us: int | None
    max_us: int | None


class Retrievals(Struct, kw_only=True):
    """What attempts looked up before they worked: how many did, what they found, how long it took."""

    attempts: int
    memory_count: int
    avg_latency_us: int | None


class TaskCounts(Struct, kw_only=True):
    """Attempts at one task, ended ones alone; where one project is asked about, without durations."""

    task_id: str
    attempts: int
    retries: int
    by_status: dict[TaskStatus, int]
    success_rate: float | None
    durations: Durations


class FailurePattern(Struct, kw_only=True):
    """Failures with the same stack.

    `count`, `task_ids` (those that failed so last) and `example` (the newest) are of the attempts that were
    asked about; `first_at` and `last_at` of all that ever failed so.
    """

    stack_hash: str
    count: int
    first_at: int
    last_at: int
    task_ids: list[str]
    example: TaskAttempt | None


class Stats(Struct, kw_only=True):
    """How attempts at tasks went.

    `attempts` counts those that have ended, `retries` which of them were no first attempts, `open` those that
    have not ended, by status. `success_rate` is the share of those that succeeded among those that did or
    failed, timed out or were lost: who was cancelled is in neither. `failures` are the newest.
    """

    attempts: int
    retries: int
    open: dict[TaskStatus, int]
    by_status: dict[TaskStatus, int]
    by_provenance: dict[str, int]
    success_rate: float | None
    durations: Durations
    retrievals: Retrievals
    tasks: list[TaskCounts]
    failures: list[TaskAttempt]
    patterns: list[FailurePattern]


class Completion(TaskAttempt, kw_only=True):
    """An attempt that has ended.

    `ended_seq` is the position of the event that ended it. `novel` says that no failure recorded before had
    its stack hash.
    """

    ended_seq: int
    novel: bool
