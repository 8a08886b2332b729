"""`flightlog export`: what was recorded, for another daemon or for later; or rows of a read model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import click

from flightlog.cli.export_rows import export_rows
from flightlog.cli.models import MODELS
from flightlog.cli.options import ID, TIME, ChoicesType
from flightlog.cli.pages import execution_pages
from flightlog.cli.progress import progress
from flightlog.cli.project import project_named
from flightlog.cli.rowfiles import FORMATS
from flightlog.cli.target import target_of, writing
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import EXIT_NEGATIVE, UsageError
from flightlog.exporting import Export, Log
from flightlog.query import Connection
from flightlog_schemas.answers import DaemonStatus
from flightlog_schemas.statuses import Status
from flightlog_schemas.wire.lines import Tail
from flightlog_schemas.wire.query import Executions, StatusRequest

EVENTS: Final = "events"


@verb(
    "export",
    "flightlog export -o log.jsonl",
    "flightlog export --project . --since 7d | gzip > week.jsonl.gz",
    "flightlog export --execution build-7 -o build-7.jsonl",
    "flightlog export tasks --since 30d -o tasks.parquet",
    "flightlog export executions --status failed --format csv",
)
@click.argument("what", metavar="[WHAT]", default=EVENTS, type=click.Choice([EVENTS, *MODELS]))
@click.option("--execution", type=ID, metavar="EXEC", help="This execution alone.")
@click.option(
    "--status", type=ChoicesType(get_args(Status)), help="Executions in any of these, comma-separated."
)
@click.option("--project", metavar="DIR", help="Executions of this project, named by its root directory.")
@click.option("--name", help="Executions of exactly this name.")
@click.option("-S", "--since", type=TIME, help="Executions started at or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option("-U", "--until", type=TIME, help="Executions started before.")
@click.option(
    "-o",
    "path",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Where to; - is stdout, the default.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="Of all but events [default: by the name of FILE, else jsonl].",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@json_option
def command(
    session: Session,
    what: str,
    execution: str | None,
    status: tuple[Any, ...] | None,
    project: str | None,
    name: str | None,
    since: int | None,
    until: int | None,
    path: Path | None,
    format_name: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Write what was recorded as JSON lines, which `flightlog import events` reads, or rows of a read model.

    Each event is on a line as it is stored, with its position, time of receipt, user, process, producer and
    line. Without options all is written that was recorded up to now, else the whole log of the executions
    that fit, oldest first. What governance took is told as a hole; what the daemon says of itself is left
    out. FILE is there when it is complete; what is no file, such as a FIFO, is written as it comes. Exit
    code 1 if no execution fits.

    WHAT is `events`, or what was made of them: executions, tasks, agents, artifacts, audit, logs (of the
    executions that fit) or plans (of a project), a row each, as JSON lines, CSV or Parquet. Parquet needs the
    extra parquet: pip install 'flightlog[parquet]'.
    """
    chosen = any(value is not None for value in (status, project, name, since, until))
    if execution is not None and chosen:
        raise UsageError("--execution goes with no other choice")
    target = target_of(path, force=force)
    if target is None and as_json:
        raise UsageError("--json tells of what was written: it needs -o FILE")
    request = Executions(
        status=status or (),
        project=None if project is None else project_named(project),
        name=name,
        since=since,
        until=until,
    )
    if what != EVENTS:
        return export_rows(session, what, request, execution, target, format_name, as_json=as_json)
    if format_name is not None:
        raise UsageError("events are JSON lines", "--format goes with executions, tasks, logs and the like")
    with session.ask() as daemon:
        status_now = daemon.one(StatusRequest(), DaemonStatus)
        ids: list[str | None] = [None]  # everything
        if execution is not None:
            ids = [session.daemon.execution(execution).execution_id]
        elif chosen:
            # Newest first they come; told in the order of the log, what is imported has the same order.
            ids = list[str | None](found.execution_id for found in execution_pages(daemon, request))
            ids.reverse()
            if not ids:
                session.say("no executions match, nothing was written")
                return EXIT_NEGATIVE
        export = Export(Log(status_now.log_id, status_now.host))
        with writing(target) as out, progress("export", None) as advance:
            size = 0
            for line in export.lines(_found(daemon, ids)):
                out.write(line)
                size += len(line)
                advance(len(line))
    _tell(session, export, path, size, as_json=as_json)
    return 0


def _found(daemon: Connection, ids: list[str | None]) -> Iterator[bytes]:
    """Yield what was recorded of executions, or with None of all."""
    for execution_id in ids:
        yield from daemon.lines(Tail(after=0, follow=False, execution_id=execution_id))


def _tell(session: Session, export: Export, path: Path | None, size_bytes: int, *, as_json: bool) -> None:
    if as_json:
        session.output().json(
            {"file": str(path), "events": export.events, "pruned": export.pruned, "size_bytes": size_bytes}
        )
        return
    holes = f"; {export.pruned:,} more were removed by governance" if export.pruned else ""
    session.say(f"{export.events:,} event{'' if export.events == 1 else 's'}{holes}")
