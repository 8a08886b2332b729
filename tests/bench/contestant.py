"""What every contestant can do, and the loops that load all of them in the same way."""

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.workload import WINDOW_LINES

WAIT_S = 60.0


class Contestant(Protocol):
    """Something that keeps lines durably.

    Attributes:
        name: What the tables call it.
    """

    name: str

    def bulk(self, batches: list[list[bytes]]) -> float:
        """Store all batches, at most 20,000 lines unacked; return lines a second up to the last ack."""

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Store lines one by one, each waiting for its ack; return the rate and each wait in seconds."""

    def close(self) -> None:
        """Stop it."""


class Follower(Protocol):
    """Somebody who is told of new lines.

    Attributes:
        sock: Readable when there is news.
    """

    @property
    def sock(self) -> socket.socket:
        """Readable when there is news."""

    def take(self) -> int:
        """Read what is there; return how many lines came."""


@dataclass
class Following:
    """Somebody who sends and somebody who follows.

    Attributes:
        sock: Over which lines are sent; answers that come on it need only be read.
        encode: Returns the request that stores a line.
        follower: Who is told.
    """

    sock: socket.socket
    encode: Callable[[bytes], bytes]
    follower: Follower


class Log(Contestant, Protocol):
    """Something that keeps lines and can be asked for them.

    Attributes:
        files: The directory in which it keeps them.
        settings: How it was set up, for the table.
    """

    files: Path
    settings: str

    def following(self) -> AbstractContextManager[Following]:
        """Give what sends lines one by one, and who follows what comes from now on."""

    def asking(self) -> AbstractContextManager[Callable[[bytes], int]]:
        """Give a function that reads the last 100 lines of an execution and says how many came."""


class SkippedError(Exception):
    """A contestant is not here; the text says what to install."""


def connect_unix(path: Path) -> socket.socket:
    """Return a connected Unix socket."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(WAIT_S)
    sock.connect(str(path))
    return sock


def pump(
    sock: socket.socket, blocks: Sequence[tuple[bytes, int]], count_acked: Callable[[bytes], int]
) -> float:
    """Send blocks of (bytes, lines) within the window, and return the seconds until all are acked.

    Args:
        sock: A connected socket.
        blocks: What to send.
        count_acked: Told of each piece of data received; returns how many lines are acked so far in all.
    """
    sent = acked = 0
    total = sum(lines for _, lines in blocks)
    began = time.perf_counter()
    for data, lines in blocks:
        while sent + lines - acked > WINDOW_LINES:
            acked = count_acked(_received(sock))
        sock.sendall(data)
        sent += lines
        while select.select([sock], [], [], 0)[0]:
            acked = count_acked(_received(sock))
    while acked < total:
        acked = count_acked(_received(sock))
    return time.perf_counter() - began


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(1024 * 1024)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def share(lines: Sequence[bytes], connections: int) -> list[Sequence[bytes]]:
    """Return lines dealt out to that many connections."""
    return [lines[first::connections] for first in range(connections)]


def ping_pong(
    work: Sequence[tuple[socket.socket, Sequence[bytes]]], answered: Callable[[bytes], bool]
) -> tuple[float, list[float]]:
    """Send requests over all sockets at once, on each the next one after the answer to the one before.

    Args:
        work: Connected sockets with the requests that go over each.
        answered: Says whether the bytes received on a socket since its request are the whole answer.

    Returns:
        Requests a second over all sockets, and each one's wait in seconds.
    """
    poll = select.epoll()
    socks = {sock.fileno(): sock for sock, _ in work}
    left = {sock.fileno(): iter(requests) for sock, requests in work}
    received = dict.fromkeys(socks, b"")
    total = sum(len(requests) for _, requests in work)
    waits: list[float] = []
    clock = time.perf_counter
    began = clock()
    sent_at = dict.fromkeys(socks, began)
    try:
        for fd, sock in socks.items():
            poll.register(fd, select.EPOLLIN)
            sock.sendall(next(left[fd], b""))
        while len(waits) < total:
            for fd, _ in poll.poll(WAIT_S):
                received[fd] += _received(socks[fd])
                if not answered(received[fd]):
                    continue
                now = clock()
                waits.append(now - sent_at[fd])
                received[fd] = b""
                request = next(left[fd], b"")
                if request:
                    sent_at[fd] = now
                    socks[fd].sendall(request)
    finally:
        poll.close()
    return total / (clock() - began), waits
