"""Delivering spools that dead programs left behind: one after the other, by their own names and numbers.

    lock ──► hello, ready.acked = where to go on ──► lines, acks ──► bye, if there is one ──► settled: delete

A courier that dies leaves the file, and the next one goes on where the daemon's storage ends.
"""

import os
import select
import time
from collections.abc import Container, Generator, Iterator
from pathlib import Path
from typing import Final

from flightlog import paths
from flightlog.dial import away
from flightlog.errors import FlightlogError
from flightlog.link import Link, LinkBroken
from flightlog.spool_file import SUFFIX, SpoolFile, SpoolUnreadableError
from flightlog_schemas.wire.ingest import IngestReply

SILENCE_LIMIT_S: Final = 30.0
"""Longest that the daemon may take without any progress."""

LOOK_INTERVAL_S: Final = 60.0
"""How long a program does not look again, once nothing was found."""

_CHUNK_BYTES: Final = 128 * 1024
_LOOK_MS: Final = 1000
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR


class Undelivered(FlightlogError):  # noqa: N818  # a state of affairs
    """A spool was not delivered to its end; what is left of it stays."""


class Courier:
    """Delivers one spool, which it owns, over a connection of its own. Nothing here waits.

    Args:
        spool: The file, with its lock.
        runtime_dir: Where the daemon's sockets are.

    Attributes:
        settled: Number of the last line that is settled.
        refused: Lines that the daemon refused.
        done: Whether everything was settled and the file is deleted.
    """

    def __init__(self, spool: SpoolFile, runtime_dir: Path) -> None:
        assert spool.owned
        self.spool = spool
        self.settled = spool.header.line - 1
        self.refused = 0
        self.done = False
        self._path = paths.ingest_socket(runtime_dir)
        self._next_line = spool.header.line
        self._moved_at = time.monotonic()
        self._link = self._connect()

    def fileno(self) -> int:
        """Return the descriptor of the connection, for poll."""
        return self._link.fileno()

    @property
    def events(self) -> int:
        """What to poll for."""
        link = self._link
        more = self._next_line <= self.spool.last_line or (self.spool.ended and not link.said_bye)
        return select.POLLIN | select.POLLOUT if not link.idle or (link.ready and more) else select.POLLIN

    def serve(self, ready: int) -> None:
        """Do what can be done now.

        Args:
            ready: What poll says of the connection.

        Raises:
            Undelivered: it cannot go on; the file stays, and is let go of.
        """
        try:
            self._serve(ready)
        except (LinkBroken, OSError) as error:
            self.close()
            raise Undelivered(
                f"{self.spool.path.name}: {error}", "it stays, and can be delivered later"
            ) from error

    def close(self) -> None:
        """Let go of the connection and the file."""
        self._link.close()
        self.spool.close()

    def _serve(self, ready: int) -> None:
        link = self._link
        if ready & _READABLE:
            try:
                for reply in link.read():
                    self._take_in(reply)
            except LinkBroken:
                # After the goodbye, the daemon closes once it is stored.
                if not (link.said_bye and self.settled >= self.spool.last_line):
                    raise
                self._finish()
                return
        if not self._link.idle or self._link.ready:
            self._send(self._link)
        if time.monotonic() > self._moved_at + SILENCE_LIMIT_S:
            raise LinkBroken("the daemon does not answer")

    def _send(self, link: Link) -> None:
        """Write one block: whoever calls has other things to do."""
        spool = self.spool
        if link.idle and link.ready and not link.said_bye:
            if self._next_line <= spool.last_line:
                lines = spool.read(self._next_line, _CHUNK_BYTES)
                self._next_line += len(lines)
                link.hand_over(lines)
            elif spool.ended:
                link.bye(spool.last_line)
            elif self.settled >= spool.last_line:
                self._finish()
                return
        if not link.idle:
            link.write()

    def _take_in(self, reply: IngestReply) -> None:
        self._moved_at = time.monotonic()
        if reply.ack is not None:
            self.settled = max(self.settled, reply.ack.lines)
        elif reply.ready is not None:
            self.settled = max(self.settled, reply.ready.acked)
            if self.settled >= self._next_line:
                # The hello announced lines that are stored: announce those after them.
                self._next_line = self.settled + 1
                self._link.close()
                self._link = self._connect()
            else:
                self._link.ready = True
        elif reply.refused is not None:
            self.refused += 1
        elif reply.error is not None:
            raise LinkBroken(reply.error.reason)

    def _connect(self) -> Link:
        link = Link()
        try:
            link.connect(self._path, self.spool.header.producer, self._next_line)
        except BaseException:
            link.close()
            raise
        return link

    def _finish(self) -> None:
        self._link.close()
        self.spool.remove()
        self.done = True


def spool_paths(directory: Path) -> list[Path]:
    """Return all spools in a directory, oldest first; none where it is missing or cannot be read."""
    try:
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))
    except OSError:
        return []
    return [directory / name for name in names if not name.startswith(".")]


def left_behind(
    directory: Path, runtime_dir: str | None, passed_over: Container[Path] = ()
) -> Iterator[SpoolFile]:
    """Yield the spools of this user that nobody has any more, locked; the caller closes them.

    Args:
        directory: Where they are.
        runtime_dir: Only those for the daemon of this directory; None is the default one.
        passed_over: Not these.
    """
    for path in spool_paths(directory):
        if path in passed_over:
            continue
        try:
            spool = SpoolFile(path)
        except (OSError, SpoolUnreadableError):
            continue  # `flightlog spool list` shows what is wrong with it
        header = spool.header
        if (
            spool.owned
            and not spool.gone
            and header.uid == os.geteuid()
            and header.runtime_dir == runtime_dir
        ):
            yield spool
        else:
            spool.close()


class Round:
    """What a program's sending thread does for others: deliver what they left behind, when it has time.

    Args:
        directory: Where spools are, None for nowhere.
        asked_for: The directory of sockets that this program asked for, None for the default.

    Attributes:
        courier: The one that is on its way.
    """

    def __init__(self, directory: Path | None, asked_for: str | None) -> None:
        self.courier: Courier | None = None
        self._look_at = float("-inf")
        self._directory = directory
        self._asked_for = asked_for
        self._passed_over: set[Path] = set()
        """Those that a daemon would not take."""

    def begin(self, now: float) -> bool:
        """Take up the next spool, if it is time to look for one; say whether one is on its way."""
        if self.courier is None and self._directory is not None and now >= self._look_at:
            spool = next(left_behind(self._directory, self._asked_for, self._passed_over), None)
            if spool is None:
                self._look_at = now + LOOK_INTERVAL_S
                return False
            try:
                self.courier = Courier(spool, paths.runtime_dir(self._asked_for))
            except OSError:
                spool.close()
                self._look_at = now + LOOK_INTERVAL_S
        return self.courier is not None

    def serve(self, ready: int) -> None:
        """Go on with the one that is on its way; `ready` is what poll says of its connection."""
        courier = self.courier
        if courier is None:
            return
        try:
            courier.serve(ready)
        except Undelivered:
            self._passed_over.add(courier.spool.path)
            self.courier = None
        if courier.done:
            self.courier = None

    def close(self) -> None:
        """Leave the rest to others."""
        if self.courier is not None:
            self.courier.close()
            self.courier = None


def deliver(spool: SpoolFile, runtime_dir: Path) -> Generator[Courier, None, None]:
    """Deliver one spool to its end; yield its courier as it gets on.

    Args:
        spool: The file, with its lock; it is closed in the end.
        runtime_dir: Where the daemon's sockets are.

    Raises:
        DaemonAway: nobody listens there.
        Undelivered: it could not be delivered to its end; what is left of it stays.
    """
    try:
        courier = Courier(spool, runtime_dir)
    except OSError as error:
        spool.close()
        raise away(paths.ingest_socket(runtime_dir), error) from error
    try:
        while not courier.done:
            poll = select.poll()
            poll.register(courier, courier.events)
            ready = poll.poll(_LOOK_MS)
            courier.serve(ready[0][1] if ready else 0)
            yield courier
    finally:
        courier.close()
