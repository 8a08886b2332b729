"""Executions: the list, and all about one."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.web.asker import Row
from flightlog.web.endpoint import Call, Endpoint, listing, one
from flightlog.web.params import ExecutionId, Limit, Project, Since, Text, Until, moment
from flightlog_schemas.answers import Execution
from flightlog_schemas.limits import Id
from flightlog_schemas.statuses import Status
from flightlog_schemas.wire.query import Executions, Inspect


class ExecutionsAsked(Struct, kw_only=True):
    """Parameters of the list."""

    status: Annotated[tuple[Status, ...], Meta(description="In any of these.")] = ()
    project: Project | None = None
    name: Annotated[Text, Meta(description="Of exactly this name.")] | None = None
    parent_id: Annotated[Id, Meta(description="Started by this execution.")] | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Limit = 50
    before: Annotated[Text, Meta(description="The `next` of the page before.")] | None = None


class ExecutionAsked(Struct, kw_only=True):
    """Which execution."""

    execution_id: ExecutionId


def _executions(asked: ExecutionsAsked, now_us: int) -> Executions:
    return Executions(
        status=asked.status,
        project=asked.project,
        name=asked.name,
        parent_id=asked.parent_id,
        since=moment("since", asked.since, now_us),
        until=moment("until", asked.until, now_us),
        limit=asked.limit,
        before=asked.before,
    )


async def _execution(call: Call, asked: ExecutionAsked) -> Row:
    return one(await call.asker.one(Inspect(execution_id=asked.execution_id)))


ENDPOINTS: Final = (
    listing("/executions", "executions", "Newest first.", ExecutionsAsked, Execution, _executions),
    Endpoint(
        path="/executions/{execution_id}",
        title="One execution",
        about="As its events left it.",
        asked=ExecutionAsked,
        item=Execution,
        run=_execution,
    ),
)
