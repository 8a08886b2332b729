"""What a plan is built from: the declared tasks and epics of a project, what is finished, how long such took.

What succeeded and how long it took are sums that the read model of tasks keeps anyway (`task_stats`): a
dependency is finished when any run of it in an execution of that project succeeded.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import apsw
import msgspec
from msgspec import Struct

from flightlog_schemas.events import Dependency
from flightlog_schemas.limits import INT64_MIN
from flightlog_schemas.plans import PlanEpic, PlanTask
from flightlogd.durations import share_of
from flightlogd.elsewhere import OTHERS
from flightlogd.queries.find import require

_STRETCHES: Final = 12
"""Newest stretches of 32 days that durations are taken from: about a year."""

_LATEST: Final = (
    "select {columns} from {table} as here where project = ? and not exists (select 1 from {table} as other"
    " where other.project = here.project and other.{key} = here.{key} and other.seq > here.seq) order by seq"
)
"""The last declarations of each, whoever made them."""

_DEPENDENCIES: Final = msgspec.json.Decoder(tuple[Dependency, ...])


class PlanInput(Struct, frozen=True):
    """What is known of a project's tasks."""

    tasks: list[PlanTask]
    epics: list[PlanEpic]


def size_declared(db: apsw.Connection, project: str) -> tuple[int, int]:
    """Return how many declarations of tasks a project has, and their size in bytes, without reading them."""
    [(count, size_bytes)] = db.execute(
        "select count(*), total(octet_length(description)) + total(octet_length(depends_on))"
        " from declared_task where project = ?",
        (project,),
    )
    return int(count or 0), int(size_bytes or 0)


def plan_input(db: apsw.Connection, project: str) -> PlanInput:
    """Return what a plan of a project is built from.

    Raises:
        QuestionError: `projection_broken`.
    """
    require(db, "plan", "task")
    columns = "task_id, description, action, epic, priority, depends_on"
    rows: list[tuple[Any, ...]] = db.execute(
        _latest("declared_task", "task_id", columns), (project,)
    ).fetchall()
    finished = _finished(db, project)
    own = _medians(db, "task_id", [row[0] for row in rows])
    alike = _medians(db, "slug", [row[2] for row in rows if row[2]])
    tasks = [
        PlanTask(
            task_id=task_id,
            description=description,
            action=action,
            epic=epic,
            priority=priority,
            depends_on=_DEPENDENCIES.decode(depends_on),
            finished=task_id in finished,
            typical_duration_us=own.get(task_id) or alike.get(action),
        )
        for task_id, description, action, epic, priority, depends_on in rows
    ]
    found: Iterable[tuple[Any, ...]] = db.execute(
        _latest("declared_epic", "epic", "epic, name, depends_on"), (project,)
    )
    epics = [
        PlanEpic(epic=epic, name=name, depends_on=tuple(msgspec.json.decode(depends_on)))
        for epic, name, depends_on in found
    ]
    return PlanInput(tasks, epics)


def _latest(table: str, key: str, columns: str) -> str:
    return _LATEST.format(table=table, key=key, columns=columns)


def _finished(db: apsw.Connection, project: str) -> set[str]:
    """Return the tasks that succeeded in any execution of a project; stretches of days are below 0."""
    rows = db.execute(
        "select distinct task_id from task_count where mark in ('', '~') and project = ? and slug = ''"
        " and period < 0 and task_id <> '' and status = 'succeeded'",
        (project,),
    )
    return {row[0] for row in rows}


def _medians(db: apsw.Connection, column: str, names: Iterable[str]) -> Mapping[str | None, int]:
    """Return how long half of the successful attempts took at most, in microseconds, by task or slug."""
    wanted = json.dumps(list(dict.fromkeys(names)))
    other = "slug" if column == "task_id" else "task_id"
    histograms: dict[str, dict[int, int]] = {}
    for period in _stretches(db):
        rows: Iterable[tuple[Any, ...]] = db.execute(
            f"select chosen.value, bucket, attempts from json_each(?) as chosen cross join task_duration"
            f" on mark in ('', '~') and project = '' and {column} = chosen.value and {other} = ''"
            " and period = ?"
            " where status = 'succeeded'",
            (wanted, period),
        )
        for name, bucket, attempts in rows:
            histogram = histograms.setdefault(name, {})
            histogram[bucket] = histogram.get(bucket, 0) + attempts
    found = {name: share_of(histogram, 0.5) for name, histogram in histograms.items()}
    return {name: median for name, median in found.items() if median is not None}


def _stretches(db: apsw.Connection) -> list[int]:
    """Return the newest stretches of days in which attempts ended: they count down from -1."""
    found: list[int] = []
    sql = (
        "select min(period) from task_duration"
        " where mark = ? and project = '' and slug = '' and period > ? and period < 0"
    )
    for mark in ("", OTHERS):
        last = INT64_MIN
        for _ in range(_STRETCHES):
            if (period := db.execute(sql, (mark, last)).get) is None:
                break
            found.append(last := int(period))
    return sorted(set(found))[:_STRETCHES]
