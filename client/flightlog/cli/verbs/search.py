"""`flightlog search`: log lines by the words in them, newest first."""

from collections.abc import Iterator
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from flightlog.cli.emphasis import emphasis
from flightlog.cli.options import ID, LEVELS, TIME, host_option
from flightlog.cli.output import shown
from flightlog.cli.project import project_named
from flightlog.cli.render import log_text, short_id
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import EXIT_NEGATIVE
from flightlog.query import Connection
from flightlog_schemas.answers import LogLine
from flightlog_schemas.wire.lines import Search
from flightlog_schemas.wire.request import PAGE_LIMIT

DEFAULT_COUNT = 50

T = TypeVar("T")


@verb(
    "search",
    "flightlog search disk full --since 1d",
    "flightlog search '\"connection refused\" retry* -test' --level WARN,ERROR",
)
@click.argument("text", nargs=-1, required=True)
@click.option("--execution", metavar="EXEC", type=ID, help="Lines of this execution.")
@click.option("--task", metavar="ID", help="Lines of this task.")
@click.option("--level", type=LEVELS, metavar="A,B", help="Lines of exactly these levels.")
@click.option("--source", help="Lines of exactly this source.")
@click.option("--project", metavar="DIR", help="Of this project, named by its root directory.")
@host_option
@click.option("-S", "--since", type=TIME, help="At or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option("-U", "--until", type=TIME, help="Before.")
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
    text: tuple[str, ...],
    execution: str | None,
    task: str | None,
    level: tuple[int, ...] | None,
    source: str | None,
    project: str | None,
    hosts: tuple[str, ...],
    since: int | None,
    until: int | None,
    count: int | None,
    as_json: bool,
) -> None:
    """Find log lines by words, over all executions, newest first.

    TEXT is words that all occur; "words in quotes" occur in a row, a star behind a word takes what begins
    so, a dash before one leaves out. Quote it for your shell: 'disk full -test'. What begins with a dash
    comes after --.

    A word is letters and digits; case, accents and punctuation do not matter: user_id is found by id, by
    user and by user_id, /var/log/x.log by log or by "var log". Lifecycle lines are found like others, so
    names and errors of executions and tasks are, too.

    A line is EXEC TIME LEVEL [source] [task] message. Exit code 1 when nothing is found.
    """
    request = Search(
        text=" ".join(text),
        execution_id=execution,
        task_id=task,
        level=level or (),
        source=source,
        project=None if project is None else project_named(project),
        host=hosts,
        since=since,
        until=until,
    )
    wanted = count or DEFAULT_COUNT
    written = 0
    with session.ask() as daemon:
        output = session.output()
        if as_json:

            def answers() -> Iterator[dict[str, Any]]:
                nonlocal written
                for found in _pages(daemon, request, dict[str, Any], wanted):
                    written += 1
                    yield shown(found)

            output.json_array(answers())
        else:
            pieces = emphasis(request.text)
            for line in _pages(daemon, request, LogLine, wanted):
                written += 1
                execution_id = short_id(line.execution_id) if output.terminal else line.execution_id
                output.line(f"{output.paint(execution_id, 'dim')} {log_text(line, output, pieces)}")
        end = daemon.end
    if not written:
        session.say("no line has these words")
    if end is not None and end.lag:
        session.say(f"the newest {end.lag:,} positions of the log cannot be searched yet")
    if count is None and written == DEFAULT_COUNT and end is not None and end.truncated:
        session.say(f"the newest {DEFAULT_COUNT}; there are more, -n N shows them")
    if not written:
        raise click.exceptions.Exit(EXIT_NEGATIVE)


def _pages(daemon: Connection, request: Search, kind: type[T], wanted: int) -> Iterator[T]:
    """Yield lines page by page; a page that has too few is followed by the next, while there is one."""
    before = None
    while wanted > 0:
        page = replace(request, before=before, limit=min(wanted, PAGE_LIMIT))
        yield from daemon.all(page, kind)
        if daemon.end is None or not daemon.end.truncated:
            return
        wanted -= daemon.end.count
        before = int(daemon.end.next or 0)
