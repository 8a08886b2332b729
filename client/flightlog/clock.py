"""The one place where the client reads the wall clock."""

import time


def now_us() -> int:
    """Return microseconds since the Unix epoch."""
    return time.time_ns() // 1000
