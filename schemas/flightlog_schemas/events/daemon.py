"""`daemon.*`: what only the daemon itself may say."""

from typing import Any

from msgspec import Struct

from flightlog_schemas.events.envelope import Event
from flightlog_schemas.limits import Count, Id, Int64


class DaemonStarted(Event, kw_only=True, tag="daemon.started"):
    """A daemon took over this log; what it found is in `recovered_seq`."""

    version: str
    recovered_seq: Count
    boot_id: str | None = None


class DaemonStopped(Event, kw_only=True, tag="daemon.stopped"):
    """A daemon ended in good order; a start without a stop before it means that one was killed."""

    reason: str


class DaemonRebuilt(Event, kw_only=True, tag="daemon.rebuilt"):
    """Read models were computed again from the log; how many rows differed, by table."""

    projections: tuple[str, ...]
    differences: dict[str, Count]
    reason: str | None = None


class DaemonPruned(Event, kw_only=True, tag="daemon.pruned"):
    """Lines left the log by governance; the tombstones hold the ranges and digests."""

    cause: str
    lines: Count
    detail: dict[str, Any] | None = None


class SuppressedLines(Struct, kw_only=True):
    """Lines of one producer that were not stored: `count` of those from `first_line` to `last_line`."""

    producer: Id
    first_line: Count
    last_line: Count
    count: Count


class DaemonSuppressed(Event, kw_only=True, tag="daemon.suppressed"):
    """Log lines of a user over a rate were not stored, as a rule says; since when, how many, of which level.

    Of very many producers the first are named.
    """

    peer_uid: Int64
    lines: Count
    by_level: dict[str, Count]
    producers: tuple[SuppressedLines, ...] = ()
    since: Int64 | None = None
    reason: str | None = None
