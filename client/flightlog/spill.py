"""From memory to the spool: when lines go to disk, which of them, and what is told of it.

    while lines are settled as they come      nothing is written
    nobody listens                            what waits is written, and what comes, at `AWAY_INTERVAL_S`
    nothing settled for `SPILL_AFTER_S`       likewise, at that interval
    more than half of the buffer is held      the oldest are written at once
    the program ends                          what is not settled is written, then the goodbye

The oldest lines go first, so that the disk has those before the ones in memory. A disk that is full or cannot
be written leaves memory alone, is told of once, and is tried again.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flightlog import paths
from flightlog.overflow import LeaveOut, plan
from flightlog.spool import Spool, SpoolGoneError

if TYPE_CHECKING:
    from flightlog.producer import Producer

SPILL_AFTER_S: Final = 1.0
"""What a program holds when it is killed without a daemon is younger than this, and is gone with it."""

AWAY_INTERVAL_S: Final = 0.1
"""The same where nobody listens: nothing speaks for waiting then."""

_RETRY_S: Final = 5.0
"""After a failed write, or when nothing fits, for room made elsewhere."""

_BLOCK_BYTES: Final = 256 * 1024
"""Lines written in one go; the program's threads wait while they are picked, not while they are written."""

_SMALLER: Final = 8
_PRESSURE_SHARE: Final = 0.5
_MIB: Final = 2**20


class Spill:
    """Moves a producer's lines to its spool; only its sending thread uses this, save `close`.

    Args:
        producer: Whose lines.
        on_gap: Called when lines are gone that a connection counts on: it has to be made anew.
    """

    def __init__(self, producer: "Producer", on_gap: Callable[[], None]) -> None:
        self._producer = producer
        self._on_gap = on_gap
        self._outbox = producer.outbox
        self._settings = producer.settings
        self._spool: Spool | None = None
        self._spilled_at = float("-inf")
        self._retry_at = float("-inf")
        self._ended = False

    @property
    def enabled(self) -> bool:
        """Whether there is a place for a spool."""
        return not self._ended and self.where is not None

    @property
    def where(self) -> str | None:
        """The directory that lines go to."""
        if self._spool is not None:
            return str(self._spool.directory)
        directory = paths.spool_dir(self._settings.spool)
        return None if directory is None else str(directory)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return 0 if self._spool is None else self._spool.size_bytes

    @property
    def promise(self) -> str:
        """What becomes of events while the daemon is away, as a clause."""
        if self.enabled and self._retry_at <= time.monotonic():
            limit = min(self._settings.spool_limit_bytes, self._settings.spool_total_limit_bytes)
            return f"up to {limit / _MIB:g} MiB of events are kept in {self.where} and delivered later"
        return f"keeping up to {self._settings.buffer_limit_bytes / _MIB:g} MiB of events meanwhile"

    def due_in_s(self, now: float, stuck_since: float | None) -> float | None:
        """Return in how many seconds to `write`, None if nothing asks for it. Under the producer's lock.

        Args:
            now: The monotonic clock.
            stuck_since: Since when lines should have been settled and none was.
        """
        outbox = self._outbox
        if not outbox.held_lines or not self.enabled:
            return None
        due_at = None
        if outbox.held_bytes > self._settings.buffer_limit_bytes * _PRESSURE_SHARE:
            due_at = now
        elif self._producer.reachable is False:
            due_at = self._spilled_at + AWAY_INTERVAL_S
        elif stuck_since is not None:
            due_at = max(stuck_since, self._spilled_at) + SPILL_AFTER_S
            if self._producer.urgent:
                due_at = stuck_since + SPILL_AFTER_S
        return None if due_at is None else max(due_at, self._retry_at) - now

    def write(self, *, final: bool = False) -> None:
        """Write the lines that are held now, as far as there is room.

        Args:
            final: Whether nothing comes after them: then what has no room is left out, by class.
        """
        producer, outbox = self._producer, self._outbox
        if not self.enabled:
            return
        with producer.lock:
            pressed = outbox.held_bytes > self._settings.buffer_limit_bytes * _PRESSURE_SHARE
            last_line = outbox.last_line
        leave_out: LeaveOut = "anything" if final else "logs" if pressed else "nothing"
        self._spilled_at = time.monotonic()
        block_bytes = _BLOCK_BYTES
        while True:
            with producer.lock:
                oldest = outbox.oldest(block_bytes)
            if not oldest.lines or oldest.first_line > last_line:
                break
            spool = self._open()
            if spool is None:
                return
            try:
                planned = plan(oldest.lines, oldest.fixed, spool.room(), leave_out)
                if planned.kept:
                    spool.append(oldest.first_line, planned.kept)
            except SpoolGoneError:
                self.forget()
                continue
            except OSError as error:
                self._fail(error)
                if len(oldest.lines) == 1:
                    return
                block_bytes //= _SMALLER  # some of it may fit
                continue
            with producer.lock:
                outbox.spill(planned)
                last_line -= len(planned.left)
            if not planned.complete:
                self._retry_at = time.monotonic() + _RETRY_S
                break
        self._sync(now=final)

    def finish(self) -> int:
        """Put everything on disk that is not settled, and the goodbye behind it.

        Returns:
            How many lines are neither settled nor on disk.
        """
        producer, outbox = self._producer, self._outbox
        for _ in range(2):
            self.write(final=True)
            with producer.lock:
                # What was left out just now is declared behind the rest.
                if not outbox.undeclared:
                    break
                producer.collect()
        with producer.lock:
            lost, last_line = outbox.held_lines, outbox.last_line
            whole = not lost and not outbox.undeclared and outbox.spooled_lines > 0
        if whole and self._spool is not None:
            try:
                self._spool.end(last_line)
                self._spool.sync(now=True)
            except OSError as error:
                self._fail(error)
        self.close()
        self._ended = True
        return lost

    def read(self, limit_bytes: int) -> list[bytes]:
        """Return the lines on disk that are to be sent next, and count them as sent.

        Raises:
            OSError: they cannot be read now. Where they are gone, they are counted as dropped first.
        """
        spool, producer, outbox = self._spool, self._producer, self._outbox
        assert spool is not None
        try:
            lines = spool.read(outbox.next_line, limit_bytes)
        except SpoolGoneError:
            self.forget()
            raise
        with producer.lock:
            outbox.take_spooled(len(lines))
        return lines

    def settled(self) -> None:
        """Delete the file once everything in it is settled."""
        if self._spool is not None and self._spool.exists and not self._outbox.spooled_lines:
            self._spool.remove()

    def forget(self) -> None:
        """Give up what was on disk: it is gone."""
        assert self._spool is not None
        self._spool.forget()
        with self._producer.lock:
            if self._outbox.spooled_lines:
                self._outbox.forget_spooled()
        self._on_gap()

    def close(self) -> None:
        """Let go of the file, and leave it to others."""
        if self._spool is not None:
            self._spool.close()

    def _open(self) -> Spool | None:
        if self._spool is None:
            directory = paths.spool_dir(self._settings.spool)
            if directory is None:
                return None
            self._spool = Spool(
                directory,
                self._producer.id,
                paths.asked_for(self._settings.runtime_dir),
                self._settings.spool_limit_bytes,
                self._settings.spool_total_limit_bytes,
            )
        return self._spool

    def _sync(self, *, now: bool) -> None:
        if self._spool is not None and self._spool.exists:
            try:
                self._spool.sync(now=now)
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + _RETRY_S
        limit_mib = self._settings.buffer_limit_bytes / _MIB
        self._producer.notices.tell_once(
            "spool",
            f"cannot keep events in {self.where}: {error.strerror or error};"
            f" up to {limit_mib:g} MiB are held in memory",
        )
