"""Artifacts in the order in which they were written: of an execution, or of a path over all executions."""

from collections.abc import Sequence
from typing import Any, Final

import apsw

from flightlog_schemas.answers import Artifact
from flightlog_schemas.wire.query import Artifacts
from flightlogd.errors import QuestionError
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.of_host import host_condition, marks_of

_COLUMNS: Final = (
    "artifact_id",
    "execution_id",
    "phase",
    "path",
    "artifact_type",
    "agent_id",
    "task_id",
    "size_bytes",
    "sha256",
    "created_at",
    "seq",
)
_FIELDS: Final = tuple("type" if name == "artifact_type" else name for name in _COLUMNS)


def artifact_page(db: apsw.Connection, request: Artifacts) -> tuple[list[Artifact], int | None]:
    """Return a page of artifacts and the `after` of the next page if there is one.

    Raises:
        QuestionError: `invalid` without an execution or a path, `not_found`, `ambiguous` or
            `projection_broken`.
    """
    require(db, "artifact", "execution")
    if request.execution_id is None and request.path is None:
        raise QuestionError("invalid", "artifacts of what?", "give an execution_id, a path, or both")
    marks = marks_of(db, request.host)
    execution_id = request.execution_id
    if execution_id is not None:
        execution_id = find_execution(db, execution_id, request.host)
        marks = None
    sql, values = list_sql(request, execution_id, marks)
    rows = list(db.execute(sql, values))
    after = rows[request.limit - 1][-1] if 0 < request.limit < len(rows) else None
    found = [Artifact(**dict(zip(_FIELDS, row, strict=True))) for row in rows[: request.limit]]
    return found, after


def list_sql(
    request: Artifacts, execution_id: str | None, marks: Sequence[str] | None
) -> tuple[str, list[Any]]:
    """Return the SQL and values of one index walk over artifacts, of these logs only."""
    conditions = ["seq > ?"]
    values: list[Any] = [request.after]
    equal = {
        "execution_id": execution_id,
        # Within one execution its own artifacts are walked: others may have written that path far more often.
        "path" if execution_id is None else "+path": request.path,
        "phase": request.phase,
        "agent_id": request.agent_id,
        "artifact_type": request.type,
    }
    for column, value in equal.items():
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    # Few write one path: it is walked, whoever they are.
    of_hosts, of_values = host_condition(marks, walk=False)
    where = " and ".join([*conditions, *of_hosts])
    values += of_values
    sql = f"select {', '.join(_COLUMNS)} from artifact where {where} order by seq limit ?"
    return sql, [*values, request.limit + 1]


def count_in_phase(db: apsw.Connection, execution_id: str, phase: str) -> int:
    """Return how many artifacts of an execution belong to a phase."""
    return int(
        db.execute(
            "select count(*) from artifact where execution_id = ? and phase = ?", (execution_id, phase)
        ).get
    )
