"""One control connection: what operators ask of a running daemon."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.events import DaemonRebuilt
from flightlog_schemas.wire.control import CONTROL_REQUESTS, Difference, Progress, Rebuild, Retention
from flightlog_schemas.wire.query import End
from flightlogd import rebuild
from flightlogd.errors import ConfigError, QuestionError
from flightlogd.follow import answer_line
from flightlogd.governance.governor import Governor, asked_policy, configured_policy
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.query import decode_request, serve_requests
from flightlogd.store.database import storage_fault
from flightlogd.voice import Voice
from flightlogd.writer import Writer

logger = structlog.get_logger(__name__)

_encode = msgspec.json.encode

Reload = Callable[[], tuple[list[str], list[str]]]
Say = Callable[[Progress], Awaitable[None]]

_PATIENCE_S = 10.0
"""How long one who asked for progress may leave it unread: a rebuild under way costs the writer."""


async def serve_control(
    stream: trio.SocketStream,
    peer: Peer,
    hub: Hub,
    voice: Voice,
    governor: Governor,
    reload: Reload,
    busy: trio.Lock,
) -> None:
    """Carry out what one operator asks until the connection closes.

    Args:
        stream: The connection.
        peer: Who asks.
        hub: The daemon.
        voice: Says in the log what was done.
        governor: Takes lines out of the log.
        reload: Takes over the configuration; returns the names changed and those that need a restart.
        busy: Held by the one verb that is under way.
    """

    async def say(progress: Progress) -> None:
        with trio.move_on_after(_PATIENCE_S):
            await stream.send_all(answer_line("progress", progress))
            return
        raise trio.BrokenResourceError("progress is not read")

    async def say_nothing(_progress: Progress) -> None:
        await trio.lowlevel.checkpoint()

    async def answer(line: bytes) -> None:
        _, request = decode_request(line, CONTROL_REQUESTS)
        if isinstance(request, Rebuild):
            async with busy:
                differences = await run_rebuild(hub, request, say if request.progress else say_nothing)
            lines = [answer_line("difference", difference) for difference in differences]
            if not request.check:
                voice.say(
                    DaemonRebuilt(
                        projections=tuple(p.NAME for p in rebuild.choose(request.projections)),
                        differences={d.table: d.missing + d.extra + d.changed for d in differences},
                        reason=f"asked for by uid {peer.uid}",
                    )
                )
        elif isinstance(request, Retention):
            async with busy:
                lines = await run_retention(
                    hub, governor, request, f"uid {peer.uid}", say if request.progress else say_nothing
                )
        else:
            try:
                changed, needs_restart = reload()
            except ConfigError as error:
                raise QuestionError("invalid", error.reason, error.hint) from None
            lines = [answer_line("reload", {"changed": changed, "needs_restart": needs_restart})]
        await stream.send_all(b"".join(lines))
        await stream.send_all(b'{"end":' + _encode(End(count=len(lines), seq=hub.head.seq)) + b"}\n")

    await serve_requests(stream, hub, answer)


async def run_retention(hub: Hub, governor: Governor, request: Retention, by: str, say: Say) -> list[bytes]:
    """Remove what is over its time while everything else goes on, and return the answer.

    Args:
        hub: The daemon.
        governor: Carries it out.
        request: What is asked.
        by: Who asks.
        say: Told how far it is.

    Raises:
        QuestionError: `invalid`, for a level that is none; `projection_broken`; `internal`, where storage
            fails.
    """
    _require_state_dir(hub, request.state_dir)
    try:
        policy = asked_policy(request) or configured_policy(hub)
    except ValueError as error:
        raise QuestionError("invalid", str(error)) from None
    try:
        done, shares = await governor.retain(policy, by=by, dry_run=request.dry_run, say=say)
    except apsw.Error as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        raise QuestionError("internal", fault.reason, fault.hint) from None
    return [*(answer_line("share", share) for share in shares), answer_line("retention", done)]


def _require_state_dir(hub: Hub, state_dir: str | None) -> None:
    """Refuse what is meant for another daemon.

    Raises:
        QuestionError: `invalid`.
    """
    own = hub.config.state_dir
    if state_dir is not None and not _is_same(state_dir, own):
        raise QuestionError(
            "invalid", f"the daemon here keeps {own}, not {state_dir}", "name its --runtime-dir, too"
        )


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
    _require_state_dir(hub, request.state_dir)
    try:
        projections = rebuild.choose(request.projections)
    except KeyError as error:
        raise QuestionError("invalid", f"no read model {error.args[0]!r}") from None
    try:
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


async def _run_slices(hub: Hub, scratch: rebuild.Scratch, say: Say, *, check: bool) -> None:
    """Do what `rebuild.rebuild_alone` does, each slice on the thread where it is least in the way."""
    in_thread = trio.to_thread.run_sync
    while not await in_thread(rebuild.feed_slice, scratch):
        await say(Progress(step="feed", done=scratch.position, total=hub.head.seq))
    if not check:
        await hub.writer.do(partial(rebuild.watch, scratch=scratch))
    for done, table in enumerate(scratch.tables):
        await say(Progress(step="compare", done=done, total=len(scratch.tables)))
        await in_thread(rebuild.compare_table, scratch, table)
    while not await in_thread(rebuild.feed_slice, scratch):
        pass  # what came meanwhile
    if check:
        while not await in_thread(rebuild.check_slice, scratch):
            pass
    else:
        while not await hub.writer.do(partial(_mend_slice, scratch, hub.writer)):
            await say(Progress(step="mend", done=rebuild.count_differences(scratch), total=0))


async def _close(hub: Hub, scratch: rebuild.Scratch, *, check: bool) -> None:
    """Close the scratch database and delete its file, also when cancelled."""
    try:
        if check:
            scratch.close()
        else:
            # Queued behind a slice that may not have run yet. Not waited for when cancelled: while storage
            # fails the writer takes no jobs, and a stop must not hang.
            await hub.writer.do(lambda _db: scratch.close())
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(partial(scratch.path.unlink, missing_ok=True))


def _is_same(one: str, other: str) -> bool:
    """Say whether two paths lead to one directory."""
    return Path(one).resolve() == Path(other).resolve()


def _mend_slice(scratch: rebuild.Scratch, writer: Writer, db: apsw.Connection) -> bool:
    """Put some right; after the last the projections run again, with no commit in between."""
    done = rebuild.mend_slice(db, scratch)
    if done:
        writer.mended(projection.NAME for projection in scratch.projections)
    return done
