"""Python's lock, which all threads share: how long one keeps it while others wait for it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_usual_s: Final = sys.getswitchinterval()
_wanted_s: Final[list[float]] = []


@contextmanager
def short_turns(turn_s: float) -> Iterator[None]:
    """Let threads keep the lock no longer than this, as others want it, meanwhile (on trio's thread only).

    A thread that reads from the database waits for the lock after each step. Short turns cost those who
    compute, so they are for as long as somebody else is in a hurry.
    """
    _wanted_s.append(turn_s)
    sys.setswitchinterval(min(_wanted_s))
    try:
        yield
    finally:
        _wanted_s.remove(turn_s)
        sys.setswitchinterval(min(_wanted_s, default=_usual_s))
