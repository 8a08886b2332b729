"""The writer's thread: takes what is there from all sessions, commits it, says what became of it.

    session -> Inbox -> [thread: Transaction.settle ... COMMIT] -> source.settle(outcome) -> ack
                                                                -> on_commit -> head: tails wake

While a commit waits for the disk, the sessions read and decode the next one. Nothing is acked before COMMIT
has returned.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NoReturn, TypeVar

import apsw
import structlog
import trio

from flightlogd.append import Committed, Submission, Transaction
from flightlogd.company import Company
from flightlogd.config import Config
from flightlogd.errors import StorageFault
from flightlogd.inbox import Inbox
from flightlogd.store.database import set_limit, storage_fault
from flightlogd.store.keys import MERGE_KEYS

logger = structlog.get_logger(__name__)

T = TypeVar("T")

COMMIT_LIMIT_LINES: Final = 4000
"""Lines after which a transaction takes no more: this bounds how long an ack waits for others' lines."""

MERGE_ROWS: Final = 4096
"""Recent rows of the index above which they are merged: what a question looks through, about 0.3 ms."""

EXIT_STORAGE_UNKNOWN: Final = 74
"""Exit status after a failed fsync (EX_IOERR of sysexits.h): the supervisor starts us again, to recover."""


class Writer:
    """Runs transactions on a thread of its own and reports on trio's thread.

    Args:
        transaction: What settles submissions; the thread's alone once it runs.
        inbox: Where submissions come from.
        on_commit: Called on trio's thread after each commit, before the sources are told.
        on_fault: Called on trio's thread when storage begins to fail, and with None when it works again.
        on_wal_limit: Called on the writer's thread when readers keep the WAL from shrinking.
    """

    def __init__(
        self,
        transaction: Transaction,
        inbox: Inbox,
        *,
        on_commit: Callable[[Committed], None],
        on_fault: Callable[[StorageFault | None], None],
        on_wal_limit: Callable[[], None],
    ) -> None:
        self._transaction = transaction
        self._inbox = inbox
        self._on_commit = on_commit
        self._on_fault = on_fault
        self._on_wal_limit = on_wal_limit
        self._page_size = int(transaction.db.pragma("page_size"))
        self._wal_pages = 0
        self._checkpoint_at_pages = self._pages(transaction.config.checkpoint_bytes)
        self._new_config: Config | None = None
        self._nudge = threading.Event()
        self._giving_up = False
        self._token: trio.lowlevel.TrioToken | None = None
        self.phase = "starting"
        """What the thread does at this moment, for `status`."""
        transaction.db.set_wal_hook(self._note_wal)

    async def run(self) -> None:
        """Write until `give_up`. What is our own fault is raised here."""
        self._token = trio.lowlevel.current_trio_token()
        trio.lowlevel.add_instrument(self._inbox)
        # A commit under way is never abandoned: cancelling ends this only after `give_up`.
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._loop)

    def give_up(self) -> None:
        """End even while storage fails: what is not committed was not acked."""
        self._giving_up = True
        self._nudge.set()
        self._inbox.end()

    async def do(self, job: Callable[[apsw.Connection], T], *, soon: bool = False) -> T:
        """Run a function on the writer's thread and connection, after all that is queued before it.

        The function is whole: it begins and commits what it changes. What it raises is raised here.

        Args:
            job: The function.
            soon: It need not wait for what is queued before it.
        """
        done = trio.Event()
        results: list[T] = []
        errors: list[BaseException] = []

        def run_job() -> None:
            try:
                results.append(job(self._transaction.db))
            except BaseException as error:
                self._stop_if_unknown(error)
                errors.append(error)
            self._tell(done.set)

        (self._inbox.call_soon if soon else self._inbox.call)(run_job)
        await done.wait()
        if errors:
            raise errors[0]
        return results[0]

    def post(self, job: Callable[[], None]) -> None:
        """Have the writer's thread run a function as `do` does, and do not wait for it.

        What it raises ends the daemon.
        """
        self._inbox.call(job)

    def append(self, submission: Submission) -> None:
        """Commit a submission by itself, from a function that `do` or `post` runs.

        All that was queued before that function is committed and readable by it; nothing comes between.
        """
        self._settle([submission], queued=False)

    def configure(self, config: Config) -> None:
        """Take over limits of a reloaded configuration, before the next attempt to commit."""
        self._new_config = config
        self._nudge.set()

    def mended(self, projections: Iterable[str]) -> None:
        """Run these projections again: a rebuild has brought them up to date (in a job of this thread)."""
        self._transaction.projector.broken.difference_update(projections)

    def _take_over(self) -> None:
        config, self._new_config = self._new_config, None
        if config is None:
            return
        self._transaction.config = config
        self._checkpoint_at_pages = self._pages(config.checkpoint_bytes)
        set_limit(self._transaction.db, config.database_limit_bytes)

    def _loop(self) -> None:
        items = self._inbox.items
        company = Company()
        while not self._giving_up:
            self.phase = "idle"
            item = items.get()
            submissions: list[Submission] = []
            lines = 0
            in_vain = False
            while isinstance(item, Submission):
                submissions.append(item)
                lines += len(item.part.lines)
                if lines >= COMMIT_LIMIT_LINES:
                    item = _NOTHING
                    break
                patience_s = company.patience_s(submissions)
                try:
                    item = items.get(timeout=patience_s)
                except queue.Empty:
                    item = _NOTHING
                    in_vain = patience_s > 0
            if submissions:
                company.committed(submissions, in_vain=in_vain)
                self._settle(submissions)
            if item is None:
                break
            if item is not _NOTHING and not isinstance(item, Submission):
                self.phase = "job"
                item()
                self._tidy()  # it may have committed, too
        self.phase = "stopped"

    def _settle(self, submissions: list[Submission], *, queued: bool = True) -> None:
        """Commit the submissions, however long storage takes to allow it, and report."""
        faulted = False
        while True:
            self.phase = "commit"
            self._take_over()
            try:
                committed = self._transaction.settle(submissions)
                break
            except apsw.Error as error:
                fault = storage_fault(error) or self._die_of(error)
            if not faulted:
                faulted = True
                self._tell(partial(self._on_fault, fault))
            self.phase = f"waiting: {fault.state}"
            self._nudge.wait(self._transaction.config.retry_ms / 1000)
            self._nudge.clear()
            if self._giving_up:
                return
        if faulted:
            self._tell(partial(self._on_fault, None))
        self._tell(lambda: self._report(submissions, committed, queued=queued))
        self._tidy()

    def _tidy(self) -> None:
        """Keep the WAL and the tables of recent rows small."""
        full = self._wal_pages >= self._checkpoint_at_pages
        if full or self._transaction.unmerged_rows >= MERGE_ROWS:
            self._merge(self._transaction.merge_index)
        if self._transaction.unmerged_keys >= MERGE_KEYS:
            self._merge(self._transaction.merge_keys)
        if full:
            self._checkpoint()

    def _report(self, submissions: list[Submission], committed: Committed, *, queued: bool) -> None:
        self._on_commit(committed)
        for submission, outcome in zip(submissions, committed.outcomes, strict=True):
            if queued:
                self._inbox.release(submission)
            submission.source.settle(outcome)

    def _merge(self, merge: Callable[[], None]) -> None:
        """Move recent rows to their place, after acking; what fails is tried again next time."""
        self.phase = "merge"
        try:
            merge()
        except apsw.Error as error:
            if storage_fault(error) is None:
                self._die_of(error)

    def _checkpoint(self) -> None:
        """Copy the WAL into the database, so that the next commit begins it anew.

        A WAL that is reused in place commits three times faster than one that grows. Only this thread does
        it, after acking, and PASSIVE: readers are not in its way, and where they keep it from finishing it
        is tried again a little later. Above the limit long readers are interrupted.
        """
        self.phase = "checkpoint"
        config = self._transaction.config
        db = self._transaction.db
        try:
            pages, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if done < pages and pages >= self._pages(config.wal_limit_bytes):
                self._on_wal_limit()
                pages, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        except apsw.BusyError:
            pages, done = self._wal_pages, 0
        except apsw.Error as error:
            # The WAL still has everything; the next commit says what is wrong with the disk.
            if storage_fault(error) is None:
                self._die_of(error)
            pages, done = self._wal_pages, 0
        base = self._pages(config.checkpoint_bytes)
        self._checkpoint_at_pages = base if done >= pages else pages + base // 4

    def _pages(self, size_bytes: int) -> int:
        return max(1, size_bytes // self._page_size)

    def _note_wal(self, _db: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _die_of(self, error: apsw.Error) -> NoReturn:
        """Raise what is no fault to wait out."""
        self._stop_if_unknown(error)
        raise error

    def _stop_if_unknown(self, error: BaseException) -> None:
        """End the process at once after an error with an unknown outcome; recovery reads what is there."""
        if getattr(error, "extendedresult", 0) in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC):
            logger.critical("fsync failed, its outcome is unknown: stopping", error=str(error))
            os._exit(EXIT_STORAGE_UNKNOWN)

    def _tell(self, report: Callable[[], None]) -> None:
        assert self._token is not None
        try:
            self._token.run_sync_soon(report)
        except trio.RunFinishedError:
            logger.warning("the loop ended before a commit was reported")


def _NOTHING() -> None:  # noqa: N802  # a marker: no item was left over
    """Do nothing."""
