"""What can go wrong, in three classes.

PeerError          the peer is wrong: a coded answer, and the connection goes on or closes
EnvironmentFault   the environment is wrong: a named state, a hint, recovery by itself where it can
    ConfigError    a setting is wrong: found before anything is opened
    StartError     this daemon cannot start here: database newer, lock held, socket taken
    StorageFault   a write failed: `storage_full` or `storage_failing`; retried until it clears
(anything else)    we are wrong: assert, crash, restart by the supervisor, nothing acked is lost
"""

from typing import Literal

from flightlog_schemas.wire.ingest import ErrorCode
from flightlog_schemas.wire.reply import QueryErrorCode


class PeerError(Exception):
    """A peer of ingest.sock did what the protocol forbids; the connection closes after the answer."""

    def __init__(self, code: ErrorCode, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code: ErrorCode = code
        self.reason = reason
        self.hint = hint


class QuestionError(Exception):
    """A question has no answer; the connection stays usable."""

    def __init__(self, code: QueryErrorCode, reason: str, hint: str | None = None) -> None:
        super().__init__(f"{code}: {reason}")
        self.code: QueryErrorCode = code
        self.reason = reason
        self.hint = hint


class EnvironmentFault(Exception):  # noqa: N818  # a fault is not an error of ours
    """Something around the daemon is wrong; `hint` is what an operator can do."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class ConfigError(EnvironmentFault):
    """A setting is unknown or has a value that it cannot have."""


class StartError(EnvironmentFault):
    """The daemon cannot start on this state directory, or cannot have these sockets."""


class StorageFault(EnvironmentFault):
    """A commit failed and was rolled back; nothing of it was acked."""

    def __init__(
        self,
        state: Literal["storage_full", "storage_failing"],
        reason: str,
        hint: str,
        *,
        by_quota: bool = False,
    ) -> None:
        super().__init__(reason, hint)
        self.state: Literal["storage_full", "storage_failing"] = state
        self.by_quota = by_quota
        """It is a quota that is used up: the file system may have room for others."""

    @property
    def told(self) -> tuple[str, str, str | None]:
        """What is said of it: two that say the same are one."""
        return self.state, self.reason, self.hint
