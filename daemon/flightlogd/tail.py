"""A tail: read where seq > cursor, send, wait for the log to grow.

The database is the buffer between history and live, so there is no hand-over to get wrong: no gap, no
duplicate (D7). Recent batches in memory only save the reading. A slow reader holds one page and slows
nobody but itself.
"""

from collections.abc import Awaitable, Callable

from flightlog_schemas.wire.query import End, Tail
from flightlogd.batch import Batch
from flightlogd.head import Head
from flightlogd.hub import Hub
from flightlogd.match import Match, match_of
from flightlogd.queries.event import (
    PAGE_BYTES,
    batch_lines,
    position_before_last,
    position_since,
    tail_page,
)

Send = Callable[[bytes], Awaitable[None]]


async def run_tail(request: Tail, hub: Hub, send: Send) -> End:
    """Send recorded events after a position; with `follow`, until the connection is cancelled.

    Args:
        request: What is wanted.
        hub: The log.
        send: Writes to the reader; waits as long as the reader does.
    """
    match = match_of(request)
    head = hub.head
    until = head.seq
    cursor = await _start(request, hub, match, until)
    sent = 0
    while request.limit is None or sent < request.limit:
        lines, cursor = await _next_page(hub, match, cursor, None if request.follow else until)
        if request.limit is not None:
            del lines[request.limit - sent :]
        if lines:
            await send(b"".join(lines))
            sent += len(lines)
        if not request.follow and cursor >= until:
            break
        if cursor >= head.seq and (request.limit is None or sent < request.limit):
            await head.wait_past(cursor)
    return End(count=sent, seq=cursor)


async def _start(request: Tail, hub: Hub, match: Match, until: int) -> int:
    if request.after is not None:
        return request.after
    if request.since is not None:
        since = request.since
        return await hub.readers.run(lambda db: position_since(db, since))
    if request.last is not None:
        last = request.last
        return await hub.readers.run(lambda db: position_before_last(db, last, until, match))
    return until


async def _next_page(hub: Hub, match: Match, cursor: int, until: int | None) -> tuple[list[bytes], int]:
    head: Head = hub.head
    stop = head.seq if until is None else until
    if cursor >= stop:
        return [], cursor
    recent = head.recent(cursor)
    if recent is None or recent[-1].last_seq > stop:
        return await hub.readers.run(lambda db: tail_page(db, cursor, stop, match))
    lines: list[bytes] = []
    size = 0
    for batch in recent:
        found = _recent_lines(batch, cursor, match)
        lines += found
        size += sum(map(len, found))
        cursor = batch.last_seq
        if size >= PAGE_BYTES:
            break
    return lines, cursor


def _recent_lines(batch: Batch, after: int, match: Match) -> list[bytes]:
    """Return what one reader gets of a batch in memory; what all readers get is made once."""
    if not match.everything or after >= batch.first_seq:
        return batch_lines(batch, after, match)
    if batch.sent is None:
        batch.sent = batch_lines(batch, batch.first_seq - 1, None)
    return batch.sent
