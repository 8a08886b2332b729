"""Reading one ingest connection, when its user's turn is."""

import math
import os

import trio

from flightlogd.errors import PeerError
from flightlogd.hub import Hub
from flightlogd.peer import Peer


class Receiver:
    """The read side of a connection.

    Args:
        stream: The connection.
        peer: Whose it is.
        hub: What all connections share.
    """

    def __init__(self, stream: trio.SocketStream, peer: Peer, hub: Hub) -> None:
        self._stream = stream
        self._peer = peer
        self._user = hub.users.of(peer.uid)
        self._share = hub.users.share
        self._hub = hub
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
            if self._user.rated:
                await self._user.turn()
            try:
                data = os.read(fd, self._share.block_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError from error
            # No checkpoint since the turn: of many connections the next one knows of this.
            self._user.use(data.count(b"\n"), len(data))
            return data

    async def _readable(self, fd: int, timeout_s: float) -> None:
        with trio.move_on_after(timeout_s):
            self.listening = True
            await self._share.readable(fd, self._peer)
            self.listening = False
            return
        raise PeerError("line_timeout", f"half a line, and nothing more for {timeout_s * 1000:.0f} ms")
