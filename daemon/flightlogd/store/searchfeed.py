"""What is read of the log to index it: the next rows, and what governance has taken of earlier ones."""

from typing import Any, Final

import apsw
from msgspec import Struct

from flightlogd.store.eventlog import read_head
from flightlogd.store.packed import LINES
from flightlogd.store.searchdb import Indexed, Row
from flightlogd.store.tombstones import newest_tombstone

_FEED_LINES: Final = 2000
"""Positions in one step: some 10 ms of work, and one commit."""
_FEED_BYTES: Final = 512 * 1024
_FEED_TOMBSTONES: Final = 64


class Taken(Struct):
    """What governance took at once.

    Attributes:
        tombstone_id: Rises with time.
        first_seq: First position of the range.
        last_seq: Its last position.
        cause: `scrub` when text was changed, else lines left.
        rows: What is there now.
    """

    tombstone_id: int
    first_seq: int
    last_seq: int
    cause: str
    rows: list[Row]


class Feed(Struct):
    """What is to be indexed next, as one state of the log has it.

    Attributes:
        rows: Rows after what is indexed.
        taken: What was taken since then; comes first.
        reaches: How far the index is once it has both.
        foreign: The index is not of this log as it is now: that one was restored, or went another way.
    """

    rows: list[Row]
    taken: list[Taken]
    reaches: Indexed
    foreign: bool = False


def read_feed(db: apsw.Connection, indexed: Indexed) -> Feed:
    """Return what is to be indexed next.

    Args:
        db: A connection to the log, in a transaction.
        indexed: How far the index is.
    """
    head = read_head(db)
    known = db.execute("select chain from event_batch where first_seq = ?", (indexed.row_seq,)).get
    if head.seq < indexed.position or head.log_id != indexed.log_id or known not in (None, indexed.chain):
        return Feed([], [], indexed, foreign=True)
    taken, tombstone_id = _read_taken(db, indexed)
    if len(taken) == _FEED_TOMBSTONES:
        # Lines that are there now must not be indexed before all that happened to them is known.
        return Feed([], taken, _reached(indexed, tombstone_id=taken[-1].tombstone_id))
    rows: list[Row] = []
    size_bytes = 0
    row_seq, chain = indexed.row_seq, indexed.chain
    for first_seq, last_seq, received, found, lines in db.execute(
        f"select first_seq, last_seq, received, chain, {LINES} from event_batch where first_seq > ?"
        " order by first_seq",
        (indexed.position,),
    ):
        rows.append(Row(first_seq, last_seq, received, lines))
        row_seq, chain = first_seq, found
        size_bytes += len(lines)
        if last_seq - indexed.position >= _FEED_LINES or size_bytes >= _FEED_BYTES:
            break
    else:
        # What the last rows held may be gone with them.
        return Feed(rows, taken, Indexed(head.log_id, head.seq, row_seq, chain, tombstone_id))
    return Feed(rows, taken, Indexed(head.log_id, rows[-1].last_seq, row_seq, chain, tombstone_id))


def _reached(indexed: Indexed, *, tombstone_id: int) -> Indexed:
    return Indexed(indexed.log_id, indexed.position, indexed.row_seq, indexed.chain, tombstone_id)


def _read_taken(db: apsw.Connection, indexed: Indexed) -> tuple[list[Taken], int]:
    """Return what was taken of what is indexed, and the last tombstone looked at."""
    newest = newest_tombstone(db)
    taken = [
        _taken(db, *row)
        for row in db.execute(
            "select tombstone_id, first_seq, last_seq, cause from tombstone"
            " where tombstone_id > ? and first_seq <= ? order by tombstone_id limit ?",
            (indexed.tombstone_id, indexed.position, _FEED_TOMBSTONES),
        )
    ]
    return taken, newest


def _taken(db: apsw.Connection, tombstone_id: Any, first_seq: Any, last_seq: Any, cause: Any) -> Taken:
    return Taken(tombstone_id, first_seq, last_seq, cause, _read_rows(db, first_seq, last_seq))


def _read_rows(db: apsw.Connection, first_seq: int, last_seq: int) -> list[Row]:
    return [
        Row(*row)
        for row in db.execute(
            f"select first_seq, last_seq, received, {LINES} from event_batch where first_seq between ? and ?",
            (first_seq, last_seq),
        )
    ]


def unindexed_since(db: apsw.Connection, position: int) -> int | None:
    """Return when the oldest line after a position was received; None when there is none."""
    found = db.execute(
        "select received from event_batch where first_seq > ? order by first_seq limit 1", (position,)
    ).get
    return None if found is None else int(found)
