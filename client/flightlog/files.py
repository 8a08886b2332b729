"""What is known of a file that an execution wrote: its normalised path, its size, its digest."""

import os
import stat
from typing import Final, NamedTuple

_CHUNK_BYTES: Final = 256 * 1024


class Contents(NamedTuple):
    """What a file holds.

    Attributes:
        size_bytes: How many bytes were read.
        sha256: The digest of these.
    """

    size_bytes: int
    sha256: str


def normal_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Return a path absolute and without `.` and `..`, links kept; a byte that is no UTF-8 as an escape."""
    return _absolute(path).encode("utf-8", "backslashreplace").decode()


def contents(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Contents | None:
    """Return size and digest of the regular file of that normalised path, None where it cannot be read.

    Takes constant memory, and never waits for the other end of a pipe.
    """
    try:
        descriptor = os.open(_absolute(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):  # ValueError: a null byte
        return None
    import hashlib  # here, because most programs never need it

    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        digest, size = hashlib.sha256(), 0
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return Contents(size, digest.hexdigest())


def _absolute(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    name = os.fsdecode(path)
    try:
        return os.path.abspath(name)  # noqa: PTH100  # pathlib's resolve would follow links
    except OSError:  # the current directory is gone
        return os.path.normpath(name)
