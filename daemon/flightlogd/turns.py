"""Taking turns by user, where only so many can go at once."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import trio

from flightlogd.peer import Peer

NOBODY: Final = Peer(uid=-1, pid=0, gid=-1)
"""Who asks where no user does: the daemon itself."""

asking: ContextVar[Peer] = ContextVar("asking", default=NOBODY)
"""Whose question a task answers."""


class Turns:
    """Places that users share: of those who wait, each user in turn gets the next one.

    One user has at most `limit` of them, and there is one more: so whoever else comes, with a hundred
    connections of that user waiting, need not wait for a long question to end.

    Args:
        limit: Places of one user.
        is_crowd: Says whether a user is to have one place only, for now.
    """

    def __init__(self, limit: int, is_crowd: Callable[[int], bool] = lambda _uid: False) -> None:
        self._limit = limit
        self.is_crowd = is_crowd
        self._free = limit + 1
        self._held: dict[int, int] = {}
        self._waiting: dict[int, trio.lowlevel.ParkingLot] = {}
        """By user; the order is that of their turns."""

    async def take(self, uid: int) -> None:
        """Return once a user has a place; `give_back` must follow."""
        if self._free and self._may_have(uid):
            self._free -= 1
            self._held[uid] = self._held.get(uid, 0) + 1
            return
        lot = self._waiting.setdefault(uid, trio.lowlevel.ParkingLot())
        try:
            await lot.park()  # whoever wakes us has taken the place for us
        finally:
            if not lot and self._waiting.get(uid) is lot:
                del self._waiting[uid]

    def give_back(self, uid: int) -> None:
        """Give a place back, to whose turn it is."""
        self._free += 1
        self._held[uid] -= 1
        if not self._held[uid]:
            del self._held[uid]
        for who, lot in self._waiting.items():
            if self._may_have(who):
                del self._waiting[who]
                self._free -= 1
                self._held[who] = self._held.get(who, 0) + 1
                lot.unpark()
                if lot:
                    self._waiting[who] = lot  # its next turn comes after all others'
                return

    def _may_have(self, uid: int) -> bool:
        return self._held.get(uid, 0) < (1 if self.is_crowd(uid) else self._limit)
