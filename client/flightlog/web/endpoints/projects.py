"""Projects and their plans: what there is, the plan as it stands, building and changing it."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import msgspec
import trio
from msgspec import Meta, Struct

from flightlog.cli.output import shown
from flightlog.commands.plan import adjust_plan, request_plan
from flightlog.errors import QueryFailed, UsageError
from flightlog.web.asker import Row
from flightlog.web.endpoint import Call, Endpoint, listing, one
from flightlog.web.params import Limit, Text
from flightlog.web.problem import Problem
from flightlog_schemas.limits import Count
from flightlog_schemas.plans import BatchOverride, PlanScore, WorktreeOverride
from flightlog_schemas.projects import Project, ProjectPlan
from flightlog_schemas.wire.query import Plan, Projects

T = TypeVar("T", bound=Struct)
Result = TypeVar("Result")

ProjectId = Annotated[str, Meta(min_length=1, max_length=4096, description="Id of a project, or its root.")]


class ProjectsAsked(Struct, kw_only=True):
    """Which page of the list."""

    after: Annotated[Text, Meta(description="The `next` of the page before.")] | None = None
    limit: Limit = 1000


class PlanAsked(Struct, kw_only=True):
    """Of which project."""

    project_id: ProjectId


class PlanWanted(Struct, kw_only=True, forbid_unknown_fields=True):
    """How a plan is to be built."""

    max_worktrees: Count | None = None
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class PlanRequest(Struct, kw_only=True):
    """A request for a plan: `plan.built` or `plan.failed` follows, whose cause is `request_id`."""

    project_id: str
    project: str
    request_id: str
    seq: int


class PlanChange(Struct, kw_only=True, forbid_unknown_fields=True):
    """What changes of a plan; what is left out stays.

    Attributes:
        worktree_assignments: By worktree, the tasks that move there.
        batch_overrides: By batch id, its tasks and whether they may run at once.
        seen_seq: The `seen_seq` of the plan that this was made of: a conflict where it has changed since.
    """

    worktree_assignments: dict[str, WorktreeOverride] | None = None
    batch_overrides: dict[str, BatchOverride] | None = None
    seen_seq: Count | None = None


class ActualPlan(Struct, kw_only=True):
    """A plan against what happened."""

    project_id: str
    project: str
    plan_id: str
    actual: PlanScore | None


def _projects(asked: ProjectsAsked, _: int) -> Projects:
    return Projects(after=asked.after or "", limit=asked.limit)


async def _project(call: Call, project_id: str) -> Row:
    """Return a project.

    Raises:
        Problem: there is none.
    """
    rows = (await call.asker.ask(Projects(project=project_id, limit=1))).rows
    if not rows:
        raise Problem(404, "not_found", f"no such project: {project_id}", "/api/projects lists what there is")
    return rows[0][1]


async def _plan(call: Call, asked: PlanAsked) -> Row:
    project = await _project(call, asked.project_id)
    return one(await _planned(call, project["project"], actual=False))


async def _actual(call: Call, asked: PlanAsked) -> Row:
    project = await _project(call, asked.project_id)
    told = await _planned(call, project["project"], actual=True)
    return one({name: told[name] for name in ActualPlan.__struct_fields__})


async def _planned(call: Call, project: str, *, actual: bool) -> Row:
    try:
        return _shown(await call.asker.one(Plan(project=project, actual=actual)))
    except QueryFailed as error:
        if error.code != "not_found":
            raise
        hint = "POST to this path with /build behind it, or flightlog plan build"
        raise Problem(404, "no_plan", f"{project} has no plan", hint) from error


async def _build(call: Call, asked: PlanAsked) -> Row:
    wanted = _body(call.body or b"{}", PlanWanted)
    project = await _project(call, asked.project_id)
    trace = call.trace
    command = partial(
        request_plan,
        project["project"],
        max_worktrees=wanted.max_worktrees,
        reason=wanted.reason,
        trace_id=None if trace is None else trace.trace_id,
        span_id=None if trace is None else trace.span_id,
        daemon=call.daemon,
    )
    requested = await _command(call, command)
    return one(
        {
            "project_id": project["project_id"],
            "project": requested.project,
            "request_id": requested.request_id,
            "seq": requested.seq,
        }
    )


async def _adjust(call: Call, asked: PlanAsked) -> Row:
    change = _body(call.body, PlanChange)
    project = await _project(call, asked.project_id)
    await _planned(call, project["project"], actual=False)
    command = partial(
        adjust_plan,
        project["project"],
        worktree_assignments=_told(change.worktree_assignments),
        batch_overrides=_told(change.batch_overrides),
        seen_seq=change.seen_seq,
        daemon=call.daemon,
    )
    return one(_shown(msgspec.to_builtins(await _command(call, command))))


async def _command(call: Call, command: Callable[[], Result]) -> Result:
    """Run a command in a thread; what it makes no sense to do is 422.

    Raises:
        Problem: it makes no sense.
    """
    try:
        return await trio.to_thread.run_sync(command, limiter=call.commands, abandon_on_cancel=True)
    except UsageError as error:
        raise Problem(422, "invalid", error.reason, error.hint) from error
    except QueryFailed as error:
        if error.code != "invalid":
            raise
        raise Problem(422, "invalid", error.reason, error.hint) from error


def _body(body: bytes, kind: type[T]) -> T:
    """Return what was sent.

    Raises:
        Problem: it is no JSON (400), or not what is wanted (422).
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`$.", "`").replace("`$`", "the body")
        raise Problem(422, "invalid", reason, "/docs says what is taken") from None
    except (ValueError, RecursionError) as error:
        raise Problem(400, "invalid", f"the body is no JSON: {error}") from None


def _told(overrides: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return overrides without what they leave out."""
    if overrides is None:
        return None
    return {
        name: {key: value for key, value in msgspec.to_builtins(override).items() if value is not None}
        for name, override in overrides.items()
    }


def _shown(answer: Row) -> Row:
    """Return a plan with its times as RFC 3339."""
    shown(answer["plan"])
    for part in answer["adjustments"]:
        shown(part)
    if answer["failure"] is not None:
        shown(answer["failure"])
    return answer


_PLAN: Final = "/projects/{project_id}/execution-plan"

ENDPOINTS: Final = (
    listing(
        "/projects",
        "projects",
        "Ids and roots of the projects that executions, declared tasks or plans name, by root.",
        ProjectsAsked,
        Project,
        _projects,
    ),
    Endpoint(
        path=_PLAN,
        title="The plan of a project",
        about="As it stands after its adjustments; 404 where there is none yet.",
        asked=PlanAsked,
        item=ProjectPlan,
        run=_plan,
    ),
    Endpoint(
        path=f"{_PLAN}/actual",
        title="A plan against what happened",
        about="Predicted and actual writers, conflicts and durations, and a score.",
        asked=PlanAsked,
        item=ActualPlan,
        run=_actual,
    ),
    Endpoint(
        path=f"{_PLAN}/build",
        title="Build a plan",
        about="Asks for it and returns; the stream tells when it is there.",
        asked=PlanAsked,
        item=PlanRequest,
        run=_build,
        method="POST",
        body=PlanWanted,
        status=202,
    ),
    Endpoint(
        path=_PLAN,
        title="Change a plan",
        about="Merges the change, or refuses it whole: 422 for what is not there, 409 if another was faster.",
        asked=PlanAsked,
        item=ProjectPlan,
        run=_adjust,
        method="PATCH",
        body=PlanChange,
    ),
)
