"""Rebuild: compute read models from the log beside the live ones, compare, and put right what differs.

A scratch database is fed in short reads up to the head, so that neither readers nor the writer wait. The rest
is fed, compared and applied in one transaction of the writer (or, to check only, in one read).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas.wire.control import Difference
from flightlogd.project import Projector, create_tables, replay
from flightlogd.projections import PROJECTIONS, Projection
from flightlogd.store.database import begin, commit, rollback
from flightlogd.store.eventlog import read_batches, read_head

SCRATCH: Final = "rebuild.db"

_SLICE_EVENTS: Final = 20_000
"""Positions read at once: a short transaction, and memory that stays small."""

_NEAR_EVENTS: Final = 20_000
"""So near the head, the rest is done in the last step."""


class Scratch(Struct):
    """Read models computed anew in a file of their own.

    Attributes:
        db: The scratch connection.
        path: Its file.
        projections: Which read models.
        projector: Feeds them.
        position: Fed up to here.
    """

    db: apsw.Connection
    path: Path
    projections: tuple[Projection, ...]
    projector: Projector
    position: int = 0

    def close(self) -> None:
        """Close and delete the file."""
        self.db.close()
        self.path.unlink(missing_ok=True)


def choose(names: Iterable[str]) -> tuple[Projection, ...]:
    """Return the projections of these names; all of them for none.

    Raises:
        KeyError: no projection of that name.
    """
    known = {projection.NAME: projection for projection in PROJECTIONS}
    return tuple(known[name] for name in names) or PROJECTIONS


def open_scratch(state_dir: Path, projections: tuple[Projection, ...]) -> Scratch:
    """Make an empty scratch database; what an interrupted rebuild left is removed."""
    path = state_dir / SCRATCH
    path.unlink(missing_ok=True)
    db = apsw.Connection(str(path))
    # Nothing here outlives the rebuild, so nothing needs to survive a crash.
    db.execute("pragma journal_mode = off")
    db.execute("pragma synchronous = off")
    db.execute("create table projection (name primary key, version, position, broken_at, error)")
    for projection in projections:
        create_tables(db, projection)
    return Scratch(db, path, projections, Projector(projections))


def feed_slice(log: apsw.Connection, scratch: Scratch) -> bool:
    """Feed the next slice; True when the head is near."""
    head = read_head(log).seq
    until = min(scratch.position + _SLICE_EVENTS, head)
    _feed(log, scratch, until)
    return head - scratch.position <= _NEAR_EVENTS


def _feed(log: apsw.Connection, scratch: Scratch, until: int) -> None:
    batches = list(read_batches(log, scratch.position, until))
    if not batches:
        return
    begin(scratch.db)
    replay(scratch.db, batches, scratch.projector)
    commit(scratch.db)
    scratch.position = batches[-1].last_seq


def compare(log: apsw.Connection, scratch: Scratch) -> list[Difference]:
    """Feed what is left and return how each table differs, in the caller's transaction on `log`.

    The caller has attached the scratch file as `scratch`.
    """
    while scratch.position < read_head(log).seq:
        _feed(log, scratch, read_head(log).seq)
    found = []
    for projection in scratch.projections:
        for table, keys in projection.TABLES.items():
            difference = _compare_table(log, table, keys)
            if difference is not None:
                found.append(difference)
    return found


def _compare_table(log: apsw.Connection, table: str, keys: Sequence[str]) -> Difference | None:
    join = " and ".join(f"l.{key} is s.{key}" for key in keys)
    missing = log.execute(
        f"select count(*) from scratch.{table} s where not exists (select 1 from main.{table} l where {join})"
    ).get
    extra = log.execute(
        f"select count(*) from main.{table} l where not exists (select 1 from scratch.{table} s where {join})"
    ).get
    differing = log.execute(
        f"select count(*) from (select * from scratch.{table} except select * from main.{table})"
    ).get
    if not (missing or extra or differing):
        return None
    return Difference(table=table, missing=missing, extra=extra, changed=differing - missing)


def apply(db: apsw.Connection, scratch: Scratch) -> list[Difference]:
    """Compare and put right what differs, as one transaction of the writer; broken marks are cleared."""
    db.execute("attach ? as scratch", (str(scratch.path),))
    try:
        begin(db)
        try:
            differences = compare(db, scratch)
            for difference in differences:
                db.execute(f"delete from main.{difference.table}")
                db.execute(f"insert into main.{difference.table} select * from scratch.{difference.table}")
            position = read_head(db).seq
            for projection in scratch.projections:
                db.execute(
                    "update projection set version = ?, position = ?, broken_at = null, error = null"
                    " where name = ?",
                    (projection.VERSION, position, projection.NAME),
                )
            commit(db)
        except BaseException:
            rollback(db)
            raise
    finally:
        db.execute("detach scratch")
    return differences


def check(reader: apsw.Connection, scratch: Scratch) -> list[Difference]:
    """Compare only, in one read transaction of its own connection."""
    reader.execute("attach ? as scratch", (str(scratch.path),))
    reader.execute("begin")
    try:
        return compare(reader, scratch)
    finally:
        reader.execute("rollback")
        reader.execute("detach scratch")
