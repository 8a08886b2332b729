"""Which lines are over their time: read in steps, off the writer's thread, as rewrites for it to carry out.

A log line goes when its execution has ended and the policy keeps it no longer; and, beyond that, the oldest
first, while the database is larger than it may be. Users' own events that belong to no execution go with the
audit trail's time. What has not ended is not touched.
"""

from typing import Final

import apsw
from msgspec import Struct, field

from flightlog_schemas.events import Event, Log, UserEvent
from flightlog_schemas.levels import NAMES
from flightlog_schemas.statuses import TERMINAL
from flightlog_schemas.wire.control import Share
from flightlogd.batch import Batch
from flightlogd.facts import level_range
from flightlogd.governance.policy import Policy
from flightlogd.governance.rewrite import Row, without
from flightlogd.store.eventlog import first_received_since, read_batches, read_head
from flightlogd.store.tombstones import Rewrite

_STEP_BATCHES: Final = 4
"""Rows of the log decoded in one step: some milliseconds."""

_STEP_SKIPPED: Final = 64
"""Rows looked at in one step where none changes."""


class Kind(Struct, frozen=True):
    """What decides, beside the level, how long an execution's lines are kept.

    Attributes:
        status: How it ended; None: it has not, so nothing of it goes.
        project: Its project.
    """

    status: str | None
    project: str | None


class Sweep(Struct):
    """One look over the log.

    Attributes:
        policy: What is kept.
        now_us: What counts as now, microseconds since the epoch.
        until: Positions up to here are looked at.
        excess_bytes: What is still to be freed because the database is too large.
        position: Positions up to here have been looked at.
        removed: Executions that go whole, so that their lines are not counted here.
        shares: What goes, by (level, status, project).
    """

    policy: Policy
    now_us: int
    until: int
    excess_bytes: int
    position: int = 0
    removed: set[str] = field(default_factory=set)
    shares: dict[tuple[str, str, str | None], Share] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """True when there is nothing more to look at."""
        return self.position >= self.until


def begin_sweep(db: apsw.Connection, policy: Policy, now_us: int) -> Sweep:
    """Return a sweep that has yet to look at anything."""
    head = read_head(db).seq
    excess = 0 if policy.size_bytes is None else max(used_bytes(db) - policy.size_bytes, 0)
    kept = [keep for keep in (policy.shortest_us, policy.audit_keep_us) if keep is not None]
    if excess:
        until = head
    elif kept:
        later = first_received_since(db, now_us - min(kept) + 1)
        until = head if later is None else later - 1
    else:
        until = 0
    return Sweep(policy, now_us, until, excess)


def used_bytes(db: apsw.Connection) -> int:
    """Return how much of the database's file is in use."""
    pages = int(db.pragma("page_count")) - int(db.pragma("freelist_count"))
    return pages * int(db.pragma("page_size"))


def sweep_step(db: apsw.Connection, sweep: Sweep) -> list[Rewrite]:
    """Look at the next rows and return those that are to change."""
    found: list[Rewrite] = []
    kinds: dict[str, Kind] = {}
    for looked_at, batch in enumerate(read_batches(db, sweep.position, sweep.until), 1):
        change = _look(db, sweep, batch, kinds)
        sweep.position = batch.last_seq
        if change is not None:
            found.append(change)
        if len(found) >= _STEP_BATCHES or looked_at >= _STEP_SKIPPED:
            return found
    sweep.position = sweep.until
    return found


def _look(db: apsw.Connection, sweep: Sweep, batch: Batch, kinds: dict[str, Kind]) -> Rewrite | None:
    age_us = sweep.now_us - batch.received
    policy = sweep.policy
    for execution_id in batch.facts.tallies:
        if execution_id not in kinds:
            gone = execution_id in sweep.removed
            kinds[execution_id] = Kind(None, None) if gone else _kind_of(db, execution_id)
    if sweep.excess_bytes <= 0 and not _may_leave(policy, age_us, batch, kinds):
        return None
    row = Row(batch.first_seq, batch.received, batch.lines, batch.events)

    def leaves(index: int, event: Event) -> bool:
        if type(event) is UserEvent and event.execution_id is None:
            return policy.audit_keep_us is not None and age_us >= policy.audit_keep_us
        if type(event) is not Log or event.execution_id is None:
            return False
        kind = kinds[event.execution_id]
        if kind.status is None:
            return False
        level = NAMES[level_range(event.level)]
        keep_us = policy.keeps(level, kind.status, kind.project)
        if sweep.excess_bytes <= 0 and (keep_us is None or age_us < keep_us):
            return False
        size_bytes = len(batch.lines[index])
        sweep.excess_bytes -= size_bytes
        share = sweep.shares.setdefault(
            (level, kind.status, kind.project),
            Share(level=level, status=kind.status, project=kind.project, lines=0, bytes=0),
        )
        share.lines += 1
        share.bytes += size_bytes
        return True

    return without(row, leaves, counts=True)


def _may_leave(policy: Policy, age_us: int, batch: Batch, kinds: dict[str, Kind]) -> bool:
    """Say whether any line of a row can be over its time, by what its executions and levels are."""
    if policy.audit_keep_us is not None and age_us >= policy.audit_keep_us:
        return True
    for execution_id, tally in batch.facts.tallies.items():
        kind = kinds[execution_id]
        if kind.status is None:
            continue
        for place, count in enumerate(tally.levels):
            if count:
                keep_us = policy.keeps(NAMES[place], kind.status, kind.project)
                if keep_us is not None and age_us >= keep_us:
                    return True
    return False


def _kind_of(db: apsw.Connection, execution_id: str) -> Kind:
    """Return what an execution is; one that nobody announced runs nowhere, as far as anybody knows."""
    row = db.execute(
        "select status, announced, project from execution where execution_id = ?", (execution_id,)
    ).fetchone()
    if row is None:
        return Kind(None, None)
    status, announced, project = row
    ended = status in TERMINAL or not announced
    return Kind(str(status) if ended else None, None if project is None else str(project))
