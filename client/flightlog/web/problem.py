"""What goes wrong, as a status code and `{"error":{"code","reason","hint"}}`."""

from typing import Final

import msgspec
from msgspec import Struct

from flightlog.errors import (
    AppendFailed,
    AppendRefused,
    Conflict,
    DaemonAway,
    FlightlogError,
    NotUnderstood,
    QueryFailed,
    Refusal,
    UsageError,
)

_QUERY_STATUS: Final[dict[str, int]] = {
    "invalid": 400,
    "line_too_long": 400,
    "not_found": 404,
    "ambiguous": 409,
    "outcome": 409,
    "cursor_behind": 409,
    "cursor_limit": 409,
    "internal": 500,
}
"""By the daemon's code; what is not here may be answered later: 503."""


RETRY: Final = {"retry-after": "1"}
"""Headers of what may be answered later."""


class Error(Struct, kw_only=True):
    """Why there is no answer."""

    code: str
    reason: str
    hint: str | None


class Failure(Struct, kw_only=True):
    """The body of every answer with a status code of 400 and above."""

    error: Error


class Problem(Exception):  # noqa: N818  # an answer, not a fault of ours
    """An answer with a status code of 400 and above.

    Attributes:
        status: The status code.
        headers: More headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        reason: str,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}
        self.error = Error(code=code, reason=reason, hint=hint)

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return msgspec.json.encode(Failure(error=self.error))


BUG: Final = Problem(500, "internal", "a bug here", "this server's stderr says more")
"""What is our own fault."""


def problem_of(error: FlightlogError) -> Problem:
    """Return what an error of the client is over HTTP."""
    status, code = _status(error)
    return Problem(status, code, error.reason, error.hint, RETRY if status == 503 else None)


def _status(error: FlightlogError) -> tuple[int, str]:
    match error:
        case QueryFailed():
            return _QUERY_STATUS.get(error.code, 503), error.code
        case NotUnderstood():
            return 503, "daemon_not_understood"
        case DaemonAway():
            return 503, "daemon_away"
        case AppendRefused():
            return 422, error.refused[0].code
        case AppendFailed():
            return 503, error.code
        case Conflict():
            return 409, "conflict"
        case Refusal():
            return 409, "refused"
        case UsageError():
            return 400, "invalid"
    return 500, "internal"
