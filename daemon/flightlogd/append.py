"""Append: one transaction settles what all sessions have, stores it and projects it.

Which lines are stored, which are refused and which are known is decided here, by the database and in order of
arrival. A transaction that fails is rolled back whole and can be tried again with the same submissions.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import QUIET_TYPES, Event
from flightlog_schemas.wire.ingest import Duplicate, Refused
from flightlogd.batch import Batch, OriginSpan, Place, Run, Sealed, Span, make_batches
from flightlogd.clock import SteadyStamp
from flightlogd.config import Config
from flightlogd.decode import Mixed, Plain
from flightlogd.elsewhere import is_elsewhere, is_nameless, mark_event, mark_here
from flightlogd.facts import Facts, facts_of
from flightlogd.project import Projector
from flightlogd.recorded import DAEMON_PRODUCER
from flightlogd.store import producers
from flightlogd.store.damage import DamagedTableError
from flightlogd.store.database import begin, commit, rollback
from flightlogd.store.eventlog import (
    Head,
    append_batches,
    last_line_at,
    merge_index,
    state_seq_of,
    unmerged_rows,
)
from flightlogd.store.keys import Keys, merge_keys, unmerged_keys
from flightlogd.store.origins import Arrived, save_arrived
from flightlogd.store.producers import Progress
from flightlogd.submission import Outcome, Share, Source, Submission

SHED: Final = "shed"
"""The code of log lines that a rule leaves out while their user is over a rate."""

FORGET_LIMIT: Final = 1000
"""Producers that one commit forgets: some 20 ms."""

_DAEMONS_KEYS: Final = -1
"""No user's id."""


class Committed(Struct):
    """What one transaction did."""

    head: Head
    batches: list[Batch]
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
        self.unmerged_rows = unmerged_rows(db)
        """Rows of the index that `merge_index` is to move."""
        self.unmerged_keys = unmerged_keys(db)
        """Keys that `merge_keys` is to move."""
        self.departed = deque(producers.nameless(db))
        """Producers without a name that have gone, to be forgotten by the commits that come."""
        self._stamp = stamp

    def settle(self, submissions: Sequence[Submission]) -> Committed:
        """Store, index, project and commit the submissions.

        Raises:
            apsw.Error: the transaction failed and was rolled back; nothing of it is visible or will be.
        """
        while True:
            try:
                return self._settle(submissions)
            except DamagedTableError as error:
                self.projector.stop(error)

    def _settle(self, submissions: Sequence[Submission]) -> Committed:
        received = self._stamp()
        broken_before, leaving_before = set(self.projector.broken), set(self.projector.leaving)
        begin(self.db)
        try:
            settling = _Settling(self.db, self.head.seq + 1, received, self.config)
            outcomes = [settling.settle(submission) for submission in submissions]
            stored = make_batches(settling.runs, self.head.seq + 1, received)
            head = append_batches(self.db, self.head, stored) if stored else self.head
            self.projector.apply(self.db, stored)
            settling.save_progress()
            departed = [self.departed[index] for index in range(min(len(self.departed), FORGET_LIMIT))]
            producers.forget_nameless(self.db, departed)
            commit(self.db)
        except BaseException:
            rollback(self.db)
            self.projector.broken = broken_before
            self.projector.leaving.update(leaving_before)
            raise
        for _ in departed:
            self.departed.popleft()
        self.head = head
        self.unmerged_rows += sum(len(batch.facts.tallies) for batch in stored)
        self.unmerged_keys += settling.taken_keys
        return Committed(head, stored, outcomes)

    def merge_index(self) -> None:
        """Move the index's recent rows to their place.

        Raises:
            apsw.Error: they are where they were; it can be tried again.
        """
        merge_index(self.db)
        self.unmerged_rows = 0

    def merge_keys(self) -> None:
        """Move recent keys to their place.

        Raises:
            apsw.Error: as `merge_index`.
        """
        merge_keys(self.db)
        self.unmerged_keys = 0


class _Settling:
    """Decides, line by line, what of one commit is stored; gives positions in order of arrival."""

    def __init__(self, db: apsw.Connection, first_seq: int, received: int, config: Config) -> None:
        self._db = db
        self._next_seq = first_seq
        self._received = received
        self._config = config
        self._progress: dict[str, Progress] = {}
        self._states: dict[str, int] = {}
        self._arrived: dict[str, Arrived] = {}
        self._refused = False
        self.taken_keys = 0
        self.runs: list[Run] = []

    def settle(self, submission: Submission) -> Outcome:
        if submission.origin is not None:
            return self._settle_repeated(submission, submission.origin)
        if submission.shares is not None:
            return self._settle_shared(submission, submission.shares)
        source, part = submission.source, submission.part
        if submission.missing_from is not None:
            self._gap(source, submission.missing_from, submission.first_line - 1, "missing")
        replies: list[Refused | Duplicate] = []
        if isinstance(part, Mixed):
            replies = self._settle_mixed(source, submission.first_line, part)
        elif part.lines:
            self._store(source, submission.first_line, part.lines, part.facts, part.sealed)
        last_line = submission.first_line + len(part.lines) - 1
        self._progress[source.producer] = Progress(
            source.producer, source.peer, last_line, self._next_seq - 1, submission.bye_lines
        )
        return Outcome(source, last_line, self._next_seq - 1, part.size_bytes, replies)

    def _settle_shared(self, submission: Submission, shares: list[Share]) -> Outcome:
        part = submission.part
        assert isinstance(part, Plain)
        spans: list[Span] = []
        index, seq = 0, self._next_seq - 1
        for share in shares:
            source, count = share.source, share.count
            peer = source.peer
            spans.append(Span(index, source.producer, share.first_line, count, peer.uid, peer.pid))
            index += count
            last_line = share.first_line + count - 1
            self._progress[source.producer] = Progress(source.producer, peer, last_line, seq + index)
        self._add(Run(spans, part.lines, part.facts, part.sealed))
        return Outcome(submission.source, index, self._next_seq - 1, part.size_bytes, [])

    def _settle_repeated(self, submission: Submission, origin: Place) -> Outcome:
        """Store what of another log's lines is not here yet.

        They were accepted there: what they expected no longer matters, and no key keeps them out. A line is
        known by its number, also where numbers before it are still missing: these may come by a later import.
        """
        source, part, first_line = submission.source, submission.part, submission.first_line
        last_line = first_line + len(part.lines) - 1
        before = self._progress.get(source.producer)
        settled = before.line if before is not None else producers.settled_line(self._db, source.producer)
        if last_line > settled and is_nameless(source.producer):
            # It comes home, and may be forgotten: the log itself tells what it has of it.
            held = last_line_at(self._db, source.producer, origin.seq, origin.seq + last_line - first_line)
            settled = max(settled, held)
        fresh = producers.fill_gaps(self._db, source.producer, first_line, min(last_line, settled))
        if last_line > settled:
            fresh.append((max(first_line, settled + 1), last_line))
        if first_line > settled + 1:
            self._gap(source, settled + 1, first_line - 1, "missing")
        replies: list[Refused | Duplicate] = []
        for first, last in fresh:
            here = slice(first - first_line, last - first_line + 1)
            place = origin.after(first - first_line)
            if isinstance(part, Plain) and last - first == last_line - first_line:
                self._store(source, first, part.lines, part.facts, part.sealed, place)
            else:
                replies += self._store_repeated(source, first, part, here, place)
        self._progress[source.producer] = Progress(
            source.producer, source.peer, max(last_line, settled), self._next_seq - 1
        )
        known = len(part.lines) - sum(last - first + 1 for first, last in fresh)
        return Outcome(source, last_line, self._next_seq - 1, part.size_bytes, replies, known)

    def _store_repeated(
        self, source: Source, first_line: int, part: Plain | Mixed, here: slice, origin: Place
    ) -> list[Refused | Duplicate]:
        """Store some lines of a part, less those that are none.

        What is imported may be told here again by who told it there, so its keys are taken where they are
        free. What a relay tells goes on elsewhere: a user of that number here is somebody else.
        """
        lines = part.lines[here]
        if isinstance(part, Mixed):
            events = part.events[here]
        else:
            mark = mark_here(source.producer)
            events = [mark_event(decode_line(line), mark) for line in lines]
        taken = () if origin.relayed else events
        ids = [event.id for event in taken if isinstance(event, Event) and event.id is not None]
        keys = Keys(self._db, source.peer.uid, ids)
        replies: list[Refused | Duplicate] = []
        kept: list[tuple[bytes, Event]] = []

        def store(stop: int) -> None:
            if kept:
                first = stop - len(kept)
                stored = [line for line, _ in kept]
                facts = facts_of(event for _, event in kept)
                self._store(source, first_line + first, stored, facts, None, origin.after(first))
                kept.clear()

        for index, (line, event) in enumerate(zip(lines, events, strict=True)):
            if isinstance(event, RefusalError):
                store(index)
                replies.append(self._refuse(source, first_line + index, line, event))
                continue
            if event.id is not None and not origin.relayed:
                keys.take(event.id, self._next_seq + len(kept), line)
            kept.append((line, event))
        store(len(lines))
        keys.save()
        return replies

    def save_progress(self) -> None:
        """Move the producers' lines on."""
        producers.save_progress(self._db, self._progress.values(), self._received)
        save_arrived(self._db, self._arrived.values(), self._received)
        if self._refused:
            producers.trim_refused(self._db, self._config.refused_limit_rows)

    def _settle_mixed(self, source: Source, first_line: int, part: Mixed) -> list[Refused | Duplicate]:
        """Decide line by line; what is stored goes in runs between what is not."""
        keys = Keys(
            self._db,
            _keys_of(source),
            [event.id for event in part.events if isinstance(event, Event) and event.id is not None],
        )
        replies: list[Refused | Duplicate] = []
        lines: list[bytes] = []
        events: list[Event] = []

        def store(next_line: int) -> None:
            if lines:
                first = next_line - len(lines)
                self._store(source, first, list(lines), facts_of(events), None)
                lines.clear()
                events.clear()

        for number, (line, event) in enumerate(zip(part.lines, part.events, strict=True), first_line):
            if isinstance(event, Event) and event.expect_seq is not None:
                store(number)  # what came before may be what it expects
            reply = self._decide(source, keys, number, line, event, self._next_seq + len(lines))
            if reply is None:
                assert isinstance(event, Event)
                lines.append(line)
                events.append(event)
            else:
                store(number)
                replies.append(reply)
        store(first_line + len(part.lines))
        self.taken_keys += keys.save()
        return replies

    def _decide(
        self, source: Source, keys: Keys, number: int, line: bytes, event: Event | RefusalError, seq: int
    ) -> Refused | Duplicate | None:
        """Return why a line is not stored, or None: it goes to `seq`."""
        if isinstance(event, RefusalError):
            return self._refuse(source, number, line, event)
        if event.id is not None:
            known = keys.take(event.id, seq, line)
            if known is not None:
                self._gap(source, number, number, "duplicate")
                known_seq, same = known
                return Duplicate(line=number, seq=known_seq, same=same)
        if event.expect_seq is not None:
            found = self._state_seq(event.execution_id)
            if found != event.expect_seq:
                if event.id is not None:
                    keys.release(event.id)
                reason = f"the execution's state_seq is {found}, not {event.expect_seq}"
                return self._refuse(source, number, line, RefusalError("conflict", reason))
        return None

    def _store(
        self,
        source: Source,
        first_line: int,
        lines: list[bytes],
        facts: Facts,
        sealed: Sealed | None,
        origin: Place | None = None,
    ) -> None:
        if origin is not None and is_elsewhere(source.producer):
            self._arrive(origin.after(len(lines) - 1), len(lines))
        peer = source.peer
        span = 0, source.producer, first_line, len(lines), peer.uid, peer.pid
        self._add(Run([Span(*span) if origin is None else OriginSpan(*span, origin)], lines, facts, sealed))

    def _add(self, run: Run) -> None:
        for index, event in run.facts.singles:
            if event.execution_id is not None and type(event) not in QUIET_TYPES:
                self._states[event.execution_id] = self._next_seq + index
        self.runs.append(run)
        self._next_seq += len(run.lines)

    def _arrive(self, last: Place, count: int) -> None:
        known = self._arrived.get(last.log_id)
        if known is None:
            self._arrived[last.log_id] = Arrived(last, count, last.seq, last.received)
            return
        known.events += count
        known.seq = max(known.seq, last.seq)
        known.first_at = min(known.first_at, last.received)
        if last.received >= known.place.received:
            known.place = last

    def _refuse(self, source: Source, number: int, line: bytes, refusal: RefusalError) -> Refused:
        self._gap(source, number, number, "refused")
        if refusal.code != SHED:  # of these there are many, and what they said is not kept on purpose
            content = line[: self._config.refused_line_limit_bytes]
            producers.record_refused(
                self._db, source.producer, source.peer, number, refusal, content, self._received
            )
            self._refused = True
        return Refused(line=number, code=refusal.code, reason=refusal.reason)

    def _gap(self, source: Source, first_line: int, last_line: int, cause: str) -> None:
        producers.record_gap(self._db, source.producer, first_line, last_line, cause, self._received)

    def _state_seq(self, execution_id: str | None) -> int:
        """Return an execution's state_seq, what this transaction has of it included."""
        if execution_id is None:
            return 0
        found = self._states.get(execution_id)
        return state_seq_of(self._db, execution_id) if found is None else found


def _keys_of(source: Source) -> int:
    """Return whose keys a source's events have: the user's, and the daemon's apart from all users'.

    Where a user runs a daemon of their own, both have one uid: nobody's key may keep a reaction from being
    stored.
    """
    return _DAEMONS_KEYS if source.producer == DAEMON_PRODUCER else source.peer.uid
