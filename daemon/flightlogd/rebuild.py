"""Rebuild: compute read models from the log beside the live ones, compare, and put right what differs.

    feed_slice ...            the scratch database learns the log, in short reads
    watch                     from here on, both sides note the keys of rows that change
    compare_table ...         range by range; the keys of rows that differ are suspects
    mend_slice ...            on the writer: level with the head, look at suspects and at rows that changed

Neither readers nor the writer wait for more than a slice: commits go on between them. A row that was found
equal and that neither side touched since is equal at the end, so what the last slice leaves is what the log
says. A check is the same without the writer: suspects are looked at again where both sides are level.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import apsw
from msgspec import Struct

from flightlog_schemas.wire.control import Difference
from flightlogd.errors import QuestionError
from flightlogd.history import History, read_history
from flightlogd.project import Projector, create_tables, read_positions
from flightlogd.projections import PROJECTIONS, Projection
from flightlogd.store.database import DATABASE, begin, commit, rollback
from flightlogd.store.eventlog import read_head
from flightlogd.store.packed import teach
from flightlogd.touched import Key, Keys, Touched, Values

SCRATCH: Final = "rebuild.db"

_SLICE_EVENTS: Final = 20_000
"""Positions read at once off the writer: a short transaction, and memory that stays small."""

_NEAR_EVENTS: Final = 1000
"""So near the head, the rest is fed on the writer's thread; also the least that one slice there feeds."""

_RANGE_ROWS: Final = 2000
"""Rows of each side compared in one read, a few milliseconds."""

_SLICE_KEYS: Final = 200
"""Suspects put right in one transaction: about 3 ms beside the fsync, where all of them differ."""

_CHECK_KEYS: Final = 2000
"""Suspects looked at again in one read."""

UNFINISHED_VERSION: Final = 0
"""No projection's version: the next start makes its tables anew."""


class Scratch(Struct):
    """Read models computed anew in a file of their own.

    Attributes:
        db: The scratch connection; the log's database is attached to it as `live`, to be read only.
        path: Its file.
        projections: Which read models.
        projector: Feeds them.
        tables: Their tables, with the columns of their keys.
        suspects: Rows that may differ.
        differences: What differed, by table.
        touched: Rows that feeding changed, once that is watched.
        live_touched: Rows that the writer changed, once that is watched.
        position: Fed up to here.
        head: The end of the log as the last slice on the writer's thread found it.
    """

    db: apsw.Connection
    path: Path
    projections: tuple[Projection, ...]
    projector: Projector
    tables: Mapping[str, tuple[str, ...]]
    suspects: Keys
    differences: dict[str, Difference]
    touched: Touched | None = None
    live_touched: Touched | None = None
    position: int = 0
    head: int = -1

    def close(self) -> None:
        """Stop watching and close, on the thread that is watched. The file is left to be deleted."""
        if self.live_touched is not None:
            self.live_touched.close()
        self.db.close()


class _Wrong(Struct):
    """A live row that is not what the log says: its key, and the row that should be there, if any."""

    table: str
    key: Values
    row: Values | None


def choose(names: Iterable[str]) -> tuple[Projection, ...]:
    """Return the projections of these names; all of them for none.

    Raises:
        KeyError: no projection of that name.
    """
    known = {projection.NAME: projection for projection in PROJECTIONS}
    return tuple(dict.fromkeys(known[name] for name in names)) or PROJECTIONS


def open_scratch(state_dir: Path, projections: tuple[Projection, ...]) -> Scratch:
    """Make an empty scratch database; what an interrupted rebuild left is removed."""
    path = state_dir / SCRATCH
    path.unlink(missing_ok=True)
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
    db = apsw.Connection(str(path), flags=flags)
    # Nothing here outlives the rebuild, so nothing needs to survive a crash; savepoints do need a journal.
    db.execute("pragma journal_mode = memory")
    db.execute("pragma synchronous = off")
    db.execute("pragma foreign_keys = on")
    db.execute("pragma cache_size = -16384")
    db.execute("pragma busy_timeout = 5000")
    db.execute("create table projection (name primary key, version, position, broken_at, error)")
    for projection in projections:
        create_tables(db, projection)
    tables = {table: keys for projection in projections for table, keys in projection.TABLES.items()}
    suspects = Keys(db, "main", "suspect", tables)
    teach(db)
    db.execute("attach ? as live", (f"{(state_dir / DATABASE).absolute().as_uri()}?mode=ro",))
    return Scratch(db, path, projections, Projector(projections), tables, suspects, {})


def feed_slice(scratch: Scratch) -> bool:
    """Feed the next slice; True when the head is near, or came no nearer: it is fed faster than this then."""
    behind = read_head(scratch.db).seq - scratch.position
    _feed(scratch, scratch.position + min(behind, _SLICE_EVENTS))
    left = read_head(scratch.db).seq - scratch.position
    return left <= _NEAR_EVENTS or left >= behind


def _feed(scratch: Scratch, until: int) -> None:
    """Feed up to a position in a transaction of its own; the log is read before it, not all the while."""
    history = read_history(scratch.db, scratch.position, until)
    scratch.db.execute("begin")
    try:
        _learn(scratch, history)
        scratch.db.execute("commit")
    except BaseException:
        rollback(scratch.db)
        raise


def _learn(scratch: Scratch, history: History) -> None:
    """Feed the next stretch of the log, in the transaction that is open.

    Raises:
        QuestionError: `projection_broken`: what broke a read model breaks it here, too.
    """
    if history.reached == scratch.position:
        return
    scratch.projector.replay(scratch.db, history)
    if scratch.projector.broken:
        found = read_positions(scratch.db)[min(scratch.projector.broken)]
        raise QuestionError(
            "projection_broken",
            f"the read model {found.name!r} stops at seq {found.broken_at} in a rebuild, too: {found.error}",
            "this is a bug in flightlogd; the log itself is whole",
        )
    scratch.position = history.reached


def watch(db: apsw.Connection, scratch: Scratch) -> None:
    """Note from here on which rows change, by the writer (on its thread) and by feeding."""
    scratch.live_touched = Touched(db, "temp", scratch.tables)
    scratch.touched = Touched(scratch.db, "main", scratch.tables)


def compare_table(scratch: Scratch, table: str) -> None:
    """Note the keys of rows that differ, in short reads; the two sides need not be level."""
    key = ", ".join(scratch.tables[table])
    low: Values | None = None
    while True:
        high = _range_end(scratch, table, low)
        where, values = _range(scratch.tables[table], low, high)
        ours, live = (f"select * from {side}.{table}{where}" for side in ("main", "live"))
        scratch.db.execute(
            f"insert or ignore into suspect_{table}"
            f" select {key} from ({ours} except {live}) union select {key} from ({live} except {ours})",
            values,
        )
        if high is None:
            return
        low = high


def _range_end(scratch: Scratch, table: str, low: Values | None) -> Values | None:
    """Return the last key of the next range, so that neither side has many rows in it; None: what is left."""
    key = ", ".join(scratch.tables[table])
    where, values = _range(scratch.tables[table], low, None)
    ends = " union all ".join(
        f"select * from (select {key} from {side}.{table}{where} order by {key}"
        f" limit 1 offset {_RANGE_ROWS - 1})"
        for side in ("main", "live")
    )
    return scratch.db.execute(f"{ends} order by {key} limit 1", values).fetchone()


def _range(
    columns: Sequence[str],
    low: Values | None,
    high: Values | None,
) -> tuple[str, dict[str, Any]]:
    """Return the WHERE clause and the values for keys above `low`, up to `high`; None is no bound."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for name, sign, bound in (("low", ">", low), ("high", "<=", high)):
        if bound is not None:
            marks = ", ".join(f":{name}{place}" for place in range(len(bound)))
            conditions.append(f"({', '.join(columns)}) {sign} ({marks})")
            values |= {f"{name}{place}": value for place, value in enumerate(bound)}
    return f" where {' and '.join(conditions)}" if conditions else "", values


def check_slice(scratch: Scratch) -> bool:
    """Look again at some suspects, in one read that sees both sides level; True when none are left."""
    scratch.db.execute("begin")
    try:
        _learn(scratch, read_history(scratch.db, scratch.position, read_head(scratch.db).seq))
        keys = scratch.suspects.take(_CHECK_KEYS)
        _look(scratch, keys)
        scratch.db.execute("commit")
    except BaseException:
        rollback(scratch.db)
        raise
    return len(keys) < _CHECK_KEYS


def _look(scratch: Scratch, keys: Iterable[Key]) -> list[_Wrong]:
    """Return which of these rows differ, and count them; both sides are at the same position."""
    found: list[_Wrong] = []
    for table, key in keys:
        where = _where(scratch.tables[table])
        live, ours = (
            scratch.db.execute(f"select * from {side}.{table}{where}", key).fetchone()
            for side in ("live", "main")
        )
        if live == ours:
            continue
        count = scratch.differences.setdefault(table, Difference(table=table, missing=0, extra=0, changed=0))
        count.missing += live is None
        count.extra += ours is None
        count.changed += live is not None and ours is not None
        found.append(_Wrong(table, key, ours))
    return found


def _where(columns: Sequence[str]) -> str:
    return f" where {' and '.join(f'{column} = ?' for column in columns)}"


def mend_slice(db: apsw.Connection, scratch: Scratch) -> bool:
    """Put right some of what differs, on the writer's thread, in a transaction of its own.

    Both sides change while this goes on. So each slice first feeds at least twice what came since the one
    before, and looks at every row that changed meanwhile: it cannot fall behind.

    Returns:
        True when all is what the log says and the read models run again; the caller tells the projector
        before the next commit.

    Raises:
        QuestionError: `projection_broken`.
        apsw.Error: this slice was rolled back; what earlier ones put right stays.
    """
    assert scratch.touched is not None
    assert scratch.live_touched is not None
    head = read_head(db).seq
    was_level = scratch.position == scratch.head
    most = max(_NEAR_EVENTS, 2 * (head - scratch.head)) if scratch.head >= 0 else _NEAR_EVENTS
    scratch.head = head
    _feed(scratch, min(head, scratch.position + most))
    changed = [*scratch.live_touched.take(), *scratch.touched.take()]
    if not was_level:
        # Many may have changed while the tables were compared: they are looked at some at a time, too.
        scratch.suspects.add(changed)
        return False
    suspects = scratch.suspects.take(_SLICE_KEYS)
    wrong = _look(scratch, dict.fromkeys([*changed, *suspects]))
    done = len(suspects) < _SLICE_KEYS
    if wrong or done:
        _put_right(db, scratch, wrong, done=done)
    return done


def _put_right(db: apsw.Connection, scratch: Scratch, wrong: Sequence[_Wrong], *, done: bool) -> None:
    """Write the right rows, as one transaction; after the last the read models run again."""
    assert scratch.live_touched is not None
    # A child may come slices before its parent. What is there at the end was made with keys checked. And sums
    # come from the scratch database as all else does: no trigger is to add up what is put right.
    db.execute("pragma foreign_keys = off")
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    try:
        begin(db)
        try:
            for table, keys in scratch.tables.items():
                here = [wrong_row for wrong_row in wrong if wrong_row.table == table]
                db.executemany(f"delete from {table}{_where(keys)}", [wrong_row.key for wrong_row in here])
                # What is replaced holds a unique value that is not its own: it is a suspect, too.
                rows = [wrong_row.row for wrong_row in here if wrong_row.row is not None]
                marks = ", ".join("?" * len(rows[0])) if rows else ""
                db.executemany(f"insert or replace into {table} values ({marks})", rows)
            scratch.live_touched.forget()  # these were ours
            _move_positions(db, scratch, done=done)
            commit(db)
        except BaseException:
            rollback(db)
            raise
    finally:
        db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
        db.execute("pragma foreign_keys = on")


def _move_positions(db: apsw.Connection, scratch: Scratch, *, done: bool) -> None:
    for projection in scratch.projections:
        if done:
            # It is level with the log from here on.
            db.execute(
                "update projection set version = ?, position = null, broken_at = null, error = null"
                " where name = ?",
                (projection.VERSION, projection.NAME),
            )
        else:
            # One that has stopped has rows newer than its position from now on: were this the last slice, it
            # could not go on from there.
            db.execute(
                "update projection set version = ? where name = ? and broken_at is not null",
                (UNFINISHED_VERSION, projection.NAME),
            )


def found_differences(scratch: Scratch) -> list[Difference]:
    """Return how tables differed, in the order of the read models."""
    return [scratch.differences[table] for table in scratch.tables if table in scratch.differences]


def count_differences(scratch: Scratch) -> int:
    """Return how many rows differed so far."""
    return sum(count.missing + count.extra + count.changed for count in scratch.differences.values())


def rebuild_alone(db: apsw.Connection, scratch: Scratch, *, check: bool) -> list[Difference]:
    """Rebuild or check from beginning to end where nobody else writes.

    Raises:
        QuestionError: `projection_broken`.
    """
    while not feed_slice(scratch):
        pass
    if not check:
        db.execute("pragma wal_autocheckpoint = 1000")  # there is no writer's thread to do it
        watch(db, scratch)
    for table in scratch.tables:
        compare_table(scratch, table)
    while not (check_slice(scratch) if check else mend_slice(db, scratch)):
        pass
    return found_differences(scratch)
