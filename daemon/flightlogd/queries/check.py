"""What the log has of one execution, and of those who wrote to it: evidence for whether it is complete."""

import re
from collections.abc import Iterator
from typing import Final

import apsw
import msgspec
from msgspec import Struct, field

from flightlog_schemas.cuts import CAPTURE_LIMIT_BYTES, CUT_CHARS
from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.events import Event, ExecutionEnded, Log, ProducerDropped
from flightlog_schemas.statuses import Status
from flightlogd.batch import Span, decode_spans
from flightlogd.elsewhere import GIVEN_PREFIX, mark_here
from flightlogd.queries.execution import status_of
from flightlogd.queries.find import find_execution, require
from flightlogd.store.eventlog import pick_lines, read_head, read_index

_SLICE_LINES: Final = 20_000
"""Lines looked at in one transaction: it must not hold a reader for long."""

_ID: Final = re.compile(rb'"execution_id"\s*:\s*"((?:[^"\\]|\\.)*)"')


class Writer(Struct):
    """What one producer said in an execution.

    Attributes:
        uid: The peer's user.
        pid: The peer's process, when it was first heard here.
        records: Its events of the execution.
        first_line: Its number of the first.
        last_line: Its number of the last.
        last_received: When that came.
        end_line: Its number of the ending that it told, if it did.
        end_seq: That one's position.
    """

    uid: int
    pid: int
    first_line: int
    records: int = 0
    last_line: int = 0
    last_received: int = 0
    end_line: int | None = None
    end_seq: int | None = None


class Dropped(Struct):
    """What a producer says that it left out; `named`: of this execution."""

    producer: str
    uid: int
    pid: int
    time: int
    count: int
    by_level: dict[str, int] | None
    reason: str | None
    named: bool


class Seen(Struct):
    """What a walk over an execution's lines has found so far.

    Attributes:
        execution_id: The full id.
        head: The walk ends here.
        position: Everything up to here was looked at.
        first_seq: Position of its first event.
        first_received: When that came.
        records: Events.
        logs: Log lines among them.
        strange: Lines that the index holds for it and that are of another.
        cut_lines: Log lines that are here in part.
        cut_chars: How much of them is missing.
        limited: (producer, line, time, bytes) where capture of a command ended before its output.
        writers: By producer.
        dropped: What producers left out.
    """

    execution_id: str
    head: int
    position: int = 0
    first_seq: int = 0
    first_received: int = 0
    records: int = 0
    logs: int = 0
    strange: int = 0
    cut_lines: int = 0
    cut_chars: int = 0
    limited: list[tuple[str, int, int, int]] = field(default_factory=list)
    writers: dict[str, Writer] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)


class Counted(Struct):
    """What the read model counted of an execution's log lines, and what governance took of them.

    Attributes:
        status: How the execution stands.
        log_count: All that ever came.
        pruned: (cause, time, lines) of what was taken.
    """

    status: Status
    log_count: int
    pruned: list[tuple[str, int, int]]


class Refusal(Struct):
    """A refused line of the execution; where it is not `named`, it may be of another."""

    producer: str
    line: int
    uid: int
    pid: int
    time: int
    code: str
    reason: str
    named: bool


class Refusals(Struct):
    """Refused lines whose bytes are kept.

    Attributes:
        refusals: Those that are, or may be, of the execution.
        kept: How many are kept of each producer that wrote to it.
    """

    refusals: list[Refusal] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)


class Known(Struct):
    """What is known of one producer beyond what it said in the execution.

    Attributes:
        pid: Its process when it was last connected.
        line: Its lines up to here are settled.
        bye_lines: How many lines its goodbye told of.
        first_seen: When it was first heard of.
        last_seen: When it was last heard of.
        gaps: (first line, last line, cause, time) of lines without a position.
    """

    pid: int
    line: int
    bye_lines: int | None
    first_seen: int
    last_seen: int
    gaps: list[tuple[int, int, str, int]]


def begin(db: apsw.Connection, text: str) -> tuple[Seen, Counted]:
    """Return the beginning of a walk over an execution, and what was counted of it at the same moment.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "execution", "log", "audit")
    execution_id = find_execution(db, text)
    seen = Seen(execution_id, read_head(db).seq)
    return seen, counted(db, execution_id)


def counted(db: apsw.Connection, execution_id: str) -> Counted:
    """Return what was counted of an execution."""
    sum_ = "trace + debug + info + warn + error + fatal"
    log_count = db.execute(f"select {sum_} from execution_log where execution_id = ?", (execution_id,)).get
    pruned = db.execute(
        f"select cause, pruned_at, sum({sum_}) from tombstone_log l join tombstone using (tombstone_id)"
        " where execution_id = ? group by cause, pruned_at / 86400000000 order by pruned_at",
        (execution_id,),
    )
    return Counted(status_of(db, execution_id), log_count or 0, [row for row in pruned if row[2]])


def walk(db: apsw.Connection, seen: Seen) -> bool:
    """Look at the next lines of the execution; True when that were the last."""
    looked_at = 0
    for row in read_index(db, seen.execution_id, seen.position, seen.head):
        if looked_at >= _SLICE_LINES:
            seen.position = row.first_seq - 1
            return False
        picked = pick_lines(db, row)
        spans = _by_index(decode_spans(picked.spans))
        span = next(spans)
        for index, _, event in picked.events():
            if not seen.position < picked.first_seq + index <= seen.head:
                continue
            while index >= span.index + span.count:
                span = next(spans)
            if not seen.first_seq:
                seen.first_seq, seen.first_received = picked.first_seq + index, picked.received
            _see(seen, span, picked.first_seq, index, event, picked.received)
        looked_at += len(picked.lines)
    seen.position = seen.head
    return True


def _by_index(spans: list[Span]) -> Iterator[Span]:
    return iter(sorted(spans, key=lambda span: span.index))


def _see(seen: Seen, span: Span, first_seq: int, index: int, event: Event, received: int) -> None:
    if event.execution_id != seen.execution_id:
        seen.strange += 1
        return
    number = span.first_line + index - span.index
    time = received if event.time is None else event.time
    writer = seen.writers.get(span.producer)
    if writer is None:
        writer = seen.writers[span.producer] = Writer(span.uid, span.pid, number)
    seen.records += 1
    writer.records += 1
    writer.first_line = min(writer.first_line, number)
    writer.last_line = max(writer.last_line, number)
    writer.last_received = received
    if type(event) is Log:
        seen.logs += 1
        if event.fields:
            _see_cuts(seen, span.producer, number, time, event.fields)
    elif type(event) is ProducerDropped:
        who = span.producer, span.uid, span.pid
        seen.dropped.append(Dropped(*who, time, event.count, event.by_level, event.reason, named=True))
    elif type(event) is ExecutionEnded:
        writer.end_line, writer.end_seq = number, first_seq + index


def _see_cuts(seen: Seen, producer: str, number: int, time: int, fields: dict[str, object]) -> None:
    cut_chars, limit_bytes = fields.get(CUT_CHARS), fields.get(CAPTURE_LIMIT_BYTES)
    if isinstance(cut_chars, int) and cut_chars > 0:
        seen.cut_lines += 1
        seen.cut_chars += cut_chars
    if isinstance(limit_bytes, int) and limit_bytes > 0:
        seen.limited.append((producer, number, time, limit_bytes))


def known_producers(db: apsw.Connection, seen: Seen) -> dict[str, Known]:
    """Return what is known of those who wrote to the execution."""
    names = msgspec.json.encode(list(seen.writers)).decode()
    found = {
        row[0]: Known(row[1], row[2], row[3], row[4], row[5], [])
        for row in db.execute(
            "select producer, pid, line, bye_lines, first_seen, last_seen from json_each(?)"
            " cross join producer on producer = value",
            (names,),
        )
    }
    for producer, *gap in db.execute(
        "select producer, first_line, last_line, cause, received from json_each(?)"
        " cross join line_gap on producer = value order by producer, first_line",
        (names,),
    ):
        found[producer].gaps.append(tuple(gap))
    for name in seen.writers.keys() - found.keys():
        if name.startswith(GIVEN_PREFIX):
            found[name] = _forgotten(seen.writers[name])
    return found


def _forgotten(writer: Writer) -> Known:
    """Return what is known of a peer without a name that left nothing out: what is stored."""
    return Known(writer.pid, writer.last_line, None, writer.last_received, writer.last_received, [])


def refusals(db: apsw.Connection, seen: Seen) -> Refusals:
    """Return the refused lines that name the execution, or that one of its producers sent."""
    found = Refusals()
    said_id, its_mark = split_mark(seen.execution_id)
    for producer, line, uid, pid, time, code, reason, content in db.execute(
        "select producer, line, uid, pid, received, code, reason, bytes from refused"
        " where instr(bytes, ?1) or producer in (select value from json_each(?2)) order by refused_id",
        (said_id.encode(), msgspec.json.encode(list(seen.writers)).decode()),
    ):
        mark = mark_here(producer)
        if mark != its_mark:
            continue  # nothing said on one machine is about an execution of another
        named = _names(content, mark)
        if producer in seen.writers:
            found.kept[producer] = found.kept.get(producer, 0) + 1
        if named == seen.execution_id or (named is None and producer in seen.writers):
            found.refusals.append(Refusal(producer, line, uid, pid, time, code, reason, named is not None))
    return found


def _names(content: bytes, mark: str) -> str | None:
    """Return the execution that a refused line names, as far as that can be read, as it is called here."""
    match = _ID.search(content)
    if match is None:
        return None
    try:
        return msgspec.json.decode(b'"%b"' % match[1], type=str) + mark
    except ValueError:
        return None


def dropped_elsewhere(db: apsw.Connection, seen: Seen) -> list[Dropped]:
    """Return what those who wrote to the execution left out without saying of which."""
    found: list[Dropped] = []
    for seq, time, uid, pid, reason, detail in db.execute(
        "select seq, time, uid, pid, reason, detail from audit"
        " where event_type = 'DROPPED' and seq between ? and ? and +execution_id is null order by seq",
        (seen.first_seq, seen.head),
    ):
        said = msgspec.json.decode(detail)
        writer = seen.writers.get(said["producer"])
        if writer is None or reason == "no_execution" or (writer.end_seq or seq) < seq:
            continue
        found.append(
            Dropped(said["producer"], uid, pid, time, said["count"], said["by_level"], reason, named=False)
        )
    return found
