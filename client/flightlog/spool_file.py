"""The file that a producer's lines wait in while the daemon is away: its form, and how it is read.

    {"spool":{"format":1,"producer":"0192...","uid":1000,"line":17,"runtime_dir":null,"created":...}}
    {"type":"log",...}                     line 17, as it goes on the wire
    {"type":"execution.ended",...}         line 18
    {"bye":{"lines":18}}                   only where the producer ended in good order

Its name is the producer's id. Whoever holds its lock (flock) has it: its program while that lives, else one
that delivers it. A file is there with its first line, locked, or not at all; what follows is only ever
appended, so that a kill leaves whole lines and at the most the beginning of one.
"""

import fcntl
import os
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from flightlog.descriptors import identity
from flightlog.encode import encode_line
from flightlog_schemas.events.producer import ProducerDropped
from flightlog_schemas.limits import Count, Id
from flightlog_schemas.wire.ingest import Bye, ByeLine

FORMAT: Final = 1
SUFFIX: Final = ".spool"

_READ_BYTES: Final = 256 * 1024
_HEADER_LIMIT_BYTES: Final = 64 * 1024
_BYE: Final = b'{"bye"'
_NO_EVENTS: Final = (_BYE, b'{"hello"', b'{"spool"')


class SpoolUnreadableError(Exception):
    """A file that cannot be delivered; the message says why."""


class Header(Struct, kw_only=True):
    """What the first line says.

    Attributes:
        format: Version of the file's form.
        producer: Whose lines these are.
        uid: The user to whom that producer belongs.
        line: Number of the first line.
        runtime_dir: Where the daemon's sockets are, None for the default of whoever delivers.
        created: When the file was made, microseconds since the epoch.
    """

    format: int
    producer: Id
    uid: int
    line: Count
    runtime_dir: str | None
    created: Count


class HeaderLine(Struct, kw_only=True):
    """`{"spool":{...}}`."""

    spool: Header


def encode_header(header: Header) -> bytes:
    """Return the first line, newline included."""
    return msgspec.json.encode(HeaderLine(spool=header)) + b"\n"


def encode_bye(lines: int) -> bytes:
    """Return the last line of a producer that ended in good order, newline included."""
    return msgspec.json.encode(ByeLine(bye=Bye(lines=lines))) + b"\n"


class LineReader:
    """Reads lines of a file by their numbers, onwards for the most part.

    Args:
        descriptor: The file, open for reading.
        start: Offset of the first line in bytes.
        first_line: Its number.
        stamp: Time of declarations that stand in for damaged lines, microseconds since the epoch.
    """

    def __init__(self, descriptor: int, start: int, first_line: int, stamp: int) -> None:
        self.descriptor = descriptor
        self._start = self._at = start
        self._first_line = self._line = first_line
        self._stamp = stamp

    def read(self, line: int, end: int, limit_bytes: int) -> list[bytes]:
        """Return lines from a number on, as many as a block of this size holds, but at least one.

        A line that can be no event (bytes that a disk made up) is replaced by one that declares it, so that
        those behind it keep their numbers.

        Args:
            line: Number of the first.
            end: Offset behind the last whole line.
            limit_bytes: Size of the block.

        Raises:
            OSError: the file cannot be read, or ends before that line.
        """
        self._seek(line, end)
        data = b""
        while not (whole := data.rfind(b"\n") + 1):
            data += self._block(self._at + len(data), end, limit_bytes)
        lines = data[: whole - 1].split(b"\n")
        self._at += whole
        self._line += len(lines)
        return [text if is_event(text) else _declare("damaged", self._stamp) for text in lines]

    def _seek(self, line: int, end: int) -> None:
        if line < self._line:
            self._at, self._line = self._start, self._first_line
        at, skip = self._at, line - self._line
        while skip:
            block = self._block(at, end, _READ_BYTES)
            found = block.count(b"\n")
            if found < skip:
                skip -= found
                at += len(block)
                continue
            position = 0
            for _ in range(skip):
                position = block.index(b"\n", position) + 1
            at, skip = at + position, 0
        self._at, self._line = at, line

    def _block(self, at: int, end: int, limit_bytes: int) -> bytes:
        block = os.pread(self.descriptor, min(limit_bytes, max(end - at, 0)), at)
        if not block:
            raise OSError(0, "the spool ends before its last line")
        return block


def is_event(line: bytes) -> bool:
    """Say whether a line can be an event, as far as that is seen from its ends."""
    return line[:1] == b"{" and line[-1:] == b"}" and not line.startswith(_NO_EVENTS)


def _declare(reason: str, stamp: int) -> bytes:
    declared = encode_line(ProducerDropped(time=stamp, count=1, reason=reason))
    assert declared is not None
    return declared


class SpoolFile:
    """A spool as it lies there, open for reading; a context manager.

    A last line that is not whole is left out, and declared as one more line.

    Attributes:
        path: The file.
        header: What its first line says.
        size_bytes: Size of the file when it was opened.
        owned: Whether the lock was taken: nobody else has it now.
        gone: Whether it was deleted between its opening and its locking.

    Raises:
        SpoolUnreadableError: it is no spool, of another format, or has no first line.
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            self._identity = identity(self._descriptor)
            self.owned = self._lock()
            found = os.fstat(self._descriptor)
            self.size_bytes = found.st_size
            self._stamp = found.st_mtime_ns // 1000
            self.gone = not found.st_nlink
            self.header, start = self._read_header()
        except BaseException:
            self.close()
            raise
        self._start = start
        self._reader = LineReader(self._descriptor, start, self.header.line, self._stamp)

    @property
    def lines(self) -> int:
        """How many lines wait, the declaration of a torn one included."""
        return self._extent.lines - self.ended + self.torn

    @property
    def ended(self) -> bool:
        """Whether its producer ended in good order: then there is a bye to say."""
        return self._extent.bye_at is not None

    @property
    def torn(self) -> bool:
        """Whether the last line was not whole."""
        return self._extent.end < self.size_bytes

    @property
    def last_line(self) -> int:
        """Number of the last line, one less than the first where none waits."""
        return self.header.line + self.lines - 1

    def read(self, line: int, limit_bytes: int) -> list[bytes]:
        """Return lines from a number on, as many as a block of this size holds, but at least one.

        Raises:
            OSError: the file cannot be read.
        """
        if identity(self._descriptor) != self._identity:
            raise OSError(0, "the program closed the spool")
        if self.torn and line == self.last_line:
            return [_declare("torn", self._stamp)]
        extent = self._extent
        return self._reader.read(line, extent.end if extent.bye_at is None else extent.bye_at, limit_bytes)

    def remove(self) -> None:
        """Delete the file: everything in it is settled."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Let go of the file and its lock; twice does nothing."""
        if self._descriptor >= 0 and identity(self._descriptor) == self._identity:
            os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> "SpoolFile":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _read_header(self) -> tuple[Header, int]:
        data = os.pread(self._descriptor, _HEADER_LIMIT_BYTES, 0)
        line, newline, _ = data.partition(b"\n")
        if not newline:
            raise SpoolUnreadableError("it has no first line")
        try:
            header = msgspec.json.decode(line, type=HeaderLine).spool
        except ValueError as error:
            raise SpoolUnreadableError(f"its first line is damaged: {error}") from error
        if header.format != FORMAT:
            raise SpoolUnreadableError(f"its format is {header.format}, this program knows {FORMAT}")
        owner = os.fstat(self._descriptor).st_uid
        if owner != header.uid:
            raise SpoolUnreadableError(f"the file belongs to user {owner}, not {header.uid}")
        if header.line < 1:
            raise SpoolUnreadableError("its first line is damaged: lines count from 1")
        return header, len(line) + 1

    @cached_property
    def _extent(self) -> "_Extent":
        """Count the whole lines, and find where they end."""
        lines, at, end, last = 0, self._start, self._start, self._start
        while block := os.pread(self._descriptor, min(_READ_BYTES, self.size_bytes - at), at):
            lines += block.count(b"\n")
            newline = block.rfind(b"\n")
            if newline >= 0:
                before = block.rfind(b"\n", 0, newline)
                last = at + before + 1 if before >= 0 else end
                end = at + newline + 1
            at += len(block)
        said_bye = end == self.size_bytes > last and os.pread(self._descriptor, len(_BYE), last) == _BYE
        return _Extent(lines, end, last if said_bye else None)


class _Extent(NamedTuple):
    """How far a file goes: its whole lines, the offset behind them, and that of the bye among them."""

    lines: int
    end: int
    bye_at: int | None
