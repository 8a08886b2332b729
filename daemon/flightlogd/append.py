"""Append: one transaction settles what all sessions have, stores it and projects it.

Which lines are stored, which are refused and which are known is decided here, by the database and in order of
arrival. A transaction that fails is rolled back whole and can be tried again with the same submissions.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import apsw
from msgspec import Struct

from flightlog_schemas.codec import RefusalError
from flightlog_schemas.events import QUIET_TYPES, Event
from flightlog_schemas.wire.ingest import Duplicate, Refused
from flightlogd.batch import Batch, Run, Tally, cut_batches, tally
from flightlogd.clock import SteadyStamp
from flightlogd.config import Config
from flightlogd.peer import Peer
from flightlogd.project import Projector
from flightlogd.store import producers
from flightlogd.store.database import begin, commit, rollback
from flightlogd.store.eventlog import Head, append_batch, state_seq_of
from flightlogd.store.producers import Progress


class Source(Protocol):
    """A connection as the writer sees it."""

    producer: str
    peer: Peer

    def settle(self, outcome: "Outcome", /) -> None:
        """Take the outcome of a submission, on trio's thread, in the order of submission."""


class Submission(Struct, kw_only=True):
    """Consecutive lines of one source that want to be settled.

    Attributes:
        source: Whose.
        first_line: The producer's number of the first.
        lines: The bytes of each.
        events: What each holds, or its refusal.
        plain: True when all of them are simply stored.
        size_bytes: Memory that they take.
        missing_from: First of the lines before these that were never sent, if any.
        bye_lines: The producer's clean end, if it came with these.
    """

    source: Source
    first_line: int
    lines: list[bytes]
    events: list[Event | RefusalError]
    plain: bool
    size_bytes: int
    missing_from: int | None = None
    bye_lines: int | None = None


class Outcome(Struct):
    """What became of a submission: its lines are settled up to `lines`, at position `seq` of the log."""

    source: Source
    lines: int
    seq: int
    size_bytes: int
    replies: list[Refused | Duplicate]


class Committed(Struct):
    """What one transaction did."""

    head: Head
    batches: list[tuple[Batch, Mapping[str, Tally]]]
    outcomes: list[Outcome]


class Transaction:
    """Settles submissions on the writer's connection; one method call is one whole transaction.

    Args:
        db: The writer's connection.
        head: The end of the log.
        projector: Keeps the read models.
        stamp: When batches are received.
        config: Limits; may be replaced between calls.
    """

    def __init__(
        self, db: apsw.Connection, head: Head, projector: Projector, stamp: SteadyStamp, config: Config
    ) -> None:
        self.db = db
        self.head = head
        self.projector = projector
        self.config = config
        self._stamp = stamp

    def settle(self, submissions: Sequence[Submission]) -> Committed:
        """Store, index, project and commit the submissions.

        Raises:
            apsw.Error: the transaction failed and was rolled back; nothing of it is visible or will be.
        """
        received = self._stamp()
        broken_before = set(self.projector.broken)
        begin(self.db)
        try:
            settling = _Settling(self.db, self.head.seq + 1, received, self.config)
            outcomes = [settling.settle(submission) for submission in submissions]
            head = self.head
            stored: list[tuple[Batch, Mapping[str, Tally]]] = []
            for batch in cut_batches(settling.runs, head.seq + 1, received):
                tallies = tally(batch)
                head = append_batch(self.db, head, batch, tallies)
                stored.append((batch, tallies))
            self.projector.apply(self.db, stored)
            settling.save_progress()
            commit(self.db)
        except BaseException:
            rollback(self.db)
            self.projector.broken = broken_before
            raise
        self.head = head
        return Committed(head, stored, outcomes)


class _Settling:
    """Decides, line by line, what of one commit is stored; gives positions in order of arrival."""

    def __init__(self, db: apsw.Connection, first_seq: int, received: int, config: Config) -> None:
        self._db = db
        self._next_seq = first_seq
        self._received = received
        self._config = config
        self._progress: dict[str, Progress] = {}
        self._states: dict[str, int] | None = None
        self._refused = False
        self.runs: list[Run] = []

    def settle(self, submission: Submission) -> Outcome:
        source = submission.source
        count = len(submission.lines)
        if submission.missing_from is not None:
            self._gap(source, submission.missing_from, submission.first_line - 1, "missing")
        replies: list[Refused | Duplicate] = []
        if submission.plain:
            if count:
                run = self._run(source, submission.first_line)
                run.lines += submission.lines
                run.events += submission.events  # type: ignore[arg-type]  # plain: none is a refusal
                self._next_seq += count
        else:
            for offset, (line, event) in enumerate(zip(submission.lines, submission.events, strict=True)):
                reply = self._settle_line(source, submission.first_line + offset, line, event)
                if reply is not None:
                    replies.append(reply)
        last_line = submission.first_line + count - 1
        self._progress[source.producer] = Progress(
            source.producer, source.peer, last_line, self._next_seq - 1, submission.bye_lines
        )
        return Outcome(source, last_line, self._next_seq - 1, submission.size_bytes, replies)

    def save_progress(self) -> None:
        """Move the producers' lines on."""
        for progress in self._progress.values():
            producers.save_progress(self._db, progress, self._received)
        if self._refused:
            producers.trim_refused(self._db, self._config.refused_limit_rows)

    def _settle_line(
        self, source: Source, number: int, line: bytes, event: Event | RefusalError
    ) -> Refused | Duplicate | None:
        if isinstance(event, RefusalError):
            return self._refuse(source, number, line, event)
        if event.id is not None:
            known = producers.claim_key(self._db, source.peer.uid, event.id, self._next_seq, line)
            if known is not None:
                self._gap(source, number, number, "duplicate")
                seq, same = known
                return Duplicate(line=number, seq=seq, same=same)
        if event.expect_seq is not None:
            found = self._state_seq(event.execution_id)
            if found != event.expect_seq:
                if event.id is not None:
                    producers.release_key(self._db, source.peer.uid, event.id)
                reason = f"the execution's state_seq is {found}, not {event.expect_seq}"
                return self._refuse(source, number, line, RefusalError("conflict", reason))
        run = self._run(source, number)
        run.lines.append(line)
        run.events.append(event)
        if self._states is not None and event.execution_id is not None and type(event) not in QUIET_TYPES:
            self._states[event.execution_id] = self._next_seq
        self._next_seq += 1
        return None

    def _refuse(self, source: Source, number: int, line: bytes, refusal: RefusalError) -> Refused:
        content = line[: self._config.refused_line_limit_bytes]
        producers.record_refused(
            self._db, source.producer, source.peer, number, refusal, content, self._received
        )
        self._gap(source, number, number, "refused")
        self._refused = True
        return Refused(line=number, code=refusal.code, reason=refusal.reason)

    def _gap(self, source: Source, first_line: int, last_line: int, cause: str) -> None:
        producers.record_gap(self._db, source.producer, first_line, last_line, cause, self._received)

    def _run(self, source: Source, first_line: int) -> Run:
        """Return the run that these lines continue, or a new one."""
        if self.runs:
            last = self.runs[-1]
            if last.producer == source.producer and last.first_line + len(last.lines) == first_line:
                return last
        run = Run(source.producer, source.peer.uid, source.peer.pid, first_line, [], [])
        self.runs.append(run)
        return run

    def _state_seq(self, execution_id: str | None) -> int:
        """Return an execution's state_seq, what this transaction has of it included."""
        if execution_id is None:
            return 0
        if self._states is None:
            self._states = {}
            seq = self._next_seq - sum(len(run.lines) for run in self.runs)
            for run in self.runs:
                for event in run.events:
                    if event.execution_id is not None and type(event) not in QUIET_TYPES:
                        self._states[event.execution_id] = seq
                    seq += 1
        found = self._states.get(execution_id)
        return state_seq_of(self._db, execution_id) if found is None else found
