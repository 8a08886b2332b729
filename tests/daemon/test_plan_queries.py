"""Plans and projects are found by index, and a rebuild puts right what differs of them."""

import apsw
import pytest

from flightlog_schemas.wire.query import Plan, Plans, Projects
from flightlogd.queries.plan import plan_page, project_plan
from flightlogd.queries.plan_input import plan_input
from flightlogd.queries.project import project_page
from flightlogd.store.database import open_reader
from support.daemon import Daemon
from support.lines import event
from support.planning import PROJECT, build, task
from support.rebuild import rebuild, stopped


def slow_steps(db: apsw.Connection) -> list[str]:
    """Answer every question about plans; return the steps that scan a table or sort what may be many."""
    statements: list[tuple[str, object]] = []

    def note(_cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        statements.append((sql, bindings))
        return True

    db.exec_trace = note
    found = project_plan(db, Plan(project=PROJECT, actual=True))
    project_plan(db, Plan(plan_id=found.plan_id))
    project_plan(db, Plan(project=found.project_id))
    plan_page(db, Plans())
    plan_page(db, Plans(project=PROJECT, before=99))
    project_page(db, Projects())
    db.exec_trace = None
    return [
        f"{sql}: {step[3]}"
        for sql, bindings in statements
        for step in db.execute(f"explain query plan {sql}", bindings)  # type: ignore[arg-type]
        if "TEMP B-TREE" in step[3] or ("SCAN" in step[3] and "INDEX" not in step[3])
    ]


@pytest.mark.covers("S0.6", "S4.6")
def test_plans_are_found_by_index(daemon: Daemon) -> None:
    """No question about plans or projects walks a whole table without need, or sorts what it finds."""
    run = [event(kind, "run", task_id="a", **more) for kind, more in ENDED]
    built = build(daemon, event("execution.started", "run", project=PROJECT), task("a"), task("b"), *run)
    change = event(
        "plan.adjusted",
        project=PROJECT,
        plan_id=built["event"]["plan_id"],
        batch_overrides={"1": {"can_parallel": False}},
    )
    build(daemon, change)
    daemon.terminate()
    db = open_reader(daemon.database)
    try:
        assert slow_steps(db) == []
        assert [one.task_id for one in plan_input(db, PROJECT).tasks if one.finished] == ["a"]
    finally:
        db.close()


ENDED: list[tuple[str, dict[str, str]]] = [("task.started", {}), ("task.ended", {"outcome": "succeeded"})]

DAMAGE = (
    "update plan set conflicts = 7",
    "delete from plan_adjustment",
    "update declared_task set priority = 1 where task_id = 'a'",
    "delete from declared_epic",
    "delete from plan_failure",
    "delete from plan_initializer",
)
DIFFERENCES = {
    "plan": (0, 0, 1),
    "plan_adjustment": (1, 0, 0),
    "declared_task": (0, 0, 1),
    "declared_epic": (1, 0, 0),
    "plan_failure": (1, 0, 0),
    "plan_initializer": (1, 0, 0),
}
"""How each table differs then: missing, extra, changed."""


@pytest.mark.covers("D8")
def test_a_rebuild_puts_right_what_differs(daemon: Daemon) -> None:
    """Rows of plans and declarations that are missing, made up or changed are found and put right."""
    error = {"message": "no"}
    built = build(
        daemon,
        task("a"),
        event("plan.epic_declared", project=PROJECT, epic="x"),
        event("plan.failed", project=PROJECT, error=error),
        event("execution.started", "init", project=PROJECT, labels={"role": "initializer"}),
    )
    build(daemon, event("plan.adjusted", project=PROJECT, plan_id=built["event"]["plan_id"]))
    with stopped(daemon) as db:
        db.execute("delete from plan where seq <> ?", (built["seq"],))
        for statement in DAMAGE:
            db.execute(statement)
    assert rebuild(daemon) == (0, DIFFERENCES | {"plan": (1, 0, 1)})
    assert rebuild(daemon, "--check") == (0, {})
