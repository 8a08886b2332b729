"""Exit codes of `flightlogd`."""

from typing import Final

DONE: Final = 0
FOUND_SOMETHING: Final = 1
"""A check found what should not be."""
FAILURE: Final = 2
USAGE: Final = 3
