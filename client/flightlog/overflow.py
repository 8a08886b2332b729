"""What goes first when there is too little room, in memory and on disk alike. Pure.

DEBUG lines may fill three quarters of a limit, other log lines seven eighths; the rest is kept for events
that tell how an execution fares, which go last.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from flightlog_schemas.levels import INFO, level_number

EVENT: Final = object()
"""In place of a level: not a log line."""

_DEBUG_SHARE: Final = 0.75
_LOG_SHARE: Final = 0.875


class Shares(NamedTuple):
    """Bytes for each class of lines: what DEBUG lines may fill, log lines in all, and everything."""

    debug_bytes: int
    log_bytes: int
    event_bytes: int

    def of(self, level: object) -> int:
        """Return what lines of this level may fill; `EVENT` is no log line."""
        if level is EVENT:
            return self.event_bytes
        return self.log_bytes if severity(level) >= INFO else self.debug_bytes

    def left(self, used_bytes: int) -> "Shares":
        """Return what is left of each where so much is used."""
        return Shares(*(share - used_bytes for share in self))

    def within(self, other: "Shares") -> "Shares":
        """Return the smaller of each."""
        return Shares(*map(min, self, other))


def shares_of(limit_bytes: int) -> Shares:
    """Return what each class may fill of a limit."""
    return Shares(int(limit_bytes * _DEBUG_SHARE), int(limit_bytes * _LOG_SHARE), limit_bytes)


def severity(level: object) -> int:
    """Return a level's number; what is none counts as INFO."""
    number = level_number(level)
    return INFO if number is None else number


class Left(NamedTuple):
    """A line that is left out: its level, or `EVENT`, and the execution that misses it."""

    level: object
    execution_id: str | None


class Plan(NamedTuple):
    """What becomes of the oldest lines.

    Attributes:
        kept: Those to write, in order.
        left: Those to leave out, in order; only ever for want of room.
        complete: Whether every line was planned for; else there is no room for the next one.
    """

    kept: list[bytes]
    left: list[Left]
    complete: bool


LeaveOut = Literal["nothing", "logs", "anything"]


def plan(lines: Sequence[bytes], fixed: int, room: Shares, leave_out: LeaveOut) -> Plan:
    """Decide which lines are written where there is so much room.

    Args:
        lines: The oldest lines, in order.
        fixed: How many of them were sent under their numbers: to leave one out would move the others.
        room: Bytes left for each class, newlines included.
        leave_out: What may be left out where it has no room; at anything else that has none, stop.
    """
    if sum(map(len, lines)) + len(lines) <= room.debug_bytes:
        return Plan(list(lines), [], complete=True)
    kept: list[bytes] = []
    left: list[Left] = []
    written = 0
    for number, line in enumerate(lines):
        what = _class_of(line)
        limit = room.event_bytes if number < fixed else room.of(what.level)
        if written + len(line) + 1 <= limit:
            kept.append(line)
            written += len(line) + 1
        elif number >= fixed and (
            leave_out == "anything" or (leave_out == "logs" and what.level is not EVENT)
        ):
            left.append(what)
        else:
            return Plan(kept, left, complete=False)
    return Plan(kept, left, complete=True)


class _Known(Struct):
    type: str = ""
    level: object = None
    execution_id: object = None


_decode = msgspec.json.Decoder(_Known).decode


def _class_of(line: bytes) -> Left:
    try:
        known = _decode(line)
    except ValueError:
        return Left(EVENT, None)
    execution_id = known.execution_id if isinstance(known.execution_id, str) else None
    return Left(known.level if known.type == "log" else EVENT, execution_id)
