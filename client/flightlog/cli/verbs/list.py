"""`flightlog list`: executions, newest first."""

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

import click
from msgspec.structs import replace

from flightlog.cli.options import TIME, ChoicesType, host_option
from flightlog.cli.output import Output, shown, width_chars
from flightlog.cli.project import project_named
from flightlog.cli.render import STATUS_STYLES, duration, running_for, short_id
from flightlog.cli.tables import Column
from flightlog.cli.verb import Session, json_option, verb
from flightlog.clock import now_us
from flightlog.query import Connection
from flightlog_schemas.answers import Execution
from flightlog_schemas.statuses import Status
from flightlog_schemas.wire.query import Executions
from flightlog_schemas.wire.request import PAGE_LIMIT

DEFAULT_COUNT = 50
FULL_ID_CHARS = 120
"""A terminal this wide shows whole ids."""

T = TypeVar("T")


@verb("list", "flightlog list --status failed,lost --since 1d")
@click.option("--status", type=ChoicesType(get_args(Status)), help="Any of these, comma-separated.")
@click.option("--project", metavar="DIR", help="Of this project, named by its root directory.")
@click.option("--name", help="Of exactly this name.")
@host_option
@click.option("-S", "--since", type=TIME, help="Started at or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option("-U", "--until", type=TIME, help="Started before.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"At most this many [default: {DEFAULT_COUNT}].",
)
@json_option
def command(
    session: Session,
    status: tuple[Any, ...] | None,
    project: str | None,
    name: str | None,
    hosts: tuple[str, ...],
    since: int | None,
    until: int | None,
    count: int | None,
    as_json: bool,
) -> None:
    """List executions, newest first.

    Piped: tab-separated id, status, phase, started, duration, name; what is not known is `-`.
    """
    request = Executions(
        status=status or (),
        project=None if project is None else project_named(project),
        name=name,
        host=hosts,
        since=since,
        until=until,
    )
    wanted = count or DEFAULT_COUNT
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(row) for row in _pages(daemon, request, dict[str, Any], wanted))
        else:
            _show(output, _pages(daemon, request, Execution, wanted), session)
        if count is None and daemon.end is not None and daemon.end.truncated:
            session.say(f"the newest {DEFAULT_COUNT}; there are more, -n N shows them")


def _show(output: Output, found: Iterator[Execution], session: Session) -> None:
    rows = list(found) if output.terminal else found
    several = isinstance(rows, list) and len({row.host for row in rows}) > 1
    if not output.rows(_columns(output, several=several), rows):
        session.say("no executions match")


def _pages(daemon: Connection, request: Executions, kind: type[T], wanted: int) -> Iterator[T]:
    """Yield executions page by page; a page is asked for when the one before it is used up."""
    before = None
    while wanted > 0:
        limit = min(wanted, PAGE_LIMIT)
        yield from daemon.all(replace(request, before=before, limit=limit), kind)
        wanted -= limit
        if daemon.end is None or not daemon.end.truncated:
            return
        before = str(daemon.end.next)


def _columns(output: Output, *, several: bool) -> list[Column[Execution]]:
    """Return the columns; with several machines a person sees whose each is."""
    now = now_us()
    wide = width_chars() >= FULL_ID_CHARS
    columns: list[Column[Execution]] = [
        Column(
            head="ID",
            value=lambda e: e.execution_id,
            seen=None if wide else lambda e: short_id(e.execution_id),
        ),
        Column(head="STATUS", value=lambda e: e.status, style=lambda e: STATUS_STYLES[e.status]),
        Column(head="PHASE", value=lambda e: e.phase),
        Column(head="STARTED", value=lambda e: _time(output, e.started_at)),
        Column(head="TOOK", value=duration, seen=lambda e: running_for(e, now), right=True),
        Column(head="NAME", value=lambda e: e.name, wraps=True),
    ]
    if several:
        columns.insert(1, Column(head="HOST", value=lambda e: e.host))
    return columns


def _time(output: Output, micros: int | None) -> str | None:
    return None if micros is None else output.time(micros)
