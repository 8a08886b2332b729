"""Executions that are not over and have an owner or a deadline, as their rows say it."""

import json
from collections.abc import Collection, Mapping
from typing import Final, Protocol

import apsw
import msgspec
from msgspec import Struct

from flightlog_schemas.events import Owner

STILL_ACTIVE: Final = "status in ('pending', 'running', 'waiting') and provenance = 'live'"
"""Only a live announcement counts: what comes from a relay or an import ran elsewhere, or long ago."""

_COLUMNS: Final = "execution_id, owner, owner_seq, owner_peer_pid, deadline, first_seq"
_LOOKED_AFTER: Final = f"(owner is not null or deadline is not null) and {STILL_ACTIVE}"

# The planner prefers the index by status, which leads through all that is active, watched or not.
_ALL: Final = f"select {_COLUMNS} from execution indexed by execution_active_watched where {_LOOKED_AFTER}"
_CHOSEN: Final = (
    f"select {_COLUMNS} from json_each(?) as chosen cross join execution on execution_id = chosen.value"
    f" where {_LOOKED_AFTER}"
)


class Active(Struct, frozen=True):
    """One of them.

    Attributes:
        execution_id: Its id.
        owner: The process whose end is its end, if it named one.
        owner_seq: Position of the event that named it.
        owner_peer_pid: The process that sent that event, by the kernel.
        deadline: When its time is up, microseconds since the epoch; None: never.
        first_seq: Position of its first event.
    """

    execution_id: str
    owner: Owner | None
    owner_seq: int | None
    owner_peer_pid: int | None
    deadline: int | None
    first_seq: int


class Follower(Protocol):
    """Looks after active executions."""

    async def follow(self, found: Mapping[str, Active], over: Collection[str]) -> None:
        """Take in what changed: executions that are active, as they are now, and those that are no longer."""

    async def run(self) -> None:
        """Look after them until cancelled."""


def read_active(db: apsw.Connection, execution_ids: Collection[str] | None) -> dict[str, Active]:
    """Return those of these executions that are active, by id; None asks for all."""
    if execution_ids is None:
        rows = db.execute(_ALL)
    else:
        rows = db.execute(_CHOSEN, (json.dumps(list(execution_ids)),))
    return {row[0]: _active(*row) for row in rows}


def _active(
    execution_id: str,
    owner: str | None,
    owner_seq: int | None,
    owner_peer_pid: int | None,
    deadline: int | None,
    first_seq: int,
) -> Active:
    return Active(
        execution_id,
        None if owner is None else msgspec.json.decode(owner, type=Owner),
        owner_seq,
        owner_peer_pid,
        deadline,
        first_seq,
    )
