"""`flightlog exec`: a command as an execution."""

import os
from typing import Final

import click

from flightlog import paths
from flightlog.capture.record import CAPTURE_GRACE_S, KILL_GRACE_S
from flightlog.cli.options import DURATION, ID, PAIR, RULES, TIME, surrounding_execution
from flightlog.cli.project import project_here, project_named
from flightlog.cli.repeat import BUFFER_BYTES, Command
from flightlog.cli.signals import SignalRelay
from flightlog.cli.subject import Subject
from flightlog.cli.verb import Session, verb
from flightlog.client import Client
from flightlog.clock import now_us
from flightlog.context import EXECUTION_ID_VARIABLE, inside
from flightlog.dial import dial
from flightlog.errors import DaemonAway, FlightlogError, UsageError
from flightlog.ids import fitting, new_id, new_span_id
from flightlog.masking import SCRUB_VARIABLE, masked_text, scrub_pii
from flightlog.process import this_process
from flightlog.query import Connection
from flightlog.retries import last_attempt
from flightlog.task_facts import schedule_key, span_of
from flightlog.trace import VARIABLE, Trace, next_span
from flightlog_schemas.answers import Execution, TaskAttempt
from flightlog_schemas.events.execution import ExecutionStarted
from flightlog_schemas.events.task import TaskStarted
from flightlog_schemas.wire.query import Inspect

TIMED_OUT: Final = 124

START_WAIT_S: Final = 0.5
"""Longest that the command waits for its own start to be recorded, so that it can log to it at once."""

DELIVERY_WAIT_S: Final = 5.0
"""Longest that the end waits for a daemon that has answered before."""

RETRIES_LIMIT: Final = 1000

FLUSH_INTERVAL_S: Final = 0.1
"""Somebody may be following."""

DEADLINE_ROOM_US: Final = int((KILL_GRACE_S + CAPTURE_GRACE_S + DELIVERY_WAIT_S) * 1e6)
"""Time between the end of what the command may take and the deadline of the daemon: exec ends it first."""

ARGS_LIMIT_CHARS: Final = 100_000
"""More than this of a command line is not recorded."""


@verb(
    "exec",
    "flightlog exec -- make test",
    "flightlog exec --name nightly --label host=a1 --timeout 2h -- ./backup.sh /srv",
    "flightlog exec --execution EXEC --task load --source plugin:core/csv.load -- ./load.py",
    "flightlog exec --retries 3 --scrub email,ipv4 -- ./sync.sh",
    runs_command=True,
)
@click.option("--name", help="What people call it [default: the command's own name].")
@click.option("--project", metavar="DIR", help="Its project [default: the one you are in].")
@click.option(
    "--label", "labels", type=PAIR, multiple=True, metavar="K=V", help="A named fact; may be repeated."
)
@click.option("--tool-version", help="The version of the command.")
@click.option("--timeout", type=DURATION, help="End the command after this long: 30s, 10m; exit code 124.")
@click.option("--source", help="What its lines name as their source [default: exec:NAME].")
@click.option(
    "--execution",
    type=ID,
    metavar="EXEC",
    help="Record an attempt at a task of this execution instead [default: the one around, with --task].",
)
@click.option("--task", type=ID, metavar="ID", help="That task [default: the command's own name].")
@click.option(
    "--retries",
    type=click.IntRange(0, RETRIES_LIMIT),
    default=0,
    metavar="N",
    help="While it fails, run it again, up to N times; each run is an attempt at a task.",
)
@click.option("--retry-last", is_flag=True, help="The first run follows the last attempt at --task.")
@click.option(
    "--scheduled-at",
    type=TIME,
    help="With --task: when the attempt was due; it is recorded once, whoever starts it.",
)
@click.option(
    "--scrub",
    "rules",
    type=RULES,
    default=(),
    metavar="RULES",
    help="Scrub personal data from what is recorded: email,ipv4,ipv6,uuid,hex, or all.",
)
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    session: Session,
    command: tuple[str, ...],
    name: str | None,
    project: str | None,
    labels: tuple[tuple[str, str], ...],
    tool_version: str | None,
    timeout: int | None,
    source: str | None,
    execution: str | None,
    task: str | None,
    retries: int,
    retry_last: bool,
    scheduled_at: int | None,
    rules: tuple[str, ...],
) -> int:
    """Run a command and record it.

    Its output goes through as it comes, and is recorded line by line; a line that is a JSON object with
    `level` and `message` becomes a structured entry. Signals are handed on, and the exit code is the
    command's own (127 not found, 126 not executable, 128+n by signal n), with a daemon or without.

    The command finds its execution in $FLIGHTLOG_EXECUTION_ID and its trace in $TRACEPARENT; within another
    execution it is a child of that one. Capture ends shortly after the command, even if something that it
    left behind still holds its output. Of its output the first 10 MiB are recorded, then a warning.

    With --task it is recorded as an attempt at a task of an execution that is there, which it does not end;
    what `log` and `artifact add` tell within it is of that task ($FLIGHTLOG_TASK).
    Nobody asks first whether that one is known: its announcement may be on its way.

    With --retries a run that fails, or whose time is up, is followed by another; what cannot be started, or
    was told to end by a signal, is not. The exit code is that of the last run; --timeout is for each.
    """
    of_task = execution is not None or task is not None
    if of_task and (project is not None or labels or tool_version is not None):
        raise UsageError("--project, --label and --tool-version are of executions, not of tasks")
    if retry_last and not of_task:
        raise UsageError("--retry-last is of a task: name it by --task")
    if scheduled_at is not None and not of_task:
        raise UsageError("--scheduled-at is of a task: name it by --task")
    if rules:
        scrub_pii(*rules)
    tool = os.path.basename(command[0])  # noqa: PTH119  # a path's last part, also where it ends in a slash
    task_id = task or fitting("-".join(masked_text(tool).split()))
    execution_id = (execution or _surrounding(session)) if of_task else new_id()
    before = _last_attempt(session, execution_id, task_id) if retry_last else None
    # Before any thread: from here on a signal is for the command, and every thread inherits that.
    relay = SignalRelay()
    environment = inside(os.environ, execution_id, task_id if of_task or retries else None)
    if rules:
        environment[SCRUB_VARIABLE] = ",".join(rules)
    if session.runtime_dir is not None:
        environment["FLIGHTLOG_RUNTIME_DIR"] = os.path.abspath(session.runtime_dir)  # noqa: PTH100  # no links
    client = Client(
        session.runtime_dir,
        buffer_limit_bytes=BUFFER_BYTES,
        flush_interval_s=FLUSH_INTERVAL_S,
        exit_timeout_s=DELIVERY_WAIT_S,
    )

    def settle() -> None:
        if _daemon_is_there(session):
            client.flush(START_WAIT_S)

    running = Command(client, relay, command, environment, timeout, settle, session.say)
    trace = next_span(os.environ.get(VARIABLE))
    now = now_us()

    def first_attempt(trace: Trace) -> TaskStarted:
        return TaskStarted(
            execution_id=execution_id,
            task_id=task_id,
            time=now,
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            name=name or tool,
            task_type="exec",
            inputs={"args": recorded_args(command)},
            scheduled_at=scheduled_at,
            id=None if scheduled_at is None else schedule_key(task_id, scheduled_at, 1),
        )

    lines_of = source or f"exec:{name or tool}"
    if of_task:
        if scheduled_at is not None:
            trace = trace._replace(span_id=span_of(task_id, scheduled_at, 1))
        ended = running.attempt(first_attempt(trace), lines_of, trace, retries, before)
    else:
        runs = retries + 1
        started = ExecutionStarted(
            execution_id=execution_id,
            time=now,
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            name=name or tool,
            tool=tool,
            tool_version=tool_version,
            args=recorded_args(command),
            project=project_here() if project is None else project_named(project),
            parent_id=surrounding_execution(session),
            owner=this_process(),
            deadline=None if timeout is None else now + runs * (timeout + DEADLINE_ROOM_US),
            labels=dict(labels) or None,
        )
        subject = Subject(started, lines_of)
        if retries:
            client.put_now(started)
            inner = trace._replace(span_id=new_span_id())
            ended = running.attempt(first_attempt(inner), lines_of, inner, retries)
        else:
            ended = running.run(subject, trace)
        client.put_now(subject.ended(ended))
    delivered = client.close()
    if delivered and execution is not None:
        _warn_of_unknown(session, execution)
    return TIMED_OUT if ended.outcome == "timed_out" else ended.exit_status


def _warn_of_unknown(session: Session, execution_id: str) -> None:
    """Say that nobody has announced an execution, which may be a slip of the pen.

    Only now: its announcement may have been on its way.
    """
    try:
        with Connection(paths.query_socket(session.daemon.directory), START_WAIT_S) as daemon:
            found = daemon.one(Inspect(execution_id=execution_id), Execution)
    except FlightlogError:
        return
    if found.execution_id != execution_id or found.uid is None:
        session.say(f"no execution {execution_id} is known; what was recorded waits for its announcement")


def _last_attempt(session: Session, execution_id: str, task_id: str) -> TaskAttempt | None:
    try:
        return last_attempt(
            task_id,
            execution_id=execution_id,
            directory=session.daemon.directory,
            timeout_s=START_WAIT_S,
        )
    except FlightlogError as error:
        # The command is to run, whatever is recorded of it.
        session.say(f"recorded as a first attempt: {error.reason}")
        return None


def _surrounding(session: Session) -> str:
    execution_id = surrounding_execution(session)
    if execution_id is None:
        raise UsageError(f"a task of which execution? Give --execution, or set {EXECUTION_ID_VARIABLE}")
    return execution_id


def _daemon_is_there(session: Session) -> bool:
    try:
        dial(paths.ingest_socket(session.daemon.directory), START_WAIT_S).close()
    except DaemonAway:
        return False
    return True


def recorded_args(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command line as it is recorded: whole, or cut where it is very long, and saying so."""
    left = ARGS_LIMIT_CHARS
    kept: list[str] = []
    for number, argument in enumerate(command):
        if len(argument) > left:
            # Masked before it is cut, for half a secret would not be found.
            kept.append(f"{masked_text(argument)[:left]}… [{len(argument) - left:,} more characters cut]")
            if number + 1 < len(command):
                kept.append(f"… [{len(command) - number - 1:,} more arguments cut]")
            break
        kept.append(argument)
        left -= len(argument)
    return tuple(kept)
