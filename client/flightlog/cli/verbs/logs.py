"""`flightlog logs`: the log of one execution, or of all runs of a task."""

from collections.abc import Callable, Iterator
from itertools import islice

import click
import msgspec
from msgspec.structs import replace

from flightlog.cli.check import run_check
from flightlog.cli.choice import choice_options, keep_by, literals
from flightlog.cli.cursors import NamedPosition, cursor_option
from flightlog.cli.follow import Patience, Said
from flightlog.cli.lines import LogText, Names
from flightlog.cli.options import ID, Pattern
from flightlog.cli.output import Output, shown
from flightlog.cli.stream import Stream
from flightlog.cli.verb import Session, json_option, verb
from flightlog.context import EXECUTION_ID_VARIABLE, inherited_execution_id
from flightlog.errors import UsageError
from flightlog.ids import is_id
from flightlog_schemas.answers import LogLine
from flightlog_schemas.wire.lines import Logs


@verb(
    "logs",
    "flightlog logs EXEC --level WARN+ --since 1h",
    "flightlog logs EXEC -f -g 'time(d )?out' --exclude retry",
    "flightlog logs --task extract -n 100",
)
@click.argument("execution", metavar="[EXEC]", required=False, type=ID)
@choice_options("message")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="After this position.")
@cursor_option
@click.option(
    "-n", "count", type=click.IntRange(min=0), metavar="N", help="Only the last N that match [default: all]."
)
@click.option("-r", "--reverse", is_flag=True, help="Newest first.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution has ended.")
@click.option(
    "--check",
    is_flag=True,
    help="Instead: is all of it here, or what is missing and why? Exit code 1 then.",
)
@json_option
def command(
    session: Session,
    execution: str | None,
    level: tuple[int, ...] | None,
    task: str | None,
    agent: str | None,
    source: str | None,
    grep: tuple[Pattern, ...],
    exclude: tuple[Pattern, ...],
    hosts: tuple[str, ...],
    since: int | None,
    until: int | None,
    after: int | None,
    cursor_name: str | None,
    count: int | None,
    reverse: bool,
    follow: bool,
    check: bool,
    as_json: bool,
) -> int:
    """Show the log of an execution, oldest first.

    A line is TIME LEVEL [source] [task] message. What happened to the execution stands between its lines,
    with the source `daemon`. With --task and no EXEC: the lines of that task in all executions. On a terminal
    long lines are folded and control characters made harmless; elsewhere text is as it is stored.

    --follow misses and doubles nothing, waits for a daemon that goes away, and ends by itself with the
    execution's last line (that of a task does not end). A --cursor is a position of the whole log: take
    another name for each execution.

    --check tells what producers numbered and what came of it: all is here, or what is missing and why.
    """
    if check:
        said = (task, agent, level, grep, exclude, hosts, since, until, source, after, cursor_name, count)
        if any(value not in (None, ()) for value in said) or reverse or follow:
            raise UsageError("--check is about a whole execution: it goes with EXEC and --json alone")
        return run_check(session, execution or _surrounding(None) or "", as_json=as_json)
    if reverse and (follow or cursor_name is not None):
        raise UsageError("--reverse goes neither with --follow nor with --cursor")
    cursor = None if cursor_name is None else NamedPosition(session, cursor_name, back=after is not None)
    resumed = cursor is not None and after is None and cursor.exists()
    if resumed:
        count = None
    request = Logs(
        execution_id=execution or _surrounding(task),
        after=after,
        cursor=cursor_name if resumed else None,
        task_id=task,
        agent_id=agent,
        host=hosts,
        level=level or (),
        since=since,
        until=until,
        source=source,
        grep=literals(grep),
        exclude=literals(exclude),
        follow=follow,
        passing=cursor is not None,
    )
    keep = keep_by(grep, exclude)
    output = session.output()
    written = 0
    with (
        Stream(cursor) as stream,
        Patience(session, waits=follow, wait=stream.wait, pause=stream.pause) as daemon,
    ):
        text = LogText(output, Names(session) if request.execution_id is None else None)
        lines = (
            _newest_first(daemon, request, count, keep)
            if reverse
            else daemon.read(request, keep=keep, count=count, passed=stream.passed)
        )
        for line in lines:
            assert isinstance(line, LogLine)
            written += 1
            if as_json:
                stream.line_bytes(_json(output, line), line.seq)
            else:
                stream.line(text(line), line.seq)
        end = daemon.connection.end
    pruned = 0 if end is None or (written and count is not None) or resumed else end.pruned
    if pruned:
        some = "a line of it was" if pruned == 1 else f"{pruned:,} lines of it were"
        session.say(f"{some} removed by now; --check says when and why")
    elif not written and count != 0:
        session.say(_nothing(request, kept=keep is not None, resumed=resumed))
    return 0


def _surrounding(task: str | None) -> str | None:
    """Return the execution that is meant where none is named; with a task it is any."""
    if task is not None:
        return None
    execution_id = inherited_execution_id()
    if execution_id is None or not is_id(execution_id):
        raise UsageError(f"which execution? Give its id, or set {EXECUTION_ID_VARIABLE}; or a --task")
    return execution_id


def _newest_first(
    daemon: Patience, request: Logs, count: int | None, keep: Callable[[Said], bool] | None
) -> Iterator[Said]:
    lines = daemon.said(replace(request, reverse=True))
    return islice(lines if keep is None else filter(keep, lines), count)


def _json(output: Output, line: LogLine) -> bytes:
    return output.harmless(msgspec.json.encode(shown(msgspec.to_builtins(line))))


def _nothing(request: Logs, *, kept: bool, resumed: bool) -> str:
    if resumed:
        return "nothing new"
    narrowing = (request.level, request.grep, request.exclude, request.source, request.agent_id)
    times = (request.since, request.until, request.after, request.task_id)
    return "no lines match" if kept or any(narrowing) or times != (None,) * 4 else "it has no log"
