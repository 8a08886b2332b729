"""Tools that read log lines: those of an execution or a task, and those with certain words."""

from typing import Annotated, Any, Final

from msgspec import Meta

from flightlog.errors import UsageError
from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Page, Paged, Tool
from flightlog.mcp.tools.options import (
    AgentId,
    ExecutionId,
    Host,
    LeastLevel,
    Limit,
    Project,
    Since,
    TaskId,
    Text,
    Until,
    hosts,
    levels_from,
    project_root,
)
from flightlog_schemas.answers import LogLine
from flightlog_schemas.wire.lines import Logs, Search

Source = Annotated[Text, Meta(description="Of exactly this source, such as daemon or exec:NAME.")]


class LogsRead(Paged, kw_only=True):
    """Arguments of `logs_read`."""

    execution_id: ExecutionId | None = None
    task_id: TaskId | None = None
    agent_id: AgentId | None = None
    level: LeastLevel | None = None
    source: Source | None = None
    text: Annotated[Text, Meta(description="Messages that hold exactly this text; no pattern.")] | None = None
    exclude: Annotated[Text, Meta(description="Messages that do not hold this text.")] | None = None
    since: Since | None = None
    until: Until | None = None
    newest_first: Annotated[bool, Meta(description="The last lines first.")] = False
    after_seq: (
        Annotated[
            int, Meta(ge=0, description="Lines behind this position: to read on from a line that you know.")
        ]
        | None
    ) = None
    limit: Limit = 30


class LogsPage(Page, kw_only=True):
    """Answer of `logs_read` and `logs_search`."""

    lines: list[LogLine]


def _read(call: Call, asked: LogsRead) -> Item:
    if asked.execution_id is None and asked.task_id is None:
        raise UsageError(
            "logs of what?", "give an execution_id, a task_id, or both; logs_search needs neither"
        )
    since, until = call.time("since", asked.since), call.time("until", asked.until)

    def request(limit: int, position: Any) -> Logs:
        return Logs(
            execution_id=asked.execution_id,
            task_id=asked.task_id,
            agent_id=asked.agent_id,
            level=levels_from(asked.level),
            source=asked.source,
            grep=asked.text or (),
            exclude=() if asked.exclude is None else (asked.exclude,),
            since=since,
            until=until,
            reverse=asked.newest_first,
            after=asked.after_seq if asked.newest_first or position is None else position,
            before=position if asked.newest_first else None,
            limit=limit,
        )

    return call.page("lines", request, asked.limit)


READ: Final = Tool(
    name="logs_read",
    title="Read log lines",
    about="Log lines of one execution, or of all runs of one task, oldest first or newest first, narrowed by"
    " level, source, task, agent, time and text. For an execution that you have not seen yet call logs_digest"
    " first: it is far smaller.",
    arguments=LogsRead,
    answer=LogsPage,
    run=_read,
)


class LogsSearch(Paged, kw_only=True):
    """Arguments of `logs_search`."""

    text: Annotated[
        Text,
        Meta(
            description='Words that all occur; "words in a row" in quotes, beginnings*, and -what must not'
            " occur. Whole words, whatever their case."
        ),
    ]
    execution_id: ExecutionId | None = None
    task_id: TaskId | None = None
    project: Project | None = None
    host: Host | None = None
    level: LeastLevel | None = None
    source: Source | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Limit = 20


class SearchPage(LogsPage, kw_only=True):
    """Answer of `logs_search`; the newest `lag` positions of the log cannot be found yet."""

    lag: int


def _search(call: Call, asked: LogsSearch) -> Item:
    since, until = call.time("since", asked.since), call.time("until", asked.until)
    project = None if asked.project is None else project_root(asked.project)

    def request(limit: int, before: Any) -> Search:
        return Search(
            text=asked.text,
            execution_id=asked.execution_id,
            task_id=asked.task_id,
            project=project,
            host=hosts(asked.host),
            level=levels_from(asked.level),
            source=asked.source,
            since=since,
            until=until,
            before=before,
            limit=limit,
        )

    found = call.page("lines", request, asked.limit)
    return found | {"lag": call.end.lag}


SEARCH: Final = Tool(
    name="logs_search",
    title="Search all logs",
    about="Log lines by the words in them, over all executions, newest first. A page may hold no line"
    " although there are more: truncated says so.",
    arguments=LogsSearch,
    answer=SearchPage,
    run=_search,
)
