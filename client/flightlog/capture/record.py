"""The loop between a command and whoever reads it: bytes go through as they come, lines are recorded.

    command ── pipe ──► read ──► our own stdout, stderr   (unchanged, before anything else)
                          └────► split, say what it is ──► recorder

Nothing here waits for the daemon, and nothing blocks but poll: output is written only where it fits, so that
a reader that has stopped reading stops the command, as it would without us, but neither signals nor timeouts.
"""

import fcntl
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from flightlog.capture.child import BY_SIGNAL, Child
from flightlog.capture.lines import Entry
from flightlog.capture.quota import Quota
from flightlog.capture.split import LineSplitter, RawLine
from flightlog.masking import KeyBlock
from flightlog_schemas.cuts import OUTPUT_LIMIT_BYTES

CAPTURE_GRACE_S: Final = 0.5
"""How long output is awaited after the command ended; another process may hold its pipes for ever."""

KILL_GRACE_S: Final = 5.0
"""How long a command that is out of time may take to end by itself."""

_PAUSE_MS: Final = 2

_LOOK_AGAIN_S: Final = 0.1
"""A command that has ended and whose reader has stopped reading is left waiting only until a signal comes."""

_READ_BYTES: Final = 64 * 1024
_WRITE_BYTES: Final = select.PIPE_BUF
"""A pipe that poll calls writable takes this much without blocking."""


class Ending(NamedTuple):
    """How a command ended.

    Attributes:
        status: Its exit status, or the negated number of the signal that ended it.
        timed_out: Whether it was ended because its time was up.
        duration_us: From its start, by a monotonic clock.
        cut_lines: How many lines were too long and are recorded in part.
        cut_chars: How many characters of these are not recorded.
        unrecorded_lines: How many lines came after the limit of what is recorded.
        unrecorded_chars: How many characters these have.
    """

    status: int
    timed_out: bool
    duration_us: int
    cut_lines: int
    cut_chars: int
    unrecorded_lines: int
    unrecorded_chars: int

    @property
    def exit_status(self) -> int:
        """What a shell calls it: 128+n for signal n."""
        return self.status if self.status >= 0 else BY_SIGNAL - self.status

    @property
    def left_out(self) -> dict[str, int]:
        """What of its output is not recorded, by name; empty where all of it is."""
        counts = {
            "cut_lines": self.cut_lines,
            "cut_chars": self.cut_chars,
            "unrecorded_lines": self.unrecorded_lines,
            "unrecorded_chars": self.unrecorded_chars,
        }
        return {name: count for name, count in counts.items() if count}


class _Stream:
    """One stream of the command's output, and ours that it goes to, if any."""

    def __init__(self, name: str, source: int, target: int | None) -> None:
        self.name = name
        self.source = source
        self.target = target
        self.splitter = LineSplitter()
        self.key_block = KeyBlock()
        self.open = True
        self.unwritten = memoryview(b"")
        self.owed_bytes = 0
        """What lay in the pipe when the command ended: its own words, which must not be lost."""
        self._passing = target is not None
        self._writable = select.poll()
        if target is not None:
            self._writable.register(target, select.POLLOUT)

    def read(self) -> list[RawLine]:
        """Take in what is there, pass it on, and return the lines that it completed."""
        data = os.read(self.source, _READ_BYTES)
        self.owed_bytes -= len(data)
        if not data:
            self.close()
            return self.splitter.finish()
        if self._passing:
            self.unwritten = memoryview(data)
            self.write()
        return self.splitter.feed(data)

    def write(self) -> None:
        """Pass on what fits."""
        try:
            while self.unwritten and self._writable.poll(0):
                assert self.target is not None
                self.unwritten = self.unwritten[os.write(self.target, self.unwritten[:_WRITE_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # The command is to notice: it gets the SIGPIPE that it would get without us.
            self.unwritten = memoryview(b"")
            self.close()
        except OSError as error:
            self.unwritten = memoryview(b"")
            self._passing = False
            sys.stderr.write(
                f"flightlog exec: cannot write {self.name}: {error.strerror}; recording goes on\n"
            )

    def close(self) -> None:
        """Read no more."""
        if self.open:
            self.open = False
            os.close(self.source)


class Recorder:
    """Runs until a command and its output have ended.

    Args:
        child: The command, just started.
        take: Gets each line, with the name of its stream in the fields; must not block.
        pause: Whether to let output wait for a moment, asked before each reading.
        told_to_end: Whether somebody wanted the command to end.
        timeout_s: Longest that the command may run, in seconds; None for ever.
        limit_bytes: Most of its output that is recorded, in bytes; the rest is counted.
        passing: Whether the output goes on to our own stdout and stderr.
    """

    def __init__(
        self,
        child: Child,
        take: Callable[[Entry], None],
        pause: Callable[[], bool],
        told_to_end: Callable[[], bool],
        timeout_s: float | None,
        *,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
        passing: bool = True,
    ) -> None:
        self._child = child
        self._take = take
        self._pause = pause
        self._told_to_end = told_to_end
        # A short command may have ended before anybody came to look.
        self._started = child.started
        self._next_kill = None if timeout_s is None else self._started + timeout_s
        self._kills = [signal.SIGTERM, signal.SIGKILL]
        self._streams = [
            _Stream("stdout", child.stdout, 1 if passing else None),
            _Stream("stderr", child.stderr, 2 if passing else None),
        ]
        self._status: int | None = None
        self._timed_out = False
        self._ended = 0.0
        self._quota = Quota(limit_bytes)

    def run(self) -> Ending:
        """Pass on and record everything that the command writes; return how it ended."""
        while not self._over():
            self._serve(self._wait())
        for stream in self._streams:
            self._record(stream, stream.splitter.finish())
            stream.close()
        assert self._status is not None
        return Ending(
            self._status,
            self._timed_out,
            round((self._ended - self._started) * 1e6),
            *self._quota.left_out,
        )

    def abort(self) -> None:
        """End the command at once, and let go of its output."""
        if self._status is None:
            self._child.send(signal.SIGKILL)
            self._status = self._child.reap()
        for stream in self._streams:
            stream.close()

    def _over(self) -> bool:
        if self._status is None:
            return False
        waited = time.monotonic() >= self._ended + CAPTURE_GRACE_S
        if waited and (self._timed_out or self._told_to_end()):
            # Without us it would be gone, whoever has stopped reading what it wrote.
            return True
        return all(
            not stream.unwritten and (not stream.open or (waited and stream.owed_bytes <= 0))
            for stream in self._streams
        )

    def _wait(self) -> set[int]:
        """Wait until something can be done; return the descriptors that are ready."""
        poll = select.poll()
        paused = self._pause()
        for stream in self._streams:
            if stream.unwritten and stream.target is not None:
                poll.register(stream.target, select.POLLOUT)
            elif stream.open and not paused:
                poll.register(stream.source, select.POLLIN)
        if self._status is None:
            poll.register(self._child.pidfd, select.POLLIN)
            wake_at = self._next_kill
        else:
            wake_at = max(self._ended + CAPTURE_GRACE_S, time.monotonic() + _LOOK_AGAIN_S)
        # Rounded up: a wait that ends early would come round again at once.
        timeout_ms = None if wake_at is None else max(wake_at - time.monotonic(), 0) * 1000 + 1
        if paused:
            timeout_ms = _PAUSE_MS
        return {descriptor for descriptor, _ in poll.poll(timeout_ms)}

    def _serve(self, ready: set[int]) -> None:
        for stream in self._streams:
            if stream.unwritten:
                if stream.target in ready:
                    stream.write()
            elif stream.source in ready and stream.open:
                self._record(stream, stream.read())
        if self._status is not None:
            return
        if self._child.pidfd in ready:
            self._end()
        elif self._next_kill is not None and time.monotonic() >= self._next_kill:
            self._kill()

    def _record(self, stream: _Stream, lines: list[RawLine]) -> None:
        for line in lines:
            said = self._quota.take(line, stream.name, stream.key_block.masked)
            if said is not None:
                self._take(said)

    def _end(self) -> None:
        self._ended = time.monotonic()
        self._status = self._child.reap()
        for stream in self._streams:
            if stream.open:
                size = fcntl.ioctl(stream.source, termios.FIONREAD, bytes(4))
                stream.owed_bytes = int.from_bytes(size, sys.byteorder)

    def _kill(self) -> None:
        """End a command whose time is up: ask first, insist after a grace."""
        self._timed_out = True
        self._child.send(self._kills.pop(0))
        self._child.send(signal.SIGCONT)  # one that is stopped would not notice
        self._next_kill = time.monotonic() + KILL_GRACE_S if self._kills else None
