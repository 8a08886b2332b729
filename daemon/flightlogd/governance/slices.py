"""Changes of the log carried out between two commits, a few milliseconds at a time; sealed in the end."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import apsw
import structlog
import trio

from flightlog_schemas.events import DaemonPruned, Event
from flightlog_schemas.wire.control import Progress
from flightlogd.clock import system_clock
from flightlogd.hub import Hub
from flightlogd.project import read_positions
from flightlogd.store.database import is_damage
from flightlogd.store.eventlog import read_head
from flightlogd.store.tombstones import Cause, Rewrite, Slice, governing, mark_sealed, unsealed
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

T = TypeVar("T")

Say = Callable[[Progress], Awaitable[None]]

SLICE_S: Final = 0.002
"""How long a slice keeps the writer from the next commit, beside the syncing of what it overwrites."""

_VACUUM_PAGES: Final = 16
"""Pages given back to the file system in one slice."""

_PATIENCE_S: Final = 5.0
"""How long sealing waits for storage that fails: what was freed may be what it waits for."""

TURN_S: Final = 0.000_5
"""How long a thread that looks for what is to go keeps the interpreter while others wait for it."""


async def apply(hub: Hub, cause: Cause, changes: Sequence[Rewrite]) -> None:
    """Carry out changes of rows, as many in a slice as its time allows."""
    left = list(changes)
    while left:
        done = await hub.writer.do(partial(_apply_slice, cause=cause, changes=left), ahead=True)
        hub.head.forget(left[done - 1].last_seq)
        del left[:done]


def _apply_slice(db: apsw.Connection, cause: Cause, changes: Sequence[Rewrite]) -> int:
    deadline = time.monotonic() + SLICE_S
    head = read_head(db)
    borders = {found.position for found in read_positions(db).values() if found.position is not None}
    done = 0
    with governing(db):
        part = Slice(db, cause, max(system_clock(), head.received), borders)
        for change in changes:
            part.rewrite(change)
            done += 1
            if time.monotonic() > deadline:
                break
    return done


async def store(hub: Hub, put: Callable[[apsw.Connection, T], None], rows: Sequence[T]) -> None:
    """Store rows otherwise than they were, as many in a slice as its time allows; what they say stays."""
    left = rows
    while left:
        done = await hub.writer.do(partial(_store_slice, put=put, rows=left), ahead=True)
        left = left[done:]


def _store_slice(db: apsw.Connection, put: Callable[[apsw.Connection, T], None], rows: Sequence[T]) -> int:
    deadline = time.monotonic() + SLICE_S
    done = 0
    with governing(db):
        for row in rows:
            put(db, row)
            done += 1
            if time.monotonic() > deadline:
                break
    return done


async def shrink(hub: Hub, say: Say) -> None:
    """Give free pages back to the file system, in slices, and have the file cut."""
    done = 0
    while left := await hub.writer.do(_vacuum_slice, ahead=True):
        done += _VACUUM_PAGES
        await say(Progress(step="shrink", done=done, total=done + left))
    await hub.writer.do(lambda db: db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE), ahead=True)


def _vacuum_slice(db: apsw.Connection) -> int:
    before = int(db.pragma("freelist_count"))
    try:
        db.execute(f"pragma incremental_vacuum({_VACUUM_PAGES})").fetchall()
    except apsw.Error as error:
        if not is_damage(error):
            raise
        logger.warning("free space stays in the file: pages of it are damaged", reason=str(error))
        return 0
    left = int(db.pragma("freelist_count"))
    return left if left < before else 0


async def seal(hub: Hub, voice: Voice, cause: Cause, detail: Mapping[str, Any]) -> bool:
    """Tell of the tombstones that no event tells of yet: these, and those of a pass that was cut off.

    While storage fails nothing can be said in the log; what is not told then is told by the next pass.

    Args:
        hub: The daemon.
        voice: Says it in the log.
        cause: Why lines left.
        detail: What else is to be known.

    Returns:
        False where that has to wait.
    """
    last_id = 0

    def decide(db: apsw.Connection) -> Sequence[Event]:
        nonlocal last_id
        found = unsealed(db)
        if found is None:
            return []
        last_id = found.last_id
        sealed = {"first": found.first_id, "last": last_id, "sha256": found.digest.hex()}
        told = {**detail, "bytes": found.size_bytes, "tombstones": sealed}
        key = f"pruned:{found.first_id}-{last_id}"
        return [DaemonPruned(id=key, cause=cause, lines=found.lines, detail=told)]

    def told(db: apsw.Connection) -> None:
        if last_id:
            mark_sealed(db, last_id)

    with trio.move_on_after(math.inf if hub.fault is None else _PATIENCE_S) as patience:
        await voice.react(decide, told)
    if patience.cancelled_caught:
        logger.warning("what was removed is told of later: storage fails", cause=cause)
    return not patience.cancelled_caught


async def say_nothing(_progress: Progress) -> None:
    """Tell nobody how far it is."""
    await trio.lowlevel.checkpoint()
