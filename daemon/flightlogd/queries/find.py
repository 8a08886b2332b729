"""What every question needs first: the execution that is meant, and read models that are whole."""

from collections.abc import Sequence

import apsw

from flightlog_schemas.elsewhere import split_mark
from flightlogd.errors import QuestionError
from flightlogd.queries.of_host import OF_OTHERS, host_condition, marks_of

_HIGHEST = "\U0010ffff"
"""Sorts after every id that a prefix begins."""


def require(db: apsw.Connection, *projections: str) -> None:
    """Refuse to answer from a read model that has stopped.

    Raises:
        QuestionError: `projection_broken`.
    """
    for name in projections:
        row = db.execute("select broken_at, error from projection where name = ?", (name,)).fetchone()
        if row is not None and row[0] is not None:
            raise QuestionError(
                "projection_broken",
                f"the read model {name!r} stopped at seq {row[0]}: {row[1]}",
                "flightlogd rebuild, once the cause is mended; the log itself is whole",
            )


def find_execution(db: apsw.Connection, text: str, hosts: Sequence[str] = ()) -> str:
    """Return the id of the execution that `text` names.

    That is its id; or, where this log has none of it, the id that one other log has it by; or a prefix that
    fits no other.

    Args:
        db: A connection that reads.
        text: The id, or its beginning.
        hosts: Only executions of these machines.

    Raises:
        QuestionError: `not_found` or `ambiguous`.
    """
    marks = marks_of(db, hosts)
    if _is_there(db, text) and (marks is None or split_mark(text)[1] in marks):
        return text
    conditions, values = host_condition(marks, walk=False)
    namesakes = _beginning_with(db, f"{text}~", [*conditions, "execution_id glob ?"], [*values, OF_OTHERS])
    found = [name for name in namesakes if split_mark(name)[0] == text]
    found = found or _beginning_with(db, text, conditions, values)
    if not found:
        raise QuestionError("not_found", f"no such execution: {text}", "flightlog list shows what there is")
    if len(found) > 1:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        hint = "write more of the id"
        if split_mark(found[0])[0] == text:
            hint = "several machines have one: give its whole id, or --host"
        raise QuestionError("ambiguous", f"{text!r} fits several executions: {some}", hint)
    return found[0]


def _is_there(db: apsw.Connection, execution_id: str) -> bool:
    return db.execute("select 1 from execution where execution_id = ?", (execution_id,)).get is not None


def _beginning_with(
    db: apsw.Connection, text: str, conditions: Sequence[str], values: Sequence[str]
) -> list[str]:
    where = " and ".join(["execution_id >= ? and execution_id < ?", *conditions])
    sql = f"select execution_id from execution where {where} limit 4"
    return [str(row[0]) for row in db.execute(sql, (text, text + _HIGHEST, *values))]
