"""Attempts at tasks over all executions: lists, one trace, how they went."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.cli.output import shown
from flightlog.errors import UsageError
from flightlog.web.asker import Row
from flightlog.web.endpoint import Call, Endpoint, listing, one, page
from flightlog.web.params import ExecutionId, Hosts, Limit, Project, Since, TaskId, Text, Until, moment
from flightlog.web.problem import Problem
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events.envelope import Provenance
from flightlog_schemas.limits import Count, TraceId
from flightlog_schemas.stats import Stats as StatsAnswer
from flightlog_schemas.statuses import TaskStatus
from flightlog_schemas.wire.query import Stats, Tasks
from flightlog_schemas.wire.request import STATS_LIMIT

Slug = Annotated[Text, Meta(description="Of tasks of exactly this slug.")]
InStatus = Annotated[TaskStatus, Meta(description="In this status.")]
ByWay = Annotated[Provenance, Meta(description="That came here in this way.")]


class TasksAsked(Struct, kw_only=True):
    """Parameters of the list."""

    execution_id: ExecutionId | None = None
    task_id: TaskId | None = None
    slug: Slug | None = None
    status: InStatus | None = None
    provenance: ByWay | None = None
    since: Since | None = None
    host: Hosts = ()
    before: Annotated[Count, Meta(description="The `next` of the page before.")] | None = None
    limit: Limit = 50


class TraceAsked(Struct, kw_only=True):
    """Which trace, and which page of it."""

    trace_id: Annotated[TraceId, Meta(description="Constant over all attempts at one task.")]
    after: Annotated[Count, Meta(description="The `next` of the page before.")] | None = None
    limit: Limit = 1000


class StatsAsked(Struct, kw_only=True):
    """What is counted."""

    task_id: TaskId | None = None
    slug: Slug | None = None
    project: Project | None = None
    since: Since | None = None
    until: Until | None = None
    provenance: ByWay | None = None
    status: InStatus | None = None
    host: Hosts = ()
    limit: Annotated[int, Meta(ge=0, le=STATS_LIMIT, description="At most so many of each list.")] = 10


def _tasks(asked: TasksAsked, now_us: int) -> Tasks:
    return Tasks(
        execution_id=asked.execution_id,
        task_id=asked.task_id,
        slug=asked.slug,
        status=asked.status,
        provenance=asked.provenance,
        since=moment("since", asked.since, now_us),
        host=asked.host,
        before=asked.before,
        limit=asked.limit,
    )


async def _trace(call: Call, asked: TraceAsked) -> Row:
    request = Tasks(trace_id=asked.trace_id, oldest_first=True, after=asked.after, limit=asked.limit)
    answer = await call.asker.ask(request)
    if not answer.rows and asked.after is None:
        raise Problem(404, "not_found", f"no such trace: {asked.trace_id}", "/api/tasks lists what there is")
    return page(answer, "tasks", {"trace_id": asked.trace_id})


async def _stats(call: Call, asked: StatsAsked) -> Row:
    if sum(value is not None for value in (asked.task_id, asked.slug, asked.project)) > 1:
        raise UsageError("one of task_id, slug and project, not several")
    request = Stats(
        task_id=asked.task_id,
        slug=asked.slug,
        project=asked.project,
        since=moment("since", asked.since, call.now_us),
        until=moment("until", asked.until, call.now_us),
        provenance=asked.provenance,
        status=asked.status,
        host=asked.host,
        tasks=asked.limit,
        failures=asked.limit,
        patterns=asked.limit,
    )
    told = await call.asker.one(request)
    for attempt in told["failures"]:
        shown(attempt)
    for pattern in told["patterns"]:
        shown(pattern)
        if pattern["example"] is not None:
            shown(pattern["example"])
    return one(told)


ENDPOINTS: Final = (
    listing("/tasks", "tasks", "Attempts at tasks, newest first.", TasksAsked, TaskAttempt, _tasks),
    Endpoint(
        path="/tasks/traces/{trace_id}",
        title="One trace",
        about="All attempts at one task, in order.",
        asked=TraceAsked,
        item=TaskAttempt,
        noun="tasks",
        run=_trace,
    ),
    Endpoint(
        path="/stats",
        title="How attempts went",
        about="Counts, durations and failures of all attempts that match, not of a page of them.",
        asked=StatsAsked,
        item=StatsAnswer,
        run=_stats,
    ),
)
