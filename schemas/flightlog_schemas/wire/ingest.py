"""ingest.sock: hello, ready, events, acks.

A producer numbers its lines from 1. Every non-blank line but hello and bye counts, whether it is stored,
refused or known already; an ack of N says that the first N are settled and on disk.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from flightlog_schemas.limits import Count, Id
from flightlog_schemas.wire.origin import Origin

RefusalCode = Literal[
    "invalid",  # not JSON, not UTF-8, or not the payload of its type
    "unknown_type",  # under a reserved prefix, but no type of that name
    "reserved",  # only the daemon may say this
    "unsupported_version",  # a payload version newer than the daemon knows
    "too_long",  # over the daemon's limit for one line
    "too_deep",  # nested deeper than the limit
    "truncated",  # the last line of a connection, without newline and not decodable
    "shed",  # a log line of a user over a rate, where a rule says that these are not stored
    "conflict",  # expect_seq: the execution moved on
]
"""Why a line was not stored. The line is settled: sending it again brings the same refusal."""

ErrorCode = Literal[
    "protocol",  # a hello that is none, or of a version that the daemon does not speak
    "not_owner",  # the producer id belongs to another uid, or the peer may not speak for others
    "not_allowed",  # this user may not write here
    "too_many_connections",
    "line_timeout",  # half a line, and then silence
    "overloaded",  # too many unfinished lines on all connections together
    "superseded",  # a newer connection of the same producer took over
    "shutting_down",
]
"""Why the daemon closes an ingest connection."""


class Speaker(Origin, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where lines were recorded first, and who sent them there, by that machine's kernel.

    `provenance` is how they come here: once, by an import, or as they are recorded, by a relay.
    """

    uid: Count
    pid: Count
    provenance: Literal["import", "relay"] = "import"


class Hello(Struct, kw_only=True, forbid_unknown_fields=True):
    """A producer names itself, so that it can resume. `line` is the number of the first line that follows.

    With `origin` somebody who is trusted repeats what a producer said to another daemon: `producer` and
    `line` are those it had there, and the lines that follow were recorded there one after the other. Then
    hello may come again, before lines of another producer or place; only the first is answered, and the
    numbers in acks and refusals count the lines of the connection.
    """

    protocol: int
    producer: Id
    line: Count = 1
    origin: Speaker | UnsetType = UNSET


class HelloLine(Struct, kw_only=True):
    """`{"hello":{...}}`, optional, the first line of a connection."""

    hello: Hello


class _Kind(Struct):
    type: Raw | UnsetType = UNSET


_HELLO: Final = b'{"hello"'
_decode_kind = msgspec.json.Decoder(_Kind).decode


def is_hello(line: bytes) -> bool:
    """Say whether a line among others wants to be a hello; an event may have a field of that name."""
    if not line.startswith(_HELLO):
        return False
    try:
        return _decode_kind(line).type is UNSET
    except (ValueError, RecursionError):
        return True


class Bye(Struct, kw_only=True):
    """A producer's clean end: it has sent this many lines in its life."""

    lines: Count


class ByeLine(Struct, kw_only=True):
    """`{"bye":{"lines":N}}`."""

    bye: Bye


class Ready(Struct, kw_only=True):
    """The daemon's answer to hello: lines up to `acked` are settled and on disk."""

    protocol: int
    producer: Id
    acked: Count
    log_id: str


class Ack(Struct, kw_only=True, omit_defaults=True):
    """Cumulative: the first `lines` lines are settled; `seq` is the log's position that includes them.

    Where hello has an origin, `known` of them were here already.
    """

    lines: Count
    seq: Count
    known: Count = 0


class Refused(Struct, kw_only=True):
    """One line was not stored."""

    line: Count
    code: RefusalCode
    reason: str


class Duplicate(Struct, kw_only=True):
    """One line's key was known: it is stored at `seq`. `same` says whether the bytes were the same too."""

    line: Count
    seq: Count
    same: bool


class Busy(Struct, kw_only=True):
    """The daemon keeps what came and stops reading until this clears."""

    code: Literal["storage_full", "storage_failing"]


class IngestError(Struct, kw_only=True, omit_defaults=True):
    """The daemon closes the connection after this."""

    code: ErrorCode
    reason: str
    hint: str | None = None


class IngestReply(Struct, kw_only=True, omit_defaults=True):
    """One line from the daemon; exactly one field is set."""

    ready: Ready | None = None
    ack: Ack | None = None
    refused: Refused | None = None
    duplicate: Duplicate | None = None
    busy: Busy | None = None
    error: IngestError | None = None
