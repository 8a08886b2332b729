"""Trio's loop, shared by users: what a crowd of connections sends is decoded in many turns, not in one.

All decoding happens on one thread. Without this a turn of the loop lasts as long as it takes to decode a
block of every connection that has sent one, and everybody waits for it.
"""

from typing import Final

import trio

_BUDGET_S: Final = 0.002
"""How long one user's lines are decoded in a turn while other users are there."""

_WOKEN: Final = 8
"""Of those who wait for another turn, how many look whether it is theirs."""


class LoopTurns(trio.abc.Instrument):
    """Counts the turns of the loop, and lets tasks wait for the next one."""

    def __init__(self) -> None:
        self.number = 0
        self._waiting: dict[int, trio.lowlevel.ParkingLot] = {}

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002  # trio's signature
        """Note the end of a turn (called by trio)."""
        self.number += 1

    async def next(self, uid: int) -> None:
        """Return in a later turn; a few of each user at a time, first come, first served."""
        if not self._waiting:
            trio.lowlevel.current_trio_token().run_sync_soon(self._wake)
        lot = self._waiting.setdefault(uid, trio.lowlevel.ParkingLot())
        await lot.park()

    def _wake(self) -> None:
        for uid, lot in list(self._waiting.items()):
            lot.unpark(count=_WOKEN)
            if not lot:
                del self._waiting[uid]
        if self._waiting:
            trio.lowlevel.current_trio_token().run_sync_soon(self._wake)


class LoopShare:
    """What one user has had of the loop's turn.

    Args:
        uid: The user.
        turns: The loop's.
    """

    def __init__(self, uid: int, turns: LoopTurns) -> None:
        self._uid = uid
        self._turns = turns
        self._turn = -1
        self._spent_s = 0.0

    async def wait(self) -> None:
        """Return once there is something left of this user's share."""
        while self._turn == self._turns.number and self._spent_s >= _BUDGET_S:
            await self._turns.next(self._uid)

    def spend(self, spent_s: float) -> None:
        """Note how long this user's lines kept the loop."""
        if self._turn != self._turns.number:
            self._turn = self._turns.number
            self._spent_s = 0.0
        self._spent_s += spent_s
