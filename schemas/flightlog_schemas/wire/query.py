"""query.sock: one request object on a line, answer lines, then end or error; the connection stays usable.

A request is `{"VERB":{...}}`. Answer lines are objects with one key that names what they hold
(`{"execution":{...}}`, `{"log":{...}}`), save recorded events, which stand bare as in a tail. The last line
is `{"end":{...}}` or `{"error":{...}}`.
"""

from typing import Any, Final

from flightlog_schemas.events.agent import AgentStatus
from flightlog_schemas.events.envelope import Provenance
from flightlog_schemas.limits import Count, ExecutionRef, Id, Micros, TraceId
from flightlog_schemas.statuses import Status, TaskStatus
from flightlog_schemas.wire.lines import Check, Cursor, Cursors, Events, Logs, OneEvent, Search, Tail
from flightlog_schemas.wire.request import PAGE_LIMIT, Hosts, Limit, Request, StatsLimit, WaitMs


class Executions(Request, kw_only=True):
    """Executions, newest first (by started or announced time, then by first_seq).

    `project` and `name` are equal matches, `host` is any of these machines; `since` and `until` bound the
    start; `before` is the `next` of the page before this one.
    """

    status: tuple[Status, ...] = ()
    project: str | None = None
    name: str | None = None
    parent_id: ExecutionRef | None = None
    since: Micros | None = None
    until: Micros | None = None
    before: str | None = None
    limit: Limit = 50
    host: Hosts = ()


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
        host: Of one of these machines.
    """

    execution_id: ExecutionRef
    audit: bool = False
    tasks: bool = False
    agents: bool = False
    artifacts: bool = False
    as_of: Count | None = None
    as_of_time: Micros | None = None
    host: Hosts = ()


class Phase(Request, kw_only=True):
    """Where an execution stands in its chain, and what a step from there needs: `{"phase":{...}}`."""

    execution_id: ExecutionRef


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
        host: Recorded by any of these machines.
    """

    execution_id: ExecutionRef | None = None
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
    host: Hosts = ()


class Stats(Request, kw_only=True):
    """How attempts at tasks went, all that match and not a page of them: one `{"stats":{...}}`.

    Of all of them, or of a task, a slug or a project.

    Attributes:
        host: Recorded by any of these machines.
        task_id: Of this task.
        slug: Of tasks of this slug; there is no list by task then.
        project: Of executions of this project; its list by task has counts and no durations.
        since: Ended on the day (UTC) of this time or later.
        until: Ended on the day of this time or before.
        provenance: That came here in this way.
        status: That ended so.
        tasks: At most so many tasks, those with most attempts.
        failures: At most so many failed attempts, newest first.
        patterns: At most so many groups of failures with the same stack, the largest.
    """

    task_id: Id | None = None
    slug: str | None = None
    project: str | None = None
    since: Micros | None = None
    until: Micros | None = None
    provenance: Provenance | None = None
    status: TaskStatus | None = None
    host: Hosts = ()
    tasks: StatsLimit = 10
    failures: StatsLimit = 10
    patterns: StatsLimit = 10


class Completions(Request, kw_only=True):
    """Attempts at tasks in the order in which they ended, and live those that end: `{"completion":{...}}`.

    One that ended with its execution and whose own ending is heard of later comes twice.

    Attributes:
        after: Ended by events after this position; default: now.
        follow: Go on with those that end, until the connection is closed.
        execution_id: Of this execution.
        task_id: Of this task.
        slug: Of tasks of this slug.
        status: That ended in any of these ways.
        provenance: That came here in this way.
        novel_only: Only failures whose stack hash was never seen before.
        limit: Stop after so many.
    """

    after: Count | None = None
    follow: bool = True
    execution_id: ExecutionRef | None = None
    task_id: Id | None = None
    slug: str | None = None
    status: tuple[TaskStatus, ...] = ()
    provenance: Provenance | None = None
    novel_only: bool = False
    limit: Count | None = None


class Agents(Request, kw_only=True):
    """Agents of one execution in the order in which they were added, a page at a time: `{"agent":{...}}`.

    `agent_id`, `status` and `host` are equal matches; `after` is the `next` of the page before.
    """

    execution_id: ExecutionRef
    agent_id: Id | None = None
    status: AgentStatus | None = None
    after: Count = 0
    limit: Limit = PAGE_LIMIT
    host: Hosts = ()


class Artifacts(Request, kw_only=True):
    """Artifacts in the order in which they were written, a page at a time: `{"artifact":{...}}`.

    Of one execution, or, by `path`, of all: who wrote that file. Equal matches; `after` is a seq.
    """

    execution_id: ExecutionRef | None = None
    path: str | None = None
    phase: str | None = None
    agent_id: Id | None = None
    type: str | None = None
    after: Count = 0
    limit: Limit = PAGE_LIMIT
    host: Hosts = ()


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
        host: About executions of any of these machines.
    """

    execution_id: ExecutionRef | None = None
    task_id: Id | None = None
    type: tuple[str, ...] = ()
    since: Micros | None = None
    until: Micros | None = None
    last: Count | None = None
    after: Count | str = 0
    limit: Limit = PAGE_LIMIT
    host: Hosts = ()


class HostsRequest(Request, kw_only=True):
    """The logs whose lines are here, with the machines that recorded them, by name: `{"host":{...}}`.

    This one comes first. `host` is an equal match, of any of these; `after` is the `next` of the page before.
    """

    host: Hosts = ()
    after: str = ""
    limit: Limit = PAGE_LIMIT


class Projects(Request, kw_only=True):
    """Projects in the order of their roots, a page at a time: `{"project":{...}}`.

    `project` is an equal match, of a root or of an id; `after` is the root that the page before ended with.
    """

    project: str | None = None
    after: str = ""
    limit: Limit = PAGE_LIMIT


class Plan(Request, kw_only=True):
    """A plan as it stands, the latest of a project or the one of an id: one `{"plan":{...}}`.

    Attributes:
        project: Root of the project, or its id.
        plan_id: This plan; of that project, where both are given.
        actual: Also how it went.
        worktree_assignments: As it would be with this adjustment; `invalid` where that cannot be.
        batch_overrides: The other part of it.
    """

    project: str | None = None
    plan_id: Id | None = None
    actual: bool = False
    worktree_assignments: dict[str, Any] | None = None
    batch_overrides: dict[str, Any] | None = None


class Plans(Request, kw_only=True):
    """Plans of a project, or of all, newest first, a page at a time: `{"plan":{...}}`, by their counts.

    `before` is the `next` of the page before this one.
    """

    project: str | None = None
    before: Count | None = None
    limit: Limit = PAGE_LIMIT


class Wait(Request, kw_only=True):
    """Answer when an execution has ended (`until` None) or has a status; `{"execution":{...}}`.

    The error is `timed_out` when `timeout_ms` ran out, and `outcome` when it ended in another status.
    """

    execution_id: ExecutionRef
    until: Status | None = None
    timeout_ms: WaitMs | None = None


class StatusRequest(Request, kw_only=True):
    """How the daemon is: `{"status":{...}}`."""


REQUESTS: Final[dict[str, type[Request]]] = {
    "tail": Tail,
    "event": OneEvent,
    "events": Events,
    "executions": Executions,
    "inspect": Inspect,
    "phase": Phase,
    "tasks": Tasks,
    "stats": Stats,
    "completions": Completions,
    "agents": Agents,
    "artifacts": Artifacts,
    "logs": Logs,
    "cursor": Cursor,
    "cursors": Cursors,
    "search": Search,
    "audit": Audit,
    "projects": Projects,
    "hosts": HostsRequest,
    "plan": Plan,
    "plans": Plans,
    "check": Check,
    "wait": Wait,
    "status": StatusRequest,
}
"""Verb to request; the verb is the one key of the line."""
