"""Questions that wait: an execution's log until it has ended, and `wait` itself."""

from collections.abc import Awaitable, Callable
from functools import partial

import apsw
import msgspec
import trio

from flightlog_schemas.answers import Execution, LogLine
from flightlog_schemas.wire.query import PAGE_LIMIT, TERMINAL, End, Logs, Wait
from flightlogd.errors import QuestionError
from flightlogd.hub import Hub
from flightlogd.queries.execution import one_execution
from flightlogd.queries.log import Page, log_page, position_before_last
from flightlogd.store.eventlog import read_head

Send = Callable[[bytes], Awaitable[None]]

_encode = msgspec.json.encode


def answer_line(name: str, answer: object) -> bytes:
    """Return one answer as it is sent: `{"name":{...}}`."""
    return b'{"%b":%b}\n' % (name.encode(), _encode(answer))


async def run_logs(request: Logs, hub: Hub, send: Send) -> End:
    """Send an execution's log lines page by page; with `follow`, until it has ended and all are sent."""
    sent = 0
    page = await hub.readers.run(partial(_first_page, request=request))
    while True:
        await _send_lines(page.lines, send)
        sent += len(page.lines)
        if request.limit is not None and sent >= request.limit:
            return End(count=sent, seq=page.position, truncated=not page.complete, next=page.position)
        if page.complete:
            if not request.follow or page.ended:
                return End(count=sent, seq=page.position)
            await _wait_for_mention(hub, page.execution_id, page.position)
        after, limit = page.position, _page_limit(request, sent)
        page = await hub.readers.run(partial(log_page, request=request, after=after, limit=limit))


def _first_page(db: apsw.Connection, request: Logs) -> Page:
    after = request.after
    if request.last is not None:
        after = position_before_last(db, request, request.last)
    return log_page(db, request, after, _page_limit(request, 0))


def _page_limit(request: Logs, sent: int) -> int:
    return PAGE_LIMIT if request.limit is None else min(PAGE_LIMIT, request.limit - sent)


async def _send_lines(lines: list[LogLine], send: Send) -> None:
    if lines:
        await send(b"".join(answer_line("log", line) for line in lines))


async def _wait_for_mention(hub: Hub, execution_id: str, after: int, *, state_only: bool = False) -> None:
    """Return once the log has an event of this execution above a position (or may have: look again)."""
    while True:
        await hub.head.wait_past(after)
        recent = hub.head.recent(after)
        if recent is None:
            return
        for batch in recent:
            entry = batch.facts.tallies.get(execution_id)
            if entry is not None and (entry.state_count or not state_only):
                return
        after = hub.head.seq


async def run_wait(request: Wait, hub: Hub, send: Send) -> End:
    """Answer with the execution once it has ended or has the status asked for.

    Raises:
        QuestionError: `timed_out`, `outcome` when it ended otherwise, or what finding it raises.
    """
    timeout_s = float("inf") if request.timeout_ms is None else request.timeout_ms / 1000
    deadline = trio.current_time() + timeout_s
    found, seq = await hub.readers.run(lambda db: _look(db, request.execution_id))
    while not _is_over(found, request):
        with trio.move_on_at(deadline) as waiting:
            await _wait_for_mention(hub, found.execution_id, seq, state_only=True)
        if waiting.cancelled_caught:
            until = request.until or "ended"
            raise QuestionError("timed_out", f"{found.execution_id} was not {until} within {timeout_s:g} s")
        found, seq = await hub.readers.run(partial(_look, text=found.execution_id))
    await send(answer_line("execution", found))
    return End(count=1, seq=seq)


def _is_over(found: Execution, request: Wait) -> bool:
    ended = found.status in TERMINAL
    if found.status == request.until or (ended and request.until is None):
        return True
    if ended:
        raise QuestionError("outcome", f"{found.execution_id} ended as {found.status}")
    return False


def _look(db: apsw.Connection, text: str) -> tuple[Execution, int]:
    return one_execution(db, text), read_head(db).seq
