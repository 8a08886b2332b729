"""Submissions on their way to the writer, bounded, and shared fairly by users.

A user who connects five hundred times gets no more of the writer than one who connects once: what waits is
kept in a lane for each, and lanes take turns by size (deficit round robin, as in routers). A user alone is
hardly held back.
"""

import os
import queue
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import trio

from flightlog_schemas.codec import RefusalError
from flightlogd.decode import Mixed
from flightlogd.submission import Submission

_HAND_OVER_LINES: Final = 2000
"""Lines that are worth a commit of their own: the writer gets them while the loop goes on."""

_AHEAD: Final = 192 * 1024
"""How much may be with the writer while several users have something to say: a short commit, and the next."""

_AHEAD_ALONE: Final = 4 * 1024 * 1024
"""The same while there is one user: a few commits. Whoever comes then waits for no more than these."""

_RECENTLY_S: Final = 1.0
"""Who said something so long ago is expected to go on."""

_QUANTUM: Final = 32 * 1024
"""What a lane may hand over more in each round."""

_LINE_COST: Final = 256
"""What a line costs the writer beside its bytes, measured in bytes."""

_REFUSAL_COST: Final = 4096
"""What a refused line costs beside that: it has a row of its own."""

Job = Callable[[], None]


class Inbox(trio.abc.Instrument):
    """The way to the writer: this is the backpressure.

    What comes in one turn of trio's loop is handed over at its end, where the loop is about to wait: so it is
    one commit, and the writer does not fight for the GIL with sessions that still decode.

    Args:
        limit_bytes: Over all sources. A user who has less than an equal share of it here may pass it, so that
            others cannot fill it against them; never more than twice this is held.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._waiting: dict[int, trio.lowlevel.ParkingLot] = {}
        self._lanes: dict[int, deque[Submission]] = {}
        """What waits to be handed over, by user; the order is that of their turns."""
        self._deficits: dict[int, int] = {}
        self._held: dict[int, int] = {}
        """Bytes of each user, in lanes and with the writer."""
        self._heard: dict[int, float] = {}
        """When each user put something last."""
        self._gathered_lines = 0
        self._ahead = 0
        self._jobs_ahead: deque[Job] = deque()
        self.wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Readable when there is something for the writer."""
        self.items: queue.SimpleQueue[Submission | Job | None] = queue.SimpleQueue()
        self.queued_bytes = 0
        self.queued_lines = 0

    def held_bytes(self, uid: int) -> int:
        """Return how much of a user's is queued."""
        return self._held.get(uid, 0)

    async def room(self, uid: int) -> None:
        """Return when there is room for a user; of one user's first come, first served."""
        while not self._has_room(uid):
            lot = self._waiting.setdefault(uid, trio.lowlevel.ParkingLot())
            try:
                await lot.park()
            finally:
                if not lot:
                    self._waiting.pop(uid, None)

    def put(self, submission: Submission) -> None:
        """Hand over a submission, right after `room` returned."""
        uid = submission.user
        size = submission.part.size_bytes
        self.queued_bytes += size
        lines = len(submission.part.lines)
        self.queued_lines += lines
        self._held[uid] = self._held.get(uid, 0) + size
        self.hear(uid)
        lane = self._lanes.get(uid)
        if lane is None:
            lane = self._lanes[uid] = deque()
        lane.append(submission)
        self._gathered_lines += lines
        if self._gathered_lines >= _HAND_OVER_LINES:
            self.hand_over()

    def hear(self, uid: int) -> None:
        """Note that a user says something; also on the writer's thread, of what it reads itself."""
        if uid in self._heard:
            self._heard[uid] = time.monotonic()
        else:
            self._heard = {**self._heard, uid: time.monotonic()}  # another thread may go through the old one

    def call(self, job: Job) -> None:
        """Have the writer's thread call something after all that was put before."""
        self._hand_over_all()
        self.items.put(job)
        self._wake()

    def call_ahead(self, job: Job) -> None:
        """Have the writer's thread call something before the next commit, also while storage fails."""
        self._jobs_ahead.append(job)
        self._wake()

    def next_ahead(self) -> Job | None:
        """Return the next of the jobs that come ahead, on the writer's thread; None where there is none."""
        return self._jobs_ahead.popleft() if self._jobs_ahead else None

    def end(self) -> None:
        """Have the writer's thread end after all that was put before."""
        self._hand_over_all()
        self.items.put(None)
        self._wake()

    def hand_over(self) -> None:
        """Let the writer have what was put so far, not too much; of several users each their share."""
        most = _AHEAD if self._several() else _AHEAD_ALONE
        while self._lanes and self._ahead < most:
            uid, lane = next(iter(self._lanes.items()))
            left = self._deficits.get(uid, 0) + _QUANTUM
            while lane and left > 0:
                left -= self._hand_over_one(lane.popleft())
            del self._lanes[uid]
            if lane:
                self._lanes[uid] = lane  # its next turn comes after all others'
            self._deficits[uid] = left if lane or left < 0 else 0
        self._wake()

    def _wake(self) -> None:
        os.eventfd_write(self.wake_fd, 1)

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002  # trio's signature
        """Hand over at the end of a turn of the loop (called by trio)."""
        if self._lanes:
            self.hand_over()

    def release(self, submission: Submission) -> None:
        """Give back the room that a settled submission took."""
        uid = submission.user
        size = submission.part.size_bytes
        self.queued_bytes -= size
        self.queued_lines -= len(submission.part.lines)
        self._ahead -= _cost(submission)
        left = self._held.get(uid, 0) - size
        if left or uid in self._lanes:
            self._held[uid] = left
        else:
            self._held.pop(uid, None)
            self._deficits.pop(uid, None)
        self._wake_one()

    def _several(self) -> bool:
        """Say whether more than one user has something to say these days."""
        if len(self._heard) > 1:
            before = time.monotonic() - _RECENTLY_S
            self._heard = {uid: at for uid, at in self._heard.items() if at > before}
        return len(self._heard) > 1

    def _has_room(self, uid: int) -> bool:
        if self.queued_bytes < self._limit:
            return True
        users = len(self._held) + (uid not in self._held)
        return self._held.get(uid, 0) < self._limit // users and self.queued_bytes < 2 * self._limit

    def _wake_one(self) -> None:
        """Wake the one who waits and has least here."""
        for uid in sorted(self._waiting, key=self.held_bytes):
            if self._has_room(uid):
                self._waiting[uid].unpark()
                return

    def _hand_over_all(self) -> None:
        for lane in self._lanes.values():
            for submission in lane:
                self._hand_over_one(submission)
        self._lanes.clear()

    def _hand_over_one(self, submission: Submission) -> int:
        self.items.put(submission)
        self._gathered_lines -= len(submission.part.lines)
        cost = _cost(submission)
        self._ahead += cost
        return cost


def _cost(submission: Submission) -> int:
    part = submission.part
    cost = part.size_bytes + _LINE_COST * len(part.lines)
    if isinstance(part, Mixed):
        cost += _REFUSAL_COST * sum(isinstance(event, RefusalError) for event in part.events)
    return cost
