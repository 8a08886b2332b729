"""The tool about how attempts at tasks went, all together."""

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from flightlog.cli.output import shown
from flightlog.mcp.call import Call, Item, picked
from flightlog.mcp.tool import Arguments, Said, Tool
from flightlog.mcp.tools.options import Host, Project, Since, TaskId, Text, Until, hosts, project_root
from flightlog.mcp.tools.tasks import BriefTask
from flightlog.mcp.untrusted import size_bytes
from flightlog_schemas.events.envelope import Provenance
from flightlog_schemas.stats import Durations, Retrievals, TaskCounts
from flightlog_schemas.statuses import TaskStatus
from flightlog_schemas.times import rfc3339
from flightlog_schemas.wire.query import Stats


class StatsAsked(Arguments, kw_only=True):
    """Arguments of `stats`."""

    task_id: TaskId | None = None
    slug: Annotated[Text, Meta(description="Of tasks of exactly this slug.")] | None = None
    project: Project | None = None
    provenance: Annotated[Provenance, Meta(description="That came here in this way.")] | None = None
    status: Annotated[TaskStatus, Meta(description="That ended so.")] | None = None
    host: Host | None = None
    since: Since | None = None
    until: Until | None = None
    limit: Annotated[
        int, Meta(ge=0, le=100, description="At most so many tasks, failures and patterns each.")
    ] = 5


class Pattern(Struct, kw_only=True):
    """Failures with the same stack; `example` is the newest."""

    stack_hash: str
    count: int
    first_at: str
    last_at: str
    task_ids: list[str]
    example: BriefTask | None


class StatsTold(Said, kw_only=True):
    """Answer of `stats`: counts of all attempts that match, and with `truncated` not all of the lists."""

    attempts: int
    retries: int
    open: dict[TaskStatus, int]
    by_status: dict[TaskStatus, int]
    by_provenance: dict[str, int]
    success_rate: float | None
    durations: Durations
    retrievals: Retrievals
    tasks: list[TaskCounts]
    failures: list[BriefTask]
    patterns: list[Pattern]
    truncated: bool


def _stats(call: Call, asked: StatsAsked) -> Item:
    request = Stats(
        task_id=asked.task_id,
        slug=asked.slug,
        project=None if asked.project is None else project_root(asked.project),
        since=call.time("since", asked.since),
        until=call.time("until", asked.until),
        provenance=asked.provenance,
        status=asked.status,
        host=hosts(asked.host),
        tasks=asked.limit,
        failures=asked.limit,
        patterns=asked.limit,
    )
    [told] = call.ask(request)
    lists: dict[str, list[Item]] = {
        "patterns": [_pattern(one) for one in told["patterns"]],
        "failures": [picked(BriefTask)(shown(one)) for one in told["failures"]],
        "tasks": told["tasks"],
    }
    answer: dict[str, Any] = {name: value for name, value in told.items() if name not in lists}
    left = call.room_bytes - size_bytes(answer)
    truncated = False
    for number, (name, rows) in enumerate(lists.items()):
        share = left // (len(lists) - number)
        answer[name] = call.fit([call.item(row, share) for row in rows], share)
        left -= sum(map(size_bytes, answer[name]))
        truncated |= len(answer[name]) < len(rows)
    return call.answer(answer | {"truncated": truncated})


def _pattern(told: Item) -> Item:
    example = told["example"]
    return told | {
        "first_at": rfc3339(told["first_at"]),
        "last_at": rfc3339(told["last_at"]),
        "example": None if example is None else picked(BriefTask)(shown(example)),
    }


STATS: Final = Tool(
    name="stats",
    title="How tasks went",
    about="How attempts at tasks went, all that match: counts by status and by task, success rate, durations,"
    " retries, failures of the same stack grouped with how often, first and last. since and until count whole"
    " days (UTC). For whether something got worse, and which task fails most.",
    arguments=StatsAsked,
    answer=StatsTold,
    run=_stats,
)
