"""A flightlogd whose disk fails: SQLite's file system, with faults that a test asks for in shared memory.

Only read, write, sync, truncate, open and delete of files are counted and can fail; what SQLite shares in
memory (shm) goes its usual way.
"""

import errno
import mmap
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import apsw

from flightlogd.__main__ import main as run

KINDS: Final = ("full", "quota", "write", "short", "read", "sync", "open", "crash", "torn")
"""How an operation fails: no space; the user's quota is used up; I/O error; half is written, then one; it
cannot be read; fsync fails; it cannot be opened or deleted; the process ends before it, or with half of it
written."""

_OPERATIONS: Final = {
    "full": ("write", "truncate"),
    "quota": ("write",),
    "write": ("write", "truncate", "delete"),
    "short": ("write",),
    "read": ("read",),
    "sync": ("sync",),
    "open": ("open", "delete"),
    "crash": ("write", "sync", "truncate", "delete"),
    "torn": ("write",),
}

CRASHED: Final = 99
"""Exit code of a process that a fault has ended."""

_FIELDS: Final = ("kind", "nth", "lasting", "count", "fired", "active")
_SIZE: Final = 8 * len(_FIELDS)


class Control:
    """What is to fail, shared by the test and the daemon: each field an integer in a mapped file.

    Attributes:
        kind: Index in KINDS, -1 for nothing.
        nth: Which operation fails, from 0,
        lasting: and whether all do that come after it, until `active` is 0 again.
        count: Operations since then that could have failed.
        fired: How many failed.
        active: 1 while all fail.
    """

    kind: int
    nth: int
    lasting: int
    count: int
    fired: int
    active: int

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, _SIZE)
            object.__setattr__(self, "_memory", mmap.mmap(fd, _SIZE))
        finally:
            os.close(fd)

    def __getattr__(self, name: str) -> int:
        value: int = struct.unpack_from("=q", self.__dict__["_memory"], 8 * _FIELDS.index(name))[0]
        return value

    def __setattr__(self, name: str, value: int) -> None:
        struct.pack_into("=q", self.__dict__["_memory"], 8 * _FIELDS.index(name), value)

    def arm(self, kind: str, nth: int, *, lasting: bool = False) -> None:
        """Have one operation fail, or all from it on."""
        self.disarm()
        self.nth, self.lasting = nth, int(lasting)
        self.count = self.fired = 0
        self.kind = KINDS.index(kind)

    def disarm(self) -> None:
        """Let nothing fail any more."""
        self.kind = -1
        self.active = 0

    def fails(self, operation: str) -> str | None:
        """Count an operation; return how it is to fail, None where it is not."""
        if self.kind < 0 or operation not in _OPERATIONS[KINDS[self.kind]]:
            return None
        self.count += 1
        if self.active or self.count - 1 == self.nth:
            self.fired += 1
            self.active = self.lasting
            return KINDS[self.kind]
        return None


_CODES: Final = {
    "read": apsw.SQLITE_IOERR_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
}


def _fail(kind: str, operation: str, half: Callable[[], None] | None = None) -> None:
    if kind in ("short", "torn") and half is not None:
        half()
    if kind in ("crash", "torn"):
        os._exit(CRASHED)
    code = {
        "full": apsw.SQLITE_FULL,
        "sync": apsw.SQLITE_IOERR_FSYNC,
        "open": apsw.SQLITE_CANTOPEN if operation == "open" else apsw.SQLITE_IOERR_DELETE,
    }.get(kind, _CODES.get(operation, apsw.SQLITE_IOERR_DELETE))
    raise apsw.exception_for(code)


class FaultyFile(apsw.VFSFile):
    """A file whose operations may fail."""

    def __init__(self, control: Control, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._control = control
        self._is_read_only = bool(flags[0] & apsw.SQLITE_OPEN_READONLY)

    def xLock(self, level: int) -> None:  # noqa: N802
        """Lock; for writing, where a file is read-only, never: SQLite lets that pass, apsw does not."""
        try:
            super().xLock(level)
        except apsw.IOError:
            if not self._is_read_only:
                raise
            raise apsw.exception_for(apsw.SQLITE_BUSY) from None

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        """Read, or fail."""
        kind = self._control.fails("read")
        if kind is not None:
            _fail(kind, "read")
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  # SQLite's name
        """Write, or fail."""
        kind = self._control.fails("write")
        if kind is not None:
            _fail(kind, "write", lambda: super(FaultyFile, self).xWrite(data[: len(data) // 2], offset))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Sync, or fail."""
        kind = self._control.fails("sync")
        if kind is not None:
            _fail(kind, "sync")
        super().xSync(flags)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        """Truncate, or fail."""
        kind = self._control.fails("truncate")
        if kind is not None:
            _fail(kind, "truncate")
        super().xTruncate(newsize)


class FaultyVFS(apsw.VFS):
    """The default file system of all connections that are opened from now on."""

    def __init__(self, control: Control) -> None:
        super().__init__("faulty", "unix", makedefault=True)
        self._control = control

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:  # noqa: N802
        """Open, or fail."""
        kind = self._control.fails("open")
        if kind is not None:
            _fail(kind, "open")
        return FaultyFile(self._control, name, flags)

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802
        """Return why the operating system refused what failed last."""
        return (errno.EDQUOT if self._control.kind == KINDS.index("quota") else errno.EIO), ""

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete, or fail."""
        kind = self._control.fails("delete")
        if kind is not None:
            _fail(kind, "delete")
        super().xDelete(filename, syncdir)


def main() -> None:
    """Run flightlogd on that file system; the first argument is where `Control` is."""
    _vfs = FaultyVFS(Control(Path(sys.argv.pop(1))))  # gone when nobody refers to it
    run()
