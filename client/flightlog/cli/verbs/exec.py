"""`flightlog exec`: a command as an execution."""

import os
import signal
import time
from typing import Final

import click
import msgspec

from flightlog import paths
from flightlog.capture.child import BY_SIGNAL, SpawnError, spawn
from flightlog.capture.lines import Entry
from flightlog.capture.pace import Pace
from flightlog.capture.record import CAPTURE_GRACE_S, KILL_GRACE_S, Ending, Recorder
from flightlog.cli.options import DURATION, PAIR, surrounding_execution
from flightlog.cli.project import project_here, project_named
from flightlog.cli.signals import SignalRelay
from flightlog.cli.trace import VARIABLE, next_span
from flightlog.cli.verb import Session, verb
from flightlog.client import Client
from flightlog.clock import now_us
from flightlog.context import EXECUTION_ID_VARIABLE
from flightlog.dial import dial
from flightlog.errors import DaemonAway
from flightlog.ids import new_id
from flightlog.masking import masked_text
from flightlog.process import this_process
from flightlog.scope import Scope
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.events.execution import ExecutionEnded, ExecutionStarted
from flightlog_schemas.times import duration_text

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

_ASKED_TO_END: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})


@verb(
    "exec",
    "flightlog exec -- make test",
    "flightlog exec --name nightly --label host=a1 --timeout 2h -- ./backup.sh /srv",
    runs_command=True,
)
@click.option("--name", help="What people call it [default: the command's own name].")
@click.option("--project", metavar="DIR", help="Its project [default: the one you are in].")
@click.option(
    "--label", "labels", type=PAIR, multiple=True, metavar="K=V", help="A named fact; may be repeated."
)
@click.option("--tool-version", help="The version of the command.")
@click.option("--timeout", type=DURATION, help="End the command after this long: 30s, 10m; exit code 124.")
@click.argument("command", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    session: Session,
    command: tuple[str, ...],
    name: str | None,
    project: str | None,
    labels: tuple[tuple[str, str], ...],
    tool_version: str | None,
    timeout: int | None,
) -> int:
    """Run a command and record it.

    Its output goes through as it comes, and is recorded line by line; a line that is a JSON object with
    `level` and `message` becomes a structured entry. Signals are handed on, and the exit code is the
    command's own (127 not found, 126 not executable, 128+n by signal n), with a daemon or without.

    The command finds its execution in $FLIGHTLOG_EXECUTION_ID and its trace in $TRACEPARENT; within another
    execution it is a child of that one. Capture ends shortly after the command, even if something that it
    left behind still holds its output.
    """
    # First of all: from here on a signal is for the command, and every thread inherits that.
    relay = SignalRelay()
    tool = os.path.basename(command[0])  # noqa: PTH119  # a path's last part, also where it ends in a slash
    trace = next_span(os.environ.get(VARIABLE))
    now = now_us()
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
        client.put_now(_never_ran(started.execution_id, error, took_us))
        client.close()
        return error.exit_code
    relay.forward_to(child)
    scope, source = Scope(client, started.execution_id, None), f"exec:{started.name}"

    def take(said: Entry) -> None:
        scope.log(
            said.message, "INFO" if said.level is None else said.level, source=source, fields=said.fields
        )

    recorder = Recorder(
        child,
        take,
        pause=Pace(client, BUFFER_BYTES // 2),
        told_to_end=lambda: not _ASKED_TO_END.isdisjoint(relay.received),
        timeout_s=None if timeout is None else timeout / 1e6,
    )
    ending = recorder.run()
    client.put_now(ended(started.execution_id, ending, relay.received, timeout))
    client.close()
    return TIMED_OUT if ending.timed_out else exit_code(ending.status)


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


def exit_code(status: int) -> int:
    """Return what a shell calls an exit status: 128+n for signal n."""
    return status if status >= 0 else BY_SIGNAL - status


def ended(execution_id: str, ending: Ending, received: list[int], timeout_us: int | None) -> ExecutionEnded:
    """Return the event that tells how a command ended.

    Args:
        execution_id: Its execution.
        ending: What became of it.
        received: Signals that it was sent while it ran.
        timeout_us: How long it was allowed to take, in microseconds.
    """
    event = ExecutionEnded(
        execution_id=execution_id,
        time=now_us(),
        outcome="succeeded",
        exit_status=exit_code(ending.status),
        duration_us=ending.duration_us,
        counts={"cut_lines": ending.cut_lines, "cut_chars": ending.cut_chars} if ending.cut_lines else None,
    )
    if ending.timed_out:
        message = f"its time of {duration_text(timeout_us or 0)} was up"
        error = ErrorInfo(message=message, type="Timeout")
        return msgspec.structs.replace(event, outcome="timed_out", error=error)
    if ending.status == 0:
        return event
    asked = [number for number in (*received, -ending.status) if number in _ASKED_TO_END]
    if asked:
        # It was told to end, and did not end well: that is no failure of its own.
        return msgspec.structs.replace(event, outcome="cancelled", reason=_signal_name(asked[0]))
    if ending.status < 0:
        error = ErrorInfo(message=f"killed by {_signal_name(-ending.status)}", type="Signal")
    else:
        error = ErrorInfo(message=f"exit status {ending.status}", type="ExitStatus")
    return msgspec.structs.replace(event, outcome="failed", error=error)


def _never_ran(execution_id: str, error: SpawnError, took_us: int) -> ExecutionEnded:
    return ExecutionEnded(
        execution_id=execution_id,
        time=now_us(),
        outcome="failed",
        exit_status=error.exit_code,
        duration_us=took_us,
        error=ErrorInfo(message=str(error), type="SpawnError"),
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal between its first and last
