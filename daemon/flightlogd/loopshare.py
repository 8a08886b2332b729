"""Trio's loop, shared: where a crowd is connected, few of it are served in each turn of the loop.

All reading and decoding happens on one thread, and a turn of trio's loop serves whoever is ready. Of a
thousand connections that are all ready it would last as long as all they sent takes, and an answer takes
several turns. So while there is a crowd, who is ready waits in a line here, outside of trio: in a lane for
each user, and in it for each process. Lanes take turns, and a turn of the loop serves as many as fit into a
fraction of a millisecond.

A process that has nothing in line is calm, and goes on at once. While calm peers are about, the crowd pauses
between its turns, and longer until what they asked for is answered: what the loop does holds up the threads
that answer, for they share Python's lock.
"""

import select
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import trio

from flightlogd.interpreter import short_turns
from flightlogd.peer import Peer

_TURN_S: Final = 0.0003
"""How much of the processor's time the crowd may take in one turn."""

_PAUSE_S: Final = 0.001
"""What the crowd waits between its turns while calm peers are about; epoll counts milliseconds."""

_LOCK_S: Final = 0.00002
"""How long a thread keeps Python's lock meanwhile, as others want it."""

_PAUSES: Final = 4
"""How many pauses at most the crowd waits for answers."""

_HOLD_S: Final = 0.02
"""How long it takes to answer, about: a peer that waits for longer waits for something else."""

_CALM_S: Final = 0.1
"""How long after it was last heard a calm peer is still about."""

_PASSES: Final = 16
"""How often a user's processes may go on at once between two turns of the crowd."""

_FEW: Final = 4
"""A user with so many processes in line is a crowd with all of them."""

_BLOCK_BYTES: Final = 256 * 1024
"""Read large blocks: a call costs microseconds, whatever it brings."""

_SHARED_BLOCK_BYTES: Final = 32 * 1024
"""Smaller ones in a crowd: what is read at once is decoded and committed at once."""

_PRESSED_BLOCK_BYTES: Final = 8 * 1024
"""And so small ones while calm peers are about that one takes no longer than a turn."""

_READ: Final = select.EPOLLIN | select.EPOLLONESHOT


class Waiter:
    """What waits for its turn: a task, or something to be done then.

    Args:
        peer: Whose turn.
        go: Called when it is; None once nothing waits any longer.
        is_task: That lets a task go on, which does its work later.
    """

    __slots__ = ("go", "is_task", "peer")

    def __init__(self, peer: Peer, go: Callable[[], None], *, is_task: bool = False) -> None:
        self.peer = peer
        self.is_task = is_task
        self.go: Callable[[], None] | None = go


class LoopShare:
    """Whose turn it is.

    Attributes:
        crowded: While this is not so, everybody is served at once, by trio.
    """

    def __init__(self) -> None:
        self.crowded = False
        self._epoll = select.epoll()
        self._reading: dict[int, Waiter] = {}
        """Who waits for something to read, by descriptor."""
        self._line: dict[int, dict[int, deque[Waiter]]] = {}
        """Who could go on, by user and process; the order is that of their turns."""
        self._passed: Counter[int] = Counter()
        self._calm_at = -_CALM_S
        self._holding = 0
        """For how many that are calm something is under way, and since when for the last."""
        self._held_at = 0.0
        self._dealer = trio.lowlevel.ParkingLot()
        self._cost_s = _TURN_S
        """What it costs the loop to serve a task, about: it goes on later. The rest is measured."""

    async def readable(self, fd: int, peer: Peer) -> None:
        """Return when there is something to read from a socket, and it is this peer's turn."""
        if not self.crowded:
            await trio.lowlevel.wait_readable(fd)
            return
        waiter = self._reading[fd] = _task_of(peer)
        try:
            self._epoll.modify(fd, _READ)
        except FileNotFoundError:
            self._epoll.register(fd, _READ)
        try:
            await self._wait(waiter)
        finally:
            self._reading.pop(fd, None)

    async def turn(self, peer: Peer) -> None:
        """Return when it is this peer's turn."""
        if self.crowded and not self._may_pass(peer):
            waiter = _task_of(peer)
            self._line_up(waiter)
            await self._wait(waiter)

    def go(self, peer: Peer, action: Callable[[], None]) -> Waiter | None:
        """Call a function when it is this peer's turn: at once, or later; its place in line is returned."""
        if not self.crowded or self._may_pass(peer):
            action()
            return None
        waiter = Waiter(peer, action)
        self._line_up(waiter)
        return waiter

    @property
    def block_bytes(self) -> int:
        """How much to read at once."""
        if not self.crowded:
            return _BLOCK_BYTES
        return _PRESSED_BLOCK_BYTES if self._pressed else _SHARED_BLOCK_BYTES

    @property
    def _pressed(self) -> bool:
        """True while a crowd waits for its turns, and calm peers are about."""
        return bool(self._line) and trio.current_time() - self._calm_at < _CALM_S

    def is_crowd(self, uid: int) -> bool:
        """Say whether a user's peers wait for their turns while calm ones are about."""
        return uid in self._line and self._pressed

    def in_line(self, pids: Collection[int]) -> bool:
        """Say whether something of processes waits for its turn."""
        return any(pid in lanes for lanes in self._line.values() for pid in pids)

    def hold(self, peer: Peer) -> bool:
        """Hold the crowd back for a moment if this peer is calm, and say so: then `let_go` must follow."""
        calm = self.crowded and self._is_calm(peer)
        if calm:
            self._holding += 1
            self._held_at = trio.current_time()
        return calm

    def let_go(self) -> None:
        """Hold the crowd back no longer for one that is calm."""
        self._holding -= 1

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            while True:
                if not self._line:
                    await self._dealer.park()
                await self._give_turns()

    async def _watch(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for fd, _ in self._epoll.poll(0, len(self._reading) + 1):
                waiter = self._reading.pop(fd, None)
                if waiter is None or waiter.go is None:
                    continue
                if self._may_pass(waiter.peer):
                    _wake(waiter)
                else:
                    self._line_up(waiter)

    async def _give_turns(self) -> None:
        """Serve as many of the line as fit into a turn, and let the others have theirs."""
        began = time.thread_time()
        self._passed.clear()
        tasks = 0
        done_s = 0.0
        while self._line and tasks * self._cost_s + done_s < _TURN_S:
            tasks += self._serve_next()
            done_s = time.thread_time() - began
        if self._pressed:
            with short_turns(_LOCK_S):
                await trio.sleep(_PAUSE_S)
                for _ in range(_PAUSES - 1):
                    if self._holding and trio.current_time() - self._held_at < _HOLD_S:
                        await trio.sleep(_PAUSE_S)
        elif tasks or self._line:
            await trio.lowlevel.checkpoint()
        if tasks:
            cost_s = (time.thread_time() - began - done_s) / tasks
            # It is believed at once that they cost more, and slowly that they cost less.
            self._cost_s += (cost_s - self._cost_s) * (0.5 if cost_s > self._cost_s else 0.05)

    def _is_calm(self, peer: Peer) -> bool:
        lanes = self._line.get(peer.uid, ())
        return len(lanes) < _FEW and peer.pid not in lanes

    def _may_pass(self, peer: Peer) -> bool:
        if not self._is_calm(peer) or self._passed[peer.uid] >= _PASSES:
            return False
        self._passed[peer.uid] += 1
        if self._line:
            self._calm_at = trio.current_time()
        return True

    def _line_up(self, waiter: Waiter) -> None:
        peer = waiter.peer
        self._line.setdefault(peer.uid, {}).setdefault(peer.pid, deque()).append(waiter)
        self._dealer.unpark()

    def _serve_next(self) -> bool:
        """Let one go on, of the next process of the next user; return whether that is a task."""
        uid, lanes = next(iter(self._line.items()))
        pid, lane = next(iter(lanes.items()))
        waiter = lane.popleft()
        _wake(waiter)
        del self._line[uid], lanes[pid]
        if lane:
            lanes[pid] = lane  # its next turn comes after all others'
        if lanes:
            self._line[uid] = lanes
        return waiter.is_task

    async def _wait(self, waiter: Waiter) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            waiter.go = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)


def _task_of(peer: Peer) -> Waiter:
    return Waiter(peer, partial(trio.lowlevel.reschedule, trio.lowlevel.current_task()), is_task=True)


def _wake(waiter: Waiter) -> None:
    go, waiter.go = waiter.go, None
    if go is not None:
        go()
