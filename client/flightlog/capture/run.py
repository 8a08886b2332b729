"""A command that a program runs and records in its own execution: `Scope.capture`."""

import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from flightlog.capture.child import SpawnError, spawn
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
    try:
        child = spawn(command, environment, blocked)
    except SpawnError as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise

    def take(said: Entry) -> None:
        level = "INFO" if said.level is None else said.level
        scope.log(said.message, level, source=source, fields=said.fields)

    recorder = Recorder(
        child,
        take,
        pause=Pace(client, client.producer.settings.buffer_limit_bytes // 2),
        told_to_end=lambda: False,
        timeout_s=timeout_s,
        limit_bytes=limit_bytes,
        passing=False,
    )
    try:
        ending = recorder.run()
    except BaseException:
        # Whoever is interrupted while waiting does not want the command to go on.
        recorder.abort()
        raise
    finally:
        child.close()
    return Captured(
        exit_status=ending.exit_status,
        timed_out=ending.timed_out,
        duration_us=ending.duration_us,
        **ending.left_out,
    )
