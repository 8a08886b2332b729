"""Connecting to a Unix socket, with errors that an operator can act on."""

import errno
import os
import socket
from pathlib import Path

from flightlog.errors import DaemonAway

_START_HINT = "start flightlogd, or say where it listens with --runtime-dir or $FLIGHTLOG_RUNTIME_DIR"


def dial(path: Path, timeout_s: float | None = None) -> socket.socket:
    """Return a connected, blocking stream socket with this timeout.

    Args:
        path: The daemon's socket.
        timeout_s: Longest wait in seconds for this and every later operation; None waits for ever.

    Raises:
        DaemonAway: nobody accepts there, or this user may not connect.
    """
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(timeout_s)
        peer.connect(os.fspath(path))
    except BaseException as error:
        peer.close()
        if isinstance(error, OSError):
            raise away(path, error) from error
        raise
    return peer


def away(path: Path, error: OSError) -> DaemonAway:
    """Return the error that says why nobody could be reached at a path."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return DaemonAway(f"no daemon listens on {path}", _START_HINT)
    if isinstance(error, PermissionError):
        return DaemonAway(f"not allowed to use {path}", "join the socket's group, or ask who runs the daemon")
    if isinstance(error, TimeoutError) or error.errno == errno.EAGAIN:
        return DaemonAway(
            f"the daemon on {path} does not answer",
            "is its process stopped, or its disk? Its log may say more",
        )
    return DaemonAway(f"cannot reach {path}: {error.strerror or error}", _START_HINT)
