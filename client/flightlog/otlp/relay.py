"""A log to a receiver of OTLP: read, post, and move the cursor once what was posted is taken."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import msgspec
from msgspec import Struct

from flightlog.daemon import Daemon
from flightlog.errors import DaemonAway, FlightlogError
from flightlog.exporting import PrunedLine
from flightlog.fleet.notice import Trouble
from flightlog.fleet.running import end, first_of
from flightlog.fleet.tail import tail_blocks
from flightlog.otlp.outgoing import Outgoing
from flightlog.otlp.post import AgainError, Receiver, TooLargeError
from flightlog.paths import query_socket
from flightlog_schemas.answers import DaemonStatus, NamedCursor
from flightlog_schemas.wire.lines import Cursor, Cursors, Tail
from flightlog_schemas.wire.query import StatusRequest
from flightlog_schemas.wire.reply import Recorded

BATCH_LIMIT_EVENTS: Final = 512
"""As many as exporters of OpenTelemetry post at once."""
BATCH_LIMIT_BYTES: Final = 1024 * 1024
SAVE_EVERY_S: Final = 1.0
STOP_LIMIT_S: Final = 5.0
"""Longest wait for the answer to what is under way when it is to stop; without one it is posted again."""

_PRUNED: Final = b'{"pruned":'

_decode = msgspec.json.Decoder(Recorded).decode


class Told(Struct):
    """What a relay has done.

    Attributes:
        events: How many events were posted and answered.
        refused: How many records and spans the receiver did not take.
        pruned: How many positions governance had emptied before they were read.
        seq: Everything up to this position is told.
    """

    events: int = 0
    refused: int = 0
    pruned: int = 0
    seq: int = 0


class OtlpRelay:
    """One log on its way to one receiver.

    What is told and not yet noted in the cursor when this is killed is told again: OTLP knows no keys.

    Args:
        daemon: Whose log.
        receiver: Whom it is told.
        cursor: Name of the cursor that says up to where it is told.
        after: Begin after this position instead, and set the cursor back.
        once: End at what is there now.
        say: Tells a person something.

    Attributes:
        told: What was done so far.
    """

    def __init__(
        self,
        daemon: Daemon,
        receiver: Receiver,
        *,
        cursor: str,
        after: int | None,
        once: bool,
        say: Callable[[str], None],
    ) -> None:
        self.told = Told()
        self._daemon = daemon
        self._receiver = receiver
        self._cursor = cursor
        self._after = after
        self._once = once
        self._say = say
        self._back = after is not None
        self._log_id: str | None = None
        self._saved = -1
        self._refused = Trouble(say, "the receiver takes everything again")
        self._away = Trouble(say, "the receiver answers again")

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until everything is told, where this is done once, or until it is to stop.

        Raises:
            FlightlogError: it cannot go on: another daemon answers, or the receiver takes none of this.
        """
        stopping = asyncio.create_task(stop.wait())
        work = asyncio.create_task(self._work(stop))
        saving = asyncio.create_task(self._save())
        try:
            await first_of(stopping, work, saving)
            if not work.done():
                late = asyncio.create_task(asyncio.sleep(STOP_LIMIT_S))
                await first_of(work, late)
                await end(late)
        finally:
            await end(stopping, work, saving)
            await self._move()
            self._receiver.close()

    async def _work(self, stop: asyncio.Event) -> None:
        """Read the log and post it; a daemon that goes away is waited for."""
        trouble = Trouble(self._say, "flightlogd is back")
        path = query_socket(self._daemon.directory)
        while not stop.is_set():
            try:
                outgoing = await self._begin()
                request = Tail(after=self.told.seq, follow=not self._once)
                async with aclosing(tail_blocks(path, request)) as blocks:
                    async for block in blocks:
                        trouble.clear()
                        await self._tell(block, outgoing, stop)
                        if stop.is_set():
                            return
            except DaemonAway as error:
                if self._once:
                    raise
                await trouble.wait(f"{error.reason}; waiting for it")
            else:
                return

    async def _begin(self) -> Outgoing:
        """Find out which log the daemon has, and at first where to begin."""
        log_id, seq = await asyncio.to_thread(self._ask)
        if self._log_id is None:
            self._log_id = log_id
            self.told.seq = seq
            self._saved = -1 if self._back else seq
        elif self._log_id != log_id:
            raise FlightlogError(
                f"another daemon answers: its log is {log_id}, not {self._log_id}",
                "start the relay again for that log",
            )
        return Outgoing(log_id, socket.gethostname())

    def _ask(self) -> tuple[str, int]:
        with self._daemon.ask() as connection:
            status = connection.one(StatusRequest(), DaemonStatus)
            found = list(connection.all(Cursors(name=self._cursor), NamedCursor))
        mine = [cursor.seq for cursor in found if cursor.uid == os.geteuid()]
        if self._after is None:
            return status.log_id, max(mine, default=0)
        if self._after > status.head_seq:
            raise FlightlogError(f"position {self._after} is beyond the head of the log, {status.head_seq}")
        return status.log_id, self._after

    async def _tell(self, block: list[bytes], outgoing: Outgoing, stop: asyncio.Event) -> None:
        """Post what was read, in parts."""
        events: list[Recorded] = []
        size = 0
        for line in block:
            if line.startswith(_PRUNED):
                hole = msgspec.json.decode(line, type=PrunedLine).pruned
                self.told.pruned += hole.last_seq - max(hole.first_seq, self.told.seq + 1) + 1
                continue
            if events and (len(events) == BATCH_LIMIT_EVENTS or size + len(line) > BATCH_LIMIT_BYTES):
                await self._deliver(events, outgoing)
                if stop.is_set():
                    return
                events, size = [], 0
            events.append(_decode(line))
            size += len(line)
        if events:
            await self._deliver(events, outgoing)

    async def _deliver(self, events: list[Recorded], outgoing: Outgoing) -> None:
        """Post events until they are answered."""
        await self._signal("logs", outgoing.logs, events)
        await self._signal("traces", outgoing.traces, events)
        self.told.events += len(events)
        self.told.seq = events[-1].seq

    async def _signal(
        self, signal: str, write: Callable[[list[Recorded]], bytes | None], events: list[Recorded]
    ) -> None:
        """Post what one kind of request says of events; what is too large goes in halves."""
        body = write(events)
        if body is None:
            return
        try:
            await self._post(signal, body, len(events))
        except TooLargeError:
            if len(events) == 1:
                self._refuse(1, f"the event at {events[0].seq} is too large for the receiver")
                return
            middle = len(events) // 2
            await self._signal(signal, write, events[:middle])
            await self._signal(signal, write, events[middle:])

    async def _post(self, signal: str, body: bytes, count: int) -> None:
        while True:
            try:
                refused, reason = await asyncio.to_thread(self._receiver.post, signal, body)
            except AgainError as error:
                if self._once:
                    raise FlightlogError(f"the receiver did not take it: {error}") from None
                if error.after_s is not None:
                    self._away.note(f"the receiver does not take it, trying again: {error}")
                    await asyncio.sleep(error.after_s)
                else:
                    await self._away.wait(f"the receiver does not answer, trying again: {error}")
                continue
            self._away.clear()
            if refused:
                self._refuse(
                    count if refused < 0 else refused, f"the receiver refuses /v1/{signal}: {reason}"
                )
            return

    def _refuse(self, count: int, reason: str) -> None:
        self.told.refused += count
        self._refused.note(reason)

    async def _save(self) -> None:
        """Move the cursor after what is told, now and then."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self._move()

    async def _move(self) -> None:
        """Move the cursor; a daemon that is away gets it later."""
        seq = self.told.seq
        if self._log_id is None or seq == self._saved:
            return
        try:
            await asyncio.to_thread(self._tell_cursor, seq)
        except DaemonAway:
            return
        self._saved = seq
        self._back = False

    def _tell_cursor(self, seq: int) -> None:
        with self._daemon.ask() as connection:
            connection.one(Cursor(name=self._cursor, seq=seq, back=self._back), NamedCursor)
