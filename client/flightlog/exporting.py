"""A log as lines that can be told to another daemon: what was recorded, as it is stored, and where it was.

    {"origin":{"log_id":"...","host":"..."}}                         which log the lines below are of
    {"seq":1,"received":...,"uid":...,"pid":...,"producer":"...","line":1,"event":{...}}
    {"pruned":{"first_seq":7,"last_seq":9,"reason":"retention"}}     what governance took of it

What came by an import is told with the origin it had, so that what is exported again is the same.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from flightlog_schemas.wire.origin import Origin
from flightlog_schemas.wire.reply import Pruned

DAEMON_PRODUCER: Final = "flightlogd"
DAEMONS_OWN: Final = "daemon."
"""Types that tell of a daemon itself: they are of no use to another one, and are left out."""


class Log(Struct, frozen=True):
    """Which log lines are of: its id, and the machine it is, or was, kept on."""

    log_id: str
    host: str


class OriginLine(Struct):
    """A line that says of which log those below are."""

    origin: Log


class PrunedLine(Struct):
    """A line that tells of a hole."""

    pruned: Pruned


class Head(Struct):
    """Of a recorded event what decides how it is told; its other fields are passed on as they are."""

    seq: int
    received: int
    uid: int
    pid: int
    producer: str
    line: int
    origin: Origin | None = None


class _Type(Struct):
    type: str


_PRUNED: Final = b'{"pruned":'
EVENT: Final = b'"event":'
"""Before the event there are only numbers and ids, and a quote within an id is escaped."""

_encode = msgspec.json.encode
decode_head = msgspec.json.Decoder(Head).decode
_decode_type = msgspec.json.Decoder(_Type).decode
_decode_pruned = msgspec.json.Decoder(PrunedLine).decode


class Export:
    """One export.

    Args:
        log: The log that is read.

    Attributes:
        events: How many events were told.
        pruned: How many positions are holes.
    """

    def __init__(self, log: Log) -> None:
        self.events = 0
        self.pruned = 0
        self._log = log
        self._said: Log | None = None

    def lines(self, found: Iterable[bytes]) -> Iterator[bytes]:
        """Yield lines with their newlines for those of a tail, in its order; may be called again."""
        for line in found:
            if line.startswith(_PRUNED):
                hole = _decode_pruned(line).pruned
                self.pruned += hole.last_seq - hole.first_seq + 1
                yield from self._of(self._log)
                yield line + b"\n"
                continue
            head = decode_head(line)
            if head.origin is not None:
                yield from self._of(Log(head.origin.log_id, head.origin.host))
                yield _as_there(line, head, head.origin) + b"\n"
            elif is_daemons_own(line, head):
                continue
            else:
                yield from self._of(self._log)
                yield line + b"\n"
            self.events += 1

    def _of(self, log: Log) -> Iterator[bytes]:
        if log != self._said:
            self._said = log
            yield _encode(OriginLine(log)) + b"\n"


def _as_there(line: bytes, head: Head, origin: Origin) -> bytes:
    """Return an event that came by an import as the log that had it first would tell it."""
    first = {
        "seq": origin.seq,
        "received": origin.received,
        "uid": head.uid,
        "pid": head.pid,
        "producer": head.producer.removeprefix(f"~{origin.log_id}/"),
        "line": head.line,
    }
    return _encode(first)[:-1] + b"," + line[line.index(EVENT) :]


def is_daemons_own(line: bytes, head: Head) -> bool:
    """Say whether a recorded event tells of the daemon that is asked itself."""
    if head.producer != DAEMON_PRODUCER:
        return False
    return _decode_type(line[line.index(EVENT) + len(EVENT) : -1]).type.startswith(DAEMONS_OWN)
