"""Answers that come page by page."""

from collections.abc import Iterator
from typing import TypeVar

from msgspec.structs import replace

from flightlog.query import Connection
from flightlog_schemas.answers import Execution
from flightlog_schemas.wire.lines import Cursors, Events
from flightlog_schemas.wire.query import Agents, Artifacts, Audit, Executions, HostsRequest, Tasks
from flightlog_schemas.wire.reply import Recorded

T = TypeVar("T")


def pages(
    daemon: Connection, request: Audit | Tasks | Agents | Artifacts | Cursors | HostsRequest, kind: type[T]
) -> Iterator[T]:
    """Yield all answers, oldest first; a page is asked for when the one before it is used up."""
    yield from daemon.all(request, kind)
    while (after := _next(daemon)) is not None:
        yield from daemon.all(replace(request, after=after), kind)


def event_pages(daemon: Connection, request: Events) -> Iterator[Recorded]:
    """Yield all recorded events, page by page likewise."""
    yield from daemon.recorded(request)
    while (after := _next(daemon)) is not None:
        yield from daemon.recorded(replace(request, after=after))


def execution_pages(daemon: Connection, request: Executions) -> Iterator[Execution]:
    """Yield all executions that match, newest first, page by page likewise."""
    yield from daemon.all(request, Execution)
    while (before := _next(daemon)) is not None:
        yield from daemon.all(replace(request, before=str(before)), Execution)


def _next(daemon: Connection) -> int | str | None:
    """Return the `after` of the next page, None after the last one."""
    end = daemon.end
    return end.next if end is not None and end.truncated else None
