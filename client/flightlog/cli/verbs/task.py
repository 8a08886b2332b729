"""`flightlog task`: attempts at tasks, over all executions."""

import re
from collections.abc import Iterator
from typing import Any, Final, get_args

import click
import msgspec
from msgspec.structs import replace

from flightlog import commands
from flightlog.cli.follow import Patience
from flightlog.cli.lists import task_columns
from flightlog.cli.options import ID, TIME, host_option
from flightlog.cli.output import Output, shown
from flightlog.cli.project import project_here, project_named
from flightlog.cli.render import STATUS_STYLES, duration, error_text
from flightlog.cli.stream import Stream
from flightlog.cli.tables import Column
from flightlog.cli.text import one_line
from flightlog.cli.verb import Session, family, json_option, verb
from flightlog.clock import now_us
from flightlog.declarations import read_declarations
from flightlog.errors import DaemonAway, NotUnderstood
from flightlog.query import Connection
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events.envelope import Provenance
from flightlog_schemas.events.task import Dependency, TaskDeclared
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.stats import Completion
from flightlog_schemas.statuses import TaskStatus
from flightlog_schemas.wire.query import Completions, Tasks
from flightlog_schemas.wire.request import PAGE_LIMIT

DEFAULT_COUNT: Final = 20
NONE: Final = 1

command = family(
    "task",
    "Attempts at tasks: how they went, over all executions; and tasks to be planned.",
    "flightlog task list --task extract --since 1d",
    "flightlog task trace 4bf92f3577b34da6a3ce929d0e0e4736",
    "flightlog task failed -n 5",
    "flightlog task watch --novel",
    "flightlog task declare api --depends-on schema",
)

_count = click.option(
    "-n", "count", type=click.IntRange(1, PAGE_LIMIT), default=DEFAULT_COUNT, show_default=True, metavar="N",
    help="At most this many.",
)  # fmt: skip


def _hex(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not re.fullmatch("[0-9a-f]{32}", value):
        raise click.BadParameter("a trace is 32 hex digits, in lower case")
    return value


@command.member
@verb("list", "flightlog task list --status failed,timed_out --since 1d")
@click.option("--execution", "execution_id", metavar="EXEC", help="Of this execution.")
@click.option("--task", "task_id", type=ID, metavar="ID", help="Of this task, in any execution.")
@click.option("--slug", help="Of tasks of this slug.")
@click.option("--status", type=click.Choice(get_args(TaskStatus)), help="In this status.")
@click.option("--provenance", type=click.Choice(get_args(Provenance)), help="That came here in this way.")
@host_option
@click.option("-S", "--since", type=TIME, help="First heard of at or after: 5m, 2h, 1d, today, RFC 3339.")
@_count
@json_option
def list_(
    session: Session,
    execution_id: str | None,
    task_id: str | None,
    slug: str | None,
    status: Any,
    provenance: Any,
    hosts: tuple[str, ...],
    since: int | None,
    count: int,
    as_json: bool,
) -> None:
    """List attempts at tasks, newest first.

    Piped: tab-separated id, status, attempt, duration, started, name; what is not known is `-`.
    """
    request = Tasks(
        execution_id=execution_id,
        task_id=task_id,
        slug=slug,
        status=status,
        provenance=provenance,
        host=hosts,
        since=since,
        limit=count,
    )
    if not _show(session, request, as_json) and not as_json:
        session.say("no attempts match")


@command.member
@verb("trace", "flightlog task trace 4bf92f3577b34da6a3ce929d0e0e4736")
@click.argument("trace_id", metavar="TRACE", callback=_hex)
@json_option
def trace(session: Session, trace_id: str, as_json: bool) -> int:
    """List all attempts of one trace in order: a task and its retries.

    Exit code 1 if there is none.
    """
    if not _show(session, Tasks(trace_id=trace_id, oldest_first=True), as_json):
        session.say(f"no attempt has the trace {trace_id}")
        return NONE
    return 0


@command.member
@verb("failed", "flightlog task failed --task extract -n 3")
@click.option("--task", "task_id", type=ID, metavar="ID", help="Of this task.")
@host_option
@_count
@json_option
def failed(session: Session, task_id: str | None, hosts: tuple[str, ...], count: int, as_json: bool) -> None:
    """List the attempts that failed last, newest first, with what went wrong.

    Piped: the columns of `task list`, and the error.
    """
    request = Tasks(task_id=task_id, status="failed", host=hosts, limit=count)
    if not _show(session, request, as_json) and not as_json:
        session.say("nothing failed")


@command.member
@verb("watch", "flightlog task watch --failed", "flightlog task watch --novel --json")
@click.option("--task", "task_id", type=ID, metavar="ID", help="Of this task, in any execution.")
@click.option("--slug", help="Of tasks of this slug.")
@click.option("--failed", is_flag=True, help="Only what failed, timed out or was lost.")
@click.option("--novel", is_flag=True, help="Only failures with a stack never seen before.")
@click.option(
    "--after", type=click.IntRange(0, INT64_MAX), metavar="SEQ",
    help="Begin with what ended after this position [default: now].",
)  # fmt: skip
@json_option
def watch(
    session: Session,
    task_id: str | None,
    slug: str | None,
    failed: bool,
    novel: bool,
    after: int | None,
    as_json: bool,
) -> None:
    """Watch attempts at tasks as they end, until Ctrl-C.

    A failure with a stack that was never seen before is marked as new; in JSON `novel` says so. What ended
    with its execution and tells of its own ending later comes twice. A daemon that goes away is waited for.
    """
    request = Completions(
        after=after, task_id=task_id, slug=slug, status=_FAILED if failed else (), novel_only=novel
    )
    output = session.output()
    with Stream() as stream, Patience(session, wait=stream.wait, pause=stream.pause) as daemon:
        for one in _completions(daemon, request):
            if as_json:
                encoded = msgspec.json.encode(shown(msgspec.to_builtins(one)))
                stream.line_bytes(output.harmless(encoded), one.ended_seq)
            else:
                stream.line(_line(output, one), one.ended_seq)


@command.member
@verb(
    "declare",
    "flightlog task declare api --description 'write `src/api.py`' --epic web --depends-on schema",
    "flightlog task declare --file tasks.json",
)
@click.argument("task_id", metavar="[TASK]", required=False, type=ID)
@click.option("--project", metavar="DIR", help="Root of its project [default: the one you are in].")
@click.option("--description", help="What is to be done: files that it names are predicted to be written.")
@click.option("--action", help="What kind of work; tasks with this slug tell how long it takes.")
@click.option("--epic", type=ID, help="The group that it belongs to.")
@click.option("--priority", type=click.IntRange(0, 999), default=999, help="Lowest first [default: 999].")
@click.option("--depends-on", type=ID, multiple=True, metavar="TASK", help="It waits for; may be repeated.")
@click.option("--soft", type=ID, multiple=True, metavar="TASK", help="Related, and not waited for.")
@click.option("--file", type=click.File("rb"), metavar="FILE", help="Many at once, as JSON; - is stdin.")
def declare(
    session: Session,
    task_id: str | None,
    project: str | None,
    description: str | None,
    action: str | None,
    epic: str | None,
    priority: int,
    depends_on: tuple[str, ...],
    soft: tuple[str, ...],
    file: Any,
) -> None:
    """Declare a task of a project, or many from a file, for `plan build`.

    The last declaration of a task counts. A file is an object with `tasks` and `epics`, a list of tasks, or
    has one of them on each line: {"task_id", "description", "action", "epic", "priority", "depends_on"}.
    """
    root = project_here() if project is None else project_named(project)
    if (task_id is None) == (file is None):
        raise click.UsageError("give a TASK, or --file")
    if file is not None:
        if description or action or epic or depends_on or soft:
            raise click.UsageError("with --file, all about the tasks is in the file")
        declared = read_declarations(file.read(), root)
        commands.declare_tasks(declared.tasks, declared.epics, daemon=session.daemon)
        return
    assert task_id is not None
    hard = [Dependency(task_id=one) for one in dict.fromkeys(depends_on)]
    weak = [Dependency(task_id=one, kind="soft") for one in dict.fromkeys(soft) if one not in depends_on]
    task = TaskDeclared(
        task_id=task_id,
        project=root,
        description=description,
        action=action,
        epic=epic,
        priority=priority,
        depends_on=(*hard, *weak),
    )
    commands.declare_tasks([task], daemon=session.daemon)


_FAILED: Final = ("failed", "timed_out", "lost")


def _completions(daemon: Patience, request: Completions) -> Iterator[Completion]:
    """Yield attempts as they end; after a break, go on where it was."""
    if request.after is None:
        request = replace(request, after=_now(daemon.connection))
    told: set[int] = set()
    position = -1
    while True:
        try:
            for one in daemon.connection.all(request, Completion):
                if one.ended_seq != position:
                    position = one.ended_seq
                    told.clear()
                if one.seq not in told:
                    told.add(one.seq)
                    yield one
        except DaemonAway as error:
            if isinstance(error, NotUnderstood):
                raise
            daemon.return_of_daemon()
        if position > 0:
            # An execution takes many attempts with it at one position; not all of them may have come.
            request = replace(request, after=position - 1)


def _now(connection: Connection) -> int:
    """Return the position at which the log ends."""
    for _ in connection.all(Completions(follow=False, limit=0), Completion):
        pass
    assert connection.end is not None
    return connection.end.seq


def _line(output: Output, one: Completion) -> str:
    """Return a completion as a line of text."""
    status = output.paint(f"{one.status:<9}", STATUS_STYLES[one.status])
    parts = [output.paint(output.time(one.finished_at or 0), "dim"), status, output.safe(one.task_id)]
    if one.attempt > 1:
        parts.append(f"attempt {one.attempt}")
    if (took := duration(one)) is not None:
        parts.append(took)
    if (error := error_text(one)) is not None:
        parts.append(output.safe(one_line(error)))
    if one.novel:
        parts.append(output.paint("[new]", "bold red"))
    return " ".join(parts)


def _show(session: Session, request: Tasks, as_json: bool) -> int:
    """Write the answer and return how many attempts it has."""
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            rows = [shown(row) for row in daemon.all(request, dict[str, Any])]
            output.json_array(rows)
            return len(rows)
        attempts = list(daemon.all(request, TaskAttempt))
    if attempts or not output.terminal:
        output.rows(_columns(output, request), attempts)
    return len(attempts)


def _columns(output: Output, request: Tasks) -> list[Column[TaskAttempt]]:
    columns = task_columns(output, now_us())
    if request.status == "failed":
        columns.append(Column(head="ERROR", value=error_text, wraps=True))
    return columns
