"""Waiting for a daemon that should answer at once, and saying why where it does not."""

import os
import select
import socket
import struct
import time
from pathlib import Path
from typing import Final

from flightlog.dial import away
from flightlog.errors import DaemonAway

LOOK_S: Final = 3.0
"""A daemon that has said nothing for so long is looked at: it may be stopped."""

ANSWER_LIMIT_S: Final = 10.0
"""Longest wait for one that is not, as far as can be seen."""

_CREDENTIALS: Final = struct.Struct("3i")


class Prompt:
    """The `wait` of a `Connection` on which answers are due at once.

    Args:
        path: The socket, for the message.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, descriptor: int) -> None:
        """Return when there is something to read.

        Raises:
            DaemonAway: the daemon's process is stopped, or it says nothing.
        """
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        silent_until = time.monotonic() + ANSWER_LIMIT_S
        while not poll.poll(LOOK_S * 1000):
            pid = _listener(descriptor)
            if pid is not None and is_stopped(pid):
                raise DaemonAway(
                    f"the daemon on {self._path} does not answer: its process {pid} is stopped",
                    f"kill -CONT {pid} lets it go on",
                )
            if time.monotonic() >= silent_until:
                raise away(self._path, TimeoutError())


def is_stopped(pid: int) -> bool:
    """Say whether a process was stopped by a signal or a debugger; not where nothing is known of it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The command's name comes in parentheses and may hold any character.
    return stat[stat.rindex(b")") + 2 :][:1] in (b"T", b"t")


def _listener(descriptor: int) -> int | None:
    """Return the process that listens at the other end, None where the kernel does not say."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as peer:
            found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    pid: int = _CREDENTIALS.unpack(found)[0]
    return pid or None
