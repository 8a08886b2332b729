"""What attempts that have ended add up to: by log, task, slug, project, provenance, status and day of end.

Triggers on `task` note each change of such an attempt: what it counted as before, what it counts as now, or
that it is gone. One that comes into the table with its end is noted by who writes it. At the end of a run of
events the notes are added up and written in few statements. So events may come in any order, an inferred
ending may give way to a real one, and an execution may be forgotten: the sums are those of the attempts that
are there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.events import Retrieval
from flightlogd.durations import bucket_of
from flightlogd.elsewhere import OTHERS
from flightlogd.periods import day_of, stretch_of
from flightlogd.store.rows import insert_rows

_CELL: Final = ("mark", "project", "slug", "period", "task_id", "provenance", "status")

TABLES: Final = {
    "task_change": ("change",),
    "task_count": _CELL,
    "task_duration": (*_CELL, "bucket"),
    "task_failure": (*_CELL, "stack_hash"),
}
SCHEMA: Final = """
-- What attempts that have ended count as no longer (sign -1) and now (1); empty between transactions.
CREATE TABLE task_change (
    change      INTEGER PRIMARY KEY,
    sign        INTEGER NOT NULL,
    execution_id TEXT   NOT NULL,
    task_id     TEXT    NOT NULL,
    slug        TEXT,
    project     TEXT,
    provenance  TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    finished_at INTEGER NOT NULL,
    duration_us INTEGER,
    attempt     INTEGER NOT NULL,
    retrieval   TEXT,
    stack_hash  TEXT
) STRICT;

-- Each attempt is in several rows: of all, its task, its slug, its project ('' is any), and here also of its
-- task in its project. And each of these once by its day, once by its stretch of days (flightlogd.periods).
-- What another log recorded is in rows of that log and in those of all other logs, what this one did in its
-- own: so that nobody pays for machines who has one, and two rows at most answer for thousands.
CREATE TABLE task_count (
    mark         TEXT    NOT NULL,         -- of the log: '' is this one, '~' all others together
    project      TEXT    NOT NULL,
    slug         TEXT    NOT NULL,
    period       INTEGER NOT NULL,
    task_id      TEXT    NOT NULL,
    provenance   TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    attempts     INTEGER NOT NULL,
    retries      INTEGER NOT NULL,
    duration_us  INTEGER NOT NULL,         -- sums, modulo 2^62: no producer can make them overflow
    retrievals   INTEGER NOT NULL,
    memory_count INTEGER NOT NULL,
    timed        INTEGER NOT NULL,         -- retrievals that say how long they took
    latency_us   INTEGER NOT NULL,
    PRIMARY KEY (mark, project, slug, period, task_id, provenance, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_duration (
    mark       TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    slug       TEXT    NOT NULL,
    period     INTEGER NOT NULL,
    task_id    TEXT    NOT NULL,
    provenance TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    bucket     INTEGER NOT NULL,           -- of a logarithmic scale (flightlogd.durations)
    attempts   INTEGER NOT NULL,
    PRIMARY KEY (mark, project, slug, period, task_id, provenance, status, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE task_failure (
    mark       TEXT    NOT NULL,
    project    TEXT    NOT NULL,
    slug       TEXT    NOT NULL,
    period     INTEGER NOT NULL,
    task_id    TEXT    NOT NULL,
    provenance TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    stack_hash TEXT    NOT NULL,
    attempts   INTEGER NOT NULL,
    PRIMARY KEY (mark, project, slug, period, task_id, provenance, status, stack_hash)
) STRICT, WITHOUT ROWID;

-- Rows that count nothing any more; they are deleted at once.
CREATE INDEX task_count_empty ON task_count (attempts) WHERE attempts = 0;
CREATE INDEX task_duration_empty ON task_duration (attempts) WHERE attempts = 0;
CREATE INDEX task_failure_empty ON task_failure (attempts) WHERE attempts = 0;

CREATE TRIGGER task_changed AFTER UPDATE ON task
WHEN old.finished_at IS NOT NULL OR new.finished_at IS NOT NULL BEGIN
    INSERT INTO task_change
    SELECT NULL, -1, old.execution_id, old.task_id, old.slug, old.project, old.provenance, old.status,
        old.finished_at, old.duration_us, old.attempt, old.retrieval, old.stack_hash
    WHERE old.finished_at IS NOT NULL;
    INSERT INTO task_change
    SELECT NULL, 1, new.execution_id, new.task_id, new.slug, new.project, new.provenance, new.status,
        new.finished_at, new.duration_us, new.attempt, new.retrieval, new.stack_hash
    WHERE new.finished_at IS NOT NULL;
END;
CREATE TRIGGER task_forgotten AFTER DELETE ON task WHEN old.finished_at IS NOT NULL BEGIN
    INSERT INTO task_change
    SELECT NULL, -1, old.execution_id, old.task_id, old.slug, old.project, old.provenance, old.status,
        old.finished_at, old.duration_us, old.attempt, old.retrieval, old.stack_hash;
END;
"""

_SUMS: Final = ("attempts", "retries", "duration_us", "retrievals", "memory_count", "timed", "latency_us")
_MODULUS: Final = 2**62
_MANY: Final = 100
"""As many are added up at once; fewer wait for others of the same commit."""
_CHANGES_AT_ONCE: Final = 10_000
"""Read into memory at once; an execution that is forgotten may have had a million attempts."""

_RETRIEVAL: Final = msgspec.json.Decoder(Retrieval)

Cell = tuple[str, str, str, int, str, str, str]
"""Values of a row's key, in the order of its columns."""


_NOTED: Final = (
    *(
        "execution_id",
        "task_id",
        "slug",
        "project",
        "provenance",
        "status",
        "finished_at",
        "duration_us",
        "attempt",
    ),
    *("retrieval", "stack_hash"),
)
"""What of an attempt is noted, in the order of the columns."""


def note_added(db: apsw.Connection, added: Iterable[Mapping[str, Any]]) -> None:
    """Note those that had ended already when they were added to the table: no trigger does."""
    rows = [(None, 1, *map(values.get, _NOTED)) for values in added if values["finished_at"] is not None]
    if len(rows) >= _MANY:
        _settle(db, rows)
    else:
        insert_rows(db, "task_change", rows)


def settle(db: apsw.Connection) -> None:
    """Add up what has changed since the last time, in the caller's transaction."""
    while rows := db.execute(
        f"select * from task_change order by change limit {_CHANGES_AT_ONCE}",
    ).fetchall():
        _settle(db, rows)
        db.execute("delete from task_change where change <= ?", (rows[-1][0],))


def _settle(db: apsw.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    counts: dict[Cell, list[int]] = {}
    durations: Counter[tuple[Cell, int]] = Counter()
    failures: Counter[tuple[Cell, str]] = Counter()
    fewer = False
    for row in rows:
        (_, sign, execution_id, task_id, slug, project, provenance, status, finished_at) = row[:9]
        (duration_us, attempt, retrieval, stack_hash) = row[9:]
        fewer = fewer or sign < 0
        mark = split_mark(execution_id)[1]
        cell = (mark, project or "", slug or "", day_of(finished_at), task_id, provenance, status)
        sums = counts.get(cell)
        if sums is None:
            sums = counts[cell] = [0] * len(_SUMS)
        sums[0] += sign
        if attempt > 1:
            sums[1] += sign
        if duration_us is not None:
            sums[2] += sign * duration_us
            durations[cell, bucket_of(duration_us)] += sign
        if retrieval is not None:
            said = _RETRIEVAL.decode(retrieval)
            sums[3] += sign
            sums[4] += sign * (said.memory_count or 0)
            if said.latency_us is not None:
                sums[5] += sign
                sums[6] += sign * said.latency_us
        if stack_hash is not None:
            failures[cell, stack_hash] += sign
    _add_counts(db, counts)
    _add(db, "task_duration", "bucket", durations)
    _add(db, "task_failure", "stack_hash", failures)
    if fewer:
        for table in ("task_count", "task_duration", "task_failure"):
            db.execute(f"delete from {table} where attempts = 0")


def _add_counts(db: apsw.Connection, counts: Mapping[Cell, list[int]]) -> None:
    of_all: dict[Cell, list[int]] = {}
    wider: dict[Cell, list[int]] = {}
    for cell, sums in counts.items():
        if any(sums):
            _sum_up(of_all, [_without_task(cell)], sums)
            _sum_up(wider, _cells_of_task(cell, pairs=True), sums)
    for cell, sums in of_all.items():
        _sum_up(wider, _cells_of_all(cell), sums)
    rows = [
        (
            *cell,
            sums[0],
            sums[1],
            sums[2] % _MODULUS,
            sums[3],
            sums[4] % _MODULUS,
            sums[5],
            sums[6] % _MODULUS,
        )
        for cell, sums in wider.items()
    ]
    insert_rows(db, "task_count", rows, _ON_COUNTED)


def _sum_up(sums_of: dict[Cell, list[int]], cells: Iterable[Cell], sums: list[int]) -> None:
    for cell in cells:
        known = sums_of.get(cell)
        sums_of[cell] = sums if known is None else list(map(add, known, sums))


_BOUNDED: Final = frozenset(_SUMS.index(name) for name in ("duration_us", "memory_count", "latency_us"))
_ON_COUNTED: Final = f"on conflict ({', '.join(_CELL)}) do update set " + ", ".join(
    f"{name} = ({name} + excluded.{name}) & {_MODULUS - 1}"
    if at in _BOUNDED
    else f"{name} = {name} + excluded.{name}"
    for at, name in enumerate(_SUMS)
)


def _add(db: apsw.Connection, table: str, of: str, counts: Mapping[tuple[Cell, Any], int]) -> None:
    of_all: Counter[tuple[Cell, Any]] = Counter()
    wider: Counter[tuple[Cell, Any]] = Counter()
    for (cell, value), count in counts.items():
        if count:
            of_all[_without_task(cell), value] += count
            for one in _cells_of_task(cell, pairs=False):
                wider[one, value] += count
    for (cell, value), count in of_all.items():
        for one in _cells_of_all(cell):
            wider[one, value] += count
    insert_rows(
        db,
        table,
        [(*cell, value, count) for (cell, value), count in wider.items()],
        f"on conflict ({', '.join(_CELL)}, {of}) do update set attempts = attempts + excluded.attempts",
    )


def _without_task(cell: Cell) -> Cell:
    mark, project, slug, day, _, provenance, status = cell
    return mark, project, slug, day, "", provenance, status


def _marks(mark: str) -> tuple[str, ...]:
    return (OTHERS, mark) if mark else ("",)


def _cells_of_all(cell: Cell) -> Iterator[Cell]:
    """Yield the keys of the rows of all tasks that attempts of this project, slug, day and so on are in."""
    mark, project, slug, day, _, provenance, status = cell
    for of in _marks(mark):
        for period in (day, stretch_of(day)):
            yield of, "", "", period, "", provenance, status
            if project:
                yield of, project, "", period, "", provenance, status
            if slug:
                yield of, "", slug, period, "", provenance, status


def _cells_of_task(cell: Cell, *, pairs: bool) -> list[Cell]:
    """Return the keys of the rows of their task alone that they are in.

    Args:
        cell: All that is known of them.
        pairs: Also that of their task in their project. There are so many of these that only counts are kept.
    """
    mark, project, _, day, task_id, provenance, status = cell
    found: list[Cell] = []
    for of in _marks(mark):
        for period in (day, stretch_of(day)):
            found.append((of, "", "", period, task_id, provenance, status))
            if pairs and project:
                found.append((of, project, "", period, task_id, provenance, status))
    return found
