"""What sessions hand to the writer, and what comes back of it."""

from typing import Protocol

from msgspec import Struct

from flightlog_schemas.wire.ingest import Duplicate, Refused
from flightlogd.batch import Place
from flightlogd.decode import Mixed, Plain
from flightlogd.peer import Peer


class Source(Protocol):
    """A connection as the writer sees it."""

    producer: str
    peer: Peer

    def settle(self, outcome: "Outcome", /) -> None:
        """Take the outcome of a submission, on trio's thread, in the order of submission."""


class Share(Struct, gc=False):
    """Consecutive lines of one source among those of several.

    Attributes:
        source: Whose.
        first_line: The producer's number of the first.
        count: How many lines.
        size_bytes: What they take in memory.
    """

    source: Source
    first_line: int
    count: int
    size_bytes: int


class Submission(Struct, kw_only=True):
    """Consecutive lines of one source that want to be settled, or plain ones of several.

    Attributes:
        source: Whose.
        first_line: The producer's number of the first.
        part: The lines, decoded.
        missing_from: First of the lines before these that were never sent, if any.
        bye_lines: The producer's clean end, if it came with these.
        origin: Where the first was recorded first, if these are repeated from another log.
        charged_uid: The connected user, where the source stands for another one.
        shares: Whose the lines are, in their order, where the source stands for several of one user.
    """

    source: Source
    first_line: int
    part: Plain | Mixed
    missing_from: int | None = None
    bye_lines: int | None = None
    origin: Place | None = None
    charged_uid: int | None = None
    shares: list[Share] | None = None

    @property
    def user(self) -> int:
        """The user whose share of the queue it takes."""
        return self.source.peer.uid if self.charged_uid is None else self.charged_uid


class Outcome(Struct):
    """What became of a submission: its lines are settled up to `lines`, at position `seq` of the log.

    `known` of those that are repeated from another log were here already.
    """

    source: Source
    lines: int
    seq: int
    size_bytes: int
    replies: list[Refused | Duplicate]
    known: int = 0
