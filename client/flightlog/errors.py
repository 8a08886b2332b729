"""What callers may catch. Each says why, what to do about it, and which exit code a command ends with.

FlightlogError       all of them
    DaemonAway       nobody answers on the socket, or the answer broke off
        NotUnderstood  it answers in a way that is not known here
    QueryFailed      the question has no answer; `code` says why
    AppendRefused    lines were not stored; `refused` says which and why
    AppendFailed     the daemon ended the connection; `code` says why
    Refusal          a command makes no sense as things stand; nothing was written
        Conflict     another command was faster; nothing was written
            PlanConflict  likewise of a plan; what was written counts for nothing
    UsageError       what was asked for makes no sense
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flightlog_schemas.wire.ingest import ErrorCode, Refused
    from flightlog_schemas.wire.reply import QueryErrorCode

EXIT_NEGATIVE: Final = 1
EXIT_FAILURE: Final = 2
EXIT_USAGE: Final = 3

_QUERY_EXIT_CODES: Final[dict[str, int]] = {
    "not_found": EXIT_NEGATIVE,
    "ambiguous": EXIT_NEGATIVE,
    "timed_out": EXIT_NEGATIVE,
    "outcome": EXIT_NEGATIVE,
    "cursor_behind": EXIT_NEGATIVE,
    "invalid": EXIT_USAGE,
}


class FlightlogError(Exception):
    """Something that flightlog was asked for did not happen.

    Attributes:
        reason: One sentence for a person.
        hint: What to do about it, where that is known.
        exit_code: What a command that fails by this exits with.
    """

    exit_code: int = EXIT_FAILURE

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class DaemonAway(FlightlogError):  # noqa: N818  # a state of affairs, named as people say it
    """Nobody answers on the socket, or the connection broke before the answer was complete."""


class NotUnderstood(DaemonAway):
    """What answers on the socket says what is not known here: another version, or no flightlogd."""


class QueryFailed(FlightlogError):  # noqa: N818  # as above
    """The daemon understood, and has no answer.

    Attributes:
        code: Which of the closed list of reasons.
    """

    def __init__(self, code: "QueryErrorCode", reason: str, hint: str | None = None) -> None:
        super().__init__(reason, hint)
        self.code: QueryErrorCode = code
        self.exit_code = _QUERY_EXIT_CODES.get(code, EXIT_FAILURE)


class AppendRefused(FlightlogError):  # noqa: N818  # as above
    """Lines were settled without being stored.

    Attributes:
        refused: The daemon's replies, one for each line, in order; at least one.
    """

    def __init__(self, refused: "Sequence[Refused]", hint: str | None = None) -> None:
        first = refused[0]
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        super().__init__(f"line {first.line} refused, {first.code}: {first.reason}{more}", hint)
        self.refused = list(refused)
        conflict = all(reply.code == "conflict" for reply in refused)
        self.exit_code = EXIT_NEGATIVE if conflict else EXIT_USAGE


class AppendFailed(FlightlogError):  # noqa: N818  # as above
    """The daemon ended an ingest connection on purpose.

    Attributes:
        code: Which of the closed list of reasons.
        acked: How many lines are settled and on disk all the same.
    """

    def __init__(self, code: "ErrorCode", reason: str, hint: str | None = None, acked: int = 0) -> None:
        super().__init__(f"{reason} ({acked} lines are stored)", hint)
        self.code: ErrorCode = code
        self.acked = acked


class Refusal(FlightlogError):  # noqa: N818  # an answer, not a fault
    """A command makes no sense as things stand; nothing was written."""

    exit_code = EXIT_NEGATIVE


class Conflict(Refusal):
    """An execution has changed between the question and the command; nothing was written."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"{execution_id} has changed in the meantime, nothing was written",
            f"flightlog inspect {execution_id}",
        )


class PlanConflict(Conflict):
    """A plan has changed between the question and the command; what was recorded counts for nothing."""

    def __init__(self, plan_id: str, refused: str) -> None:
        Refusal.__init__(
            self,
            f"{plan_id} has changed in the meantime, so this was recorded and changes nothing: {refused}",
            f"flightlog plan show {plan_id}",
        )


class UsageError(FlightlogError):
    """What was asked for makes no sense: a bad value, an unknown name."""

    exit_code = EXIT_USAGE
