"""Types of arguments that several tools take."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from flightlog.cli.project import project_named
from flightlog.errors import UsageError
from flightlog_schemas.levels import FATAL, level_number
from flightlog_schemas.limits import ExecutionRef, Id

ExecutionId = Annotated[
    ExecutionRef, Meta(description="Id of an execution, or a beginning of one that fits no other.")
]
TaskId = Annotated[Id, Meta(description="Id of a task.")]
AgentId = Annotated[Id, Meta(description="Id of an agent within an execution.")]
Host = Annotated[str, Meta(min_length=1, max_length=255, description="Name of the machine that recorded it.")]
Since = Annotated[
    str,
    Meta(max_length=64, description="At or after: 5m, 2h, 1d ago, today, yesterday, or RFC 3339."),
]
Until = Annotated[str, Meta(max_length=64, description="Before: as since.")]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Project = Annotated[Text, Meta(description="Root directory of exactly this project, an absolute path.")]
Limit = Annotated[int, Meta(ge=1, le=100, description="At most this many.")]
LeastLevel = Annotated[
    Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"],
    Meta(description="Lines of this level and of more severe ones."),
]


def levels_from(least: str | None) -> tuple[int, ...]:
    """Return the levels, as questions name them, from one up to the most severe."""
    number = None if least is None else level_number(least)
    return () if number is None else tuple(range(number, FATAL + 1, 4))


def hosts(host: str | None) -> tuple[str, ...]:
    """Return machines as questions name them."""
    return () if host is None else (host,)


def project_root(project: str) -> str:
    """Return a project as it is recorded, links resolved; where this server was started does not matter.

    Raises:
        UsageError: it is no absolute path.
    """
    if not Path(project).is_absolute():
        raise UsageError("project: not an absolute path", "give the root directory, such as /home/ann/shop")
    return project_named(project)
