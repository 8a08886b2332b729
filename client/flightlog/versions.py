"""Which versions talk to each other, where one does not understand the other."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from flightlog.dial import dial
from flightlog.errors import DaemonAway
from flightlog.paths import query_socket

_ANSWER_LIMIT_S: Final = 1.0
_ANSWER_LIMIT_BYTES: Final = 1024 * 1024
_RECEIVE_BYTES: Final = 64 * 1024


class _Status(Struct):
    """Of how a daemon is, what every version of it says."""

    version: str


_decode = msgspec.json.Decoder(dict[str, _Status]).decode


def versions_hint(directory: Path, *, told_apart: bool = False) -> str | None:
    """Return which versions daemon and client are of, and what to do where they do not understand each other.

    Args:
        directory: The directory of the daemon's sockets.
        told_apart: Return None where it is not known that they are different.
    """
    from importlib.metadata import version  # here, for hardly anybody needs it

    here, there = version("flightlog"), _daemon_version(query_socket(directory))
    if there is not None and there != here:
        return f"flightlogd is {there}, this is flightlog {here}: install one version, and restart flightlogd"
    if told_apart:
        return None
    if there is None:
        return f"this is flightlog {here}: is it flightlogd that listens there?"
    return f"both are {here}: restart flightlogd, if it was installed anew since it was started"


def _daemon_version(path: Path) -> str | None:
    """Return the version of the daemon that answers questions on a socket, None where it says none."""
    line = b""
    try:
        with dial(path, _ANSWER_LIMIT_S) as peer:
            peer.sendall(b'{"status":{}}\n')
            while b"\n" not in line and len(line) < _ANSWER_LIMIT_BYTES:
                data = peer.recv(_RECEIVE_BYTES)
                if not data:
                    break
                line += data
        [status] = _decode(line.partition(b"\n")[0]).values()
    except (DaemonAway, OSError, ValueError):
        return None
    return status.version
