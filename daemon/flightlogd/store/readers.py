"""Read-only connections for questions, on threads, each read bounded in time."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw
import trio

from flightlogd.errors import QuestionError
from flightlogd.store.database import open_reader
from flightlogd.turns import Turns, asking

T = TypeVar("T")

_PROGRESS_STEPS: Final = 20_000
"""Virtual machine steps between two looks at the deadline: well under a millisecond."""


class Readers:
    """A pool of connections, one for each thread that reads.

    Args:
        path: The database file.
        limit: Threads and connections of one user; there is one more for others.
        timeout_ms: Longest read; replaced by a reload.
    """

    def __init__(self, path: Path, limit: int, timeout_ms: int) -> None:
        self._path = path
        self._turns = Turns(limit)
        self._threads = trio.CapacityLimiter(limit + 1)
        self._idle: list[apsw.Connection] = []
        self._all: list[apsw.Connection] = []
        self.timeout_ms = timeout_ms

    async def run(self, question: Callable[[apsw.Connection], T]) -> T:
        """Run a function that only reads, in one short transaction that sees one state of the log.

        Raises:
            QuestionError: `deadline`, when it ran longer than allowed.
        """
        uid = asking.get()
        await self._turns.take(uid)
        try:
            return await trio.to_thread.run_sync(self._run, question, limiter=self._threads)
        finally:
            self._turns.give_back(uid)

    def interrupt(self) -> None:
        """End the reads under way, from any thread: they keep the WAL from shrinking."""
        for db in self._all:
            db.interrupt()

    def close(self) -> None:
        """Close all connections; no read may be under way."""
        for db in self._all:
            db.close()

    def _run(self, question: Callable[[apsw.Connection], T]) -> T:
        db = self._idle.pop() if self._idle else self._open()
        deadline = time.monotonic() + self.timeout_ms / 1000
        db.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        try:
            db.execute("begin")
            try:
                return question(db)
            finally:
                if db.in_transaction:
                    db.execute("rollback")
        except apsw.InterruptError:
            raise QuestionError(
                "deadline", f"the read took longer than {self.timeout_ms} ms", "ask for less, or page by page"
            ) from None
        finally:
            self._idle.append(db)

    def _open(self) -> apsw.Connection:
        db = open_reader(self._path)
        self._all.append(db)
        return db
