"""Tools about attempts at tasks: lists, one trace, what failed last."""

from collections.abc import Iterator
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from flightlog.mcp.call import Call, Item, picked
from flightlog.mcp.tool import Page, Paged, Tool
from flightlog.mcp.tools.options import ExecutionId, Host, Limit, Since, TaskId, Text, hosts
from flightlog.mcp.untrusted import size_bytes
from flightlog_schemas.answers import TaskAttempt
from flightlog_schemas.events.envelope import ErrorInfo, Provenance
from flightlog_schemas.limits import INT64_MAX, TraceId
from flightlog_schemas.statuses import TaskStatus
from flightlog_schemas.wire.query import Tasks
from flightlog_schemas.wire.request import PAGE_LIMIT


class BriefTask(Struct, kw_only=True):
    """What a list shows of an attempt."""

    execution_id: str
    task_id: str
    slug: str | None
    name: str | None
    type: str | None
    host: str | None
    status: TaskStatus
    reason: str | None
    attempt: int
    trace_id: str | None
    span_id: str | None
    retry_of: str | None
    started_at: str | None
    finished_at: str | None
    duration_us: int | None
    error: ErrorInfo | None
    provenance: Provenance


class TasksList(Paged, kw_only=True):
    """Arguments of `tasks_list`."""

    execution_id: ExecutionId | None = None
    task_id: TaskId | None = None
    slug: Annotated[Text, Meta(description="Of tasks of exactly this slug.")] | None = None
    status: Annotated[TaskStatus, Meta(description="In this status.")] | None = None
    provenance: Annotated[Provenance, Meta(description="That came here in this way.")] | None = None
    host: Host | None = None
    since: Since | None = None
    limit: Limit = 20


class TasksPage(Page, kw_only=True):
    """Answer of `tasks_list`."""

    tasks: list[BriefTask]


def _list(call: Call, asked: TasksList) -> Item:
    since = call.time("since", asked.since)

    def request(limit: int, before: Any) -> Tasks:
        return Tasks(
            execution_id=asked.execution_id,
            task_id=asked.task_id,
            slug=asked.slug,
            status=asked.status,
            provenance=asked.provenance,
            host=hosts(asked.host),
            since=since,
            before=before,
            limit=limit,
        )

    return call.page("tasks", request, asked.limit, picked(BriefTask))


LIST: Final = Tool(
    name="tasks_list",
    title="List attempts at tasks",
    about="Attempts at tasks, newest first: one row for each attempt, of one execution or over all of them."
    " tasks_by_trace has the inputs, outputs and stacks of one task and its retries.",
    arguments=TasksList,
    answer=TasksPage,
    run=_list,
)


class TraceAsked(Paged, kw_only=True):
    """Arguments of `tasks_by_trace`."""

    trace_id: Annotated[TraceId, Meta(description="W3C trace id: 32 hex digits in lower case.")]


class TaskOutcome(Struct, kw_only=True):
    """How one task of a trace came out."""

    execution_id: str
    task_id: str
    attempts: int
    final_status: TaskStatus


class Trace(Page, kw_only=True):
    """Answer of `tasks_by_trace`: a page of attempts.

    The counts are of the whole trace. `final_status` is that of its last attempt; where a trace has several
    tasks, `tasks` says it of the first ten.
    """

    trace_id: str
    found: bool
    attempts: list[TaskAttempt]
    attempt_count: int
    retry_count: int
    final_status: TaskStatus | None
    tasks: list[TaskOutcome]


def _by_trace(call: Call, asked: TraceAsked) -> Item:
    request = Tasks(trace_id=asked.trace_id, oldest_first=True, limit=PAGE_LIMIT)
    tasks: dict[tuple[str, str], Item] = {}
    items: list[Item] = []
    left = call.room_bytes - _OUTCOMES_SHOWN * 100
    last_shown = more = final_status = None
    attempts = retries = 0
    for row in _attempts(call, request):
        attempts += 1
        retries += row["attempt"] > 1 or row["retry_of"] is not None
        final_status = row["status"]
        of = (row["execution_id"], row["task_id"])
        task = tasks.setdefault(of, {"execution_id": of[0], "task_id": of[1], "attempts": 0})
        task["attempts"] += 1
        task["final_status"] = final_status
        if row["seq"] <= (call.next_seq or 0) or more is not None:
            continue
        item = call.item(row, call.room_bytes // 2)
        left -= size_bytes(item) + 1
        if items and left < 0:
            more = last_shown
        else:
            items.append(item)
            last_shown = row["seq"]
    return call.answer(
        {
            "trace_id": asked.trace_id,
            "found": attempts > 0,
            "attempts": items,
            "attempt_count": attempts,
            "retry_count": retries,
            "final_status": final_status,
            "tasks": [call.item(task) for task in list(tasks.values())[:_OUTCOMES_SHOWN]],
            **call.ending(more),
        }
    )


def _attempts(call: Call, request: Tasks) -> Iterator[Item]:
    """Yield all attempts that a request means, page by page, up to a limit."""
    for _ in range(TRACE_LIMIT_ATTEMPTS // PAGE_LIMIT):
        yield from call.ask(request)
        if not call.end.truncated:
            return
        request = replace(request, after=call.end.next)


TRACE_LIMIT_ATTEMPTS: Final = 10_000
"""Attempts of one trace that are looked at."""
_OUTCOMES_SHOWN: Final = 10


BY_TRACE: Final = Tool(
    name="tasks_by_trace",
    title="Attempts of one trace",
    about="All attempts of one trace in order: a task and its retries, with inputs, outputs and errors, how"
    " often it was tried again and how it ended.",
    arguments=TraceAsked,
    answer=Trace,
    run=_by_trace,
)


class LastFailedAsked(Paged, kw_only=True):
    """Arguments of `tasks_last_failed`."""

    task_id: TaskId | None = None
    host: Host | None = None
    unique_errors: Annotated[
        bool, Meta(description="Only the newest failure of each kind: same stack, or type and message.")
    ] = False
    limit: Annotated[int, Meta(ge=1, le=50, description="At most this many failures.")] = 10


class ErrorPattern(Struct, kw_only=True):
    """One kind of failure among the newest: how often, and where it was seen."""

    stack_hash: str | None
    error_type: str | None
    message: str | None
    count: int
    first_seen: str | None
    last_seen: str | None
    tasks: list[str]


class LastFailed(Page, kw_only=True):
    """Answer of `tasks_last_failed`.

    The first page has the patterns: of the newest `looked_at` failures, the most frequent first;
    `pattern_count` says how many there are.
    """

    failures: list[BriefTask]
    error_patterns: list[ErrorPattern]
    pattern_count: int
    looked_at: int


def _last_failed(call: Call, asked: LastFailedAsked) -> Item:
    request = Tasks(task_id=asked.task_id, status="failed", host=hosts(asked.host), limit=PAGE_LIMIT)
    patterns: dict[Any, Item] = {}
    seqs: list[int] = []
    chosen: list[Item] = []
    looked_at = 0
    before = INT64_MAX if call.next_seq is None else call.next_seq
    for row in call.ask(request):
        looked_at += 1
        kind = _kind(row)
        wanted = row["seq"] < before and (kind not in patterns or not asked.unique_errors)
        if kind not in patterns:
            patterns[kind] = call.item(_pattern(row), call.room_bytes // 8)
        _count(patterns[kind], row)
        if wanted:
            seqs.append(row["seq"])
            if len(chosen) < asked.limit:
                chosen.append(call.item(picked(BriefTask)(row), call.room_bytes // 2))
    told: list[Item] = []
    if call.next is None:
        most = sorted(patterns.values(), key=lambda pattern: -pattern["count"])
        told = call.fit(most, call.room_bytes // 3)
    items = call.fit(chosen, call.room_bytes - sum(map(size_bytes, told)))
    more = seqs[len(items) - 1] if len(items) < len(seqs) else None
    return call.answer(
        {
            "failures": items,
            "error_patterns": told,
            "pattern_count": len(patterns),
            "looked_at": looked_at,
            **call.ending(more),
        }
    )


def _kind(row: Item) -> Any:
    error = row["error"] or {}
    message = error.get("message", row["reason"])
    return error.get("stack_hash") or (error.get("type"), message and message[:_KIND_CHARS])


def _pattern(row: Item) -> Item:
    error = row["error"] or {}
    return {
        "stack_hash": error.get("stack_hash"),
        "error_type": error.get("type"),
        "message": error.get("message", row["reason"]),
        "count": 0,
        "first_seen": None,
        "last_seen": row["finished_at"] or row["started_at"],
        "tasks": [],
    }


def _count(pattern: Item, row: Item) -> None:
    pattern["count"] += 1
    pattern["first_seen"] = row["finished_at"] or row["started_at"]  # rows are newest first
    if row["task_id"] not in pattern["tasks"] and len(pattern["tasks"]) < _TASKS_NAMED:
        pattern["tasks"].append(row["task_id"])


_TASKS_NAMED: Final = 5
"""Tasks named for each pattern."""
_KIND_CHARS: Final = 1000
"""How much of a message tells failures without a stack apart."""


LAST_FAILED: Final = Tool(
    name="tasks_last_failed",
    title="What failed last",
    about="The attempts at tasks that failed last, newest first, and the kinds of failure among the newest"
    " thousand: grouped by stack, with how often, first and last. Start here when something goes wrong and"
    " you do not know where.",
    arguments=LastFailedAsked,
    answer=LastFailed,
    run=_last_failed,
)
