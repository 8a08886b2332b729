"""The tool about the audit trail."""

from typing import Annotated, Any, Final

from msgspec import Meta

from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Page, Paged, Tool
from flightlog.mcp.tools.options import ExecutionId, Host, Limit, Since, TaskId, Text, Until, hosts
from flightlog_schemas.answers import AuditEntry
from flightlog_schemas.wire.query import Audit


class AuditRead(Paged, kw_only=True):
    """Arguments of `audit_read`."""

    execution_id: ExecutionId | None = None
    task_id: TaskId | None = None
    type: Annotated[
        tuple[Text, ...],
        Meta(max_length=20, description="Of these types, such as FAILED, TASK_RETRIED."),
    ] = ()
    host: Host | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Limit = 20


class AuditPage(Page, kw_only=True):
    """Answer of `audit_read`."""

    entries: list[AuditEntry]


def _read(call: Call, asked: AuditRead) -> Item:
    since, until = call.time("since", asked.since), call.time("until", asked.until)

    def request(limit: int, after: Any) -> Audit:
        return Audit(
            execution_id=asked.execution_id,
            task_id=asked.task_id,
            type=asked.type,
            host=hosts(asked.host),
            since=since,
            until=until,
            after=after or 0,
            limit=limit,
        )

    return call.page("entries", request, asked.limit)


READ: Final = Tool(
    name="audit_read",
    title="Read the audit trail",
    about="What changed, from what to what, why, and which user and process said so by the kernel's word,"
    " oldest first: of one execution or task, or of everything.",
    arguments=AuditRead,
    answer=AuditPage,
    run=_read,
)
