"""The log grew: wakes who waits, and keeps what was committed last in memory.

The database is the buffer of every tail; the recent batches here only save the reading.
"""

from collections import deque
from collections.abc import Sequence

import trio

from flightlogd.batch import Batch


class Head:
    """The end of the log as trio's thread sees it.

    Args:
        seq: Position of the last event.
        limit_bytes: Lines kept in memory.
    """

    def __init__(self, seq: int, limit_bytes: int) -> None:
        self.seq = seq
        self._limit = limit_bytes
        self._size = 0
        self._recent: deque[Batch] = deque()
        self._grew = trio.Event()

    def advance(self, batches: Sequence[Batch]) -> None:
        """Take the batches of a commit and wake all who wait."""
        if not batches:
            return
        for batch in batches:
            batch.sealed = None  # the lines are here already
            self._recent.append(batch)
            self._size += _size(batch)
        while self._size > self._limit and len(self._recent) > 1:
            self._size -= _size(self._recent.popleft())
        self.seq = batches[-1].last_seq
        self._grew.set()
        self._grew = trio.Event()

    def recent(self, after: int) -> list[Batch] | None:
        """Return the batches with positions above `after`; None when memory does not go back so far."""
        if after >= self.seq:
            return []
        if not self._recent or self._recent[0].first_seq > after + 1:
            return None
        found: list[Batch] = []
        for batch in reversed(self._recent):
            if batch.last_seq <= after:
                break
            found.append(batch)
        return found[::-1]

    def forget(self, seq: int) -> None:
        """Keep nothing in memory that begins at or below a position: the log has changed there."""
        while self._recent and self._recent[0].first_seq <= seq:
            self._size -= _size(self._recent.popleft())

    async def wait_past(self, seq: int) -> None:
        """Return once the log has a position above `seq`."""
        while self.seq <= seq:
            await self._grew.wait()
        await trio.lowlevel.checkpoint_if_cancelled()


def _size(batch: Batch) -> int:
    # Lines twice (a tail may have them ready to send), objects and list places, who is in them, and decoded
    # events, which take several times the bytes that they came in.
    facts = batch.facts
    lines = 2 * sum(map(len, batch.lines)) + 200 * len(batch.lines)
    return lines + 500 * len(facts.tallies) + 1000 * len(facts.singles) + 1000
