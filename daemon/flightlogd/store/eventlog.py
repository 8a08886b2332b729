"""Batches in and out: the only SQL on `event_batch` and its index.

The index says which batches hold an execution. It is two tables: `execution_batch` in the order in which it
is asked, by execution, and `execution_batch_recent` in the order in which it grows, by position. New rows go
to the second; `merge_index` moves them to the first many at a time, which touches each page once and not for
every commit (measured: half of what a commit of many executions writes).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas.bulk import decode_mentions
from flightlog_schemas.codec import decode_stored
from flightlog_schemas.events import QUIET_TYPES, Event
from flightlog_schemas.limits import INT64_MAX
from flightlogd.batch import Batch, Span, decode_spans, encode_spans
from flightlogd.elsewhere import GIVEN_PREFIX, mark_event, mark_facts, mark_here
from flightlogd.facts import Facts, note, tally_logs
from flightlogd.lines import GONE, line_at, nth_line, split_lines, unpack_offsets
from flightlogd.seal import extend_chain
from flightlogd.store.damage import UNREADABLE, damaged_range, naming
from flightlogd.store.database import begin, commit, rollback
from flightlogd.store.packed import LINES
from flightlogd.store.rows import insert_rows

INDEX_COLUMNS: Final = "execution_id, first_seq, count, state_count, levels, min_time, max_time, offsets"
"""Of both tables of the index."""


class Head(Struct):
    """The end of the log."""

    log_id: str
    seq: int
    chain: bytes
    received: int

    @property
    def noted(self) -> str:
        """As the daemon's log has it and `flightlogd verify --head` takes it."""
        return f"{self.seq}:{self.chain.hex()}"


def read_head(db: apsw.Connection) -> Head:
    """Return the end of the log as it is stored."""
    [row] = db.execute("select log_id, seq, chain, received from log_head")
    return Head(*row)


def append_batches(db: apsw.Connection, head: Head, batches: Sequence[Batch]) -> Head:
    """Store consecutive batches with their index and return the new end of the log.

    Args:
        db: The writer's connection, in its transaction.
        head: The end so far; the first batch begins right after it.
        batches: One or more, their lines sealed.
    """
    seq, chain = head.seq, head.chain
    rows: list[tuple[object, ...]] = []
    index: list[tuple[object, ...]] = []
    size_bytes = 0
    for batch in batches:
        assert batch.first_seq == seq + 1, (batch.first_seq, seq)
        assert batch.sealed is not None, batch.first_seq
        spans = encode_spans(batch.spans)
        seq, received, sealed = batch.last_seq, batch.received, batch.sealed
        chain = extend_chain(
            chain,
            first_seq=batch.first_seq,
            last_seq=seq,
            received=received,
            spans=spans,
            digest=sealed.digest,
        )
        rows.append((batch.first_seq, seq, received, spans, sealed.digest, chain, 0, sealed.blob))
        size_bytes += len(sealed.blob)
        index += [
            (
                batch.first_seq + entry.indexes[0],
                execution_id,
                batch.first_seq,
                len(entry.indexes),
                entry.state_count,
                entry.level_mask,
                *entry.bounds(received),
                entry.offsets,
            )
            for execution_id, entry in batch.facts.tallies.items()
        ]
    insert_rows(db, "event_batch", rows)
    insert_rows(db, "execution_batch_recent", index)
    db.execute(
        "update log_head set seq = ?1, chain = ?2, received = ?3,"
        " hot_events = hot_events + ?1 - seq, hot_bytes = hot_bytes + ?4",
        (seq, chain, received, size_bytes),
    )
    return Head(head.log_id, seq, chain, received)


def unmerged_rows(db: apsw.Connection) -> int:
    """Return how many rows of the index wait to be merged."""
    return int(db.execute("select count(*) from execution_batch_recent").get)


def merge_index(db: apsw.Connection) -> None:
    """Move the recent rows of the index to their place, in a transaction of its own.

    Raises:
        apsw.Error: it was rolled back; the rows are where they were.
    """
    begin(db)
    try:
        db.execute(
            f"insert into execution_batch select {INDEX_COLUMNS} from execution_batch_recent"
            " order by execution_id, first_seq"
        )
        db.execute("delete from execution_batch_recent")
        commit(db)
    except BaseException:
        rollback(db)
        raise


def read_batches(db: apsw.Connection, after: int, until: int) -> Iterator[Batch]:
    """Yield the batches that hold positions in (after, until], whole, oldest first.

    Raises:
        DamagedRangeError: some of them cannot be read.
    """
    try:
        start = db.execute("select max(first_seq) from event_batch where first_seq <= ?", (after + 1,)).get
    except UNREADABLE as error:
        raise damaged_range(db, after, error) from error
    reached = (start or 1) - 1
    rows = None
    while True:
        try:
            # Both read a row.
            rows = rows or db.execute(
                f"select first_seq, last_seq, received, spans, {LINES} from event_batch"
                " where first_seq >= ? and first_seq <= ? order by first_seq",
                (start or 0, until),
            )
            row = next(rows, None)
        except UNREADABLE as error:
            raise damaged_range(db, reached, error) from error
        if row is None:
            return
        first_seq, reached, received, spans, lines = row
        with naming(first_seq, reached):
            found = split_batch(first_seq, received, spans, lines)
        if found.last_seq > after:
            yield found


def received_after(db: apsw.Connection, seq: int) -> int | None:
    """Return when the first line after a position was received; None where there is none."""
    found = db.execute(
        "select received from event_batch"
        " where first_seq >= (select coalesce(max(first_seq), 0) from event_batch where first_seq <= ?1)"
        " and last_seq >= ?1 order by first_seq limit 1",
        (seq + 1,),
    ).get
    return None if found is None else int(found)


def read_line(db: apsw.Connection, seq: int) -> tuple[int, Span, int, bytes] | None:
    """Return one line of the log: when it was received, its span, its index in the batch, its bytes.

    None where it is gone.

    Raises:
        DamagedRangeError: it cannot be read.
    """
    with naming(seq, seq):
        row = db.execute(
            f"select first_seq, last_seq, received, spans, {LINES} from event_batch where first_seq <= ?"
            " order by first_seq desc limit 1",
            (seq,),
        ).fetchone()
    if row is None or row[1] < seq:
        return None
    first_seq, last_seq, received, spans, blob = row
    index = seq - first_seq
    line = nth_line(blob, index, last_seq - first_seq + 1)
    if line == GONE:
        return None
    span = next(span for span in reversed(decode_spans(spans)) if span.index <= index)
    return received, span, index, line


def last_line_at(db: apsw.Connection, producer: str, first_seq: int, last_seq: int) -> int:
    """Return the last line of a producer in the batches of a range of positions, 0 where none is."""
    rows = db.execute(
        "select spans from event_batch where last_seq >= ?1 and first_seq <= ?2"
        " and first_seq >= (select coalesce(max(first_seq), 0) from event_batch where first_seq <= ?1)",
        (first_seq, last_seq),
    )
    spans = (span for (text,) in rows for span in decode_spans(text))
    return max((span.first_line + span.count - 1 for span in spans if span.producer == producer), default=0)


def first_available(db: apsw.Connection, after: int) -> int:
    """Return the first position above `after` whose line is still there, or the one after the head."""
    head = read_head(db).seq
    for batch in read_batches(db, after, head):
        for index in range(max(after + 1 - batch.first_seq, 0), len(batch.lines)):
            if batch.lines[index] != GONE:
                return batch.first_seq + index
    return max(after, head) + 1


def first_received_since(db: apsw.Connection, since: int) -> int | None:
    """Return the first position of the first batch received at or after a time; None when there is none.

    Times rise with positions, so halving the range finds it.
    """
    low, high = 1, read_head(db).seq + 1
    found = None
    while low < high:
        middle = (low + high) // 2
        row = db.execute(
            "select first_seq, last_seq, received from event_batch where first_seq <= ?"
            " order by first_seq desc limit 1",
            (middle,),
        ).fetchone()
        if row is not None and row[2] >= since:
            found = high = row[0]
        else:
            low = (middle if row is None else max(middle, row[1])) + 1
    return found


def split_batch(first_seq: int, received: int, spans: str, blob: bytes) -> Batch:
    """Return a stored row as a batch."""
    lines = split_lines(blob)
    batch = Batch(first_seq, received, decode_spans(spans), lines, Facts({}, []))
    marks = {mark_here(span.producer) for span in batch.spans}
    logs = decode_mentions(blob) if len(marks) == 1 else None
    facts = None if logs is None or len(logs) != len(lines) else tally_logs(logs)
    if facts is not None:
        mark_facts(facts, marks.pop())
    else:
        facts = batch.facts
        for index, event in enumerate(batch.events):
            if event is not None:
                note(facts, index, event)
    batch.facts = facts
    return batch


class IndexRow(Struct):
    """What the index knows of one execution in one batch; see the table `execution_batch`."""

    first_seq: int
    state_count: int
    level_mask: int
    min_time: int
    max_time: int
    offsets: bytes | None


class Picked(Struct):
    """Lines of one execution out of one batch."""

    first_seq: int
    received: int
    spans: str
    lines: list[tuple[int, bytes]]
    """(index in the batch, line), rising."""

    def events(self) -> Iterator[tuple[int, bytes, Event]]:
        """Yield index, line and what it says of each."""
        if f'"{GIVEN_PREFIX}' not in self.spans:
            yield from ((index, line, decode_stored(line)) for index, line in self.lines)
            return
        spans = iter(sorted(decode_spans(self.spans), key=lambda span: span.index))
        end, mark = 0, ""
        for index, line in self.lines:
            while index >= end:
                span = next(spans)
                end, mark = span.index + span.count, mark_here(span.producer)
            yield index, line, mark_event(decode_stored(line), mark)


def read_index(
    db: apsw.Connection,
    execution_id: str,
    after: int,
    until: int,
    *,
    newest_first: bool = False,
    state_only: bool = False,
) -> Iterator[IndexRow]:
    """Yield where an execution's lines with positions in (after, until] are."""
    start = db.execute("select max(first_seq) from event_batch where first_seq <= ?", (after + 1,)).get
    statement = _READ_INDEX[newest_first, state_only]
    return (IndexRow(*row) for _, *row in db.execute(statement, (execution_id, start or 0, until)))


def count_lines(db: apsw.Connection, execution_id: str) -> int:
    """Return how many lines of an execution are in the log."""
    return sum(
        int(
            db.execute(
                f"select coalesce(sum(count), 0) from {table} where execution_id = ?", (execution_id,)
            ).get
        )
        for table in ("execution_batch", "execution_batch_recent")
    )


def _read_index_sql(*, newest_first: bool, state_only: bool) -> str:
    # Each in the order of its key, which is one order: an execution has one row for a batch.
    parts = (
        f"select {key}, first_seq, state_count, levels, min_time, max_time, offsets from {table}"
        f" where execution_id = ?1 and {key} between ?2 and ?3"
        + (" and state_count > 0" if state_only else "")
        for table, key in (("execution_batch", "first_seq"), ("execution_batch_recent", "at_seq"))
    )
    return " union all ".join(parts) + f" order by 1 {'desc' if newest_first else 'asc'}"


_READ_INDEX: Final = {
    (newest_first, state_only): _read_index_sql(newest_first=newest_first, state_only=state_only)
    for newest_first in (False, True)
    for state_only in (False, True)
}


def pick_lines(db: apsw.Connection, row: IndexRow) -> Picked:
    """Return the lines that an index row points to."""
    try:
        [(received, spans, blob)] = db.execute(
            f"select received, spans, {LINES} from event_batch where first_seq = ?", (row.first_seq,)
        )
    except UNREADABLE as error:
        raise damaged_range(db, row.first_seq - 1, error) from error
    if row.offsets is None:
        lines = list(enumerate(split_lines(blob)))
    else:
        lines = [(index, line_at(blob, start)) for index, start in unpack_offsets(row.offsets)]
    return Picked(row.first_seq, received, spans, lines)


def state_seq_of(db: apsw.Connection, execution_id: str) -> int:
    """Return the position of the execution's last event that moves its state, 0 where there is none.

    It comes from the log itself, not from a read model, so that a broken projection cannot make it wrong.
    """
    rows = read_index(db, execution_id, -1, INT64_MAX, newest_first=True, state_only=True)
    row = next(rows, None)
    if row is None:
        return 0
    for index, line in reversed(pick_lines(db, row).lines):
        if type(decode_stored(line)) not in QUIET_TYPES:
            return row.first_seq + index
    raise AssertionError(f"batch {row.first_seq} counts a state event of {execution_id} and has none")
