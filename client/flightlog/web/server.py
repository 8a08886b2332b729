"""The server: hypercorn on trio. Nothing else here knows which one it is."""

import errno
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from flightlog.errors import FlightlogError
from flightlog.web.connections import PatientStream, Places
from flightlog.web.limits import (
    CLIENT_CONNECTION_LIMIT,
    CONNECTION_LIMIT,
    GRACE_S,
    HEADER_LIMIT_BYTES,
    HEADER_LIMIT_S,
    IDLE_LIMIT_S,
    KEEP_ALIVE_S,
    MESSAGE_LIMIT_BYTES,
    WRITE_LIMIT_S,
)
from flightlog.web.problem import RETRY, Problem

Address = tuple[Any, ...]

_FULL: Final = Problem(
    503, "too_many_connections", "there are as many connections as this server has", "close some", RETRY
)
_STRANGER: Final = Problem(
    403, "forbidden", "this server is another user's", "ask for its token, or start one of your own"
)
_TAKEN_HINT: Final = "is it running already? --port takes another port, 0 a free one"
_BACKLOG: Final = 100


class Server:
    """One server.

    Its accepting is our own, because hypercorn limits neither connections nor how long a write may take.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        say: Tells whoever runs it what broke.
        admits: Says whether a peer, by its address and ours, may connect at all.

    Attributes:
        places: Room for connections.
    """

    def __init__(
        self,
        host: str,
        port: int,
        say: Callable[[str], None],
        admits: Callable[[Address, Address], bool],
    ) -> None:
        self.places = Places(CONNECTION_LIMIT, CLIENT_CONNECTION_LIMIT)
        self._host = host
        self._port = port
        self._say = say
        self._admits = admits
        self._streams: set[PatientStream] = set()
        self._context = WorkerContext(None)
        self._config = Config()
        self._config.errorlog = None
        self._config.include_server_header = False
        self._config.h11_max_incomplete_size = HEADER_LIMIT_BYTES
        self._config.keep_alive_timeout = HEADER_LIMIT_S
        self._config.websocket_max_message_size = MESSAGE_LIMIT_BYTES
        self._config.websocket_ping_interval = KEEP_ALIVE_S

    def run(self, app: Any, started: Callable[[str], None]) -> int:
        """Serve until SIGTERM or SIGINT, and return which signal it was.

        Args:
            app: An ASGI application.
            started: Called with the URL once it listens.

        Raises:
            FlightlogError: the address cannot be listened on.
        """
        return trio.run(self._run, app, started)

    async def _run(self, app: Any, started: Callable[[str], None]) -> int:
        self._app = ASGIWrapper(app)
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            listeners = await trio.open_tcp_listeners(self._port, host=self._host, backlog=_BACKLOG)
        except OSError as error:
            raise FlightlogError(
                f"cannot listen on {host}:{self._port}: {error.strerror or error}",
                _TAKEN_HINT if error.errno == errno.EADDRINUSE else None,
            ) from None
        port = listeners[0].socket.getsockname()[1]
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with trio.open_nursery() as ending:
                async with trio.open_nursery() as serving, trio.open_nursery() as accepting:
                    accept = partial(
                        trio.serve_listeners, self._connection, listeners, handler_nursery=serving
                    )
                    accepting.start_soon(accept)
                    started(f"http://{host}:{port}/")
                    number = await anext(aiter(signals))
                    accepting.cancel_scope.cancel()
                    # Connections end with the answer under way, and those without one at once.
                    await self._context.terminated.set()
                    ending.start_soon(self._cut, serving)
                ending.cancel_scope.cancel()
        return int(number)

    async def _cut(self, serving: trio.Nursery) -> None:
        """End what has not ended by itself in a while."""
        await trio.sleep(GRACE_S)
        serving.cancel_scope.cancel()
        # A write that hypercorn has shielded ends with its socket.
        for stream in tuple(self._streams):
            stream.close()

    async def _connection(self, stream: trio.SocketStream) -> None:
        """Serve one connection, whatever happens on it."""
        try:
            peer, ours = stream.socket.getpeername(), stream.socket.getsockname()
        except OSError:  # it has gone already
            stream.socket.close()
            return
        async with stream:
            with self.places.place(peer[0]) as room:
                if not room:
                    await _refuse(stream, _FULL)
                elif not self._admits(peer, ours):
                    await _refuse(stream, _STRANGER)
                else:
                    await self._serve(stream)

    async def _serve(self, stream: trio.SocketStream) -> None:
        # With requests that came ahead of their turn, hypercorn would wait for ever for a peer that has gone.
        with trio.CancelScope() as serving:
            patient = PatientStream(stream, WRITE_LIMIT_S, IDLE_LIMIT_S, serving.cancel)
            self._streams.add(patient)
            try:
                # Of a stream hypercorn uses what a PatientStream has.
                state, like = ConnectionState({}), cast(Any, patient)
                await TCPServer(self._app, self._config, self._context, state, like).run()
            except Exception as error:  # a connection that breaks must not end the others
                self._say(f"a connection broke: {error!r}")
            finally:
                self._streams.discard(patient)


async def _refuse(stream: trio.SocketStream, problem: Problem) -> None:
    """Say why a connection is closed, to a peer that takes it at once."""
    lines = [f"HTTP/1.1 {problem.status} ", "content-type: application/json", "connection: close"]
    lines += [f"{name}: {value}" for name, value in problem.headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode()
    with trio.move_on_after(1), suppress(trio.BrokenResourceError):
        await stream.send_all(head + problem.body)
        await stream.send_eof()
        # What it had sent already must be read, or closing is a reset that takes the answer along.
        while await stream.receive_some(4096):
            pass
