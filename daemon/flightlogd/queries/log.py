"""Log lines of one execution, picked out of its batches by the index."""

from collections.abc import Iterator
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas import levels
from flightlog_schemas.answers import LogLine
from flightlog_schemas.codec import decode_stored
from flightlog_schemas.events import Event, Log
from flightlog_schemas.wire.query import PAGE_LIMIT, TERMINAL, Logs
from flightlogd.queries.event import PAGE_BYTES
from flightlogd.queries.execution import status_of
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.lifecycle_lines import SOURCE, lifecycle_line
from flightlogd.store.eventlog import IndexRow, pick_lines, read_head, read_index

_PAGE_BATCHES: Final = 200
"""Batches read in one transaction: a page with few matches must not hold a reader for long."""


class Page(Struct):
    """Some lines of an answer.

    Attributes:
        execution_id: The full id.
        lines: Oldest first.
        position: Everything up to here was looked at.
        complete: True when that was the end of the log as it was read.
        ended: True when the execution had ended by then.
    """

    execution_id: str
    lines: list[LogLine]
    position: int
    complete: bool
    ended: bool


class Filter:
    """Which lines a request wants. Pure."""

    def __init__(self, request: Logs) -> None:
        self._request = request
        self._level_mask = sum(1 << (number - 1) // 4 for number in set(request.level))
        self._names = {levels.level_name(number) for number in request.level}

    def may_match(self, row: IndexRow) -> bool:
        """Say, from the index alone, whether a batch can hold a line that matches."""
        request = self._request
        if request.since is not None and row.max_time < request.since:
            return False
        if request.until is not None and row.min_time >= request.until:
            return False
        return not self._level_mask or row.state_count > 0 or bool(self._level_mask & row.level_mask)

    def matches(self, line: LogLine) -> bool:
        """Say whether a line is wanted."""
        request = self._request
        return (
            (not self._names or line.level in self._names)
            and (request.task_id is None or line.task_id == request.task_id)
            and (request.source is None or line.source == request.source)
            and (request.since is None or line.time >= request.since)
            and (request.until is None or line.time < request.until)
            and (request.grep is None or request.grep in line.message)
            and not any(text in line.message for text in request.exclude)
        )


def log_page(db: apsw.Connection, request: Logs, after: int, limit: int = PAGE_LIMIT) -> Page:
    """Return the next lines after a position: at most `limit`, and about `PAGE_BYTES` of them.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "execution")
    execution_id = find_execution(db, request.execution_id)
    head = read_head(db).seq
    wanted = Filter(request)
    lines: list[LogLine] = []
    size = 0
    for looked_at, row in enumerate(read_index(db, execution_id, after, head)):
        if looked_at >= _PAGE_BATCHES or size >= PAGE_BYTES:
            return Page(execution_id, lines, row.first_seq - 1, complete=False, ended=False)
        if not wanted.may_match(row):
            continue
        for line in _lines(db, row):
            if line.seq > after and wanted.matches(line):
                if len(lines) == limit:
                    return Page(execution_id, lines, line.seq - 1, complete=False, ended=False)
                lines.append(line)
                size += len(line.message)
    ended = status_of(db, execution_id) in TERMINAL
    return Page(execution_id, lines, head, complete=True, ended=ended)


def position_before_last(db: apsw.Connection, request: Logs, count: int) -> int:
    """Return the position after which the last `count` lines that match lie.

    The lines themselves are read from there on, page by page: they may be long.
    """
    require(db, "execution")
    execution_id = find_execution(db, request.execution_id)
    position = read_head(db).seq
    wanted = Filter(request)
    left = count
    for row in read_index(db, execution_id, request.after, position, newest_first=True):
        if not left:
            break
        if not wanted.may_match(row):
            continue
        seqs = [line.seq for line in _lines(db, row) if line.seq > request.after and wanted.matches(line)]
        if seqs:
            found = seqs[-left:]
            left -= len(found)
            position = found[0] - 1
    return position


def _lines(db: apsw.Connection, row: IndexRow) -> Iterator[LogLine]:
    picked = pick_lines(db, row)
    for index, line in picked.lines:
        found = log_line(picked.first_seq + index, picked.received, decode_stored(line))
        if found is not None:
            yield found


def log_line(seq: int, received: int, event: Event) -> LogLine | None:
    """Return an event as a log line, or None when it is not shown among logs.

    A level that is none is read as INFO; what was written is kept in `fields.level`.
    """
    assert event.execution_id is not None
    if type(event) is Log:
        source, message, fields = event.source, event.message, event.fields
        number = levels.level_number(event.level)
        if number is None:
            number, fields = levels.INFO, {**(fields or {}), "level": event.level}
    else:
        shown = lifecycle_line(event)
        if shown is None:
            return None
        number, message = shown
        source, fields = SOURCE, None
    return LogLine(
        seq=seq,
        time=received if event.time is None else event.time,
        execution_id=event.execution_id,
        task_id=event.task_id,
        agent_id=event.agent_id,
        level=levels.level_name(number),
        source=source,
        message=message,
        fields=fields,
    )
