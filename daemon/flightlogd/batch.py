"""Runs of lines, and the batches that they are stored as: one row of the event table each. Pure.

A batch is what was committed together, up to 2,000 lines and 256 KiB (one longer line may be its last).
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, reduce
from operator import attrgetter, or_
from typing import Final

import msgspec
from msgspec import Struct

from flightlog_schemas.codec import decode_stored
from flightlog_schemas.events import Event
from flightlogd.elsewhere import mark_event, mark_here
from flightlogd.facts import Facts, join_facts
from flightlogd.lines import GONE, JOIN_LIMIT_BYTES, LINES_LIMIT, join_lines, line_offsets, pack_offsets
from flightlogd.seal import digest_lines

SEAL_AHEAD_LINES: Final = 128
"""Runs of this many lines are joined and sealed where they are decoded, while the writer waits for the disk,
and are a batch of their own. Shorter ones share one."""


_INDEX: Final = attrgetter("index")


class Sealed(Struct, frozen=True):
    """Lines joined, and their digest."""

    blob: bytes
    digest: bytes


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


class Place(Struct, array_like=True, frozen=True, gc=False):
    """Where the first of some lines was recorded first; those after it follow there, too.

    Attributes:
        log_id: Which log.
        host: The name of its machine.
        seq: The position there.
        received: When it was received there, microseconds since the epoch.
        relayed: It came as it was recorded there, not by an import later.
    """

    log_id: str
    host: str
    seq: int
    received: int
    relayed: bool = False

    def after(self, count: int) -> "Place":
        """Return the place of the line that many lines later."""
        return Place(self.log_id, self.host, self.seq + count, self.received, self.relayed)


class OriginSpan(Span, array_like=True, gc=False):
    """A run of lines that were recorded elsewhere first. Uid, pid and line are those of there.

    Attributes:
        origin: Where the first was.
    """

    origin: Place | None = None


class Run(Struct):
    """Lines that are to be stored one after the other, within the limits of a batch.

    Attributes:
        spans: Who sent which of them; a batch takes these over.
        lines: Their bytes.
        facts: What they say.
        sealed: The lines joined, where that was done ahead.
    """

    spans: list[Span]
    lines: list[bytes]
    facts: Facts
    sealed: Sealed | None = None


class Batch(Struct, dict=True):
    """One row of the event table.

    Attributes:
        first_seq: Position of the first line.
        received: When, microseconds since the epoch by the daemon.
        spans: Who sent which lines.
        lines: The lines as stored.
        facts: What they say.
        sealed: The lines joined, and their digest.
        ready: The lines as they are sent to readers, each once somebody wanted it.
    """

    first_seq: int
    received: int
    spans: list[Span]
    lines: list[bytes]
    facts: Facts
    sealed: Sealed | None = None
    ready: dict[int, bytes] = msgspec.field(default_factory=dict)

    @property
    def last_seq(self) -> int:
        """Position of the last line."""
        return self.first_seq + len(self.lines) - 1

    @cached_property
    def events(self) -> list[Event | None]:
        """What the lines hold, decoded again for whoever asks first; None: it left."""
        return list(map(self.event, range(len(self.lines))))

    def event(self, index: int) -> Event | None:
        """Return what one line holds, decoded again for whoever asks first; None: it left."""
        if index not in self._decoded:
            line = self.lines[index]
            event = None if line == GONE else decode_stored(line)
            if event is not None:
                mark_event(event, mark_here(self.span_at(index).producer))
            self._decoded[index] = event
        return self._decoded[index]

    def span_at(self, index: int) -> Span:
        """Return who sent the line at an index."""
        if len(self.spans) == 1:
            return self.spans[0]
        return self.spans[bisect_right(self.spans, index, key=_INDEX) - 1]

    @cached_property
    def _decoded(self) -> dict[int, Event | None]:
        return {}

    @cached_property
    def level_mask(self) -> int:
        """One bit for each level range that some line is of, TRACE lowest."""
        return reduce(or_, (entry.level_mask for entry in self.facts.tallies.values()), 0)


def seal(blob: bytes, lines: Sequence[bytes], facts: Facts) -> Sealed:
    """Digest joined lines, and note in the tallies where each execution's are."""
    offsets = line_offsets(lines)
    for entry in facts.tallies.values():
        if len(entry.indexes) < len(lines):
            entry.offsets = pack_offsets(entry.indexes, offsets)
    return Sealed(blob, digest_lines(blob))


def cuts(sizes: Sequence[int]) -> list[int]:
    """Return where to cut lines of these sizes so that each part fits a batch: where each part ends."""
    if len(sizes) <= LINES_LIMIT and sum(sizes) <= JOIN_LIMIT_BYTES:
        return [len(sizes)]
    found = []
    size = start = 0
    for index, line_size in enumerate(sizes):
        if index - start == LINES_LIMIT or size > JOIN_LIMIT_BYTES:
            found.append(index)
            start, size = index, 0
        size += line_size
    return [*found, len(sizes)]


def make_batches(runs: Sequence[Run], first_seq: int, received: int) -> list[Batch]:
    """Return the runs as batches, positions given from `first_seq` on; runs share one while they fit."""
    batches: list[Batch] = []
    waiting: list[Run] = []
    lines = size = 0
    for run in runs:
        run_size = sum(map(len, run.lines)) if run.sealed is None else JOIN_LIMIT_BYTES
        if waiting and (lines + len(run.lines) > LINES_LIMIT or size + run_size > JOIN_LIMIT_BYTES):
            batches.append(_make_batch(waiting, first_seq, received))
            first_seq += lines
            waiting, lines, size = [], 0, 0
        waiting.append(run)
        lines += len(run.lines)
        size += run_size
    if waiting:
        batches.append(_make_batch(waiting, first_seq, received))
    return batches


def _make_batch(runs: list[Run], first_seq: int, received: int) -> Batch:
    spans: list[Span] = []
    index = 0
    for run in runs:
        for span in run.spans:
            if spans and _goes_on(spans[-1], span):
                spans[-1].count += span.count
            else:
                span.index += index
                spans.append(span)
        index += len(run.lines)
    if len(runs) == 1 and runs[0].sealed is not None:
        return Batch(first_seq, received, spans, runs[0].lines, runs[0].facts, runs[0].sealed)
    lines = [line for run in runs for line in run.lines]
    starts = [0]
    for run in runs:
        starts.append(starts[-1] + len(run.lines))
    facts = (
        runs[0].facts
        if len(runs) == 1
        else join_facts(zip(starts, (run.facts for run in runs), strict=False))
    )
    return Batch(first_seq, received, spans, lines, facts, seal(join_lines(lines), lines, facts))


def _goes_on(span: Span, rest: Span) -> bool:
    """Say whether a span is the rest of another."""
    if span.producer != rest.producer or span.first_line + span.count != rest.first_line:
        return False
    before = origin_of(span)
    return origin_of(rest) == (None if before is None else before.after(span.count)) and (
        before is None or (span.uid, span.pid) == (rest.uid, rest.pid)
    )


def origin_of(span: Span) -> Place | None:
    """Return where a span's first line was recorded first, None where that was here."""
    return span.origin if type(span) is OriginSpan else None


_SPANS: Final = msgspec.json.Decoder(list[Span])
_ORIGIN_SPANS: Final = msgspec.json.Decoder(list[OriginSpan])


def encode_spans(spans: Sequence[Span]) -> str:
    """Return spans as the JSON text that is stored and sealed."""
    return msgspec.json.encode(spans).decode()


def decode_spans(text: str) -> list[Span]:
    """Return the spans of a stored batch."""
    if "]]," not in text and not text.endswith("]]]"):
        return _SPANS.decode(text)
    # Most likely some end with an origin, which is an array, too.
    return [
        Span(span.index, span.producer, span.first_line, span.count, span.uid, span.pid)
        if span.origin is None
        else span
        for span in _ORIGIN_SPANS.decode(text)
    ]
