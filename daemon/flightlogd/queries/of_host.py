"""Which machine recorded an execution, and how a question keeps to those of some machines."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import apsw

from flightlog_schemas.elsewhere import split_mark
from flightlogd.errors import QuestionError

MARK: Final = "substr(execution_id, -13)"
_MARKED: Final = "substr(execution_id, -13, 1) = '~'"
"""As the partial indexes have them, to the letter: SQLite uses these for nothing else."""

OF_OTHERS: Final = f"*~{'[0-9a-f]' * 12}"
"""A GLOB pattern: ids that end with a mark."""


def marks_of(db: apsw.Connection, hosts: Sequence[str]) -> list[str] | None:
    """Return what ids of executions of these machines end with; None where all are meant.

    Raises:
        QuestionError: `not_found`, where nothing of such a machine is here.
    """
    if not hosts:
        return None
    found: list[str] = []
    for host in dict.fromkeys(hosts):
        marks = [row[0] for row in db.execute("select mark from origin where host = ?", (host,))]
        if not marks:
            raise QuestionError("not_found", f"no such host: {host}", "flightlog hosts shows what there is")
        found += marks
    return found


def host_condition(marks: Sequence[str] | None, *, walk: bool = True) -> tuple[list[str], list[Any]]:
    """Return conditions and values that keep to executions with these marks.

    Args:
        marks: From `marks_of`.
        walk: Whether one mark is what the index is walked along; False where there is a better one.
    """
    if marks is None:
        return [], []
    others = [mark for mark in marks if mark]
    if walk and len(marks) == 1 and others:
        return [_MARKED, f"{MARK} = ?"], others
    conditions = [f"+{MARK} = ?"] * len(others)
    values: list[Any] = [*others]
    if len(others) < len(marks):
        conditions.append("execution_id not glob ?")
        values.append(OF_OTHERS)
    return [f"({' or '.join(conditions)})"], values


def name_hosts(db: apsw.Connection, answers: Iterable[Any]) -> None:
    """Say in answers about executions which machine recorded each."""
    names: dict[str, str | None] = {}
    for answer in answers:
        execution_id = answer.execution_id
        if execution_id is None:
            continue
        mark = split_mark(execution_id)[1]
        if mark not in names:
            names[mark] = db.execute("select host from origin where mark = ?", (mark,)).get
        answer.host = names[mark]
