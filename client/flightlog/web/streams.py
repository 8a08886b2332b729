"""The log as server-sent events and over a WebSocket: the same parameters, the same messages."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from flightlog.errors import FlightlogError, UsageError
from flightlog.web.asker import Asker
from flightlog.web.connections import Places
from flightlog.web.follow import Emit, Follower, Message, StreamAsked, question_of
from flightlog.web.limits import CLIENT_STREAM_LIMIT, STREAM_LIMIT
from flightlog.web.params import convert, pairs_of
from flightlog.web.planning import planned
from flightlog.web.problem import RETRY, Problem, problem_of
from flightlog_schemas.limits import INT64_MAX

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

RETRY_MS: Final = 1000
"""When a browser is to ask again whose connection broke."""

_SSE_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"x-accel-buffering", b"no"),  # a proxy in between is to hand on what comes
]


class Streams:
    """All streams of one server.

    Args:
        asker: Asks the daemon.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self.places = Places(STREAM_LIMIT, CLIENT_STREAM_LIMIT)

    async def sse(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one client over HTTP."""
        if scope["method"] != "GET":
            raise Problem(405, "method_not_allowed", "a stream is read", headers={"allow": "GET"})

        async def begin() -> None:
            await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
            await body(f"retry: {RETRY_MS}\n\n".encode())

        async def emit(messages: list[Message]) -> None:
            await body(b"".join(map(_event, messages)) or b":\n\n")

        async def body(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        if await self._serve(scope, receive, begin, emit):
            await send({"type": "http.response.body", "body": b""})

    async def socket(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one client over a WebSocket."""

        async def begin() -> None:
            await receive()  # the request to connect
            await send({"type": "websocket.accept"})

        async def emit(messages: list[Message]) -> None:
            # Signs of life are the server's pings.
            for message in messages:
                await send({"type": "websocket.send", "text": _text(message)})

        if await self._serve(scope, receive, begin, emit):
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(
        self, scope: Any, receive: Receive, begin: Callable[[], Awaitable[None]], emit: Emit
    ) -> bool:
        """Follow the log until it ends, or the client goes, and return whether it was the log.

        Raises:
            Problem: there is no stream; nothing was sent.
        """
        try:
            asked = convert(pairs_of(scope["query_string"]), {}, StreamAsked)
            follower = Follower(self._asker, question_of(asked, _last_event_id(scope)), emit)
            with self.places.place(scope["client"][0]) as room:
                if not room:
                    status = 503 if self.places.is_full() else 429
                    raise Problem(status, "too_many_streams", "too many streams at once", "close some", RETRY)
                first = await follower.begin()
                await begin()
                await emit(first)
                ended = False
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_gone, receive, nursery.cancel_scope)
                    await follower.run()
                    ended = True
                    nursery.cancel_scope.cancel()
                return ended
        except FlightlogError as error:
            raise problem_of(error) from error


async def _gone(receive: Receive, following: trio.CancelScope) -> None:
    """End a stream whose client has gone; what one sends over a WebSocket is not looked at."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
    following.cancel()


def _last_event_id(scope: Any) -> int | None:
    """Return the position that a client says to have: the header that a browser sends by itself.

    Raises:
        UsageError: it is none.
    """
    given = dict(scope["headers"]).get(b"last-event-id")
    if not given:
        return None
    if not given.isdigit() or int(given[:20]) > INT64_MAX:
        raise UsageError("Last-Event-ID: no position of the log")
    return int(given)


def _event(message: Message) -> bytes:
    """Return a message as a server-sent event; JSON of msgspec has no line ends."""
    head = b"" if message.seq is None else b"id: %d\n" % message.seq
    return b"%sevent: %s\ndata: %s\n\n" % (head, message.event.encode(), message.data)


def _text(message: Message) -> str:
    """Return a message as text for a WebSocket; one about a plan under its name there."""
    event, data = planned(message) or (message.event, message.data)
    seq = "null" if message.seq is None else str(message.seq)
    return f'{{"event":"{event}","seq":{seq},"data":{data.decode()}}}'
