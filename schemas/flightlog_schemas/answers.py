"""What queries answer with. Times are integer microseconds here; `--json` and HTTP show RFC 3339."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from flightlog_schemas.events.agent import AgentStatus
from flightlog_schemas.events.envelope import ErrorInfo, Provenance
from flightlog_schemas.events.execution import Owner
from flightlog_schemas.events.task import Retrieval, Runner, TaskIO
from flightlog_schemas.passing import OriginStatus, RelayStatus
from flightlog_schemas.statuses import Status, TaskStatus

SearchState = Literal["ok", "starting", "failing", "off"]


class Execution(Struct, kw_only=True):
    """One execution as its events left it; what is not known is None.

    `first_seq` and `last_seq` are the positions of its first and last event, `state_seq` that of the last
    one that commands must know of; `uid` and `pid` are the peer's that announced it, by the kernel, and None
    for an execution that is mentioned and was never announced. Tokens and money are the sums of its agents.
    `host` is the machine that recorded it.
    """

    execution_id: str
    parent_id: str | None
    name: str | None
    trigger: str | None
    tool: str | None
    tool_version: str | None
    args: list[str] | None
    project: str | None
    goal: str | None
    status: Status
    outcome_reason: str | None
    owner: Owner | None
    phase: str | None
    phases: list[str] | None
    complexity: int | None
    auto_advance: bool | None
    force_full: bool | None
    labels: dict[str, str]
    counts: dict[str, int]
    error: ErrorInfo | None
    exit_status: int | None
    deadline: int | None
    started_at: int | None
    finished_at: int | None
    duration_us: int | None
    agent_count: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    log_count: int
    levels: dict[str, int]
    first_seq: int
    last_seq: int
    state_seq: int
    uid: int | None
    pid: int | None
    host: str | None = None


class PhasePosition(Struct, kw_only=True):
    """Where an execution stands in its chain of phases, and what a step from there needs.

    `phases` is None for the default chain, `next_phase` at its end and for one that has ended, `phase` where
    there is no chain. `artifacts` counts those of this phase, `active_agents` names those that are not done.
    """

    execution_id: str
    phase: str | None
    phases: list[str] | None
    status: Status
    complexity: int | None
    auto_advance: bool | None
    force_full: bool | None
    next_phase: str | None
    skipped: list[str]
    artifacts: int
    active_agents: list[str]
    state_seq: int


class TaskAttempt(Struct, kw_only=True):
    """One attempt at a task; what is not known is None.

    `seq` is the position of the first event that mentions it. With `inferred` it ended with its execution
    and said nothing itself.
    """

    execution_id: str
    task_id: str
    slug: str | None
    name: str | None
    type: str | None
    status: TaskStatus
    inferred: bool
    reason: str | None
    attempt: int
    trace_id: str | None
    span_id: str | None
    retry_of: str | None
    parent_task_id: str | None
    agent_id: str | None
    causation_id: str | None
    created_at: int
    scheduled_at: int | None
    started_at: int | None
    finished_at: int | None
    duration_us: int | None
    inputs: dict[str, Any] | None
    outputs: dict[str, Any] | None
    error: ErrorInfo | None
    retrieval: Retrieval | None
    runner: Runner | None
    io: TaskIO | None
    config_digest: str | None
    provenance: Provenance
    scrubbed: bool | None
    seq: int
    host: str | None = None


class Agent(Struct, kw_only=True):
    """One agent of an execution. Tokens and money are the sums of what it reported."""

    agent_id: str
    execution_id: str
    agent_type: str
    name: str | None
    status: AgentStatus
    dispatch_id: str | None
    parent_agent_id: str | None
    model: str | None
    input_tokens: int
    output_tokens: int
    cost_usd: float
    created_at: int
    updated_at: int
    host: str | None = None


class Artifact(Struct, kw_only=True):
    """One file as it was when it was written; size and digest where it could be read."""

    artifact_id: str
    execution_id: str
    phase: str | None
    path: str
    type: str
    agent_id: str | None
    task_id: str | None
    size_bytes: int | None
    sha256: str | None
    created_at: int
    seq: int
    host: str | None = None


class LogLine(Struct, kw_only=True):
    """One log line, or a lifecycle event shown as one (source `daemon`). `level` is a range's name.

    With `scrubbed` personal data was taken out of it. `host` is there where lines may be of several
    executions.
    """

    seq: int
    time: int
    execution_id: str
    task_id: str | None
    agent_id: str | None
    level: str
    source: str | None
    message: str
    fields: dict[str, Any] | None
    scrubbed: bool
    host: str | UnsetType | None = UNSET


class AuditEntry(Struct, kw_only=True):
    """One entry of the audit trail; `uid` and `pid` are the peer's, by the kernel."""

    seq: int
    time: int
    execution_id: str | None
    task_id: str | None
    event_type: str
    from_state: str | None
    to_state: str | None
    reason: str | None
    uid: int
    pid: int
    detail: dict[str, Any] | None
    host: str | None = None


class NamedCursor(Struct, kw_only=True):
    """How far a reader has confirmed what it was sent; `lag` is how many positions lie after that."""

    name: str
    uid: int
    seq: int
    lag: int
    moved_at: int


class LateCursor(Struct, kw_only=True):
    """A cursor that is behind by more than the settings allow: by how many positions, and for how long."""

    name: str
    uid: int
    seq: int
    lag: int
    lag_us: int


class ProjectionStatus(Struct, kw_only=True):
    """How far one read model is, and what broke it."""

    name: str
    position: int
    lag: int
    broken_at: int | None
    error: str | None


class SearchStatus(Struct, kw_only=True):
    """How the index of words is.

    `state` is `ok`, `starting`, `failing` (it tries again, `reason` says what is wrong) or `off`. The log is
    indexed up to `position`; `lag` positions are not, the oldest of them for `lag_us` microseconds.
    """

    state: SearchState
    reason: str | None
    position: int
    lag: int
    lag_us: int
    index_bytes: int


class RetentionStatus(Struct, kw_only=True):
    """The last pass of retention: when it ended, what it removed, and how much is in use after it."""

    finished_at: int
    lines: int
    bytes: int
    executions: int
    used_bytes: int
    limit_bytes: int | None


class StoredStatus(Struct, kw_only=True):
    """How much of the log is stored as it came (`hot`), and how much compressed (`cold`).

    Events are positions in rows that are there; bytes are those of their lines, as they are stored.
    """

    hot_events: int
    hot_bytes: int
    cold_events: int
    cold_bytes: int


class UserStatus(Struct, kw_only=True):
    """One user who is connected, or was.

    `lines_per_s` is an average over about ten seconds. `limited_since` is when it went over a rate that it is
    still held to, `suppressed` how many of its lines were shed since the daemon started.
    """

    uid: int
    connections: dict[str, int]
    lines_per_s: float
    queued_bytes: int
    limited_since: int | None
    suppressed: int


class Host(Struct, kw_only=True):
    """One log and the machine that recorded it; `here` is the log that is asked.

    Of another log, `events` is how much of it is here, `last_seq` the highest position of that, `first_at`
    and `last_at` are when the first and the last was received there, `received_at` is when lines came here
    last, and `lag_us` how long after the last was received there that was. `failed` counts all that did not
    end well, save what was cancelled. `mark` is what ids of its executions end with.
    """

    host: str
    log_id: str
    mark: str
    here: bool
    events: int
    executions: int
    running: int
    failed: int
    last_seq: int
    first_at: int | None
    last_at: int | None
    received_at: int | None
    lag_us: int | None


class DaemonStatus(Struct, kw_only=True):
    """How the daemon is.

    `state` is `ok`, or the fault that it waits out: `storage_full`, `storage_failing`. `phase` is what the
    writer does at this moment. Of the executions that run and name an owner, `watched` are lost when it dies;
    that of `unwatched` cannot be seen from here, as in another pid namespace. `cursor_lag` is how many
    positions the hindmost of the named cursors is behind, `late_cursors` are the first hundred that are
    warned of; `relays` are the hundred hindmost. Of the `origin_count` other logs whose lines are here,
    `origins` are the hundred whose lines came latest after they were received there, `collected_at` is when
    lines of any came last. `masked_lines` counts those that came with secrets or personal data in them, since
    it started. `retention` is None until a first pass has ended; `table_bytes` are the sizes of tables,
    indexes included, as they were after it. `clock_behind_us` is how far behind the newest time of receipt
    the clock is, for it was set back and such times never are. `users` are those with most connections, a
    hundred at most.
    `reserve_bytes` are kept aside on disk, given up when it is full; `free_bytes` are everybody's.
    `damaged_wal` is where a write-ahead log was put that was damaged at a start, as long as it is there.
    """

    schema_version: int
    version: str
    log_id: str
    host: str
    state: str
    state_reason: str | None
    phase: str
    pid: int
    uptime_us: int
    head_seq: int
    clock_behind_us: int
    database_bytes: int
    wal_bytes: int
    damaged_wal: str | None
    reserve_bytes: int
    free_bytes: int
    memory_bytes: int
    running: int
    watched: int
    unwatched: int
    refused: int
    masked_lines: int
    line_gaps: int
    connections: dict[str, int]
    users: list[UserStatus]
    followers: int
    cursors: int
    cursor_lag: int
    late_cursors: list[LateCursor]
    relays: list[RelayStatus]
    origins: list[OriginStatus]
    origin_count: int
    collected_at: int | None
    queued_lines: int
    queued_bytes: int
    projections: list[ProjectionStatus]
    search: SearchStatus
    stored: StoredStatus
    retention: RetentionStatus | None
    table_bytes: dict[str, int]
    state_dir: str
    runtime_dir: str
