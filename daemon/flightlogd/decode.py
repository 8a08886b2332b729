"""Whole lines to what they say, or to the refusal that each deserves. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from flightlog_schemas.codec import RefusalError, decode_line
from flightlog_schemas.events import (
    DaemonPruned,
    DaemonRebuilt,
    DaemonStarted,
    DaemonStopped,
    Event,
    Log,
)
from flightlogd.batch import SEAL_AHEAD_LINES, Sealed, cuts, seal_ahead
from flightlogd.facts import RANGES, Facts, Tally, level_range, note
from flightlogd.framing import Oversize

_DAEMON_TYPES: Final = frozenset({DaemonStarted, DaemonStopped, DaemonRebuilt, DaemonPruned})


class Plain(Struct):
    """Lines that are all simply stored.

    Attributes:
        lines: The bytes as they came.
        facts: What they say.
        size_bytes: What they take in memory.
        sealed: The lines joined, where there are enough of them.
    """

    lines: list[bytes]
    facts: Facts
    size_bytes: int
    sealed: Sealed | None


class Mixed(Struct):
    """Lines to be decided one by one: some are refused, have a key, or expect a state.

    Attributes:
        lines: The bytes as they came; of an oversize line its beginning.
        events: The event of each, or why there is none.
        size_bytes: What they take in memory.
    """

    lines: list[bytes]
    events: list[Event | RefusalError]
    size_bytes: int


def decode_lines(lines: Sequence[bytes | Oversize], limit_bytes: int) -> Iterator[Plain | Mixed]:
    """Decode what one read brought, in parts that each fit a batch. One bad line leaves its neighbours alone.

    Args:
        lines: Whole lines, without newlines.
        limit_bytes: The limit that an oversize line broke, for its reason.
    """
    oversize = Oversize in map(type, lines)
    if oversize:
        sizes = [len(line.head) if isinstance(line, Oversize) else len(line) for line in lines]
    else:
        sizes = list(map(len, lines))  # type: ignore[arg-type]  # all are bytes
    start = 0
    for stop in cuts(sizes):
        part = lines if stop - start == len(lines) else lines[start:stop]
        plain = None if oversize else _decode_plain(part)  # type: ignore[arg-type]  # none is oversize
        yield plain or _decode_mixed(part, limit_bytes)
        start = stop


def _decode_plain(lines: Sequence[bytes]) -> Plain | None:
    """Decode lines that are all simply stored; None at the first that is not.

    The commonest line is counted right here: while its event is at hand, and without a call.
    """
    facts = Facts({}, [])
    tallies = facts.tallies
    for index, line in enumerate(lines):
        try:
            event = decode_line(line)
        except RefusalError:
            return None
        if event.id is not None or event.expect_seq is not None:
            return None
        if type(event) is not Log or (time := event.time) is None:
            if type(event) in _DAEMON_TYPES:
                return None
            note(facts, index, event)
            continue
        execution_id = event.execution_id
        entry = tallies.get(execution_id)
        if entry is None:
            entry = tallies[execution_id] = Tally([index], 0, [0, 0, 0, 0, 0, 0], time, time)
        else:
            entry.indexes.append(index)
            if time > entry.max_time:
                entry.max_time = time
            elif time < entry.min_time:
                entry.min_time = time
        level = event.level
        entry.levels[RANGES[level] if type(level) is str and level in RANGES else level_range(level)] += 1
    sealed = seal_ahead(lines, facts) if len(lines) >= SEAL_AHEAD_LINES else None
    return Plain(list(lines), facts, sum(map(len, lines)), sealed)


def _decode_mixed(lines: Sequence[bytes | Oversize], limit_bytes: int) -> Mixed:
    kept: list[bytes] = []
    events: list[Event | RefusalError] = []
    for line in lines:
        if isinstance(line, Oversize):
            kept.append(line.head)
            reason = f"{line.size_bytes} bytes, the limit is {limit_bytes}"
            events.append(RefusalError("too_long", reason))
            continue
        kept.append(line)
        events.append(_decode_one(line))
    return Mixed(kept, events, sum(map(len, kept)))


def _decode_one(line: bytes) -> Event | RefusalError:
    try:
        event = decode_line(line)
    except RefusalError as refusal:
        return refusal
    if type(event) in _DAEMON_TYPES:
        return RefusalError("reserved", "only the daemon itself writes daemon.* events")
    return event
