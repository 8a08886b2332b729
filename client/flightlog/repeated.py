"""What was recorded elsewhere first, as ingest.sock is told it: hellos say whose the lines behind are."""

from typing import Literal

import msgspec
from msgspec import Struct

from flightlog.exporting import Log
from flightlog_schemas import PROTOCOL_VERSION
from flightlog_schemas.limits import Count, Id, Micros
from flightlog_schemas.wire.ingest import Hello, HelloLine, Speaker


class Recorded(Struct, frozen=True):
    """An event and its place in the log that had it first."""

    seq: Count
    received: Micros
    uid: Count
    pid: Count
    producer: Id
    line: Count
    event: msgspec.Raw

    def follows(self, other: "Recorded") -> bool:
        """Say whether the daemon knows where this is by where the other one was."""
        return (self.producer, self.uid, self.pid, self.received, self.seq, self.line) == (
            other.producer,
            other.uid,
            other.pid,
            other.received,
            other.seq + 1,
            other.line + 1,
        )


def hello_line(log: Log, recorded: Recorded, provenance: Literal["import", "relay"] = "import") -> bytes:
    """Return what is said before an event that does not follow the one before it, without a newline."""
    speaker = Speaker(
        log_id=log.log_id,
        host=log.host,
        seq=recorded.seq,
        received=recorded.received,
        uid=recorded.uid,
        pid=recorded.pid,
        provenance=provenance,
    )
    hello = Hello(protocol=PROTOCOL_VERSION, producer=recorded.producer, line=recorded.line, origin=speaker)
    return msgspec.json.encode(HelloLine(hello=hello))
