"""Disk space that is kept aside: given up when the disk is full, so that governance has some to work with."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

RESERVE: Final = "flightlog.reserve"

_SHARE: Final = 8
"""At the most one part in so many of a file system: a small disk is not filled by what is kept aside."""


class Reserve:
    """A file that holds nothing but space.

    It is made where twice as much is free: so there is room for more than itself when it comes back, and what
    was full does not become so again at once.

    Args:
        state_dir: Where.
        limit_bytes: How much; 0 keeps nothing aside.
    """

    def __init__(self, state_dir: Path, limit_bytes: int) -> None:
        self._path = state_dir / RESERVE
        self._limit = limit_bytes

    @property
    def size_bytes(self) -> int:
        """How much is held now."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def wanted_bytes(self) -> int:
        """How much is to be held on this file system."""
        found = os.statvfs(self._path.parent)
        return min(self._limit, found.f_blocks * found.f_frsize // _SHARE)

    @property
    def free_bytes(self) -> int:
        """How much the file system has for everybody."""
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize

    def make(self) -> bool:
        """Hold what is wanted; False where there is no room for that."""
        try:
            wanted = self.wanted_bytes
            if self.size_bytes == wanted > 0:
                return True
            self.release()
            if wanted == 0:
                return True
            if self.free_bytes < 2 * wanted:
                return False
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, wanted)
            finally:
                os.close(fd)
        except OSError:
            self.release()
            return False
        return True

    def give_up(self, *, by_quota: bool = False) -> bool:
        """Release it where it is the disk that is full, or a quota, and no setting; True when that was so."""
        held = self.size_bytes
        try:
            if not held or (self.free_bytes >= 2 * held and not by_quota):
                return False
        except OSError:
            return False
        self.release()
        return True

    def release(self) -> None:
        """Give the space back."""
        with suppress(OSError):
            self._path.unlink()
