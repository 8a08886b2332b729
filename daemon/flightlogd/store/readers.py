"""Read-only connections for questions, on threads, each read bounded in time."""

import threading
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


_LONG_S: Final = 0.1
"""Age of a read that may be interrupted: others are over before anybody has waited for them."""


class InterruptedReadError(QuestionError):
    """A read was ended for the sake of the write-ahead log."""

    def __init__(self) -> None:
        super().__init__(
            "deadline",
            "the read was ended: it kept the write-ahead log, which is at its limit, from being begun anew",
            "ask again, for less or page by page",
        )


class Readers:
    """A pool of connections, one for each thread that reads.

    Args:
        path: The database file.
        limit: Threads and connections of one user; there is one more for others.
        timeout_ms: Longest read; replaced by a reload.
    """

    def __init__(self, path: Path, limit: int, timeout_ms: int) -> None:
        self._path = path
        self.turns = Turns(limit)
        self._threads = trio.CapacityLimiter(limit + 1)
        self._here: set[int] = set()
        self._idle: list[apsw.Connection] = []
        self._all: list[apsw.Connection] = []
        self._began: dict[apsw.Connection, float] = {}
        self.timeout_ms = timeout_ms

    async def run(self, question: Callable[[apsw.Connection], T]) -> T:
        """Run a function that only reads, in one short transaction that sees one state of the log.

        Raises:
            QuestionError: `deadline`, when it ran longer than allowed.
            InterruptedReadError: it was ended before that, by `interrupt`; it can be asked again.
        """
        if threading.get_ident() in self._here:
            return self._run(question)
        uid = asking.get().uid
        await self.turns.take(uid)
        try:
            return await trio.to_thread.run_sync(self._run, question, limiter=self._threads)
        finally:
            self.turns.give_back(uid)

    def read_here(self) -> None:
        """Have this thread, which is not trio's, read by itself: `run` waits for nothing on it."""
        self._here.add(threading.get_ident())

    def interrupt(self) -> None:
        """End the long reads under way, from any thread: they keep the WAL from shrinking."""
        now = time.monotonic()
        for db, began in list(self._began.items()):
            if now - began > _LONG_S:
                db.interrupt()

    def close(self) -> None:
        """Close all connections; no read may be under way."""
        for db in self._all:
            db.close()

    def _run(self, question: Callable[[apsw.Connection], T]) -> T:
        try:
            db = self._idle.pop()
        except IndexError:
            db = self._open()
        self._began[db] = began = time.monotonic()
        deadline = began + self.timeout_ms / 1000
        db.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
        try:
            db.execute("begin")
            return question(db)
        except apsw.InterruptError:
            if time.monotonic() < deadline:
                raise InterruptedReadError from None
            raise QuestionError(
                "deadline", f"the read took longer than {self.timeout_ms} ms", "ask for less, or page by page"
            ) from None
        finally:
            self._put_back(db)

    def _put_back(self, db: apsw.Connection) -> None:
        """End the transaction and keep the connection; where even that is interrupted or fails, close it."""
        del self._began[db]
        db.set_progress_handler(None)
        try:
            if db.in_transaction:
                db.execute("rollback")
        except apsw.Error:
            self._all.remove(db)
            db.close()
        else:
            self._idle.append(db)

    def _open(self) -> apsw.Connection:
        db = open_reader(self._path)
        self._all.append(db)
        return db
