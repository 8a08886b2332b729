"""flightlogd with its default settings, as any program would write to it."""

import json
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.contestant import Following, connect_unix, ping_pong, pump, share
from bench.workload import starts
from support.daemon import Daemon

_ACKED = re.compile(rb'"ack":\{"lines":(\d+)')


class Flightlog:
    """A daemon of its own, all read models live.

    Args:
        directory: Where its files and sockets go.
        config: Settings that are not the default.
    """

    name = "flightlog"
    settings = "defaults: fsync before each ack, all read models live"

    def __init__(self, directory: Path, **config: Any) -> None:
        self.files = directory / "state"
        self.daemon = Daemon(self.files, directory / "run", **config).start()
        self.bulk([list(starts())])

    def bulk(self, batches: list[list[bytes]]) -> float:
        """Send all batches over one connection; return lines a second until the last ack."""
        blocks = [(b"".join(batch), len(batch)) for batch in batches]
        with self.producer() as sock:
            took = pump(sock, blocks, Acks())
        return sum(map(len, batches)) / took

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Send lines one by one over that many connections; return the rate and each wait in seconds."""
        socks = [self.producer() for _ in range(connections)]
        try:
            return ping_pong(
                list(zip(socks, share(lines, connections), strict=True)), lambda data: data[-1] == 10
            )
        finally:
            for sock in socks:
                sock.close()

    @contextmanager
    def following(self) -> Iterator[Following]:
        """Give a producer, and a follower of the log."""
        with self.producer() as writer, self.reader() as reader:
            reader.sendall(b'{"tail":{"after":%d}}\n' % self.head_seq())
            yield Following(writer, lambda line: line, _Tail(reader))

    @contextmanager
    def asking(self) -> Iterator[Callable[[bytes], int]]:
        """Give a function that reads the last 100 lines of an execution and says how many came."""
        with self.reader() as sock, sock.makefile("rb") as answers:

            def ask(execution_id: bytes) -> int:
                sock.sendall(b'{"logs":{"execution_id":"%s","last":100}}\n' % execution_id)
                count = 0
                while not answers.readline().startswith((b'{"end"', b'{"error"')):
                    count += 1
                return count

            yield ask

    def head_seq(self) -> int:
        """Return the position of the last event."""
        with self.reader() as sock, sock.makefile("rb") as answers:
            sock.sendall(b'{"status":{}}\n')
            answers.readline()
            return int(json.loads(answers.readline())["end"]["seq"])

    def producer(self) -> socket.socket:
        """Return a connection that said hello and was told ready."""
        sock = connect_unix(self.daemon.ingest_socket)
        sock.sendall(b'{"hello":{"protocol":1,"producer":"%s"}}\n' % uuid.uuid4().hex.encode())
        ready = json.loads(sock.recv(4096))
        assert "ready" in ready, ready
        return sock

    def reader(self) -> socket.socket:
        """Return a connection to the query socket."""
        return connect_unix(self.daemon.query_socket)

    def peak_memory_bytes(self) -> int:
        """Return the most memory that the daemon ever held resident."""
        return self._status("VmHWM")

    def memory_bytes(self) -> int:
        """Return the memory that the daemon holds resident."""
        return self._status("VmRSS")

    def processor_s(self) -> float:
        """Return the processor time that the daemon has used, seconds."""
        fields = Path(f"/proc/{self.daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name} in /proc/PID/status")

    def close(self) -> None:
        """Stop the daemon."""
        self.daemon.close()


class _Tail:
    """A follower that is sent each event as a line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def take(self) -> int:
        """Read what came; return how many lines were whole by then."""
        return self.sock.recv(1024 * 1024).count(b"\n")


class Acks:
    """Counts the lines acked so far from what comes back on a connection."""

    def __init__(self) -> None:
        self._acked = 0
        self._rest = b""

    def __call__(self, data: bytes) -> int:
        """Return how many lines are acked, now that this was received."""
        whole, newline, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest
        if newline:
            assert b'"refused"' not in whole, whole[:300]
            found = _ACKED.findall(whole)
            if found:
                self._acked = int(found[-1])
        return self._acked
