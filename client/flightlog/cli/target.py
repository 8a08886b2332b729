"""Where a verb writes bytes for later: stdout, a file that is whole or not there, a device or a FIFO."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Final

from flightlog.errors import FlightlogError, UsageError

_STDOUT: Final = Path("-")


def target_of(path: Path | None, *, force: bool) -> Path | None:
    """Return where to write; None: to stdout, which may go by its name as a file (`/dev/stdout`), too.

    Links are followed, so that what is replaced is the file and not the link to it.

    Args:
        path: What was asked for; `-` and None are stdout.
        force: A file that is there may be replaced.

    Raises:
        UsageError: a file is there, and may not be replaced.
        FlightlogError: it cannot be looked at, or stdout is closed.
    """
    if path is None or path == _STDOUT:
        # What stands in for a stream that the caller has closed takes everything and keeps nothing.
        if sys.__stdout__ is None:
            raise FlightlogError("stdout is closed", "write to a file with -o FILE")
        return None
    try:
        found = path.stat()
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise _failed(path, error) from error
    if sys.__stdout__ is not None and os.path.samestat(found, os.fstat(sys.__stdout__.fileno())):
        return None
    if not stat.S_ISREG(found.st_mode):
        return path
    if not force:
        raise UsageError(f"{path} is there already", "--force replaces it")
    return Path(os.path.realpath(path))


@contextmanager
def writing(target: Path | None) -> Iterator[BinaryIO]:
    """Give where to write: a file has its name only when all is on disk, all else is written as it comes.

    Raises:
        FlightlogError: it cannot be written; a file that was there is as it was.
        BrokenPipeError: nobody reads it any more.
    """
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            try:
                yield file  # type: ignore[misc]  # it is a binary file
                file.flush()
                os.fsync(file.fileno())
                umask = os.umask(0)
                os.umask(umask)
                os.fchmod(file.fileno(), 0o666 & ~umask)
                Path(file.name).rename(target)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _failed(target, error) from error


def _failed(path: Path, error: OSError) -> FlightlogError:
    return FlightlogError(f"{path}: {error.strerror or error}")
