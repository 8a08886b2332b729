"""Redis Streams that keep their word: XADD in MULTI, append-only file, fsync always, over a Unix socket."""

import shutil
import subprocess
from pathlib import Path

from bench.contestant import SkippedError, connect_unix, ping_pong, pump, share
from bench.servers import end, wait_for_socket


class RedisStreams:
    """A redis-server of its own; requests are encoded before the clock starts."""

    name = "Redis Streams, fsync always"

    def __init__(self, directory: Path) -> None:
        binary = shutil.which("redis-server")
        if binary is None:
            raise SkippedError("redis-server is not installed (make bench-deps)")
        self._path = directory / "redis.sock"
        self._process = subprocess.Popen(
            [
                *(binary, "--port", "0", "--unixsocket", str(self._path), "--dir", str(directory)),
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
            took = pump(sock, blocks, count)
            # Its memory is the only copy it reads from; what was measured need not stay there.
            sock.sendall(_command(b"UNLINK", b"bench"))
            sock.recv(4096)
        return sum(map(len, batches)) / took

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Add lines one by one over that many connections; return the rate and each wait in seconds."""
        socks = [connect_unix(self._path) for _ in range(connections)]
        try:
            shares = share([_xadd(line) for line in lines], connections)
            return ping_pong(list(zip(socks, shares, strict=True)), lambda data: data.count(b"\r\n") == 2)
        finally:
            for sock in socks:
                sock.close()

    def close(self) -> None:
        """Stop the server."""
        end(self._process)


def _command(*words: bytes) -> bytes:
    """Return a request in Redis' own protocol."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def _xadd(line: bytes) -> bytes:
    return _command(b"XADD", b"bench", b"*", b"e", line[:-1])
