"""How an execution or a task stands."""

from typing import Final, Literal

Status = Literal[
    "pending", "running", "waiting", "succeeded", "partial", "failed", "cancelled", "timed_out", "lost"
]
TaskStatus = Literal["pending", "running", "waiting", "succeeded", "failed", "cancelled", "timed_out", "lost"]
ACTIVE: Final[tuple[Status, ...]] = ("pending", "running", "waiting")
TERMINAL: Final[tuple[Status, ...]] = ("succeeded", "partial", "failed", "cancelled", "timed_out", "lost")
