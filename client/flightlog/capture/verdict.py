"""What the way a command ended makes of what it is recorded as. Pure."""

import signal
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from flightlog.capture.child import SpawnError
from flightlog.capture.record import Ending
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.times import duration_text

_NEVER_RAN: Final = "SpawnError"

ASKED_TO_END: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})


class Verdict(Struct, frozen=True, kw_only=True):
    """How a command ended, as executions and tasks have it.

    Attributes:
        outcome: How.
        exit_status: What a shell calls it: 127 not found, 126 not executable, 128+n by signal n.
        duration_us: How long it took.
        reason: The signal by which it was asked to end.
        error: What went wrong.
        left_out: What of its output is not recorded, by name.
    """

    outcome: Literal["succeeded", "failed", "cancelled", "timed_out"]
    exit_status: int
    duration_us: int
    reason: str | None = None
    error: ErrorInfo | None = None
    left_out: dict[str, int] = {}

    @property
    def is_worth_another(self) -> bool:
        """Whether another run may end better: it ran, and nobody wanted it to end."""
        started = self.error is None or self.error.type != _NEVER_RAN
        return started and self.outcome in ("failed", "timed_out")


def verdict(ending: Ending, received: Iterable[int], timeout_us: int | None) -> Verdict:
    """Return what a command's end means.

    Args:
        ending: What became of it.
        received: Signals that it was sent while it ran.
        timeout_us: How long it was allowed to take, in microseconds.
    """

    def made(
        outcome: Literal["succeeded", "failed", "cancelled", "timed_out"],
        error: ErrorInfo | None = None,
        reason: str | None = None,
    ) -> Verdict:
        return Verdict(
            outcome=outcome,
            exit_status=ending.exit_status,
            duration_us=ending.duration_us,
            reason=reason,
            error=error,
            left_out=ending.left_out,
        )

    if ending.timed_out:
        message = f"its time of {duration_text(timeout_us or 0)} was up"
        return made("timed_out", ErrorInfo(message=message, type="Timeout"))
    if ending.status == 0:
        return made("succeeded")
    asked = [number for number in (*received, -ending.status) if number in ASKED_TO_END]
    if asked:
        # It was told to end, and did not end well: that is no failure of its own.
        return made("cancelled", reason=_signal_name(asked[0]))
    if ending.status < 0:
        return made("failed", ErrorInfo(message=f"killed by {_signal_name(-ending.status)}", type="Signal"))
    return made("failed", ErrorInfo(message=f"exit status {ending.status}", type="ExitStatus"))


def never_ran(error: SpawnError, took_us: int) -> Verdict:
    """Return what it means that a command could not be started."""
    return Verdict(
        outcome="failed",
        exit_status=error.exit_code,
        duration_us=took_us,
        error=ErrorInfo(message=str(error), type=_NEVER_RAN),
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal between its first and last
