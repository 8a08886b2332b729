"""`execution.*`: the life of one run of a tool, workflow or agent session."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from flightlog_schemas.events.envelope import ErrorInfo, Event
from flightlog_schemas.limits import Count, Id, Int64, Micros

Trigger = Literal["manual", "schedule", "webhook"]
Outcome = Literal["succeeded", "partial", "failed", "cancelled", "timed_out"]
Labels = dict[str, str]
Counts = dict[str, Int64]
Phases = Annotated[tuple[str, ...], Meta(min_length=2)]
Complexity = Annotated[int, Meta(ge=1, le=5)]


class Owner(Struct, kw_only=True, omit_defaults=True, gc=False, frozen=True):
    """The process whose end is the execution's end.

    Attributes:
        pid: Process id.
        start_time: Field 22 of /proc/PID/stat (clock ticks since boot), so that a reused pid is not it.
        boot_id: /proc/sys/kernel/random/boot_id, so that a process before a reboot is not it.
        pid_namespace: Inode of /proc/PID/ns/pid: elsewhere the pid is another process, or none.
    """

    pid: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    start_time: Count | None = None
    boot_id: str | None = None
    pid_namespace: Count | None = None


class BootClock(Struct, kw_only=True, gc=False, frozen=True):
    """A reading of the clock that nobody sets, so that a duration over two processes is true.

    Attributes:
        boot_id: Which boot of which machine it belongs to.
        uptime_us: CLOCK_BOOTTIME of clock_gettime(2), microseconds.
    """

    boot_id: str
    uptime_us: Micros


class _Announcement(Event, kw_only=True):
    """What is known of an execution before it does anything."""

    execution_id: Id
    name: str | None = None
    trigger: Trigger = "manual"
    tool: str | None = None
    tool_version: str | None = None
    args: tuple[str, ...] | None = None
    project: str | None = None
    goal: str | None = None
    parent_id: Id | None = None
    owner: Owner | None = None
    deadline: Micros | None = None
    phases: Phases | None = None
    complexity: Complexity | None = None
    auto_advance: bool | None = None
    force_full: bool | None = None
    labels: Labels | None = None


class ExecutionCreated(_Announcement, kw_only=True, tag="execution.created"):
    """An execution is announced and has not begun: `pending`."""


class ExecutionStarted(_Announcement, kw_only=True, tag="execution.started"):
    """An execution runs. What an earlier `execution.created` said and this leaves out stays."""

    clock: BootClock | None = None


class ExecutionWaiting(Event, kw_only=True, tag="execution.waiting"):
    """A running execution waits for something outside: `running` to `waiting`."""

    execution_id: Id
    reason: str | None = None


class ExecutionResumed(Event, kw_only=True, tag="execution.resumed"):
    """A waiting execution goes on: `waiting` to `running`."""

    execution_id: Id
    reason: str | None = None


class ExecutionChanged(Event, kw_only=True, tag="execution.changed"):
    """Settings of an execution were changed; labels are merged by name."""

    execution_id: Id
    complexity: Complexity | None = None
    auto_advance: bool | None = None
    force_full: bool | None = None
    labels: Labels | None = None
    reason: str | None = None


class ExecutionCounted(Event, kw_only=True, tag="execution.counted"):
    """Counters moved on: each number is added to the counter of that name."""

    execution_id: Id
    counts: Counts


class ExecutionAdvanced(Event, kw_only=True, tag="execution.advanced"):
    """The execution went from one phase of its chain to another; into the last one means success."""

    execution_id: Id
    to_phase: str
    from_phase: str | None = None
    reason: str | None = None
    priority: Annotated[int, Meta(ge=0, le=999)] | None = None
    skipped: tuple[str, ...] | None = None
    gates: tuple[dict[str, Any], ...] | None = None
    clock: BootClock | None = None


class ExecutionBlocked(Event, kw_only=True, tag="execution.blocked"):
    """A step to the next phase was asked for and not made: a gate does not hold, or it is paused."""

    execution_id: Id
    cause: Literal["gate", "paused"]
    to_phase: str
    from_phase: str | None = None
    reason: str | None = None
    priority: Annotated[int, Meta(ge=0, le=999)] | None = None
    gates: tuple[dict[str, Any], ...] | None = None


class ExecutionAdopted(Event, kw_only=True, tag="execution.adopted"):
    """Another process owns the execution from here on."""

    execution_id: Id
    owner: Owner


class ExecutionEnded(Event, kw_only=True, tag="execution.ended"):
    """The execution is over, and how.

    `duration_us` is measured by a monotonic clock where start and end were one process; where they were two,
    `clock` beside that of the start gives it. `counts` are added to the execution's counters.
    """

    execution_id: Id
    outcome: Outcome
    reason: str | None = None
    error: ErrorInfo | None = None
    exit_status: Int64 | None = None
    duration_us: Micros | None = None
    counts: Counts | None = None
    clock: BootClock | None = None


class ExecutionLost(Event, kw_only=True, tag="execution.lost"):
    """An inference: its owner is gone and no ending came. A real ending by the owner replaces it."""

    execution_id: Id
    reason: str
    evidence: dict[str, Any] | None = None
