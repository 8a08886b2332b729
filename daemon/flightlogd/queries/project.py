"""Projects: every root that an execution, a declaration or a plan names, with what there is of it."""

import re
from collections.abc import Iterator
from heapq import merge
from typing import Final

import apsw

from flightlog_schemas.projects import PROJECT_ID_CHARS, Project, project_id_of
from flightlog_schemas.wire.query import Projects
from flightlogd.errors import QuestionError
from flightlogd.queries.find import require

_NAMED_IN: Final = ("execution", "declared_task", "declared_epic", "plan", "plan_pending", "plan_failure")
"""Tables with an index that begins with the project."""

_ID: Final = re.compile(f"[0-9a-f]{{{PROJECT_ID_CHARS}}}")


def find_project(db: apsw.Connection, text: str) -> str:
    """Return the root of the project that `text` names: its root, or its id.

    Raises:
        QuestionError: `not_found`.
    """
    if _is_root(db, text):
        return text
    if _ID.fullmatch(text):
        # Ids are not kept: projects are few, and one that nothing names any more has to be unknown.
        for root in _roots(db, ""):
            if project_id_of(root) == text:
                return root
    raise QuestionError(
        "not_found",
        f"no such project: {text}",
        "flightlog plan projects lists those that there are; flightlog task declare begins one",
    )


def project_page(db: apsw.Connection, request: Projects) -> tuple[list[Project], str | None]:
    """Return a page of projects and the `after` of the next page if there is one.

    Raises:
        QuestionError: `not_found` for one that is asked for by name, or `projection_broken`.
    """
    require(db, "execution", "plan")
    if request.project is not None:
        return [_project(db, find_project(db, request.project))], None
    found: list[Project] = []
    for root in _roots(db, request.after):
        if len(found) == request.limit:
            return found, found[-1].project if found else None
        found.append(_project(db, root))
    return found, None


def _is_root(db: apsw.Connection, text: str) -> bool:
    return any(
        db.execute(f"select 1 from {table} where project = ? limit 1", (text,)).get is not None
        for table in _NAMED_IN
    )


def _roots(db: apsw.Connection, after: str) -> Iterator[str]:
    """Yield roots above one, in order, by one look at each index for each."""

    def walk(table: str) -> Iterator[str]:
        root = after
        sql = f"select min(project) from {table} where project > ?"
        while (found := db.execute(sql, (root,)).get) is not None:
            root = str(found)
            yield root

    last = None
    for root in merge(*map(walk, _NAMED_IN)):
        if root != last:
            last = root
            yield root


def _project(db: apsw.Connection, root: str) -> Project:
    def count(sql: str) -> int:
        return int(db.execute(f"select count({sql} project = ?", (root,)).get)

    return Project(
        project_id=project_id_of(root),
        project=root,
        executions=count("*) from execution where"),
        active=count(
            "*) from execution indexed by execution_active_project"
            " where status in ('pending', 'running', 'waiting') and"
        ),
        tasks=count("distinct task_id) from declared_task where"),
        plans=count("*) from plan where"),
        last_plan_id=db.execute(
            "select plan_id from plan where project = ? order by seq desc limit 1", (root,)
        ).get,
    )
