"""The writer's thread: takes what is there from all sessions, commits it, says what became of it.

    session -> Inbox -> [thread: Transaction.settle ... COMMIT] -> source.settle(outcome) -> ack
                                                                -> on_commit -> head: tails wake

While a commit waits for the disk, the sessions read and decode the next one. Nothing is acked before COMMIT
has returned.

While storage fails commits wait, and jobs that come ahead do not: governance can make room meanwhile, and a
producer can say hello.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NoReturn, TypeVar

import apsw
import structlog
import trio

from flightlogd.append import Committed, Transaction
from flightlogd.batch import Batch
from flightlogd.company import NOTHING, Gathering
from flightlogd.config import Config
from flightlogd.errors import StorageFault
from flightlogd.head import Head
from flightlogd.inbox import Inbox
from flightlogd.lone import LoneLines
from flightlogd.masking import Masker
from flightlogd.store.database import cut_wal, is_outcome_unknown, restart_wal, set_limit, storage_fault
from flightlogd.store.keys import MERGE_KEYS
from flightlogd.store.reserve import Reserve
from flightlogd.submission import Submission

logger = structlog.get_logger(__name__)

T = TypeVar("T")

MERGE_ROWS: Final = 4096
"""Recent rows of the index above which they are merged: what a question looks through, about 0.3 ms."""

EXIT_STORAGE_UNKNOWN: Final = 74
"""Exit status after a failed fsync (EX_IOERR of sysexits.h): the supervisor starts us again, to recover."""


class Writer:
    """Runs transactions on a thread of its own and reports on trio's thread.

    Args:
        transaction: What settles submissions; the thread's alone once it runs.
        inbox: Where submissions come from.
        reserve: Space that is given up when the disk is full.
        masker: Masks what is secret in lines that the thread reads itself.
        head: The end of the log for readers.
        on_commit: Called on trio's thread after each commit of more than log lines, before sources are told.
        on_fault: Called on trio's thread when storage begins to fail, and with None when it works again.
        on_wal_limit: Called on the writer's thread when readers keep the WAL from shrinking.
    """

    def __init__(
        self,
        transaction: Transaction,
        inbox: Inbox,
        reserve: Reserve,
        masker: Masker,
        head: Head,
        *,
        on_commit: Callable[[Sequence[Batch]], None],
        on_fault: Callable[[StorageFault | None], None],
        on_wal_limit: Callable[[], None],
    ) -> None:
        self._transaction = transaction
        self.projector = transaction.projector
        """Keeps the read models; for jobs of this thread."""
        self._inbox = inbox
        self._reserve = reserve
        self._reserve_given_up = False
        self._head = head
        self._on_commit = on_commit
        self._on_fault = on_fault
        self._on_wal_limit = on_wal_limit
        self.lone = LoneLines(masker, self._tell, inbox.wake_fd)
        """Connections that the thread reads itself."""
        self._page_size = int(transaction.db.pragma("page_size"))
        self._wal_pages = 0
        self._checkpoint_at_pages = self._pages(transaction.config.checkpoint_bytes)
        self._tidy_again_at = 0.0
        self._new_config: Config | None = None
        self._nudge = threading.Event()
        self._giving_up = False
        self._token: trio.lowlevel.TrioToken | None = None
        self.phase = "starting"
        """What the thread does at this moment, for `status`."""
        self.tidy_fault: StorageFault | None = None
        """What keeps it from copying the WAL into the database, or the index's recent rows to their place."""
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

    async def do(self, job: Callable[[apsw.Connection], T], *, ahead: bool = False) -> T:
        """Run a function on the writer's thread and connection; what it raises is raised here.

        Args:
            job: The function: it begins and commits what it changes.
            ahead: Before what is queued, also while storage fails; it must append nothing. Else it runs
                after all that is queued before it.
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

        if ahead:
            self._inbox.call_ahead(run_job)
            self._nudge.set()
        else:
            self._inbox.call(run_job)
        await done.wait()
        if errors:
            raise errors[0]
        return results[0]

    def post(self, job: Callable[[], None]) -> None:
        """Have the writer's thread run a function, and do not wait for it; what it raises ends the daemon."""
        self._inbox.call(job)

    def append(self, submission: Submission) -> None:
        """Commit a submission by itself, from a function that `do` or `post` runs; nothing comes between."""
        self._settle([submission], queued=False)

    def forget(self, producer: str) -> None:
        """Forget a producer that cannot come back, with one of the next commits."""
        self._transaction.departed.append(producer)

    def configure(self, config: Config) -> None:
        """Take over limits of a reloaded configuration, before the next attempt to commit."""
        self._new_config = config
        self._nudge.set()

    def _take_over(self) -> None:
        config, self._new_config = self._new_config, None
        if config is None:
            return
        self._transaction.config = config
        self._checkpoint_at_pages = self._pages(config.checkpoint_bytes)
        set_limit(self._transaction.db, config.database_limit_bytes)

    def _loop(self) -> None:
        items = self._inbox.items
        gathering = Gathering(self._inbox, self.lone)
        if not self._reserve.make():
            logger.warning("no room for what is to be kept aside", reserve_bytes=self._reserve.wanted_bytes)
            self._reserve_given_up = self._reserve.free_bytes < self._reserve.wanted_bytes
        while not self._giving_up:
            self.phase = "idle"
            if items.empty() and not self.lone.wait(None if self.tidy_fault is None else self._retry_s):
                self._tidy()
                continue
            if self._run_ahead():
                self._tidy()
            submissions, item = gathering.gather()
            if submissions:
                self._settle(submissions)
            if item is None:
                break
            if item is not NOTHING:
                self.phase = "job"
                item()
                self._tidy()  # it may have committed, too
            # What came ahead while submissions were gathered: nothing else may come to remind of it.
            if self._run_ahead():
                self._tidy()
        self.phase = "stopped"

    def _run_ahead(self, *, thrifty: bool = False) -> bool:
        """Run the jobs that come ahead; False where there was none.

        Args:
            thrifty: Give the WAL's space back before each. Who asked for it waits then and reads nothing;
                after it, who asked may read again at once, and be in the way.
        """
        ran = False
        while (job := self._inbox.next_ahead()) is not None:
            if thrifty:
                self._cut_wal()
            self.phase = "job"
            job()
            ran = True
        return ran

    def _settle(self, submissions: list[Submission], *, queued: bool = True) -> None:
        """Commit the submissions, however long storage takes to allow it, and report."""
        known: StorageFault | None = None
        while True:
            self.phase = "commit"
            self._take_over()
            fault = self._commit_fault()
            if fault is None:
                try:
                    committed = self._transaction.settle(submissions)
                    break
                except apsw.Error as error:
                    fault = storage_fault(error, self._transaction.db) or self._die_of(error)
            if fault.state == "storage_full":
                fault = self._make_room(fault)
            if known is None or known.told != fault.told:
                known = fault
                self._tell(partial(self._on_fault, fault))
            self._wait_out(fault)
            if self._giving_up:
                return
        if known is not None:
            self._tell(partial(self._on_fault, None))
        # First of all: who is acked may ask at once.
        self._head.advance(committed.batches)
        others = False
        for submission, outcome in zip(submissions, committed.outcomes, strict=True):
            if submission.shares is not None:
                self.lone.ack(submission, outcome)
            else:
                others = True
        if others or self._head.awaited or any(batch.facts.singles for batch in committed.batches):
            self._tell(lambda: self._report(submissions, committed, queued=queued))
        self._tidy()

    def _commit_fault(self) -> StorageFault | None:
        """Return why nothing more is to be committed, although it could be: the WAL would have no bound."""
        limit = self._pages(self._transaction.config.wal_limit_bytes)
        return self.tidy_fault if self._wal_pages >= limit else None

    def _make_room(self, fault: StorageFault) -> StorageFault:
        """Give up what is kept aside, for governance to work with; return what is to be said."""
        if self._reserve.give_up(by_quota=fault.by_quota):
            self._reserve_given_up = True
            logger.warning("the disk is full: what was kept aside is given up, so that governance can work")
        self._cut_wal()
        if not self._reserve_given_up:
            return fault
        needed = 2 * self._reserve.wanted_bytes
        hint = f"free disk space, by `flightlogd retention`, too: it goes on when {needed:,} bytes are free"
        return StorageFault("storage_full", fault.reason, hint)

    def _wait_out(self, fault: StorageFault) -> None:
        """Return when it is time to try again; meanwhile do what comes ahead.

        What was given up is for governance. So after that it is not tried again before there is room to keep
        as much aside anew.
        """
        while not self._giving_up:
            deadline = time.monotonic() + self._retry_s
            while (left_s := deadline - time.monotonic()) > 0 and not self._giving_up:
                self.phase = f"waiting: {fault.state}"
                self._nudge.wait(left_s)
                self._nudge.clear()
                self._run_ahead(thrifty=True)
                if self._new_config is not None:
                    self._take_over()
                    break
            self._tidy()
            if not self._reserve_given_up:
                return
            self._cut_wal()
            if self._reserve.make():
                self._reserve_given_up = False
                return

    def _cut_wal(self) -> None:
        """Copy the WAL into the database and give its space back, where no reader is in the way."""
        self.phase = "checkpoint"
        try:
            cut_wal(self._transaction.db)
        except apsw.Error as error:
            if storage_fault(error, self._transaction.db) is None:
                self._die_of(error)

    @property
    def _retry_s(self) -> float:
        return self._transaction.config.retry_ms / 1000

    def _tidy(self) -> None:
        """Keep the WAL and the tables of recent rows small; what fails is tried again after a pause."""
        before = self.tidy_fault
        if before is not None and time.monotonic() < self._tidy_again_at:
            return
        again = before is not None
        full = again or self._wal_pages >= self._checkpoint_at_pages
        faults = []
        if full or self._transaction.unmerged_rows >= MERGE_ROWS:
            faults.append(self._merge(self._transaction.merge_index))
        if again or self._transaction.unmerged_keys >= MERGE_KEYS:
            faults.append(self._merge(self._transaction.merge_keys))
        if full:
            faults.append(self._checkpoint())
        self.tidy_fault = fault = next((fault for fault in faults if fault is not None), None)
        if fault is not None:
            self._tidy_again_at = time.monotonic() + self._retry_s
            if before is None or before.told != fault.told:
                logger.error("cannot tidy up", state=fault.state, reason=fault.reason, hint=fault.hint)
        elif before is not None:
            logger.info("tidied up after a fault", reason=before.reason)

    def _report(self, submissions: list[Submission], committed: Committed, *, queued: bool) -> None:
        self._on_commit(committed.batches)
        for submission, outcome in zip(submissions, committed.outcomes, strict=True):
            if queued and submission.shares is None:
                self._inbox.release(submission)
            submission.source.settle(outcome)
        self._head.wake()  # who waits for an ack comes first

    def _merge(self, merge: Callable[[], None]) -> StorageFault | None:
        """Move recent rows to their place, after acking."""
        self.phase = "merge"
        try:
            merge()
        except apsw.Error as error:
            return storage_fault(error, self._transaction.db) or self._die_of(error)
        return None

    def _checkpoint(self) -> StorageFault | None:
        """Copy the WAL into the database, so that the next commit begins it anew.

        A WAL that is reused in place commits three times faster than one that grows. Only this thread does
        it, after acking, and PASSIVE: readers are not in its way, and where they keep it from finishing it
        is tried again a little later. Above the limit long readers are interrupted.
        """
        self.phase = "checkpoint"
        config = self._transaction.config
        db = self._transaction.db
        fault = None
        try:
            pages, done = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if done < pages and pages >= self._pages(config.wal_limit_bytes):
                self._on_wal_limit()
                pages, done = restart_wal(db)
        except apsw.BusyError:
            pages, done = self._wal_pages, 0
        except apsw.Error as error:
            # The WAL still has everything, and commits go on up to its limit.
            fault = storage_fault(error, self._transaction.db) or self._die_of(error)
            pages, done = self._wal_pages, 0
        self._reserve.make()  # where there was no room before
        base = self._pages(config.checkpoint_bytes)
        self._checkpoint_at_pages = base if done >= pages else pages + base // 4
        return fault

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
        if is_outcome_unknown(error):
            logger.critical("fsync failed, its outcome is unknown: stopping", error=str(error))
            os._exit(EXIT_STORAGE_UNKNOWN)

    def _tell(self, report: Callable[[], None]) -> None:
        assert self._token is not None
        try:
            self._token.run_sync_soon(report)
        except trio.RunFinishedError:
            logger.warning("the loop ended before a commit was reported")
