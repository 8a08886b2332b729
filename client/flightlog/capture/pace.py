"""How fast to read a command that writes faster than lines can be recorded."""

import time
from typing import Final

from flightlog.client import Client

STALL_LIMIT_S: Final = 1.0
"""When nothing was settled or put on disk for this long it is not waited for. A slow disk takes its time to
sync, some tenths of a second on a busy machine, and lines that wait for it are not lost."""


class Pace:
    """Says when to pause: while much is held, and the daemon or the spool is on its way through it.

    A command may be slowed down by the work of recording it, as by any pipe; by a daemon that stands still it
    may not, save once for a moment. Then lines are left out and counted instead.

    Args:
        client: What takes the lines.
        limit_bytes: Pause while it holds more than this.
    """

    def __init__(self, client: Client, limit_bytes: int) -> None:
        self._client = client
        self._limit_bytes = limit_bytes
        self._moved = (0, 0)
        self._moved_at = 0.0

    def __call__(self) -> bool:
        """Return whether to pause for a moment."""
        state, now = self._client.statistics(), time.monotonic()
        if state.held_bytes <= self._limit_bytes:
            self._moved_at = now
            return False
        moved = (state.acked, state.spooled_lines)
        if moved != self._moved:
            self._moved, self._moved_at = moved, now
        return now - self._moved_at < STALL_LIMIT_S
