"""Whole ended executions: out of every read model, then out of the log, a few rows at a time.

An execution that is on its way out is noted in the table `removal`: from then on what it said counts as never
said, however often the rest is interrupted. Of one that goes on meanwhile the rest is forgotten at once.
"""

import time
from collections.abc import Sequence
from typing import Final

import apsw

from flightlog_schemas.events import Event
from flightlog_schemas.statuses import TERMINAL
from flightlogd.governance.rewrite import Row, without
from flightlogd.project import forget
from flightlogd.store.eventlog import first_received_since, read_batches, read_head, read_index
from flightlogd.store.tombstones import Rewrite, governing, removals

_STEP_EXECUTIONS: Final = 100
"""Executions that are chosen in one read."""

_STEP_BATCHES: Final = 4
"""Rows of the log decoded in one step."""

_FORGOTTEN_ROWS: Final = 16
"""Rows of read models deleted before the clock is looked at: below a millisecond."""


def over_time(db: apsw.Connection, before_us: int, after: str) -> list[str]:
    """Return some executions whose last event was received before a time, and that have ended.

    Args:
        db: A connection that reads.
        before_us: The time, microseconds since the epoch.
        after: Ids up to this one were returned before.
    """
    later = first_received_since(db, before_us)
    until = read_head(db).seq if later is None else later - 1
    marks = ", ".join("?" * len(TERMINAL))
    rows = db.execute(
        "select execution_id from execution left join execution_log as log using (execution_id)"
        " where execution_id > ? and execution.last_seq <= ? and coalesce(log.last_seq, 0) <= ?"
        f" and (status in ({marks}) or not announced) order by execution_id limit ?",
        (after, until, until, *TERMINAL, _STEP_EXECUTIONS),
    )
    return [str(row[0]) for row in rows]


def mark_executions(
    db: apsw.Connection, execution_ids: Sequence[str], before_us: int, slice_s: float, leaving: set[str]
) -> tuple[int, int]:
    """Let executions count as never said, on the writer's thread, until a slice of time is over.

    What was chosen may have gone on since: it is looked at again.

    Args:
        db: The writer's connection.
        execution_ids: Which were chosen.
        before_us: Their last event has to be from before this time, microseconds since the epoch.
        slice_s: The time, in seconds.
        leaving: Gets those that read models are to forget.

    Returns:
        How many of the ids were looked at, and how many of them are on their way out.
    """
    deadline = time.monotonic() + slice_s
    head = read_head(db).seq
    looked_at = 0
    marked = []
    with governing(db):
        for name in execution_ids:
            looked_at += 1
            if _is_over(db, name, before_us):
                db.execute("insert or replace into removal values (?, ?)", (name, head))
                db.execute("delete from tombstone_log where execution_id = ?", (name,))
                marked.append(name)
            if time.monotonic() > deadline:
                break
    leaving.update(marked)
    return looked_at, len(marked)


def forget_marked(db: apsw.Connection, slice_s: float, leaving: set[str]) -> bool:
    """Take what is marked out of the read models, on the writer's thread, until a slice of time is over.

    Returns:
        True when nothing of it is left.
    """
    if not leaving:
        return True
    deadline = time.monotonic() + slice_s
    forgotten: set[str] = set()
    with governing(db):
        for name in leaving:
            while time.monotonic() < deadline and name not in forgotten:
                if forget(db, name, _FORGOTTEN_ROWS):
                    forgotten.add(name)
    leaving -= forgotten
    return not leaving


def _is_over(db: apsw.Connection, execution_id: str, before_us: int) -> bool:
    row = next(read_index(db, execution_id, 0, read_head(db).seq, newest_first=True), None)
    if row is None:
        return True
    [(received,)] = db.execute("select received from event_batch where first_seq = ?", (row.first_seq,))
    return bool(received < before_us)


def removal_step(db: apsw.Connection) -> tuple[list[Rewrite], list[str]]:
    """Return rows to be rewritten without executions that are on their way out, and those that are out."""
    removed = removals(db)
    first_seqs: set[int] = set()
    out: list[str] = []
    for execution_id, until in removed.items():
        rows = [row.first_seq for row in read_index(db, execution_id, 0, until)]
        if not rows:
            out.append(execution_id)
        first_seqs.update(rows)
        if len(first_seqs) >= _STEP_BATCHES:
            break

    def leaves(_index: int, event: Event) -> bool:
        return event.execution_id in removed

    changes = []
    for first_seq in sorted(first_seqs)[:_STEP_BATCHES]:
        batch = next(read_batches(db, first_seq - 1, first_seq))
        row = Row(batch.first_seq, batch.received, batch.lines, batch.events)
        change = without(row, leaves, counts=False)
        assert change is not None, first_seq
        changes.append(change)
    return changes, out


def finish_removals(db: apsw.Connection, execution_ids: list[str]) -> None:
    """Note, on the writer's thread, that the log has nothing more of some executions."""
    with governing(db):
        db.executemany("delete from removal where execution_id = ?", [(name,) for name in execution_ids])
