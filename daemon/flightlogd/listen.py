"""The three sockets: bind or inherit them, accept, ask the kernel who is there.

A stale socket is replaced, a live daemon's is not, and what is no socket is left alone.
"""

import errno
import grp
import os
import resource
import socket
import stat
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
import trio

from flightlogd.config import Config
from flightlogd.errors import StartError
from flightlogd.hub import Hub
from flightlogd.peer import Peer, peer_of
from flightlogd.users import Refusal

logger = structlog.get_logger(__name__)

NAMES: Final = ("ingest", "query", "control")
BACKLOG: Final = 1024
"""Connections that may wait for accept; the kernel caps it at net.core.somaxconn."""

_ACCEPTED_AT_ONCE: Final = 64

_ACCEPT_TURN_S: Final = 0.0003
"""How much of the processor's time accepting may take in one turn of the loop while there is a crowd."""

_OTHER_DESCRIPTORS: Final = 256
"""Database, logs, readers."""

_FIRST_INHERITED: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

_RETRIED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""The machine is short of something: accept again a little later. Anything else is our bug."""

_ALL_TAKEN: Final = Refusal(
    "too_many_connections",
    "flightlogd has as many connections as connection_limit allows",
    "close idle ones, or raise connection_limit and reload",
)

TurnAway = Callable[[str, Refusal], bytes]
Serve = Callable[[trio.SocketStream, Peer, trio.Nursery], Awaitable[None]]


def inherited_sockets(environ: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """Return the listening sockets that the supervisor passed, by name (sd_listen_fds(3)).

    The variables are taken out of `environ`, so that no child believes they are its own.

    Raises:
        StartError: a name is not ingest, query or control, or a descriptor does not listen.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "0")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()):
        return {}
    found: dict[str, socket.socket] = {}
    for place in range(int(count)):
        name = names[place].removesuffix(".socket").rpartition("-")[2] if place < len(names) else ""
        if name not in NAMES:
            raise StartError(
                f"inherited socket {place} is named {name!r}",
                "set FileDescriptorName= to ingest, query or control",
            )
        sock = socket.socket(fileno=_FIRST_INHERITED + place)
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise StartError(f"inherited socket {name} does not listen")
        sock.set_inheritable(False)
        sock.setblocking(False)
        found[name] = sock
    return found


def allow_descriptors(connection_limit: int, pidfd_limit: int) -> None:
    """Raise the soft limit on descriptors, so that there are enough for all connections and owners.

    Args:
        connection_limit: Connections on each socket.
        pidfd_limit: Processes that are watched by a descriptor.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = len(NAMES) * connection_limit + pidfd_limit + _OTHER_DESCRIPTORS
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    if hard < wanted:
        logger.warning(
            "fewer descriptors than the limits allow for",
            allowed=hard,
            wanted=wanted,
            hint="raise LimitNOFILE= (ulimit -Hn), or lower connection_limit and pidfd_limit",
        )


def bind_sockets(config: Config, inherited: Mapping[str, socket.socket]) -> dict[str, socket.socket]:
    """Return all three listening sockets; those that were not inherited are bound in the runtime directory.

    Raises:
        StartError: a live daemon listens there, something else is in the way, or it is not ours to write.
    """
    folder = Path(config.runtime_dir)
    sockets = dict(inherited)
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in NAMES:
            if name not in sockets:
                mode = int(getattr(config, f"{name}_mode"), 8)
                group = getattr(config, f"{name}_group")
                sockets[name] = _bind(folder / f"{name}.sock", mode, group)
    except OSError as error:
        raise StartError(
            f"{folder}: {error.strerror}", "run as a user who may write there, or name another --runtime-dir"
        ) from None
    return sockets


def _bind(path: Path, mode: int, group: str) -> socket.socket:
    try:
        status = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(status.st_mode):
            raise StartError(f"{path}: not a socket, and in the way", "move it away")
        if _is_live(path):
            raise StartError(
                f"{path}: another daemon listens there", "stop that one, or name another --runtime-dir"
            )
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # The mode is right from the first moment: nobody else may connect between bind and chmod.
    mask = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
    finally:
        os.umask(mask)
    if group:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    sock.listen(BACKLOG)
    return sock


def _is_live(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


async def accept_forever(
    name: str, sock: socket.socket, hub: Hub, nursery: trio.Nursery, serve: Serve, turn_away: TurnAway
) -> None:
    """Accept connections of one socket into `nursery` until cancelled.

    Args:
        name: Which socket: ingest, query or control.
        sock: It.
        hub: For the limit on connections.
        nursery: Where connections live; they outlast accepting.
        serve: Serves one connection; the stream is closed after it.
        turn_away: Returns what a peer is told who is not let in.
    """
    while True:
        await trio.lowlevel.wait_readable(sock)
        began = time.thread_time()
        try:
            # Many in a turn of the loop: a crowd that comes and goes keeps nobody waiting in the queue.
            for _ in range(_ACCEPTED_AT_ONCE):
                accepted, _ = sock.accept()
                peer = peer_of(accepted)
                refusal = _ALL_TAKEN if _is_full(hub, name) else hub.users.refusal(name, peer.uid)
                if refusal is not None:
                    _refuse(accepted, turn_away(name, refusal))
                    continue
                nursery.start_soon(_serve_one, name, accepted, peer, hub, nursery, serve)
                hub.connections[name] += 1
                hub.users.enter(name, peer.uid)
                if hub.users.share.crowded and time.thread_time() - began > _ACCEPT_TURN_S:
                    break
        except (BlockingIOError, ConnectionAbortedError):
            continue
        except OSError as error:
            if error.errno not in _RETRIED:
                raise
            logger.warning("cannot accept", socket=name, error=error.strerror)
            await trio.sleep(0.1)


def _is_full(hub: Hub, name: str) -> bool:
    return hub.connections[name] >= hub.config.connection_limit


def _refuse(accepted: socket.socket, last_word: bytes) -> None:
    with accepted, suppress(OSError):
        accepted.setblocking(False)
        accepted.send(last_word)


async def _serve_one(
    name: str, accepted: socket.socket, peer: Peer, hub: Hub, nursery: trio.Nursery, serve: Serve
) -> None:
    with accepted:
        try:
            await hub.users.share.turn(peer)
            # Closed by trio, which has to forget its descriptor.
            with trio.socket.from_stdlib_socket(accepted) as sock:
                await serve(trio.SocketStream(sock), peer, nursery)
        finally:
            hub.connections[name] -= 1
            hub.users.leave(name, peer.uid)
