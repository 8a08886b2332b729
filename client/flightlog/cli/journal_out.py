"""Entries for systemd's journal, by its native protocol (systemd.journal-fields(7), JOURNAL_NATIVE_PROTOCOL).

An entry is one datagram of fields; one that is too large for that is handed over as a sealed file in memory.
"""

import errno
import fcntl
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET

from flightlog.cli.cursors import NamedPosition
from flightlog.cli.follow import Said
from flightlog.cli.lines import pruned_text
from flightlog.cli.render import pairs_text
from flightlog.cli.stream import Stream
from flightlog.errors import FlightlogError
from flightlog_schemas.answers import LogLine
from flightlog_schemas.levels import DEBUG, ERROR, FATAL, INFO, WARN, level_number
from flightlog_schemas.times import rfc3339
from flightlog_schemas.wire.reply import Pruned

JOURNAL_SOCKET: Final = "/run/systemd/journal/socket"
IDENTIFIER: Final = "flightlog"

_PRIORITIES: Final = ((FATAL, 2), (ERROR, 3), (WARN, 4), (INFO + 1, 5), (INFO, 6), (DEBUG - 4, 7))
"""From this level on, that PRIORITY."""

_OUTCOMES: Final = {"failed": 3, "timed_out": 3, "lost": 3, "cancelled": 4}
_LOST: Final = "execution.lost"

_ENVELOPE: Final = {
    "execution_id": "FLIGHTLOG_EXECUTION_ID",
    "task_id": "FLIGHTLOG_TASK_ID",
    "agent_id": "FLIGHTLOG_AGENT_ID",
    "trace_id": "FLIGHTLOG_TRACE_ID",
    "span_id": "FLIGHTLOG_SPAN_ID",
    "source": "FLIGHTLOG_SOURCE",
}
_CODE: Final = {
    "code.file.path": "CODE_FILE",
    "code.line.number": "CODE_LINE",
    "code.function.name": "CODE_FUNC",
}
"""What OpenTelemetry and the journal each call where a line was made."""

_HIDDEN: Final = frozenset({"type", "time", "id", "v", "provenance", "expect_seq", *_ENVELOPE})

_ATTEMPTS: Final = 50
_PAUSE_S: Final = 0.1
"""A journald that is restarted is waited for about so long; its socket stays, save for a moment."""

_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def entry(said: Said) -> bytes:
    """Return an event, or a hole in the log, as an entry."""
    assert not isinstance(said, LogLine)
    if isinstance(said, Pruned):
        return encoded({"MESSAGE": pruned_text(said), "PRIORITY": 4, "FLIGHTLOG_SEQ": said.last_seq})
    event = _decode(said.event)
    kind = event["type"]
    fields: dict[str, Any] = {"FLIGHTLOG_SEQ": said.seq, "FLIGHTLOG_TYPE": kind}
    if kind == "log":
        level = level_number(event.get("level", "INFO")) or INFO
        fields |= {"MESSAGE": event["message"], "FLIGHTLOG_LEVEL": level}
        fields["PRIORITY"] = next(priority for least, priority in _PRIORITIES if level >= least)
        beside = event.get("fields")
        if isinstance(beside, dict):
            fields["FLIGHTLOG_FIELDS"] = msgspec.json.encode(beside)
            fields |= {name: beside[known] for known, name in _CODE.items() if known in beside}
    else:
        told = {name: value for name, value in event.items() if name not in _HIDDEN}
        fields["MESSAGE"] = f"{kind} {pairs_text(told)}".rstrip()
        fields["PRIORITY"] = 3 if kind == _LOST else _OUTCOMES.get(str(event.get("outcome")), 6)
        fields["FLIGHTLOG_EVENT"] = bytes(said.event)
    time_us = event.get("time")
    fields["FLIGHTLOG_TIME"] = rfc3339(time_us if isinstance(time_us, int) else said.received)
    fields |= {"FLIGHTLOG_UID": said.uid, "FLIGHTLOG_PID": said.pid}
    fields |= {name: event[known] for known, name in _ENVELOPE.items() if event.get(known) is not None}
    if said.execution_id is not UNSET:
        fields[_ENVELOPE["execution_id"]] = said.execution_id
    if said.origin is not UNSET:
        fields["FLIGHTLOG_HOST"] = said.origin.host
    return encoded(fields)


def encoded(fields: Mapping[str, Any]) -> bytes:
    """Return fields as a datagram: `NAME=value`, or with its length where the value has several lines."""
    parts: list[bytes] = []
    for name, value in {**fields, "SYSLOG_IDENTIFIER": IDENTIFIER}.items():
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "backslashreplace")
        if b"\n" in data:
            parts += (name.encode(), b"\n", struct.pack("<Q", len(data)), data, b"\n")
        else:
            parts += (name.encode(), b"=", data, b"\n")
    return b"".join(parts)


class Journal:
    """The way to this machine's journal.

    Args:
        pause: Waits for so many seconds.

    Raises:
        FlightlogError: nobody listens there.
    """

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        self._peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.send(b"")

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._peer.fileno()

    def send(self, data: bytes) -> None:
        """Write an entry; nothing writes none. Waits while journald is behind.

        Raises:
            FlightlogError: nobody listens there, for longer than a restart takes.
        """
        for attempt in range(_ATTEMPTS if data else 1):
            if attempt:
                self._pause(_PAUSE_S)
            try:
                self._peer.connect(JOURNAL_SOCKET)
                if data:
                    self._send(data)
            except (FileNotFoundError, ConnectionError) as error:
                failed: OSError = error
            except OSError as error:
                failed = error
                break
            else:
                return
        raise FlightlogError(
            f"the journal cannot be written: {JOURNAL_SOCKET}: {failed.strerror}",
            "it is there where systemd-journald runs",
        )

    def _send(self, data: bytes) -> None:
        try:
            self._peer.send(data)
        except OSError as error:
            if error.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            fd = os.memfd_create("flightlog", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
            try:
                with open(fd, "wb", closefd=False) as file:
                    file.write(data)
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
                socket.send_fds(self._peer, [b""], [fd])
            finally:
                os.close(fd)


class JournalStream(Stream):
    """The way of `tail` to the journal: an entry where stdout has a line.

    Args:
        cursor: As `Stream` takes it.

    Raises:
        FlightlogError: nobody listens there.
    """

    def __init__(self, cursor: NamedPosition | None = None) -> None:
        super().__init__(cursor)
        self._journal = Journal()
        self._free = select.poll()
        self._free.register(self._journal, select.POLLOUT)

    def _write(self) -> None:
        for line in self._lines:
            self._allow_signals()
            self._free.poll()
            self._interruptible = False
            self._journal.send(line)
            self._done += len(line) + 1
