"""query.sock: one request object on a line, answer lines, then end or error; the connection stays usable.

A request is `{"VERB":{...}}`. Answer lines are objects with one key that names what they hold
(`{"execution":{...}}`, `{"log":{...}}`), save recorded events, which stand bare as in a tail. The last line
is `{"end":{...}}` or `{"error":{...}}`.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Raw, Struct

from flightlog_schemas.events.agent import AgentStatus
from flightlog_schemas.events.envelope import Provenance
from flightlog_schemas.limits import Count, Id, Micros, TraceId
from flightlog_schemas.wire.codes import QueryErrorCode

Status = Literal[
    "pending", "running", "waiting", "succeeded", "partial", "failed", "cancelled", "timed_out", "lost"
]
TaskStatus = Literal["pending", "running", "waiting", "succeeded", "failed", "cancelled", "timed_out", "lost"]
ACTIVE: Final[tuple[Status, ...]] = ("pending", "running", "waiting")
TERMINAL: Final[tuple[Status, ...]] = ("succeeded", "partial", "failed", "cancelled", "timed_out", "lost")

PAGE_LIMIT = 1000
"""Most answers to one request for a page."""

Limit = Annotated[int, Meta(ge=0, le=PAGE_LIMIT)]
LevelNumber = Annotated[int, Meta(ge=1, le=24)]
WaitMs = Annotated[int, Meta(ge=0, le=24 * 3600 * 1000)]


class Request(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What every request may say: answer once position `min_seq` is readable, waiting at most `wait_ms`."""

    min_seq: Count = 0
    wait_ms: WaitMs = 5000


class Tail(Request, kw_only=True):
    """Recorded events after a position, oldest first; with `follow` it does not end.

    Attributes:
        after: Events with a higher seq; None means from now on.
        last: Only the last that many matching events of what is there.
        since: Begin at the first batch received at or after this time instead.
        until: End before the first batch received at or after this time, and do not follow.
        cursor: Begin after this named cursor of the peer's user. `after` wins over it, and it over `last` and
            `since`, which say where where there is none. Reading does not move it: the request `cursor` does.
        follow: False ends at the position that was the head when the request came.
        limit: End after that many matching events.
        type: Any of these types; a name ending in `.` or `.*` takes the family.
        execution_id: Events of this execution.
        task_id: Events with this task.
        agent_id: Events with this agent.
        level: Log lines of any of these levels only (numbers of OpenTelemetry ranges: 1, 5, 9, ...).
        source: Log lines of exactly this source only.
        grep: Lines whose JSON text holds this substring, or all of these.
        exclude: Lines whose JSON text holds none of these substrings.
    """

    after: Count | None = None
    last: Limit | None = None
    since: Micros | None = None
    until: Micros | None = None
    cursor: Id | None = None
    follow: bool = True
    limit: Count | None = None
    type: tuple[str, ...] = ()
    execution_id: Id | None = None
    task_id: Id | None = None
    agent_id: Id | None = None
    level: tuple[LevelNumber, ...] = ()
    source: str | None = None
    grep: str | tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Events(Request, kw_only=True):
    """Recorded events of one execution, oldest first, a page at a time; log lines only if asked for."""

    execution_id: Id
    after: Count = 0
    limit: Limit = PAGE_LIMIT
    type: tuple[str, ...] = ()
    logs: bool = False


class Executions(Request, kw_only=True):
    """Executions, newest first (by started or announced time, then by first_seq).

    `project` and `name` are equal matches; `since` and `until` bound the start; `before` is the `next` of
    the page before this one.
    """

    status: tuple[Status, ...] = ()
    project: str | None = None
    name: str | None = None
    parent_id: Id | None = None
    since: Micros | None = None
    until: Micros | None = None
    before: str | None = None
    limit: Limit = 50


class Inspect(Request, kw_only=True):
    """One execution: `{"execution":{...}}`, and what else is asked for of it, one after the other.

    Attributes:
        execution_id: Its id, or a prefix that fits no other.
        audit: Its trail, as `{"audit":{...}}` lines.
        tasks: The attempts at its tasks, as `{"task":{...}}` lines, oldest first.
        agents: Its agents, as `{"agent":{...}}` lines.
        artifacts: Its artifacts, as `{"artifact":{...}}` lines.
        as_of: As it was when the log ended at this position.
        as_of_time: As it was at this time (by when the daemon received events), instead.
    """

    execution_id: Id
    audit: bool = False
    tasks: bool = False
    agents: bool = False
    artifacts: bool = False
    as_of: Count | None = None
    as_of_time: Micros | None = None


class Phase(Request, kw_only=True):
    """Where an execution stands in its chain, and what a step from there needs: `{"phase":{...}}`."""

    execution_id: Id


class Tasks(Request, kw_only=True):
    """Attempts at tasks, newest first, a page at a time: `{"task":{...}}`.

    Attributes:
        execution_id: Of this execution.
        task_id: Of this task, in any execution.
        slug: Of tasks of this slug.
        trace_id: Of this trace: all attempts at one task.
        status: In this status.
        provenance: That came here in this way.
        since: Mentioned first at or after this time (by when the daemon received it).
        oldest_first: The other way round.
        before: Newest first, the `next` of the page before.
        after: Oldest first, likewise.
        limit: Most on a page.
    """

    execution_id: Id | None = None
    task_id: Id | None = None
    slug: str | None = None
    trace_id: TraceId | None = None
    status: TaskStatus | None = None
    provenance: Provenance | None = None
    since: Micros | None = None
    oldest_first: bool = False
    before: Count | None = None
    after: Count | None = None
    limit: Limit = PAGE_LIMIT


class Agents(Request, kw_only=True):
    """Agents of one execution in the order in which they were added, a page at a time: `{"agent":{...}}`.

    `agent_id` and `status` are equal matches; `after` is the `next` of the page before.
    """

    execution_id: Id
    agent_id: Id | None = None
    status: AgentStatus | None = None
    after: Count = 0
    limit: Limit = PAGE_LIMIT


class Artifacts(Request, kw_only=True):
    """Artifacts in the order in which they were written, a page at a time: `{"artifact":{...}}`.

    Of one execution, or, by `path`, of all: who wrote that file. Equal matches; `after` is a seq.
    """

    execution_id: Id | None = None
    path: str | None = None
    phase: str | None = None
    agent_id: Id | None = None
    type: str | None = None
    after: Count = 0
    limit: Limit = PAGE_LIMIT


class Logs(Request, kw_only=True):
    """Log lines of one execution or of all runs of a task, lifecycle events rendered among them.

    Attributes:
        execution_id: Its id, or a prefix that fits no other; without one `task_id` is needed, and the lines
            are those of that task in any execution that announced it.
        after: Lines with a higher seq.
        cursor: Lines after this named cursor of the peer's user, as in a tail; `after` wins.
        last: Only the last that many matching lines (before any that follow).
        limit: End after that many lines; with no limit all of them.
        follow: Go on until the execution has ended and its last line was sent; of a task it does not end.
        reverse: Newest first; not with `follow`.
        before: With `reverse`, lines with a lower seq.
        level: Any of these level ranges (1, 5, 9, 13, 17, 21).
        source: Exactly this source.
        task_id: Lines of this task.
        agent_id: Lines of this agent.
        since: Lines at or after this time.
        until: Lines before this time.
        grep: Messages that hold this substring, or all of these.
        exclude: Messages that hold none of these substrings.
    """

    execution_id: Id | None = None
    after: Count | None = None
    cursor: Id | None = None
    last: Count | None = None
    limit: Count | None = None
    follow: bool = False
    reverse: bool = False
    before: Count | None = None
    level: tuple[LevelNumber, ...] = ()
    source: str | None = None
    task_id: Id | None = None
    agent_id: Id | None = None
    since: Micros | None = None
    until: Micros | None = None
    grep: str | tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Cursor(Request, kw_only=True):
    """Move a named cursor of the peer's user, or remove it: `{"cursor":{...}}`, as it is then or last was.

    Attributes:
        name: Which.
        seq: Everything up to here was delivered. It is durable when it is answered, and never beyond the
            head. A cursor that is further already stays where it is.
        back: Move it although it is further.
        remove: Remove it instead.
        uid: Whose, where that is another user; for root alone.
    """

    name: Id
    seq: Count | None = None
    back: bool = False
    remove: bool = False
    uid: Count | None = None


class Cursors(Request, kw_only=True):
    """Named cursors of the peer's user by name, for root those of all users: `{"cursor":{...}}`.

    `name` is an equal match; `after` is the `next` of the page before.
    """

    name: Id | None = None
    after: Count = 0
    limit: Limit = PAGE_LIMIT


class Search(Request, kw_only=True):
    """Log lines in which words occur, newest first, a page at a time: `{"log":{...}}`, as `logs` has them.

    The words are looked up in an index that is a little behind the log: a search waits a moment for it, one
    with `min_seq` until that position is in it, and `end.lag` says how many positions are not. `words` has
    the rules for the text. Lines are found whole words at a time, whatever their case, accents and
    punctuation: `user_id` is `user` followed by `id`.

    Attributes:
        text: Words that all occur, "words in a row", beginnings*, and -what must not occur.
        execution_id: Lines of this execution: its id, or a prefix that fits no other.
        level: Any of these level ranges (1, 5, 9, 13, 17, 21).
        source: Exactly this source.
        task_id: Lines of this task.
        project: Lines of executions of this project.
        since: Lines at or after this time.
        until: Lines before this time.
        before: Lines with a lower seq: the `next` of the page before. A page may hold fewer lines than its
            limit although there are more.
        limit: Most on a page.
    """

    text: str
    execution_id: Id | None = None
    level: tuple[LevelNumber, ...] = ()
    source: str | None = None
    task_id: Id | None = None
    project: str | None = None
    since: Micros | None = None
    until: Micros | None = None
    before: Count | None = None
    limit: Limit = 50


class Audit(Request, kw_only=True):
    """The audit trail of one execution, or of the whole log without one, oldest first, a page at a time.

    Attributes:
        execution_id: Its id, or a prefix that fits no other.
        task_id: Entries about this task; without an execution, in any.
        type: Entries of any of these types (`FAILED`, `TASK_RETRIED`).
        since: Recorded at or after this time, by the daemon's clock.
        until: Recorded before this time.
        last: Only the last that many entries that match.
        after: The `next` of the page before; or a position: entries of later events.
    """

    execution_id: Id | None = None
    task_id: Id | None = None
    type: tuple[str, ...] = ()
    since: Micros | None = None
    until: Micros | None = None
    last: Count | None = None
    after: Count | str = 0
    limit: Limit = PAGE_LIMIT


class Check(Request, kw_only=True):
    """Whether all that was said of an execution is here, and what is missing: `{"check":{...}}`."""

    execution_id: Id


class Wait(Request, kw_only=True):
    """Answer when an execution has ended (`until` None) or has a status; `{"execution":{...}}`.

    The error is `timed_out` when `timeout_ms` ran out, and `outcome` when it ended in another status.
    """

    execution_id: Id
    until: Status | None = None
    timeout_ms: WaitMs | None = None


class StatusRequest(Request, kw_only=True):
    """How the daemon is: `{"status":{...}}`."""


REQUESTS: Final[dict[str, type[Request]]] = {
    "tail": Tail,
    "events": Events,
    "executions": Executions,
    "inspect": Inspect,
    "phase": Phase,
    "tasks": Tasks,
    "agents": Agents,
    "artifacts": Artifacts,
    "logs": Logs,
    "cursor": Cursor,
    "cursors": Cursors,
    "search": Search,
    "audit": Audit,
    "check": Check,
    "wait": Wait,
    "status": StatusRequest,
}
"""Verb to request; the verb is the one key of the line."""


class Recorded(Struct, kw_only=True):
    """An event with what only the daemon can say of it; `event` is the line as it was stored."""

    seq: int
    received: int
    uid: int
    pid: int
    producer: str
    line: int
    event: Raw


class Pruned(Struct, kw_only=True):
    """A hole that governance left in the log."""

    first_seq: int
    last_seq: int
    reason: str


class End(Struct, kw_only=True, omit_defaults=True):
    """The answer is complete: how many lines, the position it was read at, whether there is more.

    With `truncated`, `next` continues: the `before` of executions and of a search, the `after` of the others.
    `lag` is how many of the newest positions a search could not find yet.
    """

    count: int
    seq: int
    lag: int = 0
    truncated: bool = False
    next: str | int | None = None


class QueryError(Struct, kw_only=True, omit_defaults=True):
    """The question has no answer."""

    code: QueryErrorCode
    reason: str
    hint: str | None = None
