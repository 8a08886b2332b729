"""Log lines of one execution, or of all runs of a task, picked out of their batches by the index."""

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import groupby
from operator import itemgetter
from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas import levels
from flightlog_schemas.answers import LogLine
from flightlog_schemas.events import Event, Log
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.statuses import TERMINAL
from flightlog_schemas.wire.lines import Logs
from flightlog_schemas.wire.request import PAGE_LIMIT
from flightlogd.errors import QuestionError
from flightlogd.lines import LINES_LIMIT
from flightlogd.match import substrings
from flightlogd.queries.cursor import available_of, cursor_position
from flightlogd.queries.ended_tasks import with_ended_tasks
from flightlogd.queries.event import PAGE_BYTES
from flightlogd.queries.execution import status_of
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.lifecycle_lines import SOURCE, lifecycle_fields, lifecycle_line
from flightlogd.queries.of_host import host_condition, marks_of, name_hosts
from flightlogd.store.eventlog import IndexRow, pick_lines, read_head, read_index
from flightlogd.store.tombstones import count_taken

_PAGE_BATCHES: Final = 200
"""Batches read in one transaction: a page with few matches must not hold a reader for long."""


_LAST_SEQ: Final = "max(execution.last_seq, coalesce(execution_log.last_seq, 0))"
"""The position of an execution's last event of any kind."""


class Run(Struct, frozen=True):
    """Where an execution's lines may be: positions from the first to the last, both included."""

    execution_id: str
    first_seq: int = 0
    last_seq: int = INT64_MAX


class Page(Struct):
    """Some lines of an answer.

    Attributes:
        execution_id: The full id; None where the lines are those of a task in any execution.
        lines: Oldest first, or newest first.
        position: Everything up to here was looked at; newest first, everything from here on.
        complete: True when that was the end of the log as it was read.
        ended: True when the execution had ended by then.
        pruned: At the end, how many lines of it left the log by governance.
    """

    execution_id: str | None
    lines: list[LogLine]
    position: int
    complete: bool
    ended: bool = False
    pruned: int = 0


class Filter:
    """Which lines a request wants. Pure."""

    def __init__(self, request: Logs) -> None:
        self._request = request
        self.task_id = request.task_id
        self.of_many = request.execution_id is None
        self._level_mask = sum(1 << (number - 1) // 4 for number in set(request.level))
        self._names = {levels.level_name(number) for number in request.level}
        self._grep = substrings(request.grep)
        narrowed = request.level, request.task_id, request.agent_id, request.source, request.since
        self._all = not any((*narrowed, self._grep, request.exclude)) and request.until is None

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
        return self._all or (
            (not self._names or line.level in self._names)
            and (request.task_id is None or line.task_id == request.task_id)
            and (request.agent_id is None or line.agent_id == request.agent_id)
            and (request.source is None or line.source == request.source)
            and (request.since is None or line.time >= request.since)
            and (request.until is None or line.time < request.until)
            and all(text in line.message for text in self._grep)
            and not any(text in line.message for text in request.exclude)
        )


def start_after(db: apsw.Connection, request: Logs, uid: int) -> int:
    """Return the position after which a request begins, oldest first.

    Raises:
        QuestionError: `cursor_behind`, or what finding the execution or the task raises.
    """
    start = request.after
    if start is None and request.cursor is not None:
        require(db, "log")
        _, runs = _find_runs(db, request, 0)
        start = cursor_position(db, uid, request.cursor, available_of([run.execution_id for run in runs]))
        if start is not None:
            return start
    start = start or 0
    return start if request.last is None else _before_last(db, request, start, request.last)


def log_page(db: apsw.Connection, request: Logs, after: int, limit: int = PAGE_LIMIT) -> Page:
    """Return the next lines after a position: at most `limit`, and about `PAGE_BYTES` of them.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    head = read_head(db).seq
    execution_id, runs = _find_runs(db, request, after)
    wanted = Filter(request)
    lines: list[LogLine] = []
    size = 0
    for looked_at, (first_seq, rows) in enumerate(_batches(db, runs, after, head)):
        if looked_at >= _PAGE_BATCHES or size >= PAGE_BYTES:
            return Page(execution_id, lines, first_seq - 1, complete=False)
        for line in _lines(db, rows, wanted):
            if line.seq > after:
                if len(lines) == limit:
                    return Page(execution_id, lines, line.seq - 1, complete=False)
                lines.append(line)
                size += len(line.message)
    ended = execution_id is not None and status_of(db, execution_id) in TERMINAL
    pruned = _pruned(db, execution_id)
    return Page(execution_id, lines, head, complete=True, ended=ended, pruned=pruned)


def last_page(db: apsw.Connection, request: Logs, after: int, count: int) -> Page | None:
    """Return the last `count` lines after a position, oldest first; None where that is too much for a page.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    head = read_head(db).seq
    execution_id, runs = _find_runs(db, request, after)
    wanted = Filter(request)
    lines: list[LogLine] = []
    size = 0
    for _, rows in _batches(db, runs, after, head, newest_first=True):
        found = [line for line in _lines(db, rows, wanted) if line.seq > after]
        lines += found[: -(count - len(lines)) - 1 : -1]
        size += sum(len(line.message) for line in found)
        if len(lines) == count:
            break
        if size >= PAGE_BYTES:
            return None
    ended = execution_id is not None and status_of(db, execution_id) in TERMINAL
    return Page(execution_id, lines[::-1], head, True, ended, _pruned(db, execution_id))


def log_page_back(db: apsw.Connection, request: Logs, after: int, before: int, limit: int) -> Page:
    """Return the lines before a position, newest first: at most `limit`, and about `PAGE_BYTES` of them.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    execution_id, runs = _find_runs(db, request, after)
    wanted = Filter(request)
    lines: list[LogLine] = []
    size = 0
    batches = _batches(db, runs, after, before - 1, newest_first=True)
    for looked_at, (first_seq, rows) in enumerate(batches):
        for line in reversed(list(_lines(db, rows, wanted))):
            if after < line.seq < before:
                if len(lines) == limit:
                    return Page(execution_id, lines, line.seq + 1, complete=False)
                lines.append(line)
                size += len(line.message)
        if looked_at >= _PAGE_BATCHES or size >= PAGE_BYTES:
            return Page(execution_id, lines, first_seq, complete=False)
    return Page(execution_id, lines, after + 1, complete=True, pruned=_pruned(db, execution_id))


def _pruned(db: apsw.Connection, execution_id: str | None) -> int:
    return 0 if execution_id is None else count_taken(db, execution_id)


def _before_last(db: apsw.Connection, request: Logs, after: int, count: int) -> int:
    """Return the position after which the last `count` lines that match lie, `after` or a later one.

    The lines themselves are read from there on, page by page: they may be long.
    """
    position = read_head(db).seq
    _, runs = _find_runs(db, request, after)
    wanted = Filter(request)
    left = count
    for _, rows in _batches(db, runs, after, position, newest_first=True) if count else ():
        seqs = [line.seq for line in _lines(db, rows, wanted) if line.seq > after]
        if seqs:
            found = seqs[-left:]
            left -= len(found)
            position = found[0] - 1
        if not left:
            break
    return position


def _find_runs(db: apsw.Connection, request: Logs, after: int) -> tuple[str | None, list[Run]]:
    """Return the execution that is meant, or None, and where to look for lines above a position."""
    require(db, "execution")
    if request.execution_id is not None:
        execution_id = find_execution(db, request.execution_id, request.host)
        return execution_id, [Run(execution_id)]
    if request.task_id is None:
        raise QuestionError("invalid", "logs of what? Name an execution or a task")
    require(db, "task", "log")
    if db.execute("select 1 from task where task_id = ? limit 1", (request.task_id,)).get is None:
        raise QuestionError(
            "not_found",
            f"no execution has announced a task {request.task_id}",
            "flightlog task list shows them",
        )
    of_hosts, values = host_condition(marks_of(db, request.host), walk=False)
    narrowed = "".join(f" and {condition}" for condition in of_hosts)
    # What a task says lies between its first event and the end of its execution.
    return None, [
        Run(*row)
        for row in db.execute(
            f"select execution_id, min(seq), {_LAST_SEQ} from task join execution using (execution_id)"
            f" left join execution_log using (execution_id) where task_id = ? and {_LAST_SEQ} > ?"
            f"{narrowed} group by execution_id",
            (request.task_id, after, *values),
        )
    ]


def _batches(
    db: apsw.Connection, runs: list[Run], after: int, until: int, *, newest_first: bool = False
) -> Iterator[tuple[int, list[IndexRow]]]:
    """Yield (first position, rows of the index) of the batches with lines in (after, until], in order."""
    if len(runs) == 1:
        (run,) = runs
        rows = _rows(db, run, after, until, newest_first=newest_first)
        return ((row.first_seq, [row]) for row in rows)
    merged = _merged(db, runs, after, until, newest_first=newest_first)
    return ((first_seq, list(rows)) for first_seq, rows in groupby(merged, lambda row: row.first_seq))


def _merged(
    db: apsw.Connection, runs: list[Run], after: int, until: int, *, newest_first: bool
) -> Iterator[IndexRow]:
    """Yield the rows of several executions in order; each is asked for only when its turn may have come."""
    sign = -1 if newest_first else 1

    def earliest(run: Run) -> int:
        # A batch begins at most its length before the first line that is meant.
        return -run.last_seq if newest_first else run.first_seq - LINES_LIMIT

    waiting = sorted(runs, key=earliest, reverse=True)
    heap: list[tuple[int, int, IndexRow, Iterator[IndexRow]]] = []

    def push(number: int, rows: Iterator[IndexRow]) -> None:
        row = next(rows, None)
        if row is not None:
            heappush(heap, (sign * row.first_seq, number, row, rows))

    while waiting or heap:
        while waiting and (not heap or earliest(waiting[-1]) <= heap[0][0]):
            run = waiting.pop()
            push(len(waiting), _rows(db, run, after, until, newest_first=newest_first))
        if heap:
            _, number, row, rows = heappop(heap)
            yield row
            push(number, rows)


def _rows(db: apsw.Connection, run: Run, after: int, until: int, *, newest_first: bool) -> Iterator[IndexRow]:
    after, until = max(after, run.first_seq - 1), min(until, run.last_seq)
    return read_index(db, run.execution_id, after, until, newest_first=newest_first)


def _lines(db: apsw.Connection, rows: list[IndexRow], wanted: Filter) -> Iterator[LogLine]:
    """Yield the lines of one batch that match, in the order of the log."""
    found: list[tuple[int, int, Event]] = []
    for row in rows:
        if wanted.may_match(row):
            picked = pick_lines(db, row)
            found += [
                (picked.first_seq + index, picked.received, event) for index, _, event in picked.events()
            ]
    if len(rows) > 1:
        found.sort(key=itemgetter(0))
    for seq, received, event in found:
        line = log_line(seq, received, event)
        if line is not None and line.source == SOURCE:
            line = with_ended_tasks(db, line, event, wanted.task_id)
        if line is not None and wanted.matches(line):
            if wanted.of_many:
                name_hosts(db, [line])
            yield line


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
        source, fields = SOURCE, lifecycle_fields(event)
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
        scrubbed=event.scrubbed is True,
    )
