"""One execution as it was: its events up to a position, through the same read models, in memory.

What a read model keeps of an execution depends on that execution's events alone. So its events are enough,
and the questions that the live tables answer are answered from here by the same functions.
"""

import time
from collections.abc import Iterator, Sequence

import apsw

from flightlog_schemas.bulk import decode_logs
from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.times import rfc3339
from flightlogd.batch import Batch, decode_spans
from flightlogd.elsewhere import mark_facts
from flightlogd.errors import QuestionError
from flightlogd.facts import Facts, note, tally_logs
from flightlogd.history import History
from flightlogd.lines import join_lines
from flightlogd.project import Projector, create_tables
from flightlogd.projections import PROJECTIONS
from flightlogd.queries.find import find_execution, require
from flightlogd.store.eventlog import (
    IndexRow,
    first_received_since,
    pick_lines,
    read_head,
    read_index,
)
from flightlogd.store.tombstones import taken_of


def position_at(log: apsw.Connection, as_of: int | None, as_of_time: int | None) -> int:
    """Return the position that a question about the past means: no later than the head.

    Args:
        log: The log.
        as_of: A position.
        as_of_time: Or a time, microseconds since the epoch: the last event received by then.

    Raises:
        QuestionError: `invalid`, for both.
    """
    head = read_head(log).seq
    if as_of is not None and as_of_time is not None:
        raise QuestionError("invalid", "as_of and as_of_time are two moments", "give one of them")
    if as_of_time is not None:
        later = first_received_since(log, as_of_time + 1)
        return head if later is None else later - 1
    return head if as_of is None else min(as_of, head)


def find_then(log: apsw.Connection, text: str, until: int, hosts: Sequence[str] = ()) -> str:
    """Return the full id of an execution that was there when the log ended at a position.

    Args:
        log: The log.
        text: The id, or a prefix that fits no other today.
        until: The position.
        hosts: Only of these machines.

    Raises:
        QuestionError: `not_found`, where there is none or was none yet; `ambiguous`; `projection_broken`, for
            a prefix only: a full id is found in the log itself.
    """
    row = None if hosts else next(read_index(log, text, 0, INT64_MAX), None)
    if row is None:
        require(log, "execution")
        text = find_execution(log, text, hosts)
        row = next(read_index(log, text, 0, INT64_MAX))
    first_seq = row.first_seq + pick_lines(log, row).lines[0][0]
    if first_seq > until:
        raise QuestionError(
            "not_found",
            f"no such execution then: {text} began at position {first_seq}, {rfc3339(row.min_time)}",
            "ask for a later position or time",
        )
    return text


def as_of(
    log: apsw.Connection, execution_id: str, until: int, *, timeout_s: float = float("inf")
) -> apsw.Connection:
    """Return an execution's read models as they were when the log ended at a position.

    Args:
        log: The log, in a transaction that sees one state of it.
        execution_id: The full id.
        until: The position.
        timeout_s: Longest that this may take.

    Returns:
        An in-memory database with the tables of all read models, for the caller to close.

    Raises:
        QuestionError: `deadline`.
    """
    deadline = time.monotonic() + timeout_s
    past = apsw.Connection(":memory:")
    try:
        past.execute("pragma foreign_keys = on")
        past.execute("create table projection (name primary key, version, position, broken_at, error)")
        for projection in PROJECTIONS:
            create_tables(past, projection)
        parts = _parts(log, execution_id, until, deadline)
        Projector(PROJECTIONS).replay(past, History(parts, taken_of(log, execution_id, until), until))
    except BaseException:
        past.close()
        raise
    return past


def _parts(log: apsw.Connection, execution_id: str, until: int, deadline: float) -> Iterator[Batch]:
    """Yield of each batch what is of one execution and not above a position."""
    for row in read_index(log, execution_id, 0, until):
        if time.monotonic() > deadline:
            raise QuestionError(
                "deadline", f"the past of {execution_id} is too long to be computed", "ask for an earlier one"
            )
        yield _part(log, row, execution_id, until)


def _part(log: apsw.Connection, row: IndexRow, execution_id: str, until: int) -> Batch:
    """Return some lines of a batch. Their places are those in the whole, which spans and facts go by."""
    picked = pick_lines(log, row)
    mark = split_mark(execution_id)[1]
    chosen = [(index, line) for index, line in picked.lines if picked.first_seq + index <= until]
    lines = [line for _, line in chosen]
    facts = _log_facts(chosen, lines) if row.state_count == 0 else None
    if facts is not None:
        mark_facts(facts, mark)
    else:
        facts = Facts({}, [])
        for index, _, event in picked.events():
            if picked.first_seq + index <= until:
                note(facts, index, event)
    return Batch(picked.first_seq, picked.received, decode_spans(picked.spans), lines, facts)


def _log_facts(chosen: list[tuple[int, bytes]], lines: list[bytes]) -> Facts | None:
    """Return what plain log lines say, most of the volume, decoded all at once; None where any is not so."""
    logs = decode_logs(join_lines(lines), lines)
    facts = None if logs is None else tally_logs(logs)
    if facts is not None:
        for entry in facts.tallies.values():
            entry.indexes = [chosen[place][0] for place in entry.indexes]
    return facts
