"""The tool about the agents of an execution."""

from typing import Annotated, Any, Final

from msgspec import Meta

from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Page, Paged, Tool
from flightlog.mcp.tools.options import AgentId, ExecutionId, Limit
from flightlog_schemas.answers import Agent
from flightlog_schemas.events.agent import AgentStatus
from flightlog_schemas.wire.query import Agents


class AgentsList(Paged, kw_only=True):
    """Arguments of `agents_list`."""

    execution_id: ExecutionId
    agent_id: AgentId | None = None
    status: Annotated[AgentStatus, Meta(description="In this status.")] | None = None
    limit: Limit = 20


class AgentsPage(Page, kw_only=True):
    """Answer of `agents_list`."""

    agents: list[Agent]


def _list(call: Call, asked: AgentsList) -> Item:
    def request(limit: int, after: Any) -> Agents:
        return Agents(
            execution_id=asked.execution_id,
            agent_id=asked.agent_id,
            status=asked.status,
            after=after or 0,
            limit=limit,
        )

    return call.page("agents", request, asked.limit)


LIST: Final = Tool(
    name="agents_list",
    title="List agents",
    about="Agents of one execution, in the order in which they were added, with status, model, tokens, cost.",
    arguments=AgentsList,
    answer=AgentsPage,
    run=_list,
)
