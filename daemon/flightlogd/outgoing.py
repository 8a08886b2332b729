"""What the daemon has to say to one peer: written at once where the socket takes it, else buffered.

Most acks are a few bytes into an empty socket buffer. Writing them directly saves waking a task for each
connection of a commit, which is most of what an ack costs.
"""

import os

import trio


class Outgoing:
    """The write side of a connection.

    Args:
        stream: The connection.
        nursery: Where the task lives that writes what the socket does not take at once.
        limit_bytes: Buffered bytes above which `congested` is true.
    """

    def __init__(self, stream: trio.SocketStream, nursery: trio.Nursery, limit_bytes: int) -> None:
        self._stream = stream
        self._nursery = nursery
        self._limit = limit_bytes
        self._pending = bytearray()
        self._flushing = False
        self._drained = trio.Event()
        self._broken = False

    def post(self, data: bytes) -> None:
        """Send bytes, in order, never waiting. A peer that is gone is noticed by the reading side."""
        data = data[self.write(data) :]
        if not data:
            return
        if not self._flushing:
            self._flushing = True
            self._drained = trio.Event()
            self._nursery.start_soon(self._flush)
        self._pending += data

    def write(self, data: bytes) -> int:
        """Send what the socket takes at once, if nothing goes before it; return how many bytes that is.

        The writer's thread may do so, too, while nobody posts. A peer that is gone takes all.
        """
        if self._flushing:
            return 0
        if not self._broken:
            try:
                return os.write(self._stream.socket.fileno(), data)
            except BlockingIOError:
                return 0
            except OSError:
                self._broken = True
        return len(data)

    @property
    def congested(self) -> bool:
        """True while the peer leaves more unread than the limit."""
        return len(self._pending) > self._limit

    async def drained(self) -> None:
        """Return once everything is written or the peer is gone."""
        if self._flushing:
            await self._drained.wait()

    async def _flush(self) -> None:
        try:
            while self._pending:
                data = bytes(self._pending)
                self._pending.clear()
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._broken = True
            self._pending.clear()
        finally:
            self._flushing = False
            self._drained.set()
