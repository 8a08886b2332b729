"""The thread that sends: connects, resumes, sends when it is time, takes in acks.

    idle ──lines──► connect ──hello──► ready ──► send, take acks ──close──► bye ──► finished
                      ▲  backoff                   │
                      └──────── lost link ◄────────┘   what was in flight is sent again

Lines that are not settled in time go to the spool on disk, and are sent from there, before those in memory.
When all of its own is settled, it delivers what dead programs left in theirs. It waits in poll alone, for its
sockets and for an eventfd that the program's threads write.
"""

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Final

from flightlog import paths
from flightlog.courier import Round
from flightlog.dial import away
from flightlog.due import Due
from flightlog.link import Link, LinkBroken, NotUnderstood
from flightlog.notice import tell
from flightlog.outbox import DROP_REASONS
from flightlog.spill import SPILL_AFTER_S, Spill
from flightlog_schemas.wire.ingest import IngestReply, Ready

if TYPE_CHECKING:
    from flightlog.producer import Producer

_CHUNK_BYTES: Final = 128 * 1024
"""Lines sent in one go: enough to make system calls cheap, little enough to hold the lock briefly."""

_CHUNKS_LIMIT: Final = 8
"""Most of them before acks are looked for. Each system call gives a busy program the interpreter for 5 ms."""

_IDLE_S: Final = 10.0
"""Longest sleep: a program that closed our descriptors cannot wake this thread."""

_ROUND_EXIT_S: Final = 0.25
"""Longest that the end of a program waits for what it delivers for others."""

_BACKOFF_MIN_S: Final = 0.05
_BACKOFF_MAX_S: Final = 5.0
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR
_OVER: Final = -1.0


class Sender:
    """Sends what one producer has; only its thread uses this, save `connected` and `close`."""

    def __init__(self, producer: "Producer") -> None:
        self._producer = producer
        self._outbox = producer.outbox
        self._notices = producer.notices
        self._link: Link | None = None
        self._hello_line = 1
        self._due = Due(producer)
        self._dialled_at = float("-inf")
        self._backoff_s = 0.0
        self._known = False
        """Whether a daemon ever answered: one that never did is not waited for at exit."""
        self._said_bye = False
        self._closing_since: float | None = None
        self._round_until: float | None = None
        self._alone = threading.Lock()
        self._spill = Spill(producer, self._lose)
        self._stuck_since: float | None = None
        """Since when lines should have been settled and none was."""
        self._reached_at = float("-inf")
        """When a daemon last let us connect, or answered: one that is just back is given its time."""
        settings = producer.settings
        self._round = Round(paths.spool_dir(settings.spool), paths.asked_for(settings.runtime_dir))

    @property
    def spooled_bytes(self) -> int:
        """Size of the spool."""
        return self._spill.size_bytes

    @property
    def connected(self) -> bool:
        """Whether the daemon has answered this connection's hello."""
        return self._link is not None and self._link.ready

    def close(self) -> None:
        """Let go of sockets and files; no thread runs this (any more)."""
        if self._link is not None:
            self._link.close()
        self._round.close()
        self._spill.close()

    def run(self) -> None:
        """Send until everything is delivered and the producer closed, or until it pauses.

        Only one thread at a time does: a second, which a signal handler may have started, returns at once.
        """
        if self._alone.acquire(blocking=False):
            try:
                self._run()
            finally:
                self._due.rely_on_wakes()
                self._alone.release()

    def _run(self) -> None:
        while True:
            wait_s = self._step()
            if wait_s == _OVER:
                return
            poll = select.poll()
            poll.register(self._producer.wake_fd, select.POLLIN)
            link = self._link
            if link is not None:
                poll.register(link, select.POLLIN if link.idle else select.POLLIN | select.POLLOUT)
            courier = self._round.courier
            if courier is not None:
                poll.register(courier, courier.events)
            # Rounded up: a wait that ends early would come round again at once.
            ready = dict(poll.poll(int(min(_IDLE_S if wait_s is None else wait_s, _IDLE_S) * 1000) + 1))
            if self._producer.wake_fd in ready:
                self._producer.woken()
            if link is not None:
                self._serve(link, ready.get(link.fileno(), 0))
            if courier is not None:
                self._round.serve(ready.get(courier.fileno(), 0))

    def _step(self) -> float | None:
        """Do what can be done now.

        Returns:
            Seconds to wait for the socket or a wake, None for any time, `_OVER` to end the thread.
        """
        producer, now = self._producer, time.monotonic()
        with producer.lock:
            producer.signalled = False
            pausing, unreachable = producer.pausing, producer.reachable is False
        if pausing:
            if unreachable:
                # After a fork nothing may call for this thread for long.
                self._spill.write()
            return _OVER
        with producer.lock:
            drops = self._outbox.undeclared_reasons
            over = self._is_over(now)
            wait_s = self._due.in_s(now, linked=self._link is not None)
            idle = not self._outbox.pending
            self._watch(now, due=wait_s == 0)
            spill_in_s = self._spill.due_in_s(now, self._stuck_since)
        for reason in drops:
            self._notices.tell_once(reason, f"{DROP_REASONS[reason]}; counted, and told in the log")
        if over:
            if self._round_goes_on(now):
                return _ROUND_EXIT_S
            self._finish()
            return _OVER
        if spill_in_s is not None and spill_in_s <= 0:
            self._spill.write()
            return 0.0
        if wait_s == 0:
            wait_s = self._dial(now) if self._link is None else self._send(self._link)
        elif idle and self.connected:
            self._round.begin(now)
        waits = [wait_s, spill_in_s]
        if producer.close_by is not None:
            waits += [max(producer.close_by - now, 0.0), self._gives_up_in_s(now)]
        return min((wait for wait in waits if wait is not None), default=None)

    def _watch(self, now: float, *, due: bool) -> None:
        """Note since when nothing moves that should. Under the lock."""
        outbox = self._outbox
        if outbox.acked == outbox.last_line:
            self._stuck_since = None
        elif self._stuck_since is None and (due or outbox.in_flight):
            self._stuck_since = now

    def _gives_up_in_s(self, now: float) -> float | None:
        """Return in how many seconds an end no longer waits for acks: there is a spool, and nothing moves."""
        if self._stuck_since is None or not self._spill.enabled:
            return None
        return max(max(self._stuck_since, self._reached_at) + SPILL_AFTER_S - now, 0.0)

    def _round_goes_on(self, now: float) -> bool:
        """Whether the end waits a moment more for what others left, which the daemon is taking."""
        outbox = self._outbox
        if outbox.acked < outbox.last_line or not self._known or self._closing_since is None:
            return False
        if self._round_until is None:
            self._round_until = now + _ROUND_EXIT_S
        return now < self._round_until and self._round.begin(now)

    def _dial(self, now: float) -> float | None:
        """Connect, unless it is too soon after the last time; return how long to wait."""
        producer = self._producer
        hurried = producer.hurried > 0 or producer.close_by is not None
        wait_s = min(self._backoff_s, _BACKOFF_MIN_S) if hurried else self._backoff_s
        if now < self._dialled_at + wait_s:
            return self._dialled_at + wait_s - now
        self._dialled_at = now
        # Up to half of it by chance, so that many programs do not come back in step.
        grown_s = min(max(self._backoff_s * 2, _BACKOFF_MIN_S), _BACKOFF_MAX_S)
        self._backoff_s = grown_s * (1 - os.urandom(1)[0] / 512)
        path = paths.ingest_socket(paths.runtime_dir(producer.settings.runtime_dir))
        try:
            with producer.lock:
                # A fork takes the lock first: it finds either no socket or one that it knows of.
                link = self._link = Link()
                self._hello_line = self._outbox.acked + 1
            link.connect(path, producer.id, self._hello_line)
            self._reached_at = now
        except OSError as error:
            self._lose()
            with producer.lock:
                producer.reachable = False
                producer.settled.notify_all()
            self._notices.tell_once("away", f"{away(path, error).reason}; {self._spill.promise}")
            return self._backoff_s
        return None

    def _send(self, link: Link) -> float | None:
        """Send what waits, and at the end the goodbye; the socket says when to go on."""
        producer, sent = self._producer, 0
        wait_s: float | None = None
        for _ in range(_CHUNKS_LIMIT):
            if self._link is not link or not link.ready or not link.idle or link.said_bye:
                break
            if self._outbox.next_is_spooled:
                try:
                    lines = self._spill.read(_CHUNK_BYTES)
                except OSError as error:
                    # Somebody else has it, and delivers it; or it is gone. Look again later.
                    self._notices.tell_once("spool", f"cannot read the spool: {error}")
                    self._lose()
                    return 0.0
                last_line = self._outbox.last_line
            else:
                with producer.lock:
                    producer.collect()
                    lines = self._outbox.take(_CHUNK_BYTES)
                    last_line = self._outbox.last_line
                    sent += len(lines)
                    if sent and not self._outbox.pending:
                        wait_s = self._due.expect(time.monotonic(), sent)
            if lines:
                link.hand_over(lines)
            elif producer.close_by is not None:
                link.bye(last_line)
                self._said_bye = True
            else:
                break
            self._serve(link, select.POLLOUT)
        return wait_s

    def _serve(self, link: Link, events: int) -> None:
        """Write and read what the socket allows; a link that is gone is let go of."""
        try:
            if events & select.POLLOUT:
                link.write()
            if events & _READABLE:
                self._take_in(link.read())
        except LinkBroken as broken:
            self._explain(broken)
            try:
                # Why the daemon closed may be waiting to be read.
                while replies := link.read():
                    self._take_in(replies)
            except LinkBroken as rest:
                self._explain(rest)
            self._lose()

    def _take_in(self, replies: list[IngestReply]) -> None:
        for reply in replies:
            if reply.ack is not None:
                self._settle(reply.ack.lines)
                self._backoff_s = 0.0
            elif reply.ready is not None:
                self._resume(reply.ready)
            elif reply.refused is not None:
                self._producer.refused += 1
                self._notices.tell_once(
                    "refused", f"an event was refused, {reply.refused.code}: {reply.refused.reason}"
                )
            elif reply.busy is not None:
                self._stuck_since = float("-inf")
                self._notices.tell_once(
                    "busy", f"the daemon waits ({reply.busy.code}); {self._spill.promise}"
                )
            elif reply.error is not None and reply.error.code != "shutting_down":
                self._notices.tell_once(reply.error.code, f"the daemon says: {reply.error.reason}")

    def _resume(self, ready: Ready) -> None:
        """Go on where the daemon's storage ends, whatever was in flight when the last link was lost."""
        producer, link = self._producer, self._link
        if link is None:
            return
        self._known = link.ready = True
        self._reached_at = time.monotonic()
        self._settle(ready.acked)
        with producer.lock:
            self._outbox.rewind()
            producer.urgent = producer.reachable = True
        if ready.acked >= self._hello_line:
            # Lines that the hello announced are stored and forgotten here: announce those after them.
            self._lose()
            self._dialled_at = float("-inf")

    def _settle(self, lines: int) -> None:
        try:
            with self._producer.lock:
                if lines > self._outbox.acked:
                    self._stuck_since = None
                self._outbox.ack(lines)
                self._producer.settled.notify_all()
        except ValueError as error:
            raise NotUnderstood(str(error)) from error
        self._spill.settled()

    def _lose(self) -> None:
        with self._producer.lock:
            link, self._link = self._link, None
            self._due.rely_on_wakes()
        if link is not None:
            link.close()

    def _explain(self, broken: LinkBroken) -> None:
        if isinstance(broken, NotUnderstood):
            self._notices.tell_once("protocol", f"the daemon's reply is not understood: {broken}")

    def _is_over(self, now: float) -> bool:
        """Whether a producer that closes has nothing more to do or to hope for. Under the lock."""
        producer, outbox = self._producer, self._outbox
        if producer.close_by is None:
            return False
        if self._closing_since is None:
            self._closing_since = now
        if self._link is None:
            if outbox.acked == outbox.last_line and not outbox.undeclared and not producer.counts:
                return self._said_bye or not outbox.last_line
            if self._dialled_at < self._closing_since:
                return now >= producer.close_by
            if not self._known:
                return True
        return now >= producer.close_by or self._gives_up_in_s(now) == 0

    def _finish(self) -> None:
        """Put on disk what is left, say what is lost for good, and let go of whoever waits."""
        self._lose()
        self._round.close()
        producer, outbox = self._producer, self._outbox
        with producer.lock:
            producer.collect()
        where = self._spill.where
        lost = self._spill.finish()
        with producer.lock:
            kept, dropped = outbox.spooled_lines, outbox.dropped
        left_out = f" ({dropped} more were left out)" if dropped else ""
        if lost:
            tell(f"{lost} events did not reach the daemon{left_out}")
        elif kept:
            sentence = f"{kept} events wait in {where} for the daemon{left_out}"
            self._notices.tell_once("dropped" if dropped else "away", sentence)
        elif dropped:
            tell(f"{dropped} events were left out; the log says so")
        with producer.lock:
            producer.finished = True
            producer.settled.notify_all()
