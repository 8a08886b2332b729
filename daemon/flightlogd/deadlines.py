"""Deadlines: an execution whose time is up is ended as timed out."""

import heapq
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

import apsw
import trio

from flightlog_schemas.events import BootClock, Event, ExecutionEnded
from flightlogd.active import STILL_ACTIVE, Active
from flightlogd.clock import system_clock
from flightlogd.processes import boot_id
from flightlogd.queries.find import require
from flightlogd.voice import Voice

_LOOK_S: Final = 1.0
"""Longest time between two looks at the clock: it may be set."""

_DECIDED_AT_ONCE: Final = 200
"""Executions that one commit ends at most: the writer is for others, too."""


class Deadlines:
    """Ends executions whose deadline has passed; the nearest one is waited for.

    Args:
        voice: Appends the endings.
    """

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self._deadlines: dict[str, int] = {}
        self._nearest: list[tuple[int, str]] = []
        """A heap; what `_deadlines` does not have any more is passed over."""
        self._news = trio.Event()

    async def follow(self, found: Mapping[str, Active], over: Collection[str]) -> None:
        """Take in what changed."""
        for execution_id in over:
            self._deadlines.pop(execution_id, None)
        for execution_id, active in found.items():
            if active.deadline is not None and execution_id not in self._deadlines:
                self._deadlines[execution_id] = active.deadline
                heapq.heappush(self._nearest, (active.deadline, execution_id))
        if len(self._nearest) > 2 * len(self._deadlines) + 100:
            self._nearest = [(deadline, execution_id) for execution_id, deadline in self._deadlines.items()]
            heapq.heapify(self._nearest)
        self._news.set()

    async def run(self) -> None:
        """End what is past its deadline, until cancelled."""
        while True:
            self._news = trio.Event()
            due = self._due(system_clock())
            if due:
                await self._voice.react(partial(_decide, due))
            elif not self._nearest:
                await self._news.wait()
            else:
                left_s = (self._nearest[0][0] - system_clock()) / 1e6
                with trio.move_on_after(max(0.0, min(_LOOK_S, left_s))):
                    await self._news.wait()

    def _due(self, now: int) -> list[str]:
        """Take out the executions whose deadline is past, some at a time."""
        due: list[str] = []
        nearest = self._nearest
        while nearest and nearest[0][0] <= now and len(due) < _DECIDED_AT_ONCE:
            deadline, execution_id = heapq.heappop(nearest)
            if self._deadlines.get(execution_id) == deadline:
                due.append(execution_id)
        return due


def _decide(due: Sequence[str], db: apsw.Connection) -> list[Event]:
    """Return the endings of those that are still active."""
    require(db, "execution")
    boot = boot_id()
    clock = boot and BootClock(boot_id=boot, uptime_us=time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)
    events: list[Event] = []
    for execution_id in due:
        first_seq = db.execute(
            f"select first_seq from execution where execution_id = ? and {STILL_ACTIVE}", (execution_id,)
        ).get
        if first_seq is not None:
            events.append(
                ExecutionEnded(
                    id=f"deadline:{first_seq}",
                    execution_id=execution_id,
                    outcome="timed_out",
                    reason="deadline passed",
                    clock=clock or None,
                )
            )
    return events
