"""One row of the log without some of its lines, or with others in their place. Pure."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from flightlog_schemas.codec import decode_stored
from flightlog_schemas.events import Event, Log
from flightlogd.facts import facts_of, level_range
from flightlogd.lines import GONE, line_offsets, pack_offsets
from flightlogd.projections.quiet import Quiet
from flightlogd.store.tombstones import IndexEntry, Rewrite


class Row(Struct):
    """A row of the log as it is read.

    Attributes:
        first_seq: Position of its first line.
        received: When, microseconds since the epoch.
        lines: As they are stored.
        events: What they say, None for one that left.
    """

    first_seq: int
    received: int
    lines: list[bytes]
    events: list[Event | None]


def read_row(first_seq: int, received: int, lines: Sequence[bytes]) -> Row:
    """Return a row with its lines decoded."""
    return Row(
        first_seq,
        received,
        list(lines),
        [None if line == GONE else decode_stored(line) for line in lines],
    )


def without(row: Row, leaves: Callable[[int, Event], bool], *, counts: bool) -> Rewrite | None:
    """Return the row without the lines of which `leaves` says so, or None where nothing changes.

    Args:
        row: The row.
        leaves: Says of an event that is there, and its place in the row, whether it goes.
        counts: Keep how many log lines executions had; False where they are forgotten altogether.
    """
    gone = [event is not None and leaves(index, event) for index, event in enumerate(row.events)]
    if not any(gone):
        return None
    new: list[bytes | None] = [
        None if event is None or left else line
        for line, event, left in zip(row.lines, row.events, gone, strict=True)
    ]
    taken: dict[str, Quiet] = {}
    size = 0
    for index, left in enumerate(gone):
        if not left:
            continue
        size += len(row.lines[index]) - len(GONE)
        event = row.events[index]
        if counts and type(event) is Log:
            _count(taken, event, row.first_seq + index, row.received)
    if all(line is None for line in new):
        new, size = [], sum(map(len, row.lines))
    return rewrite(row, new, list(taken.values()), sum(gone), size)


def rewrite(
    row: Row, lines: list[bytes | None], taken: list[Quiet], taken_lines: int, taken_bytes: int
) -> Rewrite:
    """Return a row with these lines instead, and the index of them."""
    stored = [GONE if line is None else line for line in lines]
    offsets = line_offsets(stored) if stored else []
    kept = [
        (index, event)
        for index, (line, event) in enumerate(zip(lines, row.events, strict=False))
        if line is not None and event is not None
    ]
    facts = facts_of(event for _, event in kept)
    index: list[IndexEntry] = []
    for execution_id, tally in facts.tallies.items():
        low, high = tally.bounds(row.received)
        index.append(
            IndexEntry(
                execution_id,
                len(tally.indexes),
                tally.state_count,
                tally.level_mask,
                low,
                high,
                pack_offsets([kept[place][0] for place in tally.indexes], offsets),
            )
        )
    unindexed = {event.execution_id: None for event in row.events if event is not None}
    return Rewrite(
        first_seq=row.first_seq,
        last_seq=row.first_seq + len(row.lines) - 1,
        lines=lines,
        index=index,
        unindexed=[execution_id for execution_id in unindexed if execution_id is not None],
        taken=taken,
        taken_lines=taken_lines,
        taken_bytes=taken_bytes,
    )


def _count(taken: dict[str, Quiet], event: Log, seq: int, received: int) -> None:
    execution_id = event.execution_id
    assert execution_id is not None
    time = received if event.time is None else event.time
    known = taken.get(execution_id)
    if known is None:
        known = taken[execution_id] = Quiet(execution_id, [0, 0, 0, 0, 0, 0], seq, seq, time)
    known.levels[level_range(event.level)] += 1
    known.last_seq = seq
    known.first_time = min(known.first_time, time)
