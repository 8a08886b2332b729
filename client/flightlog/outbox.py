"""What a producer has said and the daemon has not settled: numbered, bounded, with drops counted. Pure.

Lines are numbered from 1 in the order they are put. They wait (pending), are sent (in flight), and leave when
an ack settles them; when a connection is lost, what was in flight waits again. The oldest may be kept on disk
instead (spooled): they are counted here and held there.

    acked < spooled, on disk < held in memory <= last_line

Everything held counts against one limit. As it fills up, DEBUG lines are refused first, then other log lines;
the last part is kept for events that tell how an execution fares.
"""

from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Final, Literal, NamedTuple

from flightlog.encode import encode_line
from flightlog.overflow import EVENT, Plan, severity, shares_of
from flightlog_schemas.events.producer import ProducerDropped
from flightlog_schemas.levels import level_name

OVERHEAD_BYTES: Final = 64
"""What a held line costs beside its text: the object's header and its place in the queue."""

DropReason = Literal["buffer_full", "spool_full", "spool_lost", "no_execution", "unencodable"]

DROP_REASONS: Final[dict[DropReason, str]] = {
    "buffer_full": "the buffer is full, events are left out",
    "spool_full": "the spool is full, events are left out",
    "spool_lost": "events that waited in the spool are gone: somebody removed it",
    "no_execution": "a log line that belongs to no execution was left out",
    "unencodable": "an event that cannot be written as JSON was left out",
}
"""Why events are dropped, for a person."""

_APART_LIMIT: Final = 100
"""Executions whose drops are counted apart; those of more are counted together."""


class Oldest(NamedTuple):
    """The oldest lines in memory.

    Attributes:
        first_line: Number of the first.
        lines: The lines.
        fixed: How many of them were sent before, under their numbers.
    """

    first_line: int
    lines: list[bytes]
    fixed: int


class Outbox:
    """The lines of one producer. Not safe for threads; its owner holds a lock.

    Args:
        limit_bytes: Most bytes held, pending and in flight together, `OVERHEAD_BYTES` for each included.

    Attributes:
        acked: How many lines are settled.
        spooled: Number of the last line that was put on disk; all up to it are settled or there.
        held_bytes: Bytes of all that are in memory.
        dropped: How many events were left out in all.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.acked = 0
        self.spooled = 0
        self.held_bytes = 0
        self.dropped = 0
        self._pending: deque[bytes] = deque()
        self._in_flight: deque[bytes] = deque()
        self._sent = 0
        """Number of the last line sent on this connection, or settled before it."""
        self._fixed = 0
        """Number of the last line that was ever sent: up to it, a number belongs to its line."""
        self._undeclared: dict[tuple[DropReason, str | None], dict[str | None, int]] = {}
        """By reason and execution, how many of each level."""
        self._limit_bytes = limit_bytes
        self._shares = shares_of(limit_bytes)
        self._debug_limit_bytes = self._shares.debug_bytes

    @property
    def pending(self) -> int:
        """How many lines wait to be sent."""
        return self.last_line - self._sent

    @property
    def in_flight(self) -> int:
        """How many lines were sent and are not settled."""
        return self._sent - self.acked

    @property
    def next_line(self) -> int:
        """Number of the line that is to be sent next."""
        return self._sent + 1

    @property
    def next_is_spooled(self) -> bool:
        """Whether the line that is to be sent next is on disk."""
        return self._sent < self.spooled

    @property
    def spooled_lines(self) -> int:
        """How many lines are on disk and not settled."""
        return max(self.spooled - self.acked, 0)

    @property
    def held_lines(self) -> int:
        """How many lines are in memory."""
        return len(self._in_flight) + len(self._pending)

    @property
    def last_line(self) -> int:
        """Number of the newest line, 0 before the first."""
        return max(self.acked, self.spooled) + self.held_lines

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
        if self.held_bytes + size > self._debug_limit_bytes and self.held_bytes + size > self._shares.of(
            level
        ):
            self.drop("buffer_full", level, execution_id)
            return 0
        self._pending.append(line)
        self.held_bytes += size
        return len(self._pending)

    def has_room(self, line: bytes) -> bool:
        """Whether an event that is no log line could be put now."""
        return self.held_bytes + len(line) + OVERHEAD_BYTES <= self._limit_bytes

    def drop(
        self, reason: DropReason, level: object = EVENT, execution_id: str | None = None, count: int = 1
    ) -> None:
        """Count events that are left out, to be declared later in the execution that misses them."""
        self.dropped += count
        key = (reason, execution_id)
        if key not in self._undeclared and len(self._undeclared) >= _APART_LIMIT:
            key = (reason, None)
        levels = self._undeclared.setdefault(key, {})
        name = None if level is EVENT else level_name(severity(level))
        levels[name] = levels.get(name, 0) + count

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
        """Return pending lines from memory, oldest first, and count them as in flight.

        Not while `next_is_spooled`: those on disk come before them.

        Args:
            limit_bytes: Stop after the line that reaches this many bytes.
        """
        assert not self.next_is_spooled
        taken = list(self._pop(limit_bytes))
        self._in_flight.extend(taken)
        self._count_sent(len(taken))
        return taken

    def _pop(self, limit_bytes: int) -> Iterator[bytes]:
        size = 0
        while self._pending and size < limit_bytes:
            line = self._pending.popleft()
            size += len(line)
            yield line

    def take_spooled(self, count: int) -> None:
        """Count that many lines, read from disk, as in flight."""
        assert self._sent + count <= self.spooled
        self._count_sent(count)

    def _count_sent(self, count: int) -> None:
        self._sent += count
        self._fixed = max(self._fixed, self._sent)

    def ack(self, lines: int) -> None:
        """Let go of what is settled; an ack of fewer lines than the last one changes nothing.

        Args:
            lines: How many lines, counted from the first, are settled.

        Raises:
            ValueError: more lines than were ever sent, from here or from the disk.
        """
        known = max(self._sent, self.spooled)
        if lines > known:
            raise ValueError(f"{lines} lines acked, {known} sent")
        if lines <= self.acked:
            return
        for _ in range(lines - max(self.acked, self.spooled)):
            self.held_bytes -= len(self._in_flight.popleft()) + OVERHEAD_BYTES
        self.acked = lines
        self._sent = max(self._sent, lines)

    def rewind(self) -> None:
        """Let lines in flight wait to be sent again, in their order, before all others."""
        self._pending.extendleft(reversed(self._in_flight))
        self._in_flight.clear()
        self._sent = self.acked

    def oldest(self, limit_bytes: int) -> Oldest:
        """Return the oldest lines in memory, sent or not, which stay there until `spill` lets go of them.

        Args:
            limit_bytes: Stop after the line that reaches this many bytes.
        """
        before = max(self.acked, self.spooled)
        lines: list[bytes] = []
        size = 0
        for line in chain(self._in_flight, self._pending):
            lines.append(line)
            size += len(line)
            if size >= limit_bytes:
                break
        return Oldest(before + 1, lines, min(max(self._fixed - before, 0), len(lines)))

    def spill(self, plan: Plan) -> None:
        """Let go of the oldest lines: those kept are on disk now, the others are dropped and counted."""
        self.spooled = max(self.acked, self.spooled) + len(plan.kept)
        for _ in range(len(plan.kept) + len(plan.left)):
            line = self._in_flight.popleft() if self._in_flight else self._pending.popleft()
            self.held_bytes -= len(line) + OVERHEAD_BYTES
        for level, execution_id in plan.left:
            self.drop("spool_full", level, execution_id)

    def forget_spooled(self) -> None:
        """Count what waited on disk as dropped: it is gone. Its numbers stay a gap."""
        count = self.spooled_lines
        self.acked = max(self.acked, self.spooled)
        self._sent = max(self._sent, self.acked)
        self.drop("spool_lost", count=count)
