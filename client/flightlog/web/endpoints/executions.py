"""Executions: the list, one, and what belongs to it."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.cli.output import shown
from flightlog.web.asker import Row
from flightlog.web.endpoint import Call, Endpoint, listing, one
from flightlog.web.params import ExecutionId, Hosts, Limit, Project, Since, Text, Until, Words, moment
from flightlog_schemas.answers import Agent, Artifact, AuditEntry, Execution, PhasePosition, TaskAttempt
from flightlog_schemas.completeness import Completeness
from flightlog_schemas.events.agent import AgentStatus
from flightlog_schemas.limits import Count, ExecutionRef
from flightlog_schemas.statuses import Status, TaskStatus
from flightlog_schemas.wire.lines import Check, Events
from flightlog_schemas.wire.query import (
    Agents,
    Artifacts,
    Audit,
    Executions,
    Inspect,
    Phase,
    Tasks,
)
from flightlog_schemas.wire.reply import Recorded


class ExecutionsAsked(Struct, kw_only=True):
    """Parameters of the list."""

    status: Annotated[tuple[Status, ...], Meta(description="In any of these.")] = ()
    project: Project | None = None
    name: Annotated[Text, Meta(description="Of exactly this name.")] | None = None
    parent_id: Annotated[ExecutionRef, Meta(description="Started by this execution.")] | None = None
    since: Since | None = None
    until: Until | None = None
    host: Hosts = ()
    limit: Limit = 50
    before: Annotated[Text, Meta(description="The `next` of the page before.")] | None = None


class ExecutionAsked(Struct, kw_only=True):
    """Which execution."""

    execution_id: ExecutionId


class PageAsked(ExecutionAsked, kw_only=True):
    """Which page of what belongs to it."""

    after: Annotated[Count, Meta(description="The `next` of the page before.")] = 0
    limit: Limit = 1000


class TasksAsked(PageAsked, kw_only=True):
    """Which of its attempts at tasks."""

    status: Annotated[TaskStatus, Meta(description="In this status.")] | None = None


class AgentsAsked(PageAsked, kw_only=True):
    """Which of its agents."""

    status: Annotated[AgentStatus, Meta(description="In this status.")] | None = None


class AuditAsked(ExecutionAsked, kw_only=True):
    """Which page of its trail."""

    type: Annotated[Words, Meta(description="Entries of any of these types, such as FAILED.")] = ()
    after: Annotated[str, Meta(max_length=64, description="The `next` of the page before.")] | None = None
    limit: Limit = 1000


class EventsAsked(PageAsked, kw_only=True):
    """Which of its recorded events."""

    type: Annotated[Words, Meta(description="Any of these types; `task.` is all that begin so.")] = ()
    logs: Annotated[bool, Meta(description="Log lines, too.")] = False


def _executions(asked: ExecutionsAsked, now_us: int) -> Executions:
    return Executions(
        status=asked.status,
        project=asked.project,
        name=asked.name,
        parent_id=asked.parent_id,
        since=moment("since", asked.since, now_us),
        until=moment("until", asked.until, now_us),
        host=asked.host,
        limit=asked.limit,
        before=asked.before,
    )


def _tasks(asked: TasksAsked, _: int) -> Tasks:
    return Tasks(
        execution_id=asked.execution_id,
        status=asked.status,
        oldest_first=True,
        after=asked.after or None,
        limit=asked.limit,
    )


def _agents(asked: AgentsAsked, _: int) -> Agents:
    return Agents(execution_id=asked.execution_id, status=asked.status, after=asked.after, limit=asked.limit)


def _artifacts(asked: PageAsked, _: int) -> Artifacts:
    return Artifacts(execution_id=asked.execution_id, after=asked.after, limit=asked.limit)


def _audit(asked: AuditAsked, _: int) -> Audit:
    return Audit(execution_id=asked.execution_id, type=asked.type, after=asked.after or 0, limit=asked.limit)


def _events(asked: EventsAsked, _: int) -> Events:
    return Events(
        execution_id=asked.execution_id,
        type=asked.type,
        logs=asked.logs,
        after=asked.after,
        limit=asked.limit,
    )


async def _execution(call: Call, asked: ExecutionAsked) -> Row:
    return one(await call.asker.one(Inspect(execution_id=asked.execution_id)))


async def _phase(call: Call, asked: ExecutionAsked) -> Row:
    return one(await call.asker.one(Phase(execution_id=asked.execution_id)))


async def _check(call: Call, asked: ExecutionAsked) -> Row:
    told = await call.asker.one(Check(execution_id=asked.execution_id))
    for part in (*told["producers"], *told["findings"]):
        shown(part)
    return one(told)


_ONE: Final = "/executions/{execution_id}"

ENDPOINTS: Final = (
    listing("/executions", "executions", "Newest first.", ExecutionsAsked, Execution, _executions),
    Endpoint(
        path=_ONE,
        title="One execution",
        about="As its events left it.",
        asked=ExecutionAsked,
        item=Execution,
        run=_execution,
    ),
    listing(
        f"{_ONE}/tasks", "tasks", "Attempts at its tasks, oldest first.", TasksAsked, TaskAttempt, _tasks
    ),
    listing(f"{_ONE}/agents", "agents", "Its agents, as they were added.", AgentsAsked, Agent, _agents),
    listing(f"{_ONE}/artifacts", "artifacts", "The files that it produced.", PageAsked, Artifact, _artifacts),
    listing(f"{_ONE}/audit", "audit", "Its audit trail, oldest first.", AuditAsked, AuditEntry, _audit),
    listing(f"{_ONE}/events", "events", "Its recorded events, oldest first.", EventsAsked, Recorded, _events),
    Endpoint(
        path=f"{_ONE}/phase",
        title="Where it stands",
        about="Its phase, its chain, and what a step from there needs.",
        asked=ExecutionAsked,
        item=PhasePosition,
        run=_phase,
    ),
    Endpoint(
        path=f"{_ONE}/check",
        title="Is it complete",
        about="Whether all that was said of it is here, and what is missing and why.",
        asked=ExecutionAsked,
        item=Completeness,
        run=_check,
    ),
)
