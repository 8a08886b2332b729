"""Owners: an execution whose process is gone, and which nobody ended, is lost.

    row -> find the process -> pidfd, all of them in one epoll -> it ended -> read out what it had sent
                                                                           -> still open? execution.lost

A false alarm is worse than a late one. So what cannot be seen is not concluded from, what the dead process
had sent is read to its end first, and whether its execution is still open is decided on the writer's thread.
"""

import os
import resource
import select
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import apsw
import msgspec
import structlog
import trio
from msgspec import Struct, field

from flightlog_schemas.events import Event, ExecutionLost, Owner
from flightlogd.active import STILL_ACTIVE, Active
from flightlogd.hub import Hub
from flightlogd.peer import is_readable
from flightlogd.processes import Elsewhere, Gone, ending_of, find, is_there
from flightlogd.queries.find import require
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

READ_OUT_LOOKS: Final = 250
"""How often a decision looks at most whether all that the dead process had sent is read: for half a second.

Not a time: on a machine that is slow to let us run, connections have as many turns to be read in. What comes
later still corrects the decision.
"""

LOOK_S: Final = 0.5
"""Time between two looks at processes that there was no descriptor for."""

_LOOK_AGAIN_S: Final = 0.002
_TURNS: Final = 5
"""Turns of trio's loop after which a connection that was taken from the queue has its session."""

_OWNERS_PER_TURN: Final = 50
"""Finding a process takes some 50 microseconds, in which the loop does nothing else."""

_DECIDED_AT_ONCE: Final = 100
"""Executions that one commit declares lost: the writer is for others, too."""


class Process(Struct, eq=False):
    """A process that owns executions.

    Attributes:
        pid: Its id in our namespace.
        start_time: When it began, in clock ticks since boot, if that is known.
        pidfd: Its descriptor; None: it is looked at from time to time.
        owned: Its executions, and the position of the event that gave each to it.
    """

    pid: int
    start_time: int | None
    pidfd: int | None
    owned: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, int | None, int | None]:
        """What makes it this process. Where the start time is not known, only the descriptor does."""
        return self.pid, self.start_time, self.pidfd if self.start_time is None else None


class Departed(Struct):
    """A process that is gone, or was never seen, and what it owned.

    Attributes:
        pids: Ids under which it may have sent something.
        owned: Its executions, and the position of the event that gave each to it.
        since: What is known of it, as the end of a sentence about it.
        process: The process, where it was seen.
    """

    pids: tuple[int, ...]
    owned: dict[str, int]
    since: str
    process: Process | None = None


class Owners:
    """Watches the processes that own active executions.

    Args:
        hub: For the connections that are read out, and the numbers in `status`.
        voice: Appends `execution.lost`.
        ingest: The listening socket of ingest.sock.
    """

    def __init__(self, hub: Hub, voice: Voice, ingest: socket.socket) -> None:
        self._hub = hub
        self._voice = voice
        self._ingest = ingest
        self._process_of: dict[str, Process] = {}
        self._elsewhere: dict[str, int] = {}
        """Executions whose owner cannot be seen from here."""
        self._known: dict[tuple[int, int | None, int | None], Process] = {}
        self._by_pidfd: dict[int, Process] = {}
        self._epoll = select.epoll()
        self._departures, self._departed = trio.open_memory_channel[Departed](float("inf"))
        # Connections come first: owners take at most half of the descriptors there are.
        self._pidfd_limit = min(hub.config.pidfd_limit, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)

    async def follow(self, found: Mapping[str, Active], over: Collection[str]) -> None:
        """Take in what changed."""
        for execution_id in over:
            self._unwatch(execution_id)
        for number, active in enumerate(found.values(), 1):
            self._watch(active)
            if not number % _OWNERS_PER_TURN:
                await trio.lowlevel.checkpoint()
        self._tell()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._wait_for_ends)
                nursery.start_soon(self._look_at_others)
                async for departed in self._departed:
                    together = [departed]
                    try:
                        while True:
                            together.append(self._departed.receive_nowait())
                    except trio.WouldBlock:
                        nursery.start_soon(self._conclude, together)
        finally:
            self._epoll.close()
            for pidfd in self._by_pidfd:
                os.close(pidfd)

    def _watch(self, active: Active) -> None:
        owner, owner_seq = active.owner, active.owner_seq
        execution_id = active.execution_id
        if owner is None or owner_seq is None:
            return
        watching = self._process_of.get(execution_id)
        if owner_seq in (watching and watching.owned.get(execution_id), self._elsewhere.get(execution_id)):
            return
        self._unwatch(execution_id)
        found = find(owner, active.owner_peer_pid, use_pidfd=len(self._by_pidfd) < self._pidfd_limit)
        if isinstance(found, Elsewhere):
            self._elsewhere[execution_id] = owner_seq
            logger.debug("an owner cannot be seen from here", execution_id=execution_id, pid=owner.pid)
        elif isinstance(found, Gone):
            pids = (owner.pid, active.owner_peer_pid or owner.pid)
            self._departures.send_nowait(Departed(pids, {execution_id: owner_seq}, found.since))
        else:
            seen = Process(found.pid, found.start_time, found.pidfd)
            process = self._known.setdefault(seen.key, seen)
            if process is seen:
                if found.pidfd is not None:
                    self._by_pidfd[found.pidfd] = process
                    self._epoll.register(found.pidfd, select.EPOLLIN)
            else:
                _close(seen)
            process.owned[execution_id] = owner_seq
            self._process_of[execution_id] = process

    def _unwatch(self, execution_id: str) -> None:
        self._elsewhere.pop(execution_id, None)
        process = self._process_of.pop(execution_id, None)
        if process is not None:
            del process.owned[execution_id]
            if not process.owned:
                self._forget(process)
                _close(process)

    def _forget(self, process: Process) -> None:
        """Watch a process no more; its descriptor stays open."""
        del self._known[process.key]
        if process.pidfd is not None:
            del self._by_pidfd[process.pidfd]
            self._epoll.unregister(process.pidfd)

    def _tell(self) -> None:
        self._hub.watched = len(self._process_of)
        self._hub.unwatched = len(self._elsewhere)

    async def _wait_for_ends(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            self._ended(self._by_pidfd[pidfd] for pidfd, _ in self._epoll.poll(0))

    async def _look_at_others(self) -> None:
        """Look at the processes that there was no descriptor for."""
        while True:
            await trio.sleep(LOOK_S)
            without = [process for process in self._known.values() if process.pidfd is None]
            self._ended(process for process in without if not is_there(process.pid, process.start_time))

    def _ended(self, processes: Iterable[Process]) -> None:
        for process in list(processes):
            self._forget(process)
            for execution_id in process.owned:
                del self._process_of[execution_id]
            self._departures.send_nowait(Departed((process.pid,), process.owned, "ended", process))
        self._tell()

    async def _conclude(self, departed: Sequence[Departed]) -> None:
        """Declare lost what these processes left open, once all that they had sent is read."""
        try:
            await self._read_out({pid for one in departed for pid in one.pids})
            left = [
                _Left(execution_id, owner_seq, one.since, ending)
                for one in departed
                for ending in [_ending(one.process)]
                for execution_id, owner_seq in one.owned.items()
            ]
            for start in range(0, len(left), _DECIDED_AT_ONCE):
                await self._voice.react(partial(_decide, left[start : start + _DECIDED_AT_ONCE]))
        finally:
            for one in departed:
                if one.process is not None:
                    _close(one.process)

    async def _read_out(self, pids: Collection[int]) -> None:
        """Return when all that processes with these ids had sent is settled, or it takes too long.

        A connection of theirs ends once it was read to its end; one that a child of theirs holds open, too,
        counts as read while nothing waits in it.
        """
        accepted = False
        for _ in range(READ_OUT_LOOKS):
            waiting = is_readable(self._ingest) or self._hub.users.share.in_line(pids)
            if not accepted and not waiting:
                accepted = True
                for _ in range(_TURNS):
                    await trio.lowlevel.checkpoint()
            if accepted and all(one.quiet for one in self._hub.connected if one.peer.pid in pids):
                return
            await trio.sleep(_LOOK_AGAIN_S)


class _Left(Struct, frozen=True):
    """An execution that its owner may have left open."""

    execution_id: str
    owner_seq: int
    since: str
    ending: dict[str, Any]


def _close(process: Process) -> None:
    if process.pidfd is not None:
        os.close(process.pidfd)


def _ending(process: Process | None) -> dict[str, Any]:
    return {} if process is None else ending_of(process.pid, process.start_time, process.pidfd)


def _decide(left: Sequence[_Left], db: apsw.Connection) -> list[Event]:
    """Return what is to be said of those that are still open, and still this owner's."""
    require(db, "execution", "log")
    events: list[Event] = []
    for one in left:
        row = db.execute(
            "select e.owner, max(e.last_seq, coalesce(l.last_seq, 0)), p.line, p.last_seen"
            " from execution e left join execution_log l using (execution_id)"
            " left join producer p on p.producer = e.producer"
            f" where e.execution_id = ? and e.owner_seq = ? and {STILL_ACTIVE}",
            (one.execution_id, one.owner_seq),
        ).fetchone()
        if row is None:
            continue
        owner = msgspec.json.decode(row[0], type=Owner)
        known = {
            "pid": owner.pid,
            "start_time": owner.start_time,
            "boot_id": owner.boot_id,
            "last_seq": row[1],
            "last_line": row[2],
            "last_seen": row[3],
        }
        events.append(
            ExecutionLost(
                id=f"owner:{one.owner_seq}",
                execution_id=one.execution_id,
                reason=_reason(owner, one),
                evidence={name: value for name, value in known.items() if value is not None} | one.ending,
            )
        )
    return events


def _reason(owner: Owner, left: _Left) -> str:
    if "signal" in left.ending:
        what = f"was ended by {left.ending['signal']}"
    elif "exit_status" in left.ending:
        what = f"ended with exit status {left.ending['exit_status']}"
    else:
        what = left.since
    return f"its owner, process {owner.pid}, {what} and left no word of how it went"
