"""`artifact.*`: the files that an execution produced."""

from flightlog_schemas.events.envelope import Event
from flightlog_schemas.limits import Count, Id, Sha256


class ArtifactAdded(Event, kw_only=True, tag="artifact.added"):
    """A file was produced. Size and digest are given where the file could be read."""

    execution_id: Id
    path: str
    artifact_id: Id | None = None
    artifact_type: str = "file"
    phase: str | None = None
    size_bytes: Count | None = None
    sha256: Sha256 | None = None
