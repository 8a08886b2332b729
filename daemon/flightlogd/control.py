"""One control connection: what operators ask of a running daemon."""

from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.events import DaemonRebuilt
from flightlog_schemas.wire.control import (
    CONTROL_REQUESTS,
    Hold,
    Progress,
    Rebuild,
    Retention,
    Scrub,
    Scrubbed,
)
from flightlog_schemas.wire.reply import End
from flightlogd import rebuild
from flightlogd.errors import ConfigError, QuestionError
from flightlogd.follow import answer_line
from flightlogd.governance.governor import Governor, asked_policy, configured_policy
from flightlogd.governance.scrub import scrub
from flightlogd.governance.slices import Say, say_nothing
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.query import decode_request, serve_requests
from flightlogd.rebuild_live import run_rebuild
from flightlogd.store.database import storage_fault
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

_encode = msgspec.json.encode

Reload = Callable[[], tuple[list[str], list[str]]]

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

    async def answer(line: bytes) -> None:
        _, request = decode_request(line, CONTROL_REQUESTS)
        if isinstance(request, Rebuild):
            _require_state_dir(hub, request.state_dir)
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
        elif isinstance(request, Hold):
            _require_state_dir(hub, request.state_dir)
            async with busy:
                await stream.send_all(answer_line("held", {"seq": hub.head.seq}))
                await trio.sleep_forever()  # until the operator hangs up
        elif isinstance(request, Scrub):
            async with busy:
                done = await run_scrub(
                    hub, voice, request, f"uid {peer.uid}", say if request.progress else say_nothing
                )
            lines = [answer_line("scrub", done)]
        else:
            try:
                changed, needs_restart = reload()
            except ConfigError as error:
                raise QuestionError("invalid", error.reason, error.hint) from None
            lines = [answer_line("reload", {"changed": changed, "needs_restart": needs_restart})]
        await stream.send_all(b"".join(lines))
        await stream.send_all(b'{"end":' + _encode(End(count=len(lines), seq=hub.head.seq)) + b"}\n")

    await serve_requests(stream, peer, hub, answer)


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
        raise _internal(error) from None
    return [*(answer_line("share", share) for share in shares), answer_line("retention", done)]


async def run_scrub(hub: Hub, voice: Voice, request: Scrub, by: str, say: Say) -> Scrubbed:
    """Mask a value in all that the daemon keeps, while everything else goes on.

    Args:
        hub: The daemon.
        voice: Says in the log what was done.
        request: What is asked.
        by: Who asks.
        say: Told how far it is.

    Raises:
        QuestionError: `invalid`, for a value that cannot be looked for; `projection_broken`; `internal`,
            where storage fails.
    """
    _require_state_dir(hub, request.state_dir)
    try:
        return await scrub(hub, voice, request.value, by=by, dry_run=request.dry_run, say=say)
    except ValueError as error:
        raise QuestionError("invalid", str(error)) from None
    except apsw.Error as error:
        raise _internal(error) from None


def _internal(error: apsw.Error) -> QuestionError:
    """Return what an operator is told where storage fails; what is no fault of it is raised again."""
    fault = storage_fault(error)
    if fault is None:
        raise error
    return QuestionError("internal", fault.reason, fault.hint)


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


def _is_same(one: str, other: str) -> bool:
    """Say whether two paths lead to one directory."""
    return Path(one).resolve() == Path(other).resolve()
