"""Lines of a log to messages of a stream, and messages to lines that ingest.sock takes. Pure.

A message holds lines of one partition in the order of the log, as ingest.sock is told them: a hello that says
whose the lines behind it are, the lines, the next hello.
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec
from msgspec import UNSET, Struct

from flightlog.exporting import EVENT, Log, decode_head, is_daemons_own
from flightlog.repeated import Recorded, hello_line
from flightlog_schemas.wire.ingest import HelloLine, is_hello

HELLO_BYTES: Final = 512
"""About what a hello adds at most; names of hosts and producers are short."""

_decode_hello = msgspec.json.Decoder(HelloLine).decode


class Line(Struct, frozen=True):
    """A line that is to be told.

    Attributes:
        seq: Its position in the log that is relayed.
        log: Of which log it is.
        recorded: What was recorded, and where in that log.
        size_bytes: About what it takes in a message.
    """

    seq: int
    log: Log
    recorded: Recorded
    size_bytes: int


class Message(Struct, frozen=True):
    """What is published as one.

    Attributes:
        identity: The same for the same lines, and for no others: the stream knows a repetition by it.
        body: Hellos and lines, each with its newline.
        lines: How many events it holds.
        last_seq: Position of the last one in the log that is relayed.
    """

    identity: str
    body: bytes
    lines: int
    last_seq: int


def line_of(told: bytes, own: Log) -> tuple[int, Line | None]:
    """Return the position of a line of a tail, and what it tells; None where only its daemon has use for it.

    Args:
        told: An event with its place, without its newline.
        own: The log that is relayed.
    """
    head = decode_head(told)
    if is_daemons_own(told, head):
        return head.seq, None
    event = told[told.index(EVENT) + len(EVENT) : -1]
    if head.origin is None:
        log, seq, received, producer = own, head.seq, head.received, head.producer
    else:
        log = Log(head.origin.log_id, head.origin.host)
        seq, received = head.origin.seq, head.origin.received
        producer = head.producer.removeprefix(f"~{head.origin.log_id}/")
    recorded = Recorded(seq, received, head.uid, head.pid, producer, head.line, msgspec.Raw(event))
    return head.seq, Line(head.seq, log, recorded, len(event) + 1)


def partition_of(line: Line, partitions: int) -> int:
    """Return the partition of a line: the same for all of its log.

    An execution may be told of by many producers, and what they said must not change places.
    """
    return crc32(line.log.log_id.encode()) % partitions


def compose(lines: Sequence[Line], own: Log, partition: int) -> Message:
    """Return a message of lines of one partition, all that there are between the first and the last.

    Its identity names both ends, for one that begins alike and goes on for longer is another message.
    """
    parts: list[bytes] = []
    before: Line | None = None
    for line in lines:
        if before is None or line.log != before.log or not line.recorded.follows(before.recorded):
            parts.append(hello_line(line.log, line.recorded, "relay"))
        parts.append(bytes(line.recorded.event))
        before = line
    assert before is not None
    identity = f"{own.log_id}/{partition}/{lines[0].seq}-{before.seq}"
    return Message(identity, b"\n".join((*parts, b"")), len(lines), before.seq)


def count_lines(body: bytes) -> int:
    """Return how many lines ingest.sock will count in the body of a message.

    Raises:
        ValueError: it is none of a relay; says why.
    """
    if not body.endswith(b"\n"):
        raise ValueError("it does not end with a line")
    count = 0
    for number, line in enumerate(body[:-1].split(b"\n"), 1):
        if is_hello(line):
            if _decode_hello(line).hello.origin is UNSET:
                raise ValueError(f"line {number}: a hello without origin")
        elif number == 1:
            raise ValueError("it does not begin with a hello")
        elif not line or line.isspace():
            raise ValueError(f"line {number} is blank")
        else:
            count += 1
    return count
