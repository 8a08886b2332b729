"""stdout of verbs that may not end: what was surely written is known at any moment.

Lines are gathered and go out in large pieces, and at once when there is nothing more to read. A signal is
heeded where nothing is half done: between lines, while waiting to read, while a slow reader takes its time.
"""

import os
import select
import signal
import sys
import time
from bisect import bisect_right
from contextlib import closing, suppress
from types import FrameType, TracebackType
from typing import Final, Self

from flightlog.cli.cursors import NamedPosition

_GATHER_BYTES: Final = 64 * 1024
"""Lines are written when there is so much of them, though more come."""

_PIECE_BYTES: Final = 4096
"""A pipe that is writable takes this much without blocking (pipe(7), PIPE_BUF)."""

_SAVE_INTERVAL_S: Final = 1.0
"""Least time between two reports of what was written."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked for the end."""


class Stream:
    """stdout as a context manager that ends in good order on SIGINT and SIGTERM.

    Args:
        cursor: Moved to the position up to which all was written, about once a second and at the end.

    Attributes:
        written: Up to this position all is written; 0 before the first.
    """

    def __init__(self, cursor: NamedPosition | None = None) -> None:
        self.written = 0
        self._cursor = cursor
        self._saved = 0
        self._save_at = time.monotonic() + _SAVE_INTERVAL_S
        self._fd = sys.stdout.fileno()
        self._encoding = sys.stdout.encoding
        self._lines: list[bytes] = []
        self._size = 0
        self._done = 0
        self._ends: list[int] = []
        self._positions: list[int] = []
        self._out = select.poll()
        self._out.register(self._fd, select.POLLOUT)
        self._interruptible = False
        self._signal: int | None = None
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interruptible = False
        try:
            if kind is None or not issubclass(kind, Stopped | BrokenPipeError):
                with suppress(Stopped):
                    self.flush()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave
        # Of what a reader that went away had not read by then, nobody knows.
        if self._cursor is not None:
            with closing(self._cursor):
                if self.written > self._saved and kind in (None, Stopped):
                    self._cursor.save_at_end(self.written)
                elif self.written > self._saved and kind is not BrokenPipeError:
                    self._cursor.save_meanwhile(self.written)
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt from None
        if self._signal is not None:
            # End as one who has no handler does, so that whoever waits for us sees why.
            signal.signal(self._signal, signal.SIG_DFL)
            os.kill(os.getpid(), self._signal)

    def line(self, text: str, seq: int) -> None:
        """Write a line of text, the last one of what a position of the log is shown as."""
        self.line_bytes(text.encode(self._encoding, "backslashreplace"), seq)

    def line_bytes(self, text: bytes, seq: int) -> None:
        """Write a line likewise, as it is."""
        self._interruptible = False
        self._lines.append(text)
        self._size += len(text) + 1
        self.passed(seq)
        if self._size >= _GATHER_BYTES:
            self.flush()
            self._save_if_due()

    def passed(self, seq: int) -> None:
        """Note that a position was reached that is not shown."""
        self._interruptible = False
        self._ends.append(self._size)
        self._positions.append(seq)
        if len(self._ends) >= _GATHER_BYTES:
            self.flush()
        if self._signal is not None:
            raise Stopped

    def flush(self) -> None:
        """Write what was gathered.

        Raises:
            BrokenPipeError: nobody reads it any more.
            Stopped: a signal came while a slow reader was waited for; `written` is exact.
        """
        if not self._ends:
            return
        self._done = 0
        try:
            self._write()
        finally:
            self._interruptible = False
            whole = bisect_right(self._ends, self._done)
            if whole:
                self.written = self._positions[whole - 1]
            self._lines, self._size, self._ends, self._positions = [], 0, [], []

    def _write(self) -> None:
        """Write the lines; `_done` says how many bytes of them are surely written, at any moment."""
        data = memoryview(b"".join(line + b"\n" for line in self._lines))
        while self._done < len(data):
            self._allow_signals()
            self._out.poll()
            self._interruptible = False
            with suppress(BlockingIOError):
                self._done += os.write(self._fd, data[self._done : self._done + _PIECE_BYTES])

    def wait(self, fd: int) -> None:
        """Return when a descriptor is readable; before that, show all and report it.

        Raises:
            BrokenPipeError: nobody reads stdout any more.
            Stopped: a signal came.
        """
        incoming = select.poll()
        incoming.register(fd, select.POLLIN)
        if incoming.poll(0):
            return
        self.flush()
        incoming.register(self._fd, 0)  # an end of the reader is always told
        while True:
            pause_s = self._save_if_due()
            if self._look(incoming, pause_s, fd):
                return

    def pause(self, pause_s: float) -> None:
        """Wait so long; raises as `wait` does."""
        self.flush()
        idle = select.poll()
        idle.register(self._fd, 0)
        self._look(idle, pause_s, -1)

    def _look(self, poll: "select.poll", pause_s: float | None, fd: int) -> bool:
        self._allow_signals()
        ready = dict(poll.poll(None if pause_s is None else max(1, int(pause_s * 1000))))
        if ready.get(self._fd, 0) & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        return fd in ready

    def _save_if_due(self) -> float | None:
        """Report what was written, at most about once a second; return when to do so if that is not now."""
        if self._cursor is None or self.written <= self._saved:
            return None
        now = time.monotonic()
        if now < self._save_at:
            return self._save_at - now
        self._interruptible = False
        self._save_at = now + _SAVE_INTERVAL_S
        if not self._cursor.save_meanwhile(self.written):
            return _SAVE_INTERVAL_S
        self._saved = self.written
        return None

    def _allow_signals(self) -> None:
        """From here on a signal ends this at once: nothing is half done."""
        self._interruptible = True
        if self._signal is not None:
            raise Stopped

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signal = number
        if self._interruptible:
            self._interruptible = False
            raise Stopped
