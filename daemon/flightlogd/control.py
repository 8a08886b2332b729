"""One control connection: what operators ask of a running daemon."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.events import DaemonRebuilt
from flightlog_schemas.wire.control import CONTROL_REQUESTS, Difference, Rebuild
from flightlog_schemas.wire.query import End
from flightlogd import rebuild
from flightlogd.errors import ConfigError, QuestionError
from flightlogd.follow import answer_line
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.query import decode_request, serve_requests
from flightlogd.store.database import DATABASE, open_reader
from flightlogd.voice import Voice
from flightlogd.writer import Writer

logger = structlog.get_logger(__name__)

_encode = msgspec.json.encode

Reload = Callable[[], tuple[list[str], list[str]]]


async def serve_control(
    stream: trio.SocketStream, peer: Peer, hub: Hub, voice: Voice, reload: Reload, busy: trio.Lock
) -> None:
    """Carry out what one operator asks until the connection closes.

    Args:
        stream: The connection.
        peer: Who asks.
        hub: The daemon.
        voice: Says in the log what was done.
        reload: Takes over the configuration; returns the names changed and those that need a restart.
        busy: Held by the one verb that is under way.
    """

    async def answer(line: bytes) -> None:
        _, request = decode_request(line, CONTROL_REQUESTS)
        if isinstance(request, Rebuild):
            async with busy:
                differences = await run_rebuild(hub, request)
            lines = [answer_line("difference", difference) for difference in differences]
            if not request.check:
                voice.say(
                    DaemonRebuilt(
                        projections=tuple(p.NAME for p in rebuild.choose(request.projections)),
                        differences={d.table: d.missing + d.extra + d.changed for d in differences},
                        reason=f"asked for by uid {peer.uid}",
                    )
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


async def run_rebuild(hub: Hub, request: Rebuild) -> list[Difference]:
    """Rebuild or check read models while everything else goes on.

    Raises:
        QuestionError: `invalid`, for a projection that there is not.
    """
    own = hub.config.state_dir
    if request.state_dir is not None and not _is_same(request.state_dir, own):
        raise QuestionError(
            "invalid", f"the daemon here keeps {own}, not {request.state_dir}", "name its --runtime-dir, too"
        )
    try:
        projections = rebuild.choose(request.projections)
    except KeyError as error:
        raise QuestionError("invalid", f"no read model {error.args[0]!r}") from None
    state_dir = Path(hub.config.state_dir)

    def prepare() -> rebuild.Scratch:
        scratch = rebuild.open_scratch(state_dir, projections)
        reader = open_reader(state_dir / DATABASE)
        try:
            while not rebuild.feed_slice(reader, scratch):
                pass
        finally:
            reader.close()
        return scratch

    def check(scratch: rebuild.Scratch) -> list[Difference]:
        reader = open_reader(state_dir / DATABASE)
        try:
            return rebuild.check(reader, scratch)
        finally:
            reader.close()

    scratch = await trio.to_thread.run_sync(prepare)
    try:
        if request.check:
            return await trio.to_thread.run_sync(check, scratch)
        differences = await hub.writer.do(partial(_apply, scratch, hub.writer))
        logger.info("read models rebuilt", differences=len(differences))
        return differences
    finally:
        await trio.to_thread.run_sync(scratch.close)


def _is_same(one: str, other: str) -> bool:
    """Say whether two paths lead to one directory."""
    return Path(one).resolve() == Path(other).resolve()


def _apply(scratch: rebuild.Scratch, writer: Writer, db: apsw.Connection) -> list[Difference]:
    """Apply, and run the projections again, with no commit in between (on the writer's thread)."""
    differences = rebuild.apply(db, scratch)
    writer.mended(projection.NAME for projection in scratch.projections)
    return differences
