"""The one wall clock. Waiting uses trio's clock; stamps come from here."""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Microseconds since the Unix epoch, UTC."""


def system_clock() -> int:
    """Return the machine's time in microseconds since the epoch."""
    return time.time_ns() // 1000


class SteadyStamp:
    """Stamps that never step back, whatever the clock below does.

    Args:
        clock: Where the time comes from.
        floor: The last stamp of an earlier life, in microseconds.
    """

    def __init__(self, clock: Clock, floor: int = 0) -> None:
        self._clock = clock
        self._last = floor

    def __call__(self) -> int:
        """Return the time, or the last stamp where the clock is behind it."""
        self._last = max(self._last, self._clock())
        return self._last
