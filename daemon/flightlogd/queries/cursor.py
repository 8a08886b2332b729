"""Named cursors: how far a reader has confirmed that it has what it was sent."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final

import apsw

from flightlog_schemas.answers import NamedCursor
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.wire.lines import Cursor, Cursors
from flightlogd.clock import system_clock
from flightlogd.errors import QuestionError
from flightlogd.hub import Hub
from flightlogd.store.cursors import (
    StoredCursor,
    count_cursors,
    drop_cursor,
    find_cursor,
    list_cursors,
    put_cursor,
)
from flightlogd.store.database import begin, commit, rollback, storage_fault
from flightlogd.store.eventlog import pick_lines, read_head, read_index
from flightlogd.store.tombstones import taken_ranges

Change = Callable[[apsw.Connection], NamedCursor]

ROOT: Final = 0
"""Sees and changes the cursors of all users."""


def cursor_position(
    db: apsw.Connection, uid: int, name: str, available: Callable[[apsw.Connection, int], int]
) -> int | None:
    """Return where a cursor stands, None where there is none of that name.

    Args:
        db: A connection that reads.
        uid: Whose cursor.
        name: Its name.
        available: Returns the first position that its reader can still have, the next one where nothing that
            it could want was taken.

    Raises:
        QuestionError: `cursor_behind`, when retention took what its reader was to have next.
    """
    cursor = find_cursor(db, uid, name)
    if cursor is None:
        return None
    first = available(db, cursor.seq)
    if first > cursor.seq + 1:
        raise QuestionError(
            "cursor_behind",
            f"your cursor {name} is at {cursor.seq}, older than retention:"
            f" the first available position is {first}",
            f"to go on from there, ask after {first - 1}: --after {first - 1} resets the cursor",
        )
    return cursor.seq


def available_of(execution_ids: Sequence[str]) -> Callable[[apsw.Connection, int], int]:
    """Return what gives the first position of some executions that is still there, where any was taken."""

    def available(db: apsw.Connection, after: int) -> int:
        taken = [name for name in execution_ids if taken_ranges(db, name, after, INT64_MAX)]
        if not taken:
            return after + 1
        head = read_head(db).seq
        there = [
            picked.first_seq + index
            for name in execution_ids
            for picked in islice((pick_lines(db, row) for row in read_index(db, name, after, head)), 2)
            for index, _ in picked.lines
            if picked.first_seq + index > after
        ]
        return min(there, default=head + 1)

    return available


def cursor_page(db: apsw.Connection, request: Cursors, uid: int) -> tuple[list[NamedCursor], int | None]:
    """Return a page of a user's cursors, for root of everybody's, and the `after` of the next one, if any."""
    head = read_head(db).seq
    whose = None if uid == ROOT else uid
    found = list(list_cursors(db, whose, request.name, request.after, request.limit + 1))
    more = request.after + request.limit if request.limit and len(found) > request.limit else None
    return [_shown(cursor, head) for cursor in found[: request.limit]], more


async def change_cursor(request: Cursor, hub: Hub, uid: int) -> NamedCursor:
    """Move or remove a cursor and return it as it is then, or was; on disk when this returns.

    Raises:
        QuestionError: `invalid`, `not_found` (of one to be removed), `cursor_limit`, or the storage's fault.
    """
    owner = uid if request.uid is None else request.uid
    if uid not in (owner, ROOT):
        raise QuestionError("invalid", "only root may change the cursors of other users", "leave uid out")
    if (request.seq is None) != request.remove:
        raise QuestionError("invalid", "a cursor is moved by seq, or removed by remove: one of the two")
    if hub.fault is not None:
        raise QuestionError(hub.fault.state, hub.fault.reason, hub.fault.hint)
    change: Change
    if request.seq is None:
        change = partial(_remove, owner=owner, name=request.name)
    else:
        cursor = StoredCursor(owner, request.name, request.seq, system_clock())
        change = partial(_move, wanted=cursor, back=request.back, limit=hub.config.cursor_limit)
    try:
        return await hub.writer.do(partial(_whole, change=change), ahead=True)
    except apsw.Error as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        raise QuestionError(fault.state, fault.reason, fault.hint) from None


def _whole(db: apsw.Connection, change: Change) -> NamedCursor:
    """Make a change in a transaction of its own."""
    begin(db)
    try:
        done = change(db)
        commit(db)
    except BaseException:
        rollback(db)
        raise
    return done


def _move(db: apsw.Connection, wanted: StoredCursor, *, back: bool, limit: int) -> NamedCursor:
    head = read_head(db).seq
    if wanted.seq > head:
        raise QuestionError("invalid", f"position {wanted.seq} is beyond the head of the log, {head}")
    found = find_cursor(db, wanted.uid, wanted.name)
    if found is not None and found.seq >= wanted.seq and not (back and found.seq > wanted.seq):
        return _shown(found, head)
    if found is None and count_cursors(db, wanted.uid) >= limit:
        raise QuestionError(
            "cursor_limit",
            f"uid {wanted.uid} has {limit} cursors, and no more are allowed",
            "remove one (`flightlog cursor list` shows them), or raise cursor_limit",
        )
    put_cursor(db, wanted)
    return _shown(wanted, head)


def _remove(db: apsw.Connection, owner: int, name: str) -> NamedCursor:
    found = find_cursor(db, owner, name)
    if found is None:
        raise QuestionError(
            "not_found", f"no such cursor: {name}", "flightlog cursor list shows what there is"
        )
    drop_cursor(db, owner, name)
    return _shown(found, read_head(db).seq)


def _shown(cursor: StoredCursor, head: int) -> NamedCursor:
    return NamedCursor(
        name=cursor.name,
        uid=cursor.uid,
        seq=cursor.seq,
        lag=max(0, head - cursor.seq),
        moved_at=cursor.moved_at,
    )
