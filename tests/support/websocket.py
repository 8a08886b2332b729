"""A WebSocket by hand: a bare socket with wsproto on it, blocking."""

import json
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from support.web import Web

Json = dict[str, Any]


class RefusedError(Exception):
    """The server does not want a WebSocket.

    Attributes:
        status: The status code.
        error: What the body says.
    """

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.error: Json = json.loads(body)["error"] if body else {}


class WebSocket:
    """One WebSocket; a context manager that closes it.

    Args:
        web: The server.
        target: Path and query string.
        headers: More headers.

    Raises:
        RefusedError: the server does not want it.
    """

    def __init__(self, web: Web, target: str = "/api/ws", headers: dict[str, str] | None = None) -> None:
        self._socket = web.socket()
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._messages: list[Json] = []
        self._text = ""
        self.closed: int | None = None
        """The code that the server closed it with."""
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        request = Request(host=f"127.0.0.1:{web.port}", target=target, extra_headers=extra)
        self._socket.sendall(self._connection.send(request))
        self._accepted = False
        self._rejected: int | None = None
        self._body = b""
        try:
            while not self._accepted:
                self._receive()
        except BaseException:
            self._socket.close()
            raise

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        self._connection.receive_data(data or None)
        for event in self._connection.events():
            if isinstance(event, AcceptConnection):
                self._accepted = True
            elif isinstance(event, RejectConnection):
                self._rejected = event.status_code
            elif isinstance(event, RejectData):
                self._body += bytes(event.data)
                if event.body_finished:
                    assert self._rejected is not None
                    raise RefusedError(self._rejected, self._body)
            elif isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    self._messages.append(json.loads(self._text))
                    self._text = ""
            elif isinstance(event, Ping):
                self._socket.sendall(self._connection.send(event.response()))
            elif isinstance(event, CloseConnection):
                self.closed = int(event.code)

    def next(self) -> Json:
        """Return the next message."""
        while not self._messages:
            assert self.closed is None, f"closed with {self.closed}"
            self._receive()
        return self._messages.pop(0)

    def until(self, event: str) -> list[Json]:
        """Return the messages that come, up to the first of a kind."""
        found = [self.next()]
        while found[-1]["event"] != event:
            found.append(self.next())
        return found

    def send(self, text: str) -> None:
        """Send a message."""
        self._socket.sendall(self._connection.send(TextMessage(data=text)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()
