"""One connection of a producer to ingest.sock, non-blocking: lines out, replies in."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from flightlog.descriptors import identity
from flightlog_schemas import PROTOCOL_VERSION
from flightlog_schemas.wire.ingest import Bye, ByeLine, Hello, HelloLine, IngestReply

_RECEIVE_BYTES: Final = 64 * 1024

_decode_reply = msgspec.json.Decoder(IngestReply).decode


class LinkBroken(Exception):  # noqa: N818  # a state of the link, found when it is used
    """The connection is gone, or of no use; the message says why."""


class NotUnderstood(LinkBroken):
    """The other end says what makes no sense here."""


class Link:
    """A socket with what is still to be written to it.

    Attributes:
        ready: Whether the daemon has answered the hello.
        said_bye: Whether the last line was said.
    """

    def __init__(self) -> None:
        self.ready = False
        self.said_bye = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._identity = identity(self._socket.fileno())
        self._unsent = memoryview(b"")
        self._rest = b""

    def connect(self, path: Path, producer: str, line: int) -> None:
        """Connect and say hello.

        Args:
            path: The ingest socket.
            producer: The producer's id.
            line: Number of the first line that will follow.

        Raises:
            OSError: nobody accepts there now (a full backlog counts as that), or this user may not connect.
        """
        self._socket.connect(os.fspath(path))
        hello = Hello(protocol=PROTOCOL_VERSION, producer=producer, line=line)
        self._unsent = memoryview(msgspec.json.encode(HelloLine(hello=hello)) + b"\n")

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._socket.fileno()

    @property
    def idle(self) -> bool:
        """Whether everything handed over was written."""
        return not self._unsent

    def hand_over(self, lines: Sequence[bytes]) -> None:
        """Take lines to write; only when idle."""
        assert self.idle
        self._unsent = memoryview(b"\n".join((*lines, b"")))

    def bye(self, lines: int) -> None:
        """Take the producer's clean end to write, after which nothing follows; only when idle."""
        self.hand_over((msgspec.json.encode(ByeLine(bye=Bye(lines=lines))),))
        self.said_bye = True

    def write(self) -> None:
        """Write what the socket takes now.

        Raises:
            LinkBroken: the daemon is gone. What it said last may still be there to be read.
        """
        self._check()
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if self.said_bye:
                self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError as error:
            raise LinkBroken(error.strerror or str(error)) from error

    def read(self) -> list[IngestReply]:
        """Return the replies that have come, none if there are none yet.

        Raises:
            LinkBroken: the daemon has closed, or says what is no reply.
        """
        self._check()
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise LinkBroken(error.strerror or str(error)) from error
        if not data:
            raise LinkBroken("the daemon closed the connection")
        *whole, self._rest = (self._rest + data).split(b"\n")
        try:
            return [_decode_reply(line) for line in whole]
        except ValueError as error:
            raise NotUnderstood(str(error)) from error

    def close(self) -> None:
        """Close; twice does nothing."""
        if identity(self._socket.fileno()) == self._identity:
            self._socket.close()
        else:
            self._socket.detach()

    def _check(self) -> None:
        """Make sure that what is written goes to the daemon, whatever the program did to its descriptors."""
        if identity(self._socket.fileno()) != self._identity:
            raise LinkBroken("the program closed the connection")
