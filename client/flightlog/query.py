"""Asking the daemon: one request at a time, answers as a stream of lines."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from flightlog.dial import away, dial
from flightlog.errors import DaemonAway, NotUnderstood, QueryFailed
from flightlog.versions import versions_hint
from flightlog_schemas.wire.control import CONTROL_REQUESTS, ControlRequest
from flightlog_schemas.wire.lines import Events, OneEvent, Tail
from flightlog_schemas.wire.query import REQUESTS
from flightlog_schemas.wire.reply import End, Passed, Pruned, QueryError, Recorded
from flightlog_schemas.wire.request import Request

T = TypeVar("T")

_VERBS: Final[dict[type, str]] = {kind: verb for verb, kind in (REQUESTS | CONTROL_REQUESTS).items()}
_RECEIVE_BYTES: Final = 256 * 1024

# The daemon writes compact JSON, and an answer line has one key; no noun is called end or error.
_END: Final = b'{"end":'
_ERROR: Final = b'{"error":'
_PRUNED: Final = b'{"pruned":'
_PASSED: Final = b'{"passed":'


class Connection:
    """A blocking connection to query.sock (or control.sock), made when the first question is asked.

    One question at a time: leave the loop over an answer before its end, and the connection is closed, which
    is how a tail is stopped; the next question makes a new one. Not for use by several threads at once.

    Args:
        path: The socket.
        timeout_s: Longest silence in seconds while an answer is awaited; None waits for ever.
        wait: Called with the descriptor before each receive, to return when it is readable: for callers that
            have something to do meanwhile.

    Attributes:
        end: What the daemon said at the end of the last answer; None while one is under way.
    """

    def __init__(
        self, path: Path, timeout_s: float | None = None, wait: Callable[[int], None] | None = None
    ) -> None:
        self.end: End | None = None
        self._wait = wait
        self._path = path
        self._timeout_s = timeout_s
        self._peer: socket.socket | None = None

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect now rather than at the first question.

        Raises:
            DaemonAway: nobody listens there, or this user may not connect.
        """
        if self._peer is None:
            self._peer = dial(self._path, self._timeout_s)

    def close(self) -> None:
        """Close; an answer under way ends. Closing twice does nothing."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()

    def fileno(self) -> int:
        """Return the descriptor, for select. Readable does not mean that a whole line is there.

        Raises:
            DaemonAway: nobody listens there.
        """
        self.connect()
        assert self._peer is not None
        return self._peer.fileno()

    def lines(self, request: Request | ControlRequest) -> Iterator[bytes]:
        """Ask, and yield the answer's lines without their newlines as they come; `end` is set after.

        Memory stays constant, however long the answer. A signal handler that raises interrupts the wait.

        Raises:
            DaemonAway: nobody listens, the connection broke, or the silence was longer than the timeout.
            QueryFailed: the daemon has no answer. The connection stays usable.
        """
        self.end = None
        self._send(msgspec.json.encode({_VERBS[type(request)]: request}))
        complete = False
        try:
            for line in self._receive():
                if line.startswith(_END):
                    self.end = self._decode(line, dict[str, End])["end"]
                    complete = True
                    return
                if line.startswith(_ERROR):
                    error = self._decode(line, dict[str, QueryError])["error"]
                    complete = True
                    raise QueryFailed(error.code, error.reason, self._hint_to(error))
                yield line
        finally:
            if not complete:
                self.close()

    def all(
        self, request: Request | ControlRequest, kind: type[T], passed: Callable[[int], None] | None = None
    ) -> Iterator[T]:
        """Ask, and yield what the answer's lines hold, as one type of `flightlog_schemas.answers`.

        Args:
            request: What is wanted.
            kind: The type.
            passed: Called with positions up to which nothing more matched, where the request has `passing`.

        Raises:
            DaemonAway: as `lines` does; also when an answer is not of that type.
            QueryFailed: as `lines` does.
        """
        wrapped = dict[str, kind]  # type: ignore[valid-type]  # a type made at run time
        decoder = msgspec.json.Decoder(wrapped)
        for line in self._lines_but(request, passed):
            try:
                (answer,) = decoder.decode(line).values()
            except ValueError as error:
                raise self._not_understood(error) from error
            yield answer

    def one(self, request: Request | ControlRequest, kind: type[T]) -> T:
        """Ask a question that has exactly one answer, and return it.

        Raises:
            DaemonAway: as `all` does; also when there is no answer, or more than one.
            QueryFailed: as `lines` does.
        """
        answers = list(self.all(request, kind))
        if len(answers) != 1:
            raise self._not_understood(f"expected one, got {len(answers)}")
        return answers[0]

    def tail(self, request: Tail, passed: Callable[[int], None] | None = None) -> Iterator[Recorded | Pruned]:
        """Ask for recorded events and yield them in order, and the holes that governance left.

        With `follow` this goes on until the loop is left or the daemon stops.

        Args:
            request: What is wanted.
            passed: Called with positions up to which nothing more matched, where the request has `passing`.

        Raises:
            DaemonAway: as `all` does.
            QueryFailed: as `lines` does.
        """
        decoder = msgspec.json.Decoder(Recorded)
        for line in self._lines_but(request, passed):
            try:
                if line.startswith(_PRUNED):
                    yield self._decode(line, dict[str, Pruned])["pruned"]
                else:
                    yield decoder.decode(line)
            except ValueError as error:
                raise self._not_understood(error) from error

    def recorded(self, request: Events | OneEvent) -> Iterator[Recorded]:
        """Ask for a page of one execution's recorded events, or for one event, and yield them in order.

        Raises:
            DaemonAway: as `all` does.
            QueryFailed: as `lines` does.
        """
        decoder = msgspec.json.Decoder(Recorded)
        for line in self.lines(request):
            try:
                yield decoder.decode(line)
            except ValueError as error:
                raise self._not_understood(error) from error

    def _lines_but(
        self, request: Request | ControlRequest, passed: Callable[[int], None] | None
    ) -> Iterator[bytes]:
        """Yield the lines of an answer but those that say how far was looked."""
        for line in self.lines(request):
            if not line.startswith(_PASSED):
                yield line
            elif passed is not None:
                passed(self._decode(line, dict[str, Passed])["passed"].seq)

    def _send(self, line: bytes) -> None:
        self.connect()
        assert self._peer is not None
        try:
            self._peer.sendall(line + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            # Why the daemon closed may be waiting to be read.
            return
        except OSError as error:
            self.close()
            raise away(self._path, error) from error

    def _receive(self) -> Iterator[bytes]:
        """Yield whole lines until the caller stops asking, which it does at the answer's last line."""
        peer = self._peer
        assert peer is not None
        parts: list[bytes] = []
        while True:
            if self._wait is not None:
                self._wait(peer.fileno())
            try:
                data = peer.recv(_RECEIVE_BYTES)
            except ConnectionResetError:
                data = b""
            except OSError as error:
                raise away(self._path, error) from error
            if not data:
                raise DaemonAway("the daemon closed the connection before its answer was complete")
            *whole, rest = data.split(b"\n")
            if whole:
                if parts:
                    whole[0] = b"".join((*parts, whole[0]))
                    parts.clear()
                yield from whole
            if rest:
                parts.append(rest)

    def _hint_to(self, error: QueryError) -> str | None:
        """Return what to do about an error; what another version asks for, a daemon may not know."""
        other = versions_hint(self._path.parent, told_apart=True) if error.code == "invalid" else None
        return other or error.hint

    def _decode(self, line: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(line, type=kind)
        except ValueError as error:
            raise self._not_understood(error) from error

    def _not_understood(self, why: object) -> NotUnderstood:
        return NotUnderstood(
            f"the daemon's answer is not understood: {why}", versions_hint(self._path.parent)
        )
