"""Telling a reader how far was looked where nothing matched, so that its cursor does not stay behind."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import trio

from flightlog_schemas.wire.reply import Passed

_EVERY_S: Final = 1.0
"""How often at most a reader is told: it confirms by a cursor, and each move of that is a commit."""


class Passing:
    """What one reader was told of how far it is.

    Args:
        send: Writes to the reader.
        wanted: Whether it asked to be told.
    """

    def __init__(self, send: Callable[[bytes], Awaitable[None]], *, wanted: bool) -> None:
        self._send = send
        self.wanted = wanted
        self._reached = self._told = 0
        self._due = trio.current_time() + _EVERY_S if wanted else math.inf

    async def reached(self, seq: int) -> None:
        """Note that all up to a position was looked at and sent, and tell it when it is time."""
        self._reached = seq
        if self.wanted and trio.current_time() >= self._due:
            await self._tell()

    async def wait(self, wait: Callable[[], Awaitable[None]]) -> None:
        """Wait for something; what was not told by then is told meanwhile, when it is time."""
        if self.wanted and self._reached > self._told:
            with trio.move_on_at(self._due):
                await wait()
                return
            await self._tell()
        await wait()

    async def _tell(self) -> None:
        if self.wanted and self._reached > self._told:
            passed = msgspec.json.encode(Passed(seq=self._reached))
            await self._send(b'{"passed":%b}\n' % passed)
            self._told = self._reached
            self._due = trio.current_time() + _EVERY_S
