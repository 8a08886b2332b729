"""Runs the projections over batches, in `seq` order, inside the transaction that stores them.

All run within one savepoint. Where that fails they run again with one each: the one that fails stops alone,
is marked broken at that position, and never blocks an append. One whose table is damaged stops too, and the
commit is begun anew without it. Other faults of the environment abort the whole transaction instead and break
nothing.

What runs with every commit is level with the log, and says so once: its position is NULL, and no commit has
to write it.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import apsw
import structlog
from msgspec import Struct

from flightlog_schemas.events import QUIET_TYPES
from flightlogd.batch import Batch
from flightlogd.history import History
from flightlogd.projections import PROJECTIONS, Projection
from flightlogd.projections.quiet import Quiet
from flightlogd.recorded import Recorded, recorded_singles
from flightlogd.store.damage import DamagedTableError
from flightlogd.store.database import is_damage, is_storage_error
from flightlogd.store.tombstones import still_leaving

logger = structlog.get_logger(__name__)

_REPLAYED_AT_ONCE: Final = 16
"""Batches whose counts are added up before they are written."""

_APPLIED_TOGETHER: Final = 1000
"""Events that a projection takes at once: what it keeps in memory of them stays small."""


class Position(Struct):
    """How far a projection is, and what broke it.

    Attributes:
        name: Whose.
        version: Of its tables and rules.
        position: What it has taken of the log; None: all of it.
        broken_at: The position that it could not take, None where it runs.
        error: Why not.
    """

    name: str
    version: int
    position: int | None
    broken_at: int | None
    error: str | None


def read_positions(db: apsw.Connection) -> dict[str, Position]:
    """Return every projection's position by name."""
    rows = db.execute("select name, version, position, broken_at, error from projection")
    return {row[0]: Position(*row) for row in rows}


class Projector:
    """Keeps the read models of one database.

    Args:
        projections: Which; each with its tables there already.
        broken: Names that have stopped; they are left alone.
        leaving: Executions that are being forgotten, a few rows at a time.
    """

    def __init__(
        self,
        projections: Sequence[Projection] = PROJECTIONS,
        broken: Iterable[str] = (),
        leaving: Iterable[str] = (),
    ) -> None:
        self._projections = list(projections)
        self.broken = set(broken)
        self.leaving = set(leaving)
        self._damaged: dict[str, str] = {}
        """Why some of them stopped that cannot say so themselves."""

    def stop(self, error: DamagedTableError) -> None:
        """Run a projection no more whose table is damaged; the next commit says so."""
        self.broken.add(error.name)
        self._damaged[error.name] = str(error)
        logger.error("projection broken: its table is damaged", projection=error.name, reason=str(error))

    def mended(self, names: Iterable[str]) -> None:
        """Run projections again."""
        for name in names:
            self.broken.discard(name)
            self._damaged.pop(name, None)

    def apply(self, db: apsw.Connection, batches: Sequence[Batch]) -> None:
        """Project the newest batches, consecutive ones, in the transaction that stores them."""
        if batches:
            if self.leaving:
                self._forget_at_once(db, batches)
            self._apply_batches(db, batches)

    def _forget_at_once(self, db: apsw.Connection, batches: Sequence[Batch]) -> None:
        """Have nothing left of executions that begin anew while they are being forgotten."""
        for batch in batches:
            for execution_id in self.leaving.intersection(batch.facts.tallies):
                forget(db, execution_id)
                self.leaving.discard(execution_id)

    def replay(self, db: apsw.Connection, history: History) -> None:
        """Project a stretch of the log that is there already, in the caller's transaction; positions move."""
        batches = iter(history.batches)
        while group := list(islice(batches, _REPLAYED_AT_ONCE)):
            self._apply_batches(db, group)
            self._move(db, group[-1].last_seq)
        self._apply(db, [], history.taken, history.reached, history.reached)
        self._move(db, history.reached)

    def _apply_batches(self, db: apsw.Connection, batches: Sequence[Batch]) -> None:
        before = batches[0].first_seq - 1
        singles = [recorded for batch in batches for recorded in recorded_singles(batch)]
        self._apply(db, singles, _quiet(batches), before, batches[-1].last_seq)
        for name, reason in self._damaged.items():
            stop_damaged(db, name, before, reason)

    def _move(self, db: apsw.Connection, seq: int) -> None:
        names = [projection.NAME for projection in self._projections if projection.NAME not in self.broken]
        db.execute(
            f"update projection set position = ? where name in ({', '.join('?' * len(names))})", (seq, *names)
        )

    def _apply(
        self,
        db: apsw.Connection,
        singles: Sequence[Recorded],
        quiet: Sequence[Quiet],
        before: int,
        last_seq: int,
    ) -> None:
        running = [
            projection
            for projection in self._projections
            if projection.NAME not in self.broken and (singles or projection.apply_quiet is not None)
        ]
        if _run(db, running, singles, quiet, last_seq, together=True) is not None:
            for projection in running:
                self._apply_one(db, projection, singles, quiet, before, last_seq)

    def _apply_one(
        self,
        db: apsw.Connection,
        projection: Projection,
        singles: Sequence[Recorded],
        quiet: Sequence[Quiet],
        before: int,
        last_seq: int,
    ) -> None:
        failed = _run(db, [projection], singles, quiet, last_seq, together=True)
        if failed is not None and projection.apply_all is not None:
            # Of events that were applied together none can be blamed: one by one it shows.
            failed = _run(db, [projection], singles, quiet, last_seq, together=False)
        if failed is None:
            return
        seq, error = failed
        self.broken.add(projection.NAME)
        db.execute(
            "update projection set position = coalesce(position, ?), broken_at = ?, error = ? where name = ?",
            (before, seq, told(error), projection.NAME),
        )
        logger.error("projection broken", projection=projection.NAME, seq=seq, exc_info=error)


def live_projector(db: apsw.Connection) -> Projector:
    """Return what keeps a log's read models: those that have not stopped, as they were left."""
    broken = [one.name for one in read_positions(db).values() if one.broken_at is not None]
    return Projector(broken=broken, leaving=still_leaving(db))


_DAMAGED: Final = "damaged: "


def told(error: Exception) -> str:
    """Return why a projection has stopped, as it is stored."""
    return f"{_DAMAGED}{error}" if is_damage(error) else f"{type(error).__name__}: {error}"


def stop_damaged(db: apsw.Connection, name: str, before: int, error: object) -> None:
    """Mark a projection broken whose tables, or whose part of the log, cannot be read; in a transaction.

    Args:
        db: The connection.
        name: Which.
        before: Where it stands, if it was level with the log.
        error: Why.
    """
    db.execute(
        "update projection set position = coalesce(position, ?1), broken_at = coalesce(position, ?1) + 1,"
        " error = ?2 where name = ?3",
        (before, f"{_DAMAGED}{error}", name),
    )


def mark_level(db: apsw.Connection, head_seq: int) -> None:
    """Note, in a statement of its own, which projections have all of the log, and run with every commit."""
    db.execute("update projection set position = null where position = ? and broken_at is null", (head_seq,))


def is_damaged(position: Position) -> bool:
    """Say whether a projection has stopped for damage: going on from there mends nothing, it is made anew."""
    return position.broken_at is not None and (position.error or "").startswith(_DAMAGED)


def _run(
    db: apsw.Connection,
    projections: Sequence[Projection],
    singles: Sequence[Recorded],
    quiet: Sequence[Quiet],
    last_seq: int,
    *,
    together: bool,
) -> tuple[int, Exception] | None:
    """Have projections take what a commit holds; where one fails, undo it all and return where and why."""
    seq = last_seq
    db.execute("savepoint projection")
    for projection in projections:
        try:
            if together and projection.apply_all is not None:
                for start in range(0, len(singles), _APPLIED_TOGETHER):
                    projection.apply_all(db, singles[start : start + _APPLIED_TOGETHER])
            else:
                for recorded in singles:
                    seq = recorded.seq
                    projection.apply(db, recorded)
            seq = last_seq
            if quiet and projection.apply_quiet is not None:
                projection.apply_quiet(db, quiet)
            if singles and projection.TOTALS is not None:
                projection.TOTALS.settle(db)
        except Exception as error:
            if is_damage(error):
                # Of its own tables: the log is in others, and was just written. SQLite writes nothing more in
                # this transaction, whatever is rolled back of it.
                raise DamagedTableError(projection.NAME, error) from error
            if is_storage_error(error):
                raise
            db.execute("rollback to projection")
            db.execute("release projection")
            return seq, error
    db.execute("release projection")
    return None


def _quiet(batches: Sequence[Batch]) -> list[Quiet]:
    """Add up, over all batches, what they hold beside state events."""
    found: dict[str, Quiet] = {}
    for batch in batches:
        states = {index for index, event in batch.facts.singles if type(event) not in QUIET_TYPES}
        for execution_id, entry in batch.facts.tallies.items():
            indexes = entry.indexes
            if entry.state_count == len(indexes):
                continue
            first_time, _ = entry.bounds(batch.received)
            first_seq = batch.first_seq + indexes[0]
            # Not a state event's: which of them shares a batch with log lines is no fact to be kept.
            last = next(i for i in reversed(indexes) if i not in states) if states else indexes[-1]
            last_seq = batch.first_seq + last
            known = found.get(execution_id)
            if known is None:
                found[execution_id] = Quiet(execution_id, list(entry.levels), first_seq, last_seq, first_time)
            else:
                known.levels = [a + b for a, b in zip(known.levels, entry.levels, strict=True)]
                known.last_seq = last_seq
                known.first_time = min(known.first_time, first_time)
    return list(found.values())


def create_tables(db: apsw.Connection, projection: Projection) -> None:
    """Make a projection's tables, empty, at position 0."""
    for table in reversed(list(projection.TABLES)):  # children first: nothing may refer to what is not there
        db.execute(f"drop table if exists {table}")
    db.execute(projection.SCHEMA)
    db.execute(
        "insert or replace into projection values (?, ?, 0, NULL, NULL)",
        (projection.NAME, projection.VERSION),
    )


def forget(db: apsw.Connection, execution_id: str, limit_rows: int = -1) -> bool:
    """Delete what read models have of an execution, itself first, in the caller's transaction.

    Args:
        db: The connection.
        execution_id: Which.
        limit_rows: At most so many rows; below 0 all.

    Returns:
        True when nothing is left.
    """
    left = limit_rows
    for projection in PROJECTIONS:
        totals = projection.TOTALS
        for table, keys in reversed(list(projection.TABLES.items())):  # children first
            if left and (totals is None or table not in totals.tables):
                key = ", ".join(keys)
                db.execute(
                    f"delete from {table} where ({key}) in"
                    f" (select {key} from {table} where execution_id = ? limit ?)",
                    (execution_id, left),
                )
                left -= db.changes()
        if totals is not None:
            totals.settle(db)
    return left != 0
