"""The way back of a query connection: what the socket takes is written at once."""

import os
from typing import Final

import trio

_SHORT_BYTES: Final = 16 * 1024
"""What the socket's buffer takes as a rule: it is written without leaving it to another turn of the loop."""


class Sender:
    """Writes to one reader.

    Args:
        stream: The connection.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._fd = stream.socket.fileno()

    async def __call__(self, data: bytes) -> None:
        """Write all of it; waits as long as the reader does.

        Raises:
            trio.BrokenResourceError: the reader is gone.
        """
        sent = self.at_once(data) if len(data) <= _SHORT_BYTES else 0
        if sent < len(data):
            await self._stream.send_all(data[sent:])

    def at_once(self, data: bytes) -> int:
        """Write what the socket takes at once and return how many bytes that is.

        A reader that is gone takes none: who sends the rest learns of it.
        """
        try:
            return os.write(self._fd, data)
        except OSError:
            return 0


class Kept(Sender):
    """Keeps what would be written.

    Attributes:
        parts: That.
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    async def __call__(self, data: bytes) -> None:
        """Keep it."""
        self.parts.append(data)
