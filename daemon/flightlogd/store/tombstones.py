"""What governance took away, and how it does so: the only SQL that changes or deletes rows of the log.

A line that leaves is `null` in its place, so that positions and numbers never move; a row without any other
line is deleted. Each rewritten row, and each run of deleted ones, has a tombstone with the digest of what is
there now; a run of deleted ones keeps the chain at its end, so that the seal goes on from there. Of log lines
it is kept how many each execution had, so that counters never shrink and a rebuild comes to the same rows.
"""

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import apsw
from msgspec import Struct

from flightlogd.lines import GONE, join_lines
from flightlogd.projections.quiet import Quiet
from flightlogd.seal import digest_lines
from flightlogd.store.database import begin, commit, rollback
from flightlogd.store.rows import insert_rows

Cause = Literal["retention", "removal", "scrub"]

EMPTY_DIGEST: Final = digest_lines(b"")
"""Of what is there where rows were deleted."""


class IndexEntry(Struct):
    """A row of the index to be written; see the table `execution_batch`."""

    execution_id: str
    count: int
    state_count: int
    level_mask: int
    min_time: int
    max_time: int
    offsets: bytes


class Rewrite(Struct):
    """What one row of the log is to become.

    Attributes:
        first_seq: Which row.
        last_seq: Its last position.
        lines: The lines as they will be, None for one that is not there; empty when none is left.
        index: Where the lines of each execution will be.
        unindexed: Executions that had lines in it, whose index rows are replaced or go.
        taken: What is taken of executions' logs.
        taken_lines: Lines that leave, or are changed.
        taken_bytes: Bytes by which the row gets smaller.
    """

    first_seq: int
    last_seq: int
    lines: list[bytes | None]
    index: list[IndexEntry]
    unindexed: list[str]
    taken: list[Quiet]
    taken_lines: int
    taken_bytes: int


class Tombstone(Struct):
    """What was taken at once from one row, or from a run of rows that are gone.

    Attributes:
        tombstone_id: Rises with time.
        first_seq: First position of the range.
        last_seq: Last position of the range.
        lines: How many lines left it, or were changed.
        size_bytes: By how many bytes it got smaller.
        cause: Why.
        digest: SHA-256 of what is there now.
        chain: The chain at the end of the range, where its rows are gone.
        pruned_at: When, microseconds since the epoch.
    """

    tombstone_id: int
    first_seq: int
    last_seq: int
    lines: int
    size_bytes: int
    cause: str
    digest: bytes
    chain: bytes | None
    pruned_at: int

    def sealing(self) -> bytes:
        """Return the row as it is digested when it is sealed."""
        chain = "" if self.chain is None else self.chain.hex()
        return (
            f"{self.tombstone_id} {self.first_seq} {self.last_seq} {self.lines} {self.size_bytes}"
            f" {self.cause} {self.digest.hex()} {chain} {self.pruned_at}\n"
        ).encode()


_COLUMNS: Final = "tombstone_id, first_seq, last_seq, lines, bytes, cause, digest, chain, pruned_at"


@contextmanager
def governing(db: apsw.Connection) -> Iterator[None]:
    """A transaction in which lines may leave the log; committed at the end, rolled back on any error."""
    begin(db)
    try:
        db.execute("insert into governance values (1)")
        yield
        db.execute("delete from governance")
        commit(db)
    except BaseException:
        rollback(db)
        raise


class Slice:
    """Rewrites rows in one transaction: in order of position, with as few tombstones as that allows.

    Args:
        db: The writer's connection, in a transaction of `governing`.
        cause: Why.
        pruned_at: When, microseconds since the epoch.
        borders: Positions behind which some read model has yet to be fed: no tombstone spans one.
    """

    def __init__(
        self, db: apsw.Connection, cause: Cause, pruned_at: int, borders: Collection[int] = ()
    ) -> None:
        self._db = db
        self._cause = cause
        self._pruned_at = pruned_at
        self._borders = borders
        self._hole: Tombstone | None = None

    def rewrite(self, change: Rewrite) -> None:
        """Carry out one change."""
        for table, key in (("execution_batch", "first_seq"), ("execution_batch_recent", "at_seq")):
            self._db.executemany(
                f"delete from {table} where execution_id = ? and {key} between ? and ?",
                [(execution_id, change.first_seq, change.last_seq) for execution_id in change.unindexed],
            )
        if not change.lines:
            self._delete(change)
            return
        blob = join_lines([GONE if line is None else line for line in change.lines])
        self._db.execute(
            "update event_batch set codec = 0, lines = ? where first_seq = ?", (blob, change.first_seq)
        )
        insert_rows(
            self._db,
            "execution_batch",
            [
                (
                    entry.execution_id,
                    change.first_seq,
                    entry.count,
                    entry.state_count,
                    entry.level_mask,
                    entry.min_time,
                    entry.max_time,
                    entry.offsets,
                )
                for entry in change.index
            ],
        )
        tombstone_id = self._bury(change, digest_lines(blob), None)
        self._note_taken(tombstone_id, change.taken)

    def _delete(self, change: Rewrite) -> None:
        [(chain,)] = self._db.execute(
            "select chain from event_batch where first_seq = ?", (change.first_seq,)
        )
        self._db.execute("delete from event_batch where first_seq = ?", (change.first_seq,))
        hole = self._hole
        if hole is not None and hole.last_seq + 1 == change.first_seq and hole.last_seq not in self._borders:
            hole.last_seq, hole.chain = change.last_seq, chain
            hole.lines += change.taken_lines
            hole.size_bytes += change.taken_bytes
            self._db.execute(
                "update tombstone set last_seq = ?, lines = ?, bytes = ?, chain = ? where tombstone_id = ?",
                (hole.last_seq, hole.lines, hole.size_bytes, chain, hole.tombstone_id),
            )
        else:
            tombstone_id = self._bury(change, EMPTY_DIGEST, chain)
            hole = self._hole = Tombstone(
                tombstone_id,
                change.first_seq,
                change.last_seq,
                change.taken_lines,
                change.taken_bytes,
                self._cause,
                EMPTY_DIGEST,
                chain,
                self._pruned_at,
            )
        self._note_taken(hole.tombstone_id, change.taken)

    def _bury(self, change: Rewrite, digest: bytes, chain: bytes | None) -> int:
        self._db.execute(
            "insert into tombstone (first_seq, last_seq, lines, bytes, cause, digest, chain, pruned_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                change.first_seq,
                change.last_seq,
                change.taken_lines,
                change.taken_bytes,
                self._cause,
                digest,
                chain,
                self._pruned_at,
            ),
        )
        return self._db.last_insert_rowid()

    def _note_taken(self, tombstone_id: int, taken: Sequence[Quiet]) -> None:
        insert_rows(
            self._db,
            "tombstone_log",
            [
                (one.execution_id, tombstone_id, *one.levels, one.first_seq, one.last_seq, one.first_time)
                for one in taken
            ],
            "on conflict (execution_id, tombstone_id) do update set trace = trace + excluded.trace,"
            " debug = debug + excluded.debug, info = info + excluded.info, warn = warn + excluded.warn,"
            " error = error + excluded.error, fatal = fatal + excluded.fatal,"
            " first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq),"
            " first_time = min(first_time, excluded.first_time)",
        )


def taken_between(db: apsw.Connection, after: int, until: int) -> list[Quiet]:
    """Return what was taken of executions' logs by tombstones that begin in (after, until]."""
    return _quiet_rows(
        db.execute(
            "select l.execution_id, trace, debug, info, warn, error, fatal,"
            " l.first_seq, l.last_seq, first_time from tombstone t join tombstone_log l using (tombstone_id)"
            " where t.first_seq > ? and t.first_seq <= ?",
            (after, until),
        )
    )


def taken_of(db: apsw.Connection, execution_id: str, until: int) -> list[Quiet]:
    """Return what was taken of one execution's log, up to a position."""
    return _quiet_rows(
        db.execute(
            "select execution_id, trace, debug, info, warn, error, fatal, first_seq, last_seq, first_time"
            " from tombstone_log where execution_id = ? and last_seq <= ?",
            (execution_id, until),
        )
    )


def _quiet_rows(rows: Iterable[tuple[Any, ...]]) -> list[Quiet]:
    return [Quiet(row[0], list(row[1:7]), *row[7:]) for row in rows]


def count_taken(db: apsw.Connection, execution_id: str) -> int:
    """Return how many lines were taken of one execution's log."""
    total = db.execute(
        "select sum(trace + debug + info + warn + error + fatal) from tombstone_log where execution_id = ?",
        (execution_id,),
    ).get
    return int(total or 0)


def taken_ranges(
    db: apsw.Connection, execution_id: str, after: int, until: int
) -> deque[tuple[int, int, str]]:
    """Return (first position, last position, cause) of what was taken of a log in (after, until], in order.

    Between those positions other lines of it may have stayed.
    """
    rows = db.execute(
        "select l.first_seq, l.last_seq, cause from tombstone_log l join tombstone using (tombstone_id)"
        " where execution_id = ? and l.last_seq > ? and l.first_seq <= ? order by l.first_seq",
        (execution_id, after, until),
    )
    return deque((max(first_seq, after + 1), last_seq, cause) for first_seq, last_seq, cause in rows)


def removals(db: apsw.Connection) -> dict[str, int]:
    """Return the executions that are being removed, each with the position up to which."""
    return {row[0]: row[1] for row in db.execute("select execution_id, until_seq from removal")}


def still_leaving(db: apsw.Connection) -> list[str]:
    """Return executions that are being removed and of which read models may still have something.

    Of one that has begun anew since they have what is new alone: the rest was forgotten then.
    """
    anew = " or ".join(
        f"exists (select 1 from {table} as anew"
        " where anew.execution_id = removal.execution_id and anew.first_seq > until_seq)"
        for table in ("execution_batch", "execution_batch_recent")
    )
    return [row[0] for row in db.execute(f"select execution_id from removal where not ({anew})")]


def holes_between(db: apsw.Connection, after: int, until: int) -> list[Tombstone]:
    """Return the tombstones of deleted rows that reach into (after, until], in order; none overlap."""
    start = db.execute(
        "select max(first_seq) from tombstone where chain is not null and first_seq <= ?", (after + 1,)
    ).get
    rows = db.execute(
        f"select {_COLUMNS} from tombstone where chain is not null and first_seq between ? and ?"
        " order by first_seq",
        (start or 0, until),
    )
    return [hole for row in rows if (hole := Tombstone(*row)).last_seq > after]


def last_digest(db: apsw.Connection, first_seq: int) -> bytes | None:
    """Return the digest of what is there of a row since governance last touched it; None: it never did."""
    row = db.execute(
        "select digest from tombstone where first_seq = ? order by tombstone_id desc limit 1", (first_seq,)
    ).fetchone()
    return None if row is None else bytes(row[0])


class Sealing(Struct):
    """Tombstones that one event tells of, added up; `digest` is the SHA-256 of their rows."""

    first_id: int
    last_id: int
    lines: int
    size_bytes: int
    digest: bytes


def newest_tombstone(db: apsw.Connection) -> int:
    """Return the number of the newest tombstone, 0 where there is none."""
    return int(db.execute("select coalesce(max(tombstone_id), 0) from tombstone").get)


def unsealed(db: apsw.Connection) -> Sealing | None:
    """Return the tombstones that no event tells of yet, None where there is none."""
    rows = db.execute(f"select {_COLUMNS} from tombstone where not sealed order by tombstone_id").fetchall()
    return _sealing(rows) if rows else None


def sealing_of(db: apsw.Connection, first_id: int, last_id: int) -> bytes:
    """Return the SHA-256 of these tombstones' rows."""
    rows = db.execute(
        f"select {_COLUMNS} from tombstone where tombstone_id between ? and ? order by tombstone_id",
        (first_id, last_id),
    ).fetchall()
    return _sealing(rows).digest if rows else EMPTY_DIGEST


def _sealing(rows: Sequence[tuple[Any, ...]]) -> Sealing:
    found = [Tombstone(*row) for row in rows]
    digest = hashlib.sha256(b"".join(one.sealing() for one in found))
    return Sealing(
        found[0].tombstone_id,
        found[-1].tombstone_id,
        sum(one.lines for one in found),
        sum(one.size_bytes for one in found),
        digest.digest(),
    )


def mark_sealed(db: apsw.Connection, last_id: int) -> None:
    """Note that an event tells of the tombstones up to this one."""
    db.execute("update tombstone set sealed = 1 where not sealed and tombstone_id <= ?", (last_id,))
