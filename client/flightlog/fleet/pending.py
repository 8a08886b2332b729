"""What was read of a log and is not known to be in the stream, by partition; and up to where all of it is."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from flightlog.exporting import Log
from flightlog.fleet.messages import HELLO_BYTES, Line, Message, compose, partition_of

MESSAGE_LIMIT_BYTES: Final = 256 * 1024
"""A message is about as large as what a daemon commits at once; one longer line is a message of its own."""

PENDING_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""Most that is kept; then nothing more is read, and the log itself is the buffer."""


class _Partition:
    def __init__(self) -> None:
        self.waiting: deque[Line] = deque()
        self.waiting_bytes = 0
        self.under_way: list[Line] = []
        self.news = asyncio.Event()

    @property
    def oldest_seq(self) -> int | None:
        if self.under_way:
            return self.under_way[0].seq
        return self.waiting[0].seq if self.waiting else None


class Pending:
    """Lines on their way from the log to the stream.

    Args:
        log: The log that is relayed.
        partitions: How many the stream has.
        seq: Everything up to here is in the stream.
        limit_bytes: Most that a message may hold, unless it is of one line.
    """

    def __init__(self, log: Log, partitions: int, seq: int, limit_bytes: int = MESSAGE_LIMIT_BYTES) -> None:
        self._log = log
        self._limit_bytes = limit_bytes
        self._partitions = [_Partition() for _ in range(partitions)]
        self._read_seq = seq
        self._size_bytes = 0
        self._settled = asyncio.Event()

    @property
    def read_seq(self) -> int:
        """Everything up to here was read."""
        return self._read_seq

    @property
    def seq(self) -> int:
        """Everything up to here is in the stream, or left out on purpose."""
        oldest = [part.oldest_seq for part in self._partitions]
        return min((seq - 1 for seq in oldest if seq is not None), default=self._read_seq)

    def add(self, lines: Sequence[Line], read_seq: int) -> None:
        """Take lines that were read, and note how far all was read."""
        for line in lines:
            part = self._partitions[partition_of(line, len(self._partitions))]
            part.waiting.append(line)
            part.waiting_bytes += line.size_bytes
            self._size_bytes += line.size_bytes
            part.news.set()
        self._read_seq = read_seq

    async def room(self) -> None:
        """Wait until more may be read."""
        while self._size_bytes >= PENDING_LIMIT_BYTES:
            await self._change()

    async def all_sent(self) -> None:
        """Wait until nothing is left."""
        while self.seq < self._read_seq:
            await self._change()

    async def take(self, number: int, linger_s: float) -> Message:
        """Return the next message of a partition, once there is one; the one before must be done.

        Args:
            number: Which partition.
            linger_s: How long to wait for more lines, so that they share a message.
        """
        part = self._partitions[number]
        assert not part.under_way
        while not part.waiting:
            part.news.clear()
            await part.news.wait()
        if linger_s and part.waiting_bytes < self._limit_bytes:
            await asyncio.sleep(linger_s)
        size = 0
        before: Line | None = None
        while part.waiting:
            line = part.waiting[0]
            follows = before is not None and line.recorded.follows(before.recorded)
            size += line.size_bytes + (0 if follows else HELLO_BYTES)
            if part.under_way and size > self._limit_bytes:
                break
            part.under_way.append(part.waiting.popleft())
            part.waiting_bytes -= line.size_bytes
            before = line
        return compose(part.under_way, self._log, number)

    def done(self, number: int) -> None:
        """Note that the message of a partition that was taken last is in the stream."""
        part = self._partitions[number]
        self._size_bytes -= sum(line.size_bytes for line in part.under_way)
        part.under_way.clear()
        self._settled.set()

    async def _change(self) -> None:
        self._settled.clear()
        await self._settled.wait()
