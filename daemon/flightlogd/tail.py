"""A tail: read where seq > cursor, send, wait for the log to grow.

The database is the buffer between history and live, so there is no hand-over to get wrong: no gap, no
duplicate (D7). Recent batches in memory only save the reading. A slow reader holds one page and slows
nobody but itself.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import apsw

from flightlog_schemas.events import type_of
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.wire.lines import Tail
from flightlog_schemas.wire.query import Completions
from flightlog_schemas.wire.reply import End
from flightlogd.batch import Batch
from flightlogd.follow import answer_line
from flightlogd.hub import Hub
from flightlogd.match import Match, match_of
from flightlogd.passing import Passing
from flightlogd.queries.cursor import available_of, cursor_position
from flightlogd.queries.event import (
    position_before_last,
    position_since,
    tail_page,
)
from flightlogd.queries.task import completion_page
from flightlogd.sending import Sender
from flightlogd.store.eventlog import first_available
from flightlogd.store.readers import InterruptedReadError
from flightlogd.turns import asking

Send = Callable[[bytes], Awaitable[None]]


async def run_tail(request: Tail, hub: Hub, send: Sender, uid: int) -> End:
    """Send recorded events after a position; with `follow`, until the connection is cancelled.

    Args:
        request: What is wanted.
        hub: The log.
        send: Writes to the reader; waits as long as the reader does.
        uid: Whose named cursor is meant.

    Raises:
        QuestionError: `cursor_behind`, when retention took what comes after the cursor.
    """
    match = match_of(request, hub.host)
    head = hub.head
    until = head.seq
    follow = request.follow and request.until is None
    if request.until is not None:
        time = request.until
        until = min(until, await hub.readers.run(lambda db: position_since(db, time)))
    position = await _start(request, hub, match, until, uid)
    sent = 0
    # Who gets every line knows how far it is.
    passing = Passing(send, wanted=request.passing and not match.everything)
    looks_itself = passing.wanted or request.limit is not None
    while request.limit is None or sent < request.limit:
        await hub.users.share.turn(asking.get())
        lines, position = await _next_page(hub, match, position, None if follow else until)
        if request.limit is not None:
            del lines[request.limit - sent :]
        if lines:
            await send(b"".join(lines))
            sent += len(lines)
        if request.limit is not None and sent >= request.limit:
            break
        await passing.reached(position)
        if not follow and position >= until:
            break
        if position < head.seq:
            continue
        if looks_itself:
            await passing.wait(partial(hub.grown, position))
            continue
        position, rest = await hub.live.follow(match, position, send)
        if rest:
            await send(rest)
    return End(count=sent, seq=position)


async def run_completions(request: Completions, hub: Hub, send: Send) -> End:
    """Send attempts at tasks as they end; with `follow`, until the connection is cancelled.

    Args:
        request: What is wanted.
        hub: The log.
        send: Writes to the reader; waits as long as the reader does.

    Raises:
        QuestionError: `projection_broken`.
    """
    until = hub.head.seq
    position = (until if request.after is None else request.after, INT64_MAX)
    sent = 0
    while request.limit is None or sent < request.limit:
        within = position[1] < INT64_MAX  # several end at one position, and not all of these were sent
        if not within:
            position = (hub.head.quiet_until(position[0], _may_end_attempts), INT64_MAX)
        if within or position[0] < hub.head.seq:
            stop = hub.head.seq if request.follow else until
            page = partial(completion_page, request=request, after=position, until=stop)
            found, position = await hub.readers.run(page)
            if request.limit is not None:
                del found[request.limit - sent :]
            if found:
                await send(b"".join(answer_line("completion", one) for one in found))
                sent += len(found)
        if not request.follow and position >= (until, INT64_MAX):
            break
        if position >= (hub.head.seq, INT64_MAX):
            await hub.grown(position[0])
    return End(count=sent, seq=position[0])


def _may_end_attempts(batch: Batch) -> bool:
    return any(type_of(event).startswith(("task.", "execution.")) for _, event in batch.facts.singles)


async def _start(request: Tail, hub: Hub, match: Match, until: int, uid: int) -> int:
    """Return the position after which to begin."""
    if request.cursor is None and request.since is None and request.last is None:
        return until if request.after is None else request.after

    def begin(db: apsw.Connection) -> int:
        start = request.after
        if start is None and request.cursor is not None:
            of = request.execution_id
            available = first_available if of is None else available_of([of])
            start = cursor_position(db, uid, request.cursor, available)
            if start is not None:
                return start
        if start is None and request.since is not None:
            start = position_since(db, request.since)
        if request.last is not None:
            start = max(start or 0, position_before_last(db, request.last, until, match))
        return until if start is None else start

    return await hub.readers.run(begin)


async def _next_page(hub: Hub, match: Match, cursor: int, until: int | None) -> tuple[list[bytes], int]:
    stop = hub.head.seq if until is None else until
    if cursor >= stop:
        return [], cursor
    page = hub.live.page(match, cursor, until)
    if page is not None:
        return page
    try:
        return await hub.readers.run(lambda db: tail_page(db, cursor, stop, match))
    except InterruptedReadError:
        return [], cursor  # and again
