"""The log grew: wakes who waits, and keeps what was committed last in memory.

The database is the buffer of every tail; the recent batches here only save the reading.

The writer's thread puts a commit here before anybody is told of it: who is acked finds it. All else is of
trio's thread.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from flightlogd.batch import Batch


class Head:
    """The end of the log as readers see it.

    Args:
        seq: Position of the last event.
        limit_bytes: Lines kept in memory.

    Attributes:
        seq: The same, as it is now.
        on_wake: Called whenever who waits is woken.
    """

    def __init__(self, seq: int, limit_bytes: int) -> None:
        self.seq = seq
        self._limit = limit_bytes
        self._size = 0
        self._recent: deque[Batch] = deque()
        self._lock = threading.Lock()
        self._waiting = 0
        self._grew = trio.Event()
        self.on_wake: Callable[[], None] = lambda: None

    def advance(self, batches: Sequence[Batch]) -> None:
        """Take the batches of a commit (on the writer's thread); `wake` is to follow where somebody waits."""
        with self._lock:
            for batch in batches:
                batch.sealed = None  # the lines are here already
                self._recent.append(batch)
                self._size += _size(batch)
            while self._size > self._limit and len(self._recent) > 1:
                self._size -= _size(self._recent.popleft())
        if batches:
            self.seq = batches[-1].last_seq

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for the log to grow; whoever begins to later sees what is here by now."""
        return self._waiting > 0

    def wake(self) -> None:
        """Wake all who wait."""
        self._grew.set()
        self._grew = trio.Event()
        self.on_wake()

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """Have the writer wake who waits inside; look at `seq` there, as the writer looks the other way."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def recent(self, after: int) -> list[Batch] | None:
        """Return the batches with positions above `after`; None when memory does not go back so far."""
        if after >= self.seq:
            return []
        found: list[Batch] = []
        with self._lock:
            if not self._recent or self._recent[0].first_seq > after + 1:
                return None
            for batch in reversed(self._recent):
                if batch.last_seq <= after:
                    break
                found.append(batch)
        return found[::-1]

    def quiet_until(self, after: int, tells: Callable[[Batch], bool]) -> int:
        """Return up to where it is known that no batch above a position tells of something.

        That may be short of the end, which the writer's thread moves on meanwhile; and it is the position
        itself where memory does not go back so far.
        """
        for batch in self.recent(after) or ():
            if tells(batch):
                break
            after = batch.last_seq
        return after

    def forget(self, seq: int) -> None:
        """Keep nothing in memory that begins at or below a position: the log has changed there."""
        with self._lock:
            while self._recent and self._recent[0].first_seq <= seq:
                self._size -= _size(self._recent.popleft())

    async def wait_past(self, seq: int) -> None:
        """Return once the log has a position above `seq`."""
        with self.awaiting():
            while self.seq <= seq:
                await self._grew.wait()
        await trio.lowlevel.checkpoint_if_cancelled()


def _size(batch: Batch) -> int:
    # Lines twice (a tail may have them ready to send), objects and list places, who is in them, and decoded
    # events, which take several times the bytes that they came in.
    facts = batch.facts
    lines = 2 * sum(map(len, batch.lines)) + 200 * len(batch.lines)
    return lines + 500 * len(facts.tallies) + 1000 * len(facts.singles) + 1000
