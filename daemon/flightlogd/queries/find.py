"""What every question needs first: the execution that is meant, and read models that are whole."""

import apsw

from flightlogd.errors import QuestionError

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


def find_execution(db: apsw.Connection, text: str) -> str:
    """Return the id of the execution that `text` names: its id, or a prefix that fits no other.

    Raises:
        QuestionError: `not_found` or `ambiguous`.
    """
    if db.execute("select 1 from execution where execution_id = ?", (text,)).get is not None:
        return text
    found = [
        row[0]
        for row in db.execute(
            "select execution_id from execution where execution_id >= ? and execution_id < ? limit 4",
            (text, text + _HIGHEST),
        )
    ]
    if not found:
        raise QuestionError("not_found", f"no such execution: {text}", "flightlog list shows what there is")
    if len(found) > 1:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        raise QuestionError("ambiguous", f"{text!r} fits several executions: {some}", "write more of the id")
    return str(found[0])
