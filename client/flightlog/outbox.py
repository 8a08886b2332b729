"""What a producer has said and the daemon has not settled: numbered, bounded, with drops counted. Pure.

Lines are numbered from 1 in the order they are put. They wait (pending), are sent (in flight), and leave when
an ack settles them; when a connection is lost, what was in flight waits again. Everything held counts
against one limit. As it fills up, DEBUG lines are refused first, then other log lines; the last part is kept
for events that tell how an execution fares.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final, Literal

from flightlog.encode import encode_line
from flightlog_schemas.events.producer import ProducerDropped
from flightlog_schemas.levels import INFO, level_name, level_number

OVERHEAD_BYTES: Final = 64
"""What a held line costs beside its text: the object's header and its place in the queue."""

EVENT: Final = object()
"""In place of a level: not a log line."""

DropReason = Literal["buffer_full", "no_execution", "unencodable"]

DROP_REASONS: Final[dict[DropReason, str]] = {
    "buffer_full": "the buffer is full, events are left out",
    "no_execution": "a log line that belongs to no execution was left out",
    "unencodable": "an event that cannot be written as JSON was left out",
}
"""Why events are dropped, for a person."""

_APART_LIMIT: Final = 100
"""Executions whose drops are counted apart; those of more are counted together."""

_DEBUG_SHARE: Final = 0.75
_LOG_SHARE: Final = 0.875


class Outbox:
    """The lines of one producer. Not safe for threads; its owner holds a lock.

    Args:
        limit_bytes: Most bytes held, pending and in flight together, `OVERHEAD_BYTES` for each included.

    Attributes:
        acked: How many lines are settled.
        held_bytes: Bytes of all that are not.
        dropped: How many events were left out in all.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.acked = 0
        self.held_bytes = 0
        self.dropped = 0
        self._pending: deque[bytes] = deque()
        self._in_flight: deque[bytes] = deque()
        self._undeclared: dict[tuple[DropReason, str | None], dict[str | None, int]] = {}
        """By reason and execution, how many of each level."""
        self._limit_bytes = limit_bytes
        self._log_limit_bytes = int(limit_bytes * _LOG_SHARE)
        self._debug_limit_bytes = int(limit_bytes * _DEBUG_SHARE)

    @property
    def pending(self) -> int:
        """How many lines wait to be sent."""
        return len(self._pending)

    @property
    def in_flight(self) -> int:
        """How many lines were sent and are not settled."""
        return len(self._in_flight)

    @property
    def last_line(self) -> int:
        """Number of the newest line, 0 before the first."""
        return self.acked + len(self._in_flight) + len(self._pending)

    @property
    def undeclared(self) -> bool:
        """Whether something was dropped that no line tells of yet."""
        return bool(self._undeclared)

    @property
    def undeclared_reasons(self) -> tuple[DropReason, ...]:
        """What events were dropped for that no line tells of yet."""
        return tuple(dict.fromkeys(reason for reason, _ in self._undeclared))

    @property
    def undeclared_count(self) -> int:
        """How many dropped events no line tells of yet."""
        return sum(sum(levels.values()) for levels in self._undeclared.values())

    def put(self, line: bytes, level: object = EVENT, execution_id: str | None = None) -> int:
        """Take a line in; return how many are pending now, or 0 if it was dropped and counted instead.

        Args:
            line: The event, without newline.
            level: The level of a log line, as its program gave it; `EVENT` for every other event.
            execution_id: Which execution misses the event, should it be dropped.
        """
        size = len(line) + OVERHEAD_BYTES
        if self.held_bytes + size > self._debug_limit_bytes and self.held_bytes + size > self._limit(level):
            self.drop("buffer_full", level, execution_id)
            return 0
        self._pending.append(line)
        self.held_bytes += size
        return len(self._pending)

    def has_room(self, line: bytes) -> bool:
        """Whether an event that is no log line could be put now."""
        return self.held_bytes + len(line) + OVERHEAD_BYTES <= self._limit_bytes

    def drop(self, reason: DropReason, level: object = EVENT, execution_id: str | None = None) -> None:
        """Count an event that is left out, to be declared later in the execution that misses it."""
        self.dropped += 1
        key = (reason, execution_id)
        if key not in self._undeclared and len(self._undeclared) >= _APART_LIMIT:
            key = (reason, None)
        levels = self._undeclared.setdefault(key, {})
        name = None if level is EVENT else level_name(_number(level))
        levels[name] = levels.get(name, 0) + 1

    def declare(self, time_us: int) -> None:
        """Put a line for each reason and execution that misses events, as far as there is room."""
        for (reason, execution_id), levels in list(self._undeclared.items()):
            by_level = {name: count for name, count in levels.items() if name is not None}
            declaration = encode_line(
                ProducerDropped(
                    execution_id=execution_id,
                    time=time_us,
                    count=sum(levels.values()),
                    by_level=by_level or None,
                    reason=reason,
                )
            )
            assert declaration is not None
            if not self.has_room(declaration):
                return
            self.put(declaration)
            del self._undeclared[reason, execution_id]

    def take(self, limit_bytes: int) -> list[bytes]:
        """Return pending lines, oldest first, and count them as in flight.

        Args:
            limit_bytes: Stop after the line that reaches this many bytes.
        """
        taken = list(self._pop(limit_bytes))
        self._in_flight.extend(taken)
        return taken

    def _pop(self, limit_bytes: int) -> Iterator[bytes]:
        size = 0
        while self._pending and size < limit_bytes:
            line = self._pending.popleft()
            size += len(line)
            yield line

    def ack(self, lines: int) -> None:
        """Let go of what is settled; an ack of fewer lines than the last one changes nothing.

        Args:
            lines: How many lines, counted from the first, are settled.

        Raises:
            ValueError: more lines than were ever sent.
        """
        if lines > self.acked + len(self._in_flight):
            raise ValueError(f"{lines} lines acked, {self.acked + len(self._in_flight)} sent")
        for _ in range(lines - self.acked):
            self.held_bytes -= len(self._in_flight.popleft()) + OVERHEAD_BYTES
            self.acked += 1

    def rewind(self) -> None:
        """Let lines in flight wait to be sent again, in their order, before all others."""
        self._pending.extendleft(reversed(self._in_flight))
        self._in_flight.clear()

    def _limit(self, level: object) -> int:
        if level is EVENT:
            return self._limit_bytes
        return self._log_limit_bytes if _number(level) >= INFO else self._debug_limit_bytes


def _number(level: object) -> int:
    number = level_number(level)
    return INFO if number is None else number
