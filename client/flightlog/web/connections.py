"""What a connection may cost: how many there are, and how long a peer may keep us waiting."""

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import trio

from flightlog.web.limits import WRITE_LIMIT_BYTES


class Places:
    """Room for a number of something, in all and for each client.

    Args:
        limit: Most in all.
        client_limit: Most of one client.
    """

    def __init__(self, limit: int, client_limit: int) -> None:
        self._limit: Final = limit
        self._client_limit: Final = client_limit
        self._taken: Counter[str] = Counter()
        self.refused = 0
        """How many found no room."""

    @property
    def taken(self) -> int:
        """How many there are."""
        return self._taken.total()

    def is_full(self) -> bool:
        """Say whether there is no room for anybody."""
        return self.taken >= self._limit

    @contextmanager
    def place(self, client: str) -> Iterator[bool]:
        """Take a place for as long as the block lasts; False where there is none."""
        if self.is_full() or self._taken[client] >= self._client_limit:
            self.refused += 1
            yield False
            return
        self._taken[client] += 1
        try:
            yield True
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


class PatientStream:
    """A connection whose peer has to take what it is sent; a stream as hypercorn wants it.

    Hypercorn shields its writes from being cancelled, so a peer that stops reading would hold one for ever.

    Args:
        stream: The connection.
        write_limit_s: How long the peer may take for a piece.
        idle_limit_s: How long nothing may go either way.
        gone: Called when the peer cannot be written to any more.
    """

    def __init__(
        self,
        stream: trio.SocketStream,
        write_limit_s: float,
        idle_limit_s: float,
        gone: Callable[[], None],
    ) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._write_limit_s = write_limit_s
        self._idle_limit_s = idle_limit_s
        self._sent_at = trio.current_time()
        self._gone = gone

    async def send_all(self, data: bytes) -> None:
        """Send, piece by piece.

        Raises:
            trio.BrokenResourceError: the peer has gone, or took too long; the connection is closed then.
        """
        view = memoryview(data)
        for start in range(0, len(view), WRITE_LIMIT_BYTES):
            with trio.move_on_after(self._write_limit_s) as patience:
                try:
                    await self._stream.send_all(view[start : start + WRITE_LIMIT_BYTES])
                except trio.BrokenResourceError:
                    self._gone()
                    raise
            if patience.cancelled_caught:
                self.close()
                self._gone()
                raise trio.BrokenResourceError
        self._sent_at = trio.current_time()

    async def receive_some(self, max_bytes: int) -> bytes:
        """Receive some bytes; none where the peer has gone, or nothing went either way for too long."""
        begun = trio.current_time()
        while True:
            with trio.move_on_at(max(begun, self._sent_at) + self._idle_limit_s):
                return bytes(await self._stream.receive_some(max_bytes))
            if trio.current_time() >= self._sent_at + self._idle_limit_s:
                return b""

    async def send_eof(self) -> None:
        """Say that nothing more will be sent."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    def close(self) -> None:
        """Close at once; who waits for it wakes with an error."""
        # With a reset, or what the peer does not read stays in the kernel for minutes.
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
