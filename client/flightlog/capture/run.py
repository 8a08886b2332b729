"""A command that a program runs and records in its own execution: `Scope.capture`."""

import signal
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from flightlog.capture.child import Child, SpawnError, spawn
from flightlog.capture.lines import Entry
from flightlog.capture.pace import Pace
from flightlog.capture.record import Recorder

if TYPE_CHECKING:
    from flightlog.client import Client
    from flightlog.scope import Scope


class Captured(Struct, frozen=True, kw_only=True):
    """How a command ended, and what of its output is not recorded.

    Attributes:
        exit_status: What a shell calls it: 128+n by signal n.
        timed_out: Whether it was ended because its time was up.
        duration_us: How long it took, in microseconds by a monotonic clock.
        cut_lines: Lines that were too long and are recorded in part.
        cut_chars: How many characters of these are not recorded.
        unrecorded_lines: Lines after the 10 MiB that are recorded.
        unrecorded_chars: How many characters these have.
    """

    exit_status: int
    timed_out: bool
    duration_us: int
    cut_lines: int = 0
    cut_chars: int = 0
    unrecorded_lines: int = 0
    unrecorded_chars: int = 0


def run(
    scope: "Scope",
    client: "Client",
    command: Sequence[str],
    *,
    source: str,
    environment: Mapping[str, str],
    timeout_s: float | None,
    limit_bytes: int,
) -> Captured:
    """Run a command to its end and log what it prints; see `Scope.capture`."""
    blocked = frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def take(said: Entry) -> None:
        level = "INFO" if said.level is None else said.level
        scope.log(said.message, level, source=source, fields=said.fields)

    started: list[Child] = []
    recorder: Recorder | None = None
    try:
        _start(command, environment, blocked, started)
        recorder = Recorder(
            started[0],
            take,
            pause=Pace(client, client.producer.settings.buffer_limit_bytes // 2),
            told_to_end=lambda: False,
            timeout_s=timeout_s,
            limit_bytes=limit_bytes,
            passing=False,
        )
        ending = recorder.run()
    except BaseException:
        # Whoever is interrupted while waiting does not want the command to go on.
        if recorder is not None:
            recorder.abort()
        else:
            for child in started:
                child.send(signal.SIGKILL)
                child.reap()
        raise
    finally:
        for child in started:
            child.close()
    return Captured(
        exit_status=ending.exit_status,
        timed_out=ending.timed_out,
        duration_us=ending.duration_us,
        **ending.left_out,
    )


def _start(
    command: Sequence[str], environment: Mapping[str, str], blocked: frozenset[int], started: list[Child]
) -> None:
    """Start a command, on a thread of its own.

    Ctrl-C interrupts the main thread alone, and there it would do so before anybody has noted what was just
    started: the command may be quicker than we are.
    """
    failed: list[SpawnError] = []

    def start() -> None:
        try:
            started.append(spawn(command, environment, blocked))
        except SpawnError as error:
            failed.append(error)

    starting = threading.Thread(target=start, name="flightlog-start")
    starting.start()
    try:
        starting.join()
    except BaseException:
        starting.join()
        raise
    for error in failed:
        raise error.__cause__ if isinstance(error.__cause__, OSError) else error
