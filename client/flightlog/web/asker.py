"""Asking the daemon from trio: no thread waits for query.sock, and a question that nobody wants ends.

The blocking counterpart, with the rules of the wire, is `flightlog.query`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import trio
from msgspec.structs import fields, replace

from flightlog.cli.output import shown
from flightlog.daemon import Daemon
from flightlog.dial import away
from flightlog.errors import DaemonAway, NotUnderstood, QueryFailed
from flightlog.paths import query_socket
from flightlog_schemas.answers import DaemonStatus
from flightlog_schemas.wire.query import REQUESTS, StatusRequest
from flightlog_schemas.wire.reply import End, QueryError
from flightlog_schemas.wire.request import Request

T = TypeVar("T")

QUESTIONS_AT_ONCE: Final = 8
"""Questions under way at the same time; others wait. The daemon answers with four threads by default."""

QUESTION_LIMIT_S: Final = 30.0
"""Longest that a question may take, waiting for others included."""

ANSWER_LIMIT_BYTES: Final = 2 * 1024 * 1024
"""Most of an answer that is kept; a page that is larger ends before, and `next` goes on there."""

_RECEIVE_BYTES: Final = 256 * 1024
_VERBS: Final[dict[type, str]] = {kind: verb for verb, kind in REQUESTS.items()}
_HINT: Final = "is the daemon of another version? `flightlog status` tells"

Row = dict[str, Any]


class Answer(NamedTuple):
    """What came back.

    Attributes:
        rows: What each line holds, with its noun; times as RFC 3339.
        end: How it ended.
        cut: There is more than is kept, and no `next` that says where.
    """

    rows: list[tuple[str, Row]]
    end: End
    cut: bool


class Feed:
    """A connection to query.sock, and the lines of one answer as they come.

    Args:
        stream: The connection.
        request: What is asked.
    """

    def __init__(self, stream: trio.SocketStream, request: Request) -> None:
        self._stream = stream
        self._request = request
        self._rest = b""
        self._failed: QueryFailed | None = None
        self.end: End | None = None
        """How the answer ended, None before."""

    async def ask(self) -> None:
        """Send the question; that the connection broke shows where the answer is read."""
        try:
            await self._stream.send_all(
                msgspec.json.encode({_VERBS[type(self._request)]: self._request}) + b"\n"
            )
        except trio.BrokenResourceError:
            # Why the daemon closed may be waiting to be read.
            return

    async def lines(self) -> list[bytes]:
        """Return the lines that came next, at least one; none after the last one.

        Raises:
            DaemonAway: the connection broke before the end.
            QueryFailed: there is no answer.
        """
        while self.end is None:
            if self._failed is not None:
                raise self._failed
            try:
                data = await self._stream.receive_some(_RECEIVE_BYTES)
            except trio.BrokenResourceError:
                data = b""
            if not data:
                raise DaemonAway("the daemon closed the connection before its answer was complete")
            *whole, self._rest = (self._rest + data).split(b"\n")
            if whole and whole[-1].startswith((b'{"end":', b'{"error":')):
                self._ended(whole.pop())
            if whole:
                return whole
        return []

    def _ended(self, line: bytes) -> None:
        if line.startswith(b'{"error":'):
            # What came before it is told first.
            error = decoded(line, dict[str, QueryError])["error"]
            self._failed = QueryFailed(error.code, error.reason, error.hint)
        else:
            self.end = decoded(line, dict[str, End])["end"]


class Asker:
    """Questions to one daemon, each on a connection of its own.

    Args:
        daemon: Where it is; it may be away.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._limiter = trio.CapacityLimiter(QUESTIONS_AT_ONCE)

    @asynccontextmanager
    async def feed(self, request: Request) -> AsyncIterator[Feed]:
        """Ask, and give the answer as it comes; leaving closes the connection, which ends a tail.

        Raises:
            DaemonAway: nobody listens.
        """
        path = query_socket(self._daemon.directory)
        try:
            stream = await trio.open_unix_socket(os.fspath(path))
        except OSError as error:
            raise away(path, error) from error
        async with stream:
            feed = Feed(stream, request)
            await feed.ask()
            yield feed

    async def ask(self, request: Request, limit_s: float = QUESTION_LIMIT_S) -> Answer:
        """Return the answer to a question that has an end, no more of it than is to be kept.

        Args:
            request: The question.
            limit_s: Longest that it may take.

        Raises:
            DaemonAway: nobody listens, or the answer took too long.
            QueryFailed: there is no answer.
        """
        try:
            with trio.fail_after(limit_s):
                async with self._limiter:
                    answer = await self._kept(request)
                    if answer.cut and "limit" in {field.name for field in fields(request)}:
                        # Asked anew, so that the daemon itself says where what was left out begins.
                        answer = await self._kept(replace(request, limit=len(answer.rows)))
                    return answer
        except trio.TooSlowError as error:
            raise away(query_socket(self._daemon.directory), TimeoutError()) from error

    async def one(self, request: Request, limit_s: float = QUESTION_LIMIT_S) -> Row:
        """Return the answer to a question that has exactly one.

        Raises:
            DaemonAway: as `ask` does; also when there is no answer, or more than one.
            QueryFailed: as `ask` does.
        """
        rows = (await self.ask(request, limit_s)).rows
        if len(rows) != 1:
            raise NotUnderstood(f"expected one answer, got {len(rows)}", _HINT)
        return rows[0][1]

    async def status(self, limit_s: float = QUESTION_LIMIT_S) -> Row:
        """Return how the daemon is, with all that this version knows of it.

        Raises:
            DaemonAway: as `ask` does; also when it is of another version.
            QueryFailed: as `ask` does.
        """
        told = await self.one(StatusRequest(), limit_s)
        try:
            # This time is text already, as in every row; those within its parts are not.
            msgspec.convert(told | {"collected_at": None}, DaemonStatus)
        except msgspec.ValidationError as error:
            raise _not_understood(error) from error
        return told

    async def _kept(self, request: Request) -> Answer:
        rows: list[tuple[str, Row]] = []
        size = 0
        async with self.feed(request) as feed:
            while lines := await feed.lines():
                for line in lines:
                    size += len(line)
                    if size > ANSWER_LIMIT_BYTES and rows:
                        return Answer(rows, End(count=len(rows), seq=0, truncated=True), cut=True)
                    rows.append(row_of(line))
            assert feed.end is not None
            return Answer(rows, feed.end, cut=False)


def decoded(line: bytes, kind: type[T]) -> T:
    """Return a line of the daemon as a value of a type.

    Raises:
        DaemonAway: it is none of that type.
    """
    try:
        return msgspec.json.decode(line, type=kind)
    except ValueError as error:
        raise _not_understood(error) from error


def _not_understood(error: Exception) -> NotUnderstood:
    return NotUnderstood(f"the daemon's answer is not understood: {error}", _HINT)


def row_of(line: bytes) -> tuple[str, Row]:
    """Return what an answer line holds, and its noun; a recorded event stands bare."""
    if line.startswith(b'{"seq":'):
        event = shown(decoded(line, dict[str, Any]))
        if "origin" in event:
            shown(event["origin"])
        return "event", event
    [(noun, row)] = decoded(line, dict[str, Row]).items()
    return noun, shown(row)
