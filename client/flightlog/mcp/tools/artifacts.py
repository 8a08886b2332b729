"""Tools about artifacts: those of an execution, and where a file came from."""

from typing import Annotated, Any, Final

from msgspec import Meta

from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Page, Paged, Tool
from flightlog.mcp.tools.options import AgentId, ExecutionId, Limit, Text
from flightlog_schemas.answers import Artifact
from flightlog_schemas.wire.query import Artifacts


class ArtifactsList(Paged, kw_only=True):
    """Arguments of `artifacts_list`."""

    execution_id: ExecutionId
    phase: Annotated[Text, Meta(description="Of exactly this phase.")] | None = None
    agent_id: AgentId | None = None
    type: Annotated[Text, Meta(description="Of exactly this type.")] | None = None
    limit: Limit = 20


class ArtifactsPage(Page, kw_only=True):
    """Answer of both tools."""

    artifacts: list[Artifact]


def _list(call: Call, asked: ArtifactsList) -> Item:
    def request(limit: int, after: Any) -> Artifacts:
        return Artifacts(
            execution_id=asked.execution_id,
            phase=asked.phase,
            agent_id=asked.agent_id,
            type=asked.type,
            after=after or 0,
            limit=limit,
        )

    return call.page("artifacts", request, asked.limit)


LIST: Final = Tool(
    name="artifacts_list",
    title="List artifacts",
    about="Files that one execution wrote, in the order in which it wrote them, with size and SHA-256.",
    arguments=ArtifactsList,
    answer=ArtifactsPage,
    run=_list,
)


class ArtifactWhy(Paged, kw_only=True):
    """Arguments of `artifact_why`."""

    path: Annotated[
        str, Meta(min_length=1, max_length=4096, description="The file's path, exactly as it was recorded.")
    ]
    execution_id: ExecutionId | None = None
    limit: Limit = 20


def _why(call: Call, asked: ArtifactWhy) -> Item:
    def request(limit: int, after: Any) -> Artifacts:
        return Artifacts(execution_id=asked.execution_id, path=asked.path, after=after or 0, limit=limit)

    return call.page("artifacts", request, asked.limit)


WHY: Final = Tool(
    name="artifact_why",
    title="Where a file came from",
    about="Who wrote a file: each execution, phase, agent and task that recorded this path, oldest first.",
    arguments=ArtifactWhy,
    answer=ArtifactsPage,
    run=_why,
)
