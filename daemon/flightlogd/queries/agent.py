"""Agents of an execution, in the order in which they were added."""

from typing import Any, Final

import apsw

from flightlog_schemas.answers import Agent
from flightlog_schemas.wire.query import Agents
from flightlogd.queries.find import find_execution, require

_COLUMNS: Final = (
    "agent_id",
    "execution_id",
    "agent_type",
    "name",
    "status",
    "dispatch_id",
    "parent_agent_id",
    "model",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "created_at",
    "updated_at",
)


def agent_page(db: apsw.Connection, request: Agents) -> tuple[list[Agent], int | None]:
    """Return a page of agents and the `after` of the next page if there is one.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "agent", "execution")
    sql, values = list_sql(request, find_execution(db, request.execution_id, request.host))
    rows = list(db.execute(sql, values))
    after = rows[request.limit - 1][-1] if 0 < request.limit < len(rows) else None
    found = [Agent(**dict(zip(_COLUMNS, row, strict=False))) for row in rows[: request.limit]]
    return found, after


def list_sql(request: Agents, execution_id: str) -> tuple[str, list[Any]]:
    """Return the SQL and values of one index walk over an execution's agents."""
    conditions = ["execution_id = ?", "added_seq > ?"]
    values: list[Any] = [execution_id, request.after]
    for column in ("agent_id", "status"):
        if (value := getattr(request, column)) is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    where = " and ".join(conditions)
    sql = f"select {', '.join(_COLUMNS)}, added_seq from agent where {where} order by added_seq limit ?"
    return sql, [*values, request.limit + 1]


def active_agents(db: apsw.Connection, execution_id: str) -> list[str]:
    """Return the ids of an execution's agents that are not done, in the order in which they were added."""
    rows = db.execute(
        "select agent_id from agent where execution_id = ? and status = 'active' order by added_seq",
        (execution_id,),
    )
    return [row[0] for row in rows]
