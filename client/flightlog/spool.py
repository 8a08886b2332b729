"""The spool of one producer, as its program writes it: appended, bounded, read back, deleted.

Only the thread that sends uses it. The program may close its descriptors, delete files or fill the disk at
any time: each write makes sure that the descriptor is still this file, and one that fails changes nothing.

What was written survives the death of the program. Power loss is another matter: the disk is told to keep it
at the end of the program, and in between every `SYNC_INTERVAL_S` at the most.
"""

import fcntl
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from flightlog.clock import now_us
from flightlog.descriptors import Identity, identity
from flightlog.overflow import Shares, shares_of
from flightlog.spool_file import FORMAT, SUFFIX, Header, LineReader, encode_bye, encode_header

SYNC_INTERVAL_S: Final = 5.0

_ABANDONED_S: Final = 60.0
"""A file that was never finished and nobody holds is deleted when it is older."""

_FIRST_LINE_BYTES: Final = 512
_LAST_LINE_BYTES: Final = 64
_UNKNOWN_BYTES: Final = 2**62


class SpoolGoneError(OSError):
    """The file was deleted: what was in it is lost."""


class Spool:
    """A producer's file. There is none until the first line, and none once all lines are settled.

    Args:
        directory: Where it goes; made with its parents where it is missing, for this user alone.
        producer: The producer's id.
        runtime_dir: Where the daemon's sockets are, for whoever delivers.
        limit_bytes: Most bytes of this file.
        total_limit_bytes: Most bytes of all files in the directory, about.

    Attributes:
        size_bytes: Size of the file, 0 without one.
    """

    def __init__(
        self,
        directory: Path,
        producer: str,
        runtime_dir: str | None,
        limit_bytes: int,
        total_limit_bytes: int,
    ) -> None:
        self.directory = directory
        self.size_bytes = 0
        self._producer = producer
        self._runtime_dir = runtime_dir
        self._shares = shares_of(limit_bytes)
        self._total_shares = shares_of(total_limit_bytes)
        self._path = directory / f"{producer}{SUFFIX}"
        self._descriptor = -1
        self._identity: Identity = None
        self._reader: LineReader | None = None
        self._synced_at = 0.0
        self._dirty = False
        self._named = False
        """The disk may not know the file's name yet."""

    @property
    def exists(self) -> bool:
        """Whether there is a file of this producer."""
        return self.size_bytes > 0

    def room(self) -> Shares:
        """Return how many bytes more each class of lines may take."""
        own = self._shares.left(max(self.size_bytes, _FIRST_LINE_BYTES) + _LAST_LINE_BYTES)
        total = self._total_shares.left(_total_bytes(self.directory))
        return own.within(total).within(_free(self.directory))

    def append(self, first_line: int, lines: Sequence[bytes]) -> None:
        """Write lines behind those that are there.

        Args:
            first_line: Number of the first; they follow the last one.
            lines: The lines, without newlines.

        Raises:
            OSError: they are not there, none of them.
        """
        if not self.exists:
            self._create(first_line)
        self._write(b"\n".join((*lines, b"")))

    def read(self, line: int, limit_bytes: int) -> list[bytes]:
        """Return lines from a number on, as many as a block of this size holds, but at least one.

        Raises:
            SpoolGoneError: the file was deleted.
            OSError: it cannot be read now.
        """
        descriptor = self._open()
        assert self._reader is not None
        self._reader.descriptor = descriptor
        return self._reader.read(line, self.size_bytes, limit_bytes)

    def end(self, lines: int) -> None:
        """Say that the producer ended in good order after so many lines.

        Raises:
            OSError: that could not be written.
        """
        self._write(encode_bye(lines))

    def sync(self, *, now: bool) -> None:
        """Have the disk keep what was written, `now` or if the last time is long ago.

        Raises:
            OSError: the disk does not.
        """
        if self._dirty and (now or time.monotonic() >= self._synced_at + SYNC_INTERVAL_S):
            os.fdatasync(self._open())
            if self._named:
                _sync_directory(self.directory)
                self._named = False
            self._synced_at, self._dirty = time.monotonic(), False

    def remove(self) -> None:
        """Delete the file: everything in it is settled."""
        with suppress(OSError):
            # Only while it is ours: somebody else may have taken it over.
            self._open()
            self._path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Begin anew, without a file."""
        self.close()
        self.size_bytes = 0

    def close(self) -> None:
        """Let go of the file and its lock, for others; where a forked child does, the parent keeps both."""
        if self._is_ours():
            os.close(self._descriptor)
        self._descriptor = -1

    def _create(self, first_line: int) -> None:
        _make_directory(self.directory)
        _remove_abandoned(self.directory)
        header = encode_header(
            Header(
                format=FORMAT,
                producer=self._producer,
                uid=os.geteuid(),
                line=first_line,
                runtime_dir=self._runtime_dir,
                created=now_us(),
            )
        )
        # Under its name it is there with its first line and locked, or not at all.
        unfinished = self.directory / f".{self._producer}.new"
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(
            unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask takes away
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(descriptor, header)
            unfinished.rename(self._path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._descriptor, self._identity = descriptor, identity(descriptor)
        self._reader = LineReader(descriptor, len(header), first_line, now_us())
        self.size_bytes = len(header)
        self._dirty = self._named = True

    def _write(self, data: bytes) -> None:
        descriptor = self._open()
        try:
            _write_all(descriptor, data)
        except OSError:
            os.ftruncate(descriptor, self.size_bytes)
            raise
        self.size_bytes += len(data)
        self._dirty = True

    def _open(self) -> int:
        """Return a descriptor of the file, locked; opened again where the program has closed it."""
        if self._is_ours():
            if not os.fstat(self._descriptor).st_nlink:
                raise SpoolGoneError(0, "the spool was deleted")
            return self._descriptor
        self._descriptor = -1
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError as error:
            raise SpoolGoneError(0, "the spool was deleted") from error
        try:
            # While it was closed, another process may have taken it for left behind, and deliver it.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(descriptor)
            raise
        if identity(descriptor) != self._identity or not os.fstat(descriptor).st_nlink:
            os.close(descriptor)
            raise SpoolGoneError(0, "the spool was deleted")
        self._descriptor = descriptor
        return descriptor

    def _is_ours(self) -> bool:
        return self._descriptor >= 0 and identity(self._descriptor) == self._identity


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _free(directory: Path) -> Shares:
    """Return what each class may fill of what is free on the disk."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return shares_of(_UNKNOWN_BYTES)
    return shares_of(found.f_bavail * found.f_frsize)


def _total_bytes(directory: Path) -> int:
    """Return the bytes that all files in a directory take on disk, at least one block each."""
    try:
        with os.scandir(directory) as entries:
            return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
    except OSError:
        return 0


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_directory(directory.parent)
        directory.mkdir(0o700, exist_ok=True)
    directory.chmod(0o700)  # whatever the umask takes away


def _remove_abandoned(directory: Path) -> None:
    """Delete files whose programs were killed in the moment of their making; they hold no line."""
    for path in directory.glob(".*.new"):
        with suppress(OSError):
            if now_us() - path.stat().st_mtime_ns // 1000 > _ABANDONED_S * 1e6:
                path.unlink()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
