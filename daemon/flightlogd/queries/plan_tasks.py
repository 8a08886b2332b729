"""What is known of the tasks of a plan that was too large to hold it: told again from their declarations."""

import apsw
from msgspec.structs import replace

from flightlog_schemas.plans import Plan
from flightlogd.planning import build_plan
from flightlogd.queries.plan_input import plan_input


def with_tasks(db: apsw.Connection, plan: Plan, seq: int) -> Plan:
    """Return a plan with its tasks; as it is where it has them, or where one was declared anew since.

    Args:
        db: A connection that reads.
        plan: The plan.
        seq: Its position in the log.

    Raises:
        QuestionError: `projection_broken`.
    """
    if plan.tasks or not plan.batches:
        return plan
    for table in ("declared_task", "declared_epic"):
        newest = db.execute(f"select max(seq) from {table} where project = ?", (plan.project,)).get
        if newest is not None and int(newest) > seq:
            return plan
    ids = {task_id for batch in plan.batches for task_id in batch.task_ids}
    known = plan_input(db, plan.project)
    # What was finished by then is not in the plan; what is finished since is.
    tasks = [replace(task, finished=False) for task in known.tasks if task.task_id in ids]
    again = build_plan(plan.project, tasks, known.epics, plan_id=plan.plan_id, created_at=plan.created_at)
    if {task.task_id for task in again.tasks} != ids:
        return plan
    return replace(plan, tasks=again.tasks, epics=again.epics)
