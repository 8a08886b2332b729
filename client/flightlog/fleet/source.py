"""The log that is passed on: which it is, its lines as they come, the cursor that says how far it is told."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import msgspec

from flightlog.daemon import Daemon
from flightlog.errors import DaemonAway, FlightlogError, NotUnderstood, QueryFailed
from flightlog.exporting import Log, PrunedLine
from flightlog.fleet.notice import Trouble
from flightlog.fleet.tail import passing, tail_blocks
from flightlog.paths import query_socket
from flightlog_schemas.answers import DaemonStatus, NamedCursor
from flightlog_schemas.wire.lines import Cursor, Cursors, Tail
from flightlog_schemas.wire.query import StatusRequest
from flightlog_schemas.wire.reply import Pruned

SAVE_EVERY_S: Final = 1.0

_PRUNED: Final = b'{"pruned":'


class Source:
    """One daemon's log, as somebody passes it on.

    Args:
        daemon: Whose log.
        cursor: Name of the cursor that says up to where the other side has it.
        after: Begin after this position instead, and set the cursor back.
        once: Read what is there now, and wait for nobody.
        say: Tells a person something.

    Attributes:
        seq: Where the cursor is, or where to begin.
    """

    def __init__(
        self, daemon: Daemon, *, cursor: str, after: int | None, once: bool, say: Callable[[str], None]
    ) -> None:
        self.seq = 0
        self._daemon = daemon
        self._cursor = cursor
        self._after = after
        self._once = once
        self._say = say
        self._log: Log | None = None
        self._back = after is not None
        self._moving = Trouble(say, f"cursor {cursor} moves again")

    @property
    def log(self) -> Log:
        """Which log it is, once that was found."""
        assert self._log is not None
        return self._log

    async def find(self) -> None:
        """Ask the daemon which log it has, and at first where the cursor is; wait for it if it is away.

        Raises:
            FlightlogError: another log answers than before, or there is no position `after`.
        """
        trouble = Trouble(self._say, "flightlogd is back")
        while True:
            try:
                log, seq = await asyncio.to_thread(self._ask)
            except DaemonAway as error:
                await self._wait(trouble, error)
                continue
            trouble.clear()
            if self._log is None:
                self._log, self.seq = log, seq
            elif self._log != log:
                raise FlightlogError(
                    f"another log answers: {log.log_id} of {log.host}, not {self._log.log_id}",
                    "start the relay again for that one",
                )
            return

    async def blocks(self, read_seq: Callable[[], int]) -> AsyncGenerator[list[bytes], None]:
        """Yield the lines of a tail, as many at a time as there are; a daemon that goes away is waited for.

        Args:
            read_seq: Returns up to where all was read.

        Raises:
            FlightlogError: as `find` does; or the daemon has no answer.
        """
        trouble = Trouble(self._say, "flightlogd is back")
        path = query_socket(self._daemon.directory)
        while True:
            try:
                request = Tail(after=read_seq(), follow=not self._once)
                async with aclosing(tail_blocks(path, request)) as blocks:
                    async for block in blocks:
                        trouble.clear()
                        yield block
            except DaemonAway as error:
                await self._wait(trouble, error)
                await self.find()
            else:
                return

    async def keep_moving(self, told_seq: Callable[[], int]) -> None:
        """Move the cursor after what the other side has, now and then, for ever."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.move(told_seq())

    async def move(self, seq: int) -> None:
        """Move the cursor; a daemon that is away gets it later, and meanwhile nothing is lost by that."""
        if self._log is None or (seq == self.seq and not self._back):
            return
        try:
            await asyncio.to_thread(self._tell_cursor, seq)
        except DaemonAway:
            return  # whoever reads says so
        except QueryFailed as failed:
            self._moving.note(f"cursor {self._cursor} was not moved: {failed.reason}")
            return
        self._moving.clear()
        self.seq = seq
        self._back = False

    async def _wait(self, trouble: Trouble, error: DaemonAway) -> None:
        """Wait for a daemon that is away; one of another version stays so."""
        if self._once or isinstance(error, NotUnderstood):
            raise error
        await trouble.wait(f"{error.reason}; waiting for it")

    def _ask(self) -> tuple[Log, int]:
        try:
            with self._daemon.ask() as connection:
                status = connection.one(StatusRequest(), DaemonStatus)
                found = list(connection.all(Cursors(name=self._cursor), NamedCursor))
        except QueryFailed as failed:
            raise passing(failed) from failed
        mine = [cursor.seq for cursor in found if cursor.uid == os.geteuid()]
        log = Log(status.log_id, status.host)
        if self._after is None:
            return log, max(mine, default=0)
        if self._after > status.head_seq:
            raise FlightlogError(f"position {self._after} is beyond the head of the log, {status.head_seq}")
        return log, self._after

    def _tell_cursor(self, seq: int) -> None:
        with self._daemon.ask() as connection:
            connection.one(Cursor(name=self._cursor, seq=seq, back=self._back), NamedCursor)


def hole_in(line: bytes) -> Pruned | None:
    """Return the hole that a line of a tail tells of, None where it is an event."""
    return msgspec.json.decode(line, type=PrunedLine).pruned if line.startswith(_PRUNED) else None
