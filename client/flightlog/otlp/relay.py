"""A log to a receiver of OTLP: read, post, and move the cursor once what was posted is taken."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import msgspec
from msgspec import Struct

from flightlog.daemon import Daemon
from flightlog.errors import FlightlogError
from flightlog.fleet.notice import Trouble
from flightlog.fleet.running import end, first_of
from flightlog.fleet.source import Source, hole_in
from flightlog.otlp.outgoing import Outgoing
from flightlog.otlp.post import AgainError, Receiver, TooLargeError
from flightlog_schemas.wire.reply import Recorded

BATCH_LIMIT_EVENTS: Final = 512
"""As many as exporters of OpenTelemetry post at once."""
BATCH_LIMIT_BYTES: Final = 1024 * 1024
STOP_LIMIT_S: Final = 5.0
"""Longest wait for the answer to what is under way when it is to stop; without one it is posted again."""

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
        self._source = Source(daemon, cursor=cursor, after=after, once=once, say=say)
        self._receiver = receiver
        self._once = once
        self._say = say
        self._refusal: str | None = None
        self._away = Trouble(say, "the receiver answers again")

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until everything is told, where this is done once, or until it is to stop.

        Raises:
            FlightlogError: it cannot go on: another daemon answers, or the receiver takes none of this.
        """
        stopping = asyncio.create_task(stop.wait())
        work = asyncio.create_task(self._work(stop))
        moving = asyncio.create_task(self._source.keep_moving(lambda: self.told.seq))
        try:
            await first_of(stopping, work, moving)
            if not work.done():
                late = asyncio.create_task(asyncio.sleep(STOP_LIMIT_S))
                await first_of(work, late)
                await end(late)
        finally:
            await end(stopping, work, moving)
            await self._source.move(self.told.seq)
            self._receiver.close()

    async def _work(self, stop: asyncio.Event) -> None:
        """Read the log and post it."""
        await self._source.find()
        self.told.seq = self._source.seq
        outgoing = Outgoing(self._source.log)
        async with aclosing(self._source.blocks(lambda: self.told.seq)) as blocks:
            async for block in blocks:
                await self._tell(block, outgoing, stop)
                if stop.is_set():
                    return

    async def _tell(self, block: list[bytes], outgoing: Outgoing, stop: asyncio.Event) -> None:
        """Post what was read, in parts, up to where it is to stop."""
        events: list[Recorded] = []
        size, seq = 0, self.told.seq
        for line in block:
            if (hole := hole_in(line)) is not None:
                self.told.pruned += hole.last_seq - max(hole.first_seq, seq + 1) + 1
                seq = hole.last_seq
                continue
            if events and (len(events) == BATCH_LIMIT_EVENTS or size + len(line) > BATCH_LIMIT_BYTES):
                await self._deliver(events, outgoing)
                if stop.is_set():
                    return
                events, size = [], 0
            events.append(_decode(line))
            seq = events[-1].seq
            size += len(line)
        if events:
            await self._deliver(events, outgoing)
        self.told.seq = seq

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
                    raise FlightlogError(str(error)) from None
                await self._away.wait(f"{error}, trying again", error.after_s)
                continue
            self._away.clear()
            if refused:
                self._refuse(
                    count if refused < 0 else refused, f"the receiver refuses /v1/{signal}: {reason}"
                )
            return

    def _refuse(self, count: int, reason: str) -> None:
        self.told.refused += count
        if reason != self._refusal:
            self._refusal = reason
            self._say(reason)
