"""Tools about executions: lists, the active one of a project, all of one."""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from flightlog.errors import UsageError
from flightlog.mcp.call import Call, Item, picked
from flightlog.mcp.tool import Arguments, Page, Paged, Said, Tool
from flightlog.mcp.tools.options import (
    ExecutionId,
    Host,
    Limit,
    Project,
    Since,
    Text,
    Until,
    hosts,
    project_root,
)
from flightlog.mcp.tools.tasks import BriefTask
from flightlog.mcp.untrusted import size_bytes
from flightlog_schemas.answers import Agent, Artifact, AuditEntry, Execution
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.limits import INT64_MAX, Id
from flightlog_schemas.statuses import ACTIVE, Status
from flightlog_schemas.wire.query import Executions, Inspect


class BriefExecution(Struct, kw_only=True):
    """What a list shows of an execution."""

    execution_id: str
    parent_id: str | None
    name: str | None
    tool: str | None
    project: str | None
    goal: str | None
    host: str | None
    status: Status
    outcome_reason: str | None
    error: ErrorInfo | None
    exit_status: int | None
    phase: str | None
    started_at: str | None
    finished_at: str | None
    duration_us: int | None
    log_count: int


class ExecutionsList(Paged, kw_only=True):
    """Arguments of `executions_list`."""

    status: Annotated[
        tuple[Status, ...], Meta(max_length=9, description="In any of these statuses; all when empty.")
    ] = ()
    project: Project | None = None
    name: Annotated[Text, Meta(description="Of exactly this name.")] | None = None
    host: Host | None = None
    parent_id: Annotated[Id, Meta(description="Started within this execution: its full id.")] | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Limit = 20


class ExecutionsPage(Page, kw_only=True):
    """Answer of `executions_list`."""

    executions: list[BriefExecution]


def _list(call: Call, asked: ExecutionsList) -> Item:
    project = None if asked.project is None else project_root(asked.project)
    since, until = call.time("since", asked.since), call.time("until", asked.until)

    def request(limit: int, before: Any) -> Executions:
        return Executions(
            status=asked.status,
            project=project,
            name=asked.name,
            host=hosts(asked.host),
            parent_id=asked.parent_id,
            since=since,
            until=until,
            before=before,
            limit=limit,
        )

    return call.page("executions", request, asked.limit, picked(BriefExecution))


LIST: Final = Tool(
    name="executions_list",
    title="List executions",
    about="Executions (runs of commands, workflows, agents), newest first, with status, error and duration."
    " Narrow by status, project, name and start; execution_inspect has everything of one.",
    arguments=ExecutionsList,
    answer=ExecutionsPage,
    run=_list,
)


class CurrentAsked(Arguments, kw_only=True):
    """Arguments of `current`."""

    project: Project
    host: Host | None = None


class CurrentFound(Said, kw_only=True):
    """Answer of `current`: what is active, or null."""

    found: bool
    execution: BriefExecution | None


def _current(call: Call, asked: CurrentAsked) -> Item:
    request = Executions(status=ACTIVE, project=project_root(asked.project), host=hosts(asked.host), limit=1)
    found = next((call.item(picked(BriefExecution)(row)) for row in call.ask(request)), None)
    return call.answer({"found": found is not None, "execution": found})


CURRENT: Final = Tool(
    name="current",
    title="Active execution of a project",
    about="The newest execution of a project that is pending, running or waiting, if there is one.",
    arguments=CurrentAsked,
    answer=CurrentFound,
    run=_current,
)


Part = Literal["tasks", "agents", "artifacts", "audit"]


class InspectAsked(Arguments, kw_only=True):
    """Arguments of `execution_inspect`."""

    execution_id: ExecutionId
    include: Annotated[
        tuple[Part, ...], Meta(max_length=4, description="What to show beside the execution itself.")
    ] = ("tasks", "agents", "artifacts")
    as_of: (
        Annotated[
            Text,
            Meta(
                description="As it was then: a position of the log (digits alone), or a time as since has it."
            ),
        ]
        | None
    ) = None


class Inspected(Said, kw_only=True):
    """Answer of `execution_inspect`; `incomplete` names the lists that are cut or not whole."""

    execution: Execution
    tasks: list[BriefTask]
    agents: list[Agent]
    artifacts: list[Artifact]
    audit: list[AuditEntry]
    incomplete: list[str]
    truncated: bool


_NOUNS: Final = {"task": "tasks", "agent": "agents", "artifact": "artifacts", "audit": "audit"}


def _inspect(call: Call, asked: InspectAsked) -> Item:
    seq = time = None
    if asked.as_of is not None and asked.as_of.isascii() and asked.as_of.isdigit():
        seq = int(asked.as_of)
        if seq > INT64_MAX:
            raise UsageError("as_of: no position of the log")
    else:
        time = call.time("as_of", asked.as_of)
    request = Inspect(
        execution_id=asked.execution_id,
        tasks="tasks" in asked.include,
        agents="agents" in asked.include,
        artifacts="artifacts" in asked.include,
        audit="audit" in asked.include,
        as_of=seq,
        as_of_time=time,
    )
    parts: dict[str, list[Item]] = {kind: [] for kind in ("execution", *_NOUNS)}
    for kind, row in call.ask_parts(request):
        parts[kind].append(call.item(picked(BriefTask)(row) if kind == "task" else row, call.room_bytes // 2))
    [execution] = parts.pop("execution")
    answer: Item = {"execution": execution} | {noun: [] for noun in _NOUNS.values()}
    incomplete = []
    left = call.room_bytes - size_bytes(execution)
    for number, (kind, rows) in enumerate(parts.items()):
        share = left // (len(parts) - number)
        items = _fit(call, [call.item(row, share) if size_bytes(row) > share else row for row in rows], share)
        left -= sum(map(size_bytes, items))
        answer[_NOUNS[kind]] = items
        if len(items) < len(rows) or (rows and call.end.truncated):
            incomplete.append(_NOUNS[kind])
    return call.answer(answer | {"incomplete": incomplete, "truncated": bool(incomplete)})


def _fit(call: Call, items: list[Item], room_bytes: int) -> list[Item]:
    """Return as many as there is room for in their order, what went wrong rather than what succeeded."""
    by_worth = sorted(range(len(items)), key=lambda place: items[place].get("status") == "succeeded")
    kept = len(call.fit([items[place] for place in by_worth], room_bytes))
    return [items[place] for place in sorted(by_worth[:kept])]


INSPECT: Final = Tool(
    name="execution_inspect",
    title="Inspect an execution",
    about="Everything recorded of one execution: how it stands, its error, counts of log lines by level, the"
    " attempts at its tasks, its agents and artifacts; with include also its audit trail (who changed what)."
    " As it is, or as it was at a position or time. Lists named in incomplete are cut: tasks_list,"
    " agents_list, artifacts_list and audit_read have them whole.",
    arguments=InspectAsked,
    answer=Inspected,
    run=_inspect,
)
