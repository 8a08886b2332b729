"""The index of words follows the log: fed behind the writer on another thread, never in the way of an ack.

It is derived: what is wrong with it is a state in `status`, and is put right by making it anew. It goes to
work when ingestion pauses, when somebody waits for it, and after two seconds in any case.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw
import structlog
import trio

from flightlog_schemas.answers import LogLine, SearchState
from flightlog_schemas.codec import decode_stored
from flightlogd.config import Config
from flightlogd.errors import QuestionError
from flightlogd.head import Head
from flightlogd.inbox import Inbox
from flightlogd.queries.log import log_line
from flightlogd.store.database import begin, commit, is_outcome_unknown, rollback
from flightlogd.store.readers import Readers
from flightlogd.store.searchdb import (
    SEARCH_DATABASE,
    Indexed,
    add_lines,
    discard_index,
    forget_lines,
    open_index,
    read_indexed,
    save_indexed,
    take_apart,
)
from flightlogd.store.searchfeed import Feed, read_feed

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_QUIET_S: Final = 0.05
"""No commit for so long is a pause of ingestion."""
_LONGEST_WAIT_S: Final = 2.0
_PAUSE_FACTOR: Final = 3.0
"""While ingestion goes on, the index works a quarter of the time."""
_PATIENCE_POSITIONS: Final = 1_000_000
"""So far behind, it works all the time."""
_FORGET_LINES: Final = 4000
_LONGEST_BACKOFF_S: Final = 30.0
_READER_LIMIT: Final = 2

_DAMAGED: Final = (apsw.CorruptError, apsw.NotADBError)


class UnusableError(Exception):
    """The index has to be made anew; the reason says why."""


class Search:
    """The index of words, on trio's thread.

    Args:
        config: The settings; `search` False keeps it off.
        head: The end of the log.
        inbox: What waits to be written.
        readers: Connections to the log.
        log_id: Which log.

    Attributes:
        path: The index's file.
        state: See `SearchStatus`.
        reason: What is wrong while it is failing.
        position: Everything up to here is indexed.
    """

    def __init__(self, config: Config, head: Head, inbox: Inbox, readers: Readers, log_id: str) -> None:
        self.path = Path(config.state_dir) / SEARCH_DATABASE
        self.state: SearchState = "starting" if config.search else "off"
        self.reason: str | None = None
        self.position = 0
        self._head = head
        self._inbox = inbox
        self._log = readers
        self._log_id = log_id
        self._config = config
        self._limiter = trio.CapacityLimiter(1)
        self._db: apsw.Connection | None = None
        self._readers: Readers | None = None
        self._reading = 0
        self._moved = trio.Event()
        self._wanted_seq = 0
        self._hurry = trio.Event()
        self._backoff_s = 0.0
        self._at_work = trio.CancelScope()
        self._damage: str | None = None
        self._running = False
        self._held = False
        self._discards = 0
        """How often the index was thrown away."""

    async def run(self) -> None:
        """Index until cancelled; a step under way is finished first. Ends at once where it is off."""
        if self.state == "off":
            return
        self._running = True
        made_anew = -_LONGEST_BACKOFF_S
        try:
            while True:
                try:
                    with trio.CancelScope() as self._at_work:
                        self._raise_damage()
                        await self._open()
                        while True:
                            await self._turn()
                except (UnusableError, *_DAMAGED) as error:
                    logger.warning("search index is made anew", reason=str(error))
                    self._become("starting")
                    await self._close()
                    await self._discard()
                    made_anew, before = trio.current_time(), made_anew
                    if made_anew - before < _LONGEST_BACKOFF_S:
                        await self._rest()
                except Exception as error:
                    # Whatever it is, the recorder goes on.
                    if is_outcome_unknown(error):
                        self._damage = "what of it is on disk is not known"
                    if isinstance(error, apsw.Error | OSError | QuestionError):
                        logger.error("search index failing", reason=str(error))  # noqa: TRY400
                    else:
                        logger.exception("search index failing")
                    self._become("failing", str(error))
                    await self._close()
                    await self._rest()
        finally:
            with trio.CancelScope(shield=True):
                await self._close()
            self._running = False

    def hold(self, *, full: bool) -> None:
        """Index nothing while the disk is full: what room there is, is for governance."""
        self._held = full
        self._hurry.set()
        self._hurry = trio.Event()

    def configure(self, config: Config) -> None:
        """Take over what a reload has changed."""
        self._config = config
        if self._readers is not None:
            self._readers.timeout_ms = config.query_timeout_ms

    async def _rest(self) -> None:
        """Wait after a failure, each time twice as long, or until the index is to be renewed."""
        self._backoff_s = min(2 * self._backoff_s or self._config.retry_ms / 1000, _LONGEST_BACKOFF_S)
        with trio.move_on_after(self._backoff_s) as self._at_work:
            if self._damage is None:
                await trio.sleep_forever()

    async def wait_past(self, seq: int) -> None:
        """Return once a position above `seq` is indexed, as soon as that can be.

        Raises:
            QuestionError: `search_unavailable`.
        """
        self._check()
        await self._head.wait_past(seq)
        while self.position <= seq:
            self._check()
            self._wanted_seq = max(self._wanted_seq, seq + 1)
            self._hurry.set()
            self._hurry = trio.Event()
            await self._moved.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    async def renew(self, reason: str) -> bool:
        """Make the index anew; return once the file that there was is gone, False when it cannot be deleted.

        Args:
            reason: What is wrong with it.
        """
        before = self._discards
        if not self._running:
            await self._discard()
        else:
            self._damage = reason
            self._at_work.cancel()
            with trio.move_on_after(_LONGEST_BACKOFF_S):
                while self._discards == before:
                    await self._moved.wait()
        return self._discards > before

    async def read(self, question: Callable[[apsw.Connection], T]) -> T:
        """Run a function that only reads the index, on a thread.

        Raises:
            QuestionError: `search_unavailable`, or `deadline`.
        """
        while True:
            self._check()
            if self._readers is not None:
                break
            await self._moved.wait()
        self._reading += 1
        try:
            return await self._readers.run(question)
        except _DAMAGED as error:
            self._damage = str(error)
            self._at_work.cancel()
            raise _unavailable(f"it is made anew: {error}") from None
        except apsw.Error as error:
            raise _unavailable(str(error)) from None
        finally:
            self._reading -= 1
            self._tell()

    def _check(self) -> None:
        if self.state == "off":
            raise QuestionError(
                "search_unavailable", "search is off in this daemon", "set search = true, and restart it"
            )
        if self.state == "failing":
            raise _unavailable(self.reason or "it is failing")

    async def _open(self) -> None:
        self._db = await trio.to_thread.run_sync(open_index, self.path, self._log_id, limiter=self._limiter)

    async def _turn(self) -> None:
        """Index what is there by the time that it is due; gently, while ingestion goes on."""
        await self._due()
        until = self._head.seq
        while True:
            began, seq = time.monotonic(), self._head.seq
            await self._step()
            if self.position >= until:
                break
            busy = self._inbox.queued_lines or self._head.seq > seq
            if busy and not self._is_wanted and self._head.seq - self.position < _PATIENCE_POSITIONS:
                with trio.move_on_after(_PAUSE_FACTOR * (time.monotonic() - began)):
                    await self._hurry.wait()

    @property
    def _is_wanted(self) -> bool:
        return self._wanted_seq > self.position

    async def _due(self) -> None:
        """Return when there is something to index and ingestion pauses, or somebody waits, or it is late."""
        if self.state == "ok":
            await self._head.wait_past(self.position)
        while self._held:
            await self._hurry.wait()
        with trio.move_on_after(_LONGEST_WAIT_S):
            while not self._is_wanted:
                seq = self._head.seq
                with trio.move_on_after(_QUIET_S):
                    await self._hurry.wait()
                    continue
                if self._head.seq == seq and not self._inbox.queued_lines:
                    return

    async def _step(self) -> None:
        """Index the next rows of the log, in one transaction."""
        db = self._db
        assert db is not None
        indexed = await trio.to_thread.run_sync(read_indexed, db, limiter=self._limiter)
        try:
            feed = await self._log.run(partial(read_feed, indexed=indexed))
        except apsw.Error as error:
            # Whatever is wrong there, this index is not to blame.
            raise OSError(f"the log cannot be read: {error}") from error
        self.position = await trio.to_thread.run_sync(_index, db, feed, indexed, limiter=self._limiter)
        if self._readers is None:
            # Not before it is known to be an index of this log.
            self._readers = Readers(self.path, _READER_LIMIT, self._config.query_timeout_ms)
        self._backoff_s = 0.0
        self._become("ok")

    def _become(self, state: SearchState, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    def _raise_damage(self) -> None:
        damage, self._damage = self._damage, None
        if damage is not None:
            raise UnusableError(damage)

    async def _close(self) -> None:
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.interrupt()
            while self._reading:
                await self._moved.wait()
            readers.close()
        db, self._db = self._db, None
        if db is not None:
            with suppress(apsw.Error):  # what it could not write is made again
                await trio.to_thread.run_sync(db.close, limiter=self._limiter)

    async def _discard(self) -> None:
        self.position = self._wanted_seq = 0
        with suppress(OSError):  # opening it says what is wrong, and is tried again
            await trio.to_thread.run_sync(discard_index, self.path, limiter=self._limiter)
            self._damage = None
            self._discards += 1
            self._tell()


def _index(db: apsw.Connection, feed: Feed, indexed: Indexed) -> int:
    """Carry out a step in one transaction, and return the position that the index has then."""
    if feed.foreign:
        raise UnusableError("it is of another log, or of one that has gone another way since")
    if any(taken.cause == "scrub" for taken in feed.taken):
        # What was written there before stays in the file until FTS5 happens to merge it away.
        raise UnusableError("text was scrubbed from the log")
    begin(db)
    try:
        reached = _forget(db, feed, indexed)
        if reached is None:
            reached = feed.reaches
            others = [
                line
                for seq, received, event in take_apart(db, feed.rows)
                if (line := _shown(seq, received, event)) is not None
            ]
            add_lines(db, others)
        save_indexed(db, reached)
        commit(db)
    except BaseException:
        rollback(db)
        raise
    if feed.taken:
        db.execute("pragma incremental_vacuum")
    return reached.position


def _forget(db: apsw.Connection, feed: Feed, indexed: Indexed) -> Indexed | None:
    """Take out what governance took; return how far the index is when there is more of that to do."""
    tombstone_id = indexed.tombstone_id
    for taken in feed.taken:
        if not forget_lines(db, taken.first_seq, taken.last_seq, taken.rows, _FORGET_LINES):
            return Indexed(indexed.log_id, indexed.position, indexed.row_seq, indexed.chain, tombstone_id)
        tombstone_id = taken.tombstone_id
    return None


def _shown(seq: int, received: int, line: bytes) -> LogLine | None:
    event = decode_stored(line)
    return None if event.execution_id is None else log_line(seq, received, event)


def _unavailable(reason: str) -> QuestionError:
    return QuestionError(
        "search_unavailable", f"the search index: {reason}", "`flightlog status` says how it is; try again"
    )
