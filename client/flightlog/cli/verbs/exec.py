"""`flightlog exec`: a command as an execution."""

import os
import time
from typing import Final

import click

from flightlog import paths
from flightlog.capture.child import SpawnError, spawn
from flightlog.capture.lines import Entry
from flightlog.capture.pace import Pace
from flightlog.capture.record import CAPTURE_GRACE_S, KILL_GRACE_S, Recorder
from flightlog.capture.verdict import ASKED_TO_END, never_ran, verdict
from flightlog.cli.options import DURATION, ID, PAIR, surrounding_execution
from flightlog.cli.project import project_here, project_named
from flightlog.cli.signals import SignalRelay
from flightlog.cli.subject import Subject
from flightlog.cli.trace import VARIABLE, next_span
from flightlog.cli.verb import Session, verb
from flightlog.client import Client
from flightlog.clock import now_us
from flightlog.context import EXECUTION_ID_VARIABLE
from flightlog.dial import dial
from flightlog.errors import DaemonAway, UsageError
from flightlog.ids import new_id
from flightlog.masking import masked_text
from flightlog.process import this_process
from flightlog.scope import Scope
from flightlog_schemas.events.execution import ExecutionStarted
from flightlog_schemas.events.task import TaskStarted
from flightlog_schemas.limits import ID_LIMIT_CHARS

TIMED_OUT: Final = 124

START_WAIT_S: Final = 0.5
"""Longest that the command waits for its own start to be recorded, so that it can log to it at once."""

DELIVERY_WAIT_S: Final = 5.0
"""Longest that the end waits for a daemon that has answered before."""

BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Most that is held for a daemon that is away or slow."""

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
) -> int:
    """Run a command and record it.

    Its output goes through as it comes, and is recorded line by line; a line that is a JSON object with
    `level` and `message` becomes a structured entry. Signals are handed on, and the exit code is the
    command's own (127 not found, 126 not executable, 128+n by signal n), with a daemon or without.

    The command finds its execution in $FLIGHTLOG_EXECUTION_ID and its trace in $TRACEPARENT; within another
    execution it is a child of that one. Capture ends shortly after the command, even if something that it
    left behind still holds its output. Of its output the first 10 MiB are recorded, then a warning.

    With --task it is recorded as an attempt at a task of an execution that is there, which it does not end.
    Nobody asks first whether that one is known: its announcement may be on its way.
    """
    of_task = execution is not None or task is not None
    if of_task and (project is not None or labels or tool_version is not None):
        raise UsageError("--project, --label and --tool-version are of executions, not of tasks")
    # First of all: from here on a signal is for the command, and every thread inherits that.
    relay = SignalRelay()
    tool = os.path.basename(command[0])  # noqa: PTH119  # a path's last part, also where it ends in a slash
    trace = next_span(os.environ.get(VARIABLE))
    now = now_us()
    started: ExecutionStarted | TaskStarted
    if of_task:
        started = TaskStarted(
            execution_id=execution or _surrounding(session),
            task_id=task or _as_id(tool),
            time=now,
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            name=name or tool,
            task_type="exec",
            inputs={"args": recorded_args(command)},
        )
    else:
        started = ExecutionStarted(
            execution_id=new_id(),
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
            deadline=None if timeout is None else now + timeout + DEADLINE_ROOM_US,
            labels=dict(labels) or None,
        )
    subject = Subject(started, source or f"exec:{started.name}")
    environment = {**os.environ, EXECUTION_ID_VARIABLE: started.execution_id, VARIABLE: trace.parent}
    if session.runtime_dir is not None:
        environment["FLIGHTLOG_RUNTIME_DIR"] = os.path.abspath(session.runtime_dir)  # noqa: PTH100  # no links
    client = Client(
        session.runtime_dir,
        buffer_limit_bytes=BUFFER_BYTES,
        flush_interval_s=FLUSH_INTERVAL_S,
        exit_timeout_s=DELIVERY_WAIT_S,
    )
    client.put_now(started)
    if _daemon_is_there(session):
        client.flush(START_WAIT_S)
    begun = time.monotonic_ns()
    try:
        child = spawn(command, environment, relay.blocked_before)
    except SpawnError as error:
        session.say(str(error))
        took_us = (time.monotonic_ns() - begun) // 1000
        client.put_now(subject.ended(never_ran(error, took_us)))
        client.close()
        return error.exit_code
    relay.forward_to(child)
    scope = Scope(client, started.execution_id, started.task_id)

    def take(said: Entry) -> None:
        level = "INFO" if said.level is None else said.level
        scope.log(said.message, level, source=subject.source, fields=said.fields)

    recorder = Recorder(
        child,
        take,
        pause=Pace(client, BUFFER_BYTES // 2),
        told_to_end=lambda: not ASKED_TO_END.isdisjoint(relay.received),
        timeout_s=None if timeout is None else timeout / 1e6,
    )
    ending = recorder.run()
    client.put_now(subject.ended(verdict(ending, relay.received, timeout)))
    client.close()
    return TIMED_OUT if ending.timed_out else ending.exit_status


def _surrounding(session: Session) -> str:
    execution_id = surrounding_execution(session)
    if execution_id is None:
        raise UsageError(f"a task of which execution? Give --execution, or set {EXECUTION_ID_VARIABLE}")
    return execution_id


def _as_id(tool: str) -> str:
    """Return a name that can be a task's id."""
    wanted = "".join(char if char.isprintable() and char != " " else "-" for char in masked_text(tool))
    return wanted[:ID_LIMIT_CHARS] or "-"


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
