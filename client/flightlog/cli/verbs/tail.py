"""`flightlog tail`: events as they are recorded."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

import click
import msgspec
from msgspec.structs import replace

from flightlog.cli.options import ID, LEVELS, PATTERN, TIME, Pattern
from flightlog.cli.output import Output
from flightlog.cli.render import RecordedText, pruned_text
from flightlog.cli.verb import Session, verb
from flightlog.errors import QueryFailed
from flightlog.query import Connection
from flightlog_schemas.times import rfc3339
from flightlog_schemas.wire.query import PAGE_LIMIT, Pruned, Recorded, Tail

DEFAULT_COUNT = 10

Said: TypeAlias = Recorded | Pruned
Keep: TypeAlias = Callable[[Said], bool]


@verb(
    "tail",
    "flightlog tail --level WARN,ERROR",
    "flightlog tail --type execution. --since 1h --no-follow -o json",
)
@click.option("--execution", type=ID, metavar="EXEC", help="Of this execution, which may yet come.")
@click.option(
    "--type", "types", metavar="A,B", default="", help="Of these types; `task.` is all that begin so."
)
@click.option("--level", type=LEVELS, metavar="A,B", help="Log lines of exactly these levels.")
@click.option("--task", type=ID, metavar="ID", help="Of this task.")
@click.option("--agent", type=ID, metavar="ID", help="Of this agent.")
@click.option("--source", help="Log lines of exactly this source.")
@click.option("-g", "--grep", type=PATTERN, metavar="REGEX", help="In whose JSON text this is found.")
@click.option(
    "--exclude", type=PATTERN, metavar="REGEX", multiple=True, help="In whose JSON text this is not."
)
@click.option("--after", type=click.IntRange(min=0), metavar="SEQ", help="After this position.")
@click.option("-S", "--since", type=TIME, help="Recorded at or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Begin with the last N that match [default: {DEFAULT_COUNT}, or all after --after or --since].",
)
@click.option("-f", "--follow/--no-follow", default=True, help="Go on with what comes [default].")
@click.option(
    "-o",
    "form",
    type=click.Choice(["short", "json", "cat"]),
    default="short",
    show_default=True,
    help="A line with time and execution, the event as it is stored, or the text alone.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
def command(
    session: Session,
    execution: str | None,
    types: str,
    level: tuple[int, ...] | None,
    task: str | None,
    agent: str | None,
    source: str | None,
    grep: Pattern | None,
    exclude: tuple[Pattern, ...],
    after: int | None,
    since: int | None,
    count: int | None,
    follow: bool,
    form: str,
    as_json: bool,
) -> None:
    """Watch all executions as they happen.

    Shows recorded events as they come, beginning with the last few; Ctrl-C ends it.
    """
    request = Tail(
        after=after,
        since=since,
        follow=follow,
        type=tuple(part for part in types.split(",") if part),
        execution_id=None if execution is None else _whole_id(session, execution),
        task_id=task,
        agent_id=agent,
        level=level or (),
        source=source,
        grep=_as_stored(grep.literal) or () if grep is not None else (),
        exclude=tuple(text for pattern in exclude if (text := _as_stored(pattern.literal)) is not None),
    )
    if count is None and after is None and since is None:
        count = DEFAULT_COUNT
    output = session.output()
    write = _writer(output, "json" if as_json else form)
    with session.ask(patient=follow) as daemon:
        for said in _events(daemon, request, count, _keep(grep, exclude)):
            write(said)
            if follow:
                output.flush()


def _whole_id(session: Session, execution_id: str) -> str:
    """Return the id that a prefix stands for, or the prefix where nothing begins so yet."""
    try:
        return session.daemon.execution(execution_id).execution_id
    except QueryFailed as failed:
        if failed.code != "not_found":
            raise
        return execution_id


def _events(daemon: Connection, request: Tail, count: int | None, keep: Keep | None) -> Iterator[Said]:
    """Yield events: those that the daemon chose, and of these the ones to keep, the last `count` first."""
    if count is None:
        yield from _kept(daemon.tail(request), keep)
        return
    from_start = request.after is not None or request.since is not None
    if keep is None and not from_start and count <= PAGE_LIMIT:
        yield from daemon.tail(replace(request, last=count))
        return
    # The last N of what only we can choose: read on from where the reading ended.
    start = request if from_start else replace(request, after=0)
    yield from deque(_kept(daemon.tail(replace(start, follow=False)), keep), maxlen=count)
    if request.follow:
        assert daemon.end is not None
        yield from _kept(daemon.tail(replace(request, after=daemon.end.seq, since=None)), keep)


def _kept(events: Iterator[Said], keep: Keep | None) -> Iterator[Said]:
    return events if keep is None else (said for said in events if keep(said))


def _keep(grep: Pattern | None, exclude: tuple[Pattern, ...]) -> Keep | None:
    """Return the test that the daemon cannot do, None if it does them all."""
    wanted = None if grep is None else grep.regex
    unwanted = [pattern.regex for pattern in exclude if pattern.regex is not None]
    if wanted is None and not unwanted:
        return None

    def keep(said: Said) -> bool:
        if isinstance(said, Pruned):
            return True
        text = bytes(said.event).decode()
        return (wanted is None or wanted.search(text) is not None) and not any(
            regex.search(text) for regex in unwanted
        )

    return keep


def _as_stored(text: str | None) -> str | None:
    """Return plain text as it stands within JSON, where a quote has a backslash."""
    return None if text is None else msgspec.json.encode(text).decode()[1:-1]


def _writer(output: Output, form: str) -> Callable[[Said], None]:
    """Return what writes one event."""
    if form == "json":
        return lambda said: output.json_line(_json(said))
    text = RecordedText(output, short=form == "short")
    return lambda said: output.line(pruned_text(said) if isinstance(said, Pruned) else text(said))


def _json(said: Said) -> bytes:
    if isinstance(said, Pruned):
        return msgspec.json.encode({"pruned": said})
    return msgspec.json.encode({**msgspec.structs.asdict(said), "received": rfc3339(said.received)})
