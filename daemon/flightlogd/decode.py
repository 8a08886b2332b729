"""Whole lines to events, or to the refusal that each deserves. Pure."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from flightlog_schemas.codec import RefusalError
from flightlog_schemas.codec import decode_lines as decode_events
from flightlog_schemas.events import (
    DaemonPruned,
    DaemonRebuilt,
    DaemonStarted,
    DaemonStopped,
    Event,
)
from flightlogd.framing import Oversize

_DAEMON_TYPES: Final = frozenset({DaemonStarted, DaemonStopped, DaemonRebuilt, DaemonPruned})


class Decoded(Struct):
    """Lines with what each holds, at the same index.

    Attributes:
        lines: The bytes as they came; of an oversize line its beginning.
        events: The event, or why there is none.
        plain: True when no line is refused, has a key or expects a state: all are stored as they are.
        size_bytes: What the lines take in memory.
    """

    lines: list[bytes]
    events: list[Event | RefusalError]
    plain: bool
    size_bytes: int


def decode_lines(lines: Sequence[bytes | Oversize], limit_bytes: int) -> Decoded:
    """Decode what one read brought. One bad line leaves its neighbours alone.

    Args:
        lines: Whole lines, without newlines.
        limit_bytes: The limit that an oversize line broke, for its reason.
    """
    kept = [line.head if isinstance(line, Oversize) else line for line in lines]
    events, plain = decode_events(kept)
    for index, line in enumerate(lines):
        if isinstance(line, Oversize):
            reason = f"{line.size_bytes} bytes, the limit is {limit_bytes}"
            events[index] = RefusalError("too_long", reason)
            plain = False
        elif type(events[index]) in _DAEMON_TYPES:
            events[index] = RefusalError("reserved", "only the daemon itself writes daemon.* events")
            plain = False
    return Decoded(kept, events, plain, sum(map(len, kept)))
