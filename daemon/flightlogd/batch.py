r"""Lines of one commit to rows of the event table, with the index of who is in them. Pure.

A row holds at most 1,000 lines or 256 KiB (one longer line stands alone). Lines are joined by `,\n` between
brackets: a plain JSON array, and yet, since no line holds a newline, one split takes it apart.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import msgspec
from msgspec import Struct

from flightlog_schemas import levels
from flightlog_schemas.events import QUIET_TYPES, Event, Log

BATCH_LIMIT_LINES: Final = 1000
BATCH_LIMIT_BYTES: Final = 256 * 1024
SEPARATOR: Final = b",\n"

_INDEX_BITS: Final = 10
"""An offset packs where a line starts (22 bits) and its index in the batch (10 bits) into 32."""
_INDEX_MASK: Final = (1 << _INDEX_BITS) - 1

_LEVEL_NUMBERS: Final[dict[object, int]] = {name: number for number, name in enumerate(levels.NAMES)}
"""The common spellings of a level to their range 0..5."""


class Span(Struct, array_like=True, gc=False):
    """A run of consecutive lines of one producer inside a batch.

    Attributes:
        index: Place of its first line in the batch.
        producer: Whose lines.
        first_line: The producer's number of the first.
        count: How many lines.
        uid: The peer's user.
        pid: The peer's process.
    """

    index: int
    producer: str
    first_line: int
    count: int
    uid: int
    pid: int


class Tally(Struct, gc=False):
    """What a batch holds of one execution.

    Attributes:
        indexes: Places of its lines in the batch, rising.
        state_count: How many of them move the execution's state.
        levels: Log lines by level range (TRACE to FATAL).
        min_time: Earliest time of its events, microseconds since the epoch.
        max_time: Latest.
    """

    indexes: list[int]
    state_count: int
    levels: list[int]
    min_time: int
    max_time: int

    @property
    def log_count(self) -> int:
        """How many log lines."""
        return sum(self.levels)

    @property
    def level_mask(self) -> int:
        """One bit for each level range present, TRACE lowest."""
        return sum(1 << place for place, count in enumerate(self.levels) if count)


class Batch(Struct):
    """One row: lines committed together, who sent them, and what they are.

    Attributes:
        first_seq: Position of the first line.
        received: When, microseconds since the epoch by the daemon.
        spans: Who sent which lines.
        lines: The lines as stored.
        events: What they hold, at the same index.
        sent: The lines as a tail without filter sends them, once somebody asked.
    """

    first_seq: int
    received: int
    spans: list[Span]
    lines: list[bytes]
    events: list[Event]
    sent: list[bytes] | None = None

    @property
    def last_seq(self) -> int:
        """Position of the last line."""
        return self.first_seq + len(self.lines) - 1


class Run(Struct):
    """Consecutive lines of one producer that are to be stored."""

    producer: str
    uid: int
    pid: int
    first_line: int
    lines: list[bytes]
    events: list[Event]


def cut_batches(runs: Iterable[Run], first_seq: int, received: int) -> list[Batch]:
    """Return the runs as batches within the limits, positions given from `first_seq` on."""
    batches: list[Batch] = []
    batch = Batch(first_seq, received, [], [], [])
    room_lines, room_bytes = BATCH_LIMIT_LINES, BATCH_LIMIT_BYTES
    for run in runs:
        start, total = 0, len(run.lines)
        ends = list(accumulate(map(len, run.lines)))
        while start < total:
            done_bytes = ends[start - 1] if start else 0
            fits = bisect_left(ends, done_bytes + room_bytes + 1, start) - start
            take = min(fits, room_lines, total - start)
            if take == 0 and batch.lines:
                batches.append(batch)
                batch = Batch(batch.last_seq + 1, received, [], [], [])
                room_lines, room_bytes = BATCH_LIMIT_LINES, BATCH_LIMIT_BYTES
                continue
            take = max(take, 1)  # a line longer than the limit stands alone
            stop = start + take
            batch.spans.append(
                Span(len(batch.lines), run.producer, run.first_line + start, take, run.uid, run.pid)
            )
            batch.lines.extend(run.lines[start:stop])
            batch.events.extend(run.events[start:stop])
            room_lines -= take
            room_bytes -= ends[stop - 1] - done_bytes
            start = stop
    if batch.lines:
        batches.append(batch)
    return batches


def tally(batch: Batch) -> dict[str, Tally]:
    """Return what the batch holds of each execution that it mentions."""
    tallies: dict[str, Tally] = {}
    received = batch.received
    ranges = _LEVEL_NUMBERS
    for index, event in enumerate(batch.events):
        execution_id = event.execution_id
        if execution_id is None:
            continue
        time = event.time
        if time is None:
            time = received
        entry = tallies.get(execution_id)
        if entry is None:
            entry = tallies[execution_id] = Tally([index], 0, [0, 0, 0, 0, 0, 0], time, time)
        else:
            entry.indexes.append(index)
            if time < entry.min_time:
                entry.min_time = time
            elif time > entry.max_time:
                entry.max_time = time
        if type(event) is Log:
            level = event.level
            entry.levels[ranges[level] if type(level) is str and level in ranges else level_range(level)] += 1
        elif type(event) not in QUIET_TYPES:
            entry.state_count += 1
    return tallies


def level_range(level: object) -> int:
    """Return the level range 0 (TRACE) to 5 (FATAL) of a level as written; what is none is INFO."""
    number = levels.level_number(level)
    return 2 if number is None else (number - 1) // 4


def join_lines(lines: Sequence[bytes]) -> bytes:
    """Return the lines as one blob: a JSON array."""
    return b"[" + SEPARATOR.join(lines) + b"]"


def split_lines(blob: bytes) -> list[bytes]:
    """Return the lines of a blob; the inverse of `join_lines`."""
    return blob[1:-1].split(SEPARATOR)


def line_starts(lines: Sequence[bytes]) -> list[int]:
    """Return where each line starts in the blob that `join_lines` makes of them."""
    return [
        1 + sum_before
        for sum_before in accumulate((len(line) + len(SEPARATOR) for line in lines[:-1]), initial=0)
    ]


def pack_offsets(indexes: Sequence[int], starts: Sequence[int]) -> bytes:
    """Return where an execution's lines are in the blob, four bytes for each, little-endian."""
    packed = array("I", [starts[index] << _INDEX_BITS | index for index in indexes])
    return packed.tobytes()


def unpack_offsets(packed: bytes) -> Iterator[tuple[int, int]]:
    """Yield (index, start) of each line; the inverse of `pack_offsets`."""
    for (value,) in struct.iter_unpack("=I", packed):
        yield value & _INDEX_MASK, value >> _INDEX_BITS


def line_at(blob: bytes, start: int) -> bytes:
    """Return the line that starts there: up to the separator, or the closing bracket."""
    end = blob.find(SEPARATOR, start)
    return blob[start:end] if end >= 0 else blob[start:-1]


_SPANS: Final = msgspec.json.Decoder(list[Span])


def encode_spans(spans: Sequence[Span]) -> str:
    """Return spans as the JSON text that is stored and sealed."""
    return msgspec.json.encode(spans).decode()


def decode_spans(text: str) -> list[Span]:
    """Return the spans of a stored batch."""
    return _SPANS.decode(text)
