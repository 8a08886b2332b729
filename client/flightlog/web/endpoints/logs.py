"""Log lines: of an execution, and all in which words occur."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.errors import UsageError
from flightlog.web.endpoint import listing
from flightlog.web.params import (
    AgentId,
    Exclude,
    ExecutionId,
    Grep,
    Hosts,
    Levels,
    Limit,
    Project,
    Since,
    Source,
    TaskId,
    Text,
    Until,
    levels,
    moment,
)
from flightlog_schemas.answers import LogLine
from flightlog_schemas.limits import Count
from flightlog_schemas.wire.lines import Logs, Search


class LogsAsked(Struct, kw_only=True):
    """Parameters of a page of lines."""

    execution_id: ExecutionId
    level: Levels = ()
    task: TaskId | None = None
    source: Source | None = None
    agent: AgentId | None = None
    grep: Grep = ()
    exclude: Exclude = ()
    since: Since | None = None
    until: Until | None = None
    after: Annotated[Count, Meta(description="Lines with a higher seq.")] | None = None
    before: Annotated[Count, Meta(description="Lines with a lower seq, newest first.")] | None = None
    last: Annotated[Limit, Meta(description="Only the last so many that match.")] | None = None
    limit: Limit = 1000


class SearchAsked(Struct, kw_only=True):
    """Parameters of a search."""

    q: Annotated[Text, Meta(description='Words that all occur, "in a row", beginnings*, -without.')]
    execution_id: ExecutionId | None = None
    level: Levels = ()
    task: TaskId | None = None
    source: Source | None = None
    project: Project | None = None
    since: Since | None = None
    until: Until | None = None
    host: Hosts = ()
    before: Annotated[Count, Meta(description="The `next` of the page before.")] | None = None
    limit: Limit = 50


def _logs(asked: LogsAsked, now_us: int) -> Logs:
    if asked.before is not None and (asked.after is not None or asked.last is not None):
        raise UsageError("before goes neither with after nor with last")
    return Logs(
        execution_id=asked.execution_id,
        level=levels(asked.level),
        task_id=asked.task,
        source=asked.source,
        agent_id=asked.agent,
        grep=asked.grep,
        exclude=asked.exclude,
        since=moment("since", asked.since, now_us),
        until=moment("until", asked.until, now_us),
        after=asked.after,
        before=asked.before,
        reverse=asked.before is not None,
        last=asked.last,
        limit=asked.limit,
    )


def _search(asked: SearchAsked, now_us: int) -> Search:
    return Search(
        text=asked.q,
        execution_id=asked.execution_id,
        level=levels(asked.level),
        source=asked.source,
        task_id=asked.task,
        project=asked.project,
        since=moment("since", asked.since, now_us),
        until=moment("until", asked.until, now_us),
        before=asked.before,
        host=asked.host,
        limit=asked.limit,
    )


ENDPOINTS: Final = (
    listing(
        "/executions/{execution_id}/logs",
        "logs",
        "Oldest first; lifecycle events are rendered among them, with the source `daemon`.",
        LogsAsked,
        LogLine,
        _logs,
    ),
    listing(
        "/search",
        "logs",
        "Log lines in which words occur, newest first. `lag` positions are not in the index yet.",
        SearchAsked,
        LogLine,
        _search,
    ),
)
