"""What a supervisor is told, by the protocol of sd_notify(3): ready, reloading, stopping, alive.

Without a supervisor that wants to know, nothing is said.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

import structlog

logger = structlog.get_logger(__name__)

_FEEDS: Final = 2
"""How often within its time the watchdog is fed (sd_watchdog_enabled(3))."""


class Notifier:
    """Tells the supervisor of this process.

    Args:
        address: Its socket, a path or an abstract name with `@` in front; None: nobody wants to know.
        watchdog_s: It ends us when it hears nothing for so long, seconds; None: it does not.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self._address = None if address is None else address.replace("@", "\0", 1)
        self.feed_every_s = None if watchdog_s is None else watchdog_s / _FEEDS
        """How often to say that we are alive; None: never."""

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> "Notifier":
        """Return what the environment says, and take it out there: no child is to speak for us."""
        address = environ.pop("NOTIFY_SOCKET", None)
        micros = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", str(os.getpid()))
        meant = micros.isdigit() and int(micros) > 0 and pid == str(os.getpid())
        return cls(address, int(micros) / 1e6 if meant else None)

    def ready(self, status: str) -> None:
        """All sockets accept; also after a reload."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Settings are being read again; `ready` follows."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, reason: str) -> None:
        """We are about to end."""
        self._tell("STOPPING=1", f"STATUS={reason}")

    def alive(self, status: str) -> None:
        """Work goes on."""
        self._tell("WATCHDOG=1", f"STATUS={status}")

    def _tell(self, *said: str) -> None:
        if self._address is None:
            return
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock,
        ):
            sock.sendto("\n".join(said).encode(), self._address)
