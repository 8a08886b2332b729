"""Appending lines and waiting until they are on disk: what the verbs of the command line use."""

import select
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from flightlog.dial import away, dial
from flightlog.errors import AppendFailed, DaemonAway, NotUnderstood
from flightlog.masking import masked_line
from flightlog.versions import versions_hint
from flightlog_schemas import PROTOCOL_VERSION
from flightlog_schemas.wire.ingest import (
    Busy,
    Bye,
    ByeLine,
    Duplicate,
    Hello,
    HelloLine,
    IngestReply,
    Refused,
    is_hello,
)

KEPT_REPLIES_LIMIT: Final = 1_000
"""Most refusals and most duplicates that `Appended` lists; past it they are only counted."""

RUN_AGAIN: Final = "run it again: what is stored is skipped"
"""What to do where a connection breaks over lines that all have keys, or are of another log."""
_SEND_AGAIN: Final = "send them again with a key in `id`, and each is stored once"

_SEND_BYTES: Final = 128 * 1024
_RECEIVE_BYTES: Final = 64 * 1024
_READABLE: Final = select.POLLIN | select.POLLHUP | select.POLLERR

_decode_reply = msgspec.json.Decoder(IngestReply).decode


class Appended(Struct, kw_only=True):
    """What became of the lines.

    Attributes:
        lines: How many are settled: stored, refused, or known before. All that were given.
        seq: A position of the log that includes them; pass it as `min_seq` to read what was written.
        refused: Lines that were not stored, numbered from 1 in the order given, blank ones not counted.
        duplicates: Lines whose key was known.
        refused_count: All refusals, also those past the limit of the list.
        duplicate_count: All duplicates, likewise.
    """

    lines: int = 0
    seq: int = 0
    refused: list[Refused] = []
    duplicates: list[Duplicate] = []
    refused_count: int = 0
    duplicate_count: int = 0


def append(
    path: Path,
    lines: Iterable[bytes],
    producer: str | None = None,
    timeout_s: float | None = 30.0,
    *,
    masked: bool = False,
    on_busy: Callable[[Busy], None] | None = None,
    on_refused: Callable[[Refused], None] | None = None,
    on_reply: Callable[[IngestReply], None] | None = None,
    again: str = _SEND_AGAIN,
    repeated: bool = False,
) -> Appended:
    """Send lines, never waiting for one before the next, and return when all are on disk and readable.

    Lines are taken from the iterable as they can be sent, so that any number costs constant memory. An empty
    line is not sent; it says that nothing more comes for a while, and what was taken so far goes out. What is
    secret in a line is masked before it is sent, unless that was done.

    Args:
        path: The ingest socket.
        lines: Events, one JSON object each, with or without its newline.
        producer: A new producer id to go by; None lets the daemon choose one.
        timeout_s: Longest time in seconds without any progress, unless the daemon said that it is busy; None
            waits for ever.
        masked: Whether `masked_line` has seen the lines already, which costs as much as to send them.
        on_busy: Called when the daemon keeps what came and waits out a fault, such as a full disk.
        on_refused: Called for each refusal as it comes.
        on_reply: Called for each reply as it comes: what became of a line
            comes before the ack that covers it.
        again: What to do where the connection breaks, for a person.
        repeated: These are lines of another log, with hellos between them that say whose; both are sent
            as they are.

    Raises:
        DaemonAway: nobody listens, or the connection broke before everything was settled.
        AppendFailed: the daemon ended the connection and said why.
        ValueError: a line holds a newline.
    """
    with dial(path, timeout_s) as peer:
        exchange = _Exchange(path, peer, timeout_s, on_busy, on_refused, on_reply, again, repeated=repeated)
        given = (line.removesuffix(b"\n") for line in lines)
        return exchange.run(given if masked or repeated else map(masked_line, given), producer)


class _Exchange:
    """One connection: writes while it reads, so that neither side ever waits for the other."""

    def __init__(
        self,
        path: Path,
        peer: socket.socket,
        timeout_s: float | None,
        on_busy: Callable[[Busy], None] | None,
        on_refused: Callable[[Refused], None] | None,
        on_reply: Callable[[IngestReply], None] | None,
        again: str,
        *,
        repeated: bool,
    ) -> None:
        self._path = path
        self._peer = peer
        self._timeout_ms = None if timeout_s is None else timeout_s * 1000
        self._on_busy = on_busy
        self._on_refused = on_refused
        self._on_reply = on_reply
        self._again = again
        self._repeated = repeated
        self._poll = select.poll()
        self._sent = 0
        self._busy = False
        self._closed = False
        """The daemon reads no more; what it still has to say is read all the same."""
        self._rest = b""
        self._done = Appended(refused=[], duplicates=[])

    def run(self, lines: Iterable[bytes], producer: str | None) -> Appended:
        self._peer.setblocking(False)
        if producer is not None:
            self._write(
                msgspec.json.encode(HelloLine(hello=Hello(protocol=PROTOCOL_VERSION, producer=producer)))
                + b"\n"
            )
        pending: list[bytes] = []
        size = 0
        for line in lines:
            if b"\n" in line:
                raise ValueError("a line holds a newline: one event is one line")
            if line and not line.isspace():
                pending += (line, b"\n")
                size += len(line) + 1
                if not (self._repeated and is_hello(line)):
                    self._sent += 1
            if pending and (size >= _SEND_BYTES or not line):
                self._write(b"".join(pending))
                pending.clear()
                size = 0
            if self._closed:
                break
        pending.append(msgspec.json.encode(ByeLine(bye=Bye(lines=self._sent))) + b"\n")
        self._write(b"".join(pending))
        self._read_to_end()
        if self._done.lines < self._sent:
            raise DaemonAway(
                f"the connection broke: {self._done.lines} of {self._sent} lines are known to be stored",
                self._again,
            )
        return self._done

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        self._poll.register(self._peer, _READABLE | select.POLLOUT)
        while view and not self._closed:
            for _, ready in self._wait():
                if ready & _READABLE:
                    self._read()
                if ready & select.POLLOUT:
                    try:
                        view = view[self._peer.send(view) :]
                    except BlockingIOError:
                        continue
                    except (BrokenPipeError, ConnectionResetError):
                        self._closed = True

    def _read_to_end(self) -> None:
        """Say that nothing more comes, and read until the daemon has settled everything and closes."""
        if not self._closed:
            self._peer.shutdown(socket.SHUT_WR)
        self._poll.register(self._peer, _READABLE)
        while True:
            self._wait()
            if not self._read():
                return

    def _wait(self) -> list[tuple[int, int]]:
        ready = self._poll.poll(None if self._busy else self._timeout_ms)
        if not ready:
            raise away(self._path, TimeoutError())
        return ready

    def _read(self) -> bool:
        """Take in what the daemon said; False when it has closed."""
        try:
            data = self._peer.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            data = b""
        if not data:
            self._closed = True
            return False
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            try:
                reply = _decode_reply(line)
            except ValueError as error:
                hint = versions_hint(self._path.parent)
                raise NotUnderstood(f"the daemon's reply is not understood: {error}", hint) from error
            self._take(reply)
        return True

    def _take(self, reply: IngestReply) -> None:
        done = self._done
        self._busy = reply.busy is not None
        if self._on_reply is not None:
            self._on_reply(reply)
        if reply.ack is not None:
            done.lines, done.seq = reply.ack.lines, reply.ack.seq
        elif reply.refused is not None:
            done.refused_count += 1
            if len(done.refused) < KEPT_REPLIES_LIMIT:
                done.refused.append(reply.refused)
            if self._on_refused is not None:
                self._on_refused(reply.refused)
        elif reply.duplicate is not None:
            done.duplicate_count += 1
            if len(done.duplicates) < KEPT_REPLIES_LIMIT:
                done.duplicates.append(reply.duplicate)
        elif reply.busy is not None:
            if self._on_busy is not None:
                self._on_busy(reply.busy)
        elif reply.error is not None:
            raise AppendFailed(reply.error.code, reply.error.reason, reply.error.hint, done.lines)
