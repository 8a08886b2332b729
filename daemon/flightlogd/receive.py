"""Reading one ingest connection, when its user's turn is."""

import math
import os
import time
from typing import Final

import trio

from flightlogd.errors import PeerError
from flightlogd.hub import Hub
from flightlogd.users import User

SHARED_RECEIVE_BYTES: Final = 32 * 1024
"""Smaller blocks while several users are there: what is read at once is decoded and committed at once."""

RECEIVE_BYTES: Final = 256 * 1024
"""Read large blocks: a call costs microseconds, whatever it brings."""


class Receiver:
    """The read side of a connection.

    Args:
        stream: The connection.
        user: Whose it is.
        hub: What all connections share.
    """

    def __init__(self, stream: trio.SocketStream, user: User, hub: Hub) -> None:
        self._stream = stream
        self._user = user
        self._hub = hub
        self._began = 0.0
        """When the block that is being taken was begun to be read, 0 where nobody wants to know."""
        self.listening = False
        """All that came was taken; more is waited for."""

    async def receive(self, *, unfinished: bool) -> bytes:
        """Return what is there to read, b"" at the end, when this user may be read from.

        Waits first: `receive_some` tries first, and with a peer that waits for each ack that is in vain
        every time.

        Args:
            unfinished: There is half a line: it must find its other half in time.

        Raises:
            PeerError: `line_timeout`.
            trio.BrokenResourceError: the peer is gone.
        """
        fd = self._stream.socket.fileno()
        while True:
            await self._readable(fd, self._hub.config.line_timeout_ms / 1000 if unfinished else math.inf)
            if not self._user.free:
                await self._user.turn()
                self._began = time.perf_counter()
            try:
                data = os.read(fd, SHARED_RECEIVE_BYTES if self._hub.users.several else RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError from error
            # No checkpoint since the turn: of many connections the next one knows of this.
            self._user.use(data.count(b"\n"), len(data))
            return data

    def taken(self) -> None:
        """Note that what was received is decoded and handed over."""
        if self._began:
            self._user.spend(time.perf_counter() - self._began)
            self._began = 0.0

    async def _readable(self, fd: int, timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            self.listening = True
            await trio.lowlevel.wait_readable(fd)
            self.listening = False
            return
        raise PeerError("line_timeout", f"half a line, and nothing more for {timeout_s * 1000:.0f} ms")
