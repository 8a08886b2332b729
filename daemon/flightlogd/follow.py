"""Questions that wait: a log until its execution has ended, and `wait` itself."""

from collections.abc import Awaitable, Callable
from functools import partial

import apsw
import msgspec
import trio
from msgspec.structs import replace

from flightlog_schemas.answers import Execution, LogLine
from flightlog_schemas.statuses import TERMINAL
from flightlog_schemas.wire.lines import Logs
from flightlog_schemas.wire.query import Wait
from flightlog_schemas.wire.reply import End
from flightlog_schemas.wire.request import PAGE_LIMIT
from flightlogd.batch import Batch
from flightlogd.errors import QuestionError
from flightlogd.hub import Hub
from flightlogd.passing import Passing
from flightlogd.queries.ended_tasks import ENDS_TASKS
from flightlogd.queries.execution import one_execution
from flightlogd.queries.log import Page, last_page, log_page, log_page_back, start_after
from flightlogd.queries.of_host import name_hosts
from flightlogd.store.eventlog import read_head

Send = Callable[[bytes], Awaitable[None]]

_encode = msgspec.json.encode
_encode_lines = msgspec.json.Encoder().encode_lines


def answer_line(name: str, answer: object) -> bytes:
    """Return one answer as it is sent: `{"name":{...}}`."""
    return b'{"%b":%b}\n' % (name.encode(), _encode(answer))


async def run_logs(request: Logs, hub: Hub, send: Send, uid: int) -> End:
    """Send log lines page by page; with `follow`, until the execution has ended and all are sent.

    Args:
        request: What is wanted.
        hub: The log.
        send: Writes to the reader; waits as long as the reader does.
        uid: Whose named cursor is meant.
    """
    if request.reverse:
        return await _run_back(request, hub, send, uid)
    sent = 0
    passing = Passing(send, wanted=request.passing)
    page = await hub.readers.run(partial(_first_page, request=request, uid=uid))
    while True:
        await _send_lines(page.lines, send)
        sent += len(page.lines)
        if request.limit is not None and sent >= request.limit:
            return End(count=sent, seq=page.position, truncated=not page.complete, next=page.position)
        await passing.reached(page.position)
        if page.complete:
            if not request.follow or page.ended:
                return End(count=sent, seq=page.position, pruned=page.pruned)
            if page.execution_id is not None:
                tells = _of_execution(page.execution_id)
            else:
                tells = _of_task(request.task_id)
            page.position = await _wait_for(hub, page.position, tells, passing)
        after, limit = page.position, _page_limit(request.limit, sent)
        page = await hub.readers.run(partial(log_page, request=request, after=after, limit=limit))


async def _run_back(request: Logs, hub: Hub, send: Send, uid: int) -> End:
    """Send what is there, newest first."""
    if request.follow:
        raise QuestionError("invalid", "what comes is not there yet: follow does not go with reverse")
    head = hub.head.seq
    limits = [limit for limit in (request.limit, request.last) if limit is not None]
    limit = min(limits) if limits else None
    after = await hub.readers.run(lambda db: start_after(db, replace(request, last=None), uid))
    before = head + 1 if request.before is None else min(head + 1, request.before)
    sent = 0
    while True:
        page = await hub.readers.run(
            partial(
                log_page_back, request=request, after=after, before=before, limit=_page_limit(limit, sent)
            )
        )
        await _send_lines(page.lines, send)
        sent += len(page.lines)
        before = page.position
        if limit is not None and sent >= limit:
            return End(count=sent, seq=head, truncated=not page.complete, next=before)
        if page.complete:
            return End(count=sent, seq=head, pruned=page.pruned)


def _first_page(db: apsw.Connection, request: Logs, uid: int) -> Page:
    limit = _page_limit(request.limit, 0)
    if request.last is not None and 0 < request.last <= limit:
        after = start_after(db, replace(request, last=None), uid)
        page = last_page(db, request, after, request.last)
        if page is not None:
            return page
    return log_page(db, request, start_after(db, request, uid), limit)


def _page_limit(limit: int | None, sent: int) -> int:
    return PAGE_LIMIT if limit is None else min(PAGE_LIMIT, limit - sent)


async def _send_lines(lines: list[LogLine], send: Send) -> None:
    if lines:
        await send(_encode_lines([{"log": line} for line in lines]))


def _of_execution(execution_id: str, *, state_only: bool = False) -> Callable[[Batch], bool]:
    """Return what says whether a batch has an event of an execution."""

    def tells(batch: Batch) -> bool:
        entry = batch.facts.tallies.get(execution_id)
        return entry is not None and (entry.state_count > 0 or not state_only)

    return tells


def _of_task(task_id: str | None) -> Callable[[Batch], bool]:
    """Return what says whether a batch may have a line of a task."""
    text = _encode(task_id)

    def tells(batch: Batch) -> bool:
        # The id may be spelt with escapes; and what ends an execution ends its open tasks.
        return any(text in line or b"\\" in line for line in batch.lines) or any(
            isinstance(event, ENDS_TASKS) for _, event in batch.facts.singles
        )

    return tells


async def _wait_for(hub: Hub, after: int, tells: Callable[[Batch], bool], passing: Passing) -> int:
    """Return once the log has a batch above a position that tells of it (or may have: look again).

    Returns:
        The position up to which nothing does.
    """
    while True:
        await passing.wait(partial(hub.grown, after))
        quiet_until = hub.head.quiet_until(after, tells)
        if quiet_until == after:
            return after
        after = quiet_until
        await passing.reached(after)


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
            await _wait_for(
                hub, seq, _of_execution(found.execution_id, state_only=True), Passing(send, wanted=False)
            )
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
    found = one_execution(db, text)
    name_hosts(db, [found])
    return found, read_head(db).seq
