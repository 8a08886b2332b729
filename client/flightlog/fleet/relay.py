"""A log to a stream: read, publish, and move the cursor once the stream has what was published."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from msgspec import Struct
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

from flightlog.daemon import Daemon
from flightlog.errors import FlightlogError
from flightlog.fleet.messages import Line, Message, line_of
from flightlog.fleet.notice import Trouble, text_of
from flightlog.fleet.pending import MESSAGE_LIMIT_BYTES, Pending
from flightlog.fleet.running import end, first_of, unless, within
from flightlog.fleet.servers import ANSWER_LIMIT_S, Servers, connect_and, disconnect, jetstream, not_allowed
from flightlog.fleet.source import Source, hole_in
from flightlog.fleet.stream import Wanted, open_stream, subject_of

ONCE_LIMIT_S: Final = 30.0
"""Longest wait for anything where this is done once; what is asked for by cron must not pile up."""

STOP_LIMIT_S: Final = 5.0
"""Longest wait for acks of what is under way when it is to stop; what has none by then is sent again."""

_HEADER_BYTES: Final = 1024
_FULL: Final = (10_077, 10_122)
"""Codes of a stream that has as much as it may hold."""


class Told(Struct):
    """What a relay has done.

    Attributes:
        events: How many events the stream has taken.
        messages: In how many messages.
        known: How many of these it had already.
        pruned: How many positions governance had emptied before they were read.
        seq: Everything up to this position is in the stream.
    """

    events: int = 0
    messages: int = 0
    known: int = 0
    pruned: int = 0
    seq: int = 0


class Relay:
    """One log on its way to one stream.

    Args:
        daemon: Whose log.
        servers: Where the stream is.
        wanted: Which stream, and what it is to be if it has to be made.
        cursor: Name of the cursor that says up to where the stream has the log.
        after: Begin after this position instead, and set the cursor back.
        linger_s: How long lines wait for others to share a message with.
        once: End at what is there now.
        say: Tells a person something.

    Attributes:
        told: What was done so far.
    """

    def __init__(
        self,
        daemon: Daemon,
        servers: Servers,
        wanted: Wanted,
        *,
        cursor: str,
        after: int | None,
        linger_s: float,
        once: bool,
        say: Callable[[str], None],
    ) -> None:
        self.told = Told()
        self._source = Source(daemon, cursor=cursor, after=after, once=once, say=say)
        self._servers = servers
        self._wanted = wanted
        self._linger_s = linger_s
        self._once = once
        self._say = say

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until everything is told, where this is done once, or until it is to stop.

        Raises:
            FlightlogError: it cannot go on: another daemon answers, or the stream is not what was asked for.
        """
        stopping = asyncio.create_task(stop.wait())
        begun = await unless(stopping, self._begin())
        if begun is None:
            return
        client, partitions = begun
        limit_bytes = min(MESSAGE_LIMIT_BYTES, client.max_payload - _HEADER_BYTES)
        pending = Pending(self._source.log, partitions, self.told.seq, limit_bytes)
        reading = asyncio.create_task(self._read(pending))
        moving = asyncio.create_task(self._source.keep_moving(lambda: pending.seq))
        publishing = [
            asyncio.create_task(self._publish(client, pending, number)) for number in range(partitions)
        ]
        try:
            await first_of(stopping, reading, moving, *publishing)
            sent = asyncio.create_task(pending.all_sent())
            if stop.is_set():
                await end(reading)
                late = asyncio.create_task(asyncio.sleep(STOP_LIMIT_S))
                await first_of(sent, late, *publishing)
                await end(sent, late)
            else:
                await first_of(sent, stopping, *publishing)
                await end(sent)
        finally:
            await end(stopping, reading, moving, *publishing)
            self.told.seq = pending.seq
            await self._source.move(pending.seq)
            await disconnect(client)

    async def _begin(self) -> tuple[Client, int]:
        """Find out where to begin, connect, and return how many partitions there are."""
        await self._source.find()
        self.told.seq = self._source.seq
        return await connect_and(
            self._servers,
            f"flightlog relay {self._source.log.host}",
            self._say,
            lambda js: open_stream(js, self._wanted, self._say),
            ONCE_LIMIT_S if self._once else None,
        )

    async def _read(self, pending: Pending) -> None:
        """Read the log into memory as far as there is room."""
        async with aclosing(self._source.blocks(lambda: pending.read_seq)) as blocks:
            async for block in blocks:
                self._take(block, pending)
                await pending.room()

    def _take(self, block: list[bytes], pending: Pending) -> None:
        lines: list[Line] = []
        seq = pending.read_seq
        for told in block:
            if (hole := hole_in(told)) is not None:
                count = hole.last_seq - max(hole.first_seq, seq + 1) + 1
                self.told.pruned += count
                self._say(f"{count:,} positions from {hole.first_seq} on left the log before: {hole.reason}")
                seq = hole.last_seq
                continue
            seq, line = line_of(told, self._source.log)
            if line is not None:
                lines.append(line)
        pending.add(lines, seq)

    async def _publish(self, client: Client, pending: Pending, number: int) -> None:
        """Publish the messages of a partition, one after the other."""
        js = jetstream(client)
        subject = subject_of(self._wanted.name, self._source.log.host, number)
        trouble = Trouble(self._say, f"stream {self._wanted.name} takes messages again")
        while True:
            message = await pending.take(number, 0 if self._once else self._linger_s)
            if len(message.body) + _HEADER_BYTES > client.max_payload:
                raise _too_large(message, client.max_payload)
            sending = self._send(client, js, subject, message, trouble)
            try:
                await within(sending, ONCE_LIMIT_S if self._once else None, "the stream takes nothing")
            except MaxPayloadError:  # it was connected anew meanwhile, to servers that take less
                raise _too_large(message, client.max_payload) from None
            pending.done(number)

    async def _send(
        self, client: Client, js: JetStreamContext, subject: str, message: Message, trouble: Trouble
    ) -> None:
        while not await self._deliver(js, subject, message, trouble):
            if self._once and (why := not_allowed(client)) is not None:
                raise FlightlogError(f"the stream takes nothing: {why}")

    async def _deliver(self, js: JetStreamContext, subject: str, message: Message, trouble: Trouble) -> bool:
        """Publish a message, and say whether the stream has it now; where not, it is tried again."""
        name = self._wanted.name
        try:
            headers = {Header.MSG_ID.value: message.identity}
            ack = await js.publish(
                subject, message.body, timeout=ANSWER_LIMIT_S, stream=name, headers=headers
            )
        except MaxPayloadError:  # a NatsError, too, that does not pass
            raise
        except NoStreamResponseError:
            await trouble.wait(f"stream {name} does not answer, trying again")
        except APIError as error:
            if error.err_code in _FULL:
                await trouble.wait(f"stream {name} is full, waiting for collectors")
            else:
                await trouble.wait(f"stream {name} takes nothing, trying again: {error.description}")
        except (NatsError, OSError) as error:
            await trouble.wait(f"stream {name} does not answer, trying again: {text_of(error)}")
        else:
            trouble.clear()
            self.told.messages += 1
            self.told.events += message.lines
            self.told.known += bool(ack.duplicate)
            return True
        return False


def _too_large(message: Message, limit_bytes: int) -> FlightlogError:
    return FlightlogError(
        f"the line at {message.last_seq} takes {len(message.body):,} bytes, the servers {limit_bytes:,}",
        "raise max_payload of the servers (2MB is enough for every line that flightlogd takes)",
    )
