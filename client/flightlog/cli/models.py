"""Read models as rows: how each is asked for, page by page, and the columns that it has.

The columns are the fields of the answers, in their order: what is added to an answer becomes a last column.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec.structs import fields, replace

from flightlog.cli.output import TIMES
from flightlog.query import Connection
from flightlog_schemas.answers import Agent, Artifact, AuditEntry, Execution, LogLine, TaskAttempt
from flightlog_schemas.projects import PlanRecord
from flightlog_schemas.wire.lines import Logs
from flightlog_schemas.wire.query import Agents, Artifacts, Audit, Executions, Inspect, Plans, Tasks
from flightlog_schemas.wire.request import Request

Kind = Literal["text", "integer", "number", "boolean", "time", "json"]
"""What a column holds; `json` is an object or a list."""

Json = dict[str, Any]

_KINDS: Final[dict[Any, Kind]] = {str: "text", int: "integer", float: "number", bool: "boolean"}


class Column(NamedTuple):
    """A column, which may be empty in any row."""

    name: str
    kind: Kind


class Model(NamedTuple):
    """A read model.

    Attributes:
        columns: What a row holds.
        of: The request for those of one execution; None where they are of none.
        all: The request for all of them; None where they are asked for in another way.
    """

    columns: list[Column]
    of: Callable[[str], Request] | None
    all: Request | None


class Row(NamedTuple):
    """A row, and how much was read for it."""

    values: Json
    size_bytes: int


def columns_of(kind: type[msgspec.Struct]) -> list[Column]:
    """Return the columns of a kind of answer: fields that it always has."""
    return [
        Column(field.name, _kind_of(field.name, field.type))
        for field in fields(kind)
        if field.default is not msgspec.UNSET
    ]


def _kind_of(name: str, declared: Any) -> Kind:
    if name in TIMES:
        return "time"
    known = [part for part in (get_args(declared) or (declared,)) if part is not type(None)]
    if get_origin(declared) is Literal or all(isinstance(part, str) for part in known):
        return "text"
    if get_origin(declared) in (list, dict, tuple) or len(known) != 1:
        return "json"
    if get_origin(known[0]) is Literal:
        return "text"
    return _KINDS.get(known[0], "json")


MODELS: Final[dict[str, Model]] = {
    "executions": Model(columns_of(Execution), lambda execution_id: Inspect(execution_id=execution_id), None),
    "tasks": Model(
        columns_of(TaskAttempt),
        lambda execution_id: Tasks(execution_id=execution_id, oldest_first=True),
        Tasks(oldest_first=True),
    ),
    "agents": Model(columns_of(Agent), lambda execution_id: Agents(execution_id=execution_id), None),
    "artifacts": Model(columns_of(Artifact), lambda execution_id: Artifacts(execution_id=execution_id), None),
    "audit": Model(columns_of(AuditEntry), lambda execution_id: Audit(execution_id=execution_id), Audit()),
    "logs": Model(columns_of(LogLine), lambda execution_id: Logs(execution_id=execution_id), None),
    "plans": Model(columns_of(PlanRecord), None, None),
}
"""By the name that people give them."""


def rows_of(daemon: Connection, request: Request) -> Iterator[Row]:
    """Yield all rows of an answer; a page is asked for when the one before it is used up.

    Raises:
        DaemonAway: nobody listens, or the connection broke.
        QueryFailed: the daemon has no answer.
    """
    decode = msgspec.json.Decoder(dict[str, Json]).decode
    forward = not isinstance(request, Executions | Plans)
    while True:
        for line in daemon.lines(request):
            (values,) = decode(line).values()
            yield Row(values, len(line))
        end = daemon.end
        if end is None or not end.truncated:
            return
        request = replace(request, **{"after" if forward else "before": end.next})
