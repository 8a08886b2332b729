"""A daemon in the test's own hands, for what a real one does rarely or never."""

import json
import socket
from pathlib import Path

from support.peers import IngestPeer, Json

FAKE_TIMEOUT_S = 20.0
"""How long a fake waits for a client before its test fails."""


class FakeDaemon:
    """A listening ingest.sock that speaks and hears nothing by itself."""

    def __init__(self, runtime_dir: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(runtime_dir / "ingest.sock"))
        self.listener.listen()
        self.listener.settimeout(FAKE_TIMEOUT_S)

    def accept(self) -> "Producer":
        """Return the next connection."""
        return Producer(self.listener.accept()[0])


class Producer(IngestPeer):
    """The daemon's end of a connection."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.socket.settimeout(FAKE_TIMEOUT_S)
        self._rest = b""
        self._lines = []

    def said(self, count: int = 1) -> list[Json]:
        """Return that many lines from the client."""
        lines = [self.next() for _ in range(count)]
        return [line for line in lines if line is not None]

    def say(self, **reply: object) -> None:
        """Send one reply."""
        self.send(json.dumps(reply).encode() + b"\n")

    def ready(self, acked: int) -> Json:
        """Take the hello and answer it; return what the hello said."""
        (greeting,) = self.said()
        hello = greeting["hello"]
        assert isinstance(hello, dict)
        self.say(ready={"protocol": 1, "producer": hello["producer"], "acked": acked, "log_id": "fake"})
        return hello
