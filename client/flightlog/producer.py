"""One producer: what the threads of a program share with the thread that sends.

a program's threads ── put, count ──► Outbox ◄── take, ack ── Sender (a thread of its own)
"""

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from flightlog import guard
from flightlog.clock import now_us
from flightlog.descriptors import Identity, identity
from flightlog.encode import encode_line
from flightlog.ids import new_id
from flightlog.notice import Notices
from flightlog.outbox import DropReason, Outbox
from flightlog.overflow import EVENT
from flightlog_schemas.events.execution import ExecutionCounted
from flightlog_schemas.limits import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from flightlog.sender import Sender

_GRACE_S: Final = 0.5
"""How much longer than asked the sending thread is waited for; it only ever blocks in writing to stderr."""

_FORK_LIMIT_S: Final = 0.25
"""Longest that a fork waits for acks, where a daemon may be there and did not fail to ack before."""

_GONE_LIMIT_S: Final = 0.05
_GONE_STEP_S: Final = 0.000_02


class Settings(Struct, kw_only=True, frozen=True):
    """What bounds and times a client.

    Attributes:
        runtime_dir: Directory of the daemon's sockets; None looks where `paths.runtime_dir` says.
        buffer_limit_bytes: Most bytes held, those included that were sent and are not acked.
        flush_lines: Send when this many lines wait; where they come fast, about 10 ms later.
        flush_interval_s: Send at the latest this many seconds after a line was emitted.
        exit_timeout_s: Longest that the end of the program waits for the daemon, in seconds.
        spool: Where lines wait on disk; None or True is the default place, False none.
        spool_limit_bytes: Most bytes of this producer's there.
        spool_total_limit_bytes: Most bytes of all producers' there, about.
    """

    runtime_dir: str | None = None
    buffer_limit_bytes: int = 8 * 1024 * 1024
    flush_lines: int = 100
    flush_interval_s: float = 1.0
    exit_timeout_s: float = 2.0
    spool: bool | str | None = None
    spool_limit_bytes: int = 64 * 1024 * 1024
    spool_total_limit_bytes: int = 256 * 1024 * 1024


class Producer:
    """Numbers lines, keeps them until they are settled, and has a thread that sends them.

    The lock is re-entrant and never held while waiting: a signal handler may emit while its own thread does.

    Attributes:
        id: What this producer is called, new with each.
        lock: Guards everything here and in the outbox.
        outbox: What is not settled yet.
    """

    def __init__(self, settings: Settings) -> None:
        self.id = new_id()
        self.settings = settings
        self.lock = threading.RLock()
        self.settled = threading.Condition(self.lock)
        self.outbox = Outbox(settings.buffer_limit_bytes)
        self.notices = Notices()
        self.refused = 0
        """Lines that the daemon refused."""
        self.urgent = False
        """What waits is to be sent at once."""
        self.hurried = 0
        """How many wait for a flush: do not sit out a backoff."""
        self.reachable: bool | None = None
        """Whether a daemon answered the last time that one was looked for; None before."""
        self.attentive = False
        """The sending thread looks by itself before the interval is over: a first line need not wake it."""
        self.looks_soon = False
        """It looks within `due.LOOK_S`, for lines come fast: only a buffer that fills up need wake it."""
        self.signalled = False
        """It was woken and has not looked since."""
        self.pausing = False
        self.close_by: float | None = None
        """Monotonic time until which the rest may be delivered, once nothing more comes."""
        self.finished = False
        """Closed, and its thread has done what it could."""
        self.counts: dict[str, dict[str, int]] = {}
        self.wake_fd = -1
        """An eventfd that the sending thread polls, once there is a sender."""
        self._wake_identity: Identity = None
        self._flush_lines = settings.flush_lines
        self._pressed_bytes = settings.buffer_limit_bytes // 4
        self._stalled_at: int | None = None
        """How many lines were acked when a fork waited in vain for more."""
        self._sender: Sender | None = None
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        """Whether a daemon answers right now."""
        return self._sender is not None and self._sender.connected

    @property
    def spooled_bytes(self) -> int:
        """Size of the file in which lines wait on disk."""
        return 0 if self._sender is None else self._sender.spooled_bytes

    def put(self, line: bytes, level: object = EVENT, execution_id: str | None = None) -> None:
        """Take a line in, or drop and count it. Never waits for the daemon."""
        with self.lock:
            pending = self.outbox.put(line, level, execution_id)
            # One wake starts the clock for what waits, one more says that enough waits.
            if pending:
                if not pending % self._flush_lines:
                    if not self.looks_soon or self.outbox.held_bytes > self._pressed_bytes:
                        self._wake()
                elif pending == 1 and not self.attentive:
                    self._wake()
            elif self.outbox.dropped == 1:
                self._wake()

    def put_now(self, line: bytes, execution_id: str | None) -> None:
        """Take in an event that tells how an execution fares, after the drops before it, and send at once."""
        with self.lock:
            if self.outbox.undeclared:
                self.outbox.declare(now_us())
            self.outbox.put(line, execution_id=execution_id)
            self.urgent = True
            self._wake()

    def drop(self, reason: DropReason, level: object = EVENT, execution_id: str | None = None) -> None:
        """Count an event that cannot be said."""
        with self.lock:
            first = not self.outbox.undeclared
            self.outbox.drop(reason, level, execution_id)
            if first:
                self._wake()

    def count(self, execution_id: str, name: str, by: int) -> None:
        """Add to an execution's counter; what was added goes out with the next lines."""
        with self.lock:
            total = self.counts.get(execution_id, {}).get(name, 0) + by if isinstance(by, int) else None
            if total is None or not INT64_MIN <= total <= INT64_MAX:
                self.drop("unencodable", execution_id=execution_id)
                return
            if not self.counts:
                self._wake()
            self.counts.setdefault(execution_id, {})[name] = total

    def take_counts(self, execution_id: str) -> dict[str, int]:
        """Return what was added to an execution's counters and was not sent."""
        with self.lock:
            return self.counts.pop(execution_id, {})

    def collect(self) -> None:
        """Put what was counted and dropped as lines; called with the lock held, before lines are taken."""
        for execution_id, counts in list(self.counts.items()):
            line = encode_line(ExecutionCounted(execution_id=execution_id, time=now_us(), counts=counts))
            assert line is not None
            if not self.outbox.has_room(line):
                break
            self.outbox.put(line)
            del self.counts[execution_id]
        if self.outbox.undeclared:
            self.outbox.declare(now_us())

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything put so far is settled; False when the time ran out first."""
        with self.lock:
            return self._settle(timeout_s, give_up=False)

    def _settle(self, timeout_s: float, *, give_up: bool) -> bool:
        """Wait for acks, with `give_up` only while a daemon may be there. Lets go of the lock meanwhile."""
        if self._is_settled():
            return True
        self.collect()
        last_line = self.outbox.last_line
        self.urgent = True
        self.hurried += 1
        self._wake()
        self.settled.wait_for(
            lambda: self.outbox.acked >= last_line or (give_up and self.reachable is False), timeout_s
        )
        self.hurried -= 1
        return self.outbox.acked >= last_line and not self.outbox.undeclared

    def _is_settled(self) -> bool:
        outbox = self.outbox
        return outbox.acked == outbox.last_line and not outbox.undeclared and not self.counts

    def close(self, timeout_s: float) -> bool:
        """Deliver the rest or leave it on disk, end the thread; False when something stayed undelivered."""
        with self.lock:
            if self._sender is None and self._is_settled():
                return True
            self.close_by = time.monotonic() + timeout_s
            here = not self._has_thread() and self._prepare()
            if here:
                # At exit some Pythons start no thread any more; after a fork there may be none.
                self._thread = threading.current_thread()
            else:
                self._wake()
        if here and self._sender is not None:
            self._sender.run()
            self._thread = None
        with self.lock:
            # The sender keeps to `close_by` itself; it needs a moment more to tell what was lost.
            self.settled.wait_for(lambda: self.finished, timeout_s + _GRACE_S)
            guard.disarm(self)
            return self._is_settled()

    def pause(self) -> None:
        """Deliver if that is quick, end the thread, hold the lock: a fork must find neither in use."""
        with self.lock:
            stalled = self.reachable is False or self._stalled_at == self.outbox.acked
            if not stalled and not self._settle(_FORK_LIMIT_S, give_up=True):
                self._stalled_at = self.outbox.acked
            self.pausing = True
            thread = self._thread
            if self._sender is not None:
                self._signal()
        if thread is not None and thread.ident is not None and thread is not threading.current_thread():
            thread.join(_GRACE_S)
            _wait_until_gone(thread)
        self.lock.acquire()

    def resume(self) -> None:
        """Undo `pause`, in the process that forked.

        The thread begins again when there is something for it to do. Not at once without need: Python from
        3.13 looks for threads after this, and would warn the program of ours.
        """
        self.pausing = False
        waited_for = self.hurried > 0 or (self.close_by is not None and not self.finished)
        if waited_for or (self.reachable is not False and not self._is_settled()):
            self._wake()
        else:
            self._flush_lines = 1
        self.lock.release()

    def abandon(self) -> None:
        """Let go of what was inherited, in the process that was forked: its owner goes on with it."""
        if self._sender is not None:
            self._sender.close()
            if identity(self.wake_fd) == self._wake_identity:
                os.close(self.wake_fd)

    def woken(self) -> None:
        """Take note of all wakes so far, in the sending thread."""
        with self.lock, suppress(OSError):
            self._mend_wake_fd()
            os.eventfd_read(self.wake_fd)

    def _wake(self) -> None:
        """Let the sending thread look, and start it if there is none; called with the lock held."""
        if self.pausing:
            return
        if self._prepare():
            self._signal()
            if not self._has_thread() and self._sender is not None:
                self._thread = threading.Thread(target=self._sender.run, name="flightlog", daemon=True)
                try:
                    self._thread.start()
                    self._flush_lines = self.settings.flush_lines
                except RuntimeError as error:
                    # No more threads, for now or because the program is ending: what waits is kept.
                    if self._thread.ident is None:
                        self._thread = None
                    self.notices.tell_once("thread", f"cannot send: {error}")

    def _signal(self) -> None:
        """Wake the thread, unless it was and has not looked yet; called with the lock held.

        Each write lets go of the interpreter, and the thread may hold it for a while before it comes back.
        """
        if self.signalled:
            return
        try:
            self._mend_wake_fd()
            os.eventfd_write(self.wake_fd, 1)
        except OSError as error:
            self.notices.tell_once("thread", f"cannot send: {error}")
        else:
            self.signalled = True  # not before: a signal handler in between must not rely on it

    def _mend_wake_fd(self) -> None:
        """Make a new eventfd where the program has closed this one with all that it found."""
        if identity(self.wake_fd) != self._wake_identity:
            self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._wake_identity = identity(self.wake_fd)

    def _has_thread(self) -> bool:
        # A thread without ident is being started right now, further up in this one.
        return self._thread is not None and (self._thread.ident is None or self._thread.is_alive())

    def _prepare(self) -> bool:
        """Make the sender if there is none; False when that cannot be done now."""
        if self._sender is not None:
            return True
        try:
            # Imported at the first event: a program that only imports flightlog need not load sockets. Not in
            # the thread: an import while the program ends can cost it its exit status.
            from flightlog.sender import Sender

            wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except (OSError, ImportError) as error:
            # No more descriptors, for now or because the program is ending: what waits is kept.
            self.notices.tell_once("thread", f"cannot send: {error}")
            return False
        sender = Sender(self)
        if self.wake_fd < 0:
            self.wake_fd, self._sender = wake_fd, sender
            self._wake_identity = identity(wake_fd)
            guard.arm(self)
        else:
            # A signal handler was here meanwhile.
            os.close(wake_fd)
        return True


def _wait_until_gone(thread: threading.Thread) -> None:
    """Wait, for a moment at most, until the kernel has let go of a thread that was joined.

    A join returns a little earlier, and Python looks at the kernel's count of threads when a process forks.
    """
    deadline = time.monotonic() + _GONE_LIMIT_S
    while os.access(f"/proc/self/task/{thread.native_id}", os.F_OK) and time.monotonic() < deadline:
        time.sleep(_GONE_STEP_S)
