"""`task.*`: units of work inside an execution, and their attempts."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from flightlog_schemas.events.envelope import ErrorInfo, Event
from flightlog_schemas.limits import Count, Id, Micros, SpanId

TaskOutcome = Literal["succeeded", "failed", "cancelled", "timed_out"]


class Dependency(Struct, kw_only=True, omit_defaults=True, gc=False):
    """One task waits for another; a soft dependency never delays."""

    task_id: Id
    kind: Literal["hard", "soft"] = "hard"


class Runner(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What ran the attempt, and where."""

    name: str | None = None
    version: str | None = None
    pid: Count | None = None
    host: str | None = None


class Retrieval(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What an agent looked up before it worked."""

    memory_count: Count | None = None
    sources: tuple[str, ...] | None = None
    query: str | None = None
    latency_us: Micros | None = None


class TaskIO(Struct, kw_only=True, omit_defaults=True, gc=False):
    """What an attempt did to the outside."""

    files_written: tuple[str, ...] | None = None
    artifact_ids: tuple[str, ...] | None = None
    tool_calls: Count | None = None
    script_runs: Count | None = None


class TaskDeclared(Event, kw_only=True, tag="task.declared"):
    """A task exists in a project; it needs no execution."""

    task_id: Id
    project: str
    description: str | None = None
    action: str | None = None
    epic: str | None = None
    priority: Annotated[int, Meta(ge=0, le=999)] = 999
    depends_on: tuple[Dependency, ...] = ()


class TaskCreated(Event, kw_only=True, tag="task.created"):
    """A task of an execution is known and has not begun: `pending`."""

    execution_id: Id
    task_id: Id
    name: str | None = None
    slug: str | None = None
    task_type: str | None = None
    parent_task_id: Id | None = None


class _Begun(Event, kw_only=True):
    """What is said of the beginning of an attempt. `attempt` is 1 exactly when `retry_of` is absent."""

    execution_id: Id
    task_id: Id
    name: str | None = None
    slug: str | None = None
    task_type: str | None = None
    parent_task_id: Id | None = None
    attempt: Annotated[int, Meta(ge=1, le=2**31)] = 1
    retry_of: SpanId | None = None
    scheduled_at: Micros | None = None
    config_digest: str | None = None
    inputs: dict[str, Any] | None = None
    retrieval: Retrieval | None = None
    runner: Runner | None = None


class TaskStarted(_Begun, kw_only=True, tag="task.started"):
    """An attempt begins. `attempt` is 1 exactly when `retry_of` is absent."""

    reason: str | None = None


class TaskWaiting(Event, kw_only=True, tag="task.waiting"):
    """A running task waits for something outside."""

    execution_id: Id
    task_id: Id
    reason: str | None = None


class TaskResumed(Event, kw_only=True, tag="task.resumed"):
    """A waiting task goes on."""

    execution_id: Id
    task_id: Id
    reason: str | None = None


class TaskEnded(_Begun, kw_only=True, tag="task.ended"):
    """An attempt is over, and how. A failure has an error with a message.

    With `started_at` it tells of the beginning, too: so an attempt of the past is one event. What it says of
    that is passed over where a `task.started` came before.
    """

    outcome: TaskOutcome
    reason: str | None = None
    error: ErrorInfo | None = None
    outputs: dict[str, Any] | None = None
    duration_us: Micros | None = None
    io: TaskIO | None = None
    started_at: Micros | None = None
