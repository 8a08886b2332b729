"""Plain blocking peers of ingest.sock and query.sock: what any language could write with a socket."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from support.lines import block

PEER_TIMEOUT_S = 30.0
"""How long a peer waits for the other side before its test fails."""

Json = dict[str, Any]


class LinePeer:
    """A connected Unix socket that speaks lines of JSON; a context manager that closes it.

    Args:
        path: The socket.
        timeout_s: Longest wait for the other side.
    """

    def __init__(self, path: Path, timeout_s: float = PEER_TIMEOUT_S) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""
        self._lines: list[bytes] = []

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def next_line(self) -> bytes | None:
        """Return the next line without its newline, None at the end of the stream."""
        while not self._lines:
            try:
                data = self.socket.recv(256 * 1024)
            except ConnectionResetError:
                return None  # the other side closed before it had read all of ours
            if not data:
                assert not self._rest, f"the stream ended within a line: {self._rest[:200]!r}"
                return None
            *whole, self._rest = (self._rest + data).split(b"\n")
            self._lines = whole[::-1]
        return self._lines.pop()

    def next(self) -> Json | None:
        """Return the next line as an object, None at the end of the stream."""
        line = self.next_line()
        if line is None:
            return None
        answer = json.loads(line)
        assert isinstance(answer, dict), line
        return answer

    def rest(self) -> list[Json]:
        """Return all that comes until the stream ends."""
        return list(iter(self.next, None))

    def half_close(self) -> None:
        """Say that nothing more will be sent; what the other side says still arrives."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the connection at once."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


class IngestPeer(LinePeer):
    """A producer by hand."""

    def hello(self, producer: str, line: int = 1, protocol: int = 1) -> Json:
        """Name itself, and return the daemon's answer: ready or error."""
        greeting = {"hello": {"protocol": protocol, "producer": producer, "line": line}}
        self.send(json.dumps(greeting).encode() + b"\n")
        answer = self.next()
        assert answer is not None, "closed instead of an answer to hello"
        return answer

    def send_lines(self, *lines: bytes) -> None:
        """Send whole lines."""
        self.send(block(*lines))

    def until_ack(self, lines: int) -> list[Json]:
        """Return all replies up to the one that acks that many lines."""
        replies: list[Json] = []
        while True:
            reply = self.next()
            assert reply is not None, f"closed before line {lines} was acked: {replies[-3:]}"
            replies.append(reply)
            if reply.get("ack", {"lines": -1})["lines"] >= lines:
                return replies

    def settle(self, *lines: bytes) -> list[Json]:
        """Send lines, close the writing side, and return all replies up to the end of the stream."""
        self.send_lines(*lines)
        self.half_close()
        return self.rest()


class Answers(NamedTuple):
    """What came back for one request: the lines, and how it ended."""

    lines: list[Json]
    end: Json | None
    error: Json | None

    def all(self, noun: str) -> list[Json]:
        """Return what each line holds under a noun; the request must have been answered."""
        assert self.error is None, self.error
        return [line[noun] for line in self.lines]

    def one(self, noun: str) -> Json:
        """Return what the only line holds under a noun."""
        values = self.all(noun)
        assert len(values) == 1, self.lines
        return values[0]


class QueryPeer(LinePeer):
    """A reader by hand."""

    def start(self, verb: str, **arguments: object) -> None:
        """Send a request and leave its answer to be read."""
        self.send(json.dumps({verb: arguments}).encode() + b"\n")

    def ask(self, verb: str, **arguments: object) -> Answers:
        """Send a request and return its whole answer."""
        self.start(verb, **arguments)
        return self.answers()

    def answers(self) -> Answers:
        """Return the answer to the request that was sent last."""
        lines: list[Json] = []
        while True:
            answer = self.next()
            assert answer is not None, f"closed within an answer: {lines[-3:]}"
            if "end" in answer:
                return Answers(lines, answer["end"], None)
            if "error" in answer:
                return Answers(lines, None, answer["error"])
            lines.append(answer)

    def events(self) -> Iterator[Json]:
        """Yield answer lines as they come, up to the end of the answer or of the stream."""
        while (answer := self.next()) is not None and "end" not in answer:
            assert "error" not in answer, answer
            yield answer
