"""Redis Streams that keep their word: XADD in MULTI, append-only file, fsync always, over a Unix socket."""

import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contestant import Following, SkippedError, connect_unix, ping_pong, pump, share
from bench.servers import end, wait_for_socket
from bench.workload import execution_of

_ID = re.compile(rb"\*2\r\n\$\d+\r\n(\d+-\d+)\r\n")


class RedisStreams:
    """A redis-server of its own; requests are encoded before the clock starts."""

    name = "Redis Streams, fsync always"
    settings = "appendonly yes, appendfsync always, no rewrite; a stream for each execution, all in memory"

    def __init__(self, directory: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise SkippedError("redis-server is not installed (make bench-peers)")
        self._path = directory / "redis.sock"
        self.files = directory / "redis"
        self.files.mkdir()
        self._process = subprocess.Popen(
            [
                *(binary, "--port", "0", "--unixsocket", str(self._path), "--dir", str(self.files)),
                *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
                # No rewrite in the middle of a round.
                *("--auto-aof-rewrite-percentage", "0"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for_socket(self._path, self._process)

    def bulk(self, batches: list[list[bytes]]) -> float:
        """Add each batch in one MULTI; return lines a second until the last EXEC answered."""
        blocks = [
            (
                _command(b"MULTI") + b"".join(_xadd(line) for line in batch) + _command(b"EXEC"),
                len(batch),
            )
            for batch in batches
        ]
        acked = 0

        def count(data: bytes) -> int:
            # Only the ids in the answers to EXEC are bulk strings: one for each line.
            nonlocal acked
            assert b"-ERR" not in data, data[:300]
            acked += data.count(b"$")
            return acked

        with connect_unix(self._path) as sock:
            return sum(map(len, batches)) / pump(sock, blocks, count)

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Add lines one by one over that many connections; return the rate and each wait in seconds."""
        socks = [connect_unix(self._path) for _ in range(connections)]
        try:
            shares = share([_xadd(line) for line in lines], connections)
            return ping_pong(list(zip(socks, shares, strict=True)), lambda data: data.count(b"\r\n") == 2)
        finally:
            for sock in socks:
                sock.close()

    @contextmanager
    def following(self) -> Iterator[Following]:
        """Give what adds lines to one stream, and a follower that waits for them with XREAD."""
        with connect_unix(self._path) as writer, connect_unix(self._path) as reader:
            follower = _Blocked(reader)
            follower.wait()
            yield Following(writer, lambda line: _command(b"XADD", b"tail", b"*", b"e", line[:-1]), follower)

    @contextmanager
    def asking(self) -> Iterator[Callable[[bytes], int]]:
        """Give a function that reads the last 100 lines of an execution and says how many came."""
        with connect_unix(self._path) as sock:

            def ask(execution_id: bytes) -> int:
                sock.sendall(_command(b"XREVRANGE", execution_id, b"+", b"-", b"COUNT", b"100"))
                return len(_entries(sock))

            yield ask

    def close(self) -> None:
        """Stop the server."""
        end(self._process)


class _Blocked:
    """A follower of one stream, each time from the last line it saw."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._last = b"0-0"

    def wait(self) -> None:
        """Ask for what comes next; the answer comes with it."""
        self.sock.sendall(_command(b"XREAD", b"BLOCK", b"0", b"STREAMS", b"tail", self._last))

    def take(self) -> int:
        """Read what is new, and wait again; return how many lines."""
        entries = _entries(self.sock)
        self._last = entries[-1]
        self.wait()
        return len(entries)


def _entries(sock: socket.socket) -> list[bytes]:
    """Return the ids of the lines in an answer, once it is whole."""
    data = b""
    while True:
        data += sock.recv(1024 * 1024)
        ids = _ID.findall(data)
        # An id comes before its line, a line ends as its answer does.
        if data.endswith(b"}\r\n") and len(ids) == data.count(b"\r\n$1\r\ne\r\n"):
            return ids


def _command(*words: bytes) -> bytes:
    """Return a request in Redis' own protocol."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def _xadd(line: bytes) -> bytes:
    return _command(b"XADD", execution_of(line), b"*", b"e", line[:-1])
