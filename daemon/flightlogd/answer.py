"""Every question and who answers it: a page of a list, one execution with all that belongs to it, the rest.

A question takes the request, the daemon and the way back; it sends its answer lines and returns how they end.
"""

from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from typing import Any, Final

import apsw
import trio
from msgspec.structs import replace

from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.stats import Stats
from flightlog_schemas.wire import query as wire
from flightlog_schemas.wire.lines import Cursor, Cursors, Events, OneEvent, Search
from flightlog_schemas.wire.query import REQUESTS
from flightlog_schemas.wire.reply import End
from flightlog_schemas.wire.request import Request
from flightlogd.completeness import run_check
from flightlogd.follow import answer_line, run_logs, run_wait
from flightlogd.hub import Hub
from flightlogd.queries.agent import agent_page
from flightlogd.queries.artifact import artifact_page
from flightlogd.queries.audit import audit_entries
from flightlogd.queries.cursor import change_cursor, cursor_page
from flightlogd.queries.event import event_page, one_event
from flightlogd.queries.execution import list_executions, one_execution, phase_position
from flightlogd.queries.host import host_page
from flightlogd.queries.of_host import name_hosts
from flightlogd.queries.plan import plan_page, project_plan
from flightlogd.queries.project import project_page
from flightlogd.queries.search import HITS_AT_ONCE, PAGE_HITS, find_hits, full_id, look_up
from flightlogd.queries.stats import task_stats
from flightlogd.queries.status import daemon_status
from flightlogd.queries.task import task_page
from flightlogd.sending import Sender
from flightlogd.tail import run_completions, run_tail
from flightlogd.timetravel import as_of, find_then, position_at

Send = Callable[[bytes], Awaitable[None]]
Ask = Callable[[Any, Hub, Send], Awaitable[End]]
AskAs = Callable[[Any, Hub, Sender, int], Awaitable[End]]
"""A question whose answer depends on who asks: the uid of the peer, by the kernel, comes last."""

_CATCH_UP_S: Final = 0.25
"""How long a search waits for the newest lines to be indexed."""
_CATCH_UP_POSITIONS: Final = 10_000
"""How many that may be; more would take longer."""


Read = Callable[[apsw.Connection, Any], tuple[list[Any], int | str | None]]
"""Returns a page of a list, and how the next one is asked for if there is one."""


def _page(noun: str, read: Read) -> Ask:
    """Return a question that is answered with a page of a list.

    Args:
        noun: What an answer line holds.
        read: Returns the page.
    """

    async def ask(request: Request, hub: Hub, send: Send) -> End:
        seq = hub.head.seq
        found, more = await hub.readers.run(lambda db: read(db, request))
        await send(b"".join(answer_line(noun, one) for one in found))
        return End(count=len(found), seq=seq, truncated=more is not None, next=more)

    return ask


def _hosted(read: Read) -> Read:
    """Return how to read a page whose answers are about executions: with the machine of each."""

    def named(db: apsw.Connection, request: Any) -> tuple[list[Any], int | str | None]:
        found, more = read(db, request)
        name_hosts(db, found)
        return found, more

    return named


async def _event(request: OneEvent, hub: Hub, send: Send, uid: int) -> End:
    seq = hub.head.seq
    await send(await hub.readers.run(lambda db: one_event(db, request, uid)))
    return End(count=1, seq=seq)


async def _events(request: Events, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    lines, after = await hub.readers.run(lambda db: event_page(db, request))
    await send(b"".join(lines))
    return End(count=len(lines), seq=seq, truncated=after is not None, next=after)


async def _cursor(request: Cursor, hub: Hub, send: Send, uid: int) -> End:
    changed = await change_cursor(request, hub, uid)
    await send(answer_line("cursor", changed))
    return End(count=1, seq=hub.head.seq)


async def _cursors(request: Cursors, hub: Hub, send: Send, uid: int) -> End:
    seq = hub.head.seq
    found, more = await hub.readers.run(lambda db: cursor_page(db, request, uid))
    await send(b"".join(answer_line("cursor", one) for one in found))
    return End(count=len(found), seq=seq, truncated=more is not None, next=more)


async def _phase(request: wire.Phase, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    found = await hub.readers.run(lambda db: phase_position(db, request.execution_id))
    await send(answer_line("phase", found))
    return End(count=1, seq=seq)


async def _plan(request: wire.Plan, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    timeout_s = hub.readers.timeout_ms / 1000
    found = await hub.readers.run(lambda db: project_plan(db, request, timeout_s=timeout_s))
    await send(answer_line("plan", found))
    return End(count=1, seq=seq)


async def _stats(request: wire.Stats, hub: Hub, send: Send) -> End:
    seq = hub.head.seq

    def read(db: apsw.Connection) -> Stats:
        found = task_stats(db, request)
        examples = (pattern.example for pattern in found.patterns)
        name_hosts(db, [*found.failures, *(one for one in examples if one is not None)])
        return found

    found = await hub.readers.run(read)
    await send(answer_line("stats", found))
    return End(count=1, seq=seq)


async def _search(request: Search, hub: Hub, send: Send) -> End:
    head = hub.head.seq
    if head - hub.search.position <= _CATCH_UP_POSITIONS:
        with trio.move_on_after(_CATCH_UP_S):
            await hub.search.wait_past(head - 1)
    execution_id = request.execution_id
    if execution_id is not None:
        execution_id = await hub.readers.run(partial(full_id, text=execution_id, hosts=request.host))
    indexed = hub.search.position
    before = INT64_MAX if request.before is None else request.before
    sent = looked_at = 0
    more = True
    while more and sent < request.limit and looked_at < PAGE_HITS:
        hits = await hub.search.read(
            partial(find_hits, request=request, execution_id=execution_id, before=before)
        )
        if not hits:
            more = False
            break
        left = request.limit - sent
        look = partial(look_up, request=request, execution_id=execution_id, hits=hits, limit=left)
        found = await hub.readers.run(look)
        await send(b"".join(answer_line("log", line) for line in found.lines))
        sent, looked_at, before = sent + len(found.lines), looked_at + len(hits), found.position
        more = len(hits) == HITS_AT_ONCE or before > hits[-1]
    return End(
        count=sent, seq=indexed, lag=max(0, head - indexed), truncated=more, next=before if more else None
    )


async def _status(_request: wire.StatusRequest, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    await send(answer_line("status", await daemon_status(hub)))
    return End(count=1, seq=seq)


async def _inspect(request: wire.Inspect, hub: Hub, send: Send) -> End:
    def read(db: apsw.Connection) -> tuple[list[bytes], bool, int]:
        if request.as_of is None and request.as_of_time is None:
            return *_whole(db, db, request.execution_id, request), head
        until = position_at(db, request.as_of, request.as_of_time)
        name = find_then(db, request.execution_id, until, request.host)
        with closing(as_of(db, name, until, timeout_s=hub.readers.timeout_ms / 1000)) as past:
            return *_whole(past, db, name, replace(request, host=())), until

    head = hub.head.seq
    lines, truncated, seq = await hub.readers.run(read)
    await send(b"".join(lines))
    return End(count=len(lines), seq=seq, truncated=truncated)


def _whole(
    db: apsw.Connection, log: apsw.Connection, text: str, request: wire.Inspect
) -> tuple[list[bytes], bool]:
    """Return an execution with what is asked for of it, as answer lines; True with more there than a page."""
    found = one_execution(db, text, request.host)
    name = found.execution_id
    pages: dict[str, tuple[list[Any], int | str | None]] = {}
    if request.tasks:
        pages["task"] = task_page(db, wire.Tasks(execution_id=name, oldest_first=True))
    if request.agents:
        pages["agent"] = agent_page(db, wire.Agents(execution_id=name))
    if request.artifacts:
        pages["artifact"] = artifact_page(db, wire.Artifacts(execution_id=name))
    if request.audit:
        pages["audit"] = audit_entries(db, wire.Audit(execution_id=name))
    name_hosts(log, [found, *(one for page, _ in pages.values() for one in page)])
    lines = [answer_line("execution", found)]
    lines += [answer_line(noun, one) for noun, (page, _) in pages.items() for one in page]
    return lines, any(more is not None for _, more in pages.values())


ASK: Final[dict[str, Ask]] = {
    "events": _events,
    "executions": _page("execution", _hosted(list_executions)),
    "inspect": _inspect,
    "phase": _phase,
    "tasks": _page("task", _hosted(task_page)),
    "stats": _stats,
    "completions": run_completions,
    "agents": _page("agent", _hosted(agent_page)),
    "artifacts": _page("artifact", _hosted(artifact_page)),
    "search": _search,
    "audit": _page("audit", _hosted(audit_entries)),
    "projects": _page("project", project_page),
    "hosts": _page("host", host_page),
    "plan": _plan,
    "plans": _page("plan", plan_page),
    "check": run_check,
    "wait": run_wait,
    "status": _status,
}
"""By verb."""

ASK_AS: Final[dict[str, AskAs]] = {
    "event": _event,
    "tail": run_tail,
    "logs": run_logs,
    "cursor": _cursor,
    "cursors": _cursors,
}
"""By verb, those that ask with a user's name."""
assert ASK.keys() | ASK_AS.keys() == REQUESTS.keys()
