"""Executions: lists, one of them, where it stands in its chain."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import apsw
import msgspec

from flightlog_schemas import levels
from flightlog_schemas.answers import Execution, PhasePosition
from flightlog_schemas.events import ErrorInfo, Owner
from flightlog_schemas.phases import next_step
from flightlog_schemas.statuses import ACTIVE, TERMINAL, Status
from flightlog_schemas.wire.query import Executions
from flightlogd.errors import QuestionError
from flightlogd.queries.agent import active_agents
from flightlogd.queries.artifact import count_in_phase
from flightlogd.queries.find import find_execution, require
from flightlogd.queries.of_host import host_condition, marks_of

_COLUMNS: Final = (
    "e.execution_id, e.parent_id, e.name, e.trigger, e.tool, e.tool_version, e.args, e.project, e.goal,"
    " e.status, e.outcome_reason, e.owner, e.phase, e.phases, e.complexity, e.auto_advance, e.force_full,"
    " e.labels, e.counts, e.error, e.exit_status, e.deadline, e.started_at, e.finished_at, e.duration_us,"
    " e.first_seq, max(e.last_seq, coalesce(l.last_seq, 0)), e.state_seq, e.uid, e.pid, e.begun_at,"
    " l.trace, l.debug, l.info, l.warn, l.error, l.fatal,"
    " coalesce(a.agents, 0), coalesce(a.input_tokens, 0), coalesce(a.output_tokens, 0),"
    " coalesce(a.cost_usd, 0.0)"
)
_FROM: Final = (
    "from execution e{} left join execution_log l using (execution_id)"
    " left join agent_execution a using (execution_id)"
)
_ACTIVE_SQL: Final = "e.status in ('pending', 'running', 'waiting')"
"""Spelt as in the partial indexes on active executions, so that SQLite can use them."""


def one_execution(db: apsw.Connection, text: str, hosts: Sequence[str] = ()) -> Execution:
    """Return the execution that an id or a unique prefix names, of these machines.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "execution", "log", "agent")
    execution_id = find_execution(db, text, hosts)
    [row] = db.execute(f"select {_COLUMNS} {_FROM.format('')} where e.execution_id = ?", (execution_id,))
    return _execution(row)


def phase_position(db: apsw.Connection, text: str) -> PhasePosition:
    """Return where an execution stands in its chain of phases, and what a step from there needs.

    Raises:
        QuestionError: `not_found`, `ambiguous` or `projection_broken`.
    """
    require(db, "artifact")
    found = one_execution(db, text)
    step = None
    if found.phase is not None and found.status not in TERMINAL:
        with suppress(ValueError):  # an emitted step may have left the chain; from there nothing follows
            step = next_step(found.phase, found.phases, found.complexity, force_full=found.force_full is True)
    return PhasePosition(
        execution_id=found.execution_id,
        phase=found.phase,
        phases=found.phases,
        status=found.status,
        complexity=found.complexity,
        auto_advance=found.auto_advance,
        force_full=found.force_full,
        next_phase=None if step is None else step.to_phase,
        skipped=[] if step is None else list(step.skipped),
        artifacts=0 if found.phase is None else count_in_phase(db, found.execution_id, found.phase),
        active_agents=active_agents(db, found.execution_id),
        state_seq=found.state_seq,
    )


def status_of(db: apsw.Connection, execution_id: str) -> Status:
    """Return the status of an execution by its full id."""
    require(db, "execution")
    found: Status = db.execute("select status from execution where execution_id = ?", (execution_id,)).get
    return found


def list_executions(db: apsw.Connection, request: Executions) -> tuple[list[Execution], str | None]:
    """Return a page of executions, newest first, and the `before` of the next page if there is one."""
    require(db, "execution", "log", "agent")
    wanted = request.limit + 1
    marks = marks_of(db, request.host)
    if len(request.status) <= 1 or set(request.status) == set(ACTIVE):
        rows = _page(db, request, request.status, wanted, marks)
    else:
        # One index walk for each status, merged: an IN over the index would have to sort.
        rows = [
            row
            for status in dict.fromkeys(request.status)
            for row in _page(db, request, (status,), wanted, marks)
        ]
        rows.sort(key=_sort_key, reverse=True)
    more = len(rows) > request.limit
    rows = rows[: request.limit]
    token = "{}:{}".format(*_sort_key(rows[-1])) if more and rows else None
    return [_execution(row) for row in rows], token


def _page(
    db: apsw.Connection,
    request: Executions,
    status: tuple[Status, ...],
    limit: int,
    marks: Sequence[str] | None,
) -> list[tuple[Any, ...]]:
    sql, values = list_sql(request, status, limit, marks)
    return list(db.execute(sql, values))


def list_sql(
    request: Executions, status: tuple[Status, ...], limit: int, marks: Sequence[str] | None
) -> tuple[str, list[Any]]:
    """Return the SQL and values of one index walk over executions, newest first.

    Args:
        request: Which.
        status: In any of these; more than one are all that are active.
        limit: How many.
        marks: Only of these logs.
    """
    conditions: list[str] = []
    values: list[Any] = []
    index = ""
    for column in ("project", "name", "parent_id"):
        if (value := getattr(request, column)) is not None:
            conditions.append(f"e.{column} = ?")
            values.append(value)
    if len(status) == 1:
        conditions.append("e.status = ?")
        values.append(status[0])
    elif status:
        conditions.append(_ACTIVE_SQL)
        # Left alone, SQLite looks up the three statuses and sorts all that have them.
        index = f" indexed by execution_active{'_project' if request.project is not None else ''}"
    of_hosts, of_values = host_condition(marks)
    conditions += of_hosts
    values += of_values
    if request.since is not None:
        conditions.append("e.begun_at >= ?")
        values.append(request.since)
    if request.until is not None:
        conditions.append("e.begun_at < ?")
        values.append(request.until)
    if request.before is not None:
        conditions.append("(e.begun_at, e.first_seq) < (?, ?)")
        values += _parse_before(request.before)
    where = f" where {' and '.join(conditions)}" if conditions else ""
    sql = f"select {_COLUMNS} {_FROM.format(index)}{where} order by e.begun_at desc, e.first_seq desc limit ?"
    return sql, [*values, limit]


def _parse_before(text: str) -> tuple[int, int]:
    begun_at, _, first_seq = text.partition(":")
    try:
        return int(begun_at), int(first_seq)
    except ValueError:
        raise QuestionError("invalid", f"before: {text!r} is not the `next` of a page") from None


def _sort_key(row: tuple[Any, ...]) -> tuple[int, int]:
    return row[30], row[25]


def _execution(row: tuple[Any, ...]) -> Execution:
    counts = [count or 0 for count in row[31:37]]
    return Execution(
        execution_id=row[0],
        parent_id=row[1],
        name=row[2],
        trigger=row[3],
        tool=row[4],
        tool_version=row[5],
        args=_json(row[6], list[str]),
        project=row[7],
        goal=row[8],
        status=row[9],
        outcome_reason=row[10],
        owner=_json(row[11], Owner),
        phase=row[12],
        phases=_json(row[13], list[str]),
        complexity=row[14],
        auto_advance=None if row[15] is None else bool(row[15]),
        force_full=None if row[16] is None else bool(row[16]),
        labels=msgspec.json.decode(row[17]),
        counts=msgspec.json.decode(row[18]),
        error=_json(row[19], ErrorInfo),
        exit_status=row[20],
        deadline=row[21],
        started_at=row[22],
        finished_at=row[23],
        duration_us=row[24],
        agent_count=row[37],
        input_tokens=row[38],
        output_tokens=row[39],
        cost_usd=row[40],
        log_count=sum(counts),
        levels=dict(zip(levels.NAMES, counts, strict=True)),
        first_seq=row[25],
        last_seq=row[26],
        state_seq=row[27],
        uid=row[28],
        pid=row[29],
    )


def _json(text: str | None, kind: Any) -> Any:
    return None if text is None else msgspec.json.decode(text, type=kind)
