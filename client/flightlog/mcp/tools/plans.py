"""The tool about plans: which tasks of a project come next, which may run at once, which are in conflict."""

from typing import Annotated, Any, Final

from msgspec import Meta

from flightlog.cli.output import shown
from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Arguments, Said, Tool
from flightlog.mcp.tools.options import Project, project_root
from flightlog.mcp.untrusted import size_bytes
from flightlog_schemas.limits import Id
from flightlog_schemas.plans import (
    PlanBatch,
    PlannedTask,
    PredictedConflict,
    WorktreeAssignment,
)
from flightlog_schemas.wire.query import Plan


class PlanAsked(Arguments, kw_only=True):
    """Arguments of `plan_show`."""

    project: Project | None = None
    plan_id: Annotated[Id, Meta(description="This plan, not the latest of the project.")] | None = None
    actual: Annotated[bool, Meta(description="Also how it went.")] = False


class PlanTold(Said, kw_only=True):
    """Answer of `plan_show`; `incomplete` names what is cut or not whole.

    `metadata` and `actual` are as in the JSON of `flightlog plan show`; what is cut in them leaves a mark.
    """

    plan_id: str
    project: str
    created_at: int
    metadata: dict[str, Any]
    batches: list[PlanBatch]
    worktree_assignments: list[WorktreeAssignment]
    predicted_conflicts: list[PredictedConflict]
    tasks: list[PlannedTask]
    actual: dict[str, Any] | None
    incomplete: list[str]
    truncated: bool


_LISTS: Final = ("batches", "worktree_assignments", "predicted_conflicts", "tasks")
"""In the order in which they get room."""


_NUMBERS: Final = 8
"""Batches or tasks that something waits for, the last of them: no list is ever cut to fewer."""


def _show(call: Call, asked: PlanAsked) -> Item:
    project = None if asked.project is None else project_root(asked.project)
    [row] = call.ask(Plan(project=project, plan_id=asked.plan_id, actual=asked.actual))
    plan = row["plan"]
    quarter = call.room_bytes // 4
    head = shown({name: plan[name] for name in ("plan_id", "project", "created_at")})
    head["metadata"] = call.item(plan["metadata"], quarter)
    head["actual"] = None if row["actual"] is None else call.item(row["actual"], quarter)
    incomplete = [name for name in ("metadata", "actual") if head[name] != (plan | row)[name]]
    left = call.room_bytes - size_bytes(head)
    lists: Item = {}
    for number, name in enumerate(_LISTS):
        share = left // (len(_LISTS) - number)
        items = call.fit([call.item(_brief(one), share) for one in plan[name]], share)
        left -= sum(map(size_bytes, items))
        if items != plan[name]:
            incomplete.append(name)
        lists[name] = items
    return call.answer(head | lists | {"incomplete": incomplete, "truncated": bool(incomplete)})


def _brief(one: Item) -> Item:
    """Return an object of a plan with no more numbers than are shown: where these are cut no mark can be."""
    return {name: value[-_NUMBERS:] if name == "depends_on" else value for name, value in one.items()}


SHOW: Final = Tool(
    name="plan_show",
    title="Plan of a project",
    about="How the declared tasks of a project should be run: batches in turn, worktrees, conflicts, what was"
    " left out and why. Lists named in incomplete are cut.",
    arguments=PlanAsked,
    answer=PlanTold,
    run=_show,
)
