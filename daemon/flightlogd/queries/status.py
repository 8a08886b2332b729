"""How the daemon is, in one answer."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.answers import DaemonStatus, LateCursor, ProjectionStatus, SearchStatus
from flightlog_schemas.passing import RelayStatus
from flightlogd import __version__
from flightlogd.clock import system_clock
from flightlogd.hub import Hub
from flightlogd.lag import late_cursors
from flightlogd.project import read_positions
from flightlogd.queries.passing import Origins, origins, relays
from flightlogd.store.cold import stored
from flightlogd.store.cursors import sum_up_cursors
from flightlogd.store.database import DAMAGE_HINT, DATABASE, is_damage
from flightlogd.store.eventlog import read_head
from flightlogd.store.reserve import RESERVE
from flightlogd.store.searchfeed import unindexed_since
from flightlogd.store.sizes import file_size
from flightlogd.store.wal import kept_wal

T = TypeVar("T")

_SHOWN_USERS = 100

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def daemon_status(hub: Hub) -> DaemonStatus:
    """Return the daemon's state, positions, sizes and queues."""
    head_seq, received, projections = await hub.readers.run(_from_database)
    damage: set[str] = set()
    running = await _unless_damaged(hub, _running, 0, damage)
    refused = await _unless_damaged(hub, _refused, 0, damage)
    line_gaps = await _unless_damaged(hub, _line_gaps, 0, damage)
    cursors, cursor_lag = await _unless_damaged(hub, _cursors, (0, 0), damage)
    nobody: list[LateCursor] = []
    late = await _unless_damaged(hub, lambda db: late_cursors(db, hub.config, system_clock()), nobody, damage)
    no_relay: list[RelayStatus] = []
    passed_on = await _unless_damaged(hub, lambda db: relays(db, system_clock()), no_relay, damage)
    others = await _unless_damaged(hub, origins, Origins([], 0, None), damage)
    fault = hub.fault or hub.writer.tidy_fault
    search = await _search_status(hub, head_seq)
    database = Path(hub.config.state_dir) / DATABASE
    damaged_wal = kept_wal(database)
    broken = [projection.name for projection in projections if projection.broken_at is not None]
    state, reason = "ok", None
    if fault is not None:
        state, reason = fault.state, f"{fault.reason}; {fault.hint}"
    elif damage:
        state, reason = "storage_failing", f"{'; '.join(sorted(damage))}; {DAMAGE_HINT}"
    elif broken:
        state, reason = "degraded", f"read models stopped: {', '.join(broken)}; flightlogd rebuild"
    elif search.state == "failing":
        state, reason = "degraded", f"search: {search.reason}"
    return DaemonStatus(
        schema_version=SCHEMA_VERSION,
        version=__version__,
        log_id=hub.log_id,
        host=hub.host,
        state=state,
        state_reason=reason,
        phase=hub.writer.phase,
        pid=os.getpid(),
        uptime_us=max(0, system_clock() - hub.started_us),
        head_seq=head_seq,
        clock_behind_us=max(0, received - system_clock()),
        database_bytes=file_size(database),
        wal_bytes=file_size(database.with_name(f"{DATABASE}-wal")),
        damaged_wal=None if damaged_wal is None else str(damaged_wal),
        reserve_bytes=file_size(database.with_name(RESERVE)),
        free_bytes=_free_bytes(database.parent),
        memory_bytes=_memory_bytes(),
        running=running,
        watched=hub.watched,
        unwatched=hub.unwatched,
        refused=refused,
        masked_lines=hub.masker.masked_lines,
        line_gaps=line_gaps,
        connections=dict(hub.connections),
        users=[user.status(hub.inbox.held_bytes(user.uid)) for user in hub.users.all()[:_SHOWN_USERS]],
        followers=hub.followers,
        cursors=cursors,
        cursor_lag=cursor_lag,
        late_cursors=late,
        relays=passed_on,
        origins=others.latest,
        origin_count=others.count,
        collected_at=others.collected_at,
        queued_lines=hub.inbox.queued_lines,
        queued_bytes=hub.inbox.queued_bytes,
        projections=projections,
        search=search,
        stored=await hub.readers.run(stored),
        retention=hub.retention,
        table_bytes=hub.table_bytes,
        state_dir=hub.config.state_dir,
        runtime_dir=hub.config.runtime_dir,
    )


async def _unless_damaged(
    hub: Hub, question: Callable[[apsw.Connection], T], otherwise: T, damage: set[str]
) -> T:
    """Return an answer, or note that what it needs is damaged: the rest is told all the same."""
    try:
        return await hub.readers.run(question)
    except apsw.Error as error:
        if not is_damage(error):
            raise
        damage.add(str(error))
        return otherwise


def _from_database(db: apsw.Connection) -> tuple[int, int, list[ProjectionStatus]]:
    head = read_head(db)
    head_seq = head.seq
    projections = [
        ProjectionStatus(
            name=found.name,
            position=head_seq if found.position is None else found.position,
            lag=0 if found.position is None else head_seq - found.position,
            broken_at=found.broken_at,
            error=found.error,
        )
        for found in read_positions(db).values()
    ]
    return head_seq, head.received, projections


def _running(db: apsw.Connection) -> int:
    return int(db.execute("select count(*) from execution where status = 'running'").get)


def _refused(db: apsw.Connection) -> int:
    # Who lost a race was told, and that is all there is to it.
    return int(db.execute("select count(*) from refused where code <> 'conflict'").get)


def _line_gaps(db: apsw.Connection) -> int:
    return int(db.execute("select count(*) from line_gap where cause = 'missing'").get)


def _cursors(db: apsw.Connection) -> tuple[int, int]:
    count, hindmost = sum_up_cursors(db)
    return count, 0 if hindmost is None else max(0, read_head(db).seq - hindmost)


async def _search_status(hub: Hub, head_seq: int) -> SearchStatus:
    search = hub.search
    position = search.position
    since = None
    if search.state != "off" and position < head_seq:
        since = await hub.readers.run(lambda db: unindexed_since(db, position))
    return SearchStatus(
        state=search.state,
        reason=search.reason,
        position=position,
        lag=0 if search.state == "off" else max(0, head_seq - position),
        lag_us=0 if since is None else max(0, system_clock() - since),
        index_bytes=file_size(search.path) + file_size(search.path.with_name(f"{search.path.name}-wal")),
    )


def _free_bytes(directory: Path) -> int:
    """Return how much the file system has for everybody (statvfs(3))."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def _memory_bytes() -> int:
    """Return the resident set (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
