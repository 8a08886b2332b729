"""Commands that do not contradict one another: ask again and try again, for a bounded number of times."""

from collections.abc import Callable
from typing import Final, TypeVar

from flightlog.errors import Conflict

Result = TypeVar("Result")

ATTEMPTS: Final = 100
"""In each round of rivals one of them gets through, so that a hundred at once all do."""


def until_settled(attempt: Callable[[], Result]) -> Result:
    """Return what an attempt returns that nobody came between.

    Raises:
        Conflict: somebody did every time.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()
