"""`flightlog logs`: the log of one execution, oldest first."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from flightlog.cli.options import LEVELS, PATTERN, TIME, Pattern, execution_argument
from flightlog.cli.output import shown
from flightlog.cli.render import log_text
from flightlog.cli.verb import Session, json_option, verb
from flightlog.query import Connection
from flightlog_schemas.answers import LogLine
from flightlog_schemas.wire.query import Logs


@verb(
    "logs",
    "flightlog logs EXEC --level WARN,ERROR --since 1h",
    "flightlog logs EXEC -f -g 'time(d )?out'",
)
@execution_argument
@click.option("--task", metavar="ID", help="Lines of this task.")
@click.option("--level", type=LEVELS, metavar="A,B", help="Lines of exactly these levels.")
@click.option("-S", "--since", type=TIME, help="At or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option("-U", "--until", type=TIME, help="Before.")
@click.option("--source", help="Lines of exactly this source.")
@click.option("-g", "--grep", type=PATTERN, metavar="REGEX", help="Messages in which this is found.")
@click.option(
    "-n", "count", type=click.IntRange(min=0), metavar="N", help="Only the last N that match [default: all]."
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution has ended.")
@json_option
def command(
    session: Session,
    execution: str,
    task: str | None,
    level: tuple[int, ...] | None,
    since: int | None,
    until: int | None,
    source: str | None,
    grep: Pattern | None,
    count: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show the log of an execution, oldest first.

    A line is TIME LEVEL [source] [task] message. What happened to the execution stands between its lines,
    with the source `daemon`. --follow misses and doubles nothing, and ends by itself with the execution's
    last line.
    """
    request = Logs(
        execution_id=execution,
        task_id=task,
        level=level or (),
        since=since,
        until=until,
        source=source,
        grep=grep.literal or () if grep is not None else (),
        follow=follow,
    )
    with session.ask(patient=follow) as daemon:
        if grep is None or grep.regex is None:
            lines = daemon.all(replace(request, last=count), LogLine)
        else:
            lines = _search(daemon, request, grep, count)
        output = session.output()
        written = 0
        for line in lines:
            written += 1
            if as_json:
                output.json_line(msgspec.json.encode(shown(msgspec.to_builtins(line))))
            else:
                output.line(log_text(line, output))
            if follow:
                output.flush()
    if not written:
        session.say("no lines match" if _narrowed(request, grep) else "it has no log")


def _search(daemon: Connection, request: Logs, grep: Pattern, count: int | None) -> Iterator[LogLine]:
    """Yield the lines in which a pattern is found: the last `count` of what is there, then live ones."""
    regex = grep.regex
    assert regex is not None
    if count is None:
        yield from (line for line in daemon.all(request, LogLine) if regex.search(line.message))
        return
    history = daemon.all(replace(request, follow=False), LogLine)
    yield from deque((line for line in history if regex.search(line.message)), maxlen=count)
    if request.follow:
        assert daemon.end is not None
        live = daemon.all(replace(request, after=daemon.end.seq), LogLine)
        yield from (line for line in live if regex.search(line.message))


def _narrowed(request: Logs, grep: Pattern | None) -> bool:
    narrowing: tuple[Any, ...] = (request.task_id, request.since, request.until, request.source, grep)
    return bool(request.level) or any(value is not None for value in narrowing)
