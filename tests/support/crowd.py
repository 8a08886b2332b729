"""A crowd of hostile connections, in a process and as a user of its own; ends when its stdin does.

Run with the runtime directory, the number of connections, the uid to be, and the kinds of connections if not
all of them. It says `there` once all are connected.
"""

import contextlib
import os
import random
import resource
import selectors
import socket
import sys
from collections.abc import Sequence

HALF = b'{"type":"log","execution_id":"hostile","message":"' + b"x" * 3000
GARBAGE = bytes(random.Random(1).randrange(1, 256) for _ in range(60_000)).replace(b"\n", b" ")
LINES = b"".join(
    b'{"type":"log","execution_id":"hostile","message":"%d %s"}\n' % (number, b"y" * 100)
    for number in range(500)
)
ASK = b'{"tail":{"after":0}}\n'
KINDS = {
    "silent": ("ingest", b""),
    "slow": ("ingest", HALF),
    "garbage": ("ingest", (GARBAGE[:3000] + b"\n") * 20),
    "huge": ("ingest", b"z" * 200_000),
    "flood": ("ingest", LINES),
    "hello": ("ingest", b'{"hello":{"protocol":1,"producer":"hostile","line":1}}\n'),
    "query": ("query", b'{"executions":{"limit":1000}}\n' * 50),
    "heavy": ("query", b'{"search":{"text":"y"}}\n{"stats":{}}\n{"audit":{}}\n' * 10),
    "deaf": ("query", ASK),
    "half-open": ("query", ASK),
}


class Hostile:
    """One connection of a kind; it connects again when it is hung up on."""

    def __init__(self, directory: str, kind: str) -> None:
        self.kind = kind
        name, self.says = KINDS[kind]
        self.path = f"{directory}/{name}.sock"
        self.rest = b""
        self.sock: socket.socket | None = None

    def connect(self) -> None:
        """Connect, as far as that is possible now."""
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            sock.connect(self.path)
        except OSError:
            sock.close()
            return
        self.sock = sock
        self.rest = self.says
        if self.kind == "half-open":
            with contextlib.suppress(OSError):
                sock.send(self.rest)
                sock.shutdown(socket.SHUT_WR)
            self.rest = b""

    def act(self) -> None:
        """Do what this kind does; none ever waits for an answer."""
        sock = self.sock
        if sock is None:
            self.connect()
            return
        try:
            if self.kind not in ("deaf", "half-open"):
                with contextlib.suppress(BlockingIOError):
                    if sock.recv(65_536) == b"":
                        raise ConnectionError
            if self.kind == "slow":
                sent = sock.send(self.rest[:1] or b"x")
            elif self.rest:
                sent = sock.send(self.rest)
            else:
                return
            self.rest = self.rest[sent:]
            if not self.rest and self.kind in ("garbage", "huge", "flood", "query", "heavy"):
                self.rest = self.says
            if not self.rest and self.kind == "hello":
                raise ConnectionError
        except BlockingIOError:
            return
        except OSError:
            sock.close()
            self.sock = None


def main(directory: str, count: int, uid: int, kinds: Sequence[str] = ()) -> None:
    """Be hostile until stdin ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 100), hard))
    if os.geteuid() == 0:
        os.setuid(uid)
    kinds = kinds or list(KINDS)
    crowd = [Hostile(directory, kinds[number % len(kinds)]) for number in range(count)]
    there = False
    with selectors.DefaultSelector() as stdin:
        stdin.register(0, selectors.EVENT_READ)
        while not stdin.select(0.005):
            for one in crowd:
                one.act()
            if not there and all(one.sock for one in crowd if one.kind != "hello"):
                there = True
                os.write(1, b"there\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
