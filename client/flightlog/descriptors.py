"""Whether a descriptor is what it was: programs close all that they find, and numbers are used again."""

import os

Identity = tuple[int, int] | None


def identity(descriptor: int) -> Identity:
    """Return what a descriptor refers to, as device and inode; None where it is closed."""
    try:
        found = os.fstat(descriptor)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
