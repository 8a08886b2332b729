"""Artifacts over all executions: who wrote a file."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.web.endpoint import listing
from flightlog.web.params import ExecutionId, Hosts, Limit, Text
from flightlog_schemas.answers import Artifact
from flightlog_schemas.limits import Count
from flightlog_schemas.wire.query import Artifacts


class ArtifactsAsked(Struct, kw_only=True):
    """Parameters of the list."""

    path: Annotated[Text, Meta(description="Exactly this file, absolute.")]
    execution_id: ExecutionId | None = None
    host: Hosts = ()
    after: Annotated[Count, Meta(description="The `next` of the page before.")] = 0
    limit: Limit = 1000


def _artifacts(asked: ArtifactsAsked, _: int) -> Artifacts:
    return Artifacts(
        path=asked.path,
        execution_id=asked.execution_id,
        host=asked.host,
        after=asked.after,
        limit=asked.limit,
    )


ENDPOINTS: Final = (
    listing(
        "/artifacts",
        "artifacts",
        "Who wrote a file, in the order in which it was written.",
        ArtifactsAsked,
        Artifact,
        _artifacts,
    ),
)
