"""Questions that outlive the daemon: when it goes away they wait for it, and go on where they were."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Self

from msgspec.structs import replace

from flightlog.cli.verb import Session
from flightlog.errors import DaemonAway, NotUnderstood
from flightlog.query import Connection
from flightlog_schemas.answers import LogLine
from flightlog_schemas.wire.lines import Logs, Tail
from flightlog_schemas.wire.reply import Pruned, Recorded
from flightlog_schemas.wire.request import PAGE_LIMIT

Said = Recorded | Pruned | LogLine

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


class Patience(AbstractContextManager["Patience"]):
    """A connection to a daemon that may be restarted meanwhile.

    Args:
        session: Where the daemon is, and the way to stderr.
        waits: Wait for a daemon that goes away; else that is a failure.
        wait: As `Connection` takes it.
        pause: Waits for so many seconds.
    """

    def __init__(
        self,
        session: Session,
        *,
        waits: bool = True,
        wait: Callable[[int], None] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._waits = waits
        self._pause = pause
        self.connection: Connection = session.ask(patient=True, wait=wait)

    def __enter__(self) -> Self:
        self.connection.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def return_of_daemon(self, until: float = float("inf")) -> bool:
        """Wait until the daemon accepts again, at most to a moment of the monotonic clock; say so twice.

        Returns:
            False when the time was up.
        """
        self.connection.close()
        self._session.say("flightlogd went away, waiting for it")
        pause_s = _FIRST_PAUSE_S
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            self._pause(min(pause_s, left_s))
            try:
                self.connection.connect()
            except DaemonAway:
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                continue
            self._session.say("flightlogd is back")
            return True

    def said(self, request: Tail | Logs, passed: Callable[[int], None] | None = None) -> Iterator[Said]:
        """Yield the answers to a question about the log; after a break, go on after the last one.

        Args:
            request: What is wanted.
            passed: Told of positions up to which nothing more matched, where the request asks for that.

        Raises:
            QueryFailed: the daemon has no answer.
            DaemonAway: it went away, and this does not wait.
        """

        def note(position: int) -> None:
            nonlocal request
            request = _after(request, position)
            if passed is not None:
                passed(position)

        while True:
            try:
                for answer in _ask(self.connection, request, note):
                    yield answer
                    request = _after(request, position_of(answer))
            except DaemonAway as error:
                if not self._waits or isinstance(error, NotUnderstood):
                    raise
                self.return_of_daemon()
            else:
                return

    def read(
        self,
        request: Tail | Logs,
        *,
        keep: Callable[[Said], bool] | None = None,
        count: int | None = None,
        passed: Callable[[int], None],
    ) -> Iterator[Said]:
        """Yield what is there and then, where the request follows, what comes: nothing lost or doubled.

        Args:
            request: What is wanted.
            keep: The part of the choice that the daemon cannot make.
            count: Only the last so many of what is there.
            passed: Told of positions that were looked at and have nothing to be shown.
        """

        def kept(wanted: Tail | Logs) -> Iterator[Said]:
            for answer in self.said(wanted, passed):
                if keep is None or keep(answer):
                    yield answer
                else:
                    passed(position_of(answer))

        history = replace(request, follow=False)
        if count is None:
            yield from kept(history)
        elif keep is None and (count <= PAGE_LIMIT or isinstance(request, Logs)):
            yield from self.said(replace(history, last=count))
        else:
            yield from deque(
                (answer for answer in self.said(history) if not keep or keep(answer)), maxlen=count
            )
        passed(self._end_seq())
        if request.follow:
            yield from kept(_after(request, self._end_seq()))
            passed(self._end_seq())

    def _end_seq(self) -> int:
        assert self.connection.end is not None
        return self.connection.end.seq


def position_of(answer: Said) -> int:
    """Return the last position that an answer speaks of."""
    return answer.last_seq if isinstance(answer, Pruned) else answer.seq


def _after(request: Tail | Logs, position: int) -> Tail | Logs:
    """Return what is still to be asked for once everything up to a position was told."""
    if isinstance(request, Tail):
        return replace(request, after=position, cursor=None, since=None, last=None)
    return replace(request, after=position, cursor=None, last=None)


def _ask(connection: Connection, request: Tail | Logs, passed: Callable[[int], None]) -> Iterator[Said]:
    if isinstance(request, Tail):
        return connection.tail(request, passed)
    return connection.all(request, LogLine, passed)
