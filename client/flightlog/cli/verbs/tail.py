"""`flightlog tail`: events as they are recorded."""

from collections import deque
from collections.abc import Callable, Iterable

import click
import msgspec
from msgspec import UNSET

from flightlog.cli.choice import as_stored, choice_options, keep_by, literals
from flightlog.cli.cursors import NamedPosition, cursor_option
from flightlog.cli.follow import Patience, Said, position_of
from flightlog.cli.journal_out import JournalStream, entry
from flightlog.cli.lines import Names, RecordedText, pruned_text
from flightlog.cli.options import ID, Pattern
from flightlog.cli.output import Output
from flightlog.cli.stream import Stream
from flightlog.cli.verb import Session, verb
from flightlog.cloudevents import Outgoing
from flightlog.errors import QueryFailed, UsageError
from flightlog_schemas.answers import DaemonStatus, LogLine
from flightlog_schemas.times import rfc3339
from flightlog_schemas.wire.lines import Tail
from flightlog_schemas.wire.query import StatusRequest
from flightlog_schemas.wire.reply import Pruned

DEFAULT_COUNT = 10


@verb(
    "tail",
    "flightlog tail --level WARN+ --exclude heartbeat",
    "flightlog tail --cursor shipper -o json | ship",
    "flightlog tail --cursor journal --to-journal",
    "flightlog tail --type execution. --since 1h --no-follow -o json",
)
@click.option("--execution", type=ID, metavar="EXEC", help="Of this execution, which may yet come.")
@click.option(
    "--type", "types", metavar="A,B", default="", help="Of these types; `task.` is all that begin so."
)
@choice_options("JSON text")
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="After this position.")
@cursor_option
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Begin with the last N that match [default: {DEFAULT_COUNT}, or all from a --cursor, --after or"
    " --since on].",
)
@click.option(
    "-f", "--follow/--no-follow", default=None, help="Go on with what comes [default without -r and -U]."
)
@click.option("-r", "--reverse", is_flag=True, help="What is there, newest first.")
@click.option(
    "-o",
    "form",
    type=click.Choice(["short", "json", "cat", "cloudevents"]),
    default="short",
    show_default=True,
    help="A line with time and execution, the event as it is stored, the text alone, or a CloudEvent.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@click.option("--to-journal", is_flag=True, help="Write to systemd's journal instead of stdout.")
def command(
    session: Session,
    execution: str | None,
    types: str,
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
    follow: bool | None,
    reverse: bool,
    form: str,
    as_json: bool,
    to_journal: bool,
) -> None:
    """Watch all executions as they happen.

    Shows recorded events as they come, beginning with the last few; Ctrl-C ends it. --since and --until go by
    when the daemon received them. A daemon that goes away is waited for. On a terminal long lines are folded
    and control characters made harmless; elsewhere text is as it is stored.
    """
    if follow and (reverse or until is not None):
        raise UsageError("-f goes neither with --reverse nor with --until")
    if to_journal and (as_json or form != "short"):
        raise UsageError("--to-journal has a form of its own: no -o, no --json")
    if reverse and cursor_name is not None:
        raise UsageError("--reverse does not go with --cursor")
    follow = not reverse and until is None and follow is not False
    cursor = None if cursor_name is None else NamedPosition(session, cursor_name, back=after is not None)
    resumed = cursor is not None and after is None and cursor.exists()
    if resumed:
        since = count = None
    elif count is None and after is None and since is None:
        count = DEFAULT_COUNT
    request = Tail(
        after=0 if after is None and since is None and not resumed else after,
        since=since,
        until=until,
        cursor=cursor_name if resumed else None,
        follow=follow,
        type=tuple(part for part in types.split(",") if part),
        execution_id=None if execution is None else _whole_id(session, execution),
        task_id=task,
        agent_id=agent,
        host=hosts,
        level=level or (),
        source=source,
        grep=tuple(map(as_stored, literals(grep))),
        exclude=tuple(map(as_stored, literals(exclude))),
        passing=cursor is not None,
    )
    output = session.output()
    with (
        JournalStream(cursor) if to_journal else Stream(cursor) as stream,
        Patience(session, waits=follow, wait=stream.wait, pause=stream.pause) as daemon,
    ):
        write = _writer(
            session,
            output,
            stream,
            "journal" if to_journal else "json" if as_json else form,
            mixed=execution is None,
        )
        said: Iterable[Said] = daemon.read(
            request, keep=keep_by(grep, exclude), count=count, passed=stream.passed
        )
        if reverse:
            said = reversed(deque(said))
        for one in said:
            write(one)


def _whole_id(session: Session, execution_id: str) -> str:
    """Return the id that a prefix stands for, or the prefix where nothing begins so yet."""
    try:
        return session.daemon.execution(execution_id).execution_id
    except QueryFailed as failed:
        if failed.code != "not_found":
            raise
        return execution_id


def _writer(
    session: Session, output: Output, stream: Stream, form: str, *, mixed: bool
) -> Callable[[Said], None]:
    """Return what writes one event."""
    if form == "journal":
        return lambda said: stream.line_bytes(entry(said), position_of(said))
    if form == "json":
        return lambda said: stream.line_bytes(output.harmless(_json(said)), position_of(said))
    if form == "cloudevents":
        with session.ask() as daemon:
            status = daemon.one(StatusRequest(), DaemonStatus)
            told = Outgoing(status.log_id, status.host)
        return lambda said: stream.line_bytes(output.harmless(_cloud_event(told, said)), position_of(said))
    names = Names(session) if mixed or not output.terminal else None
    text = RecordedText(output, names, bare=form == "cat")

    def write(said: Said) -> None:
        assert not isinstance(said, LogLine)
        stream.line(pruned_text(said) if isinstance(said, Pruned) else text(said), position_of(said))

    return write


def _cloud_event(told: Outgoing, said: Said) -> bytes:
    assert not isinstance(said, LogLine)
    return msgspec.json.encode(told.hole(said) if isinstance(said, Pruned) else told.event(said))


def _json(said: Said) -> bytes:
    assert not isinstance(said, LogLine)
    if isinstance(said, Pruned):
        return msgspec.json.encode({"pruned": said})
    shown = msgspec.structs.asdict(said) | {"received": rfc3339(said.received)}
    if said.execution_id is UNSET:
        del shown["execution_id"]
    if said.origin is UNSET:
        del shown["origin"]
    else:
        shown["origin"] = msgspec.structs.asdict(said.origin) | {"received": rfc3339(said.origin.received)}
    return msgspec.json.encode(shown)
