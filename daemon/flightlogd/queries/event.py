"""Recorded events as lines: of one execution, or any that match. Verbatim, with what the daemon adds."""

from collections import deque
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec
from msgspec import UNSET

from flightlog_schemas.events import QUIET_TYPES, Event
from flightlog_schemas.wire.lines import Events, OneEvent
from flightlog_schemas.wire.origin import Origin
from flightlog_schemas.wire.reply import Pruned, Recorded
from flightlogd.batch import Batch, Span, decode_spans, origin_of
from flightlogd.elsewhere import mark_here
from flightlogd.errors import QuestionError
from flightlogd.lines import GONE
from flightlogd.match import Match
from flightlogd.queries.find import find_execution, require
from flightlogd.store.eventlog import (
    Picked,
    first_received_since,
    pick_lines,
    read_batches,
    read_head,
    read_index,
    read_line,
)
from flightlogd.store.keys import find_key
from flightlogd.store.tombstones import holes_between, taken_ranges

PAGE_BYTES: Final = 512 * 1024
"""About how much of a tail is sent at once; a slow reader holds no more than this."""

_encode = msgspec.json.encode


class _About(msgspec.Struct, gc=False):
    execution_id: str | None = None


_decode_about = msgspec.json.Decoder(_About).decode

_PAGE_BATCHES: Final = 64
"""Batches read in one transaction."""


def event_line(batch_seq: int, received: int, span: Span, index: int, line: bytes) -> bytes:
    """Return one recorded event as it is sent, with its newline."""
    if type(span) is not Span:
        return _origin_line(batch_seq, received, span, index, line)
    return b'{"seq":%d,"received":%d,"uid":%d,"pid":%d,"producer":"%b","line":%d,"event":%b}\n' % (
        batch_seq + index,
        received,
        span.uid,
        span.pid,
        _json_text(span.producer),
        span.first_line + index - span.index,
        line,
    )


def _origin_line(batch_seq: int, received: int, span: Span, index: int, line: bytes) -> bytes:
    """Return an event that was recorded elsewhere first, likewise."""
    first = origin_of(span)
    assert first is not None
    place = first.after(index - span.index)
    said = _decode_about(line).execution_id
    recorded = Recorded(
        seq=batch_seq + index,
        received=received,
        uid=span.uid,
        pid=span.pid,
        producer=span.producer,
        line=span.first_line + index - span.index,
        origin=Origin(log_id=place.log_id, host=place.host, seq=place.seq, received=place.received),
        execution_id=UNSET if said is None else said + mark_here(span.producer),
        event=msgspec.Raw(line),
    )
    return _encode(recorded) + b"\n"


def _json_text(text: str) -> bytes:
    """Return an id as the inside of a JSON string: printable, but it may hold quotes and backslashes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').encode()


def batch_lines(batch: Batch, after: int, match: Match) -> list[bytes]:
    """Return the events of a batch above a position, as they are sent, with a line for each run of holes."""
    sent: list[bytes] = []
    hole: list[int] = []
    for span in batch.spans:
        if not match.may_say(span):
            continue
        for index in range(max(span.index, after + 1 - batch.first_seq), span.index + span.count):
            line = batch.lines[index]
            if line == GONE:
                hole.append(batch.first_seq + index)
                continue
            event = batch.events[index]
            if event is None or not match.matches(line, event):
                continue
            if hole:
                sent += _holes([(hole[0], hole[-1], "retention")], match)
                hole.clear()
            sent.append(event_line(batch.first_seq, batch.received, span, index, line))
    return sent + (_holes([(hole[0], hole[-1], "retention")], match) if hole else [])


def ready_lines(batch: Batch, after: int, match: Match) -> list[bytes]:
    """Return the events of a batch in memory above a position, as they are sent; each is made ready once."""
    first = after + 1 - batch.first_seq
    return [
        batch.ready[index] if index in batch.ready else _make_ready(batch, index)
        for index in match.places(batch)
        if index >= first and match.wants(batch, index)
    ]


def _make_ready(batch: Batch, index: int) -> bytes:
    line = event_line(batch.first_seq, batch.received, batch.span_at(index), index, batch.lines[index])
    batch.ready[index] = line
    return line


def _holes(ranges: Iterable[tuple[int, int, str]], match: Match) -> list[bytes]:
    """Return what governance took, (first_seq, last_seq, reason), as it is sent to who may have wanted it."""
    if not match.wants_logs:
        return []
    return [
        b'{"pruned":%b}\n' % _encode(Pruned(first_seq=first_seq, last_seq=last_seq, reason=reason))
        for first_seq, last_seq, reason in ranges
    ]


def picked_lines(picked: Picked, after: int, match: Match) -> list[bytes]:
    """Return picked lines above a position, as they are sent."""
    spans = decode_spans(picked.spans)
    sent: list[bytes] = []
    place = 0
    for index, line, event in picked.events():
        while index >= spans[place].index + spans[place].count:
            place += 1
        if picked.first_seq + index > after and match.may_say(spans[place]) and match.matches(line, event):
            sent.append(event_line(picked.first_seq, picked.received, spans[place], index, line))
    return sent


def one_event(db: apsw.Connection, request: OneEvent, uid: int) -> bytes:
    """Return one recorded event as it is sent.

    Args:
        db: A connection that reads.
        request: Which.
        uid: Who asks.

    Raises:
        QuestionError: `invalid`: neither a position nor a key, or both; `not_found`.
    """
    seq = request.seq
    if (seq is None) == (request.id is None):
        raise QuestionError("invalid", "which event? Name its position or its key")
    if request.id is not None:
        uid = uid if request.uid is None else request.uid
        seq = find_key(db, uid, request.id)
        if seq is None:
            raise QuestionError("not_found", f"no event of uid {uid} has the key {request.id}")
    assert seq is not None
    found = read_line(db, seq)
    if found is None:
        known = "it has left the log" if 0 < seq <= read_head(db).seq else "the log does not go there"
        raise QuestionError("not_found", f"no event at position {seq}: {known}")
    received, span, index, line = found
    return event_line(seq - index, received, span, index, line)


def event_page(db: apsw.Connection, request: Events) -> tuple[list[bytes], int | None]:
    """Return a page of one execution's events, oldest first, and the `after` of the next page, if any.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "execution")
    execution_id = find_execution(db, request.execution_id)
    match = _Wanted(request)
    lines: list[bytes] = []
    state_only = not request.logs and not request.type
    for row in read_index(db, execution_id, request.after, read_head(db).seq, state_only=state_only):
        picked = pick_lines(db, row)
        for place, (index, _) in enumerate(picked.lines):
            one = Picked(picked.first_seq, picked.received, picked.spans, picked.lines[place : place + 1])
            found = picked_lines(one, request.after, match)
            if found and len(lines) == request.limit:
                return lines, picked.first_seq + index - 1
            lines += found
    return lines, None


class _Wanted(Match):
    """The filter of `events`: given types, else all but log lines, else everything."""

    def __init__(self, request: Events) -> None:
        super().__init__(types=request.type)
        self._quiet = request.logs or bool(request.type)

    def matches(self, line: bytes, event: Event) -> bool:
        return (self._quiet or type(event) not in QUIET_TYPES) and super().matches(line, event)


def tail_page(db: apsw.Connection, after: int, until: int, match: Match) -> tuple[list[bytes], int]:
    """Return matching events in (after, until], as much as one page holds, and the position it reaches."""
    lines: list[bytes] = []
    size = 0
    looked_at = 0
    if match.execution_id is not None:
        holes = taken_ranges(db, match.execution_id, after, until)
        for row in read_index(db, match.execution_id, after, until):
            lines += _holes(_before(holes, row.first_seq), match)
            if size >= PAGE_BYTES or looked_at >= _PAGE_BATCHES:
                return lines, row.first_seq - 1
            found = picked_lines(pick_lines(db, row), after, match)
            lines += found
            size += sum(map(len, found))
            looked_at += 1
        return lines + _holes(holes, match), until
    holes = deque((hole.first_seq, hole.last_seq, hole.cause) for hole in holes_between(db, after, until))
    for batch in read_batches(db, after, until):
        lines += _holes(_before(holes, batch.first_seq), match)
        if size >= PAGE_BYTES or looked_at >= _PAGE_BATCHES:
            return lines, batch.first_seq - 1
        found = batch_lines(batch, after, match)
        lines += found
        size += sum(map(len, found))
        looked_at += 1
    return lines + _holes(holes, match), until


def _span_at(spans: list[Span], index: int) -> Span:
    return next(span for span in spans if span.index <= index < span.index + span.count)


def _before(holes: deque[tuple[int, int, str]], seq: int) -> list[tuple[int, int, str]]:
    """Take the holes that begin before a position."""
    found = []
    while holes and holes[0][0] < seq:
        found.append(holes.popleft())
    return found


def position_before_last(db: apsw.Connection, count: int, until: int, match: Match) -> int:
    """Return the position after which the last `count` matching events up to `until` lie."""
    left = count
    position = until
    if not count:
        return until
    if match.execution_id is not None:
        for row in read_index(db, match.execution_id, 0, until, newest_first=True):
            picked = pick_lines(db, row)
            spans = decode_spans(picked.spans)
            for index, line, event in reversed(list(picked.events())):
                if (
                    picked.first_seq + index <= until
                    and match.may_say(_span_at(spans, index))
                    and match.matches(line, event)
                ):
                    left -= 1
                    position = picked.first_seq + index - 1
                    if not left:
                        return position
        return position
    for (first_seq,) in db.execute(
        "select first_seq from event_batch where first_seq <= ? order by first_seq desc", (until,)
    ):
        for batch in read_batches(db, first_seq - 1, first_seq):
            for index in range(len(batch.lines) - 1, -1, -1):
                said = batch.events[index]
                if (
                    said is not None
                    and batch.first_seq + index <= until
                    and match.may_say(batch.span_at(index))
                    and match.matches(batch.lines[index], said)
                ):
                    left -= 1
                    position = batch.first_seq + index - 1
                    if not left:
                        return position
    return position


def position_since(db: apsw.Connection, since: int) -> int:
    """Return the position before the first batch received at or after a time; the head when there is none."""
    first_seq = first_received_since(db, since)
    return read_head(db).seq if first_seq is None else first_seq - 1
