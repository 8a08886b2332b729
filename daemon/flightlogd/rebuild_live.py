"""A rebuild beside the live tables: each slice on the thread where it is least in the way."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import apsw
import structlog
import trio

from flightlog_schemas.wire.control import Difference, Progress, Rebuild
from flightlogd import rebuild
from flightlogd.errors import QuestionError
from flightlogd.governance.slices import Say
from flightlogd.hub import Hub
from flightlogd.projections import Projection
from flightlogd.renew import find_damaged, renew
from flightlogd.store.database import DATABASE, storage_fault
from flightlogd.writer import Writer

logger = structlog.get_logger(__name__)


async def run_rebuild(hub: Hub, request: Rebuild, say: Say) -> list[Difference]:
    """Rebuild or check read models while everything else goes on.

    Cancelled, it leaves what earlier slices put right; a read model that had stopped stays so.

    Args:
        hub: The daemon.
        request: What is asked.
        say: Told how far it is.

    Raises:
        QuestionError: `invalid`, for a projection that there is not; `projection_broken`, for one that cannot
            be computed; `internal`, where storage fails.
    """
    try:
        projections = rebuild.choose(request.projections)
    except KeyError as error:
        raise QuestionError("invalid", f"no read model {error.args[0]!r}") from None
    try:
        if not request.check:
            await _renew(hub, projections)
        scratch = await trio.to_thread.run_sync(rebuild.open_scratch, Path(hub.config.state_dir), projections)
        try:
            await _run_slices(hub, scratch, say, check=request.check)
        finally:
            await _close(hub, scratch, check=request.check)
    except apsw.Error as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        raise QuestionError("internal", fault.reason, fault.hint) from None
    differences = rebuild.found_differences(scratch)
    if not request.check:
        logger.info("read models rebuilt", differences=len(differences))
    return differences


async def _renew(hub: Hub, projections: Sequence[Projection]) -> None:
    """Make tables anew that are damaged: nothing in them could be compared."""
    database = Path(hub.config.state_dir) / DATABASE
    damaged = await trio.to_thread.run_sync(find_damaged, database, projections)

    def make_anew(db: apsw.Connection) -> None:
        renew(db, damaged, rebuild.UNFINISHED_VERSION)
        hub.writer.projector.broken.update(projection.NAME for projection in damaged)

    if damaged:
        await hub.writer.do(make_anew, ahead=True)


async def _run_slices(hub: Hub, scratch: rebuild.Scratch, say: Say, *, check: bool) -> None:
    """Do what `rebuild.rebuild_alone` does, each slice on the thread where it is least in the way."""
    in_thread = trio.to_thread.run_sync
    while not await in_thread(rebuild.feed_slice, scratch):
        await say(Progress(step="feed", done=scratch.position, total=hub.head.seq))
    if not check:
        await hub.writer.do(partial(rebuild.watch, scratch=scratch), ahead=True)
    for done, table in enumerate(scratch.tables):
        await say(Progress(step="compare", done=done, total=len(scratch.tables)))
        await in_thread(rebuild.compare_table, scratch, table)
    while not await in_thread(rebuild.feed_slice, scratch):
        pass  # what came meanwhile
    if check:
        while not await in_thread(rebuild.check_slice, scratch):
            pass
    else:
        while not await hub.writer.do(partial(_mend_slice, scratch, hub.writer), ahead=True):
            await say(Progress(step="mend", done=rebuild.count_differences(scratch), total=0))


async def _close(hub: Hub, scratch: rebuild.Scratch, *, check: bool) -> None:
    """Close the scratch database and delete its file, also when cancelled."""
    try:
        if check:
            scratch.close()
        else:
            # Queued behind a slice that may not have run yet. Not waited for when cancelled: a stop must not
            # hang where storage does.
            await hub.writer.do(lambda _db: scratch.close(), ahead=True)
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(partial(scratch.path.unlink, missing_ok=True))


def _mend_slice(scratch: rebuild.Scratch, writer: Writer, db: apsw.Connection) -> bool:
    """Put some right; after the last the projections run again, with no commit in between."""
    done = rebuild.mend_slice(db, scratch)
    if done:
        writer.projector.mended(projection.NAME for projection in scratch.projections)
    return done
